//! From bytes to pixels. The header is judged first; only then is anything decoded.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, ImageResult, Limits};

use super::{PictureError, PictureFormat, PictureInfo, PictureLimits};

/// A picture of 8 bits a channel, and how it is to be turned.
pub(super) struct Pixels {
    pub(super) image: DynamicImage,
    pub(super) orientation: Orientation,
}

/// What the header says. Nothing is decoded.
pub(super) fn info(bytes: &[u8], format: PictureFormat) -> Result<PictureInfo, PictureError> {
    guarded(format, || {
        let (width, height) = open(bytes, format)?.dimensions();
        Ok(PictureInfo { format, width, height })
    })
}

pub(super) fn decode(bytes: &[u8], info: PictureInfo, limits: &PictureLimits) -> Result<Pixels, PictureError> {
    let PictureInfo { format, width, height } = info;
    if width.max(height) > limits.source_side {
        return Err(PictureError::TooLarge("a side has more pixels than may be decoded"));
    }
    let area = u64::from(width) * u64::from(height);
    if area > limits.source_pixels {
        return Err(PictureError::TooLarge("it has more pixels than may be decoded"));
    }
    if area == 0 {
        return Err(PictureError::Damaged(format));
    }
    let color = guarded(format, || Ok(open(bytes, format)?.color_type()))?;
    let beside = memory_beside(bytes, format, color, area);
    let decoded = area.saturating_mul(u64::from(color.bytes_per_pixel()));
    if decoded.saturating_add(beside) > limits.allocation {
        return Err(PictureError::TooLarge("decoding it would take more memory than is allowed"));
    }
    guarded(format, || {
        let mut decoder = open(bytes, format)?;
        let mut inner = Limits::no_limits();
        inner.max_image_width = Some(limits.source_side);
        inner.max_image_height = Some(limits.source_side);
        inner.max_alloc = Some(limits.allocation - beside);
        decoder.set_limits(inner)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let image = to_eight_bits(DynamicImage::from_decoder(decoder)?);
        Ok(Pixels { image, orientation })
    })
}

/// What is allocated besides the decoded pixels: the copy in 8 bits a channel, and what the decoder of a format keeps
/// without counting it.
fn memory_beside(bytes: &[u8], format: PictureFormat, color: ColorType, area: u64) -> u64 {
    let copy = match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => 0,
        _ => area * u64::from(color.channel_count()),
    };
    let kept = match format {
        // All coefficients of all components, in 16 bits.
        PictureFormat::Jpeg if is_progressive(bytes) => area * u64::from(color.channel_count()) * 2,
        // Luma and chroma planes, or a second buffer of the frame.
        PictureFormat::WebP => area * 2,
        PictureFormat::Gif => area * 2,
        PictureFormat::Jpeg | PictureFormat::Png | PictureFormat::Bmp | PictureFormat::Tiff => 0,
    };
    copy.saturating_add(kept)
}

/// Whether a JPEG is sent in several scans: its start of frame is not SOF0 or SOF1 (ITU-T T.81, table B.1).
fn is_progressive(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker]) = bytes.get(at..at + 2) {
        match marker {
            0xc0 | 0xc1 => return false,
            0xff => at += 1,
            0x01 | 0xd0..=0xd8 => at += 2,
            0xc2..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return true,
            _ => match bytes.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return true,
            },
        }
    }
    // A header that is not understood is taken for the one that costs more.
    true
}

fn open<'a>(bytes: &'a [u8], format: PictureFormat) -> ImageResult<Box<dyn ImageDecoder + 'a>> {
    let reader = Cursor::new(bytes);
    Ok(match format {
        PictureFormat::Png => Box::new(PngDecoder::new(reader)?),
        PictureFormat::Jpeg => Box::new(JpegDecoder::new(reader)?),
        PictureFormat::WebP => Box::new(WebPDecoder::new(reader)?),
        PictureFormat::Gif => Box::new(GifDecoder::new(reader)?),
        PictureFormat::Bmp => Box::new(BmpDecoder::new(reader)?),
        PictureFormat::Tiff => Box::new(TiffDecoder::new(reader)?),
    })
}

/// Runs a decoder. They return errors for what is broken; should one panic all the same, the picture is broken too.
fn guarded<T>(format: PictureFormat, run: impl FnOnce() -> ImageResult<T>) -> Result<T, PictureError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ImageError::Limits(_))) => {
            Err(PictureError::TooLarge("decoding it would take more memory than is allowed"))
        }
        Ok(Err(_)) | Err(_) => Err(PictureError::Damaged(format)),
    }
}

fn to_eight_bits(image: DynamicImage) -> DynamicImage {
    match image {
        DynamicImage::ImageLuma8(_)
        | DynamicImage::ImageLumaA8(_)
        | DynamicImage::ImageRgb8(_)
        | DynamicImage::ImageRgba8(_) => image,
        DynamicImage::ImageLuma16(_) => DynamicImage::ImageLuma8(image.into_luma8()),
        DynamicImage::ImageLumaA16(_) => DynamicImage::ImageLumaA8(image.into_luma_alpha8()),
        other if other.color().has_alpha() => DynamicImage::ImageRgba8(other.into_rgba8()),
        other => DynamicImage::ImageRgb8(other.into_rgb8()),
    }
}
