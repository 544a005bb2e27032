//! Every kernel is some plan's: one that none calls would be tested for nothing.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{
    Activation, FilterLayout, FlattenOrder, Lrn, MatrixLayout, Network, Op, Pad, Resample, Shape,
    SoftmaxOver, Window,
};
use gradcam::low_level::plan::{
    Broadcast, KernelFamily, Limits, Means, Plan, Request, StoredDtype, Subgroup, Winograd,
};
use gradcam::weights::Tensor;

use super::{FAMILIES, MIB, adapter, convolution, request, tiled, vgg16, with_reruns};

/// Subgroups that shuffle slower than they load.
const LOADING: KernelFamily = KernelFamily::Subgroup(Subgroup {
    broadcast: Broadcast::Loads,
    ..Subgroup::new(8, 16_384)
});

/// Subgroups for which nothing is as fast as swaps in quads.
const SWAPPING: KernelFamily = KernelFamily::Subgroup(Subgroup {
    broadcast: Broadcast::Quads,
    ..Subgroup::new(4, 8192)
});

/// One of each op that a VGG does not have, or not in that place.
pub(super) fn odds_and_ends() -> Network {
    let mut network = Network::new("odd", Shape::new(3, 48, 48));
    let values = |shape: &[usize]| Tensor::repeated(shape.to_vec(), 0.0);
    let overlapping = Window::square(3, 2, 1);
    for (name, op) in [
        (
            "affine",
            Op::Affine {
                scale: values(&[3]),
                shift: values(&[3]),
            },
        ),
        (
            "conv",
            Op::Conv2d {
                weight: values(&[8, 3, 5, 5]),
                bias: None,
                layout: FilterLayout::Oihw,
                window: Window::square(5, 1, 2),
                groups: 1,
            },
        ),
        ("clip", Op::clip(0.0, 6.0)),
        (
            "depthwise",
            Op::Conv2d {
                weight: values(&[8, 1, 3, 3]),
                bias: None,
                layout: FilterLayout::Oihw,
                window: Window::square(3, 1, 1),
                groups: 8,
            },
        ),
        ("silu", Op::Activate(Activation::Silu)),
        (
            "norm",
            Op::LayerNorm {
                scale: values(&[8]),
                shift: values(&[8]),
                epsilon: 1e-5,
            },
        ),
        (
            "group norm",
            Op::GroupNorm {
                groups: 2,
                scale: values(&[8]),
                shift: values(&[8]),
                epsilon: 1e-5,
            },
        ),
        (
            "pad",
            Op::Pad(Pad {
                before: [1, 1],
                after: [0, 0],
                value: 0.0,
            }),
        ),
        (
            "lrn",
            Op::Lrn(Lrn {
                size: 5,
                alpha: 1.0,
                beta: 0.75,
                bias: 1.0,
            }),
        ),
        ("softmax", Op::Softmax(SoftmaxOver::Positions)),
        ("transpose", Op::Transpose),
        ("max", Op::MaxPool(overlapping)),
        ("relu", Op::RELU),
        (
            "mean",
            Op::AvgPool {
                window: overlapping,
                count_include_pad: false,
            },
        ),
        ("bins", Op::AdaptiveAvgPool([7, 7])),
        ("flatten", Op::Flatten(FlattenOrder::Chw)),
        (
            "dense",
            Op::Linear {
                weight: values(&[392, 5]),
                bias: None,
                layout: MatrixLayout::InOut,
            },
        ),
    ] {
        network.chain(name, op).unwrap();
    }
    network
}

/// Attention between positions.
fn attended() -> Network {
    let mut network = Network::new("attended", Shape::new(3, 16, 16));
    let queries = network.chain("conv", convolution(8, 3)).unwrap();
    let op = Op::AttentionScores {
        heads: 2,
        scale: 0.5,
    };
    let scores = network.push("scores", op, vec![queries, queries]).unwrap();
    let op = Op::AttentionSum { heads: 2 };
    network.push("sum", op, vec![scores, queries]).unwrap();
    network.chain("vector", Op::GlobalMean).unwrap();
    network
}

/// Branches that meet in each way.
pub(super) fn branched() -> Network {
    let mut network = Network::new("branched", Shape::new(3, 16, 16));
    let conv = network.chain("conv", convolution(8, 3)).unwrap();
    let mean = network.chain("mean", Op::GlobalMean).unwrap();
    let gated = network.push("gated", Op::Mul, vec![conv, mean]).unwrap();
    let larger = network.push("larger", Op::Max, vec![gated, conv]).unwrap();
    let both = vec![larger, conv];
    network.push("both", Op::Concat, both).unwrap();
    network.chain("vector", Op::GlobalMean).unwrap();
    network
}

