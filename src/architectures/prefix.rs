//! What a network does to its picture before its first layer, read as preprocessing: factors, summands and an order of the
//! channels.
//!
//! An importer follows the picture's channels as [`Pixels`] while nothing but such steps is done to them, or [takes](take) the
//! `Affine`s, and convolutions that do the same, at the start of a network out of it.

mod pixels;

use std::collections::BTreeSet;

use super::Evidence;
use crate::network::{FilterLayout, Network, NodeId, Op, Pad, Window};
use crate::picture::preprocess::Normalization;
use crate::weights::Tensor;
pub(crate) use pixels::Pixels;

/// What [`take`] finds at the start of a network.
pub(super) struct TakenPrefix {
    /// The network without the factors and summands that were taken out.
    pub(super) network: Network,
    /// What these do.
    pub(super) steps: Pixels,
    /// What all factors and summands do that the picture meets first, those too that had to stay behind a pad.
    pub(super) all: Pixels,
}

impl TakenPrefix {
    /// As [`Pixels::normalization`], for the network that is left; what stayed in it tells too what goes in.
    pub(super) fn normalization(&self, bytes: bool) -> Option<(Normalization, Evidence)> {
        self.steps.normalization_told_by(&self.all, bytes)
    }
}

/// Takes the factors and summands out of a network that its picture alone meets before its first layer.
///
/// They may come after a change of the picture's size, a cut, a pad or a mean of neighbours: each value of those is a mean of
/// the picture's, so that it does not matter which comes first. What is added around the picture is of one value in all channels; where
/// they would need several, factors and summands stay where they are.
pub(super) fn take(network: Network) -> TakenPrefix {
    let (mut network, mut steps) = together(network);
    let mut all = steps.clone();
    // The last node of those that were gone through, and which of them add values.
    let mut at = NodeId(0);
    let mut pads = vec![];
    let mut stays = false;
    while let Some(reader) = only_reader(&network, at) {
        let op = &network.node(reader).op;
        match op {
            Op::Affine { .. } | Op::Conv2d { .. } => {
                let Some(step) = step(op).filter(|step| step.order.len() == all.len()) else {
                    break;
                };
                let Some(after) = step.after(&all) else {
                    break;
                };
                all = after;
                let scaled = pads.iter().map(|&pad| added(&network, pad, &step));
                let scaled: Option<Vec<f32>> = scaled.collect();
                if let Some(values) = scaled.filter(|_| !stays) {
                    steps = all.clone();
                    for (&NodeId(pad), to) in pads.iter().zip(values) {
                        if let Op::Pad(Pad { value, .. }) = &mut network.nodes[pad].op {
                            *value = to;
                        }
                    }
                    network = without(network, reader);
                } else {
                    stays = true;
                    at = reader;
                }
            }
            Op::Pad(pad) => {
                if [pad.before, pad.after]
                    .as_flattened()
                    .iter()
                    .any(|&n| n > 0)
                {
                    pads.push(reader);
                }
                at = reader;
            }
            Op::AvgPool {
                count_include_pad: false,
                ..
            }
            | Op::Resample(_) => at = reader,
            _ => break,
        }
    }
    TakenPrefix {
        network,
        steps,
        all,
    }
}

fn only_reader(network: &Network, id: NodeId) -> Option<NodeId> {
    let mut readers = network.consumers(id);
    let reader = readers.next()?;
    readers.next().is_none().then_some(reader)
}

