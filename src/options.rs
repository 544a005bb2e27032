//! From raw flags to [`Options`]: every rule between flags.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::cli::{
    self, Backend, Baseline, Channels, ChannelsFlag, Colormap, Convolution, Explain, Fit, Format,
    Fuse, MatrixDtype, Method, Output, OutputKind, Outputs, PixelScale, Preprocessing, Preview,
    Scale, Score, Size, Smooth,
};
use crate::draw::composite::Overlay;
use crate::methods::attribution;
use crate::methods::cam;
use crate::methods::perturbation;
use crate::methods::region::KnownBox;
use crate::near::nearest;
use crate::picture;

mod boxes;
mod drawing;
mod error;
mod many;
mod settings;
mod unread;

pub use crate::cli::{Shard, ShardError, ShardFlag};
pub use boxes::Regions;
pub use error::UsageError;
pub use many::{FilesFrom, Many};
pub use unread::Unread;

/// Classes explained when nobody says how many.
pub const DEFAULT_TOP_N: usize = 3;

/// Files of each class when nobody says which: those of the TensorFlow original.
const USUAL_OUTPUTS: [Output; 4] = [
    Output::Heatmap,
    Output::Gradcam,
    Output::Segmented,
    Output::GuidedBprop,
];

/// What was asked for, free of contradictions. Nothing on the disk has been looked at, but for
/// telling weights from pictures, and that two of them are there.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Options {
    /// Pictures or folders, in the order given, each once.
    pub images: Vec<PathBuf>,
    /// How many pictures are explained.
    pub many: Many,
    /// `None`: the built-in network.
    pub weights: Option<PathBuf>,
    /// The classes to explain.
    pub classes: Classes,
    /// Each once, at least one.
    pub methods: Vec<Method>,
    /// Each once; none: the network's own default, see [`Network::target`](crate::network::Network::target).
    pub layers: Vec<String>,
    /// How the maps of several layers become one.
    pub fuse: Fuse,
    /// What is differentiated.
    pub score: Score,
    /// The class whose score is subtracted, as [`Classes::Named`] has it.
    pub versus: Option<String>,
    /// Whether the gradient is negated.
    pub counterfactual: bool,
    /// How maps are made smoother, each once.
    pub smooth: Vec<Smooth>,
    /// Channels tried; `None`: all.
    pub channels: Option<NonZeroUsize>,
    /// Noisy copies, or masks; at least 1. `None`: as many as the method usually takes.
    pub samples: Option<usize>,
    /// Their deviation, as a share of the range of the input's values; finite, 0 or more.
    pub noise: f64,
    /// Steps from the baseline to the picture; at least 1.
    pub steps: usize,
    /// Pixels along each side of what is hidden at once; at least 1.
    pub patch: usize,
    /// Pixels from one patch to the next; at least 1, not more than the patch has.
    pub stride: usize,
    /// What pictures are compared with.
    pub baseline: Baseline,
    /// Of the random numbers.
    pub seed: u64,
    /// Options given that change nothing.
    pub unread: Vec<Unread>,
    /// Files of each class, each once; there may be none.
    pub outputs: Vec<Output>,
    /// The page that shows all pictures.
    pub report: Option<PathBuf>,
    /// The sheet that shows all pictures, or with `{stem}` in its name each.
    pub sheet: Option<PathBuf>,
    /// Whether pictures in colour have a colour bar.
    pub colorbar: bool,
    /// `None`: beside each picture.
    pub out_dir: Option<PathBuf>,
    /// `None`: the input's own where it can be written, else PNG.
    pub format: Option<Format>,
    /// Size of the pictures written.
    pub size: Size,
    /// How a picture meets the network's square.
    pub fit: Fit,
    /// Squares along a picture's short side, of [`Fit::Tiles`]; at least 1.
    pub tiles: u32,
    /// `None`: what the weights ask for.
    pub preprocess: Option<Preprocess>,
    /// Pixels along each side of what the network sees; `None`: as its weights ask for.
    pub input_size: Option<usize>,
    /// The most pixels of a picture that is read.
    pub max_pixels: u64,
    /// The graph's output that is explained; `None`: the one that looks like class scores.
    pub graph_output: Option<String>,
    /// Which of the architectures that the tensors' names allow; `None`: the likeliest.
    pub architecture: Option<String>,
    /// What the network ends with; `None`: what its weights say, else a softmax.
    pub activation: Option<OutputKind>,
    /// Colours of the overlay.
    pub colormap: Colormap,
    /// How the heat map lies over the picture.
    pub overlay: Overlay,
    /// What is drawn at full strength.
    pub scale: Scale,
    /// Whether what lies below zero is drawn: then the colours diverge.
    pub signed: bool,
    /// Whether regions are drawn.
    pub boxes: bool,
    /// The regions that are looked for, if any.
    pub regions: Option<Regions>,
    /// The file that gets those of all pictures.
    pub coco: Option<PathBuf>,
    /// A box of the picture that maps are held against.
    pub known_box: Option<KnownBox>,
    /// How pixel values become colours.
    pub pixel_scale: PixelScale,
    /// File of class names.
    pub labels: Option<PathBuf>,
    /// Whether the one file that there is goes to standard output.
    pub to_stdout: bool,
    /// How maps are drawn in the terminal, if at all.
    pub preview: Option<Preview>,
    /// JSON on standard output instead of text.
    pub json: bool,
    /// Errors only on standard error.
    pub quiet: bool,
    /// What each stage takes as well.
    pub verbose: bool,
    /// What the device stores the matrices of dense layers as.
    pub weights_dtype: MatrixDtype,
    /// Part of the name of the adapter to use.
    pub adapter: Option<String>,
    /// How 3x3 convolutions are computed.
    pub convolution: Convolution,
    /// Graphics interface to use.
    pub backend: Option<Backend>,
    /// The words of the command, the program's name first, for what is written to say what made it; empty where there are
    /// none.
    pub command: Vec<OsString>,
}

