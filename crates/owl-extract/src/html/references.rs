//! Character references: `&amp;`, `&#233;`, `&#x1F600;`.

use html5ever::data::{C1_REPLACEMENTS, NAMED_ENTITIES};

/// The longest name there is (`CounterClockwiseContourIntegral;`).
const LONGEST_NAME: usize = 32;

/// What a reference stands for: one or two characters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Decoded {
    bytes: [u8; 8],
    length: usize,
}

impl Decoded {
    fn of(characters: &[char]) -> Self {
        let mut decoded = Self::default();
        for c in characters {
            decoded.length += c.encode_utf8(&mut decoded.bytes[decoded.length..]).len();
        }
        decoded
    }

    /// The characters.
    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// What the reference at the beginning of `text` stands for, and how long it is; `None` if it is none.
pub(super) fn decode(text: &str, in_attribute: bool) -> Option<(Decoded, usize)> {
    match text.strip_prefix("&#") {
        Some(number) => decode_number(number).map(|(c, length)| (Decoded::of(&[c]), length + 2)),
        None => decode_name(text.get(1..)?, in_attribute).map(|(decoded, length)| (decoded, length + 1)),
    }
}

/// Adds a value of an attribute with its references decoded.
pub(super) fn decode_attribute(value: &str, out: &mut String) {
    let mut rest = value;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match decode(rest, true) {
            Some((decoded, length)) => {
                out.push_str(decoded.as_str());
                length
            }
            None => {
                out.push('&');
                1
            }
        };
        rest = &rest[length..];
    }
    out.push_str(rest);
}

fn decode_number(text: &str) -> Option<(char, usize)> {
    let (digits, radix) = match text.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (text, 10),
    };
    let count = digits.bytes().take_while(|&byte| char::from(byte).is_digit(radix)).count();
    if count == 0 {
        return None;
    }
    let code = u32::from_str_radix(&digits[..count], radix).unwrap_or(u32::MAX);
    let semicolon = usize::from(digits.as_bytes().get(count) == Some(&b';'));
    let length = text.len() - digits.len() + count + semicolon;
    let c = match code {
        0 => char::REPLACEMENT_CHARACTER,
        // What Windows had in the place of control characters.
        0x80..=0x9f => {
            C1_REPLACEMENTS[(code - 0x80) as usize].or(char::from_u32(code)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        _ => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    Some((c, length))
}

fn decode_name(text: &str, in_attribute: bool) -> Option<(Decoded, usize)> {
    let bytes = text.as_bytes();
    let letters = bytes.iter().take(LONGEST_NAME).take_while(|byte| byte.is_ascii_alphanumeric()).count();
    let longest = letters + usize::from(bytes.get(letters) == Some(&b';'));
    for length in (2..=longest).rev() {
        let Some(&(first, second)) = NAMED_ENTITIES.get(&text[..length]) else { continue };
        let Some(first) = char::from_u32(first).filter(|&c| c != '\0') else { continue };
        let follows = bytes.get(length).is_some_and(|&byte| byte == b'=' || byte.is_ascii_alphanumeric());
        if in_attribute && bytes[length - 1] != b';' && follows {
            return None;
        }
        let second = char::from_u32(second).filter(|&c| c != '\0');
        let decoded = second.map_or_else(|| Decoded::of(&[first]), |second| Decoded::of(&[first, second]));
        return Some((decoded, length));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{decode, decode_attribute};

    #[test]
    fn references_are_decoded() {
        for (text, expect) in [
            ("&amp;", Some(("&", 5))),
            ("&amp", Some(("&", 4))),
            ("&notit;", Some(("¬", 4))),
            ("&notin;", Some(("∉", 7))),
            ("&nGt;", Some(("≫⃒", 5))),
            ("&#233;", Some(("é", 6))),
            ("&#xE9", Some(("é", 5))),
            ("&#x1F600;", Some(("😀", 9))),
            ("&#150;", Some(("–", 6))),
            ("&#0;", Some(("\u{fffd}", 4))),
            ("&#xD800;", Some(("\u{fffd}", 8))),
            ("&#99999999999;", Some(("\u{fffd}", 14))),
            ("&#;", None),
            ("&", None),
            ("&nosuchname;", None),
            ("& b", None),
            ("&é;", None),
        ] {
            let decoded = decode(text, false);
            assert_eq!(decoded.as_ref().map(|(decoded, length)| (decoded.as_str(), *length)), expect, "{text}");
        }
    }

    #[test]
    fn in_attributes_a_name_that_goes_on_is_none() {
        let mut out = String::new();
        decode_attribute("?a=1&copy=2&lt;&copy;&amp", &mut out);
        assert_eq!(out, "?a=1&copy=2<©&");
    }
}
