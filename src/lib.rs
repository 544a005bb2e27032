//! Where did the network look? Grad-CAM and guided backpropagation for image classifiers, on any GPU that wgpu reaches.
//!
//! # The way of the data
//!
//! ```text
//! files -> picture -> input tensor -> [GPU: forward] -> probabilities -> the classes asked for
//!       -> [GPU: backward to the target layer, and to the pixels where asked] -> activations and gradients
//!       -> channel weights -> map -> resize -> colour -> files and report
//! ```
//!
//! Data only ever goes forward through it; [`explain`] is that line as a script, and reading it from top to bottom shows
//! the whole program.
//!
//! | step | module |
//! | --- | --- |
//! | the command line, and the rules between its options | [`cli`], [`options`] |
//! | pictures: decode; crop, resize, scale | [`image`], [`preprocess`], [`resize`] |
//! | weights files to named tensors; what a file that is none seems to be | [`weights`], [`sniff`] |
//! | named tensors to a network; the network as data | [`architectures`], [`network`] |
//! | network, request and adapter limits to buffers and dispatches | [`plan`], [`kernels`], [`layout`] |
//! | the device: choice, upload, passes, errors | [`gpu`] |
//! | logits to probabilities and to the gradient that starts a backward pass | [`score`] |
//! | one picture through the network and back | [`explainer`] |
//! | activations and gradients to maps; gradients at the pixels to pixel values | [`cam`], [`attribution`] |
//! | maps of several layers to one; whether a map can be read | [`fuse`], [`verdict`] |
//! | masks over the picture, and scores under them to maps | [`perturbation`] |
//! | all methods by name; random numbers | [`method`], [`noise`] |
//! | maps and gradients to pictures | [`map`], [`colormap`], [`composite`], [`draw`] |
//! | class names; file names and atomic writes; text and JSON | [`labels`], [`output`], [`report`] |
//! | what a weights file holds; any of them as one that loads fast anywhere | [`info`], [`convert`] |
//! | many pictures at once; errors, notes and progress; Ctrl-C | [`batch`], [`console`], [`interrupt`] |
//! | what the device does, and what it could do | [`mod@bench`] |
//!
//! # What may know what
//!
//! Only [`gpu`] knows wgpu. Only [`plan`] knows which kernels make a layer, and it is pure data: plans for adapters that
//! nobody has are made and tested without a GPU. [`weights`] knows files and nothing of networks; [`architectures`]
//! joins the two. [`cam`], [`attribution`], [`perturbation`], [`score`], [`map`], [`colormap`] and [`composite`] are pure functions.
//!
//! # Numbers
//!
//! Activations and weights are float32 on the device. Tensors are N x C x H x W, where N carries pictures forward and
//! the classes of one picture backward, so that one reading of the weights serves all classes; they lie in blocks of
//! four channels ([`layout`]). The softmax and its gradient, and all sums over maps, are float64 on the host, so that a
//! nearly certain class keeps a gradient ([`score`]).
//!
//! # As a library
//!
//! ```no_run
//! use gradcam::{architectures, cam, explainer, gpu, image, preprocess, score, verdict, weights};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let classifier = architectures::recognise(&weights::builtin())?;
//! let gpu = gpu::Gpu::open(&gpu::Selection::default())?;
//! let wanted = explainer::Wanted {
//!     score: score::Score::Logit,
//!     methods: vec![cam::Method::GradCam, cam::Method::HiResCam],
//!     classes: 3,
//!     ..Default::default()
//! };
//! let explainer = explainer::Explainer::new(&gpu, &classifier.network, wanted)?;
//! let picture = image::open("photo.jpg".as_ref())?.rgb;
//! let shape = classifier.network.input_shape();
//! let fit = preprocess::Fit::Crop;
//! let (seen, _) = preprocess::fit(&picture, fit, shape.w as u32, shape.h as u32);
//! let prediction = explainer.predict(&preprocess::to_tensor(&seen, &classifier.normalization))?;
//! let classes = score::top(&prediction.logits, 3);
//! for explanation in explainer.explain(&prediction, &classes)? {
//!     println!("class {}: {:?}", explanation.class, verdict::Verdict::of(&explanation.maps[0].values, explanation.gradient));
//! }
//! # Ok(())
//! # }
//! ```

pub mod architectures;
pub mod attribution;
pub mod batch;
pub mod bench;
pub mod cam;
pub mod cli;
pub mod colormap;
pub mod composite;
pub mod console;
pub mod convert;
pub mod draw;
pub mod explain;
pub mod explainer;
pub mod fuse;
pub mod gpu;
pub mod image;
pub mod info;
pub mod interrupt;
pub mod kernels;
pub mod labels;
pub mod layout;
pub mod map;
pub mod method;
pub mod network;
pub mod noise;
pub mod options;
pub mod output;
pub mod perturbation;
pub mod plan;
pub mod preprocess;
pub mod report;
pub mod resize;
pub mod score;
pub mod sniff;
pub mod verdict;
pub mod weights;
