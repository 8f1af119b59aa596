//! A picture that somebody else made, as one that a model may be shown: what it is, read from its bytes; its size, judged
//! from the header before anything is decoded; then decoded, turned as its EXIF says, scaled down, and written anew.
//!
//! What comes out shares no byte with what came in: no metadata, no colour profile (colours are taken as sRGB), no second
//! file hidden behind the first, no further frame. SVG is not drawn: it is a program that may name other addresses. AVIF
//! and HEIC are refused as long as there is no decoder for them in safe Rust under a free licence.
//!
//! Reading order: this file, `decode` (from bytes to pixels), `encode` (from pixels to bytes that fit).

mod decode;
mod encode;

use std::fmt;

use crate::sniff;

/// A type of picture that can be read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// PNG; of an animated one the default picture.
    Png,
    /// JPEG, CMYK too.
    Jpeg,
    /// WebP; of an animated one the first frame.
    WebP,
    /// GIF: its first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF: its first page.
    Tiff,
}

/// What a picture's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureInfo {
    /// What the bytes are.
    pub format: PictureFormat,
    /// Pixels from left to right, before any EXIF orientation.
    pub width: u32,
    /// Pixels from top to bottom, before any EXIF orientation.
    pub height: u32,
}

/// What is read at most, and what may come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// The most pixels that are decoded.
    pub source_pixels: u64,
    /// The longest side that is decoded, in pixels.
    pub source_side: u32,
    /// What decoding may allocate, in bytes.
    pub allocation: u64,
    /// The longest side that comes out, in pixels.
    pub side: u32,
    /// The most pixels that come out.
    pub pixels: u64,
    /// The most bytes that come out, encoded.
    pub bytes: usize,
}

/// A picture that was written anew.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The encoded picture.
    pub bytes: Vec<u8>,
    /// What the bytes are: `image/png` or `image/jpeg`.
    pub media_type: &'static str,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// What it was made from.
    pub source: PictureInfo,
    /// How large that was, in bytes.
    pub source_bytes: usize,
}

/// Why there is no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureError {
    /// It is of another type; a media type, as far as the bytes tell.
    TypeRefused(&'static str),
    /// Its header says that it is larger than may be decoded; the text says in what.
    TooLarge(&'static str),
    /// It is broken or cut off, or uses what no decoder here knows.
    Damaged(PictureFormat),
    /// It cannot be made small enough for the limit on what comes out.
    DoesNotFit,
}

impl Default for PictureLimits {
    fn default() -> Self {
        Self {
            source_pixels: 50_000_000,
            source_side: 16_384,
            allocation: 256 << 20,
            side: 1568,
            pixels: 1568 * 1568,
            bytes: 4 << 20,
        }
    }
}

impl PictureFormat {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
        }
    }

    /// Whether it holds pixels as they were drawn, such as a screen's, so that JPEG would blur its text.
    fn is_lossless(self) -> bool {
        match self {
            Self::Png | Self::Gif | Self::Bmp | Self::Tiff => true,
            Self::Jpeg | Self::WebP => false,
        }
    }

    fn of(bytes: &[u8]) -> Result<Self, PictureError> {
        let all = [Self::Png, Self::Jpeg, Self::WebP, Self::Gif, Self::Bmp, Self::Tiff];
        let media_type = sniff::binary_type(bytes).unwrap_or_else(|| {
            if sniff::is_svg(bytes) {
                "image/svg+xml"
            } else if sniff::is_pdf(bytes) {
                "application/pdf"
            } else if sniff::root_element(bytes).is_some() {
                "text/html"
            } else {
                "application/octet-stream"
            }
        });
        all.into_iter().find(|format| format.media_type() == media_type).ok_or(PictureError::TypeRefused(media_type))
    }
}

impl PictureError {
    /// The stable name.
    pub fn code(self) -> &'static str {
        match self {
            Self::TypeRefused(_) => "image_type_refused",
            Self::TooLarge(_) => "image_too_large",
            Self::Damaged(_) => "image_damaged",
            Self::DoesNotFit => "image_does_not_fit",
        }
    }
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const READ: &str = "PNG, JPEG, WebP, GIF, BMP and TIFF are";
        match self {
            Self::TypeRefused("image/svg+xml") => f.write_str(
                "this is an SVG, which is not drawn here because it can name other addresses: send it as PNG",
            ),
            Self::TypeRefused(media_type @ ("image/avif" | "image/heic" | "image/heif" | "image/jxl")) => {
                write!(f, "this is {media_type}, for which there is no decoder here: send it as PNG or JPEG")
            }
            Self::TypeRefused("application/octet-stream") => {
                write!(f, "this is no picture of a known type; {READ} read")
            }
            Self::TypeRefused(media_type) => write!(f, "this is {media_type}, which is not read as a picture; {READ}"),
            Self::TooLarge(what) => write!(f, "the picture is too large to be decoded: {what}"),
            Self::Damaged(format) => {
                write!(f, "the picture cannot be read: its {} data is broken or cut off", format.media_type())
            }
            Self::DoesNotFit => f.write_str("the picture cannot be made small enough for the limit on its bytes"),
        }
    }
}

impl std::error::Error for PictureError {}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, media_type, width, height, source, source_bytes } = self;
        f.debug_struct("Picture")
            .field("bytes", &bytes.len())
            .field("media_type", media_type)
            .field("width", width)
            .field("height", height)
            .field("source", source)
            .field("source_bytes", source_bytes)
            .finish()
    }
}

/// What a picture is and how large, from its header. `None` when it is no picture that can be read here.
pub fn identify(bytes: &[u8]) -> Option<PictureInfo> {
    let format = PictureFormat::of(bytes).ok()?;
    decode::info(bytes, format).ok()
}

/// Writes a picture anew, within limits.
///
/// It takes as long as decoding does (about a second for the most pixels of the default limits): not for an
/// asynchronous task.
///
/// # Errors
/// [`PictureError`]: of another type, too large, broken, or not to be made small enough.
pub fn prepare(bytes: &[u8], limits: &PictureLimits) -> Result<Picture, PictureError> {
    let format = PictureFormat::of(bytes)?;
    let source = decode::info(bytes, format)?;
    let pixels = decode::decode(bytes, source, limits)?;
    let encoded = encode::encode(pixels, format.is_lossless(), limits)?;
    Ok(Picture {
        bytes: encoded.bytes,
        media_type: encoded.media_type,
        width: encoded.width,
        height: encoded.height,
        source,
        source_bytes: bytes.len(),
    })
}
