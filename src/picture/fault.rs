//! What a decoder finds wrong with a picture, before the file's name is put to it.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::iter::successors;

use image::ImageError;

use super::Size;

/// See the variants of the same names of [`PictureError`](super::PictureError).
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    Truncated,
    Damaged(Cow<'static, str>),
    Unsupported(Cow<'static, str>),
    OverLimit,
    TooLarge(Size),
    TooSmall(Size),
}

impl Fault {
    pub(super) const fn damaged(reason: &'static str) -> Self {
        Self::Damaged(Cow::Borrowed(reason))
    }

    pub(super) const fn unsupported(kind: &'static str) -> Self {
        Self::Unsupported(Cow::Borrowed(kind))
    }
}

/// Sorts what a decoder says by what the user can do about it.
impl From<ImageError> for Fault {
    fn from(reason: ImageError) -> Self {
        match reason {
            _ if ran_out(&reason) => Self::Truncated,
            ImageError::Limits(_) => Self::OverLimit,
            ImageError::Unsupported(_) => Self::Unsupported(reason.to_string().into()),
            _ => Self::Damaged(reason.to_string().into()),
        }
    }
}

/// Whether the file ended too early, however deep the decoder has wrapped that.
fn ran_out(reason: &ImageError) -> bool {
    let too_early = |e: &io::Error| e.kind() == io::ErrorKind::UnexpectedEof;
    if let ImageError::IoError(e) = reason {
        return too_early(e);
    }
    successors(reason.source(), |&e| e.source())
        .filter_map(|e| e.downcast_ref::<io::Error>())
        .any(too_early)
}