/// The classes to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Classes {
    /// The [`DEFAULT_TOP_N`] most likely, or all of a network that has fewer.
    Default,
    /// As many of the most likely as the user said: an error when the network has fewer.
    Top(NonZeroUsize),
    /// Numbers, names or synsets, each once, at least one.
    Named(Vec<String>),
}

/// Preprocessing that the user chose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Preprocess {
    /// A published one.
    Named(Preprocessing),
    /// `(pixel - mean) / std` for pixels in 0..255.
    Given {
        /// Red, green, blue; finite.
        mean: [f32; 3],
        /// Red, green, blue; finite and above 0.
        std: [f32; 3],
        /// Order in which the network takes the three.
        channels: Channels,
    },
}

impl Options {
    /// Checks the flags against each other. `looks_like_weights` tells a weights file from a
    /// picture.
    pub fn new(
        flags: Explain,
        looks_like_weights: impl Fn(&Path) -> bool,
    ) -> Result<Self, UsageError> {
        let channels = each_channels(&flags.channels)?;
        let outputs = outputs(&flags)?;
        let unread = unread::unread(&flags, &outputs);
        let preprocess = preprocess(&flags, channels.order)?;
        let overlay = drawing::overlay(&flags)?;
        let regions = boxes::regions(&flags)?;
        let to_stdout = flags.out_dir.as_deref() == Some(Path::new("-"));
        if to_stdout && flags.json {
            return Err(UsageError::TwoToStdout);
        }
        let colormap = drawing::colormap(flags.colormap, flags.signed)?;
        let Positionals {
            images,
            weights,
            count,
        } = split(flags.inputs, looks_like_weights)?;
        let weights = match weights {
            Some(positional) => one_weights(flags.weights, positional)?,
            None => flags.weights,
        };
        let count = match (count, flags.top_n) {
            (Some(positional), Some(flag)) => {
                return Err(UsageError::TwoCounts { positional, flag });
            }
            (positional, flag) => positional.or(flag),
        };
        let many = many::many(flags.many, flags.out_dir.is_some() && !to_stdout)?;
        let list = many.files_from.as_ref().map(|from| from.list.as_path());
        if list.is_some_and(picture::is_stdin) && images.iter().any(|path| picture::is_stdin(path))
        {
            return Err(UsageError::StdinTwice);
        }
        for (option, is_given) in [
            ("--report", flags.report.is_some()),
            ("--sheet", flags.sheet.is_some()),
            ("--coco", flags.boxes.coco.is_some()),
        ] {
            if many.resume && is_given {
                return Err(UsageError::ResumeInPart(option));
            }
        }
        if images.is_empty() && many.files_from.is_none() {
            return Err(match (weights, count) {
                (Some(weights), _) => UsageError::OnlyWeights(weights),
                (None, Some(count)) if flags.top_n.is_none() => UsageError::OnlyCount(count),
                _ => UsageError::NoImage,
            });
        }
        let usual = attribution::Settings::default();
        let noise = flags.noise.unwrap_or(usual.noise);
        if !(noise.is_finite() && noise >= 0.0) {
            return Err(UsageError::NoiseOutOfRange(noise));
        }
        let smoothed = flags.methods.iter().any(|method| match method {
            Method::Cam(cam) => cam.is_smoothed(),
            Method::Pixel(_) | Method::Perturbation(_) => false,
        });
        if flags.smooth.contains(&Smooth::Eigen) && !smoothed {
            return Err(UsageError::NothingToSmooth(flags.methods[0]));
        }
        let maps = flags.methods.iter().any(|m| matches!(m, Method::Cam(_)));
        if flags.smooth.contains(&Smooth::Aug) && !maps {
            return Err(UsageError::NoMapToSmooth(flags.methods[0]));
        }
        let layers = each_once(flags.layers);
        match flags.fit {
            Fit::Tiles if flags.smooth.contains(&Smooth::Aug) => {
                return Err(UsageError::ScaledTiles("--smooth aug"));
            }
            Fit::Tiles if layers.len() > 1 => {
                return Err(UsageError::ScaledTiles("several layers"));
            }
            Fit::Crop | Fit::Squash | Fit::Pad if flags.tiles.is_some() => {
                return Err(UsageError::TilesAlone);
            }
            Fit::Tiles | Fit::Crop | Fit::Squash | Fit::Pad => {}
        }
        let patch = perturbation::Settings::default().patch;
        let patch = flags.patch.map_or(patch, |patch| patch as usize);
        let half = (patch / 2).max(1);
        let stride = flags.stride.map_or(half, |stride| stride as usize);
        if stride > patch {
            return Err(UsageError::StrideBeyondPatch { stride, patch });
        }
        if let Some(versus) = &flags.versus {
            if versus.trim().is_empty() {
                return Err(UsageError::EmptyClass("--versus"));
            }
            if flags.methods.contains(&Method::Cam(cam::Method::FinerCam)) {
                return Err(UsageError::FinerVersus);
            }
        }
        // A probability moves with all classes, the difference of two logits with these two alone.
        let score = match flags.versus {
            Some(_) => Score::Logit,
            None => Score::Prob,
        };
        Ok(Self {
            images,
            many,
            weights,
            classes: classes(flags.classes, count)?,
            methods: each_once(flags.methods),
            fuse: fuse(flags.fuse, &layers)?,
            layers,
            score: flags.score.unwrap_or(score),
            versus: flags.versus,
            counterfactual: flags.counterfactual,
            channels: channels.count,
            smooth: each_once(flags.smooth),
            samples: flags.samples.map(|samples| samples as usize),
            noise,
            steps: flags.steps.map_or(usual.steps, |steps| steps as usize),
            patch,
            stride,
            baseline: flags.baseline.unwrap_or(Baseline::Mean),
            seed: flags.seed.unwrap_or(usual.seed),
            unread,
            outputs,
            report: page(flags.report)?,
            out_dir: flags.out_dir.filter(|_| !to_stdout),
            to_stdout,
            preview: flags.preview,
            sheet: sheet(flags.sheet)?,
            colorbar: flags.colorbar,
            format: flags.format,
            size: flags.size.unwrap_or_default(),
            fit: flags.fit,
            tiles: flags.tiles.unwrap_or(1),
            preprocess,
            input_size: flags.input_size.map(usize::from),
            max_pixels: flags.max_pixels.map_or(picture::MAX_PIXELS, |millions| {
                1_000_000 * u64::from(millions)
            }),
            graph_output: flags.graph_output,
            architecture: flags.architecture,
            activation: flags.activation,
            colormap,
            overlay,
            scale: flags.scale.unwrap_or_default(),
            signed: flags.signed,
            boxes: flags.boxes.boxes.is_some(),
            regions,
            coco: flags.boxes.coco,
            known_box: flags.boxes.known_box,
            pixel_scale: flags.pixel_scale.unwrap_or_default(),
            labels: flags.labels,
            json: flags.json,
            quiet: flags.quiet,
            verbose: flags.verbose,
            weights_dtype: flags.weights_dtype,
            adapter: flags.adapter,
            convolution: flags.convolution,
            backend: flags.backend,
            command: vec![],
        })
    }

