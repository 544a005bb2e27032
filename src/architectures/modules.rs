//! Whether a pickled network's modules are those that its tensors' names were taken for.

use super::ArchitectureError;
use crate::network::{Activation, Network, Op, Window};
use crate::weights::{Module, Setting};

/// Classes that hold others, or change nothing when a network is used.
const NEUTRAL: [&str; 25] = [
    "Sequential",
    "ModuleList",
    "ModuleDict",
    "DataParallel",
    "DistributedDataParallel",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "AlphaDropout",
    "Identity",
    "Flatten",
    "Linear",
    "AdaptiveAvgPool2d",
    "Softmax",
    "LogSoftmax",
    "CrossEntropyLoss",
    "NLLLoss",
    "MSELoss",
    "KLDivLoss",
    "Parameter",
    "StochasticDepth",
    "DropPath",
    "Permute",
    "SelectAdaptivePool2d",
    "FastAdaptiveAvgPool",
];

/// What the table of a network's family says that a module may be made with, beside what is usual.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowed {
    /// Batch norms' own epsilons were taken.
    pub(super) epsilon: bool,
    /// There are pools whose last window begins within the map and ends beyond it.
    pub(super) ceil: bool,
}

/// Refuses `network` where one of `modules`, those that the file has, computes something else.
pub(super) fn agree(
    modules: &[Module],
    network: &Network,
    allowed: Allowed,
) -> Result<(), ArchitectureError> {
    for (i, module) in modules.iter().enumerate() {
        let kind = module.class.rsplit('.').next().unwrap_or_default();
        // A class of somebody's own that holds others: the names of its parts tell.
        let parts = format!("{}.", module.name);
        let holds_others = match modules.get(i + 1) {
            Some(next) => module.name.is_empty() || next.name.starts_with(&parts),
            None => false,
        };
        let agrees = match kind {
            "Conv2d" => convolution(module, network),
            "MaxPool2d" => pool(module, network, allowed.ceil),
            "AvgPool2d" => mean(module, network),
            "BatchNorm2d" | "BatchNorm1d" => allowed.epsilon || is(module, "eps", &[1e-5]),
            "LayerNorm" | "LayerNorm2d" => is(module, "eps", &[1e-6]),
            "GELU" if !says(module, "approximate", "none") => false,
            kind => {
                NEUTRAL.contains(&kind)
                    || holds_others
                    || activation(kind).is_some_and(|wanted| has_activation(network, wanted))
            }
        };
        if !agrees {
            return Err(ArchitectureError::Module {
                name: module.name.clone(),
                class: module.class.clone(),
                settings: shown(module),
            });
        }
    }
    Ok(())
}

/// The function that a module of this class computes, where networks that are known by their names have it.
fn activation(kind: &str) -> Option<fn(&Activation) -> bool> {
    match kind {
        "ReLU" => Some(|activation| matches!(activation, Activation::Relu)),
        "ReLU6" => Some(
            |activation| matches!(activation, Activation::Clip { low, high } if [*low, *high] == [0.0, 6.0]),
        ),
        "SiLU" | "Swish" => Some(|activation| matches!(activation, Activation::Silu)),
        "Sigmoid" => Some(|activation| matches!(activation, Activation::Sigmoid)),
        "Hardswish" => Some(|activation| matches!(activation, Activation::HardSwish)),
        "Hardsigmoid" => Some(|activation| matches!(activation, Activation::HardSigmoid { .. })),
        "GELU" => Some(|activation| matches!(activation, Activation::Gelu)),
        _ => None,
    }
}

fn has_activation(network: &Network, wanted: fn(&Activation) -> bool) -> bool {
    let mut ops = network.nodes.iter().map(|node| &node.op);
    ops.any(|op| matches!(op, Op::Activate(activation) if wanted(activation)))
}

