//! The rows of `http.jsonl` about what stands in a body. The others are run by the crate that fetches.

use image::ImageFormat;
use owl_extract::picture::{PictureLimits, prepare};
use owl_extract::{ExtractError, Options, Source, extract};
use serde::Deserialize;
use serde_json::Value;

use crate::pdfs::{self, deflated};
use crate::pictures::encoded;

#[derive(Deserialize)]
struct Row {
    id: String,
    class: String,
    #[serde(default)]
    server: Value,
    #[serde(default)]
    code: String,
    #[serde(default)]
    limits: Value,
}

/// Rows of the same classes that no body is needed for: run where a fetch begins.
const OF_FETCHES: [&str; 2] = ["h105", "h112"];

fn rows() -> Vec<Row> {
    let text = include_str!("../../../owl-egress/tests/cases/http.jsonl");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

#[test]
fn hostile_bodies_get_the_outcome_that_the_row_names() {
    let (mut run, mut wrong) = (0, Vec::new());
    for row in rows() {
        let code = match row.class.as_str() {
            _ if OF_FETCHES.contains(&row.id.as_str()) => continue,
            "image" => picture(&row),
            "document" => document(&row),
            _ => continue,
        };
        if code != row.code {
            wrong.push(format!("{}: {code} instead of {}", row.id, row.code));
        }
        run += 1;
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(run, 10, "rows that were run");
}

#[test]
fn the_limits_are_those_of_the_table() {
    let all = rows();
    let limits = &all.iter().find(|row| row.class == "limits").expect("the limits").limits;
    let default = PictureLimits::default();
    assert_eq!(limits["image_pixels"], default.source_pixels);
    assert_eq!(limits["image_side"], default.source_side);
    assert_eq!(limits["image_alloc_bytes"], default.allocation);
}

fn picture(row: &Row) -> String {
    let bytes = hostile_picture(&row.server);
    match prepare(&bytes, &PictureLimits::default()) {
        Err(error) => error.code().to_owned(),
        Ok(picture) => {
            let hidden = picture.bytes.windows(4).any(|window| window == b"PK\x03\x04" || window == b"iTXt");
            assert!(!hidden, "{}: what comes out is a picture and nothing else", row.id);
            "ok".to_owned()
        }
    }
}

fn document(row: &Row) -> String {
    let (bytes, content_type) = if row.server["pdf"] == "object stream bomb" {
        (object_stream_bomb(), "application/pdf")
    } else if row.server["html"] == "deep nesting 1e6" {
        (["<div>".repeat(1_000_000), "deep".to_owned()].concat().into_bytes(), "text/html")
    } else {
        // "<script>" in UTF-7, which a reader that honours it would see as markup.
        (b"<p>+ADw-script+AD4-alert(1)</p>".to_vec(), "text/html; charset=utf-7")
    };
    let source = Source { bytes: &bytes, content_type: Some(content_type), url: "https://example.com/" };
    match extract(source, &Options::default()) {
        Ok(document) => {
            let expected = if content_type == "text/html" { "deep" } else { "+ADw-script+AD4-alert(1)" };
            assert!(document.text.contains(expected), "{}: {:.200}", row.id, document.text);
            "ok".to_owned()
        }
        Err(error @ ExtractError::TooLarge(_)) => error.code().to_owned(),
        Err(error) => panic!("{}: {error}", row.id),
    }
}

/// An object stream that inflates to a gibibyte.
fn object_stream_bomb() -> Vec<u8> {
    let bomb = pdfs::stream("/Type /ObjStm /N 1 /First 8 /Filter /FlateDecode", &deflated_blanks(1024));
    pdfs::file(&[b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(), bomb], "")
}

/// So many mebibytes of blanks: one compressed one, over and over, since what it refers back to are blanks in any case.
fn deflated_blanks(mebibytes: usize) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 1 << 20]).expect("into memory");
    encoder.flush().expect("into memory");
    let (header, last_block) = (&[0x78, 0xda][..], &[0x03, 0x00][..]);
    [header, &encoder.get_ref().repeat(mebibytes), last_block].concat()
}

fn hostile_picture(server: &Value) -> Vec<u8> {
    let size = |name: &str| {
        let sides = server[name].as_array()?;
        Some((sides[0].as_u64()? as u32, sides[1].as_u64()? as u32))
    };
    if let Some(text) = server["svg"].as_str() {
        return if text.starts_with('<') { text.to_owned() } else { billion_laughs() }.into_bytes();
    }
    if server["polyglot"] == "png+zip" {
        let zip = b"PK\x03\x04\x14\0\0\0\0\0 a small archive behind the picture PK\x05\x06";
        return [&encoded(&image::DynamicImage::new_rgb8(8, 8), ImageFormat::Png)[..], zip].concat();
    }
    if let Some((width, height)) = size("jpeg") {
        return jpeg_header(width as u16, height as u16);
    }
    let (width, height) = size("png").expect("a size");
    match server.get("itxt") {
        None => png_header(width, height),
        Some(_) => png_with_text_bomb(width, height),
    }
}

fn billion_laughs() -> String {
    let entities: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    format!("<?xml version=\"1.0\"?><!DOCTYPE svg [<!ENTITY l0 \"lol\">{entities}]><svg>&l9;</svg>")
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = flate2::Crc::new();
    sum.update(kind);
    sum.update(data);
    [&(data.len() as u32).to_be_bytes()[..], kind, data, &sum.sum().to_be_bytes()].concat()
}

/// A header of that size, and a little of the pixels.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let data = deflated(&[0; 64]);
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &data), &chunk(b"IEND", &[])].concat()
}

/// A whole picture, before whose pixels stands a text that inflates to 100 MiB.
fn png_with_text_bomb(width: u32, height: u32) -> Vec<u8> {
    let whole = encoded(&image::DynamicImage::new_rgb8(width, height), ImageFormat::Png);
    let text = [&b"Comment\0\x01\0\0\0"[..], &deflated_blanks(100)].concat();
    let after_header = 8 + 25;
    [&whole[..after_header], &chunk(b"iTXt", &text), &whole[after_header..]].concat()
}

/// The beginning of a JPEG of that size: quantisation table, frame, scan.
fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let ([h1, h2], [w1, w2]) = (height.to_be_bytes(), width.to_be_bytes());
    let table = [&[0xff, 0xdb, 0, 67, 0][..], &[1; 64]].concat();
    let frame = [0xff, 0xc0, 0, 11, 8, h1, h2, w1, w2, 1, 1, 0x11, 0];
    let scan = [0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0];
    [&[0xff, 0xd8][..], &table, &frame, &scan, &[0; 32]].concat()
}
