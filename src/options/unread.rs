//! Options that nothing asked for reads: no reason to refuse the line, but one to say so.

use std::fmt;

use clap::ValueEnum;

use crate::cli::{ChannelsFlag, Explain, Method, Output, Overlay};
use crate::methods::{Setting, TriedChannels};

/// An option that nothing asked for reads, or that a method asked for does not. Shown in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// As it is typed.
    pub option: &'static str,
    /// The methods asked for that do not read it, of an option that says what is asked of a class; empty where nothing
    /// asked for reads it.
    pub by: Vec<Method>,
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

/// Whether an output reads an option.
type IsShown = fn(Output) -> bool;
/// Whether a method reads an option.
type Reads = fn(Method) -> bool;

/// Methods named one by one; of more, three.
const NAMED: usize = 6;

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = self.option;
        let (kind, readers) = match &self.read_by {
            Readers::Methods(methods) => ("method", in_words(methods)),
            Readers::Outputs(outputs) => ("output", in_words(outputs)),
        };
        match &self.by[..] {
            [] => write!(f, "no {kind} asked for reads {option}; ")?,
            [one] => write!(
                f,
                "{one} does not read {option} and gives the same without; "
            )?,
            some => {
                let some = list(in_words(some));
                write!(f, "{some} do not read {option} and give the same without; ")?;
            }
        }
        let does = if readers.len() == 1 { "does" } else { "do" };
        write!(f, "{} {does}", list(readers))
    }
}

fn in_words(readers: &[impl ToString]) -> Vec<String> {
    readers.iter().map(ToString::to_string).collect()
}

/// `one, another and the last`; of many, three and how many others.
fn list(mut names: Vec<String>) -> String {
    if names.len() > NAMED {
        let others = names.split_off(3).len();
        names.push(format!("{others} others"));
    }
    let last = names.pop().unwrap_or_default();
    match &names[..] {
        [] => last,
        some => format!("{} and {last}", some.join(", ")),
    }
}

/// Those of `flags` that are not read, in the order of the help.
pub(super) fn unread(flags: &Explain, outputs: &[Output]) -> Vec<Unread> {
    let channels = flags.channels.iter();
    let channels = channels.filter(|flag| matches!(flag, ChannelsFlag::Count(_)));
    let tried = match channels.count() {
        0 => TriedChannels::All,
        _ => TriedChannels::Chosen,
    };
    let given = [
        (Setting::Layer, !flags.layers.is_empty()),
        (Setting::Score, flags.score.is_some()),
        (Setting::Versus, flags.versus.is_some()),
        (Setting::Counterfactual, flags.counterfactual),
        (Setting::Channels, tried == TriedChannels::Chosen),
        (Setting::Samples, flags.samples.is_some()),
        (Setting::Noise, flags.noise.is_some()),
        (Setting::Steps, flags.steps.is_some()),
        (Setting::Patch, flags.patch.is_some()),
        (Setting::Stride, flags.stride.is_some()),
        (Setting::Baseline, flags.baseline.is_some()),
        (Setting::Seed, flags.seed.is_some()),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    let of_methods = given.filter_map(|(setting, _)| not_read(setting, tried, flags, outputs));
    of_methods
        .chain(unread_by_outputs(flags, outputs))
        .collect()
}

/// An option that was given, unless it is read: by every method asked for where it says what is asked of a class, else by
/// any, or by that of an output.
fn not_read(
    setting: Setting,
    tried: TriedChannels,
    flags: &Explain,
    outputs: &[Output],
) -> Option<Unread> {
    let reads = |method: Method| method.reads_trying(tried, setting);
    let shown = outputs.iter().filter_map(|output| output.own_method());
    let mut by: Vec<Method> = vec![];
    if setting.is_question() {
        for &method in flags.methods.iter().filter(|&&method| !reads(method)) {
            if !by.contains(&method) {
                by.push(method);
            }
        }
        if by.is_empty() {
            return None;
        }
    } else if flags
        .methods
        .iter()
        .copied()
        .chain(shown.map(Method::from))
        .any(reads)
    {
        return None;
    }
    Some(Unread {
        option: setting.option(),
        by,
        read_by: Readers::Methods(readers(reads)),
    })
}

fn readers(reads: impl Fn(Method) -> bool) -> Vec<Method> {
    let all = Method::all();
    all.filter(|&method| reads(method)).collect()
}

/// Those that no output reads, or none of the outputs' methods.
fn unread_by_outputs<'a>(
    flags: &'a Explain,
    outputs: &'a [Output],
) -> impl Iterator<Item = Unread> + 'a {
    let any = |_: Method| true;
    let coloured =
        |option, given| -> (_, _, IsShown, Reads) { (option, given, is_coloured, is_a_map) };
    let given: [(_, _, IsShown, Reads); 9] = [
        ("--colorbar", flags.colorbar, has_a_bar, any),
        ("--format", flags.format.is_some(), has_a_format, any),
        ("--size", flags.size.is_some(), is_a_picture, any),
        coloured("--colormap", flags.colormap.is_some()),
        coloured("--overlay", flags.overlay.is_some()),
        coloured("--alpha", flags.alpha.is_some()),
        coloured("--threshold", flags.threshold.is_some()),
        ("--scale", flags.scale.is_some(), has_a_scale, any),
        ("--signed", flags.signed, has_signs, is_a_map),
    ];
    let given = given.into_iter().chain([pixel_scale(flags, outputs)]);
    given.filter_map(|(option, given, shows, reads)| {
        let read_by = match () {
            () if !given => return None,
            () if !shown_together(option, flags)
                && !outputs.iter().any(|&output| shows(output)) =>
            {
                let all = Output::value_variants().iter().copied();
                Readers::Outputs(all.filter(|&output| shows(output)).collect())
            }
            () if !flags.methods.iter().any(|&method| reads(method)) => {
                Readers::Methods(readers(reads))
            }
            () => return None,
        };
        Some(Unread {
            option,
            by: vec![],
            read_by,
        })
    })
}

