//! Why a library call failed, as one type.

use crate::architectures::ArchitectureError;
use crate::explainer::ExplainError;
use crate::gpu::GpuError;
use crate::named::UnknownName;
use crate::picture::PictureError;
use crate::weights::WeightsError;

/// Every error that the names at the crate's root return. Each function returns the one of its own step; `?` joins them here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Weights that cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Weights that make no network.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// No device, or one that failed.
    #[error(transparent)]
    Device(#[from] GpuError),
    /// A picture that cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A network that cannot be explained as asked.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// A method, score or another value that is not called so.
    #[error(transparent)]
    Name(#[from] UnknownName),
    /// A result that cannot be written.
    #[error(transparent)]
    Save(#[from] image::ImageError),
}
