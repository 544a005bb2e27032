//! Networks with branches, drawn at random.

use gradcam::low_level::network::{
    Activation, Coordinates, FilterLayout, Interpolation, Lrn, MatrixLayout, NearestMode, Network,
    NodeId, Op, Pad, RepeatMode, Resample, Resize, ResizeTo, Shape, SoftmaxOver, Window,
};
use gradcam::weights::Tensor;

use crate::CLASSES;
use crate::common::device::random;

/// Numbers drawn one after the other.
pub(crate) struct Draw {
    values: Vec<f32>,
    /// Whether maps change their size by resampling, and pools take means: neighbours that come of the same places lie so near one
    /// another that rounding would choose between them.
    pub(crate) resamples: bool,
    /// Whether some steps are softmaxes, transposes and attention between positions.
    pub(crate) has_shares: bool,
    next: usize,
    seed: u32,
}

impl Draw {
    pub(crate) fn new(seed: u32) -> Self {
        Self {
            values: random(seed, 4096),
            resamples: false,
            has_shares: false,
            next: 0,
            seed,
        }
    }

    /// 0 to `count`, the latter not.
    fn below(&mut self, count: usize) -> usize {
        let value = f64::from(self.values[self.next]) / 2.0 + 0.5;
        self.next += 1;
        ((value * count as f64) as usize).min(count - 1)
    }

    pub(crate) fn tensor(&mut self, shape: &[usize], scale: f32) -> Tensor {
        self.next += 1;
        let len = shape.iter().product();
        let seed = self.seed.wrapping_mul(977) + self.next as u32;
        let values: Vec<f32> = random(seed, len).iter().map(|v| v * scale).collect();
        Tensor::from_f32(shape.to_vec(), &values)
    }

    pub(crate) fn convolution(
        &mut self,
        from: Shape,
        outputs: usize,
        window: Window,
        groups: usize,
    ) -> Op {
        let [kh, kw] = window.size;
        let fan = (from.c / groups * kh * kw) as f32;
        let has_bias = self.below(4) > 0;
        Op::Conv2d {
            weight: self.tensor(&[outputs, from.c / groups, kh, kw], 1.7 / fan.sqrt()),
            bias: has_bias.then(|| self.tensor(&[outputs], 0.3)),
            layout: FilterLayout::Oihw,
            window,
            groups,
        }
    }

    fn activation(&mut self, channels: usize) -> Activation {
        match self.below(8) {
            0..=2 => Activation::Relu,
            3 => Activation::Clip {
                // The rules of ReLUs are for the first.
                low: [0.0, 0.1][self.below(2)],
                high: 0.8,
            },
            4 => Activation::Silu,
            5 => Activation::HardSwish,
            6 => Activation::PRelu {
                slope: self.tensor(&[channels], 0.4),
            },
            _ => Activation::Gelu,
        }
    }

    /// Another size not far from the one there, or a repeated edge.
    fn resample(&mut self, shape: Shape) -> Resample {
        let to = [shape.h, shape.w].map(|length| (length + self.below(5)).saturating_sub(2).max(1));
        let filter = match self.below(3) {
            0 => Interpolation::Nearest(NearestMode::RoundDown),
            1 => Interpolation::Linear,
            _ => Interpolation::Cubic(-0.75),
        };
        match self.below(3) {
            0 => Resample::Repeat {
                before: [1, 0],
                after: [0, 2],
                by: RepeatMode::Edge,
            },
            _ => Resample::Resize(Resize {
                to: ResizeTo::Size(to),
                filter,
                places: Coordinates::HalfPixel,
                antialias: false,
                edge: self.below(2) == 0,
            }),
        }
    }