/// What a layer does where it takes each of its channels from one channel.
struct ChannelwiseLayer {
    order: Vec<usize>,
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl ChannelwiseLayer {
    /// The channels after it.
    fn after(&self, pixels: &Pixels) -> Option<Pixels> {
        let ordered = pixels.ordered(&self.order)?;
        ordered.scaled(&self.scale, &self.shift)
    }
}

fn step(op: &Op) -> Option<ChannelwiseLayer> {
    let numbers = |tensor: &Tensor| tensor.to_vec().into_iter().map(f64::from).collect();
    match op {
        Op::Affine { scale, shift } => Some(ChannelwiseLayer {
            order: (0..scale.len()).collect(),
            scale: numbers(scale),
            shift: numbers(shift),
        }),
        // One tap: a factor a channel, or channels that are picked.
        Op::Conv2d {
            weight,
            bias,
            layout,
            window,
            groups,
        } if *window == Window::square(1, 1, 0) && weight.len() <= MOST => {
            let ((FilterLayout::Oihw, &[outputs, inputs, 1, 1])
            | (FilterLayout::Hwio, &[1, 1, inputs, outputs])) = (layout, weight.shape())
            else {
                return None;
            };
            let weights: Vec<f64> = numbers(weight);
            let at = |o: usize, i: usize| match layout {
                FilterLayout::Oihw => weights[o * inputs + i],
                FilterLayout::Hwio => weights[i * outputs + o],
            };
            let mut step = ChannelwiseLayer {
                order: vec![],
                scale: vec![],
                shift: bias.as_ref().map_or_else(|| vec![0.0; outputs], numbers),
            };
            for o in 0..outputs {
                let mut taps = (0..inputs).filter(|&i| at(o, i) != 0.0);
                let (tap, None) = (taps.next()?, taps.next()) else {
                    return None;
                };
                step.order.push(o * groups / outputs * inputs + tap);
                step.scale.push(at(o, tap));
            }
            Some(step)
        }
        _ => None,
    }
}

/// Weights of a layer that may be such a step: more are those of a network.
const MOST: usize = 16;

/// The network without the picks of single channels, their factors and summands that come together again before anything else reads
/// them, as `torch.stack([x[:, 2], x[:, 1], x[:, 0]])` is written, and what they do.
fn together(network: Network) -> (Network, Pixels) {
    let untouched = Pixels::new(network.input_shape().c);
    match parts(&network, &untouched) {
        Some((concat, gone, pixels)) => (without_all(network, concat, &gone), pixels),
        None => (network, untouched),
    }
}

/// The node in which the parts come together, those before it, and what all of them do.
fn parts(network: &Network, untouched: &Pixels) -> Option<(NodeId, BTreeSet<NodeId>, Pixels)> {
    let ids = (0..network.nodes.len()).map(NodeId);
    let concat = ids
        .into_iter()
        .find(|&id| matches!(network.node(id).op, Op::Concat))?;
    let mut gone = BTreeSet::new();
    let mut joined = vec![];
    for &input in &network.node(concat).inputs {
        let (mut at, mut steps) = (input, vec![]);
        while at != NodeId(0) {
            let node = network.node(at);
            let &[before] = &node.inputs[..] else {
                return None;
            };
            steps.push(step(&node.op)?);
            gone.insert(at);
            at = before;
        }
        let mut steps = steps.iter().rev();
        joined.push(steps.try_fold(untouched.clone(), |pixels, step| step.after(&pixels))?);
    }
    let ends_here = |&id: &NodeId| {
        let mut readers = network.consumers(id);
        readers.all(|reader| reader == concat || gone.contains(&reader))
    };
    let alone = ends_here(&NodeId(0)) && gone.iter().all(ends_here);
    let pixels = Pixels::joined(&joined);
    (alone && pixels.len() == untouched.len()).then_some((concat, gone, pixels))
}

/// The network without `gone` and the node that joins them: what read it reads the input.
fn without_all(mut network: Network, concat: NodeId, gone: &BTreeSet<NodeId>) -> Network {
    let mut moved: Vec<NodeId> = vec![];
    let mut nodes = vec![];
    for (id, mut node) in std::mem::take(&mut network.nodes).into_iter().enumerate() {
        if NodeId(id) == concat || gone.contains(&NodeId(id)) {
            moved.push(NodeId(0));
            continue;
        }
        for input in &mut node.inputs {
            *input = moved[input.0];
        }
        moved.push(NodeId(nodes.len()));
        nodes.push(node);
    }
    network.with_nodes(nodes)
}

/// What the node adds around its map after a step; `None` where that differs between channels.
fn added(network: &Network, pad: NodeId, step: &ChannelwiseLayer) -> Option<f32> {
    let Op::Pad(Pad { value, .. }) = network.node(pad).op else {
        return None;
    };
    let mut values = step
        .scale
        .iter()
        .zip(&step.shift)
        .map(|(a, b)| (a * f64::from(value) + b) as f32);
    let first = values.next()?;
    values.all(|value| value == first).then_some(first)
}

/// The network without a node of one input.
fn without(mut network: Network, out: NodeId) -> Network {
    let mut nodes = std::mem::take(&mut network.nodes);
    let before = nodes.remove(out.0).inputs[0];
    let inputs = nodes.iter_mut().flat_map(|node| &mut node.inputs);
    inputs.for_each(|input| {
        *input = match *input {
            input if input == out => before,
            NodeId(i) => NodeId(i - usize::from(i > out.0)),
        };
    });
    network.with_nodes(nodes)
}

#[cfg(test)]
mod tests {
    use super::pixels::tests::known;
    use super::*;
    use crate::network::{Resample, Shape};

