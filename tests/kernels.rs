//! Each kernel against its CPU twin, forward and backward, on whatever adapter there is, from poisoned memory.
//!
//! Tolerance 1e-5 of the largest value: float32 sums of up to a few thousand products, in another order than the twin's.

mod common {
    pub(crate) mod device;
    pub(crate) mod twins;
}

use common::device::{
    GPU, assert_close, backward, backward_asked, backward_within, each_convolution, forward,
    forward_asked, forward_within, plain, random, to_input,
};
use common::twins::{self, Filters};
use gradcam::network::{FilterLayout, FlattenOrder, MatrixLayout, Network, Op, Shape, Window};
use gradcam::plan::{KernelFamily, Limits, MatrixDtype, Plan, ReluRule, Request, Winograd};
use gradcam::weights::Tensor;

const TOLERANCE: f32 = 1e-5;

fn single(input: Shape, op: Op) -> Network {
    let mut network = Network::new("single", input);
    network.chain("layer", op).unwrap();
    network
}

/// Odd, non-square, one wide, one past a tile of each kernel, and more channels than a block.
const SHAPES: [Shape; 7] = [
    Shape::new(3, 7, 5),
    Shape::new(4, 8, 8),
    Shape::new(1, 1, 9),
    Shape::new(6, 33, 9),
    Shape::new(9, 13, 1),
    Shape::new(17, 5, 17),
    Shape::new(64, 14, 14),
];

#[track_caller]
fn check_convolution(input: Shape, outputs: usize, window: Window, bias: bool) {
    check_grouped_convolution(input, outputs, window, bias, 1);
}

