//! The flags of the main command.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::rgb::parse_rgb;
use super::spelled::spelled;
use super::whole::{ANY, COUNT, INPUT_SIZE, PASSES, PIXELS, TILES, whole};
use super::{
    Backend, Baseline, BoxFlags, ChannelsFlag, Colormap, Convolution, Fit, Format, Fuse, Many,
    Method, OutputKind, Outputs, Overlay, PixelScale, Preprocessing, Preview, Scale, Score, Size,
    Smooth, StoredDtype,
};

/// The raw flags of the main command, before `options` has looked at them.
#[derive(Debug, Args)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
pub struct Explain {
    /// Pictures or folders, then a weights file and the number of classes if wanted
    ///
    /// Pictures or folders of pictures; - is a picture from standard input. One of the names may be a weights file, known by its
    /// content; one may be the number of classes to explain, usually the last. A picture whose name is
    /// a number, or that of a command, is given as ./5 or ./adapters.
    #[arg(value_name = "IMAGE")]
    pub inputs: Vec<OsString>,

    /// Weights file [default: the built-in network]
    ///
    /// Weights file. Without one, the built-in network is used: VGG16's convolutions and 21
    /// everyday classes.
    #[arg(short, long, value_name = "FILE", help_heading = "What is explained")]
    pub weights: Option<PathBuf>,

