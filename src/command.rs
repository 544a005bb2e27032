//! The commands: what `gradcam` does from its arguments to its exit code. Nothing below imports them.

pub mod batch;
pub mod bench;
pub mod console;
pub mod convert;
mod error;
pub mod explain;
pub mod info;
pub mod interrupt;
pub mod merge;
mod network;
pub mod preview;
pub mod show;
pub mod tune;
pub mod vectors;
mod whole_page;

pub use error::Error;
