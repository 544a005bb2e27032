//! `ResNet`, `ResNeXt` and Wide `ResNet` (He et al. 2015, Xie et al. 2016, Zagoruyko and Komodakis 2016) as torchvision and timm
//! name their tensors: `conv1`, four stages `layer1.0.conv1` ... of any number of blocks, `fc`. Batch norms are folded.

use std::collections::HashSet;

use super::batch_norm::{BatchNorm, TORCH_EPSILON};
use super::{ADVICE, ArchitectureError, Classifier, Evidence, INPUT_SIZE, names};
use crate::network::{FilterLayout, MAX_SIDE, MatrixLayout, Network, NodeId, Op, Shape, Window};
use crate::picture::preprocess::Normalization;
use crate::weights::{Tensor, Weights};

/// Stages; each but the first halves the map.
const STAGES: usize = 4;
/// What the stem and the stages shrink a picture by, along each side.
const STRIDE: usize = 32;

/// Name, blocks in each stage, and groups and width of the first bottleneck where blocks are bottlenecks.
type Published = (&'static str, [usize; STAGES], Option<[usize; 2]>);

/// The published networks.
const PUBLISHED: [Published; 10] = [
    ("resnet18", [2, 2, 2, 2], None),
    ("resnet34", [3, 4, 6, 3], None),
    ("resnet50", [3, 4, 6, 3], Some([1, 64])),
    ("resnet101", [3, 4, 23, 3], Some([1, 64])),
    ("resnet152", [3, 8, 36, 3], Some([1, 64])),
    ("resnext50_32x4d", [3, 4, 6, 3], Some([32, 128])),
    ("resnext101_32x8d", [3, 4, 23, 3], Some([32, 256])),
    ("resnext101_64x4d", [3, 4, 23, 3], Some([64, 256])),
    ("wide_resnet50_2", [3, 4, 6, 3], Some([1, 128])),
    ("wide_resnet101_2", [3, 4, 23, 3], Some([1, 128])),
];

/// The network in `weights`, over pictures of `size` x `size` pixels where that is asked for; `None` where no tensor is
/// named as the first block's first convolution is.
pub(super) fn classifier(
    weights: &Weights,
    size: Option<usize>,
) -> Result<Option<Classifier>, ArchitectureError> {
    const FIRST: &str = "layer1.0.conv1.weight";
    // Of several copies the one with the shortest prefix.
    let prefixes = weights
        .tensors
        .keys()
        .filter_map(|name| name.strip_suffix(FIRST));
    let Some(prefix) = prefixes.min_by_key(|prefix| prefix.len()) else {
        return Ok(None);
    };
    let mut file = File {
        weights,
        prefix,
        read: HashSet::new(),
    };
    let pixels = size.unwrap_or(INPUT_SIZE);
    if !(STRIDE..=MAX_SIDE).contains(&pixels) {
        let allowed = format!("{STRIDE} to {MAX_SIDE}");
        return Err(ArchitectureError::InputSize {
            asked: pixels,
            allowed,
        });
    }
    let (network, bottlenecks) = network(&mut file, pixels)?;
    let mut notes = vec![];
    if bottlenecks {
        notes.push(format!(
            "blocks of three convolutions are taken to halve the map in the second one, as torchvision's do; others halve it in the \
             first{ADVICE}"
        ));
    }
    if size.is_none() {
        notes.push(format!(
            "the file does not say which size of pictures the network takes: {pixels} is a guess, since it takes any; \
             --input-size says otherwise"
        ));
    }
    Ok(Some(Classifier {
        normalization: Normalization::TORCH,
        normalization_evidence: Evidence::Guess("its tensors are named as torchvision's"),
        notes,
        ..network.into()
    }))
}

/// The tensors below a prefix, and which of them have their place.
struct File<'a> {
    weights: &'a Weights,
    prefix: &'a str,
    read: HashSet<String>,
}

impl<'a> File<'a> {
    fn has(&self, layer: &str) -> bool {
        let name = format!("{}{layer}.weight", self.prefix);
        self.weights.tensors.contains_key(&name)
    }

