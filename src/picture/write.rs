//! Pictures as bytes of a file.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::pnm::{PnmEncoder, PnmSubtype, SampleEncoding};
use image::{
    EncodableLayout, ImageBuffer, ImageError, ImageFormat, Luma, PixelWithColorType, RgbImage,
};

use super::PictureError;
use crate::named::named;

named! {
    /// Picture formats that can be written without loss of meaning: a GIF's 256 colours are too few for an overlay.
    pub enum Format {
        /// PNG
        Png = "png",
        /// JPEG, quality 95
        Jpg = "jpg" | "jpeg",
        /// WebP, lossless
        Webp = "webp",
        /// BMP
        Bmp = "bmp",
        /// TIFF
        Tiff = "tiff" | "tif",
        /// TGA
        Tga = "tga",
        /// QOI
        Qoi = "qoi",
        /// PPM, binary
        Ppm = "ppm" | "pnm",
    }
}

impl Format {
    /// The one whose files end so, in any case.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let is_so = |format: &&Self| {
            let mut names = format.names().iter();
            names.any(|name| name.eq_ignore_ascii_case(extension))
        };
        Self::ALL.iter().find(is_so).copied()
    }
}

impl From<Format> for ImageFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Png => Self::Png,
            Format::Jpg => Self::Jpeg,
            Format::Webp => Self::WebP,
            Format::Bmp => Self::Bmp,
            Format::Tiff => Self::Tiff,
            Format::Tga => Self::Tga,
            Format::Qoi => Self::Qoi,
            Format::Ppm => Self::Pnm,
        }
    }
}

/// High enough that its error stays near one level, so that neither the heatmap's steps nor its edges show blocks.
/// The encoder does not subsample colour.
const JPEG_QUALITY: u8 = 95;

/// The bytes of a picture file. Lossless but for JPEG.
pub fn encode(rgb: &RgbImage, format: ImageFormat) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Cursor::new(Vec::new());
    let written = match format {
        ImageFormat::Jpeg => {
            rgb.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
        }
        // Left to itself, the encoder writes the PAM form, which hardly anything reads.
        ImageFormat::Pnm => {
            let ppm = PnmSubtype::Pixmap(SampleEncoding::Binary);
            rgb.write_with_encoder(PnmEncoder::new(&mut bytes).with_subtype(ppm))
        }
        _ => rgb.write_to(&mut bytes, format),
    };
    written.map_err(|reason| encode_error(rgb, format, reason))?;
    Ok(bytes.into_inner())
}

/// Of pictures to look at on a page: half the bytes of [`JPEG_QUALITY`], and no difference to be seen beside it.
const PAGE_QUALITY: u8 = 85;

/// The bytes of a JPEG for a page.
pub fn encode_for_page(rgb: &RgbImage) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut bytes, PAGE_QUALITY);
    let written = rgb.write_with_encoder(encoder);
    written.map_err(|reason| encode_error(rgb, ImageFormat::Jpeg, reason))?;
    Ok(bytes.into_inner())
}

fn encode_error(rgb: &RgbImage, format: ImageFormat, reason: ImageError) -> PictureError {
    PictureError::Encode {
        format,
        width: rgb.width(),
        height: rgb.height(),
        reason,
    }
}

/// The bytes of a PNG of one channel, 8 or 16 bits a pixel.
pub fn encode_grey<S>(grey: &ImageBuffer<Luma<S>, Vec<S>>) -> Result<Vec<u8>, PictureError>
where
    Luma<S>: PixelWithColorType<Subpixel = S>,
    [S]: EncodableLayout,
{
    let mut bytes = Cursor::new(Vec::new());
    let written = grey.write_to(&mut bytes, ImageFormat::Png);
    written.map_err(|reason| PictureError::Encode {
        format: ImageFormat::Png,
        width: grey.width(),
        height: grey.height(),
        reason,
    })?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn what_is_written_is_read_back() {
        let picture = RgbImage::from_fn(9, 5, |x, y| {
            Rgb([20 * x as u8, 50 * y as u8, 10 * (x + y) as u8])
        });
        for &format in Format::ALL {
            let format = ImageFormat::from(format);
            let bytes = encode(&picture, format).unwrap();
            let back = image::load_from_memory_with_format(&bytes, format)
                .unwrap()
                .into_rgb8();
            let worst = picture
                .as_raw()
                .iter()
                .zip(back.as_raw())
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            let allowed = if format == ImageFormat::Jpeg { 8 } else { 0 };
            assert!(worst.unwrap() <= allowed, "{format:?}: {worst:?}");
        }
    }

    #[test]
    fn a_ppm_is_the_binary_form_that_everything_reads() {
        let bytes = encode(&RgbImage::new(3, 2), ImageFormat::Pnm).unwrap();
        assert!(bytes.starts_with(b"P6\n3 2 255\n"), "{bytes:?}");
    }

    #[test]
    fn a_picture_that_the_format_cannot_hold_is_an_error() {
        let wide = RgbImage::new(70_000, 1);
        assert!(matches!(
            encode(&wide, ImageFormat::Jpeg),
            Err(PictureError::Encode { .. })
        ));
    }

    #[test]
    fn every_format_can_be_written_and_has_its_own_extension() {
        for &format in Format::ALL {
            let encoder = ImageFormat::from(format);
            assert!(encoder.writing_enabled(), "{format}");
            assert_eq!(
                ImageFormat::from_extension(format.to_string()),
                Some(encoder)
            );
        }
    }
}