    #[test]
    fn factors_right_after_the_picture_are_taken_out_of_the_network() {
        let mut network = Network::new("test", Shape::new(3, 4, 4));
        for (name, factor) in [("one", 0.5), ("two", 2.0 / 255.0)] {
            let op = Op::Affine {
                scale: Tensor::repeated(vec![3], factor),
                shift: Tensor::repeated(vec![3], 0.0),
            };
            network.chain(name, op).unwrap();
        }
        network.chain("mean", Op::GlobalMean).unwrap();
        let TakenPrefix { network, steps, .. } = take(network);
        let names: Vec<&str> = network
            .nodes
            .iter()
            .map(|node| node.name.as_str())
            .collect();
        assert_eq!(names, ["input", "mean"]);
        assert_eq!(network.nodes[1].inputs, [NodeId(0)]);
        assert_eq!(known(&steps), ("unit".into(), Evidence::Metadata));
    }

    /// A network of `first`, then each value less its channel's mean and divided by a deviation.
    fn scaled_after(first: Op, means: [f32; 3], deviation: f32) -> TakenPrefix {
        let mut network = Network::new("test", Shape::new(3, 8, 8));
        network.chain("first", first).unwrap();
        let op = Op::Affine {
            scale: Tensor::repeated(vec![3], deviation.recip()),
            shift: Tensor::from_f32(vec![3], &means.map(|mean| -mean / deviation)),
        };
        network.chain("scaled", op).unwrap();
        network.chain("mean", Op::GlobalMean).unwrap();
        take(network)
    }

    fn pad(before: i32, value: f32) -> Op {
        Op::Pad(Pad {
            before: [before; 2],
            after: [0; 2],
            value,
        })
    }

    #[test]
    fn factors_after_another_size_or_a_cut_are_taken_out_of_the_network() {
        let picked = Op::Resample(Resample::Pick {
            first: [0; 2],
            step: [2; 2],
            count: [4; 2],
        });
        let mean = Op::AvgPool {
            window: Window::square(2, 2, 0),
            count_include_pad: false,
        };
        for first in [picked, mean, pad(-2, 0.0)] {
            let taken = scaled_after(first, [127.5; 3], 127.5);
            let names: Vec<&str> = taken.network.nodes.iter().map(|node| &*node.name).collect();
            assert_eq!(names, ["input", "first", "mean"]);
            let (normalization, evidence) = taken.normalization(false).unwrap();
            assert_eq!(normalization.to_string(), "tf");
            assert_eq!(evidence, Evidence::Metadata);
        }
    }

    fn convolution(shape: [usize; 4], weight: &[f32], groups: usize) -> Op {
        Op::Conv2d {
            weight: Tensor::from_f32(shape.to_vec(), weight),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups,
        }
    }