    /// Output of an ONNX graph or a Keras model to take as class scores [default: the one that looks like them]
    ///
    /// Output of an ONNX graph or a Keras model to take as class scores, where it has several; `gradcam info` lists
    /// them. By default the one that looks like class scores, and a note says which that is.
    #[arg(
        long = "output",
        value_name = "NAME",
        help_heading = "What is explained"
    )]
    pub graph_output: Option<String>,

    /// Which network this is, where the names of its tensors stand for several
    ///
    /// Which network this is, where the names of its tensors stand for several, as in tf_efficientnet_b0 or tf_ alone. By default the
    /// likeliest; a note says which that is.
    #[arg(long, value_name = "NAME", help_heading = "What is explained")]
    pub architecture: Option<String>,

    /// Explain the N most likely classes [default: 3]
    #[arg(
        short = 'n',
        long,
        value_name = "N",
        value_parser = whole::<usize>(COUNT),
        allow_negative_numbers = true,
        help_heading = "What is explained"
    )]
    pub top_n: Option<usize>,

    /// Explain this class: number, name or synset; repeatable
    ///
    /// Explain this class instead of the most likely ones: its number (920), one of its names
    /// ("traffic light") or its synset (n06874185). May be given several times.
    #[arg(
        short,
        long = "class",
        value_name = "CLASS",
        allow_negative_numbers = true,
        help_heading = "What is explained"
    )]
    pub classes: Vec<String>,

    /// Method: gradcam, hirescam, scorecam and two dozen others; repeatable
    #[arg(
        short,
        long = "method",
        value_name = "NAME", value_parser = spelled::<Method>(),
        default_value = "gradcam",
        value_delimiter = ',',
        help_heading = "What is explained"
    )]
    pub methods: Vec<Method>,

    /// Target layer [default: the last convolution, after its ReLU]; repeatable
    ///
    /// Target layer, by default the last convolution after its ReLU, or what branches make together
    /// after it. Any layer whose value has rows and columns; `gradcam info` lists them. Of several,
    /// as a list or repeated, one map is made, see --fuse.
    #[arg(
        short,
        long = "layer",
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "What is explained"
    )]
    pub layers: Vec<String>,

    /// How the maps of several layers become one [default: mean]
    ///
    /// How the maps of several layers become one: each is cut at zero, scaled to 0..1 and resized to
    /// what the network sees. That is also what `--outputs raw` writes of it.
    #[arg(long, value_name = "HOW", value_parser = spelled::<Fuse>(), help_heading = "What is explained")]
    pub fuse: Option<Fuse>,

    /// The score that is differentiated [default: prob; with --versus: logit]
    #[arg(long, value_name = "SCORE", value_parser = spelled::<Score>(), help_heading = "What is explained")]
    pub score: Option<Score>,

    /// Why the class rather than CLASS: number, name or synset
    ///
    /// Explain what raises the class's score above that of CLASS, rather than the score itself: the
    /// difference of the two logits, or with --score of the two probabilities or their logarithms.
    /// CLASS is left out of the most likely classes.
    #[arg(
        long,
        value_name = "CLASS",
        allow_negative_numbers = true,
        help_heading = "What is explained"
    )]
    pub versus: Option<String>,

    /// Explain what would lower the score
    ///
    /// Explain what would lower the score if it were stronger, the gradient negated: for a cat,
    /// where the dog beside it is. With --versus, what would turn the decision.
    #[arg(long, help_heading = "What is explained")]
    pub counterfactual: bool,

    /// Make the maps of CAM methods smoother
    ///
    /// Make the maps of CAM methods smoother. For aug each of six maps is cut at zero and scaled to
    /// 0..1 before their mean is taken: that is also what `--outputs raw` writes of it.
    #[arg(
        long,
        value_name = "HOW", value_parser = spelled::<Smooth>(),
        value_delimiter = ',',
        help_heading = "How methods work"
    )]
    pub smooth: Vec<Smooth>,

    /// How many channels scorecam and ablationcam try [default: all]; or rgb, bgr
    ///
    /// As a number: how many channels of the target layer scorecam and ablationcam try, those with
    /// the largest effect on the score to first order [default: all]. A note says what share of
    /// the weight they hold. As rgb or bgr: the order of the network's input channels, beside --mean
    /// or --std [default: rgb]. May be given once as each.
    #[arg(
        long,
        value_name = "K|ORDER",
        allow_negative_numbers = true,
        help_heading = "How methods work"
    )]
    pub channels: Vec<ChannelsFlag>,

    /// Noisy copies of smoothgrad, squaregrad and vargrad [default: 25]; masks of rise [default: 1000]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PASSES), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub samples: Option<u32>,

    /// Standard deviation of their noise, as a share of the range of the input's values [default: 0.15]
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        help_heading = "How methods work"
    )]
    pub noise: Option<f64>,

    /// Steps of integrated-gradients [default: 50]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PASSES), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub steps: Option<u32>,

    /// Rows and columns that occlusion hides at once, pixels [default: 32]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PIXELS), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub patch: Option<u32>,

    /// Pixels from one patch of occlusion to the next [default: half the patch]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(PIXELS), allow_negative_numbers = true,
        help_heading = "How methods work")]
    pub stride: Option<u32>,

    /// The picture that integrated-gradients and gradient-x-input compare with, and occlusion and rise hide behind
    /// [default: mean]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Baseline>(), help_heading = "How methods work")]
    pub baseline: Option<Baseline>,

    /// Seed of the random numbers: the same one draws the same numbers on every machine [default: 0]
    #[arg(
        long,
        value_name = "N",
        value_parser = whole::<u64>(ANY),
        allow_negative_numbers = true,
        help_heading = "How methods work"
    )]
    pub seed: Option<u64>,

    /// What to write for each class, as a list [default: heatmap,gradcam,segmented,guided_bprop; with --report or --sheet: none]
    ///
    /// What to write for each class, as a list, by default heatmap,gradcam,segmented,guided_bprop. With --report or
    /// --sheet, which show all that in one file, it is none, unless files are asked for as well.
    #[arg(
        long,
        value_name = "LIST", value_parser = spelled::<Outputs>(),
        value_delimiter = ',',
        help_heading = "What is written"
    )]
    pub outputs: Vec<Outputs>,

    /// One page for a browser: pictures and maps, with everything to look at them by
    ///
    /// One page for a browser that shows each picture with its maps as layers above it: class, method, layer, opacity and
    /// colours are chosen there, and it says what made it. It is one file that loads nothing from elsewhere; for more than 20 pictures
    /// their maps lie beside it, in FILE_files. With --out-dir the page of a resumed run has all pictures, and `gradcam merge` makes
    /// that of all parts.
    #[arg(
        long,
        visible_alias = "summary",
        value_name = "FILE.html",
        help_heading = "What is written"
    )]
    pub report: Option<PathBuf>,

    /// One picture with labels: classes by methods and layers
    ///
    /// One picture with labels for each picture: a row for each class, a column for each method and layer, with a colour bar
    /// below each map. Up to 20 pictures stand on one sheet, below each other; {stem} in its name stands for a picture's
    /// name, and each has its own.
    #[arg(long, value_name = "FILE.png", help_heading = "What is written")]
    pub sheet: Option<PathBuf>,

    /// Folder for the files, made if missing; - for one file to standard output [default: beside each picture]
    ///
    /// Folder for the files, made if missing [default: beside each picture]. As - the one file that a command makes, of one
    /// picture, one class and one output, goes to standard output, and the class's line to standard error.
    #[arg(
        short,
        long,
        visible_alias = "out",
        value_name = "DIR",
        help_heading = "What is written"
    )]
    pub out_dir: Option<PathBuf>,

    /// Picture format [default: the input's own where it can be written, else png]
    #[arg(
        long,
        value_name = "EXT", value_parser = spelled::<Format>(),
        help_heading = "What is written"
    )]
    pub format: Option<Format>,

    /// Size of the pictures written [default: model]
    #[arg(long, value_name = "SIZE", value_parser = spelled::<Size>(), help_heading = "What is written")]
    pub size: Option<Size>,

    /// Colours of the heat map over the picture [default: jet; with --signed: bwr]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Colormap>(), help_heading = "What is written")]
    pub colormap: Option<Colormap>,

    /// How the heat map lies over the picture [default: sum; with --alpha or --signed: blend]
    #[arg(long, value_name = "HOW", value_parser = spelled::<Overlay>(), help_heading = "What is written")]
    pub overlay: Option<Overlay>,

    /// Write a colour bar with numbers at the side of pictures in colour
    #[arg(long, help_heading = "What is written")]
    pub colorbar: bool,

    /// Share of the heat map in --overlay blend and threshold, 0 to 1 [default: 0.5]
    ///
    /// Share of the heat map in --overlay blend, which it implies, and threshold: 0 is the picture alone, 1 the heat map alone.
    #[arg(
        long,
        value_name = "A",
        allow_negative_numbers = true,
        help_heading = "What is written"
    )]
    pub alpha: Option<f32>,

    /// Heat from which --overlay threshold shows it, 0 to 1 [default: 0.15]
    #[arg(
        long,
        value_name = "H",
        allow_negative_numbers = true,
        help_heading = "What is written"
    )]
    pub threshold: Option<f32>,

    /// What is drawn at full strength: the largest value of each class's map, of the image's, or a number [default: class]
    ///
    /// What is drawn at full strength: the largest value of each map (class), of a method's maps of all classes of a picture
    /// (image), or a number in the units of the map's values, as the JSON has them, which makes pictures comparable.
    #[arg(
        long,
        value_name = "class|image|N",
        allow_negative_numbers = true,
        help_heading = "What is written"
    )]
    pub scale: Option<Scale>,

    /// Draw what lowers the score as well
    ///
    /// Draw what lowers the score as well, from blue over white to red; grey in the heat map stands for nothing.
    #[arg(long, help_heading = "What is written")]
    pub signed: bool,

    /// How the values of pixel methods become colours [default: percentile]
    #[arg(long, value_name = "HOW", value_parser = spelled::<PixelScale>(), help_heading = "What is written")]
    pub pixel_scale: Option<PixelScale>,

    /// Print the results as JSON, one line a picture
    #[arg(long, help_heading = "What is written")]
    pub json: bool,

    /// Draw the map over the picture in the terminal
    ///
    /// Draw the map of the first method over the picture in the terminal, for each class. The terminal's own variables say
    /// which of its ways is used; in tmux and screen, and where nothing is known, half blocks.
    #[arg(
        long, value_name = "WAY", value_parser = spelled::<Preview>(), num_args = 0..=1, require_equals = true,
        default_missing_value = "auto", help_heading = "What is written"
    )]
    pub preview: Option<Preview>,

    /// No notes and no progress on standard error, only errors
    #[arg(short, long, help_heading = "What is written")]
    pub quiet: bool,

    /// How many pictures are explained.
    #[command(flatten)]
    pub many: Many,

    /// Say on standard error what each stage takes
    #[arg(
        short,
        long,
        conflicts_with = "quiet",
        help_heading = "What is written"
    )]
    pub verbose: bool,

    /// Regions of maps.
    #[command(flatten)]
    pub boxes: BoxFlags,

    /// How a picture meets the network's square
    #[arg(
        long, value_name = "FIT", value_parser = spelled::<Fit>(), default_value_t = Fit::Crop,
        help_heading = "What the network sees"
    )]
    pub fit: Fit,

    /// Squares of --fit tiles along the picture's short side [default: 1]
    ///
    /// Squares of --fit tiles along the picture's short side: more of them see more detail of a large picture. They overlap by
    /// half or more. The picture's logits are the means of theirs, its score is differentiated there, and their maps, in one
    /// unit, are blended to one. Without it a network that ends with a mean over all positions, and sees each by what lies around it,
    /// takes a long picture in one pass of up to 16 squares' size.
    #[arg(long, value_name = "N", value_parser = whole::<u32>(TILES), allow_negative_numbers = true,
        help_heading = "What the network sees")]
    pub tiles: Option<u32>,

    /// Preprocessing by name [default: what the weights ask for]
    #[arg(long, value_name = "NAME", value_parser = spelled::<Preprocessing>(), help_heading = "What the network sees")]
    pub preprocess: Option<Preprocessing>,

    /// Preprocessing by numbers: the mean to subtract, in 0..255 [default: 0,0,0]
    ///
    /// Preprocessing by numbers, instead of --preprocess: the mean to subtract from pixels in
    /// 0..255. Red, green, blue, whatever --channels says.
    #[arg(long, value_name = "R,G,B", value_parser = parse_rgb, allow_hyphen_values = true,
        help_heading = "What the network sees")]
    pub mean: Option<[f32; 3]>,

    /// The scale to divide by after the mean, in 0..255 [default: 1,1,1]
    #[arg(long, value_name = "R,G,B", value_parser = parse_rgb, allow_hyphen_values = true,
        help_heading = "What the network sees")]
    pub std: Option<[f32; 3]>,

    /// Pixels along each side of what the network sees [default: what the weights ask for]
    ///
    /// Pixels along each side of what the network sees. A network that ends with a mean over
    /// positions takes a larger size, which gives a finer map; others take the sizes that their
    /// dense layers allow.
    #[arg(long, value_name = "N", value_parser = whole::<u16>(INPUT_SIZE), allow_negative_numbers = true,
        help_heading = "What the network sees")]
    pub input_size: Option<u16>,

    /// The most pixels of a picture that is read, in millions [default: 128]
    ///
    /// The most pixels of a picture that is read, in millions. Decoding takes three bytes a pixel,
    /// for some formats up to eleven.
    #[arg(long, value_name = "MILLIONS", value_parser = whole::<u16>(1..=4000), allow_negative_numbers = true,
        help_heading = "What the network sees")]
    pub max_pixels: Option<u16>,

    /// What the network ends with [default: what the weights say, else softmax]
    #[arg(long, value_name = "NAME", value_parser = spelled::<OutputKind>(), help_heading = "What the network sees")]
    pub activation: Option<OutputKind>,

    /// Class names: one a line, JSON, or CSV with ids
    ///
    /// Class names, for a network that brings none or others: one a line; a JSON list; a JSON object of ids to names, as
    /// Keras has them and configurations under id2label, or of names to ids; or CSV or TSV with a column of ids.
    #[arg(long, value_name = "FILE", help_heading = "What the network sees")]
    pub labels: Option<PathBuf>,

    /// What the device stores numbers as between layers: values, gradients, filters, matrices
    ///
    /// float16 halves the memory that they take and the bytes that a GPU moves; all arithmetic and what is read back stay
    /// float32. Maps and probabilities move by a few thousandths. A network whose values are larger than float16 can hold is refused
    /// when it meets them.
    #[arg(
        long, value_name = "TYPE", value_parser = spelled::<StoredDtype>(), default_value_t = StoredDtype::F32,
        help_heading = "Where it runs"
    )]
    pub dtype: StoredDtype,

    /// What the device stores the matrices of dense layers as [default: as --dtype]
    ///
    /// float16 halves the memory that they take and the bytes that are read for each picture: of VGG16, whose dense layers
    /// hold nine tenths of the weights, 247 MB less. Sums stay float32; maps and probabilities move by a few thousandths.
    #[arg(
        long, value_name = "TYPE", value_parser = spelled::<StoredDtype>(),
        help_heading = "Where it runs"
    )]
    pub weights_dtype: Option<StoredDtype>,

    /// How 3x3 convolutions are computed
    #[arg(
        long, value_name = "HOW", value_parser = spelled::<Convolution>(), default_value_t = Convolution::Fast,
        help_heading = "Where it runs"
    )]
    pub convolution: Convolution,

    /// Use the adapter whose name holds TEXT; `gradcam adapters` lists them
    ///
    /// Use the adapter whose name holds TEXT; `gradcam adapters` lists them. As all: share the pictures among every adapter of
    /// the fastest kind there is.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new(),
        help_heading = "Where it runs")]
    pub adapter: Option<String>,

    /// Use this graphics interface
    #[arg(long, value_name = "NAME", value_parser = spelled::<Backend>(), help_heading = "Where it runs")]
    pub backend: Option<Backend>,
}
