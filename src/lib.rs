//! Where did the network look? Grad-CAM, guided backpropagation and two dozen other explanations of image classifiers, on any
//! GPU that wgpu reaches.
//!
//! # The way of the data
//!
//! ```text
//! files -> picture -> input tensor -> [GPU: forward] -> probabilities -> the classes asked for
//!       -> [GPU: backward to the target layer, and to the pixels where asked] -> activations and gradients
//!       -> channel weights -> map -> resize -> colour -> files and report
//! ```
//!
//! Data only ever goes forward through it; [`command::explain`] is that line as a script, and reading it from top to bottom shows
//! the whole program.
//!
//! | step | module |
//! | --- | --- |
//! | the command line, and the rules between its options | [`cli`], [`options`] |
//! | pictures: which ones folders, patterns and lists mean; decode; crop, resize, scale | [`picture`], [`picture::preprocess`], [`picture::resize`] |
//! | weights files to named tensors; what a file that is none seems to be | [`weights`], [`sniff`] |
//! | named tensors to a network; the network as data | [`architectures`], [`network`] |
//! | network, request and adapter limits to buffers and dispatches | [`plan`], [`kernels`], [`layout`] |
//! | the device: choice, upload, passes, errors | [`gpu`] |
//! | logits to probabilities and to the gradient that starts a backward pass | [`score`] |
//! | one picture through the network and back | [`explainer`] |
//! | activations and gradients to maps; gradients at the pixels to pixel values | [`methods::cam`], [`methods::attribution`] |
//! | maps of several layers to one; whether a map can be read; where its heat lies | [`methods::fuse`], [`methods::verdict`], [`methods::spread`] |
//! | masks over the picture, and scores under them to maps | [`methods::perturbation`] |
//! | all methods by name; random numbers | [`methods`], [`methods::noise`] |
//! | maps and gradients to pictures | [`methods::map`], [`draw`], [`draw::colormap`], [`draw::composite`] |
//! | class names; file names and atomic writes; text and JSON | [`labels`], [`output`], [`output::report`] |
//! | what a weights file holds; any of them as one that loads fast anywhere | [`command::info`], [`command::convert`] |
//! | what made a picture, in the picture | [`output::provenance`], [`command::show`] |
//! | many pictures at once; errors, notes and progress; Ctrl-C | [`command::batch`], [`command::console`], [`printable`], [`command::interrupt`] |
//! | what the device does, and what it could do | [`command::bench`] |
//!
//! # What may know what
//!
//! Only [`gpu`] knows wgpu. Only [`plan`] knows which kernels make a layer, and it is pure data: plans for adapters that
//! nobody has are made and tested without a GPU. [`weights`] knows files and nothing of networks; [`architectures`]
//! joins the two. [`methods`], [`draw`] and [`score`] are pure functions.
//!
//! # Branches
//!
//! A network is a list of nodes in an order in which each reads earlier ones ([`network::Network`]); sums, products and
//! concatenations read several, and any node may be read by several. A backward pass goes through the list from its end, so
//! that every reader of a node has given its share of the gradient before the node's own turn comes: the first share is the
//! gradient, and each later one is added to it by a dispatch of its own (`Builder::record_back` in `src/plan/phases.rs`). There a
//! skip connection's gradient meets that of the layers it goes around. A value's memory is free again when its last reader is
//! done. A rerun from a node in the middle reads what goes around it, the other side of a skip, from the picture's own forward
//! pass.
//!
//! # A new op, a new kernel
//!
//! An op is a variant of [`network::Op`], and the compiler names the rest: its shape (`src/network/infer.rs`), its dispatches
//! there and back side by side (`src/plan/ops/`), where a difference in its input shows in its output (`src/plan/tiles.rs`),
//! its words in files and in `info` (`src/architectures/node_list.rs`, `src/command/info.rs`). A kernel is one file in `shaders/`, one
//! row of the table (`src/kernels/table.rs`), one uniform (`src/kernels/params.rs`), one row of the page of costs
//! ([`kernels`]) and one CPU twin (`tests/common/twins.rs`). An op that `tests/common/interpreter.rs` knows is tested in drawn
//! graphs.
//!
//! # Numbers
//!
//! Activations are float32 on the device, and so are weights, but for matrices that were asked for in float16
//! ([`plan::MatrixDtype`]). Tensors are N x C x H x W, where N carries pictures forward and the classes of each backward, so
//! that all classes share their dispatches. A workgroup of a dense layer reads its part of the matrix once for up to four of
//! them ([`kernels::LINEAR_BATCH`]), on the software adapter for up to ten ([`kernels::LINEAR_MANY`]), and its neighbours read
//! the same for the others while a cache has it. Tensors lie in blocks of four channels ([`layout`]). The softmax and its
//! gradient, and all sums over maps, are float64 on the host, so that a nearly certain class keeps a gradient ([`score`]).
//!
//! # As a library
//!
//! ```
//! use gradcam::{Classifier, Device, Error, Explainer, Picture, Score, Wanted, draw, weights};
//!
//! # fn main() -> Result<(), Error> {
//! let classifier = Classifier::recognise(&weights::builtin())?; // or weights::open("VGG16.npy")?
//! let device = Device::open(&Default::default())?;
//! let wanted = Wanted { classes: 2, score: Score::Logit, ..Wanted::default() };
//! // Plans the passes, compiles the kernels, uploads the weights: once for any number of pictures.
//! let explainer = Explainer::new(&device, &classifier.network, wanted)?;
//!
//! let picture = Picture::open("assets/cat-and-coffee.png")?;
//! let explained = explainer.explain_picture(&picture.rgb, &classifier.top(2))?;
//! for explanation in &explained.explanations {
//!     let overlay = draw::overlay(&explanation.maps[0], &explained.seen);
//!     let path = std::env::temp_dir().join(format!("class_{}.png", explanation.class));
//!     overlay.save(&path)?;
//! #   std::fs::remove_file(&path).unwrap();
//! }
//! # Ok(())
//! # }
//! ```
//!
//! [`Explainer::predict`] and [`Explainer::explain`] are the two halves of it, for inputs of one's own.
//! A program that has a wgpu device already hands it over with [`Device::from_device`]. An [`Explainer`] owns
//! what it needs and may be shared by threads, which then take turns at the device.
//!
//! The names at the crate's root are kept from one version to the next as far as can be. Everything else is in [`low_level`] and
//! changes without notice.