    /// Those of `--score`, `--versus` and `--counterfactual` that were given and that `method` does not read.
    pub fn unread_by(&self, method: Method) -> Vec<&'static str> {
        let unread = self.unread.iter();
        let of_method = unread.filter(|unread| unread.by.contains(&method));
        of_method.map(|unread| unread.option).collect()
    }

    /// Whether `output` was asked for.
    pub fn wants(&self, output: Output) -> bool {
        self.outputs.contains(&output)
    }
}

/// An error where one of a command line's `words`, the program's own name not among them, begins with a hyphen and is a file:
/// a shell's `*` gives `-cat.png`, which would be taken for `-c at.png`.
pub fn check_words(words: impl IntoIterator<Item = OsString>) -> Result<(), UsageError> {
    let words = words.into_iter().take_while(|word| word != "--");
    let is_file = |word: &OsString| {
        let bytes = word.as_encoded_bytes();
        bytes.len() > 1 && bytes[0] == b'-' && Path::new(word).is_file()
    };
    let file = words.into_iter().find(is_file);
    file.map_or(Ok(()), |file| Err(UsageError::Hyphen(file.into())))
}

/// The command that makes a picture again, from a command line's `words` without the program's name: that name before them, and
/// without what says which other pictures there were, so that a picture tells the same whichever part of a run it was made in.
pub fn told_of(words: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut told = vec!["gradcam".into()];
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            told.push(word);
            told.extend(words);
            break;
        }
        match word.to_str() {
            Some("--resume") => {}
            Some("--shard") => _ = words.next(),
            Some(text) if text.starts_with("--shard=") => {}
            _ => told.push(word),
        }
    }
    told
}

