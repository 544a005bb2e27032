//! Weights files: [`open`] a path and get named tensors that lie in the mapped file. Knows files
//! and nothing of networks.
//!
//! What a file is comes from its first bytes, then from its extension. Each format has one module
//! that turns bytes into the same plain data; nothing in a file is executed, and no size that a
//! file announces is believed before its bytes are there.

mod checksum;
mod content;
mod deflated;
mod digest;
mod element;
mod format;
mod hdf5;
mod in_parts;
mod keras;
mod latin1;
mod module;
mod npy;
mod npz;
mod numpy;
pub mod onnx;
mod opcode;
mod pickle;
mod pickled;
mod safetensors;
mod slots;
mod source;
mod state_dict;
mod tensor;
mod torch;
mod torch_global;
mod zip;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

pub use content::{Content, OtherFormat};
pub use digest::{TENSORFLOW_VGG16_SHA1, hex};
pub use element::DType;
pub use format::Format;
pub use hdf5::Hdf5Error;
pub use in_parts::InPartsError;
pub use keras::KerasError;
pub use module::{Module, Setting};
pub use npy::NpyError;
pub use npz::NpzError;
pub use numpy::NumpyError;
pub use pickle::PickleError;
pub(crate) use safetensors::MAX_HEADER as MAX_SAFETENSORS_HEADER;
pub use safetensors::SafetensorsError;
pub use state_dict::StateDictError;
pub use tensor::{Tensor, TensorError};
pub use torch::TorchError;
pub use zip::ZipError;

use checksum::Checksum;
use format::Reader;
use source::Source;

#[cfg(feature = "builtin")]
static BUILTIN: &[u8] = include_bytes!("../assets/vgg16-everyday.safetensors");

/// The named tensors of a file.
#[derive(Clone, Debug)]
pub struct Weights {
    /// Where they were read from; `None` for the built-in network and for bytes in memory.
    pub path: Option<PathBuf>,
    /// How the file is written.
    pub format: Format,
    /// Tensors of floats by name. A name is the path through the file's dictionaries and lists:
    /// `{'conv1_1': [W, b]}` and `{'conv1_1': {0: W, 1: b}}` give `conv1_1/0` and `conv1_1/1`. Members
    /// of an `.npz` have their names without `.npy`. Of a PyTorch checkpoint the tensors of its
    /// network are here, under the names in its state dict, whatever dictionary holds that.
    pub tensors: BTreeMap<String, Tensor>,
    /// The names in `tensors` in the order of the dictionaries that hold them, which is that in which a program made its
    /// layers; empty for formats without such an order (`.safetensors`, HDF5, ONNX).
    pub order: Vec<String>,
    /// Tensors of other types, by name, for the messages about what is missing.
    pub skipped: BTreeMap<String, Skipped>,
    /// What the file says about itself.
    pub metadata: BTreeMap<String, String>,
    /// What the network computes, where the file says so.
    pub graph: Option<onnx::Graph>,
    /// The modules of a network that was pickled as a whole, in its order.
    pub modules: Vec<Module>,
    /// What was left out or worked out on reading, a sentence each.
    pub notes: Vec<String>,
    checksums: Vec<Checksum>,
    source: Arc<Source>,
}

impl Weights {
    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Length of the file in bytes.
    pub fn byte_len(&self) -> usize {
        self.source.bytes().len()
    }
}

/// A tensor that is not of floats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its type as the file's format names it: `i8`, `I64`, `int64`.
    pub dtype: String,
    /// Length of each dimension.
    pub shape: Vec<usize>,
}

/// What the modules of the formats find in a file.
#[derive(Default)]
struct Contents {
    tensors: BTreeMap<String, Tensor>,
    /// See [`Weights::order`].
    order: Vec<String>,
    skipped: BTreeMap<String, Skipped>,
    metadata: BTreeMap<String, String>,
    graph: Option<onnx::Graph>,
    modules: Vec<Module>,
    notes: Vec<String>,
}

impl Contents {
    /// Adds the next tensor of a format whose order tells something.
    fn push(&mut self, name: String, tensor: Tensor) {
        self.order.push(name.clone());
        self.tensors.insert(name, tensor);
    }

    /// Gives tensors other names, or leaves them out where there is none.
    fn rename(&mut self, changes: &HashMap<String, Option<String>>) {
        let renamed: Vec<_> = changes
            .iter()
            .filter_map(|(name, change)| change.clone().zip(self.tensors.remove(name)))
            .collect();
        self.tensors.extend(renamed);
        let order = std::mem::take(&mut self.order).into_iter();
        self.order = order
            .filter_map(|name| match changes.get(&name) {
                Some(change) => change.clone(),
                None => Some(name),
            })
            .collect();
    }

