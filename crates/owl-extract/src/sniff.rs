//! What bytes are, by the bytes alone: the signatures of files that begin with one. A name or a declared type is never
//! asked.

use memchr::memmem;

/// A signature: where it stands, its bytes, and the media type.
type Signature = (usize, &'static [u8], &'static str);

/// More exact ones first. Sources: the WHATWG MIME Sniffing Standard, and the formats' own specifications.
const SIGNATURES: &[Signature] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBPVP8", "image/webp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypavis", "image/avif"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypheix", "image/heic"),
    (4, b"ftypmif1", "image/heif"),
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (8, b"AVI ", "video/x-msvideo"),
    (8, b"WAVE", "audio/wav"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO", "font/otf"),
    (0, b"\0\x01\0\0\0", "font/ttf"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"MZ\x90\0", "application/vnd.microsoft.portable-executable"),
    (0, b"\0asm", "application/wasm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
];

/// What a zip is when it has an entry of this name.
const IN_ZIP: &[(&[u8], &str)] = &[
    (b"word/document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    (b"xl/workbook", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    (b"ppt/presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    (b"mimetypeapplication/epub+zip", "application/epub+zip"),
    (b"mimetypeapplication/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.spreadsheet"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
];

/// Where a PDF's header may stand, from the beginning: readers allow that much before it.
const PDF_HEADER_WITHIN: usize = 1024;

/// The media type of a file that has a signature, without PDF.
pub(crate) fn binary_type(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"PK\x03\x04") {
        return Some(zip_type(bytes));
    }
    if is_bmp(bytes) {
        return Some("image/bmp");
    }
    let found = SIGNATURES.iter().find(|(at, signature, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(signature)));
    found.map(|(_, _, media_type)| *media_type)
}

pub(crate) fn is_pdf(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(PDF_HEADER_WITHIN)];
    bytes.starts_with(b"%PDF-")
        || (binary_type(bytes).is_none() && memmem::find(head, b"%PDF-").is_some_and(|at| is_before_pdf(&head[..at])))
}

/// Whether bytes do not speak against a PDF that begins behind them: no markup, and no text that merely names the header.
fn is_before_pdf(junk: &[u8]) -> bool {
    junk.iter().all(u8::is_ascii_whitespace) || junk.contains(&0)
}

/// Whether the text is an SVG picture: its root element is `svg`.
pub(crate) fn is_svg(bytes: &[u8]) -> bool {
    root_element(bytes) == Some(b"svg")
}

/// The local name of the first element, behind declarations and comments. `None` where there is no markup.
pub(crate) fn root_element(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    loop {
        let inner = rest.strip_prefix(b"<")?;
        let end = if inner.starts_with(b"!--") {
            memmem::find(inner, b"-->")? + 3
        } else if inner.starts_with(b"?") {
            memmem::find(inner, b"?>")? + 2
        } else if inner.starts_with(b"!") {
            end_of_declaration(inner)?
        } else {
            let length = inner.iter().take_while(|b| is_name_byte(**b)).count();
            let name = &inner[..length];
            let local = name.iter().rposition(|b| *b == b':').map_or(name, |at| &name[at + 1..]);
            return (!local.is_empty()).then_some(local);
        };
        rest = inner[end..].trim_ascii_start();
    }
}

/// The end of `!DOCTYPE … >`, whose subset in brackets may hold `>` as well.
fn end_of_declaration(inner: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'>', inner)?;
    match memchr::memchr(b'[', &inner[..end]) {
        None => Some(end + 1),
        Some(open) => {
            let close = open + memchr::memchr(b']', &inner[open..])?;
            Some(close + memchr::memchr(b'>', &inner[close..])? + 1)
        }
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_' | b'.')
}

/// `BM`, and the header that must follow it: two letters alone begin many a text.
fn is_bmp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BM")
        && bytes.get(6..10) == Some(&[0; 4])
        && bytes.get(14..18).is_some_and(|size| matches!(size, [12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

fn zip_type(bytes: &[u8]) -> &'static str {
    const ENDS: usize = 64 * 1024;
    let head = &bytes[..bytes.len().min(ENDS)];
    let tail = &bytes[bytes.len().saturating_sub(ENDS)..];
    let has = |name: &[u8]| memmem::find(head, name).is_some() || memmem::find(tail, name).is_some();
    IN_ZIP.iter().find(|(name, _)| has(name)).map_or("application/zip", |(_, media_type)| media_type)
}

/// Whether bytes are no text: the first part of them holds a zero, or more of the other control bytes that no text has
/// (WHATWG, "binary data byte") than a slip would leave.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    const LOOKED_AT: usize = 8 * 1024;
    const ONE_SLIP_IN: usize = 100;
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return false;
    }
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    // Terminal escapes and the page break stand in texts.
    let odd = head.iter().filter(|b| matches!(b, 0x01..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)).count();
    head.contains(&0) || odd * ONE_SLIP_IN > head.len()
}