#[track_caller]
fn check_grouped_convolution(
    input: Shape,
    outputs: usize,
    window: Window,
    bias: bool,
    groups: usize,
) {
    let [kh, kw] = window.size;
    let inputs = input.c / groups;
    let weight = random(1, outputs * inputs * kh * kw);
    let bias = bias.then(|| random(2, outputs));
    let network = single(
        input,
        Op::Conv2d {
            weight: Tensor::from_f32(vec![outputs, inputs, kh, kw], &weight),
            bias: bias
                .as_ref()
                .map(|bias| Tensor::from_f32(vec![outputs], bias)),
            layout: FilterLayout::Oihw,
            window,
            groups,
        },
    );
    let filters = Filters {
        values: &weight,
        outputs,
        inputs: input.c,
        groups,
    };
    let out = twins::output_shape(input, outputs, window);
    for limits in each_convolution() {
        let what = format!(
            "{input} to {out}, window {:?}, {groups} groups, {:?}, Winograd {:?}",
            window.size, limits.family, limits.winograd
        );
        for n in [1, 3] {
            let x = random(3, n * input.len());
            let expected = twins::conv2d(&x, n, input, &filters, bias.as_deref(), window);
            let actual = forward_within(limits, &network, n, &x);
            assert_close(&what, &actual, &expected, out, TOLERANCE);
        }
        for n in [1, 2] {
            let dy = random(4, n * out.len());
            let request = to_input(n, ReluRule::Plain);
            let x = random(3, input.len());
            let (_, dx) = backward_within(limits, &network, request, &x, &dy);
            let expected = twins::conv2d_backward(&dy, n, input, &filters, window);
            assert_close(
                &format!("{what}, backward"),
                &dx,
                &expected,
                input,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn convolution_3x3_of_odd_shapes() {
    for input in SHAPES {
        check_convolution(input, 5, Window::square(3, 1, 1), true);
    }
}

#[test]
fn convolution_with_many_outputs_and_without_a_bias() {
    check_convolution(Shape::new(5, 14, 14), 67, Window::square(3, 1, 1), false);
}

#[test]
fn tiles_laid_out_in_rows_make_every_position_once() {
    let input = Shape::new(3, 21, 20);
    let weight = random(1, 7 * 3 * 9);
    let network = single(
        input,
        Op::Conv2d {
            weight: Tensor::from_f32(vec![7, 3, 3, 3], &weight),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        },
    );
    let x = random(3, input.len());
    let expected = forward(&network, 1, &x);
    for tile in [0, u32::MAX] {
        // 420 positions: 7 large tiles in 2 rows of 4, 14 small ones in 4 of 4.
        let limits = Limits {
            workgroups: 4,
            family: KernelFamily::Tiled { workgroups: tile },
            ..GPU.limits()
        };
        let actual = forward_within(limits, &network, 1, &x);
        assert_close(
            "in rows",
            &actual,
            &expected,
            Shape::new(7, 21, 20),
            TOLERANCE,
        );
    }
}

/// Five images of 3136 tiles in 8 blocks need 69 MiB transformed; 32 go at once.
#[test]
fn images_that_winograd_takes_in_parts_give_what_each_gives_alone() {
    let limits = Limits {
        winograd: Winograd::Everywhere,
        ..GPU.limits()
    };
    let input = Shape::new(4, 224, 224);
    let network = single(
        input,
        Op::Conv2d {
            weight: Tensor::from_f32(vec![1, 4, 3, 3], &random(1, 36)),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        },
    );
    let n = 5;
    let x = random(3, n * input.len());
    let together = forward_within(limits, &network, n, &x);
    for (x, expected) in x.chunks(input.len()).zip(together.chunks(224 * 224)) {
        let alone = forward_within(limits, &network, 1, x);
        assert!(
            alone == expected,
            "an image in a part differs from itself alone"
        );
    }
}

/// The kernel for 8-wide subgroups is what the software adapter is for; were it left out there, only time would tell.
#[test]
fn the_software_adapter_runs_the_subgroup_convolution() {
    let info = GPU.info();
    if info.driver.contains("llvmpipe") && info.name.contains("256 bits") {
        let kernel = GPU.limits().family;
        assert!(
            matches!(kernel, KernelFamily::Subgroup8 { .. }),
            "{info}: {kernel:?}"
        );
    }
}

#[test]
fn convolution_with_any_window() {
    let input = Shape::new(5, 11, 9);
    check_convolution(input, 6, Window::square(1, 1, 0), true);
    check_convolution(input, 6, Window::square(5, 2, 2), true);
    check_convolution(input, 6, Window::square(3, 2, 0), false);
    let uneven = Window {
        size: [3, 2],
        stride: [3, 1],
        pad_before: [2, 0],
        pad_after: [1, 1],
        dilation: [2, 3],
    };
    check_convolution(input, 6, uneven, true);
}

/// Groups of whole blocks of four channels, groups that straddle them, and one channel a group.
#[test]
fn convolution_in_groups() {
    let any = Window {
        size: [3, 2],
        stride: [2, 1],
        pad_before: [1, 0],
        pad_after: [1, 1],
        dilation: [1, 2],
    };
    for window in [Window::square(3, 1, 1), Window::square(5, 1, 2), any] {
        let at = |c| Shape::new(c, 9, 11);
        check_grouped_convolution(at(16), 24, window, true, 2);
        check_grouped_convolution(at(9), 15, window, true, 3);
        check_grouped_convolution(at(10), 4, window, false, 2);
        check_grouped_convolution(at(11), 11, window, true, 11);
        check_grouped_convolution(at(5), 15, window, true, 5);
    }
}

#[test]
fn affine_and_its_gradient() {
    for input in SHAPES {
        let (scale, shift) = (random(14, input.c), random(15, input.c));
        let tensor = |values: &[f32]| Tensor::from_f32(vec![values.len()], values);
        let op = Op::Affine {
            scale: tensor(&scale),
            shift: tensor(&shift),
        };
        let network = single(input, op);
        let x = random(16, 3 * input.len());
        let expected = twins::affine(&x, input, &scale, &shift);
        let actual = forward(&network, 3, &x);
        assert_close("affine", &actual, &expected, input, TOLERANCE);
        let dy = random(17, 2 * input.len());
        let one = &x[..input.len()];
        let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
        let expected = twins::affine(&dy, input, &scale, &vec![0.0; input.c]);
        assert_close("affine backward", &dx, &expected, input, TOLERANCE);
    }
}

#[test]
fn average_pool_and_its_gradient() {
    let uneven = Window {
        pad_before: [1, 0],
        pad_after: [0, 1],
        ..Window::square(2, 1, 0)
    };
    let windows = [
        Window::square(2, 2, 0),
        Window::square(3, 2, 1),
        Window::square(3, 1, 1),
        uneven,
    ];
    for (input, window) in SHAPES.iter().flat_map(|&s| windows.map(|w| (s, w))) {
        if window.output(input.h, input.w).is_none() {
            continue;
        }
        for count_include_pad in [false, true] {
            let network = single(
                input,
                Op::AvgPool {
                    window,
                    count_include_pad,
                },
            );
            let out = twins::output_shape(input, input.c, window);
            let what = format!("{input}, window {:?}, {count_include_pad}", window.size);
            let x = random(18, 3 * input.len());
            let expected = twins::avg_pool(&x, 3, input, window, count_include_pad);
            let actual = forward(&network, 3, &x);
            assert_close(&what, &actual, &expected, out, TOLERANCE);
            let dy = random(19, 2 * out.len());
            let one = &x[..input.len()];
            let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
            let expected = twins::avg_pool_backward(&dy, 2, input, window, count_include_pad);
            assert_close(
                &format!("{what}, backward"),
                &dx,
                &expected,
                input,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn max_pool_and_its_gradient() {
    let windows = [
        Window::square(2, 2, 0),
        Window::square(3, 2, 1),
        Window::square(3, 1, 1),
    ];
    for input in SHAPES {
        for window in windows {
            if window.output(input.h, input.w).is_none() {
                continue;
            }
            let network = single(input, Op::MaxPool(window));
            let out = twins::output_shape(input, input.c, window);
            // Few distinct values, so that most windows hold a tie; negative ones, so that padding must not win.
            let few = |v: f32| (v * 3.0).round() - 4.0;
            for n in [1, 3] {
                let x: Vec<f32> = random(5, n * input.len()).into_iter().map(few).collect();
                let (expected, _) = twins::max_pool(&x, n, input, window);
                assert_close("max pool", &forward(&network, n, &x), &expected, out, 0.0);
            }
            let x: Vec<f32> = random(6, input.len()).into_iter().map(few).collect();
            let (_, argmax) = twins::max_pool(&x, 1, input, window);
            let n = 3;
            let dy = random(7, n * out.len());
            let (_, dx) = backward(&network, to_input(n, ReluRule::Plain), &x, &dy);
            let expected = twins::max_pool_backward(&dy, n, input, window, &argmax);
            assert_close("max pool backward", &dx, &expected, input, TOLERANCE);
        }
    }
}

#[test]
fn adaptive_average_pool_and_its_gradient() {
    // Fewer bins than places, as many, more; bins of different sizes, and such that share places.
    for input in SHAPES {
        for size in [[7, 7], [3, 2], [1, 5], [input.h, input.w]] {
            let network = single(input, Op::AdaptiveAvgPool(size));
            let out = Shape::new(input.c, size[0], size[1]);
            let what = format!("{input} to {size:?}");
            let x = random(28, 3 * input.len());
            let expected = twins::adaptive_avg_pool(&x, 3, input, size);
            let actual = forward(&network, 3, &x);
            assert_close(&what, &actual, &expected, out, TOLERANCE);
            let dy = random(29, 2 * out.len());
            let one = &x[..input.len()];
            let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
            let expected = twins::adaptive_avg_pool_backward(&dy, 2, input, size);
            let what = format!("{what}, backward");
            assert_close(&what, &dx, &expected, input, TOLERANCE);
        }
    }
}

#[test]
fn global_mean_and_its_gradient() {
    for input in SHAPES {
        let network = single(input, Op::GlobalMean);
        let out = Shape::vector(input.c);
        let x = random(8, 3 * input.len());
        let expected = twins::global_mean(&x, input);
        assert_close("mean", &forward(&network, 3, &x), &expected, out, TOLERANCE);
        let dy = random(9, 2 * input.c);
        let (_, dx) = backward(
            &network,
            to_input(2, ReluRule::Plain),
            &x[..input.len()],
            &dy,
        );
        let expected = twins::global_mean_backward(&dy, input);
        assert_close("mean backward", &dx, &expected, input, TOLERANCE);
    }
}

#[test]
fn flatten_in_both_orders_and_back() {
    for input in SHAPES {
        for order in [FlattenOrder::Chw, FlattenOrder::Hwc] {
            let network = single(input, Op::Flatten(order));
            let out = Shape::vector(input.len());
            let x = random(10, 2 * input.len());
            let expected = twins::flatten(&x, input, order);
            assert_close("flatten", &forward(&network, 2, &x), &expected, out, 0.0);
            let dy = random(11, 3 * input.len());
            let (_, dx) = backward(
                &network,
                to_input(3, ReluRule::Plain),
                &x[..input.len()],
                &dy,
            );
            let expected = twins::flatten_backward(&dy, input, order);
            assert_close("flatten backward", &dx, &expected, input, 0.0);
        }
    }
}

#[test]
fn relu_lets_through_what_each_rule_says() {
    for input in SHAPES {
        let network = single(input, Op::Relu);
        let x = random(12, 2 * input.len());
        assert_close(
            "relu",
            &forward(&network, 2, &x),
            &twins::relu(&x),
            input,
            0.0,
        );
        let x = &x[..input.len()];
        let dy = random(13, 3 * input.len());
        for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
            let (y, dx) = backward(&network, to_input(3, rule), x, &dy);
            let expected = twins::relu_backward(&dy, &y, rule);
            assert_close(
                &format!("relu backward, {rule:?}"),
                &dx,
                &expected,
                input,
                0.0,
            );
        }
    }
}

#[test]
fn a_clip_lets_through_what_each_rule_says() {
    for input in SHAPES {
        for (low, high) in [(0.0, 0.5), (-0.25, 0.75), (f32::NEG_INFINITY, 0.0)] {
            let network = single(input, Op::Clip { low, high });
            let x = random(30, 2 * input.len());
            let y = forward(&network, 2, &x);
            assert_close("clip", &y, &twins::clip(&x, low, high), input, 0.0);
            let x = &x[..input.len()];
            let dy = random(31, 3 * input.len());
            for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
                let (y, dx) = backward(&network, to_input(3, rule), x, &dy);
                let expected = twins::clip_backward(&dy, &y, [low, high], rule);
                let what = format!("clip to {low}..{high} backward, {rule:?}");
                assert_close(&what, &dx, &expected, input, 0.0);
            }
        }
    }
}

/// A ReLU between two layers goes into the second one's backward kernel; the result must not differ.
#[test]
fn a_relu_fused_into_a_layer_follows_the_same_rule() {
    let input = Shape::new(6, 9, 7);
    let layer = |seed: u32, o: usize, i: usize| Op::Conv2d {
        weight: Tensor::from_f32(vec![o, i, 3, 3], &random(seed, o * i * 9)),
        bias: Some(Tensor::from_f32(vec![o], &random(seed + 1, o))),
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let mut network = Network::new("pair", input);
    network.chain("a", layer(20, 7, 6)).unwrap();
    network.chain("relu", Op::Relu).unwrap();
    network.chain("b", layer(22, 5, 7)).unwrap();
    let (wa, wb) = (random(20, 7 * 6 * 9), random(22, 5 * 7 * 9));
    let a = Filters {
        values: &wa,
        outputs: 7,
        inputs: 6,
        groups: 1,
    };
    let b = Filters {
        values: &wb,
        outputs: 5,
        inputs: 7,
        groups: 1,
    };
    let window = Window::square(3, 1, 1);
    let middle = Shape::new(7, 9, 7);
    let x = random(24, input.len());
    let activations = twins::relu(&twins::conv2d(
        &x,
        1,
        input,
        &a,
        Some(&random(21, 7)),
        window,
    ));
    let y = twins::conv2d(&activations, 1, middle, &b, Some(&random(23, 5)), window);
    let dy = random(25, 2 * 5 * 9 * 7);
    for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
        let d_middle = twins::conv2d_backward(&dy, 2, middle, &b, window);
        let d_middle = twins::relu_backward(&d_middle, &activations, rule);
        let expected = twins::conv2d_backward(&d_middle, 2, input, &a, window);
        for limits in each_convolution() {
            let (forward, dx) = backward_within(limits, &network, to_input(2, rule), &x, &dy);
            let what = format!(
                "{rule:?}, {:?}, Winograd {:?}",
                limits.family, limits.winograd
            );
            assert_close(&what, &forward, &y, Shape::new(5, 9, 7), TOLERANCE);
            assert_close(&what, &dx, &expected, input, TOLERANCE);
        }
    }
}

type Product = fn(&[f32], usize, &[f32]) -> Vec<f32>;

#[track_caller]
fn check_linear(inputs: usize, outputs: usize, layout: MatrixLayout, matrices: MatrixDtype) {
    let (rows, columns) = match layout {
        MatrixLayout::OutIn => (outputs, inputs),
        MatrixLayout::InOut => (inputs, outputs),
    };
    let m = random(30, rows * columns);
    let bias = random(31, outputs);
    let op = Op::Linear {
        weight: Tensor::from_f32(vec![rows, columns], &m),
        bias: Some(Tensor::from_f32(vec![outputs], &bias)),
        layout,
    };
    let network = single(Shape::vector(inputs), op);
    // What is stored is rounded once; the sums are float32 either way, so that the tolerance is the same.
    let stored = |&m: &f32| match matrices {
        MatrixDtype::F32 => m,
        MatrixDtype::F16 => half::f16::from_f32(m).to_f32(),
    };
    let m: Vec<f32> = m.iter().map(stored).collect();
    let (rows_twin, columns_twin): (Product, Product) = (twins::linear_rows, twins::linear_columns);
    let (forward_twin, backward_twin) = match layout {
        MatrixLayout::OutIn => (rows_twin, columns_twin),
        MatrixLayout::InOut => (columns_twin, rows_twin),
    };
    // Through images, where this adapter runs that, and as every adapter does.
    for limits in [GPU.limits(), plain()] {
        let family = limits.family;
        let what = format!("{inputs} to {outputs}, {layout:?}, {matrices:?}, {family:?}");
        for n in [1, 2, 5] {
            let x = random(32, n * inputs);
            let mut expected = forward_twin(&m, columns, &x);
            for y in expected.chunks_exact_mut(outputs) {
                y.iter_mut().zip(&bias).for_each(|(y, b)| *y += b);
            }
            let request = Request {
                images: n,
                matrices,
                ..Request::default()
            };
            let actual = forward_asked(limits, &network, &request, &x);
            assert_close(&what, &actual, &expected, Shape::vector(outputs), TOLERANCE);
            let dy = random(33, n * outputs);
            let request = Request {
                images: 1,
                backward: vec![to_input(n, ReluRule::Plain)],
                ..request
            };
            let (_, dx) = backward_asked(limits, &network, &request, &x[..inputs], &dy);
            let expected = backward_twin(&m, columns, &dy);
            let what = format!("{what}, backward");
            assert_close(&what, &dx, &expected, Shape::vector(inputs), TOLERANCE);
        }
    }
}

#[test]
fn linear_layers_of_odd_sizes_in_both_file_orders_and_both_types() {
    for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
        for (inputs, outputs) in [(1, 1), (5, 3), (64, 65), (257, 21), (1031, 130)] {
            for matrices in [MatrixDtype::F32, MatrixDtype::F16] {
                check_linear(inputs, outputs, layout, matrices);
            }
        }
    }
}

#[test]
fn a_weight_that_float16_cannot_hold_is_refused_by_name() {
    let op = Op::Linear {
        weight: Tensor::from_f32(vec![1, 2], &[1.0, 65520.0]),
        bias: None,
        layout: MatrixLayout::OutIn,
    };
    let network = single(Shape::vector(2), op);
    let request = Request {
        images: 1,
        matrices: MatrixDtype::F16,
        ..Request::default()
    };
    let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
    let error = gradcam::gpu::Session::new(&GPU, plan).err().unwrap();
    assert!(error.to_string().contains("65520"), "{error}");
}

#[test]
fn a_matrix_larger_than_a_binding_gives_the_same_in_parts() {
    let (inputs, outputs) = (150, 70);
    for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
        let (rows, columns) = match layout {
            MatrixLayout::OutIn => (outputs, inputs),
            MatrixLayout::InOut => (inputs, outputs),
        };
        let op = Op::Linear {
            weight: Tensor::from_f32(vec![rows, columns], &random(40, rows * columns)),
            bias: Some(Tensor::from_f32(vec![outputs], &random(41, outputs))),
            layout,
        };
        let mut network = single(Shape::vector(inputs), op);
        network.chain("relu", Op::Relu).unwrap();
        let x = random(42, inputs);
        let whole = forward(&network, 1, &x);
        let request = Request {
            images: 1,
            backward: vec![to_input(2, ReluRule::Plain)],
            ..Request::default()
        };
        let dy = random(43, 2 * outputs);
        let (_, expected) = backward(&network, to_input(2, ReluRule::Plain), &x, &dy);
        let small_images = Limits {
            family: match GPU.limits().family {
                KernelFamily::Subgroup8 { .. } => KernelFamily::Subgroup8 { image_rows: 40 },
                other => other,
            },
            ..GPU.limits()
        };
        let small_bindings = Limits {
            binding: 9000,
            ..plain()
        };
        // Without images the first has nothing to split.
        let mut small = vec![small_bindings];
        if small_images.image_rows() > 0 {
            small.push(small_images);
        }
        for limits in small {
            let plan = Plan::new(&network, &request, limits).unwrap();
            assert!(plan.forward.len() > 1, "{} parts", plan.forward.len());
            let session = gradcam::gpu::Session::new(&GPU, plan).unwrap();
            session.poison();
            session.forward(&x, network.input_shape()).unwrap();
            let parts = session
                .read(session.plan().logits, 1, Shape::vector(outputs))
                .unwrap();
            assert_close("forward", &parts, &whole, Shape::vector(outputs), TOLERANCE);
            session.backward(0, &dy, Shape::vector(outputs)).unwrap();
            let dx = session
                .read(
                    session.plan().backward[0].gradient,
                    2,
                    Shape::vector(inputs),
                )
                .unwrap();
            assert_close("backward", &dx, &expected, Shape::vector(inputs), TOLERANCE);
        }
    }
}

/// The loop that measures a device's arithmetic; a driver that saw through it would make a ceiling out of nothing.
#[test]
fn multiply_adds_of_the_ceiling_are_all_done() {
    let workgroups = 3;
    for rounds in [0, 1, 2] {
        let plan = gradcam::bench::multiply_adds(workgroups, rounds);
        let session = gradcam::gpu::Session::new(&GPU, plan).unwrap();
        session.poison();
        session.forward(&[0.0], Shape::vector(1)).unwrap();
        let shape = Shape::vector(workgroups as usize * 64 * 4);
        let y = session.read(session.plan().logits, 1, shape).unwrap();
        let expected = twins::multiply_add(workgroups, rounds);
        assert_close("multiply-adds", &y, &expected, shape, TOLERANCE);
    }
}