/// Whether the network has a convolution with the module's window.
fn convolution(module: &Module, network: &Network) -> bool {
    let zeros = match module.settings.get("padding_mode") {
        Some(Setting::Text(mode)) => mode == "zeros",
        _ => true,
    };
    let pads = |window: &Window| match module.settings.get("padding") {
        Some(Setting::Text(padding)) if padding == "same" => [0, 1].iter().all(|&axis| {
            let reach = window.dilation[axis] * (window.size[axis] - 1);
            window.pad_before[axis] + window.pad_after[axis] == reach
        }),
        Some(Setting::Text(_)) => window.pad_before == [0; 2] && window.pad_after == [0; 2],
        _ => is(module, "padding", &numbers(window.pad_before)),
    };
    let same = |window: &Window, groups: usize| {
        pads(window)
            && is(module, "kernel_size", &numbers(window.size))
            && is(module, "stride", &numbers(window.stride))
            && is(module, "dilation", &numbers(window.dilation))
            && is(module, "groups", &[groups as f64])
    };
    let mut ops = network.nodes.iter().map(|node| &node.op);
    zeros && ops.any(|op| matches!(op, Op::Conv2d { window, groups, .. } if same(window, *groups)))
}

/// Whether the network has a pool of the module's kind.
fn pool(module: &Module, network: &Network, ceil: bool) -> bool {
    let same = |window: &Window| {
        is_window(module, window)
            && is(module, "dilation", &numbers(window.dilation))
            && (ceil || is(module, "ceil_mode", &[0.0]))
    };
    let mut ops = network.nodes.iter().map(|node| &node.op);
    ops.any(|op| matches!(op, Op::MaxPool(window) if same(window)))
}

/// The same of means.
fn mean(module: &Module, network: &Network) -> bool {
    let mut ops = network.nodes.iter().map(|node| &node.op);
    let has = ops.any(|op| matches!(op, Op::AvgPool { window, .. } if is_window(module, window)));
    has && is(module, "ceil_mode", &[0.0]) && is(module, "count_include_pad", &[1.0])
}

fn is_window(module: &Module, window: &Window) -> bool {
    is(module, "kernel_size", &numbers(window.size))
        && is(module, "stride", &numbers(window.stride))
        && is(module, "padding", &numbers(window.pad_before))
}

fn numbers(pair: [usize; 2]) -> [f64; 2] {
    pair.map(|length| length as f64)
}

/// Whether a setting has these numbers, or their only one for all; a setting that is not there is as usual.
fn is(module: &Module, setting: &str, expected: &[f64]) -> bool {
    match module.settings.get(setting) {
        Some(Setting::Numbers(numbers)) => match numbers[..] {
            [one] => expected.iter().all(|expected| *expected == one),
            _ => numbers == expected,
        },
        Some(Setting::Text(_)) => false,
        None => true,
    }
}

/// Whether a setting that is a text is this one, or not there.
fn says(module: &Module, setting: &str, expected: &str) -> bool {
    match module.settings.get(setting) {
        Some(Setting::Text(text)) => text == expected,
        Some(Setting::Numbers(_)) => false,
        None => true,
    }
}

/// A module's settings, for an error: `kernel_size 3, stride 2`.
fn shown(module: &Module) -> String {
    const SHOWN: [&str; 12] = [
        "kernel_size",
        "stride",
        "padding",
        "dilation",
        "groups",
        "padding_mode",
        "ceil_mode",
        "eps",
        "negative_slope",
        "alpha",
        "beta",
        "approximate",
    ];
    let text = |setting: &Setting| match setting {
        Setting::Text(text) => text.clone(),
        Setting::Numbers(numbers) => {
            let numbers: Vec<_> = numbers.iter().map(f64::to_string).collect();
            numbers.join(" x ")
        }
    };
    let settings = SHOWN.iter().filter_map(|&name| {
        let setting = module.settings.get(name)?;
        Some(format!("{name} {}", text(setting)))
    });
    let settings: Vec<_> = settings.collect();
    match settings.is_empty() {
        true => String::new(),
        false => format!(" with {}", settings.join(", ")),
    }
}
