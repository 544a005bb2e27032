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
//! # What each folder is
//!
//! From those that know nothing of the others to those that join them; each may know what stands above it.
//!
//! | folder | what it is | may know |
//! | --- | --- | --- |
//! | `named`, `near` | closed lists of values with names; which of some names was meant | |
//! | `cores` | the host's work on all cores | |
//! | [`sniff`], `printable` | what a file seems to be; names of others as a terminal may be given them | |
//! | [`weights`] | a file to named tensors, one module a format; knows nothing of networks | |
//! | [`network`] | the network as data: ops, shapes, target layers | `weights` for its tensors |
//! | [`picture`] | pictures decoded, cropped and scaled to the input, and the way back; written | `sniff` |
//! | [`labels`] | class names | |
//! | [`architectures`] | named tensors or a graph to a network, with what is known of its use | `weights`, `network`, `picture`, `labels` |
//! | [`exact`] | the first layers on the host in float64, for gradients at pixels that rounding would turn over | `network`, `cores` |
//! | [`kernels`], [`layout`] | the table of shaders with their uniforms; how tensors lie on the device | `network` |
//! | [`plan`] | network, request and limits to buffers and dispatches, as data: plans for adapters that nobody has are made and tested without one | `network`, `kernels`, `layout` |
//! | [`gpu`] | the only place that knows wgpu: choice of the device, upload, passes, errors | `plan` |
//! | [`tuning`] | what convolutions take on a device by each of their kernels: measured, and as a file | `gpu` and what it knows |
//! | [`score`] | logits to probabilities, and to the gradient that starts a backward pass | `network` |
//! | [`methods`] | activations, gradients and scores to maps: pure functions; how a map is judged | `network`, `picture`, `score` |
//! | [`draw`] | maps to pictures: pure functions | `methods`, `picture` |
//! | [`explainer`] | one picture through the network and back, for all methods asked for | all above |
//! | [`cli`], [`options`] | flags; the rules between them | the core's lists of values |
//! | [`output`] | names of files, writing them whole, the report as text, JSON and CSV; the manifest by which runs are resumed and joined | the core, `cli`'s lists of values |
//! | [`command`] | what the program does, and every error that it may end with: nothing knows it but `main` | everything |
//!
//! No folder knows one that knows it, and `tests/house.rs` holds the source against this table. Errors are leaves: each folder
//! has its own, and only [`command`] (for the program) and [`Error`] (for a library's user) join them. What has a name that is
//! typed or shown, such as a method or a colour map, is listed with its names by `named!` (`src/named.rs`), once.
//!
//! Without the feature `cli` the last three rows are absent, and with them clap, temporary files, signals and the terminal;
//! without `builtin` the network of the program itself; without `mmap` weights are read rather than mapped.
//!
//! # Branches, and where the gradient of a skip connection is added
//!
//! A network is a list of nodes in an order in which each reads earlier ones ([`network::Network`]); sums, products and
//! concatenations read several, and any node may be read by several. A backward pass goes through the list from its end, so
//! that every reader of a node has given its share of the gradient before the node's own turn comes: the first share is the
//! gradient, and each later one is added to it, by a dispatch of its own or as a convolution stores the share that it makes
//! (`Builder::record_back` in `src/plan/phases.rs`). There a skip connection's gradient meets that of the layers it goes
//! around. A value's memory is free again when its last reader is done. A rerun from a node in the middle reads what goes
//! around it, the other side of a skip, from the picture's own forward pass.
//!
//! # What always holds
//!
//! | of | what | kept by |
//! | --- | --- | --- |
//! | a network | a node reads earlier nodes alone; the first is the picture, the last a vector of one logit a class; each has the shape that its op gives | [`network::Network::push`] |
//! | a plan | it says where every value lies and which kernel makes it, and needs no device; a buffer shares memory with others whose life does not overlap its own | `src/plan/slots.rs`, `tests/plan` |
//! | the picture's pass | its values stay, for its backward passes and for reruns that begin in the middle | [`plan::Request`] |
//! | a gradient | each reader gives its share once, and all have before it goes further back | `Builder::record_back` |
//! | the result | which kernels, how many pictures and classes at once and which memory change rounding and nothing else; two runs on one device are the same to the bit | `tests/kernels`, `tests/graphs` |
//! | what a file leaves open | is told in a note with the option that changes it, or refused with the readings | `notes` of [`Classifier`] and [`Picture`] |
//! | an output | a file is written whole or not at all, and never over one that the run reads; standard output has results alone | [`output`], [`command`] |
//!
//! # To add something
//!
//! All places that name a thing of a kind; `tests/house.rs` holds the source against this list, and the compiler or a test names
//! what is forgotten. Each is tested against numbers of a program that is not ours, kept in `tests/fixtures`.
//!
//! | what | where |
//! | --- | --- |
//! | a CAM method | its name and its row in `src/methods/cam.rs`; its function in `src/methods/cam/` |
//! | a method at the pixels | its name and its row in `src/methods/attribution.rs` |
//! | a method that hides parts | its name, its row and the functions of the row in `src/methods/perturbation.rs` |
//! | a colour map | its name and its line in `src/draw/colormap.rs`; its 256 colours in `src/draw/colormap/` |
//! | a format of weights | a module in `src/weights/` that makes `Contents` of bytes; its row in `src/weights/format.rs`; how its files begin in `src/weights/content.rs`; its errors' line in `src/weights.rs` |
//! | a format of pictures | a module in `src/picture/` that makes `Decoded` of bytes; its arm in `src/picture.rs`; its name in `src/picture/error.rs`; to write it as well its name in `src/picture/write.rs` |
//! | a family of networks known by its tensors' names | a table in a file of `src/architectures/families/`; its line in `src/architectures/families.rs` |
//! | an operator of ONNX | its arm in `src/architectures/onnx/layers.rs`, or in the table of activations beside it; its function in `src/architectures/onnx/` |
//! | a layer of Keras | its arm in `src/architectures/keras/build.rs`; its function in `src/architectures/keras/` |
//! | an op | its variant and its tensors in `src/network/op.rs`; its shape in `src/network/infer.rs`; its work in `src/network.rs`; whether it sees around a position in `src/network/positions.rs`; its dispatches there and back in `src/plan/ops.rs` and a file of `src/plan/ops/`; where a difference in its input shows in `src/plan/tiles.rs`; its words in files in `src/architectures/node_list.rs`; its words in `info` in `src/command/info.rs` |
//! | a kernel | its file in `shaders/`; its row in `src/kernels/table.rs`; its uniform in `src/kernels/params.rs`; its row of the page of costs, [`kernels`]; the step that records it, in `src/plan/ops/`; its CPU twin in `tests/common/twins/` |
//!
//! Most of an op's places are a `match` without a wildcard over [`network::Op`], where a new variant does not compile before it
//! has an arm. What makes the op of a file is its reader in [`architectures`]. An op that `tests/common/interpreter.rs` knows
//! is tested in drawn graphs.
//!
//! # Numbers
//!
//! All arithmetic of the device is float32; what decides which way gradients at the pixels go is computed by the host in
//! float64 first ([`exact`]). float32 is also what the device stores, but for what was asked for in float16
//! ([`plan::StoredDtype`]): matrices of dense layers alone, or with them filters, values and gradients. Nobody writes a kernel
//! twice for that: one for float16 is made of the shader as it stands ([`kernels::half`]), and which buffers hold it is data in
//! the plan (`src/plan/half.rs`). A value too large for it is found where it is stored, and refuses the run
//! (`src/gpu/overflow.rs`); gradients start from powers of two, so that they are neither too small nor too large
//! (`src/gpu/scaling.rs`). Tensors are N x C x H x W, where N carries pictures forward and the classes of each backward, so
//! that all classes share their dispatches. A workgroup of a dense layer reads its part of the matrix once for up to four of
//! them ([`kernels::LINEAR_BATCH`]), on the software adapter for up to ten ([`kernels::LINEAR_MANY`]) or, down the columns of a matrix,
//! for one, and its neighbours read the same for the others while a cache has it. Tensors lie in blocks of four channels ([`layout`]). The softmax and its
//! gradient, and all sums over maps, are float64 on the host, so that a nearly certain class keeps a gradient ([`score`]).
//!
//! # As a library
//!
//! ```
//! use gradcam::{Classifier, Device, Error, Explainer, Method, Picture, Score, Wanted, draw, weights};
//!
//! # fn main() -> Result<(), Error> {
//! let classifier = Classifier::recognise(&weights::builtin())?; // or weights::open("VGG16.npy")?
//! let device = Device::open(&Default::default())?;
//! let method: Method = "hirescam".parse()?;
//! let wanted = Wanted { classes: 2, score: Score::Logit, ..Wanted::of([method]) };
//! // Plans the passes, compiles the kernels, uploads the weights: once for any number of pictures.
//! let explainer = Explainer::new(&device, &classifier.network, wanted)?;
//!
//! let picture = Picture::open("assets/cat-and-coffee.png")?;
//! let explained = explainer.explain_picture(&picture.rgb, &classifier.top(2))?;
//! for explanation in &explained.explanations {
//!     let overlay = draw::overlay(explanation.maps()[0], &explained.seen);
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