/// Convolutions of so many channels that take with them what comes after, the last of them a sum.
fn mobile(channels: usize) -> Network {
    let mut network = Network::new("mobile", Shape::new(channels, 16, 16));
    let layer = |size: usize, groups: usize| Op::Conv2d {
        weight: Tensor::repeated(vec![channels, channels / groups, size, size], 0.0),
        bias: Some(Tensor::repeated(vec![channels], 0.0)),
        layout: FilterLayout::Oihw,
        window: Window::square(size, 1, size / 2),
        groups,
    };
    let first = network.chain("first", layer(1, 1)).unwrap();
    let hard_sigmoid = Activation::HardSigmoid {
        alpha: 0.2,
        beta: 0.5,
    };
    let activations = [
        Activation::Silu,
        Activation::HardSwish,
        Activation::Relu,
        Activation::Sigmoid,
        hard_sigmoid,
    ];
    for (i, activation) in activations.into_iter().enumerate() {
        for (kind, size, groups) in [("wide", 1, 1), ("deep", 3, channels)] {
            let op = layer(size, groups);
            network.chain(format!("{kind}{i}"), op).unwrap();
            let op = Op::Activate(activation.clone());
            network.chain(format!("{kind}{i}_act"), op).unwrap();
        }
    }
    let last = network.chain("last", layer(1, 1)).unwrap();
    network.push("sum", Op::Add, vec![first, last]).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network
}

