//! What bytes are, by what they begin with. What their server calls them does not count, except for files.

use std::borrow::Cow;

use owl_wire::MediaKind;

use super::failure::MediaProblem;

/// How much is looked at.
const HEAD: usize = 1024;

/// A format: what its type is called, and what it is good for.
type Format = (&'static str, &'static [MediaKind]);

const IMAGE: &[MediaKind] = &[MediaKind::Image, MediaKind::Video];
const VIDEO: &[MediaKind] = &[MediaKind::Video];
const AUDIO: &[MediaKind] = &[MediaKind::Audio];
/// A container that films and sound come in.
const BOTH: &[MediaKind] = &[MediaKind::Video, MediaKind::Audio];
const FILE: &[MediaKind] = &[];

/// Formats by the bytes at an offset. The more exact stand first.
const MAGIC: &[(usize, &[u8], Format)] = &[
    (0, b"\x89PNG\r\n\x1a\n", ("image/png", IMAGE)),
    (0, b"\xff\xd8\xff", ("image/jpeg", IMAGE)),
    (0, b"GIF87a", ("image/gif", IMAGE)),
    (0, b"GIF89a", ("image/gif", IMAGE)),
    (0, b"II*\0", ("image/tiff", IMAGE)),
    (0, b"MM\0*", ("image/tiff", IMAGE)),
    (0, b"\x1aE\xdf\xa3", ("video/webm", BOTH)),
    (0, b"FLV\x01", ("video/x-flv", VIDEO)),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ("video/x-ms-asf", BOTH)),
    (0, b"\0\0\x01\xba", ("video/mpeg", VIDEO)),
    (0, b"\0\0\x01\xb3", ("video/mpeg", VIDEO)),
    (0, b"OggS", ("audio/ogg", BOTH)),
    (0, b"fLaC", ("audio/flac", AUDIO)),
    (0, b"ID3", ("audio/mpeg", AUDIO)),
    (0, b"#!AMR", ("audio/amr", AUDIO)),
    (0, b"caff", ("audio/x-caf", AUDIO)),
    (0, b"%PDF-", ("application/pdf", FILE)),
    (0, b"PK\x03\x04", ("application/zip", FILE)),
    (0, b"\x1f\x8b", ("application/gzip", FILE)),
];

/// The type of `content`, where something of `kind` is expected.
pub(super) fn check(
    kind: MediaKind,
    content: &[u8],
    declared: Option<&str>,
) -> Result<Cow<'static, str>, MediaProblem> {
    let head = &content[..content.len().min(HEAD)];
    let format = format(head);
    if kind == MediaKind::File {
        let known = format.map(|(name, _)| Cow::Borrowed(name));
        // What is inside a zip archive is best known to its server: office documents are such.
        let known = known.filter(|name| name != "application/zip");
        let declared = || declared.and_then(sane).map(Cow::Owned);
        return Ok(known.or_else(declared).unwrap_or(Cow::Borrowed("application/octet-stream")));
    }
    match format {
        Some((name, kinds)) if kinds.contains(&kind) => Ok(Cow::Borrowed(heard(name, kind))),
        None if kind == MediaKind::Image && is_svg(head) => Err(MediaProblem::Svg),
        other => {
            let came = other.map_or_else(|| unknown(head), |(name, _)| name.to_owned());
            Err(MediaProblem::WrongType { expected: kind, came, bytes: content.len() })
        }
    }
}

