//! What convolutions take with them: as they store activations and the sum with an earlier value, as they read a scale and
//! shift that takes a ReLU, and a product with a value a channel.

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{Activation, Network, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{ForwardRequest, KernelFamily, Plan, Request};
use gradcam::weights::Tensor;

use crate::common::device::{
    GPU, assert_close, backward_within, each_plan, forward_within, plain, random, there,
    there_and_back, to_input,
};
use crate::common::drawn;
use crate::common::twins::{self, Filters};
use crate::{SHAPES, TOLERANCE};

/// A convolution of so many groups, and its weights and biases.
fn convolution(seed: u32, input: Shape, outputs: usize, window: Window, groups: usize) -> Op {
    drawn::convolution(seed, outputs, input.c / groups, window, groups)
}

/// Its twin.
fn convolved(op: &Op, x: &[f32], n: usize, input: Shape) -> Vec<f32> {
    let Op::Conv2d {
        weight,
        bias,
        window,
        groups,
        ..
    } = op
    else {
        unreachable!()
    };
    let filters = Filters {
        values: &weight.to_vec(),
        outputs: weight.shape()[0],
        inputs: input.c,
        groups: *groups,
    };
    let bias = bias.as_ref().map(Tensor::to_vec);
    twins::conv2d(x, n, input, &filters, bias.as_deref(), *window)
}

fn has(network: &Network, kernel: Kernel) -> bool {
    let plan = Plan::new(network, &Request::default(), GPU.limits()).unwrap();
    plan.kernels().contains(&kernel)
}

/// What adds or multiplies two values that are there.
const COMBINES: [Kernel; 2] = [Kernel::Combine, Kernel::CombineEach];

fn on_subgroups() -> bool {
    matches!(GPU.limits().family, KernelFamily::Subgroup(_))
}

#[test]
fn activations_end_convolutions_of_any_window_and_depth() {
    let activations = [
        (
            Activation::Silu,
            [
                vec![Kernel::Conv2dSubgroupSilu, Kernel::Conv2dSubgroupSiluWide],
                vec![
                    Kernel::DepthwiseSubgroupSilu,
                    Kernel::Depthwise3x3StridedSilu,
                    Kernel::Depthwise5x5StridedSilu,
                ],
            ],
        ),
        (
            Activation::HardSwish,
            [
                vec![
                    Kernel::Conv2dSubgroupHardSwish,
                    Kernel::Conv2dSubgroupHardSwishWide,
                ],
                vec![
                    Kernel::DepthwiseSubgroupHardSwish,
                    Kernel::Depthwise3x3StridedHardSwish,
                    Kernel::Depthwise5x5StridedHardSwish,
                ],
            ],
        ),
        (
            Activation::Sigmoid,
            [
                vec![
                    Kernel::Conv2dSubgroupSigmoid,
                    Kernel::Conv2dSubgroupSigmoidWide,
                ],
                vec![Kernel::ActivateSigmoid],
            ],
        ),
        (
            Activation::HardSigmoid {
                alpha: 0.3,
                beta: 0.4,
            },
            [
                vec![
                    Kernel::Conv2dSubgroupHardSigmoid,
                    Kernel::Conv2dSubgroupHardSigmoidWide,
                ],
                vec![Kernel::ActivateHardSigmoid],
            ],
        ),
        (
            Activation::Clip {
                low: -0.25,
                high: 0.5,
            },
            [
                vec![Kernel::Conv2dSubgroup, Kernel::Conv2dSubgroupWide],
                vec![
                    Kernel::DepthwiseSubgroup,
                    Kernel::Depthwise3x3Strided,
                    Kernel::Depthwise5x5Strided,
                ],
            ],
        ),
        (
            Activation::Clip {
                low: 0.0,
                high: f32::INFINITY,
            },
            [
                vec![Kernel::Conv2dSubgroup, Kernel::Conv2dSubgroupWide],
                vec![
                    Kernel::DepthwiseSubgroup,
                    Kernel::Depthwise3x3Strided,
                    Kernel::Depthwise5x5Strided,
                ],
            ],
        ),
    ];
    for (input, window) in SHAPES.into_iter().zip(
        [
            Window::square(1, 1, 0),
            Window::square(5, 2, 2),
            Window::square(3, 2, 1),
        ]
        .into_iter()
        .cycle(),
    ) {
        for (activation, kernels) in &activations {
            let layers = [(1, 37, 0), (1, 13, 0), (input.c, input.c, 1)];
            for (groups, outputs, kind) in layers {
                let op = convolution(5, input, outputs, window, groups);
                let mut network = Network::new("ends", input);
                network.chain("conv", op.clone()).unwrap();
                let act = Op::Activate(activation.clone());
                network.chain("act", act).unwrap();
                if on_subgroups() && input.c > 1 {
                    let is_there = kernels[kind].iter().any(|kernel| has(&network, *kernel));
                    assert!(is_there, "{:?}", kernels[kind]);
                }
                let out = twins::output_shape(input, outputs, window);
                let n = 2;
                for limits in each_plan(&network, &[there(n)]) {
                    let what = format!("{input}, {activation}, {groups}, {:?}", limits.family);
                    let x = random(7, n * input.len());
                    let y = convolved(&op, &x, n, input);
                    let each = y.chunks_exact(out.len());
                    let expected: Vec<f32> = each
                        .flat_map(|y| twins::activate(y, out, activation))
                        .collect();
                    let actual = forward_within(limits, &network, n, &x);
                    assert_close(&what, &actual, &expected, out, TOLERANCE);
                }
            }
        }
    }
}

/// On the backward pass the activation's input is read, so that nothing is taken with the convolution that loses it.
#[test]
fn gradients_through_activations_after_convolutions_find_what_they_read() {
    let input = Shape::new(6, 9, 7);
    let window = Window::square(3, 2, 1);
    for activation in [
        Activation::Silu,
        Activation::HardSwish,
        Activation::Clip {
            low: -0.25,
            high: 0.5,
        },
    ] {
        for (groups, outputs) in [(1, 9), (6, 6)] {
            let op = convolution(8, input, outputs, window, groups);
            let mut network = Network::new("ends", input);
            network.chain("conv", op.clone()).unwrap();
            let act = Op::Activate(activation.clone());
            network.chain("act", act).unwrap();
            let out = twins::output_shape(input, outputs, window);
            let (x, dy) = (random(9, input.len()), random(10, out.len()));
            let y = convolved(&op, &x, 1, input);
            let after = twins::activate(&y, out, &activation);
            let dz = match activation {
                Activation::Clip { low, high } => {
                    twins::clip_backward(&dy, &after, [low, high], ReluRule::Plain)
                }
                _ => twins::activate_backward(&dy, &y, out, &activation),
            };
            let Op::Conv2d { weight, .. } = &op else {
                unreachable!()
            };
            let filters = Filters {
                values: &weight.to_vec(),
                outputs,
                inputs: input.c,
                groups,
            };
            let expected = twins::conv2d_backward(&dz, 1, input, &filters, window);
            let back = to_input(1, ReluRule::Plain);
            for limits in each_plan(&network, &[there_and_back(back.clone())]) {
                let what = format!("{activation}, {groups}, {:?}", limits.family);
                let back = back.clone();
                let (_, dx) = backward_within(limits, &network, back, &x, &dy);
                assert_close(&what, &dx, &expected, input, TOLERANCE);
            }
        }
    }
}

#[test]
fn the_later_of_two_convolutions_adds_the_earlier_ones_value() {
    let outputs = [(true, 13), (false, 13), (true, 61), (false, 61)];
    let added = [Kernel::Conv2dSubgroupAdded, Kernel::Conv2dSubgroupAddedWide];
    let each = SHAPES
        .into_iter()
        .flat_map(|input| outputs.map(|(relu, outputs)| (input, relu, outputs)));
    for (input, relu, outputs) in each {
        let one = Window::square(1, 1, 0);
        let first = convolution(11, input, outputs, one, 1);
        let around = convolution(15, input, outputs, one, 1);
        let mut network = Network::new("sum", input);
        let picture = network.output();
        let a = network.chain("first", first.clone()).unwrap();
        let b = network
            .push("around", around.clone(), vec![picture])
            .unwrap();
        network.push("sum", Op::Add, vec![b, a]).unwrap();
        if relu {
            network.chain("relu", Op::RELU).unwrap();
        }
        let out = Shape::new(outputs, input.h, input.w);
        if on_subgroups() {
            assert!(added.iter().any(|&kernel| has(&network, kernel)));
            assert!(!COMBINES.iter().any(|&kernel| has(&network, kernel)));
        }
        let n = 3;
        let x = random(17, n * input.len());
        let of = |op: &Op| convolved(op, &x, n, input);
        let sums = of(&first).into_iter().zip(of(&around));
        let expected: Vec<f32> = sums
            .map(|(a, b)| if relu { (a + b).max(0.0) } else { a + b })
            .collect();
        for limits in each_plan(&network, &[there(n)]) {
            let actual = forward_within(limits, &network, n, &x);
            let what = format!("{input}, {:?}", limits.family);
            assert_close(&what, &actual, &expected, out, TOLERANCE);
        }
    }
}

/// Of outputs for one block an invocation and for two.
#[test]
fn the_last_reader_of_a_relu_adds_what_came_back_from_the_other_and_masks_the_sum() {
    let joined = [
        Kernel::Conv2dSubgroupAddedMasked,
        Kernel::Conv2dSubgroupAddedMaskedWide,
    ];
    let each = SHAPES
        .into_iter()
        .flat_map(|input| [13, 61].map(|channels| (input, channels)));
    // Each shape and each rule, not each pair.
    let rules = [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv];
    for ((input, channels), rule) in each.zip(rules.into_iter().cycle()) {
        let [one, three] = [Window::square(1, 1, 0), Window::square(3, 1, 1)];
        let middle = Shape::new(channels, input.h, input.w);
        let first = convolution(31, input, channels, one, 1);
        let [a, b] =
            [(33, one), (35, three)].map(|(seed, window)| convolution(seed, middle, 10, window, 1));
        let mut network = Network::new("readers", input);
        network.chain("first", first.clone()).unwrap();
        let relu = network.chain("relu", Op::RELU).unwrap();
        let to_a = network.push("a", a.clone(), vec![relu]).unwrap();
        let to_b = network.push("b", b.clone(), vec![relu]).unwrap();
        network.push("sum", Op::Add, vec![to_a, to_b]).unwrap();
        let out = Shape::new(10, input.h, input.w);

        let n = 2;
        let x = random(37, input.len());
        let dy = random(38, n * out.len());
        let after = twins::relu(&convolved(&first, &x, 1, input));
        let back = |op: &Op, dy: &[f32], inside: Shape| {
            let Op::Conv2d { weight, window, .. } = op else {
                unreachable!()
            };
            let filters = Filters {
                values: &weight.to_vec(),
                outputs: weight.shape()[0],
                inputs: inside.c,
                groups: 1,
            };
            twins::conv2d_backward(dy, n, inside, &filters, *window)
        };
        let sums: Vec<f32> = back(&a, &dy, middle)
            .into_iter()
            .zip(back(&b, &dy, middle))
            .map(|(a, b)| a + b)
            .collect();
        let masked: Vec<f32> = sums
            .chunks_exact(middle.len())
            .flat_map(|sum| twins::relu_backward(sum, &after, rule))
            .collect();
        let expected = back(&first, &masked, input);
        let request = there_and_back(to_input(n, rule));
        for limits in each_plan(&network, std::slice::from_ref(&request)) {
            let kernels = Plan::new(&network, &request, limits).unwrap().kernels();
            if matches!(limits.family, KernelFamily::Subgroup(_)) && rule != ReluRule::Deconv {
                assert!(joined.iter().any(|kernel| kernels.contains(kernel)));
                assert!(!kernels.contains(&Kernel::Relu));
            }
            let (_, dx) = backward_within(limits, &network, to_input(n, rule), &x, &dy);
            let what = format!("{input}, {channels}, {rule:?}, {:?}", limits.family);
            assert_close(&what, &dx, &expected, input, TOLERANCE);
        }
    }
}

#[test]
fn a_scale_and_shift_takes_the_relu_after_it() {
    for input in SHAPES.into_iter().chain([Shape::new(5, 23, 29)]) {
        let (scale, shift) = (random(18, input.c), random(19, input.c));
        let mut network = Network::new("affine", input);
        let affine = Op::Affine {
            scale: Tensor::from_f32(vec![input.c], &scale),
            shift: Tensor::from_f32(vec![input.c], &shift),
        };
        network.chain("affine", affine).unwrap();
        network.chain("relu", Op::RELU).unwrap();
        assert!(!has(&network, Kernel::Relu));
        let n = 2;
        let x = random(20, n * input.len());
        let each = x.chunks_exact(input.len());
        let y: Vec<f32> = each
            .flat_map(|x| twins::affine(x, input, &scale, &shift))
            .collect();
        let expected = twins::relu(&y);
        let actual = forward_within(GPU.limits(), &network, n, &x);
        assert_close("forward", &actual, &expected, input, TOLERANCE);
        let dy = random(21, input.len());
        let back = to_input(1, ReluRule::Plain);
        let x = &x[..input.len()];
        let (_, dx) = backward_within(GPU.limits(), &network, back, x, &dy);
        let dz = twins::relu_backward(&dy, &expected[..input.len()], ReluRule::Plain);
        let zero = vec![0.0; input.c];
        let expected = twins::affine(&dz, input, &scale, &zero);
        assert_close("backward", &dx, &expected, input, TOLERANCE);
    }
}

/// Of channels that end within a block and eights of blocks, of outputs for one block an invocation and for two, at every place
/// and at every other.
#[test]
fn a_convolution_of_one_tap_takes_the_scale_shift_and_relu_before_it() {
    for (at, input) in SHAPES.into_iter().enumerate() {
        for outputs in [13, 61] {
            let window = Window::square(1, 1 + at % 2, 0);
            let (scale, shift) = (random(23, input.c), random(24, input.c));
            let mut network = Network::new("norm", input);
            let affine = Op::Affine {
                scale: Tensor::from_f32(vec![input.c], &scale),
                shift: Tensor::from_f32(vec![input.c], &shift),
            };
            network.chain("affine", affine).unwrap();
            network.chain("relu", Op::RELU).unwrap();
            let op = convolution(25, input, outputs, window, 1);
            network.chain("conv", op.clone()).unwrap();
            let relu = at % 3 == 0;
            if relu {
                network.chain("end", Op::RELU).unwrap();
            }
            if on_subgroups() {
                assert!(!has(&network, Kernel::Affine));
            }
            let n = 3;
            let x = random(26, n * input.len());
            let each = x.chunks_exact(input.len());
            let normed = each.flat_map(|x| twins::affine(x, input, &scale, &shift));
            let between = twins::relu(&normed.collect::<Vec<f32>>());
            let mut expected = convolved(&op, &between, n, input);
            if relu {
                expected = twins::relu(&expected);
            }
            let out = twins::output_shape(input, outputs, window);
            for limits in each_plan(&network, &[there(n)]) {
                let actual = forward_within(limits, &network, n, &x);
                let what = format!("{input} to {outputs}, {:?}", limits.family);
                assert_close(&what, &actual, &expected, out, TOLERANCE);
            }
        }
    }
}

/// What lies around the input is zero after the norm.
#[test]
fn a_convolution_that_reads_outside_its_input_leaves_the_norm_before_it() {
    let input = Shape::new(5, 9, 8);
    let (scale, shift) = (random(27, input.c), random(28, input.c));
    let mut network = Network::new("norm", input);
    let affine = Op::Affine {
        scale: Tensor::from_f32(vec![input.c], &scale),
        shift: Tensor::from_f32(vec![input.c], &shift),
    };
    network.chain("affine", affine).unwrap();
    network.chain("relu", Op::RELU).unwrap();
    let window = Window::square(1, 1, 1);
    let op = convolution(29, input, 7, window, 1);
    network.chain("conv", op.clone()).unwrap();
    let x = random(30, input.len());
    let between = twins::relu(&twins::affine(&x, input, &scale, &shift));
    let expected = convolved(&op, &between, 1, input);
    let out = twins::output_shape(input, 7, window);
    let actual = forward_within(GPU.limits(), &network, 1, &x);
    assert_close("padded", &actual, &expected, out, TOLERANCE);
}

/// Squeeze and excite: a gate a channel of the map's means, their product, a convolution of it, and where `added` its sum with
/// another of the map, which comes first.
fn gated(input: Shape, outputs: usize, added: bool, relu: bool) -> (Network, Op, Op) {
    let one = Window::square(1, 1, 0);
    let around = convolution(41, input, outputs, one, 1);
    let after = convolution(43, input, outputs, one, 1);
    let mut network = Network::new("gated", input);
    let picture = network.output();
    let earlier = match added {
        true => Some(network.chain("around", around.clone()).unwrap()),
        false => None,
    };
    let squeezed = network.push("mean", Op::GlobalMean, vec![picture]);
    let gate = Op::Activate(Activation::Sigmoid);
    let gate = network.push("gate", gate, vec![squeezed.unwrap()]).unwrap();
    // Either operand may be the gate.
    let operands = match relu {
        true => vec![gate, picture],
        false => vec![picture, gate],
    };
    network.push("product", Op::Mul, operands).unwrap();
    let conv = network.chain("conv", after.clone()).unwrap();
    if let Some(earlier) = earlier {
        network.push("sum", Op::Add, vec![earlier, conv]).unwrap();
    }
    if relu {
        network.chain("relu", Op::RELU).unwrap();
    }
    (network, around, after)
}

#[test]
fn a_convolution_of_one_tap_multiplies_what_it_reads_by_a_value_a_channel() {
    // Whole numbers of a workgroup's positions beside others, of one block and of several.
    let sizes = [
        Shape::new(6, 4, 7),
        Shape::new(37, 14, 14),
        Shape::new(9, 8, 7),
    ];
    let cases = SHAPES.into_iter().chain(sizes).enumerate();
    for ((at, input), outputs) in cases.flat_map(|case| [5, 150].map(|outputs| (case, outputs))) {
        let (added, relu) = (at % 2 == 0, at % 3 == 0);
        let (network, around, after) = gated(input, outputs, added, relu);
        let (positions, n) = (input.h * input.w, 3);
        let taken = [
            Kernel::Conv2dSubgroupScaled,
            Kernel::Conv2dSubgroupScaledWide,
            Kernel::Conv2dSubgroupScaledAdded,
            Kernel::Conv2dSubgroupScaledAddedWide,
        ];
        let taken = match added {
            true => &taken[2..],
            false => &taken[..2],
        };
        // A map of one position has no gate apart from itself.
        if on_subgroups() && positions > 1 {
            assert!(taken.iter().any(|&kernel| has(&network, kernel)), "{input}");
            assert!(!COMBINES.iter().any(|&kernel| has(&network, kernel)));
        }
        let x = random(45, n * input.len());
        let gates = twins::global_mean(&x, input);
        let gates = twins::activate(&gates, Shape::vector(input.c), &Activation::Sigmoid);
        let product = twins::combine(&x, &gates, positions, true, true);
        let mut expected = convolved(&after, &product, n, input);
        if added {
            let around = convolved(&around, &x, n, input);
            expected.iter_mut().zip(around).for_each(|(y, a)| *y += a);
        }
        if relu {
            expected = twins::relu(&expected);
        }
        let out = Shape::new(outputs, input.h, input.w);
        for limits in each_plan(&network, &[there(1), there(n)]) {
            for n in [1, n] {
                let (x, expected) = (&x[..n * input.len()], &expected[..n * out.len()]);
                let actual = forward_within(limits, &network, n, x);
                let what = format!("{n} of {input} to {outputs}, {:?}", limits.family);
                assert_close(&what, &actual, expected, out, TOLERANCE);
            }
        }
    }
}

/// The backward pass reads the map and the gate, not their product.
#[test]
fn gradients_go_back_through_a_product_that_was_never_stored() {
    for input in [Shape::new(6, 4, 7), Shape::new(17, 5, 17)] {
        let (network, ..) = gated(input, 13, true, true);
        let back = to_input(2, ReluRule::Plain);
        let request = Request::of(ForwardRequest {
            backs: vec![back.clone()],
            ..Default::default()
        });
        let plan = Plan::new(&network, &request, GPU.limits()).unwrap();
        let forward = &plan.passes[0].dispatches;
        if on_subgroups() {
            assert!(forward.iter().all(|it| !COMBINES.contains(&it.kernel)));
        }
        let x = random(51, input.len());
        let dy = random(52, 2 * 13 * input.h * input.w);
        let of = |limits| backward_within(limits, &network, back.clone(), &x, &dy);
        let (y, dx) = of(GPU.limits());
        let (expected_y, expected_dx) = of(plain());
        let out = Shape::new(13, input.h, input.w);
        assert_close("there", &y, &expected_y, out, TOLERANCE);
        assert_close("back", &dx, &expected_dx, input, TOLERANCE);
    }
}