struct Positionals {
    images: Vec<PathBuf>,
    weights: Option<PathBuf>,
    count: Option<usize>,
}

/// A word of digits is the count, in the last place whatever files there are, elsewhere unless it is a file; what looks like
/// weights is the weights, wherever it stands (a shell's `*` sorts `VGG16.npy` before `photo.jpg`); the rest are pictures.
fn split(
    inputs: Vec<OsString>,
    looks_like_weights: impl Fn(&Path) -> bool,
) -> Result<Positionals, UsageError> {
    if inputs.iter().any(|input| input.is_empty()) {
        return Err(UsageError::EmptyName);
    }
    let commands = cli::command_names();
    if let Some(command) = inputs.iter().find(|&input| commands.contains(input)) {
        return Err(UsageError::CommandNotFirst(
            command.to_string_lossy().into_owned(),
        ));
    }
    if let Some((word, command)) = inputs.first().and_then(|first| mistyped(first, &commands)) {
        return Err(UsageError::MistypedCommand { word, command });
    }
    let last = inputs.len().saturating_sub(1);
    // What stands before the weights is a count as well, unless it is the only picture.
    let before_weights = match &inputs[..] {
        [_, .., _, weights] if looks_like_weights(Path::new(weights)) => Some(last - 1),
        _ => None,
    };
    let mut counts: Vec<String> = vec![];
    let mut files: Vec<OsString> = vec![];
    for (place, input) in inputs.into_iter().enumerate() {
        match digits(&input).map(str::to_owned) {
            Some(number) if place == last || !Path::new(&input).exists() => counts.push(number),
            Some(number) if before_weights == Some(place) => {
                return Err(UsageError::CountOrPicture(number));
            }
            _ => files.push(input),
        }
    }
    let count = match &counts[..] {
        [] => None,
        [count] => match count.parse() {
            Ok(count) => Some(count),
            Err(_) => return Err(UsageError::HugeCount(count.clone())),
        },
        [first, second, ..] => return Err(UsageError::TwoNumbers(first.clone(), second.clone())),
    };
    let (weights, images): (Vec<_>, Vec<_>) = each_once(files)
        .into_iter()
        .map(PathBuf::from)
        .partition(|path| !picture::is_stdin(path) && looks_like_weights(path));
    let mut weights = weights.into_iter();
    let first = weights.next();
    Ok(Positionals {
        images,
        weights: weights.try_fold(first, one_weights)?,
        count,
    })
}

