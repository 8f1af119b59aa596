//! Pictures: what they are, what is refused, and what comes out.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use owl_extract::picture::{Picture, PictureError, PictureFormat, PictureLimits, identify, prepare};

pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("into memory");
    bytes.into_inner()
}

fn drawing(width: u32, height: u32) -> DynamicImage {
    let colour = |x: u32, y: u32| Rgb([(x * 7 % 256) as u8, (y * 5 % 256) as u8, ((x / 9 + y / 9) % 2 * 255) as u8]);
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, colour))
}

/// Noise, which nothing compresses.
fn noise(width: u32, height: u32) -> DynamicImage {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |_, _| Rgb([next(), next(), next()])))
}

fn prepared(bytes: &[u8]) -> Picture {
    prepare(bytes, &PictureLimits::default()).expect("a picture")
}

fn pixels(picture: &Picture) -> RgbaImage {
    image::load_from_memory(&picture.bytes).expect("what was written can be read").into_rgba8()
}

#[test]
fn every_format_is_known_by_its_bytes_and_comes_out_with_its_size() {
    let formats = [
        (ImageFormat::Png, PictureFormat::Png, "image/png"),
        (ImageFormat::Jpeg, PictureFormat::Jpeg, "image/jpeg"),
        (ImageFormat::WebP, PictureFormat::WebP, "image/jpeg"),
        (ImageFormat::Gif, PictureFormat::Gif, "image/png"),
        (ImageFormat::Bmp, PictureFormat::Bmp, "image/png"),
        (ImageFormat::Tiff, PictureFormat::Tiff, "image/png"),
    ];
    for (format, expected, written) in formats {
        let bytes = encoded(&drawing(40, 30), format);
        let info = identify(&bytes).expect("known");
        assert_eq!((info.format, info.width, info.height), (expected, 40, 30));
        let picture = prepared(&bytes);
        assert_eq!((picture.media_type, picture.width, picture.height), (written, 40, 30), "{format:?}");
        assert_eq!((picture.source, picture.source_bytes), (info, bytes.len()));
        let size = pixels(&picture).dimensions();
        assert_eq!(size, (40, 30));
    }
}

#[test]
fn it_is_scaled_down_to_the_side_and_to_the_number_of_pixels_and_never_up() {
    let check = |from: (u32, u32), side: u32, pixels: u64, expected: (u32, u32)| {
        let bytes = encoded(&drawing(from.0, from.1), ImageFormat::Png);
        let limits = PictureLimits { side, pixels, ..PictureLimits::default() };
        let picture = prepare(&bytes, &limits).expect("a picture");
        assert_eq!((picture.width, picture.height), expected, "{from:?} to {side}, {pixels}");
    };
    check((400, 200), 400, u64::MAX, (400, 200));
    check((400, 200), 399, u64::MAX, (399, 200));
    check((400, 200), 100, u64::MAX, (100, 50));
    check((200, 400), 100, u64::MAX, (50, 100));
    check((400, 200), 1000, 80_000, (400, 200));
    check((400, 200), 1000, 20_000, (200, 100));
    check((3000, 1), 100, u64::MAX, (100, 1));
    check((3000, 1), 0, 0, (1, 1));
}

#[test]
fn what_is_too_large_in_bytes_becomes_a_jpeg_of_less_quality_and_then_of_less_size() {
    let bytes = encoded(&noise(300, 300), ImageFormat::Png);
    let fit = |most: usize| prepare(&bytes, &PictureLimits { bytes: most, ..PictureLimits::default() });
    let whole = fit(1 << 20).expect("fits");
    assert_eq!((whole.media_type, whole.width), ("image/png", 300));
    let less = fit(80_000).expect("fits");
    assert_eq!((less.media_type, less.width), ("image/jpeg", 300));
    let small = fit(10_000).expect("fits");
    assert!(small.width < 300 && small.bytes.len() <= 10_000, "{small:?}");
    assert_eq!(fit(10).expect_err("nothing is that small"), PictureError::DoesNotFit);
}

#[test]
fn transparency_is_kept_and_an_alpha_channel_that_says_nothing_is_not() {
    let clear = RgbaImage::from_fn(20, 20, |x, _| if x < 10 { Rgba([0, 0, 0, 0]) } else { Rgba([10, 20, 30, 255]) });
    let picture = prepared(&encoded(&DynamicImage::ImageRgba8(clear.clone()), ImageFormat::Png));
    assert_eq!(picture.media_type, "image/png");
    assert_eq!(pixels(&picture), clear);
    // What must become a JPEG shows white, not black, where nothing was drawn.
    let mut half = noise(200, 200).into_rgba8();
    half.enumerate_pixels_mut().filter(|(x, ..)| *x < 100).for_each(|(.., pixel)| *pixel = Rgba([0, 0, 0, 0]));
    let limits = PictureLimits { bytes: 20_000, ..PictureLimits::default() };
    let picture = prepare(&encoded(&DynamicImage::ImageRgba8(half), ImageFormat::Png), &limits).expect("fits");
    assert_eq!(picture.media_type, "image/jpeg");
    assert!(pixels(&picture).get_pixel(9, 99).0.iter().all(|channel| *channel > 240));
    let opaque = RgbaImage::from_pixel(20, 20, Rgba([1, 2, 3, 255]));
    let picture = prepared(&encoded(&DynamicImage::ImageRgba8(opaque), ImageFormat::WebP));
    assert_eq!(picture.media_type, "image/jpeg");
}