/// Every activation that has a kernel of its own, one after the other.
fn activated() -> Network {
    let mut network = Network::new("activated", Shape::new(3, 16, 16));
    network.chain("conv", convolution(8, 3)).unwrap();
    for activation in [
        Activation::LeakyRelu { alpha: 0.1 },
        Activation::Elu { alpha: 1.0 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::HardSigmoid {
            alpha: 0.2,
            beta: 0.5,
        },
        Activation::HardSwish,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Softplus,
        Activation::Mish,
        Activation::Square,
        Activation::Sqrt,
        Activation::Reciprocal,
        Activation::Abs,
        Activation::Exp,
        Activation::Log,
        Activation::Power {
            low: 1e-6,
            power: 3.0,
        },
    ] {
        let name = activation.to_string();
        network.chain(name, Op::Activate(activation)).unwrap();
    }
    network.chain("mean", Op::GlobalMean).unwrap();
    network
}

/// Convolutions of a channel a group by each window and with each end.
fn deep() -> Network {
    let mut network = Network::new("deep", Shape::new(16, 64, 64));
    for (size, stride) in [(3, 1), (5, 1), (7, 1), (3, 2), (5, 2)] {
        for end in [
            None,
            Some(Activation::Silu),
            Some(Activation::HardSwish),
            Some(Activation::Relu),
        ] {
            let ending = end
                .as_ref()
                .map_or("as it is".into(), Activation::to_string);
            let name = format!("{size} by {stride}, {ending}");
            let op = Op::Conv2d {
                weight: Tensor::repeated(vec![16, 1, size, size], 0.0),
                bias: Some(Tensor::repeated(vec![16], 0.0)),
                layout: FilterLayout::Oihw,
                window: Window::square(size, stride, size / 2),
                groups: 16,
            };
            network.chain(name.clone(), op).unwrap();
            if let Some(end) = end {
                let end = Op::Activate(end);
                network.chain(format!("end of {name}"), end).unwrap();
            }
        }
        // The input gradient of the next window then ends with a mask.
        let name = format!("relu after {size} by {stride}");
        network.chain(name, Op::RELU).unwrap();
    }
    network.chain("mean", Op::GlobalMean).unwrap();
    network
}

/// Squeeze and excite before two convolutions of so many channels, the second with a sum.
fn gated(channels: usize) -> Network {
    let mut network = Network::new("gated", Shape::new(channels, 16, 16));
    let layer = || Op::Conv2d {
        weight: Tensor::repeated(vec![channels, channels, 1, 1], 0.0),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(1, 1, 0),
        groups: 1,
    };
    let mut earlier = network.chain("first", layer()).unwrap();
    for i in 0..2 {
        let gate = network.push(format!("mean{i}"), Op::GlobalMean, vec![earlier]);
        let operands = vec![earlier, gate.unwrap()];
        let product = network.push(format!("product{i}"), Op::Mul, operands);
        let conv = network.push(format!("conv{i}"), layer(), vec![product.unwrap()]);
        if i == 1 {
            let operands = vec![earlier, conv.unwrap()];
            network.push("sum", Op::Add, operands).unwrap();
        }
        earlier = network.output();
    }
    network.chain("vector", Op::GlobalMean).unwrap();
    network
}

/// A ReLU that a convolution of so many channels reads beside a sum.
fn residual(channels: usize) -> Network {
    let mut network = Network::new("residual", Shape::new(3, 16, 16));
    let layer = |inputs: usize| Op::Conv2d {
        weight: Tensor::repeated(vec![channels, inputs, 1, 1], 0.0),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(1, 1, 0),
        groups: 1,
    };
    network.chain("first", layer(3)).unwrap();
    let relu = network.chain("relu", Op::RELU).unwrap();
    let conv = network.chain("conv", layer(channels)).unwrap();
    network.push("sum", Op::Add, vec![relu, conv]).unwrap();
    network.chain("vector", Op::GlobalMean).unwrap();
    network
}

/// Scales and shifts before convolutions, of which some have strides, and ReLUs before these or none, of so many channels.
fn normed(channels: usize) -> Network {
    let mut network = Network::new("normed", Shape::new(channels, 32, 32));
    let layer = |size: usize, stride: usize| Op::Conv2d {
        weight: Tensor::repeated(vec![channels, channels, size, size], 0.0),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(size, stride, size / 2),
        groups: 1,
    };
    let affine = Op::Affine {
        scale: Tensor::repeated(vec![channels], 1.0),
        shift: Tensor::repeated(vec![channels], 0.0),
    };
    for (name, op) in [
        ("norm", affine),
        ("relu", Op::RELU),
        ("conv", layer(1, 1)),
        ("strided", layer(3, 2)),
        ("relu2", Op::RELU),
        ("strided2", layer(1, 2)),
        ("relu3", Op::RELU),
        ("conv3", layer(5, 1)),
        ("mean", Op::GlobalMean),
    ] {
        network.chain(name, op).unwrap();
    }
    network
}

/// Every other place of a map.
fn picked() -> Network {
    let mut network = Network::new("picked", Shape::new(3, 16, 16));
    network.chain("conv", convolution(8, 3)).unwrap();
    let pick = Resample::Pick {
        first: [0, 0],
        step: [2, 2],
        count: [8, 8],
    };
    network.chain("pick", Op::Resample(pick)).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network
}

/// A convolution before a mean over all positions.
fn pooled() -> Network {
    let mut network = Network::new("pooled", Shape::new(3, 32, 32));
    network.chain("conv", convolution(8, 3)).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    network
}

#[test]
fn every_kernel_of_a_layer_is_reached_by_some_plan() {
    let networks = [
        vgg16(MatrixLayout::OutIn),
        vgg16(MatrixLayout::InOut),
        odds_and_ends(),
        branched(),
        attended(),
        pooled(),
        mobile(16),
        mobile(64),
        normed(16),
        normed(64),
        picked(),
        activated(),
        deep(),
        gated(16),
        gated(64),
        residual(16),
        residual(64),
    ];
    let mut reached = BTreeSet::new();
    for network in &networks {
        for family in FAMILIES.into_iter().chain([tiled(1), LOADING, SWAPPING]) {
            for winograd in [
                Winograd::Never,
                Winograd::WhereFaster,
                Winograd::Everywhere,
                Winograd::Everywhere2x2,
            ] {
                for (means, matrices, runs) in [
                    (Means::Never, StoredDtype::F32, 1),
                    (Means::WherePossible, StoredDtype::F32, 1000),
                    (Means::WherePossible, StoredDtype::F16, 1000),
                ] {
                    let limits = Limits {
                        family,
                        winograd,
                        ..adapter(2048 * MIB)
                    };
                    let mut request = Request {
                        runs,
                        matrices,
                        ..with_reruns(request(network, 2), network)
                    };
                    request.passes[0].backs[0].means = means;
                    for request in [request, Request::default()] {
                        let plan = Plan::new(network, &request, limits).unwrap();
                        reached.extend(plan.kernels());
                    }
                }
            }
        }
    }
    let missing: Vec<Kernel> = Kernel::ALL
        .iter()
        .copied()
        .filter(|kernel| !reached.contains(kernel))
        .collect();
    // The measure of the device is no layer's.
    assert_eq!(missing, [Kernel::MultiplyAdd]);
}