/// The word, and the command that it resembles, where it is no file and hardly the name of one.
fn mistyped(word: &OsStr, commands: &[OsString]) -> Option<(String, String)> {
    // Two letters changed places in a word of four: hlep.
    const NEAR: f64 = 0.7;
    let path = Path::new(word);
    let text = word.to_str()?;
    if path.extension().is_some() || text.contains(['/', '\\']) || path.exists() {
        return None;
    }
    let commands = commands.iter().filter_map(|command| command.to_str());
    let near = nearest(text, commands, NEAR, 1);
    near.first()
        .map(|near| (text.to_owned(), (*near).to_owned()))
}

/// The weights of a run, named once or in several spellings. A name that leads to no file was hardly meant as a second one.
fn one_weights(first: Option<PathBuf>, second: PathBuf) -> Result<Option<PathBuf>, UsageError> {
    let Some(first) = first else {
        return Ok(Some(second));
    };
    let (missing, other) = match (first.canonicalize(), second.canonicalize()) {
        (Ok(one), Ok(other)) if one == other => return Ok(Some(first)),
        (Ok(_), Ok(_)) => return Err(UsageError::TwoWeights(first, second)),
        (Ok(_), Err(_)) => (second, first),
        (Err(_), _) => (first, second),
    };
    Err(UsageError::NoSuchWeights { missing, other })
}

fn digits(word: &OsStr) -> Option<&str> {
    word.to_str()
        .filter(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()))
}

fn classes(named: Vec<String>, count: Option<usize>) -> Result<Classes, UsageError> {
    match (named.is_empty(), count) {
        (false, Some(count)) => Err(UsageError::ClassesAndCount(count)),
        (false, None) if named.iter().any(|class| class.trim().is_empty()) => {
            Err(UsageError::EmptyClass("--class"))
        }
        (false, None) => Ok(Classes::Named(each_once(named))),
        (true, Some(count)) => NonZeroUsize::new(count)
            .map(Classes::Top)
            .ok_or(UsageError::ZeroCount),
        (true, None) => Ok(Classes::Default),
    }
}

/// The files of each class: the usual ones, unless a page or a sheet shows what they do.
fn outputs(flags: &Explain) -> Result<Vec<Output>, UsageError> {
    let asked = &flags.outputs;
    let outputs = asked.iter().filter_map(|output| match output {
        Outputs::One(output) => Some(*output),
        Outputs::None => None,
    });
    let outputs = each_once(outputs.collect());
    match (asked.contains(&Outputs::None), outputs.first()) {
        (true, Some(&other)) => Err(UsageError::NoneAndOutput(other)),
        (true, None) => Ok(vec![]),
        (false, None) if flags.report.is_some() || flags.sheet.is_some() => Ok(vec![]),
        (false, None) => Ok(USUAL_OUTPUTS.to_vec()),
        (false, Some(_)) => Ok(outputs),
    }
}

