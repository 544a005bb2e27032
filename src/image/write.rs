//! Which formats results are written in, and the writing.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ImageFormat, RgbImage};

use super::PictureError;

/// The formats that pictures are written in, and the extension of each. All hold 24-bit colour: GIF, with its palette, would
/// turn a heatmap into bands.
pub const WRITABLE: [(ImageFormat, &str); 8] = [
    (ImageFormat::Png, "png"),
    (ImageFormat::Jpeg, "jpg"),
    (ImageFormat::WebP, "webp"),
    (ImageFormat::Tiff, "tif"),
    (ImageFormat::Bmp, "bmp"),
    (ImageFormat::Pnm, "ppm"),
    (ImageFormat::Qoi, "qoi"),
    (ImageFormat::Tga, "tga"),
];

/// High enough that its error stays near one level, so that neither the heatmap's steps nor its edges show blocks.
/// The encoder does not subsample colour.
const JPEG_QUALITY: u8 = 95;

/// Whether [`encode`] writes `format`.
pub fn is_writable(format: ImageFormat) -> bool {
    WRITABLE.iter().any(|&(f, _)| f == format)
}

/// The format and extension that results are written in: the one `asked` for by an extension, or the input's own where it is
/// writable, else PNG.
pub fn output_format(
    input: Option<ImageFormat>,
    asked: Option<&str>,
) -> Result<(ImageFormat, &'static str), PictureError> {
    let writable =
        |format: Option<ImageFormat>| WRITABLE.into_iter().find(|&(f, _)| Some(f) == format);
    match asked {
        Some(extension) => writable(ImageFormat::from_extension(extension)).ok_or_else(|| {
            PictureError::Unwritable {
                extension: extension.to_owned(),
            }
        }),
        None => Ok(writable(input).unwrap_or(WRITABLE[0])),
    }
}

/// The bytes of a picture file. Lossless but for JPEG.
pub fn encode(rgb: &RgbImage, format: ImageFormat) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Cursor::new(Vec::new());
    let written = if format == ImageFormat::Jpeg {
        rgb.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))
    } else {
        rgb.write_to(&mut bytes, format)
    };
    written.map_err(|reason| PictureError::Encode {
        format,
        width: rgb.width(),
        height: rgb.height(),
        reason,
    })?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn results_keep_the_inputs_format_where_it_can_be_written() {
        let format = |input| output_format(input, None).unwrap().1;
        assert_eq!(format(Some(ImageFormat::Jpeg)), "jpg");
        assert_eq!(format(Some(ImageFormat::WebP)), "webp");
        assert_eq!(format(Some(ImageFormat::Gif)), "png");
        assert_eq!(format(None), "png");
    }

    #[test]
    fn the_format_asked_for_wins_in_any_spelling() {
        let format = |asked| output_format(Some(ImageFormat::Png), Some(asked)).unwrap();
        assert_eq!(format("jpeg"), (ImageFormat::Jpeg, "jpg"));
        assert_eq!(format("TIFF"), (ImageFormat::Tiff, "tif"));
    }

    #[test]
    fn a_format_that_cannot_be_written_is_refused_with_those_that_can() {
        for asked in ["gif", "avif", "docx", ""] {
            let message = output_format(None, Some(asked)).unwrap_err().to_string();
            assert!(message.contains("png, jpg, webp"), "{message}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let picture = RgbImage::from_fn(9, 5, |x, y| {
            Rgb([20 * x as u8, 50 * y as u8, 10 * (x + y) as u8])
        });
        for (format, extension) in WRITABLE {
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
            assert!(worst.unwrap() <= allowed, "{extension}: {worst:?}");
        }
    }

    #[test]
    fn a_picture_that_the_format_cannot_hold_is_an_error() {
        let wide = RgbImage::new(70_000, 1);
        assert!(matches!(
            encode(&wide, ImageFormat::Jpeg),
            Err(PictureError::Encode { .. })
        ));
    }
}