/// The type of a container in which sound is expected.
fn heard(name: &'static str, kind: MediaKind) -> &'static str {
    match (name, kind) {
        ("video/webm", MediaKind::Audio) => "audio/webm",
        ("video/mp4", MediaKind::Audio) => "audio/mp4",
        ("audio/ogg", MediaKind::Video) => "video/ogg",
        _ => name,
    }
}

fn format(head: &[u8]) -> Option<Format> {
    let found = MAGIC.iter().find(|(offset, magic, _)| head.get(*offset..).is_some_and(|at| at.starts_with(magic)));
    found.map(|(_, _, format)| *format).or_else(|| riff(head)).or_else(|| iso(head)).or_else(|| frames(head))
}

/// RIFF and its like: a name, a length, and the name of what is in it.
fn riff(head: &[u8]) -> Option<Format> {
    match (head.get(..4)?, head.get(8..12)?) {
        (b"RIFF", b"WEBP") => Some(("image/webp", IMAGE)),
        (b"RIFF" | b"RF64", b"WAVE") => Some(("audio/wav", AUDIO)),
        (b"RIFF", b"AVI ") => Some(("video/x-msvideo", VIDEO)),
        (b"FORM", b"AIFF" | b"AIFC") => Some(("audio/aiff", AUDIO)),
        _ => None,
    }
}

/// ISO base media (ISO/IEC 14496-12): MP4, QuickTime, AVIF, HEIC.
fn iso(head: &[u8]) -> Option<Format> {
    let brand = match head.get(4..8)? {
        b"ftyp" => head.get(8..12)?,
        // QuickTime files from before there were brands.
        b"moov" | b"mdat" | b"wide" => return Some(("video/quicktime", BOTH)),
        _ => return None,
    };
    Some(match brand {
        b"avif" | b"avis" => ("image/avif", IMAGE),
        b"heic" | b"heix" | b"heim" | b"heis" => ("image/heic", IMAGE),
        b"mif1" | b"msf1" | b"hevc" | b"hevx" => ("image/heif", IMAGE),
        b"M4A " | b"M4B " | b"M4P " => ("audio/mp4", AUDIO),
        b"qt  " => ("video/quicktime", BOTH),
        _ => ("video/mp4", BOTH),
    })
}

/// Formats that have only a few bits to be known by.
fn frames(head: &[u8]) -> Option<Format> {
    let [first, second, third, ..] = *head else { return None };
    match (first, second) {
        // A BMP has its own length behind these, and four bytes that are 0.
        (b'B', b'M') if head.get(6..10) == Some(&[0; 4][..]) => Some(("image/bmp", IMAGE)),
        // A frame of MPEG audio: eleven bits set, then no reserved version, layer, rate or frequency.
        (0xff, 0xf0 | 0xf1 | 0xf8 | 0xf9) => Some(("audio/aac", AUDIO)),
        (0xff, 0xe2..=0xff)
            if second & 0x18 != 0x08 && second & 0x06 != 0 && third >> 4 != 0xf && third & 0xc != 0xc =>
        {
            Some(("audio/mpeg", AUDIO))
        }
        // A packet of an MPEG transport stream every 188 bytes.
        (0x47, _) if head.get(188) == Some(&0x47) && head.get(376) == Some(&0x47) => Some(("video/mp2t", VIDEO)),
        _ => None,
    }
}

fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    text.trim_start_matches('\u{feff}').trim_start().starts_with('<') && text.contains("<svg")
}

/// What to call bytes that have no format of ours; none of them is shown.
fn unknown(head: &[u8]) -> String {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let begin = text.trim_start_matches('\u{feff}').trim_start();
    let name = if begin.starts_with("<!doctype html") || begin.starts_with("<html") || text.contains("<body") {
        "an HTML page"
    } else if begin.starts_with("<?xml") {
        "XML"
    } else if begin.starts_with(['{', '[']) {
        "JSON"
    } else if !text.contains(['\0', '\u{fffd}']) {
        "text"
    } else {
        "something of an unknown type"
    };
    name.to_owned()
}