    /// A step of a random network that reads `from`, and perhaps another node.
    fn step(&mut self, network: &Network, from: NodeId) -> (Op, Vec<NodeId>) {
        let shape = network.node(from).shape;
        let alike: Vec<NodeId> = (0..network.nodes.len())
            .map(NodeId)
            .filter(|&id| network.node(id).shape == shape)
            .collect();
        let beside: Vec<NodeId> = (0..network.nodes.len())
            .map(NodeId)
            .filter(|&id| {
                let other = network.node(id).shape;
                (other.h, other.w) == (shape.h, shape.w) && other.c + shape.c < 40
            })
            .collect();
        let other = alike[self.below(alike.len())];
        match self.below(12) {
            0 => {
                let outputs = 1 + self.below(9);
                let op = self.convolution(shape, outputs, Window::square(3, 1, 1), 1);
                (op, vec![from])
            }
            1 => {
                let outputs = 1 + self.below(9);
                let op = self.convolution(shape, outputs, Window::square(1, 1, 0), 1);
                (op, vec![from])
            }
            2 => {
                let op = self.convolution(shape, shape.c, Window::square(3, 1, 1), shape.c);
                (op, vec![from])
            }
            3 if shape.h > 4 && shape.w > 4 => {
                let window = Window::square(3, 2, 1);
                (self.convolution(shape, 6, window, 1), vec![from])
            }
            4 => (Op::Add, vec![from, other]),
            5 => {
                let op = if self.below(2) == 0 { Op::Add } else { Op::Max };
                (op, vec![from, other])
            }
            6 => (Op::Mul, vec![from, other]),
            7 if !beside.is_empty() => {
                let other = beside[self.below(beside.len())];
                (Op::Concat, vec![other, from])
            }
            8 if shape.h > 3 && shape.w > 3 && self.resamples => {
                let window = Window::square(2, 2, 0);
                let op = Op::AvgPool {
                    window,
                    count_include_pad: false,
                };
                (op, vec![from])
            }
            8 if shape.h > 3 && shape.w > 3 => (Op::MaxPool(Window::square(2, 2, 0)), vec![from]),
            9 if self.below(3) == 0 && shape.h * shape.w > 2 => {
                let groups = 1 + self.below(shape.c);
                let op = Op::GroupNorm {
                    groups: if shape.c.is_multiple_of(groups) {
                        groups
                    } else {
                        1
                    },
                    scale: self.tensor(&[shape.c], 1.0),
                    shift: self.tensor(&[shape.c], 0.5),
                    epsilon: 0.1,
                };
                (op, vec![from])
            }
            9 if self.below(2) == 0 && shape.c > 2 => {
                let op = Op::LayerNorm {
                    scale: self.tensor(&[shape.c], 1.0),
                    shift: self.tensor(&[shape.c], 0.5),
                    epsilon: 0.1,
                };
                (op, vec![from])
            }
            9 => {
                let op = Op::Affine {
                    scale: self.tensor(&[shape.c], 1.0),
                    shift: self.tensor(&[shape.c], 0.5),
                };
                (op, vec![from])
            }
            10 if self.has_shares => {
                let op = match self.below(4) {
                    0 => Op::Transpose,
                    1 if shape.c.is_multiple_of(2) => Op::Softmax(SoftmaxOver::Channels {
                        count: 2,
                        apart: shape.c / 2,
                    }),
                    2 => Op::Softmax(SoftmaxOver::Positions),
                    _ => Op::Softmax(SoftmaxOver::Channels {
                        count: shape.c,
                        apart: 1,
                    }),
                };
                (op, vec![from])
            }
            10 => {
                let lrn = Lrn {
                    size: 3,
                    alpha: 0.3,
                    beta: 0.75,
                    bias: 1.0,
                };
                let pad = Pad {
                    before: [1, 0],
                    after: [0, -1],
                    value: 0.25,
                };
                let op = match self.below(2) {
                    _ if self.resamples => Op::Resample(self.resample(shape)),
                    0 if shape.w > 2 => Op::Pad(pad),
                    _ => Op::Lrn(lrn),
                };
                (op, vec![from])
            }
            _ => (Op::Activate(self.activation(shape.c)), vec![from]),
        }
    }

    /// Branches between a picture and three classes.
    pub(crate) fn network(&mut self) -> Network {
        let input = Shape::new(3, 7 + self.below(6), 6 + self.below(7));
        let mut network = Network::new("drawn", input);
        let stem = self.convolution(input, 6, Window::square(3, 1, 1), 1);
        network.chain("stem", stem).unwrap();
        network.chain("stem_act", Op::RELU).unwrap();
        let steps = 6 + self.below(8);
        for i in 0..steps {
            // Mostly the last node, at times an earlier one, which so has several readers.
            let back = if self.below(3) == 0 { self.below(4) } else { 0 };
            let from = network.output().0.saturating_sub(back).max(1);
            let (op, inputs) = self.step(&network, NodeId(from));
            network.push(format!("step{i}"), op, inputs).unwrap();
            if self.below(4) == 0 {
                self.gate(&mut network, i);
            }
            if self.has_shares && self.below(4) == 0 {
                self.attend(&mut network, i);
            }
        }
        let channels = network.node(network.output()).shape.c;
        network.chain("mean", Op::GlobalMean).unwrap();
        let head = Op::Linear {
            weight: self.tensor(&[CLASSES, channels], 1.0),
            bias: Some(self.tensor(&[CLASSES], 0.3)),
            layout: MatrixLayout::OutIn,
        };
        network.chain("head", head).unwrap();
        network
    }

    /// Attention between positions: queries of the last node, keys and values of nodes of its shape, or all the same.
    fn attend(&mut self, network: &mut Network, i: usize) {
        let queries = network.output();
        let shape = network.node(queries).shape;
        let nodes = (0..network.nodes.len()).map(NodeId);
        let alike: Vec<NodeId> = nodes
            .filter(|&id| network.node(id).shape == shape)
            .collect();
        let keys = alike[self.below(alike.len())];
        let values = alike[self.below(alike.len())];
        let heads = (1..=3).filter(|&heads| shape.c.is_multiple_of(heads));
        let heads = heads.max().unwrap_or(1);
        let scale = 0.5 / (shape.c as f32).sqrt();
        let op = Op::AttentionScores { heads, scale };
        let scores = network.push(format!("scores{i}"), op, vec![queries, keys]);
        let op = Op::Softmax(SoftmaxOver::Channels {
            count: shape.h * shape.w,
            apart: 1,
        });
        let shares = network.push(format!("shares{i}"), op, vec![scores.unwrap()]);
        let op = Op::AttentionSum { heads };
        let inputs = vec![shares.unwrap(), values];
        network.push(format!("attended{i}"), op, inputs).unwrap();
    }

    /// Squeeze and excite: the last node times a gate of its own means, which may be the first operand.
    fn gate(&mut self, network: &mut Network, i: usize) {
        let from = network.output();
        let channels = network.node(from).shape.c;
        let mean = network
            .push(format!("squeeze{i}"), Op::GlobalMean, vec![from])
            .unwrap();
        let one = Window::square(1, 1, 0);
        let excite = self.convolution(Shape::vector(channels), channels, one, 1);
        let excite = network
            .push(format!("excite{i}"), excite, vec![mean])
            .unwrap();
        let act = Op::Activate(Activation::Sigmoid);
        let gate = network.push(format!("gate{i}"), act, vec![excite]).unwrap();
        let op = if self.below(3) == 0 { Op::Add } else { Op::Mul };
        let inputs = match self.below(2) {
            0 => vec![from, gate],
            _ => vec![gate, from],
        };
        network.push(format!("gated{i}"), op, inputs).unwrap();
    }
}
