//! The formats of weights that are read: a row each.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use super::source::Source;
use super::{Contents, ContentsError, hdf5, keras, npy, npz, onnx, safetensors, torch, zip};
use crate::named::named;

named! {
    /// A way to write weights that is read here.
    pub enum Format {
        /// A pickled dictionary of arrays in a `.npy` file
        Npy = "npy",
        /// Arrays in a zip archive
        Npz = "npz",
        /// Safetensors
        Safetensors = "safetensors",
        /// `torch.save`'s zip archive
        Torch = "torch",
        /// `torch.save` before version 1.6
        TorchLegacy = "torch, before 1.6",
        /// A Python pickle of arrays
        Pickle = "pickle",
        /// ONNX
        Onnx = "onnx",
        /// HDF5, as Keras writes
        Hdf5 = "hdf5",
        /// Keras 3's zip archive
        Keras = "keras",
    }
}

/// What is known of a format, beside how its files begin: that is told apart for all kinds of files in one place
/// ([`super::content`]).
struct Row {
    /// With its article, for a sentence.
    words: &'static str,
    /// Of its files, the usual one first.
    extensions: &'static [&'static str],
    /// Whether people are told to bring such a file where theirs is none.
    is_offered: bool,
    /// Whether names are all that says what its tensors are for: those in parts are put together, and an optimiser's left out.
    has_names_alone: bool,
    reader: Reader,
}

/// What makes named tensors of a file.
#[derive(Clone, Copy)]
pub(super) enum Reader {
    /// Of all its bytes, and those of files beside it where its path is known.
    File(fn(&Arc<Source>, Option<&Path>) -> Result<Contents, ContentsError>),
    /// Of the members of a zip archive.
    Archive(fn(&Arc<Source>, &zip::Archive<'_>) -> Result<Contents, ContentsError>),
}

impl Format {
    fn row(self) -> Row {
        match self {
            Self::Npy => Row {
                words: "a .npy file",
                extensions: &["npy"],
                is_offered: true,
                has_names_alone: true,
                reader: Reader::File(|source, _| Ok(npy::read(source)?)),
            },
            Self::Npz => Row {
                words: "an .npz archive of numpy arrays",
                extensions: &["npz"],
                is_offered: true,
                has_names_alone: true,
                reader: Reader::Archive(|source, archive| Ok(npz::read(source, archive)?)),
            },
            Self::Safetensors => Row {
                words: "a safetensors file",
                extensions: &["safetensors"],
                is_offered: true,
                has_names_alone: true,
                reader: Reader::File(|source, _| Ok(safetensors::read(source)?)),
            },
            Self::Torch => Row {
                words: "a PyTorch file",
                extensions: &["pth", "pt", "bin", "ckpt", "pt2"],
                is_offered: true,
                has_names_alone: true,
                reader: Reader::Archive(|source, archive| Ok(torch::read(source, archive)?)),
            },
            Self::TorchLegacy => Row {
                words: "a PyTorch file of the form before 1.6",
                extensions: &["pth", "pt", "bin", "ckpt"],
                is_offered: false,
                has_names_alone: true,
                reader: Reader::File(|source, _| Ok(torch::read_legacy(source)?)),
            },
            Self::Pickle => Row {
                words: "a bare Python pickle",
                extensions: &["pkl", "pickle"],
                is_offered: false,
                has_names_alone: true,
                reader: Reader::File(|source, _| Ok(torch::read_pickle(source)?)),
            },
            Self::Onnx => Row {
                words: "an ONNX model",
                extensions: &["onnx"],
                is_offered: true,
                // A graph says what it does with its tensors.
                has_names_alone: false,
                reader: Reader::File(|source, path| Ok(onnx::read(source, path)?)),
            },
            Self::Hdf5 => Row {
                words: "an HDF5 file, as Keras writes",
                extensions: &["h5", "hdf5"],
                is_offered: true,
                // Keras' layers know no such parts.
                has_names_alone: false,
                reader: Reader::File(|source, _| Ok(hdf5::read(source, 0..source.bytes().len())?)),
            },
            Self::Keras => Row {
                words: "a Keras 3 archive",
                extensions: &["keras"],
                is_offered: true,
                has_names_alone: false,
                reader: Reader::Archive(|source, archive| Ok(keras::read(source, archive)?)),
            },
        }
    }

    /// With its article, for a sentence.
    pub(super) fn words(self) -> &'static str {
        self.row().words
    }

    pub(super) fn has_extension(self, extension: &str) -> bool {
        let mut extensions = self.row().extensions.iter();
        extensions.any(|known| known.eq_ignore_ascii_case(extension))
    }

    pub(super) fn has_names_alone(self) -> bool {
        self.row().has_names_alone
    }

    pub(super) fn reader(self) -> Reader {
        self.row().reader
    }
}

/// What to bring in the place of a file that holds no weights: `give a .npy, .npz or .keras file`.
pub(super) static OFFER: LazyLock<String> = LazyLock::new(|| {
    let rows = Format::ALL.iter().map(|format| format.row());
    let offered = rows.filter(|row| row.is_offered);
    let extensions: Vec<String> = offered
        .map(|row| format!(".{}", row.extensions[0]))
        .collect();
    let (last, others) = extensions.split_last().expect("some format is offered");
    format!("give a {} or {last} file", others.join(", "))
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_bring_is_said_of_the_formats_that_are_offered() {
        assert_eq!(
            *OFFER,
            "give a .npy, .npz, .safetensors, .pth, .onnx, .h5 or .keras file"
        );
    }
}
