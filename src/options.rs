//! From raw flags to [`Options`]: every rule between flags.

use std::collections::HashSet;
use std::ffi::OsString;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::cli::{
    Backend, Baseline, Colormap, Convolution, Explain, Fit, Format, Fuse, Method, Output,
    OutputKind, PixelScale, Preview, Scale, Score, Size, Smooth, StoredDtype,
};
use crate::draw::composite::Overlay;
use crate::methods::attribution;
use crate::methods::cam;
use crate::methods::perturbation;
use crate::picture;

mod boxes;
mod drawing;
mod error;
mod many;
mod outputs;
mod positionals;
mod preprocess;
mod settings;
mod unread;
mod words;

pub use crate::cli::{Shard, ShardError, ShardFlag};
pub use boxes::{KnownBoxes, Regions};
pub use error::UsageError;
pub use many::{FilesFrom, Many};
pub use outputs::page as page_name;
pub(crate) use outputs::{STEM, is_each};
pub use preprocess::Preprocess;
pub use unread::Unread;
pub use words::{check_words, told_of};

use positionals::{Positionals, one_weights, split};

/// Classes explained when nobody says how many.
pub const DEFAULT_TOP_N: usize = 3;

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
    /// Squares along a picture's short side, of [`Fit::Tiles`]; at least 1. `None`: one, or one pass over all of the picture where the
    /// network takes it so.
    pub tiles: Option<u32>,
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
    /// What maps are held against.
    pub known_boxes: KnownBoxes,
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
    pub weights_dtype: StoredDtype,
    /// What the device stores all else as.
    pub dtype: StoredDtype,
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