/// Whether the page of `--report` or a sheet reads an option. The page has no sum of colours and picture.
fn shown_together(option: &str, flags: &Explain) -> bool {
    let (page, sheet) = (flags.report.is_some(), flags.sheet.is_some());
    match option {
        "--overlay" => sheet || page && flags.overlay != Some(Overlay::Sum),
        "--colormap" | "--alpha" | "--threshold" | "--scale" | "--signed" => page || sheet,
        "--size" => sheet,
        _ => false,
    }
}

fn is_a_picture(output: Output) -> bool {
    output != Output::Raw
}

/// What a mask shows is a share of its own map's largest value.
fn has_a_scale(output: Output) -> bool {
    is_a_picture(output) && output != Output::Mask
}

/// `--pixel-scale`, unless a picture of a pixel method's values is written.
fn pixel_scale(flags: &Explain, outputs: &[Output]) -> (&'static str, bool, IsShown, Reads) {
    let together = flags.report.is_some() || flags.sheet.is_some();
    let own = |&output: &Output| output != Output::Raw && output.own_method().is_some();
    let of_methods = (outputs.contains(&Output::Gradcam) || together)
        && flags.methods.iter().any(|&method| !is_a_map(method));
    let is_read = of_methods || outputs.iter().any(own);
    let given = flags.pixel_scale.is_some() && !is_read;
    let shows = |output: Output| matches!(output, Output::GuidedBprop | Output::GuidedGradcam);
    ("--pixel-scale", given, shows, |_| true)
}

/// That can be chosen.
fn has_a_format(output: Output) -> bool {
    is_a_picture(output) && !matches!(output, Output::Heatmap16 | Output::Mask)
}

fn has_signs(output: Output) -> bool {
    matches!(
        output,
        Output::Heatmap | Output::Heatmap16 | Output::Gradcam
    )
}

fn has_a_bar(output: Output) -> bool {
    is_coloured(output) || matches!(output, Output::GuidedBprop | Output::GuidedGradcam)
}

fn is_coloured(output: Output) -> bool {
    output == Output::Gradcam
}

/// Rather than values with colours of their own.
fn is_a_map(method: Method) -> bool {
    !matches!(method, Method::Pixel(_))
}