/// The page's file, whose name tells it from a picture that was meant to be explained.
fn page(file: Option<PathBuf>) -> Result<Option<PathBuf>, UsageError> {
    match file {
        Some(file) if !is_called(&file, &["html", "htm"]) => Err(UsageError::NoPage(file)),
        file => Ok(file),
    }
}

/// The sheet's file, likewise.
fn sheet(file: Option<PathBuf>) -> Result<Option<PathBuf>, UsageError> {
    match file {
        Some(file) if !is_called(&file, &["png"]) => Err(UsageError::NoSheet(file)),
        file => Ok(file),
    }
}

/// Whether a file has one of these extensions.
fn is_called(file: &Path, extensions: &[&str]) -> bool {
    let extension = file.extension().unwrap_or_default();
    let mut extensions = extensions.iter();
    extensions.any(|&one| extension.eq_ignore_ascii_case(one))
}

fn fuse(fuse: Option<Fuse>, layers: &[String]) -> Result<Fuse, UsageError> {
    match fuse {
        Some(fuse) if layers.len() < 2 => Err(UsageError::FuseOneLayer(fuse)),
        fuse => Ok(fuse.unwrap_or_default()),
    }
}

/// What `--channels` says, in either meaning.
struct EachChannels {
    count: Option<NonZeroUsize>,
    order: Option<Channels>,
}

fn each_channels(flags: &[ChannelsFlag]) -> Result<EachChannels, UsageError> {
    let (mut count, mut order) = (None, None);
    for flag in flags {
        let twice = match *flag {
            ChannelsFlag::Count(new) => count.replace(new).map(|_| "a number"),
            ChannelsFlag::Order(new) => order.replace(new).map(|_| "an order"),
        };
        if let Some(twice) = twice {
            return Err(UsageError::TwoChannels(twice));
        }
    }
    Ok(EachChannels { count, order })
}

fn preprocess(
    flags: &Explain,
    channels: Option<Channels>,
) -> Result<Option<Preprocess>, UsageError> {
    let numbers = [
        ("--mean", flags.mean.is_some()),
        ("--std", flags.std.is_some()),
        ("--channels", channels.is_some()),
    ];
    let first_number = numbers
        .into_iter()
        .find_map(|(flag, given)| given.then_some(flag));
    match (flags.preprocess, first_number) {
        (Some(name), Some(flag)) => return Err(UsageError::PreprocessTwice { name, flag }),
        (Some(name), None) => return Ok(Some(Preprocess::Named(name))),
        (None, None) => return Ok(None),
        (None, Some(_)) => {}
    }
    if let (None, None, Some(order)) = (flags.mean, flags.std, channels) {
        return Err(UsageError::OrderAlone(order));
    }
    let mean = flags.mean.unwrap_or([0.0; 3]);
    let std = flags.std.unwrap_or([1.0; 3]);
    if let Some(value) = mean.into_iter().find(|value| !value.is_finite()) {
        return Err(UsageError::UnusableNumber {
            flag: "--mean",
            value,
        });
    }
    if let Some(value) = std
        .into_iter()
        .find(|value| !(value.is_finite() && *value > 0.0))
    {
        return Err(UsageError::UnusableNumber {
            flag: "--std",
            value,
        });
    }
    let beyond = |(m, s): (f32, f32)| [0.0, 255.0].iter().any(|v| !((v - m) / s).is_finite());
    if std::iter::zip(mean, std).any(beyond) {
        return Err(UsageError::BeyondFloats);
    }
    if mean.iter().all(|value| (0.0..=1.0).contains(value)) && std.iter().all(|&value| value < 1.0)
    {
        return Err(UsageError::UnitScale { mean, std });
    }
    Ok(Some(Preprocess::Given {
        mean,
        std,
        channels: channels.unwrap_or(Channels::Rgb),
    }))
}

/// First occurrences, in order.
fn each_once<T: Clone + Eq + Hash>(mut list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
    list
}

#[cfg(test)]
mod tests;