    /// Those with names that begin with `prefix`, without it.
    fn below(self, prefix: &str) -> Self {
        fn below<T>(named: BTreeMap<String, T>, prefix: &str) -> BTreeMap<String, T> {
            let rest = |(name, value): (String, T)| {
                let name = name.strip_prefix(prefix)?.to_owned();
                Some((name, value))
            };
            named.into_iter().filter_map(rest).collect()
        }
        let order = self.order.iter();
        let order = order.filter_map(|name| Some(name.strip_prefix(prefix)?.to_owned()));
        let modules = self.modules.into_iter().filter_map(|module| {
            let name = module.name.strip_prefix(prefix)?.to_owned();
            Some(Module { name, ..module })
        });
        Self {
            modules: modules.collect(),
            order: order.collect(),
            tensors: below(self.tensors, prefix),
            skipped: below(self.skipped, prefix),
            metadata: self.metadata,
            graph: self.graph,
            notes: self.notes,
        }
    }
}

/// Why weights were not read, with the file's name.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// There is none of that name.
    #[error("no such file: {}; check its name, or give the whole path", path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// None were named, and the program was built without the feature `builtin`.
    #[error("this program was built without a network of its own; name a weights file")]
    NoneBuiltIn,
    /// The system cannot open or map the file.
    #[error("{}: cannot be read: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The path leads to a folder, a pipe or a device.
    #[error(
        "{}: not a file, but a folder, a pipe or a device: give the weights file itself",
        path.display()
    )]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The path leads to a folder that is a network of another program.
    #[error("{}: {format}{}", path.display(), Content::Other(*.format).advice())]
    Folder {
        /// The path.
        path: PathBuf,
        /// Whose.
        format: OtherFormat,
    },
    /// The file was read and is not usable.
    #[error("{}: {error}", path.display())]
    Contents {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ContentsError,
    },
}

