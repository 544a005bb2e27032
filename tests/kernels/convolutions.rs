//! Convolutions in every kernel that the adapter runs, alone and with a ReLU before them.

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{FilterLayout, Network, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{ForwardRequest, Limits, Plan, Request, Winograd};
use gradcam::weights::Tensor;

use crate::common::device::{
    GPU, SUBGROUPS_ALONE, assert_close, backward_within, each_plan, forward, forward_within,
    random, there, there_and_back, tiled, to_input,
};
use crate::common::twins::{self, Filters};
use crate::{SHAPES, TOLERANCE, again_with, single};

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
    let back = |n| to_input(n, ReluRule::Plain);
    let asked = [
        there(1),
        there(3),
        there_and_back(back(1)),
        there_and_back(back(2)),
    ];
    for limits in each_plan(&network, &asked) {
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
            let x = random(3, input.len());
            let (_, dx) = backward_within(limits, &network, back(n), &x, &dy);
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
fn convolutions_3x3_of_odd_shapes_are_the_twins() {
    for input in SHAPES {
        check_convolution(input, 5, Window::square(3, 1, 1), true);
    }
}

#[test]
fn convolutions_with_many_outputs_and_without_a_bias_are_the_twins() {
    check_convolution(Shape::new(5, 14, 18), 67, Window::square(3, 1, 1), false);
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
            family: tiled(tile),
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

/// Six images of 24 tiles of 4 x 4 outputs or 77 of 2 x 2, of which the smaller binding holds 64 or 128 in two blocks: parts
/// end within images.
#[test]
fn tiles_that_a_gpu_takes_in_parts_give_what_they_give_together() {
    let input = Shape::new(5, 13, 22);
    let network = five_to_seven(input);
    let n = 6;
    let x = random(3, n * input.len());
    let run = |winograd, binding| {
        let limits = Limits {
            binding,
            family: tiled(u32::MAX),
            winograd,
            ..GPU.limits()
        };
        let request = Request::of(ForwardRequest {
            images: n,
            ..ForwardRequest::default()
        });
        let plan = Plan::new(&network, &request, limits).unwrap();
        (
            plan.picture().dispatches.len(),
            forward_within(limits, &network, n, &x),
        )
    };
    for (winograd, parts) in [(Winograd::Everywhere, 3), (Winograd::Everywhere2x2, 4)] {
        let (dispatches, together) = run(winograd, GPU.limits().binding);
        assert_eq!(dispatches, 3);
        let (dispatches, in_parts) = run(winograd, 64 * 36 * 16 * 2);
        assert_eq!(dispatches, 3 * parts);
        assert!(in_parts == together, "{winograd:?}: a part differs");
    }
}

/// Five images of 3136 tiles, of which the software adapter takes 3145 at once: parts end within images.
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

/// A convolution of 5 channels to 7.
fn five_to_seven(input: Shape) -> Network {
    single(
        input,
        Op::Conv2d {
            weight: Tensor::from_f32(vec![7, 5, 3, 3], &random(1, 7 * 5 * 9)),
            bias: Some(Tensor::from_f32(vec![7], &random(2, 7))),
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        },
    )
}

/// On the software adapter many images take the product that makes 49 tiles at once, and one takes that of 17.
#[test]
fn many_images_and_gradients_give_what_each_gives_alone() {
    let limits = Limits {
        winograd: Winograd::Everywhere,
        ..GPU.limits()
    };
    let (input, output) = (Shape::new(5, 13, 22), Shape::new(7, 13, 22));
    let network = five_to_seven(input);
    let n = 40;
    let request = |images, classes| {
        Request::of(ForwardRequest {
            images,
            backs: vec![to_input(classes, ReluRule::Plain)],
            ..ForwardRequest::default()
        })
    };
    let has_wide = |plan: &Plan| {
        let wide = [
            Kernel::WinogradProductWide,
            Kernel::WinogradProductWideTurned,
        ];
        plan.kernels().iter().any(|kernel| wide.contains(kernel))
    };
    // At other widths it is no faster.
    let wide = limits.subgroup() == 8;
    let many = Plan::new(&network, &request(1, n), limits).unwrap();
    assert_eq!(has_wide(&many), wide);
    let one = Plan::new(&network, &request(1, 1), limits).unwrap();
    assert!(!has_wide(&one));

    let x = random(3, n * input.len());
    let together = forward_within(limits, &network, n, &x);
    let dy = random(4, n * output.len());
    let back = |classes, dy: &[f32]| {
        let asked = to_input(classes, ReluRule::Plain);
        backward_within(limits, &network, asked, &x[..input.len()], dy).1
    };
    let gradients = back(n, &dy);
    for i in [0, 1, 20, n - 1] {
        let alone = forward_within(limits, &network, 1, &x[i * input.len()..][..input.len()]);
        let of_many = &together[i * output.len()..][..output.len()];
        assert!(of_many == alone, "image {i} differs from itself alone");
        let alone = back(1, &dy[i * output.len()..][..output.len()]);
        let of_many = &gradients[i * input.len()..][..input.len()];
        assert!(of_many == alone, "gradient {i} differs from itself alone");
    }
}

/// The kernels for subgroups are what the software adapter is for; were they left out there, only time would tell.
#[test]
fn the_software_adapter_runs_the_subgroup_convolution() {
    let info = GPU.info();
    let widths = [("128 bits", 4), ("256 bits", 8), ("512 bits", 16)];
    let is_there = |(bits, _): &(&str, u32)| info.name.contains(bits);
    if let Some((_, width)) = widths.into_iter().find(is_there) {
        assert_eq!(GPU.limits().subgroup(), width, "{info}");
    }
}

/// What the software adapter is on other processors: tests of the kernels for subgroups once more, each width in a process of
/// its own.
#[test]
fn convolutions_and_linear_layers_agree_at_every_width_of_a_vector() {
    if !GPU.info().driver.contains("llvmpipe") {
        return;
    }
    for bits in ["128", "256", "512"] {
        if GPU.info().name.contains(&format!("{bits} bits")) {
            continue;
        }
        let tests = [
            "convolutions::convolutions_3x3_of_odd_shapes_are_the_twins",
            "convolutions::convolutions_with_many_outputs_and_without_a_bias_are_the_twins",
            "convolutions::convolutions_with_any_window_are_the_twins",
            "convolutions::convolutions_with_any_window_and_two_blocks_an_invocation_are_the_twins",
            "convolutions::gradients_of_any_stride_are_the_twins",
            "convolutions::a_relu_fused_into_the_gradient_of_strides_follows_the_same_rule",
            "convolutions::images_that_winograd_takes_in_parts_give_what_each_gives_alone",
            "linear::linear_layers_of_odd_sizes_in_both_file_orders_and_both_types_are_the_twins",
        ];
        let set = [("LP_NATIVE_VECTOR_WIDTH", bits), (SUBGROUPS_ALONE, "1")];
        again_with(&set, &tests);
    }
}

/// Another number for rows than for columns, and before than after.
const UNEVEN: Window = Window {
    size: [3, 2],
    stride: [3, 1],
    pad_before: [2, 0],
    pad_after: [1, 1],
    dilation: [2, 3],
};

#[test]
fn convolutions_with_any_window_are_the_twins() {
    let input = Shape::new(5, 11, 9);
    check_convolution(input, 6, Window::square(1, 1, 0), true);
    check_convolution(input, 6, Window::square(5, 2, 2), true);
    check_convolution(input, 6, Window::square(3, 2, 0), false);
    check_convolution(input, 6, UNEVEN, true);
}

/// More outputs and inputs than an invocation's first block covers, more positions than one workgroup makes, of three images
/// as well, so that a workgroup's positions lie in two of them; and the last blocks and positions left over.
#[test]
fn convolutions_with_any_window_and_two_blocks_an_invocation_are_the_twins() {
    for channels in [61, 65, 70] {
        let input = Shape::new(channels, 11, 9);
        check_convolution(input, channels, Window::square(1, 1, 0), true);
        check_convolution(input, channels, Window::square(3, 2, 1), false);
        check_convolution(input, 66, Window::square(1, 2, 0), true);
    }
    check_convolution(Shape::new(64, 13, 10), 64, UNEVEN, true);
}

/// Input gradients go by phases of the stride: some of no tap, dilations that share a factor with it, and maps of fewer rows or
/// columns than there are phases.
#[test]
fn gradients_of_any_stride_are_the_twins() {
    let window = |size, stride, dilation| Window {
        size,
        stride,
        pad_before: [1, 0],
        pad_after: [2, 1],
        dilation,
    };
    for input in [Shape::new(66, 23, 17), Shape::new(5, 2, 8)] {
        check_convolution(input, 9, Window::square(1, 3, 0), true);
        check_convolution(input, 9, window([2, 2], [4, 3], [1, 1]), false);
        check_convolution(input, 9, window([2, 2], [2, 2], [2, 2]), true);
        check_convolution(input, 9, window([4, 3], [1, 3], [1, 1]), false);
    }
}

/// A ReLU before a layer of strides goes into its backward kernel, of few channels and of many.
#[test]
fn a_relu_fused_into_the_gradient_of_strides_follows_the_same_rule() {
    let window = Window::square(3, 2, 1);
    for between in [13, 61] {
        let input = Shape::new(5, 13, 11);
        let layer = |seed: u32, outputs: usize, inputs: usize, window: Window| {
            let [h, w] = window.size;
            let weight = random(seed, outputs * inputs * h * w);
            Op::Conv2d {
                weight: Tensor::from_f32(vec![outputs, inputs, h, w], &weight),
                bias: Some(Tensor::from_f32(vec![outputs], &random(seed + 1, outputs))),
                layout: FilterLayout::Oihw,
                window,
                groups: 1,
            }
        };
        let one = Window::square(1, 1, 0);
        let mut network = Network::new("pair", input);
        network.chain("a", layer(20, between, 5, one)).unwrap();
        network.chain("relu", Op::RELU).unwrap();
        network.chain("b", layer(22, 9, between, window)).unwrap();
        let [first, second] = [random(20, between * 5), random(22, 9 * between * 9)];
        let filters = |values, outputs, inputs| Filters {
            values,
            outputs,
            inputs,
            groups: 1,
        };
        let (a, b) = (filters(&first, between, 5), filters(&second, 9, between));
        let middle = Shape::new(between, 13, 11);
        let x = random(24, input.len());
        let bias = random(21, between);
        let activations = twins::relu(&twins::conv2d(&x, 1, input, &a, Some(&bias), one));
        let dy = random(25, twins::output_shape(middle, 9, window).len());
        let d_activations = twins::conv2d_backward(&dy, 1, middle, &b, window);
        for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
            let dz = twins::relu_backward(&d_activations, &activations, rule);
            let expected = twins::conv2d_backward(&dz, 1, input, &a, one);
            let asked = there_and_back(to_input(1, rule));
            for limits in each_plan(&network, &[asked]) {
                let (_, dx) = backward_within(limits, &network, to_input(1, rule), &x, &dy);
                let what = format!("{between}, {rule:?}, {:?}", limits.family);
                assert_close(&what, &dx, &expected, input, TOLERANCE);
            }
        }
    }
}

/// Groups of whole blocks of four channels, groups that straddle them, and one channel a group.
#[test]
fn convolutions_in_groups_are_the_twins() {
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

/// Windows whose taps follow the stride, skip by it, and neither; maps of fewer rows than an invocation makes.
#[test]
fn depthwise_convolutions_of_any_window_are_the_twins() {
    let window = |size, stride, dilation| Window {
        size,
        stride,
        pad_before: [size[0] / 2, size[1] / 2],
        pad_after: [size[0] / 2, size[1] / 2 + 1],
        dilation,
    };
    for (h, w) in [(9, 11), (3, 5), (13, 2)] {
        let input = Shape::new(10, h, w);
        check_grouped_convolution(input, 10, Window::square(3, 1, 1), true, 10);
        check_grouped_convolution(input, 10, Window::square(3, 2, 1), true, 10);
        check_grouped_convolution(input, 10, window([5, 5], [2, 2], [1, 1]), false, 10);
        check_grouped_convolution(input, 10, window([7, 1], [3, 1], [1, 1]), true, 10);
        check_grouped_convolution(input, 10, window([1, 3], [1, 2], [1, 1]), true, 10);
        check_grouped_convolution(input, 10, window([3, 2], [2, 2], [2, 3]), true, 10);
        check_grouped_convolution(input, 10, window([3, 3], [1, 2], [2, 2]), true, 10);
    }
}

/// By the kernel that rows go through one after the other: more rows and columns than a workgroup makes, fewer, and strips whose last
/// column or row is alone; blocks that fill up their subgroups and one more.
#[test]
fn depthwise_convolutions_of_three_and_five_taps_of_any_size_are_the_twins() {
    for size in [3, 5] {
        for stride in [1, 2] {
            for (channels, h, w) in [
                (32, 29, 9),
                (33, 15, 6),
                (18, 2, 3),
                (35, 43, 5),
                (32, 1, 1),
            ] {
                let input = Shape::new(channels, h, w);
                let off = Window {
                    pad_before: [0, size],
                    pad_after: [size, 1],
                    ..Window::square(size, stride, 0)
                };
                for (window, bias) in [(Window::square(size, stride, size / 2), true), (off, false)]
                {
                    check_grouped_convolution(input, channels, window, bias, channels);
                }
            }
        }
    }
}

#[test]
fn depthwise_filters_of_tensorflow_are_read_in_their_order() {
    let (input, window) = (Shape::new(6, 7, 5), Window::square(3, 1, 1));
    let op = |weight: &[f32], shape: [usize; 4], layout| Op::Conv2d {
        weight: Tensor::from_f32(shape.to_vec(), weight),
        bias: None,
        layout,
        window,
        groups: 6,
    };
    let oihw = random(60, 6 * 9);
    let hwio: Vec<f32> = (0..54).map(|i| oihw[i % 6 * 9 + i / 6]).collect();
    let torch = single(input, op(&oihw, [6, 1, 3, 3], FilterLayout::Oihw));
    let keras = single(input, op(&hwio, [3, 3, 1, 6], FilterLayout::Hwio));
    let x = random(61, input.len());
    assert_eq!(forward(&torch, 1, &x), forward(&keras, 1, &x));
}

/// A ReLU between two layers goes into the second one's backward kernel; the result must not differ. So many channels
/// that the sums are long enough to be cut into parts.
#[test]
fn a_relu_fused_into_a_layer_follows_the_same_rule() {
    let (inputs, between, outputs) = (30, 31, 29);
    let input = Shape::new(inputs, 9, 7);
    let layer = |seed: u32, o: usize, i: usize| Op::Conv2d {
        weight: Tensor::from_f32(vec![o, i, 3, 3], &random(seed, o * i * 9)),
        bias: Some(Tensor::from_f32(vec![o], &random(seed + 1, o))),
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    let mut network = Network::new("pair", input);
    network.chain("a", layer(20, between, inputs)).unwrap();
    network.chain("relu", Op::RELU).unwrap();
    network.chain("b", layer(22, outputs, between)).unwrap();
    let wa = random(20, between * inputs * 9);
    let wb = random(22, outputs * between * 9);
    let a = Filters {
        values: &wa,
        outputs: between,
        inputs,
        groups: 1,
    };
    let b = Filters {
        values: &wb,
        outputs,
        inputs: between,
        groups: 1,
    };
    let window = Window::square(3, 1, 1);
    let middle = Shape::new(between, 9, 7);
    let x = random(24, input.len());
    let activations = twins::relu(&twins::conv2d(
        &x,
        1,
        input,
        &a,
        Some(&random(21, between)),
        window,
    ));
    let y = twins::conv2d(
        &activations,
        1,
        middle,
        &b,
        Some(&random(23, outputs)),
        window,
    );
    let dy = random(25, 2 * outputs * 9 * 7);
    for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
        let d_middle = twins::conv2d_backward(&dy, 2, middle, &b, window);
        let d_middle = twins::relu_backward(&d_middle, &activations, rule);
        let expected = twins::conv2d_backward(&d_middle, 2, input, &a, window);
        let asked = there_and_back(to_input(2, rule));
        for limits in each_plan(&network, &[asked]) {
            let (forward, dx) = backward_within(limits, &network, to_input(2, rule), &x, &dy);
            let what = format!(
                "{rule:?}, {:?}, Winograd {:?}",
                limits.family, limits.winograd
            );
            assert_close(&what, &forward, &y, Shape::new(outputs, 9, 7), TOLERANCE);
            assert_close(&what, &dx, &expected, input, TOLERANCE);
        }
    }
}
