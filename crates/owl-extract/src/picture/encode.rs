//! From pixels to bytes that fit: scaled down (Lanczos3), turned, and written as PNG or JPEG.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::{DynamicImage, GrayAlphaImage, GrayImage, ImageEncoder, Rgb, RgbImage, RgbaImage};

use super::decode::Pixels;
use super::{PictureError, PictureLimits};

/// An encoded picture.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    pub(super) media_type: &'static str,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// What a drawn picture may take as PNG before it becomes a JPEG, in bytes.
const LOSSLESS_AT_MOST: usize = 1 << 20;

/// The qualities of JPEG that are tried in turn before a picture is made smaller.
const QUALITIES: [u8; 4] = [85, 70, 55, 40];

/// How often a picture is made smaller, each time to three quarters of its sides: from 1568 pixels to under 10.
const SHRINKS: usize = 18;

pub(super) fn encode(pixels: Pixels, lossless: bool, limits: &PictureLimits) -> Result<Encoded, PictureError> {
    let Pixels { image, orientation } = pixels;
    let (width, height) = fitting(image.width(), image.height(), limits);
    let mut image = without_needless_alpha(resized(image, width, height)?);
    image.apply_orientation(orientation);
    if image.color().has_alpha() || lossless {
        let most = if image.color().has_alpha() { limits.bytes } else { limits.bytes.min(LOSSLESS_AT_MOST) };
        let encoded = png(&image)?;
        if encoded.bytes.len() <= most {
            return Ok(encoded);
        }
    }
    let mut image = on_white(image);
    for _ in 0..=SHRINKS {
        for quality in QUALITIES {
            let encoded = jpeg(&image, quality)?;
            if encoded.bytes.len() <= limits.bytes {
                return Ok(encoded);
            }
        }
        let (width, height) = (image.width() * 3 / 4, image.height() * 3 / 4);
        image = resized(image, width.max(1), height.max(1))?;
    }
    Err(PictureError::DoesNotFit)
}

/// The size that comes out: the same shape, within the limits, and never larger than it was.
fn fitting(width: u32, height: u32, limits: &PictureLimits) -> (u32, u32) {
    let (w, h) = (f64::from(width), f64::from(height));
    let by_side = f64::from(limits.side.max(1)) / w.max(h);
    #[expect(clippy::cast_precision_loss, reason = "a number of pixels is far below 2^52")]
    let by_area = (limits.pixels.max(1) as f64 / (w * h)).sqrt();
    let scale = by_side.min(by_area);
    if scale >= 1.0 {
        return (width, height);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the side before")]
    let scaled = |side: f64| ((side * scale).round() as u32).max(1);
    (scaled(w), scaled(h))
}

fn resized(image: DynamicImage, width: u32, height: u32) -> Result<DynamicImage, PictureError> {
    if (image.width(), image.height()) == (width, height) {
        return Ok(image);
    }
    let (pixel, size) = (pixel_type(&image), (image.width(), image.height()));
    let source = ImageRef::new(size.0, size.1, image.as_bytes(), pixel).map_err(|_| PictureError::DoesNotFit)?;
    let mut target = Image::new(width, height, pixel);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&source, &mut target, &options).map_err(|_| PictureError::DoesNotFit)?;
    let bytes = target.into_vec();
    let made = match pixel {
        PixelType::U8 => GrayImage::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        PixelType::U8x2 => GrayAlphaImage::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8),
        PixelType::U8x3 => RgbImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        _ => RgbaImage::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    made.ok_or(PictureError::DoesNotFit)
}

fn pixel_type(image: &DynamicImage) -> PixelType {
    match image.color().channel_count() {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        _ => PixelType::U8x4,
    }
}

/// Many pictures have an alpha channel that says nothing.
fn without_needless_alpha(image: DynamicImage) -> DynamicImage {
    let channels = usize::from(image.color().channel_count());
    let opaque = || image.as_bytes().chunks_exact(channels).all(|pixel| pixel.last() == Some(&u8::MAX));
    match channels {
        2 if opaque() => DynamicImage::ImageLuma8(image.into_luma8()),
        4 if opaque() => DynamicImage::ImageRgb8(image.into_rgb8()),
        _ => image,
    }
}

/// JPEG has no alpha: what shows through is white, as on a page.
fn on_white(image: DynamicImage) -> DynamicImage {
    if !image.color().has_alpha() {
        return image;
    }
    let source = image.into_rgba8();
    let blend = |channel: u8, alpha: u8| {
        let (channel, alpha) = (u16::from(channel), u16::from(alpha));
        ((channel * alpha + 255 * (255 - alpha)) / 255) as u8
    };
    let flat = RgbImage::from_fn(source.width(), source.height(), |x, y| {
        let [red, green, blue, alpha] = source.get_pixel(x, y).0;
        Rgb([blend(red, alpha), blend(green, alpha), blend(blue, alpha)])
    });
    DynamicImage::ImageRgb8(flat)
}

fn png(image: &DynamicImage) -> Result<Encoded, PictureError> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, PngFilter::Adaptive);
    write(encoder, image)?;
    Ok(Encoded { bytes, media_type: "image/png", width: image.width(), height: image.height() })
}

fn jpeg(image: &DynamicImage, quality: u8) -> Result<Encoded, PictureError> {
    let mut bytes = Vec::new();
    write(JpegEncoder::new_with_quality(&mut bytes, quality), image)?;
    Ok(Encoded { bytes, media_type: "image/jpeg", width: image.width(), height: image.height() })
}

/// Both encoders fail only for sizes or colours that do not come here: this writes into memory.
fn write(encoder: impl ImageEncoder, image: &DynamicImage) -> Result<(), PictureError> {
    let (width, height, color) = (image.width(), image.height(), image.color().into());
    encoder.write_image(image.as_bytes(), width, height, color).map_err(|_| PictureError::DoesNotFit)
}