#![cfg_attr(
    not(feature = "cli"),
    allow(dead_code, unused_imports, reason = "some is there for the commands")
)]

// The versions whose pictures and devices the functions here take and give.
pub use {image, wgpu};

mod cores;
pub mod draw;
mod error;
mod named;
mod near;
pub mod weights;

// Public for `low_level` alone, under which the documentation has them.
#[doc(hidden)]
pub mod architectures;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod command;
#[doc(hidden)]
pub mod exact;
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
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod options;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod output;
#[doc(hidden)]
pub mod picture;
#[doc(hidden)]
pub mod plan;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod printable;
#[doc(hidden)]
pub mod score;
#[doc(hidden)]
pub mod sniff;
#[doc(hidden)]
pub mod tuning;

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
    #[doc(inline)]
    pub use crate::named::UnknownName;
    #[doc(no_inline)]
    pub use crate::weights;
    #[doc(inline)]
    pub use crate::{
        architectures, exact, explainer, gpu, kernels, labels, layout, methods, network, picture,
        plan, score, sniff, tuning,
    };
    #[cfg(feature = "cli")]
    #[doc(inline)]
    pub use crate::{cli, command, options, output, printable};

    /// Maps to pictures, with every choice of colours and scales.
    pub mod draw {
        #[cfg(feature = "cli")]
        #[doc(inline)]
        pub use crate::draw::{colorbar, sheet, terminal, text};
        #[doc(inline)]
        pub use crate::draw::{colormap, composite};
    }
}