// The versions whose pictures and devices the functions here take and give.
pub use {image, wgpu};

pub mod draw;
mod error;
mod named;
mod near;
pub mod weights;

// Public for `low_level` alone, under which the documentation has them.
#[doc(hidden)]
pub mod architectures;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod command;
#[doc(hidden)]
pub mod explainer;
#[doc(hidden)]
pub mod gpu;
#[doc(hidden)]
pub mod kernels;
#[doc(hidden)]
pub mod labels;
#[doc(hidden)]
pub mod layout;
#[doc(hidden)]
pub mod methods;
#[doc(hidden)]
pub mod network;
#[doc(hidden)]
pub mod options;
#[doc(hidden)]
pub mod output;
#[doc(hidden)]
pub mod picture;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod printable;
#[doc(hidden)]
pub mod score;
#[doc(hidden)]
pub mod sniff;

pub use architectures::Classifier;
pub use error::Error;
pub use explainer::{Explainer, Explanation, Wanted};
pub use gpu::Gpu as Device;
pub use methods::Method;
pub use methods::map::RawMap as Map;
pub use picture::Picture;
pub use score::Score;

/// The program's own modules, for its tests and for who needs more than the crate's root has. **Unstable**: any version may
/// rename, move or drop what is here.
pub mod low_level {
    #[doc(no_inline)]
    pub use crate::weights;
    #[doc(inline)]
    pub use crate::{
        architectures, cli, command, explainer, gpu, kernels, labels, layout, methods, network,
        options, output, picture, plan, printable, score, sniff,
    };

    /// Maps to pictures, with every choice of colours and scales.
    pub mod draw {
        #[doc(inline)]
        pub use crate::draw::{colormap, composite};
    }
}