    #[test]
    fn a_convolution_of_one_tap_a_channel_is_a_factor_and_an_order() {
        let f = 255_f32.recip();
        for (op, name) in [
            (convolution([3, 1, 1, 1], &[f; 3], 3), "unit"),
            (
                convolution([3, 3, 1, 1], &[f, 0., 0., 0., f, 0., 0., 0., f], 1),
                "unit",
            ),
            (
                convolution([3, 3, 1, 1], &[0., 0., f, 0., f, 0., f, 0., 0.], 1),
                "bgr",
            ),
        ] {
            let mut network = Network::new("test", Shape::new(3, 4, 4));
            network.chain("scaled", op).unwrap();
            network.chain("mean", Op::GlobalMean).unwrap();
            let taken = take(network);
            assert_eq!(taken.network.nodes.len(), 2);
            let (normalization, _) = taken.normalization(false).unwrap();
            assert!(normalization.to_string().contains(name), "{normalization}");
        }
        // Channels that are mixed are a layer.
        let mut network = Network::new("test", Shape::new(3, 4, 4));
        let mixed = convolution([3, 3, 1, 1], &[1., 1., 0., 0., 1., 0., 0., 0., 1.], 1);
        network.chain("mixed", mixed).unwrap();
        network.chain("mean", Op::GlobalMean).unwrap();
        let taken = take(network);
        assert_eq!(taken.network.nodes.len(), 3);
        assert!(taken.all.is_untouched());
    }

    #[test]
    fn channels_that_are_picked_scaled_and_stacked_are_an_order_and_factors() {
        let stacked = |read_beside: bool| {
            let mut network = Network::new("test", Shape::new(3, 4, 4));
            let parts: Vec<NodeId> = [2, 1, 0]
                .into_iter()
                .zip([103.939, 116.779, 123.68])
                .map(|(channel, mean)| {
                    let mut weight = [0.0; 3];
                    weight[channel] = 1.0;
                    let pick = convolution([1, 3, 1, 1], &weight, 1);
                    let pick = network
                        .push(format!("pick {channel}"), pick, vec![NodeId(0)])
                        .unwrap();
                    let op = Op::Affine {
                        scale: Tensor::repeated(vec![1], 1.0),
                        shift: Tensor::from_f32(vec![1], &[-mean]),
                    };
                    network
                        .push(format!("less {channel}"), op, vec![pick])
                        .unwrap()
                })
                .collect();
            let joined = network.push("joined", Op::Concat, parts).unwrap();
            let end = network.push("mean", Op::GlobalMean, vec![joined]).unwrap();
            if read_beside {
                let other = network
                    .push("other", Op::GlobalMean, vec![NodeId(0)])
                    .unwrap();
                network.push("sum", Op::Add, vec![end, other]).unwrap();
            }
            take(network)
        };
        let taken = stacked(false);
        assert_eq!(taken.network.nodes.len(), 2);
        let (normalization, evidence) = taken.normalization(false).unwrap();
        assert_eq!(
            (normalization.to_string().as_str(), evidence),
            ("caffe", Evidence::Metadata)
        );
        // What reads the picture beside them needs it as it came.
        let taken = stacked(true);
        assert!(taken.all.is_untouched() && taken.network.nodes.len() == 11);
    }

    #[test]
    fn what_is_added_around_a_picture_is_scaled_with_it_where_one_value_can_be() {
        let taken = scaled_after(pad(2, 255.0), [0.0; 3], 255.0);
        let Op::Pad(added) = &taken.network.nodes[1].op else {
            panic!("the pad stays");
        };
        assert_eq!(added.value, 1.0);
        assert_eq!(taken.network.nodes.len(), 3);
        let (normalization, _) = taken.normalization(false).unwrap();
        assert_eq!(normalization.to_string(), "unit");

        // Black is another value in each channel then: the steps stay, and still say that levels go in.
        let taken = scaled_after(pad(2, 0.0), [123.0, 117.0, 104.0], 57.0);
        assert_eq!(taken.network.nodes.len(), 4);
        assert!(taken.steps.is_untouched() && !taken.all.is_untouched());
        let (normalization, evidence) = taken.normalization(false).unwrap();
        assert_eq!(
            (normalization, evidence),
            (Normalization::NONE, Evidence::Metadata)
        );
    }
}