    fn optional(&mut self, name: &str) -> Option<&'a Tensor> {
        let name = format!("{}{name}", self.prefix);
        let tensor = self.weights.tensors.get(&name);
        self.read.insert(name);
        tensor
    }

    fn weight(&mut self, layer: &str) -> Result<&'a Tensor, ArchitectureError> {
        self.optional(&format!("{layer}.weight"))
            .ok_or_else(|| ArchitectureError::MissingLayer {
                layer: format!("{}{layer}", self.prefix),
                found: names(self.weights),
            })
    }

    /// A convolution with the batch norm after it; its window has `stride`, and padding that keeps the size otherwise.
    fn convolution(
        &mut self,
        name: &str,
        norm: &str,
        stride: usize,
        inputs: usize,
    ) -> Result<Op, ArchitectureError> {
        let weight = self.weight(name)?;
        let (per_group, taps) = match *weight.shape() {
            [outputs, per_group, h, w] if outputs > 0 && h == w && h % 2 == 1 => (per_group, h),
            _ => return Err(self.odd(name)),
        };
        let bias = self.optional(&format!("{name}.bias"));
        let norm_name = format!("{}{norm}", self.prefix);
        let norm = BatchNorm {
            name: &norm_name,
            gamma: self.optional(&format!("{norm}.weight")),
            beta: self.optional(&format!("{norm}.bias")),
            mean: self.optional(&format!("{norm}.running_mean")),
            variance: self.optional(&format!("{norm}.running_var")),
            epsilon: TORCH_EPSILON,
        };
        let (weight, bias) = norm.fold(weight, 0, bias)?;
        Ok(Op::Conv2d {
            weight,
            bias: Some(bias),
            layout: FilterLayout::Oihw,
            window: Window::square(taps, stride, taps / 2),
            groups: inputs.checked_div(per_group).unwrap_or(1).max(1),
        })
    }

    fn odd(&self, name: &str) -> ArchitectureError {
        ArchitectureError::Unexpected {
            name: format!("{}{name}.weight", self.prefix),
        }
    }

    /// Refuses tensors below the prefix that have no place in the network.
    fn all_read(&self) -> Result<(), ArchitectureError> {
        let mut names = self.weights.tensors.keys();
        let strange = names.find(|name| {
            // Counters are numbers of their own.
            let counter = name.ends_with("num_batches_tracked");
            name.starts_with(self.prefix) && !counter && !self.read.contains(*name)
        });
        match strange {
            Some(name) => Err(ArchitectureError::Unexpected { name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// The network, and whether its blocks are bottlenecks.
fn network(file: &mut File<'_>, pixels: usize) -> Result<(Network, bool), ArchitectureError> {
    let stem = file.weight("conv1")?;
    // Smaller filters stand without the pool, or with it: names do not tell.
    let [_, channels @ (1 | 3), 7, 7] = *stem.shape() else {
        return Err(file.odd("conv1"));
    };
    let bottlenecks = file.has("layer1.0.conv3");
    let mut network = Network::new("resnet", Shape::new(channels, pixels, pixels));
    network.chain("conv1", file.convolution("conv1", "bn1", 2, channels)?)?;
    network.chain("relu", Op::RELU)?;
    network.chain("maxpool", Op::MaxPool(Window::square(3, 2, 1)))?;
    let mut blocks = [0; STAGES];
    let mut first = None;
    for (stage, count) in (1..).zip(&mut blocks) {
        while file.has(&format!("layer{stage}.{count}.conv1")) {
            let name = format!("layer{stage}.{count}");
            let stride = if stage > 1 && *count == 0 { 2 } else { 1 };
            *count += 1;
            // What people call a stage is what its last block gives.
            let last = !file.has(&format!("layer{stage}.{count}.conv1"));
            let sum = if last {
                format!("layer{stage}")
            } else {
                name.clone()
            };
            let middle = block(file, &mut network, &name, &sum, stride, bottlenecks)?;
            first = first.or(middle);
        }
        if *count == 0 {
            return Err(file
                .weight(&format!("layer{stage}.0.conv1"))
                .err()
                .unwrap_or_else(|| file.odd("conv1")));
        }
    }
    network.chain("avgpool", Op::GlobalMean)?;
    let weight = file.weight("fc")?;
    if weight.shape().len() != 2 {
        return Err(file.odd("fc"));
    }
    let fc = Op::Linear {
        weight: weight.clone(),
        bias: file.optional("fc.bias").cloned(),
        layout: MatrixLayout::OutIn,
    };
    network.chain("fc", fc)?;
    file.all_read()?;
    let published = PUBLISHED
        .iter()
        .find(|(_, known, middle)| *known == blocks && *middle == first);
    network.architecture = match published {
        Some((name, ..)) => (*name).into(),
        None => format!("resnet{}", blocks.map(|count| format!("-{count}")).concat()),
    };
    Ok((network, bottlenecks))
}

/// Adds a block, whose sum is called `sum`; gives groups and width of a bottleneck's second convolution.
fn block(
    file: &mut File<'_>,
    network: &mut Network,
    name: &str,
    sum: &str,
    stride: usize,
    bottleneck: bool,
) -> Result<Option<[usize; 2]>, ArchitectureError> {
    let input = network.output();
    // Steps of each convolution.
    let steps: &[usize] = if bottleneck {
        &[1, stride, 1]
    } else {
        &[stride, 1]
    };
    let mut middle = None;
    for (number, &step) in (1..).zip(steps) {
        let inputs = network.node(network.output()).shape.c;
        let layer = format!("{name}.conv{number}");
        let op = file.convolution(&layer, &format!("{name}.bn{number}"), step, inputs)?;
        if let (2, true, Op::Conv2d { groups, .. }) = (number, bottleneck, &op) {
            middle = Some([*groups, inputs]);
        }
        network.chain(layer, op)?;
        if number < steps.len() {
            network.chain(format!("{name}.relu{number}"), Op::RELU)?;
        }
    }
    let branch = network.output();
    let short = shortcut(file, network, name, stride, input)?;
    network.push(sum, Op::Add, vec![branch, short])?;
    network.chain(format!("{sum}.relu"), Op::RELU)?;
    Ok(middle)
}

/// What is added to a block's convolutions: its input, or a 1 x 1 convolution of it.
fn shortcut(
    file: &mut File<'_>,
    network: &mut Network,
    name: &str,
    stride: usize,
    input: NodeId,
) -> Result<NodeId, ArchitectureError> {
    let layer = format!("{name}.downsample.0");
    if !file.has(&layer) {
        return Ok(input);
    }
    let inputs = network.node(input).shape.c;
    let op = file.convolution(&layer, &format!("{name}.downsample.1"), stride, inputs)?;
    Ok(network.push(layer, op, vec![input])?)
}
