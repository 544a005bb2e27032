//! Linear layers in both file orders, in float32 and float16, whole and in parts.

use gradcam::low_level::network::{MatrixLayout, Op, ReluRule, Shape};
use gradcam::low_level::plan::{
    ForwardRequest, KernelFamily, Limits, Plan, Request, StoredDtype, Subgroup,
};
use gradcam::weights::Tensor;

use crate::common::device::{
    GPU, assert_close, backward, backward_asked, backward_within, forward, forward_asked,
    own_and_plain, plain, random, there_and_back, to_input,
};
use crate::common::twins;
use crate::{TOLERANCE, single};

type Product = fn(&[f32], usize, &[f32]) -> Vec<f32>;

#[track_caller]
fn check_linear(inputs: usize, outputs: usize, layout: MatrixLayout, matrices: StoredDtype) {
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
        StoredDtype::F32 => m,
        StoredDtype::F16 => half::f16::from_f32(m).to_f32(),
    };
    let m: Vec<f32> = m.iter().map(stored).collect();
    let (rows_twin, columns_twin): (Product, Product) = (twins::linear_rows, twins::linear_columns);
    let (forward_twin, backward_twin) = match layout {
        MatrixLayout::OutIn => (rows_twin, columns_twin),
        MatrixLayout::InOut => (columns_twin, rows_twin),
    };
    // Through images, where this adapter runs that, and as every adapter does.
    for limits in own_and_plain() {
        let family = limits.family;
        let what = format!("{inputs} to {outputs}, {layout:?}, {matrices:?}, {family:?}");
        for n in [1, 2, 4, 5, 11] {
            let x = random(32, n * inputs);
            let mut expected = forward_twin(&m, columns, &x);
            for y in expected.chunks_exact_mut(outputs) {
                y.iter_mut().zip(&bias).for_each(|(y, b)| *y += b);
            }
            let request = Request {
                matrices,
                ..Request::of(ForwardRequest {
                    images: n,
                    ..ForwardRequest::default()
                })
            };
            let actual = forward_asked(limits, &network, &request, &x);
            assert_close(&what, &actual, &expected, Shape::vector(outputs), TOLERANCE);
            let dense = random(33, n * outputs);
            // Zero in fours as a ReLU leaves them: in all classes at once, in some of them, in none.
            let kept = |i: usize| match (i % outputs) / 4 % 3 {
                0 => false,
                1 => (i / outputs).is_multiple_of(2),
                _ => true,
            };
            let sparse = dense.iter().enumerate();
            let sparse = sparse.map(|(i, &g)| if kept(i) { g } else { 0.0 });
            let sparse: Vec<f32> = sparse.collect();
            let request = Request {
                passes: vec![ForwardRequest {
                    backs: vec![to_input(n, ReluRule::Plain)],
                    ..ForwardRequest::default()
                }],
                ..request
            };
            for dy in [dense, sparse] {
                let (_, dx) = backward_asked(limits, &network, &request, &x[..inputs], &dy);
                let expected = backward_twin(&m, columns, &dy);
                let what = format!("{what}, backward");
                assert_close(&what, &dx, &expected, Shape::vector(inputs), TOLERANCE);
            }
        }
    }
}