/// The type as its server declares it, when that is one, without parameters.
fn sane(declared: &str) -> Option<String> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, name) = essence.split_once('/')?;
    let plain = |text: &str| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_');
        !text.is_empty() && text.len() <= 80 && text.bytes().all(token)
    };
    (plain(kind) && plain(name)).then_some(essence)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PDF: &[u8] = b"%PDF-1.7";

    fn check(kind: MediaKind, content: &[u8], expect: &str) {
        let seen = match super::check(kind, content, Some("Text/Plain; charset=utf-8")) {
            Ok(name) => name.into_owned(),
            Err(problem) => problem.to_string(),
        };
        assert_eq!(seen, expect, "{kind:?} {content:?}");
    }

    #[test]
    fn formats() {
        let iso = |brand: &[u8]| [b"\0\0\0\x20ftyp", brand, b"\0\0\0\0"].concat();
        let riff = |name: &[u8]| [b"RIFF\x10\0\0\0", name].concat();
        for (content, image, video, audio) in [
            (b"\x89PNG\r\n\x1a\n\0".to_vec(), "image/png", "image/png", ""),
            (b"\xff\xd8\xff\xe0".to_vec(), "image/jpeg", "image/jpeg", ""),
            (b"GIF89a".to_vec(), "image/gif", "image/gif", ""),
            (b"BM\x46\0\0\0\0\0\0\0\x36".to_vec(), "image/bmp", "image/bmp", ""),
            (b"II*\0".to_vec(), "image/tiff", "image/tiff", ""),
            (riff(b"WEBP"), "image/webp", "image/webp", ""),
            (iso(b"avif"), "image/avif", "image/avif", ""),
            (iso(b"heic"), "image/heic", "image/heic", ""),
            (iso(b"isom"), "", "video/mp4", "audio/mp4"),
            (iso(b"qt  "), "", "video/quicktime", "video/quicktime"),
            (iso(b"M4A "), "", "", "audio/mp4"),
            (b"\x1aE\xdf\xa3\x01".to_vec(), "", "video/webm", "audio/webm"),
            (riff(b"AVI "), "", "video/x-msvideo", ""),
            (riff(b"WAVE"), "", "", "audio/wav"),
            (b"ID3\x04".to_vec(), "", "", "audio/mpeg"),
            (b"\xff\xfb\x90\x64".to_vec(), "", "", "audio/mpeg"),
            (b"\xff\xf1\x50\x80".to_vec(), "", "", "audio/aac"),
            (b"fLaC\0".to_vec(), "", "", "audio/flac"),
            (b"OggS\0".to_vec(), "", "video/ogg", "audio/ogg"),
        ] {
            for (kind, expect) in [(MediaKind::Image, image), (MediaKind::Video, video), (MediaKind::Audio, audio)] {
                let seen = super::check(kind, &content, Some("text/html"));
                assert_eq!(seen.as_deref().unwrap_or(""), expect, "{kind:?} {content:?}");
            }
        }
    }

    #[test]
    fn what_came_instead() {
        let image = |content: &[u8], expect: &str| check(MediaKind::Image, content, expect);
        let html = "an image was expected, but an HTML page came (21 bytes)";
        image(b"<!DOCTYPE html><p>404", html);
        image(b"{\"token\":1}", "an image was expected, but JSON came (11 bytes)");
        image(b"ami-id\nhostname", "an image was expected, but text came (15 bytes)");
        image(PDF, "an image was expected, but application/pdf came (8 bytes)");
        image(b"\x7fELF\0\xff", "an image was expected, but something of an unknown type came (6 bytes)");
        image(b"BMW is a car.", "an image was expected, but text came (13 bytes)");
        image(b"\xff\xd8", "an image was expected, but something of an unknown type came (2 bytes)");
        let svg = "SVG is not taken, for it may name further URLs; send a PNG or JPEG";
        image(b" <svg xmlns='http://www.w3.org/2000/svg'/>", svg);
        image(b"\xef\xbb\xbf<?xml version='1.0'?><SVG/>", svg);
        check(MediaKind::Audio, b"\x89PNG\r\n\x1a\n", "audio was expected, but image/png came (8 bytes)");
    }

    #[test]
    fn files() {
        check(MediaKind::File, PDF, "application/pdf");
        check(MediaKind::File, b"anything", "text/plain");
        check(MediaKind::File, b"PK\x03\x04", "text/plain");
        for wrong in ["", "text", "text/", "a/b\"c", "a/b/c", "text/ä"] {
            let seen = super::check(MediaKind::File, b"x", Some(wrong));
            assert_eq!(seen.as_deref().unwrap_or(""), "application/octet-stream", "{wrong}");
        }
    }
}
