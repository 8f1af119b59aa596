//! One answer, written straight into the output.

use std::fmt::{self, Display, Write as _};

use owl_egress::policy::{Ruling, Stage, Verdict};
use owl_egress::target::InvalidTarget;

/// What was made of a URL.
pub(super) fn url(out: &mut Vec<u8>, id: Option<&str>, ruling: &Ruling<'_>) {
    head(out, id, ruling.verdict(), ruling.stage(), ruling.rule());
    text(out, ",\"address\":", ruling.address());
    text(out, ",\"range\":", ruling.class());
    text(out, ",\"hint\":", ruling.hint());
    out.extend_from_slice(b"}\n");
}

/// What was made of a bare address.
pub(super) fn ip(out: &mut Vec<u8>, id: Option<&str>, ruling: &Ruling<'_>) {
    head(out, id, ruling.verdict(), ruling.stage(), ruling.rule());
    text(out, ",\"address\":", ruling.address());
    text(out, ",\"tier\":", ruling.class().map(|class| class.tier.name()));
    text(out, ",\"range\":", ruling.class());
    text(out, ",\"hint\":", ruling.hint());
    out.extend_from_slice(b"}\n");
}

/// A URL that is never fetched.
pub(super) fn unusable(out: &mut Vec<u8>, id: Option<&str>, error: &InvalidTarget) {
    head(out, id, error.verdict(), error.stage(), error.rule());
    out.extend_from_slice(b",\"address\":null,\"range\":null,\"hint\":null}\n");
}

/// A bare address that is none.
pub(super) fn no_address(out: &mut Vec<u8>, id: Option<&str>) {
    head(out, id, Verdict::Invalid, Stage::Parse, "not-an-address");
    out.extend_from_slice(b",\"address\":null,\"tier\":null,\"range\":null,\"hint\":null}\n");
}

/// A row that could not be judged.
pub(super) fn error(out: &mut Vec<u8>, id: Option<&str>, line: u64, reason: &str) {
    start(out, id);
    out.extend_from_slice(b",\"line\":");
    out.extend_from_slice(line.to_string().as_bytes());
    text(out, ",\"error\":", Some(format_args!("line {line}: {reason}")));
    out.extend_from_slice(b"}\n");
}

fn start(out: &mut Vec<u8>, id: Option<&str>) {
    out.extend_from_slice(b"{\"id\":");
    out.extend_from_slice(id.unwrap_or("null").as_bytes());
}

fn head(out: &mut Vec<u8>, id: Option<&str>, verdict: Verdict, stage: Stage, rule: &str) {
    start(out, id);
    // None of these needs an escape.
    for (key, value) in [(",\"verdict\":\"", verdict.name()), (",\"stage\":\"", stage.name()), (",\"rule\":\"", rule)] {
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(value.as_bytes());
        out.push(b'"');
    }
}

/// A key and a text, or null.
fn text(out: &mut Vec<u8>, key: &str, value: Option<impl Display>) {
    out.extend_from_slice(key.as_bytes());
    match value {
        Some(value) => {
            out.push(b'"');
            // A vector takes everything.
            let _ = write!(Escaped(out), "{value}");
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// Escapes what goes into a JSON text.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
                0..0x20 => {
                    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                    self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
                }
                _ => self.0.push(byte),
            }
        }
        Ok(())
    }
}
