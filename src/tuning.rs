//! Tuning: what a network's convolutions take on a device, kernel by kernel, and its pictures by how many go through at once,
//! measured and kept in a file.
//!
//! Times are of one adapter with one driver and of the kernels of one version of the program: a file of others is none. Which
//! kernel a layer goes by, and with how many pictures, changes how fast it is and how its sums are rounded, nothing else.

mod batches;
mod file;
mod measure;

pub use batches::{Batches, network_key};
pub use file::{FileError, Tuning, kernels};
pub use measure::{Clock, LayersOfShape, TimedBy, layers, measure, measure_within, there_and_back};
