//! What is said when a rule between flags is broken.

use std::path::PathBuf;

use thiserror::Error;

use super::ShardError;
use crate::cli::{Channels, Colormap, Fuse, Method, Output, Preprocessing};

/// Wrong usage, exit code 2. Every text says what to type instead.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum UsageError {
    /// No positional at all.
    #[error("no picture named; the command is: gradcam [OPTIONS] IMAGE... [WEIGHTS] [TOP_N]")]
    NoImage,
    /// Nothing but a weights file, and perhaps a count.
    #[error(
        "no picture named: {file} is a weights file; put a picture before it: \
         gradcam photo.jpg {file}",
        file = .0.display()
    )]
    OnlyWeights(PathBuf),
    /// Nothing but a count.
    #[error(
        "no picture named: {0} is read as the number of classes; \
         a picture or folder of that name is ./{0}"
    )]
    OnlyCount(usize),
    /// An unset shell variable, most likely.
    #[error("one of the names is empty; is a shell variable unset?")]
    EmptyName,
    /// A file whose name would be read as options.
    #[error("{} is a file, and its name would be read as options: give it as ./{}", .0.display(), .0.display())]
    Hyphen(PathBuf),
    /// A command after options or pictures.
    #[error("a command comes first: gradcam {0}; a picture or folder of that name is ./{0}")]
    CommandNotFirst(String),
    /// A word that is no file, and nearly a command.
    #[error("no such file: {word}; for the command, type: gradcam {command}")]
    MistypedCommand {
        /// As typed.
        word: String,
        /// The command that it resembles.
        command: String,
    },
    /// Two weights files, by position or with `--weights`.
    #[error(
        "two weights files, {} and {}: a run reads one; run the command once for each",
        .0.display(), .1.display()
    )]
    TwoWeights(PathBuf, PathBuf),
    /// Two weights files by their names, of which one is not there.
    #[error(
        "no such file: {}; check its name. {} is a weights file too, and a run reads one",
        missing.display(), other.display()
    )]
    NoSuchWeights {
        /// The one that is not there.
        missing: PathBuf,
        /// The other one.
        other: PathBuf,
    },
    /// `--null` without a list.
    #[error(
        "--null says how the list of --files-from is separated: name the list, as in --files-from LIST --null"
    )]
    NullAlone,
    /// `--resume` without a folder.
    #[error(
        "--resume goes on with the run whose manifest lies in --out-dir: name that folder, as in -o maps --resume"
    )]
    ResumeNowhere,
    /// No such part of the pictures.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The count by position and with `--top-n`.
    #[error(
        "the number of classes is given twice, {positional} and --top-n {flag}: keep one; \
         a picture or folder called {positional} is ./{positional}"
    )]
    TwoCounts {
        /// The last positional.
        positional: usize,
        /// The flag's value.
        flag: usize,
    },
    /// Several words of digits, none of them a file.
    #[error(
        "{0} and {1} are both read as the number of classes: keep one; \
         a picture or folder of that name is ./{0}"
    )]
    TwoNumbers(String, String),
    /// Digits before the weights, and a file of that name.
    #[error("{0} may be the number of classes or the file of that name: type --top-n {0} or ./{0}")]
    CountOrPicture(String),
    /// A count of 0.
    #[error("0 classes leave nothing to explain: the number of classes starts at 1")]
    ZeroCount,
    /// A positional count that does not fit an integer.
    #[error("{0} is too large for a number of classes; a picture or folder of that name is ./{0}")]
    HugeCount(String),
    /// `--class` and a count.
    #[error(
        "--class names the classes to explain, so there is no number of classes to give: \
         drop --class, or the {0}"
    )]
    ClassesAndCount(usize),
    /// `--class ""` or `--versus ""`.
    #[error("{0} needs a number, a name or a synset, as in {0} \"traffic light\"")]
    EmptyClass(&'static str),
    /// `--smooth eigen` for methods that it does not change.
    #[error(
        "--smooth eigen takes the main component of the channels that a CAM method weighs; \
         {0} has none to weigh, or is that component: try it with gradcam or hirescam"
    )]
    NothingToSmooth(Method),
    /// `--smooth aug` without a CAM method.
    #[error("--smooth aug averages the maps of CAM methods, and {0} is none: try it with gradcam")]
    NoMapToSmooth(Method),
    /// `--fuse` without several layers.
    #[error(
        "--fuse makes one map of several layers: name them, as in \
         --layer conv4_3,conv5_3 --fuse {0}"
    )]
    FuseOneLayer(Fuse),
    /// `--versus` with a method that has rivals of its own.
    #[error(
        "finercam compares a class with the three nearest to it, not with that of --versus: \
         drop --versus, or name another method"
    )]
    FinerVersus,
    /// A share outside 0..1, or no number.
    #[error(
        "--alpha {0} is not a share: \
         it goes from 0 (the picture alone) to 1 (the heat map alone), as in --alpha 0.5"
    )]
    AlphaOutOfRange(f32),
    /// A share outside 0..1, or no number.
    #[error("--threshold {0} is no heat: it goes from 0 to 1, the largest, as in --threshold 0.15")]
    ThresholdOutOfRange(f32),
    /// `--threshold` without the overlay that has one.
    #[error("--threshold is that of --overlay threshold: add it")]
    ThresholdAlone,
    /// `--alpha` with a sum.
    #[error("--overlay sum has no shares: drop --alpha, or take --overlay blend")]
    AlphaOfSum,
    /// `--signed` in colours without a middle.
    #[error("--colormap {0} has no colour for nothing between two signs: for --signed take bwr")]
    NoMiddle(Colormap),
    /// Colours with a middle for maps of one sign.
    #[error("--colormap {0} has its middle at nothing, for maps of both signs: add --signed")]
    OneSign(Colormap),
    /// No output, and one.
    #[error("--outputs none leaves nothing to write, and {0} is to be written: keep one")]
    NoneAndOutput(Output),
    /// `--report` with what is no page by its name, perhaps the picture.
    #[error("--report {}: it is a page, and its name ends in .html, as in --report result.html", .0.display())]
    NoPage(PathBuf),
    /// No heat, or no number.
    #[error(
        "--box-threshold {0} is no heat: it goes from above 0 to 1, the largest, as in --box-threshold 0.15"
    )]
    BoxThresholdOutOfRange(f32),
    /// No share, or no number.
    #[error(
        "--box-area {0} is no share of the picture: it goes from 0 to 1, as in --box-area 0.01"
    )]
    BoxAreaOutOfRange(f64),
    /// A least area for the largest region.
    #[error(
        "--box-area is for --boxes=all: the largest region is boxed whatever it takes; add --boxes=all or drop --box-area"
    )]
    BoxAreaOfLargest,
    /// `--box-threshold` without a region.
    #[error("--box-threshold is for --boxes, --coco and --outputs mask: add one of them")]
    BoxThresholdAlone,
    /// Regions of maps of both signs.
    #[error(
        "--signed draws what raises the score and what lowers it, and {0} is of the first alone: drop one of the two"
    )]
    SignedRegions(&'static str),
    /// `--box FILE` with another `--box`.
    #[error(
        "--box takes boxes of one picture, each as X,Y,WIDTH,HEIGHT, or one file of boxes, and {} is one of several: write all boxes into one file",
        .0.display()
    )]
    BoxFileAndMore(PathBuf),
    /// One box for several pictures.
    #[error(
        "four numbers of --box are of one picture, and there are {0}: name that picture, or a file with the boxes of each, as in --box boxes.csv"
    )]
    BoxOfMany(usize),
    /// Maps that have no unit in common.
    #[error(
        "--fit tiles blends the maps of squares in one unit, and for {0} each is scaled by itself: drop one of the two"
    )]
    ScaledTiles(&'static str),
    /// `--tiles` without the fit that has them.
    #[error("--tiles is for --fit tiles: add it")]
    TilesAlone,
    /// A picture and a list from one place.
    #[error(
        "- is a picture from standard input, and --files-from - a list from there: give one of them as a file"
    )]
    StdinTwice,
    /// `--out -` with `--json`.
    #[error(
        "--out - writes the picture to standard output, where --json writes the results: drop one of the two"
    )]
    TwoToStdout,
    /// More than one file for standard output.
    #[error(
        "--out - writes one file to standard output, and here are {pictures} x {classes} x {files}: \
         pictures, classes, files of each; write as in gradcam photo.jpg -n 1 --outputs gradcam --out -"
    )]
    ManyToStdout {
        /// Pictures.
        pictures: usize,
        /// Classes of each.
        classes: usize,
        /// Files of each class.
        files: usize,
    },
    /// A picture for a terminal.
    #[error(
        "--out - writes the bytes of a file, and standard output is a terminal: add > file.png; --preview draws in the terminal"
    )]
    TerminalStdout,
    /// `--sheet` with what is no PNG by its name.
    #[error("--sheet {}: it is a PNG, and its name ends in .png, as in --sheet result.png", .0.display())]
    NoSheet(PathBuf),
    /// Noise below 0, infinite or no number.
    #[error("--noise {0} is no share of the input's range: 0 is none, 0.15 is usual")]
    NoiseOutOfRange(f64),
    /// Patches that do not meet.
    #[error(
        "--stride {stride} leaves pixels between patches of {patch} that none hides: make it {patch} or less"
    )]
    StrideBeyondPatch {
        /// Pixels from one patch to the next.
        stride: usize,
        /// Pixels along a patch.
        patch: usize,
    },
    /// Two numbers or two orders.
    #[error("--channels is given twice as {0}: keep one")]
    TwoChannels(&'static str),
    /// An order of the channels without the rest of the preprocessing.
    #[error(
        "--channels {0} is the order beside --mean or --std: give one of them, --mean 0,0,0 if there is none, \
         or all three by name with --preprocess"
    )]
    OrderAlone(Channels),
    /// Preprocessing by name and by numbers.
    #[error("--preprocess {name} already says what {flag} says: drop one of the two")]
    PreprocessTwice {
        /// The name given.
        name: Preprocessing,
        /// The first flag that contradicts it.
        flag: &'static str,
    },
    /// A mean or scale that is infinite or no number, or a scale of 0 or below.
    #[error("{flag} {value} cannot be used: the mean is a finite number, the scale one above 0")]
    UnusableNumber {
        /// `--mean` or `--std`.
        flag: &'static str,
        /// The value refused.
        value: f32,
    },
    /// A scale so small that pixels become infinite.
    #[error(
        "--mean and --std take pixels beyond what float32 holds: \
         both are for pixels in 0..255, as in --mean 123.68,116.779,103.939 --std 58.4,57.1,57.4"
    )]
    BeyondFloats,
    /// Numbers published for pixels in 0..1, which would send values in the hundreds through the
    /// network unnoticed.
    #[error(
        "--mean and --std are for pixels in 0..255, and these look like numbers for 0..1: \
         multiply them by 255, as in --mean {} --std {}",
        triple(.mean, 255.0), triple(.std, 255.0)
    )]
    UnitScale {
        /// The mean as given.
        mean: [f32; 3],
        /// The scale as given.
        std: [f32; 3],
    },
}

fn triple(values: &[f32; 3], factor: f32) -> String {
    values.map(|value| (value * factor).to_string()).join(",")
}