impl Options {
    /// Checks the flags against each other. `looks_like_weights` tells a weights file from a
    /// picture.
    pub fn new(
        flags: Explain,
        looks_like_weights: impl Fn(&Path) -> bool,
    ) -> Result<Self, UsageError> {
        let channels = preprocess::each_channels(&flags.channels)?;
        let outputs = outputs::outputs(&flags)?;
        let unread = unread::unread(&flags, &outputs);
        let preprocess = preprocess::preprocess(&flags, channels.order)?;
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
        let positional = count;
        let count = one_count(positional, flags.top_n)?;
        let many = many::many(flags.many, flags.out_dir.is_some() && !to_stdout)?;
        let list = many.files_from.as_ref().map(|from| from.list.as_path());
        check_pictures(&images, list, weights.as_deref(), positional)?;
        let shard = many.shard;
        let of_part = |file: PathBuf| many::of_part(file, shard);
        let usual = attribution::Settings::default();
        let noise = noise(flags.noise.unwrap_or(usual.noise))?;
        check_smooth(&flags.smooth, &flags.methods)?;
        let layers = each_once(flags.layers);
        check_tiles(flags.fit, flags.tiles, &flags.smooth, layers.len())?;
        let [patch, stride] = patch_and_stride(flags.patch, flags.stride)?;
        check_versus(flags.versus.as_deref(), &flags.methods)?;
        let usual_score = usual_score(flags.versus.as_deref());
        Ok(Self {
            images,
            many,
            weights,
            classes: classes(flags.classes, count)?,
            methods: each_once(flags.methods),
            fuse: fuse(flags.fuse, &layers)?,
            layers,
            score: flags.score.unwrap_or(usual_score),
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
            report: outputs::page(flags.report)?.map(of_part),
            out_dir: flags.out_dir.filter(|_| !to_stdout),
            to_stdout,
            preview: flags.preview,
            sheet: outputs::sheet(flags.sheet)?.map(|sheet| match outputs::is_each(&sheet) {
                true => sheet,
                false => of_part(sheet),
            }),
            colorbar: flags.colorbar,
            format: flags.format,
            size: flags.size.unwrap_or_default(),
            fit: flags.fit,
            tiles: flags.tiles,
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
            coco: flags.boxes.coco.map(of_part),
            known_boxes: boxes::known_boxes(flags.boxes.known_box)?,
            pixel_scale: flags.pixel_scale.unwrap_or_default(),
            labels: flags.labels,
            json: flags.json,
            quiet: flags.quiet,
            verbose: flags.verbose,
            weights_dtype: flags.weights_dtype.unwrap_or(flags.dtype),
            dtype: flags.dtype,
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

/// The count that was given in one of the two ways.
fn one_count(positional: Option<usize>, flag: Option<usize>) -> Result<Option<usize>, UsageError> {
    match (positional, flag) {
        (Some(positional), Some(flag)) => Err(UsageError::TwoCounts { positional, flag }),
        (positional, flag) => Ok(positional.or(flag)),
    }
}

/// There are pictures, and standard input is named once for them or for the `list` of their names. `count`: the positional one.
fn check_pictures(
    images: &[PathBuf],
    list: Option<&Path>,
    weights: Option<&Path>,
    count: Option<usize>,
) -> Result<(), UsageError> {
    let is_stdin = |path: &PathBuf| picture::is_stdin(path);
    if list.is_some_and(picture::is_stdin) && images.iter().any(is_stdin) {
        return Err(UsageError::StdinTwice);
    }
    if !images.is_empty() || list.is_some() {
        return Ok(());
    }
    Err(match (weights, count) {
        (Some(weights), _) => UsageError::OnlyWeights(weights.to_owned()),
        (None, Some(count)) => UsageError::OnlyCount(count),
        (None, None) => UsageError::NoImage,
    })
}

/// A probability moves with all classes, the difference of two logits with these two alone.
fn usual_score(versus: Option<&str>) -> Score {
    match versus {
        Some(_) => Score::Logit,
        None => Score::Prob,
    }
}

fn noise(noise: f64) -> Result<f64, UsageError> {
    match noise.is_finite() && noise >= 0.0 {
        true => Ok(noise),
        false => Err(UsageError::NoiseOutOfRange(noise)),
    }
}

/// Pixels along each side of what is hidden, and from one place to the next: half of that unless told.
fn patch_and_stride(patch: Option<u32>, stride: Option<u32>) -> Result<[usize; 2], UsageError> {
    let usual = perturbation::Settings::default().patch;
    let patch = patch.map_or(usual, |patch| patch as usize);
    let half = (patch / 2).max(1);
    let stride = stride.map_or(half, |stride| stride as usize);
    match stride > patch {
        true => Err(UsageError::StrideBeyondPatch { stride, patch }),
        false => Ok([patch, stride]),
    }
}

/// The class compared with is one, and no method chooses its own.
fn check_versus(versus: Option<&str>, methods: &[Method]) -> Result<(), UsageError> {
    let Some(versus) = versus else {
        return Ok(());
    };
    if versus.trim().is_empty() {
        return Err(UsageError::EmptyClass("--versus"));
    }
    match methods.contains(&Method::Cam(cam::Method::FinerCam)) {
        true => Err(UsageError::FinerVersus),
        false => Ok(()),
    }
}

/// Some of the methods are ones that `--smooth` smooths.
fn check_smooth(smooth: &[Smooth], methods: &[Method]) -> Result<(), UsageError> {
    let smoothed = methods.iter().any(|method| match method {
        Method::Cam(cam) => cam.is_smoothed(),
        Method::Pixel(_) | Method::Perturbation(_) => false,
    });
    if smooth.contains(&Smooth::Eigen) && !smoothed {
        return Err(UsageError::NothingToSmooth(methods[0]));
    }
    let maps = methods.iter().any(|m| matches!(m, Method::Cam(_)));
    if smooth.contains(&Smooth::Aug) && !maps {
        return Err(UsageError::NoMapToSmooth(methods[0]));
    }
    Ok(())
}

/// Squares share a unit, which maps that are scaled one by one have not.
fn check_tiles(
    fit: Fit,
    tiles: Option<u32>,
    smooth: &[Smooth],
    layers: usize,
) -> Result<(), UsageError> {
    match fit {
        Fit::Tiles if smooth.contains(&Smooth::Aug) => {
            return Err(UsageError::ScaledTiles("--smooth aug"));
        }
        Fit::Tiles if layers > 1 => {
            return Err(UsageError::ScaledTiles("several layers"));
        }
        Fit::Crop | Fit::Squash | Fit::Pad if tiles.is_some() => {
            return Err(UsageError::TilesAlone);
        }
        Fit::Tiles | Fit::Crop | Fit::Squash | Fit::Pad => {}
    }
    Ok(())
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

fn fuse(fuse: Option<Fuse>, layers: &[String]) -> Result<Fuse, UsageError> {
    match fuse {
        Some(fuse) if layers.len() < 2 => Err(UsageError::FuseOneLayer(fuse)),
        fuse => Ok(fuse.unwrap_or_default()),
    }
}

/// First occurrences, in order.
fn each_once<T: Clone + Eq + Hash>(mut list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    list.retain(|item| seen.insert(item.clone()));
    list
}

#[cfg(test)]
mod tests;