#[test]
fn the_orientation_is_applied_and_the_metadata_is_gone() {
    let bytes = include_bytes!("../pictures/turned.jpg");
    let holds = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds(bytes, "secret place") && holds(bytes, "Exif"));
    let picture = prepared(bytes);
    assert_eq!((picture.source.width, picture.source.height), (16, 8));
    assert_eq!((picture.width, picture.height), (8, 16));
    // Blue was on the left; turned by a quarter clockwise it is above.
    let seen = pixels(&picture);
    let [red, _, blue, _] = seen.get_pixel(4, 2).0;
    assert!(blue > 150 && red < 90, "{:?}", seen.get_pixel(4, 2));
    let [red, _, blue, _] = seen.get_pixel(4, 13).0;
    assert!(red > 150 && blue < 90, "{:?}", seen.get_pixel(4, 13));
    assert!(!holds(&picture.bytes, "secret place") && !holds(&picture.bytes, "Exif"));
}

#[test]
fn colours_of_every_kind_come_out_as_they_look() {
    // Cyan off, magenta and yellow on: red.
    let red = pixels(&prepared(include_bytes!("../pictures/cmyk.jpg"))).get_pixel(4, 4).0;
    assert!(red[0] > 200 && red[1] < 60 && red[2] < 60, "{red:?}");
    let blue = pixels(&prepared(include_bytes!("../pictures/progressive.jpg"))).get_pixel(2, 4).0;
    assert!(blue[2] > 150 && blue[0] < 90, "{blue:?}");
    let deep = DynamicImage::ImageRgb8(RgbImage::from_pixel(9, 9, Rgb([200, 100, 50]))).into_rgb16();
    let seen = pixels(&prepared(&encoded(&DynamicImage::ImageRgb16(deep), ImageFormat::Png)));
    assert_eq!(seen.get_pixel(4, 4).0, [200, 100, 50, 255]);
    let grey = DynamicImage::ImageLuma8(GrayImage::from_pixel(9, 9, Luma([77])));
    let seen = pixels(&prepared(&encoded(&grey, ImageFormat::Png)));
    assert_eq!(seen.get_pixel(4, 4).0, [77, 77, 77, 255]);
    let floating = DynamicImage::ImageRgb8(RgbImage::from_pixel(9, 9, Rgb([255, 0, 0]))).into_rgb32f();
    let seen = pixels(&prepared(&encoded(&DynamicImage::ImageRgb32F(floating), ImageFormat::Tiff)));
    assert_eq!(seen.get_pixel(4, 4).0, [255, 0, 0, 255]);
}

#[test]
fn the_first_frame_of_an_animation_is_taken() {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    for colour in [Rgba([255, 0, 0, 255]), Rgba([0, 255, 0, 255])] {
        encoder.encode_frame(Frame::new(RgbaImage::from_pixel(12, 12, colour))).expect("into memory");
    }
    drop(encoder);
    let picture = prepared(&bytes);
    assert_eq!((picture.media_type, pixels(&picture).get_pixel(6, 6).0), ("image/png", [255, 0, 0, 255]));
}

#[test]
fn a_file_that_is_cut_off_is_said_to_be() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
        let bytes = encoded(&noise(64, 64), format);
        let cut = &bytes[..bytes.len() / 2];
        match prepare(cut, &PictureLimits::default()) {
            Err(error) => assert_eq!(error.code(), "image_damaged", "{format:?}"),
            // Half a JPEG is half a picture, and is shown as such.
            Ok(picture) => assert_eq!((format, picture.height), (ImageFormat::Jpeg, 64)),
        }
        let begun = prepare(&bytes[..20], &PictureLimits::default()).expect_err("nothing can be seen");
        assert_eq!(begun.code(), "image_damaged", "{format:?}");
    }
}

#[test]
fn what_is_no_picture_is_named() {
    let check = |bytes: &[u8], expected: &str| {
        let error = prepare(bytes, &PictureLimits::default()).expect_err("refused");
        assert_eq!(error.code(), "image_type_refused");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(identify(bytes), None);
    };
    check(b"", "no picture of a known type");
    check(b"hello", "no picture of a known type");
    check(b"%PDF-1.7\n", "application/pdf");
    check(b"<!doctype html><p>hello", "text/html");
    check(b"PK\x03\x04\x14\0", "application/zip");
    check(b"\0\0\0\x20ftypavif\0\0\0\0", "image/avif");
    check(b"\0\0\0\x20ftypheic\0\0\0\0", "image/heic");
    check(b"<?xml version='1.0'?><!-- > --><!DOCTYPE svg [<!ENTITY a '>'>]>\n<s:svg xmlns:s='x'/>", "SVG");
}

#[test]
fn the_memory_of_decoding_is_judged_before_it_is_taken() {
    let limits = |allocation| PictureLimits { allocation, ..PictureLimits::default() };
    let flat = encoded(&drawing(100, 100), ImageFormat::Png);
    assert!(prepare(&flat, &limits(30_000)).is_ok());
    assert_eq!(prepare(&flat, &limits(29_999)).expect_err("too large").code(), "image_too_large");
    // 16 bits a channel, and the copy in 8.
    let deep = encoded(&DynamicImage::ImageRgb16(drawing(100, 100).into_rgb16()), ImageFormat::Png);
    assert!(prepare(&deep, &limits(90_000)).is_ok());
    assert_eq!(prepare(&deep, &limits(89_999)).expect_err("too large").code(), "image_too_large");
    // A progressive JPEG keeps all its coefficients.
    let progressive = include_bytes!("../pictures/progressive.jpg");
    let size = 16 * 8 * 3;
    assert!(prepare(progressive, &limits(size * 3)).is_ok());
    assert_eq!(prepare(progressive, &limits(size * 3 - 1)).expect_err("too large").code(), "image_too_large");
    assert!(prepare(include_bytes!("../pictures/turned.jpg"), &limits(size)).is_ok());
}