/// What is wrong with the bytes of a weights file.
#[derive(Debug, Error)]
pub enum ContentsError {
    /// Something else than the formats that are read.
    #[error("{0}{advice}", advice = .0.advice())]
    Unreadable(Content),
    /// A damaged or unsuitable `.npy` file.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A damaged zip archive, whatever is in it.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// A damaged or unsuitable `.npz` file.
    #[error(transparent)]
    Npz(#[from] NpzError),
    /// A damaged or unsuitable PyTorch file.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// A damaged `.onnx` file, or one whose data beside it cannot be used.
    #[error(transparent)]
    Onnx(#[from] onnx::OnnxError),
    /// A damaged `.safetensors` file.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsError),
    /// A damaged or unsuitable HDF5 file.
    #[error(transparent)]
    Hdf5(#[from] Hdf5Error),
    /// A damaged `.keras` archive.
    #[error(transparent)]
    Keras(#[from] KerasError),
    /// A tensor in parts that cannot be put together.
    #[error(transparent)]
    InParts(#[from] InPartsError),
    /// A whole file without weights.
    #[error("holds no tensor of floats{}", other_types(.skipped))]
    NoTensors {
        /// What it holds instead.
        skipped: BTreeMap<String, Skipped>,
    },
}

fn other_types(skipped: &BTreeMap<String, Skipped>) -> String {
    match skipped.iter().next() {
        Some((name, first)) => format!(
            ", only other types: {name:?} is {}",
            first.dtype.escape_debug()
        ),
        None => String::new(),
    }
}

/// Maps the file at `path` and reads the names, shapes and places of its tensors.
///
/// The file must not be changed while the result or one of its tensors is in use. What an archive stores without compression
/// is not held against its checksum here, but by [`Weights::verify`].
pub fn open(path: impl AsRef<Path>) -> Result<Weights, WeightsError> {
    let path = path.as_ref();
    let source = Source::open(path)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => WeightsError::NotFound {
                path: path.to_owned(),
            },
            _ => WeightsError::Io {
                path: path.to_owned(),
                error,
            },
        })?
        .ok_or_else(|| {
            let path = path.to_owned();
            match content::of_folder(&path) {
                Some(format) => WeightsError::Folder { path, format },
                None => WeightsError::NotAFile { path },
            }
        })?;
    let weights = read(source, Some(path)).map_err(|error| WeightsError::Contents {
        path: path.to_owned(),
        error,
    })?;
    Ok(Weights {
        path: Some(path.to_owned()),
        ..weights
    })
}

/// Reads a file that is already in memory.
pub fn from_bytes(bytes: Vec<u8>) -> Result<Weights, ContentsError> {
    read(Source::Owned(bytes), None)
}

/// The built-in network: a VGG16 for 21 everyday things.
///
/// # Panics
/// Never: the file is a part of the program, and a test opens it.
#[cfg(feature = "builtin")]
pub fn builtin() -> Weights {
    read(Source::Static(BUILTIN), None).expect("the built-in file is whole")
}

/// [`open`], or where no path is given [`builtin`], if the program was built with it.
#[cfg(feature = "cli")]
pub(crate) fn open_or_builtin(path: Option<&Path>) -> Result<Weights, WeightsError> {
    match path {
        Some(path) => open(path),
        #[cfg(feature = "builtin")]
        None => Ok(builtin()),
        #[cfg(not(feature = "builtin"))]
        None => Err(WeightsError::NoneBuiltIn),
    }
}

/// `path`: the file that the bytes are from.
fn read(source: Source, path: Option<&Path>) -> Result<Weights, ContentsError> {
    let source = Arc::new(source);
    let bytes = source.bytes();
    let is_archive = bytes.starts_with(zip::MAGIC);
    let archive = is_archive.then(|| zip::Archive::read(bytes)).transpose()?;
    let content = match &archive {
        Some(archive) => content::of_members(archive.members.iter().map(|member| member.name)),
        None => identify(bytes, path),
    };
    let unreadable = ContentsError::Unreadable(content);
    let Content::Weights(format) = content else {
        return Err(unreadable);
    };
    let mut contents = match (format.reader(), &archive) {
        (Reader::File(read), None) => read(&source, path)?,
        (Reader::Archive(read), Some(archive)) => read(&source, archive)?,
        // Of what begins as an archive, its members tell the format.
        (Reader::File(_), Some(_)) | (Reader::Archive(_), None) => return Err(unreadable),
    };
    let checksums = archive.map_or(vec![], |archive| archive.checksums());
    if format.has_names_alone() {
        in_parts::put_together(&mut contents)?;
        slots::leave_out(&mut contents);
    }
    let Contents {
        tensors,
        order,
        skipped,
        metadata,
        graph,
        modules,
        notes,
    } = contents;
    if tensors.is_empty() && !graph.as_ref().is_some_and(onnx::Graph::makes_weights) {
        return Err(ContentsError::NoTensors { skipped });
    }
    Ok(Weights {
        path: None,
        format,
        tensors,
        order,
        skipped,
        metadata,
        graph,
        modules,
        notes,
        checksums,
        source,
    })
}

/// What a file is by its content, or by its name where that is not certain.
fn identify(bytes: &[u8], path: Option<&Path>) -> Content {
    let text = |name: &OsStr| name.to_str().map(str::to_owned);
    let name = path.and_then(Path::file_name).and_then(text);
    let extension = path.and_then(Path::extension).and_then(text);
    match content::of(&bytes[..bytes.len().min(content::PREFIX)]) {
        Content::Unknown => content::of_end(bytes, &name.unwrap_or_default())
            .or_else(|| content::of_extension(&extension?))
            .unwrap_or(Content::Unknown),
        known => known,
    }
}

/// Whether a path on the command line means weights: by the first bytes of the file, else by its
/// extension, so that a web page named `VGG16.npy` or a file that is not there is reported as bad
/// weights and not as a bad picture.
pub fn looks_like_weights(path: &Path) -> bool {
    if path.is_dir() {
        return content::of_folder(path).is_some();
    }
    let mut prefix = Vec::new();
    // A pipe would wait, and lose what is read from it.
    if let Some(file) = path.is_file().then(|| File::open(path).ok()).flatten() {
        let _ = file.take(content::PREFIX as u64).read_to_end(&mut prefix);
    }
    match content::of(&prefix) {
        Content::Picture(_) => false,
        content if content.is_weights() => true,
        _ => path
            .extension()
            .and_then(OsStr::to_str)
            .is_some_and(content::is_weights_extension),
    }
}

/// A shape as text: `3 x 3 x 64`, or `one element` for the shape of none.
struct Shape<'a>(&'a [usize]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, length) in self.0.iter().enumerate() {
            let separator = if i == 0 { "" } else { " x " };
            write!(f, "{separator}{length}")?;
        }
        if self.0.is_empty() {
            f.write_str("one element")
        } else {
            Ok(())
        }
    }
}
