//! Options that nothing asked for reads: no reason to refuse the line, but one to say so.

use std::fmt;

use clap::ValueEnum;

use crate::attribution::{self, Inputs, Value};
use crate::cam::{self, Reads};
use crate::cli::{ChannelsFlag, Explain, Method, Output};
use crate::perturbation;

/// An option that nothing asked for reads. Shown in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// As it is typed.
    pub option: &'static str,
    /// What does read it, in the order of the help.
    pub read_by: Readers,
}

/// What reads an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readers {
    /// Methods.
    Methods(Vec<Method>),
    /// What is written.
    Outputs(Vec<Output>),
}

/// Whether a method reads an option.
type IsRead = fn(Method) -> bool;

/// Whether an output reads an option.
type IsShown = fn(Output) -> bool;

/// Methods named one by one; of more, three.
const NAMED: usize = 6;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, mut names) = match &self.read_by {
            Readers::Methods(methods) => ("method", in_words(methods)),
            Readers::Outputs(outputs) => ("output", in_words(outputs)),
        };
        if names.len() > NAMED {
            let others = names.split_off(3).len();
            names.push(format!("{others} others"));
        }
        let last = names.pop().unwrap_or_default();
        write!(f, "no {kind} asked for reads {}; ", self.option)?;
        match &names[..] {
            [] => write!(f, "{last} does"),
            some => write!(f, "{} and {last} do", some.join(", ")),
        }
    }
}

fn in_words(readers: &[impl ToString]) -> Vec<String> {
    readers.iter().map(ToString::to_string).collect()
}

/// Those of `flags` that nothing reads, in the order of the help.
pub(super) fn unread(flags: &Explain) -> Vec<Unread> {
    let channels = flags.channels.iter();
    let channels = channels.filter(|flag| matches!(flag, ChannelsFlag::Count(_)));
    let given: [(_, _, IsRead); 12] = [
        ("--layer", !flags.layers.is_empty(), looks_at_a_layer),
        ("--score", flags.score.is_some(), reads_the_score),
        ("--versus", flags.versus.is_some(), is_of_a_class),
        ("--counterfactual", flags.counterfactual, is_of_a_class),
        ("--channels", channels.count() > 0, tries_channels),
        ("--samples", flags.samples.is_some(), takes_samples),
        ("--noise", flags.noise.is_some(), is_noisy),
        ("--steps", flags.steps.is_some(), takes_steps),
        ("--patch", flags.patch.is_some(), moves_a_patch),
        ("--stride", flags.stride.is_some(), moves_a_patch),
        ("--baseline", flags.baseline.is_some(), has_a_baseline),
        ("--seed", flags.seed.is_some(), draws_numbers),
    ];
    let shown = flags.outputs.iter().filter_map(|output| match output {
        Output::GuidedBprop | Output::Raw => Some(attribution::Method::GuidedBprop.into()),
        Output::GuidedGradcam => Some(attribution::Method::GuidedGradcam.into()),
        Output::Heatmap | Output::Gradcam | Output::Segmented => None,
    });
    let asked: Vec<Method> = flags.methods.iter().copied().chain(shown).collect();
    let unread = given
        .into_iter()
        .filter(|(_, given, reads)| *given && !asked.iter().any(|&method| reads(method)));
    let of_methods = unread.map(|(option, _, reads)| Unread {
        option,
        read_by: Readers::Methods(readers(reads)),
    });
    of_methods.chain(unread_by_outputs(flags)).collect()
}

fn readers(reads: IsRead) -> Vec<Method> {
    let all = Method::value_variants().iter().copied();
    all.filter(|&method| reads(method)).collect()
}

/// Those that no output reads, or none of the outputs' methods.
fn unread_by_outputs(flags: &Explain) -> impl Iterator<Item = Unread> {
    let any = |_: Method| true;
    let given: [(_, _, IsShown, IsRead); 4] = [
        ("--format", flags.format.is_some(), is_a_picture, any),
        ("--size", flags.size.is_some(), is_a_picture, any),
        (
            "--colormap",
            flags.colormap.is_some(),
            is_coloured,
            is_a_map,
        ),
        ("--alpha", flags.alpha.is_some(), is_coloured, is_a_map),
    ];
    given
        .into_iter()
        .filter_map(|(option, given, shows, reads)| {
            let read_by = match () {
                () if !given => return None,
                () if !flags.outputs.iter().any(|&output| shows(output)) => {
                    let all = Output::value_variants().iter().copied();
                    Readers::Outputs(all.filter(|&output| shows(output)).collect())
                }
                () if !flags.methods.iter().any(|&method| reads(method)) => {
                    Readers::Methods(readers(reads))
                }
                () => return None,
            };
            Some(Unread { option, read_by })
        })
}

fn is_a_picture(output: Output) -> bool {
    output != Output::Raw
}

fn is_coloured(output: Output) -> bool {
    output == Output::Gradcam
}

/// Rather than values with colours of their own.
fn is_a_map(method: Method) -> bool {
    !matches!(method, Method::Pixel(_))
}

fn looks_at_a_layer(method: Method) -> bool {
    match method {
        Method::Cam(cam) => cam.reads() != Reads::Biases,
        Method::Pixel(pixel) => pixel.recipe().value == Value::TimesHeat,
        Method::Perturbation(_) => false,
    }
}

fn is_of_a_class(method: Method) -> bool {
    !matches!(method, Method::Cam(cam) if cam.reads() == Reads::Activations)
}

/// Score-CAM does where it chooses channels.
fn reads_the_score(method: Method) -> bool {
    let finer = matches!(method, Method::Cam(cam) if cam.reads() == Reads::FinerGradients);
    is_of_a_class(method) && !finer
}

fn tries_channels(method: Method) -> bool {
    matches!(method, Method::Cam(cam) if matches!(cam.reads(), Reads::Masked | Reads::Ablated))
}

fn is_noisy(method: Method) -> bool {
    matches!(method, Method::Pixel(pixel) if pixel.recipe().inputs == Inputs::Noisy)
}

fn takes_samples(method: Method) -> bool {
    is_noisy(method) || method == perturbation::Method::Rise.into()
}

fn draws_numbers(method: Method) -> bool {
    takes_samples(method) || method == cam::Method::RandomCam.into()
}

fn takes_steps(method: Method) -> bool {
    matches!(method, Method::Pixel(pixel) if pixel.recipe().inputs == Inputs::Path)
}

fn moves_a_patch(method: Method) -> bool {
    method == perturbation::Method::Occlusion.into()
}

fn has_a_baseline(method: Method) -> bool {
    match method {
        Method::Cam(_) => false,
        Method::Pixel(pixel) => pixel.recipe().value == Value::TimesDifference,
        Method::Perturbation(_) => true,
    }
}