#[test]
fn linear_layers_of_odd_sizes_in_both_file_orders_and_both_types_are_the_twins() {
    for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
        for (inputs, outputs) in [(1, 1), (5, 3), (64, 65), (257, 21), (1031, 130)] {
            for matrices in [StoredDtype::F32, StoredDtype::F16] {
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
        matrices: StoredDtype::F16,
        ..Request::default()
    };
    let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
    let error = gradcam::low_level::gpu::Session::new(&GPU, plan)
        .err()
        .unwrap();
    assert!(error.to_string().contains("65520"), "{error}");
}

/// Limits within which a matrix of a few thousand values goes in parts.
fn small() -> Vec<Limits<'static>> {
    let small_images = Limits {
        family: match GPU.limits().family {
            KernelFamily::Subgroup(own) => KernelFamily::Subgroup(Subgroup {
                image_rows: 40,
                ..own
            }),
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
    small
}

/// Of two layers, so that a ReLU goes into the backward kernel of the second, for few gradients and for many.
#[test]
fn a_relu_fused_into_a_layer_follows_the_same_rule_in_parts_and_whole() {
    let (inputs, between, outputs) = (90, 150, 70);
    for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
        let values = |seed: u32, i: usize, o: usize| random(seed, i * o);
        let layer = |seed: u32, i: usize, o: usize| Op::Linear {
            weight: Tensor::from_f32(
                match layout {
                    MatrixLayout::OutIn => vec![o, i],
                    MatrixLayout::InOut => vec![i, o],
                },
                &values(seed, i, o),
            ),
            bias: None,
            layout,
        };
        let forward = |seed: u32, i: usize, o: usize, x: &[f32]| match layout {
            MatrixLayout::OutIn => twins::linear_rows(&values(seed, i, o), i, x),
            MatrixLayout::InOut => twins::linear_columns(&values(seed, i, o), o, x),
        };
        let backward = |seed: u32, i: usize, o: usize, dy: &[f32]| match layout {
            MatrixLayout::OutIn => twins::linear_columns(&values(seed, i, o), i, dy),
            MatrixLayout::InOut => twins::linear_rows(&values(seed, i, o), o, dy),
        };
        let mut network = single(Shape::vector(inputs), layer(50, inputs, between));
        network.chain("relu", Op::RELU).unwrap();
        network.chain("last", layer(51, between, outputs)).unwrap();
        let x = random(52, inputs);
        let activations = twins::relu(&forward(50, inputs, between, &x));
        let y = forward(51, between, outputs, &activations);
        for n in [2, 12] {
            let dy = random(53, n * outputs);
            for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
                let d_between = backward(51, between, outputs, &dy);
                let d_between = twins::relu_backward(&d_between, &activations, rule);
                let expected = backward(50, inputs, between, &d_between);
                for limits in [own_and_plain(), small()].concat() {
                    let asked = to_input(n, rule);
                    let (logits, dx) = backward_within(limits, &network, asked, &x, &dy);
                    let what = format!("{layout:?}, {n}, {rule:?}, {:?}", limits.family);
                    let (outputs, inputs) = (Shape::vector(outputs), Shape::vector(inputs));
                    assert_close(&what, &logits, &y, outputs, TOLERANCE);
                    assert_close(&what, &dx, &expected, inputs, TOLERANCE);
                }
            }
        }
    }
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
        network.chain("relu", Op::RELU).unwrap();
        let x = random(42, inputs);
        let whole = forward(&network, 1, &x);
        let request = there_and_back(to_input(2, ReluRule::Plain));
        let dy = random(43, 2 * outputs);
        let (_, expected) = backward(&network, to_input(2, ReluRule::Plain), &x, &dy);
        for limits in small() {
            let plan = Plan::new(&network, &request, limits).unwrap();
            assert!(
                plan.picture().dispatches.len() > 1,
                "{} parts",
                plan.picture().dispatches.len()
            );
            let session = gradcam::low_level::gpu::Session::new(&GPU, plan).unwrap();
            session.poison().unwrap();
            session.forward(0, &x, network.input_shape()).unwrap();
            let parts = session
                .read(session.plan().picture().logits, 1, Shape::vector(outputs))
                .unwrap();
            assert_close("forward", &parts, &whole, Shape::vector(outputs), TOLERANCE);
            session
                .backward([0, 0], &dy, Shape::vector(outputs))
                .unwrap();
            let dx = session
                .read(
                    session.plan().picture().backs[0].gradient,
                    2,
                    Shape::vector(inputs),
                )
                .unwrap();
            assert_close("backward", &dx, &expected, Shape::vector(inputs), TOLERANCE);
        }
    }
}
