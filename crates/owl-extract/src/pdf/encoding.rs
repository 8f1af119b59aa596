//! What the codes of fonts mean that do not say it themselves: the standard encodings (ISO 32000-1, annex D) and the names
//! of glyphs.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Name and code point, one a line: the Adobe Glyph List for new fonts (github.com/adobe-type-tools/agl-aglfn, BSD-3-Clause,
/// copyright 2002-2019 Adobe), as far as it is about letters, marks and signs.
static GLYPHS: LazyLock<HashMap<&'static str, char>> = LazyLock::new(|| {
    let lines = include_str!("glyphs.txt").lines();
    let entries = lines.filter_map(|line| {
        let (name, code) = line.split_once(' ')?;
        Some((name, char::from_u32(u32::from_str_radix(code, 16).ok()?)?))
    });
    entries.collect()
});

/// The upper half of MacRomanEncoding.
const MAC_ROMAN: &str = "ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»…\u{a0}ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\u{f8ff}ÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ";

/// Codes 0x80 to 0x9f of WinAnsiEncoding.
const WIN_ANSI: &str = "€•‚ƒ„…†‡ˆ‰Š‹Œ•Ž••‘’“”•–—˜™š›œ•žŸ";

/// The upper half of StandardEncoding, from 0xa1.
const STANDARD: &str = "¡¢£⁄¥ƒ§¤'“«‹›ﬁﬂ\0–†‡·\0¶•‚„”»…‰\0¿\0`´ˆ˜¯˘˙¨\0˚¸\0˝˛ˇ—\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0Æ\0ª\0\0\0\0ŁØŒº\0\0\0\0\0æ\0\0\0ı\0\0łøœß";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Standard,
    WinAnsi,
    MacRoman,
}

impl Encoding {
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"StandardEncoding" => Some(Self::Standard),
            b"WinAnsiEncoding" => Some(Self::WinAnsi),
            b"MacRomanEncoding" => Some(Self::MacRoman),
            _ => None,
        }
    }

    /// All its codes.
    pub(super) fn table(self) -> [Option<char>; 256] {
        let mut table = [None; 256];
        for code in 0x20..0x7f_u8 {
            table[usize::from(code)] = Some(char::from(code));
        }
        let mut fill = |from: usize, text: &str| {
            for (at, c) in text.chars().enumerate().filter(|(_, c)| *c != '\0') {
                table[from + at] = Some(c);
            }
        };
        match self {
            Self::WinAnsi => {
                fill(0x80, WIN_ANSI);
                (0xa0..=0xff_u8).for_each(|code| table[usize::from(code)] = Some(char::from(code)));
            }
            Self::MacRoman => fill(0x80, MAC_ROMAN),
            Self::Standard => {
                fill(0xa1, STANDARD);
                table[0x27] = Some('’');
                table[0x60] = Some('‘');
            }
        }
        table
    }
}

/// What a glyph of that name shows: by the list, or by the rules for names that are none of its (`uni20AC`, `f_i`, `a.alt`).
pub(super) fn glyph(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split('.').next().filter(|name| !name.is_empty())?;
    if let Some(c) = GLYPHS.get(name) {
        return Some(c.to_string());
    }
    if let Some(c) = by_number(name) {
        return Some(c.to_string());
    }
    if name.contains('_') {
        return name.split('_').take(8).map(glyph_part).collect();
    }
    ligature(name).map(str::to_owned)
}

fn glyph_part(name: &str) -> Option<char> {
    GLYPHS.get(name).copied().or_else(|| by_number(name))
}

/// Names of TeX's fonts that the list does not have.
fn ligature(name: &str) -> Option<&'static str> {
    Some(match name {
        "ff" => "ff",
        "ffi" => "ffi",
        "ffl" => "ffl",
        "fi" => "fi",
        "fl" => "fl",
        "nbspace" | "visiblespace" => " ",
        "sfthyphen" => "\u{ad}",
        "dotlessj" => "ȷ",
        "angbracketleft" => "⟨",
        "angbracketright" => "⟩",
        _ => return None,
    })
}

fn by_number(name: &str) -> Option<char> {
    let digits = name
        .strip_prefix("uni")
        .and_then(|rest| rest.get(..4))
        .or_else(|| name.strip_prefix('u').filter(|rest| (4..=6).contains(&rest.len())))?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    char::from_u32(u32::from_str_radix(digits, 16).ok()?).filter(|c| *c != '\0')
}
