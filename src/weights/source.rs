//! The bytes of a weights file, wherever they lie, shared by the tensors that point into them.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

#[cfg(feature = "mmap")]
use memmap2::Mmap;

/// Bytes that stay where they are as long as a tensor points into them.
pub(super) enum Source {
    /// A file on disk: its pages come in when they are touched.
    #[cfg(feature = "mmap")]
    Mapped(Mmap),
    /// A part of the program itself.
    Static(&'static [u8]),
    /// Bytes made in memory.
    Owned(Vec<u8>),
}

impl Source {
    /// The file at `path`; `None` where that leads to a folder, a pipe or a device.
    pub(super) fn open(path: &Path) -> io::Result<Option<Self>> {
        // Before opening: to open a pipe would wait for its writer.
        let metadata = path.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let file = File::open(path)?;
        match metadata.len() {
            0 => Ok(Some(Self::Static(&[]))),
            #[cfg(feature = "mmap")]
            _ => Self::map(&file).map(Some),
            #[cfg(not(feature = "mmap"))]
            _ => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut &file, &mut bytes)?;
                Ok(Some(Self::Owned(bytes)))
            }
        }
    }

    /// Maps the whole of `file`, which must not be empty.
    #[cfg(feature = "mmap")]
    fn map(file: &File) -> io::Result<Self> {
        #[expect(
            unsafe_code,
            reason = "a mapping is the only way to read 553 MB without a second copy"
        )]
        // SAFETY: nobody may shorten or rewrite the file while it is mapped. Programs that save
        // weights write a new file; one that rewrites this file in place makes the kernel stop the
        // process, or wrong numbers: nothing is written here.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self::Mapped(map))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            #[cfg(feature = "mmap")]
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    /// Lets the system drop the mapped pages that hold `range`, and their neighbours' part of them:
    /// whoever touches them again reads them again. Nothing happens to bytes that are not mapped.
    pub(super) fn release(&self, range: Range<usize>) {
        match self {
            #[cfg(feature = "mmap")]
            Self::Mapped(map) => drop_pages(map, range.start, range.len()),
            Self::Static(_) | Self::Owned(_) => {
                let _ = range;
            }
        }
    }
}

#[cfg(all(unix, feature = "mmap"))]
fn drop_pages(map: &Mmap, start: usize, length: usize) {
    let advice = memmap2::UncheckedAdvice::DontNeed;
    #[expect(
        unsafe_code,
        reason = "resident pages beside the copy on the GPU would double the memory needed"
    )]
    // SAFETY: the mapping is shared and read only, so a dropped page comes back from the
    // file with the same bytes. Advice that the system refuses costs memory, nothing else.
    let _ = unsafe { map.unchecked_advise_range(advice, start, length) };
}

/// There is no such advice.
#[cfg(all(not(unix), feature = "mmap"))]
fn drop_pages(_: &Mmap, _: usize, _: usize) {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            #[cfg(feature = "mmap")]
            Self::Mapped(_) => "mapped",
            Self::Static(_) => "static",
            Self::Owned(_) => "owned",
        };
        write!(f, "{} bytes, {kind}", self.bytes().len())
    }
}
