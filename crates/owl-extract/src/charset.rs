//! From bytes to text, whatever they are encoded in.
//!
//! Asked in this order: a byte order mark, the `Content-Type`, what the document says of itself (`<meta>`, an XML
//! declaration), and last the bytes themselves. What is declared and cannot be true is not believed: pages are declared
//! UTF-8 and are not, and servers call everything ISO-8859-1. Labels are those of the WHATWG Encoding Standard, which
//! knows no UTF-7; every step reads the bytes a fixed number of times.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

use crate::document::Source;

mod declared;

/// How many bytes the detection looks at, from the first that is not ASCII.
const DETECTED_BYTES: usize = 256 * 1024;
/// So many characters beyond ASCII make it certain that valid UTF-8 is UTF-8, whatever two-byte encoding was declared.
const CERTAIN: usize = 16;
/// One broken character in so many sound ones beyond ASCII is an accident and not another encoding.
const ACCIDENT: usize = 20;

/// Where a document may say what it is encoded in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declares {
    /// In a `<meta>` element, or an XML declaration.
    Html,
    /// In an XML declaration.
    Xml,
    /// Nowhere.
    Nothing,
}

/// A text, and what it was encoded in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The text, without a byte order mark; what cannot be decoded is U+FFFD.
    pub text: Cow<'a, str>,
    /// The encoding, by its WHATWG name, such as `UTF-8` or `windows-1251`.
    pub charset: &'static str,
}

/// Decodes a document.
pub fn decode<'a>(source: &Source<'a>, declares: Declares) -> Decoded<'a> {
    if let Some((encoding, mark)) = Encoding::for_bom(source.bytes) {
        return decoded(&source.bytes[mark..], encoding);
    }
    decoded(source.bytes, choose(source, declares))
}

fn decoded<'a>(bytes: &'a [u8], encoding: &'static Encoding) -> Decoded<'a> {
    Decoded { text: encoding.decode_without_bom_handling(bytes).0, charset: encoding.name() }
}

fn choose(source: &Source<'_>, declares: Declares) -> &'static Encoding {
    let bytes = source.bytes;
    let header = source.content_type.and_then(declared::in_header).and_then(known);
    let inside = match declares {
        Declares::Html => declared::in_html(bytes).or_else(|| declared::in_xml(bytes)),
        Declares::Xml => declared::in_xml(bytes),
        Declares::Nothing => None,
    };
    // Inside the document the label was read as ASCII, so it cannot be UTF-16; `x-user-defined` is what the standard says.
    let inside = inside.and_then(known).map(|encoding| match encoding {
        e if e == UTF_16LE || e == UTF_16BE => UTF_8,
        e if e == X_USER_DEFINED => WINDOWS_1252,
        e => e,
    });
    let declared = match (header, inside) {
        (Some(header), Some(inside)) if header != inside => Some(arbitrate(source, header, inside)),
        (header, inside) => header.or(inside),
    };
    match declared {
        Some(encoding) if believable(source, encoding) => encoding,
        _ => detect(source),
    }
}

/// A label's encoding. The `replacement` encoding stands for those that decode nothing, and counts as none.
fn known(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label(label.as_bytes()).filter(|&encoding| encoding != REPLACEMENT)
}

/// Server and document disagree: the server is right by the standard, unless the bytes speak for the document.
fn arbitrate(source: &Source<'_>, header: &'static Encoding, inside: &'static Encoding) -> &'static Encoding {
    if header.is_single_byte() && detect(source) == inside { inside } else { header }
}

/// Whether the bytes can be what they were declared as.
fn believable(source: &Source<'_>, encoding: &'static Encoding) -> bool {
    let bytes = source.bytes;
    if encoding == UTF_8 {
        let found = Utf8::count(bytes);
        return found.broken == 0 || found.accident();
    }
    if encoding == UTF_16LE || encoding == UTF_16BE {
        return true;
    }
    let utf8 = Utf8::count(bytes);
    if utf8.broken == 0 && utf8.sound > 0 && (encoding.is_single_byte() || utf8.sound >= CERTAIN) {
        return false;
    }
    // A wrong two-byte encoding breaks only some characters: another must do clearly better to be taken instead.
    match broken(bytes, encoding) {
        0 => true,
        some => broken(bytes, detect(source)) * 4 > some,
    }
}

/// How many characters cannot be read in this encoding.
fn broken(bytes: &[u8], encoding: &'static Encoding) -> usize {
    let (text, malformed) = encoding.decode_without_bom_handling(bytes);
    if malformed { text.matches(char::REPLACEMENT_CHARACTER).count() } else { 0 }
}

fn detect(source: &Source<'_>) -> &'static Encoding {
    let bytes = source.bytes;
    if let Some(encoding) = utf_16_without_mark(bytes) {
        return encoding;
    }
    let utf8 = Utf8::count(bytes);
    // ISO-2022-JP is ASCII with escape sequences, and so is sound UTF-8.
    let escapes = memchr::memmem::find(bytes, b"\x1b$").is_some();
    if !escapes && (utf8.broken == 0 || utf8.accident()) {
        return UTF_8;
    }
    let from = bytes.iter().position(|b| !b.is_ascii() || *b == 0x1b).unwrap_or(0);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    let part = &bytes[from..bytes.len().min(from + DETECTED_BYTES)];
    detector.feed(part, part.len() == bytes.len() - from);
    let allow = if utf8.broken == 0 { Utf8Detection::Allow } else { Utf8Detection::Deny };
    detector.guess(top_level_domain(source.url).as_deref().map(str::as_bytes), allow)
}

/// Every second byte of the beginning is zero: markup, or Latin text, in UTF-16.
fn utf_16_without_mark(bytes: &[u8]) -> Option<&'static Encoding> {
    let begin = &bytes[..bytes.len().min(512)];
    let zeroes = |from: usize| begin.iter().skip(from).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeroes(0), zeroes(1));
    let most = begin.len() / 2 * 7 / 10;
    match (even, odd) {
        _ if begin.len() < 8 => None,
        (0, odd) if odd >= most => Some(UTF_16LE),
        (even, 0) if even >= most => Some(UTF_16BE),
        _ => None,
    }
}

/// The last label of the host: a hint for short texts. In the form that the detector insists on.
fn top_level_domain(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let label = url.domain()?.trim_end_matches('.').rsplit('.').next()?;
    let fits = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (fits && !label.is_empty()).then(|| label.to_owned())
}

/// Bytes read as UTF-8.
#[derive(Clone, Copy)]
struct Utf8 {
    /// Characters beyond ASCII.
    sound: usize,
    /// Sequences that are none.
    broken: usize,
}

impl Utf8 {
    fn count(bytes: &[u8]) -> Self {
        let mut found = Self { sound: 0, broken: 0 };
        for chunk in bytes.utf8_chunks() {
            // Each character beyond ASCII has one byte that begins it.
            found.sound += chunk.valid().bytes().filter(|b| *b >= 0xc0).count();
            found.broken += usize::from(!chunk.invalid().is_empty());
        }
        found
    }

    /// Some damage, such as a body that was cut in the middle of a character; another encoding would look broken throughout.
    fn accident(self) -> bool {
        self.broken * ACCIDENT <= self.sound || (self.broken == 1 && self.sound >= 2)
    }
}

#[cfg(test)]
mod tests;
