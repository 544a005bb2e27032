//! TIFF.

mod directory;

pub(super) use directory::Directory;
