//! Fonts, as far as text is concerned: which codes a string holds, what they mean, and how wide they are. No glyph is
//! looked at.

use std::collections::HashMap;

use super::cmap::{self, CMap};
use super::encoding::{self, Encoding};
use super::file::File;
use super::object::{Dict, Object};
use crate::document::ExtractError;

/// What reading a font counts, in bytes of a stream.
const ONE_FONT: usize = 16 << 10;

pub(super) struct Font {
    /// How many bytes a code has.
    code_length: usize,
    to_unicode: Option<CMap>,
    /// What the codes of a simple font mean.
    simple: Vec<Option<String>>,
    /// Whether codes are UTF-16, as in the predefined maps of that name.
    is_utf16: bool,
    widths: HashMap<u32, f64>,
    default_width: f64,
    /// What a width is multiplied by: a thousandth, or what a font of drawings says.
    scale: f64,
}

/// A code of a string.
pub(super) struct Glyph {
    /// What it means; empty where nothing is known.
    pub(super) text: String,
    /// How wide it is, for a font of size 1.
    pub(super) width: f64,
    /// Whether it is the one byte that word spacing is for.
    pub(super) is_space: bool,
}

impl Font {
    pub(super) fn read(file: &File<'_>, dict: &Dict) -> Result<Self, ExtractError> {
        file.charge(ONE_FONT)?;
        let to_unicode = match dict.get("ToUnicode") {
            Some(reference) => file.stream(reference)?.map(|bytes| CMap::read(&bytes)),
            None => None,
        };
        if dict.get("Subtype").and_then(Object::name) == Some(b"Type0") {
            return Self::composite(file, dict, to_unicode);
        }
        let mut font = Self {
            code_length: 1,
            to_unicode,
            simple: simple_encoding(file, dict),
            is_utf16: false,
            widths: HashMap::new(),
            default_width: 500.0,
            scale: 0.001,
        };
        let first = file.get(dict, "FirstChar").index().unwrap_or(0);
        if let Some(widths) = file.get(dict, "Widths").array() {
            let numbers = widths.iter().take(256).map(|width| file.resolve(width).number());
            let entries = (first..).zip(numbers).filter_map(|(code, width)| Some((u32::try_from(code).ok()?, width?)));
            font.widths = entries.collect();
        }
        let descriptor = file.get(dict, "FontDescriptor");
        if let Some(missing) =
            descriptor.dict().and_then(|dict| dict.get("MissingWidth")?.number()).filter(|w| *w > 0.0)
        {
            font.default_width = missing;
        } else if dict.get("BaseFont").and_then(Object::name).is_some_and(|name| name.starts_with(b"Courier")) {
            font.default_width = 600.0;
        }
        if let Some(scale) = file.get(dict, "FontMatrix").array().and_then(|matrix| matrix.first()?.number()) {
            font.scale = scale.abs();
        }
        Ok(font)
    }

    /// A font of many glyphs (ISO 32000-1, 9.7).
    fn composite(file: &File<'_>, dict: &Dict, to_unicode: Option<CMap>) -> Result<Self, ExtractError> {
        let encoding = file.get(dict, "Encoding");
        let name = encoding.name().unwrap_or_default();
        let embedded = match dict.get("Encoding") {
            Some(reference @ Object::Reference(_)) if name.is_empty() => {
                file.stream(reference)?.map(|bytes| CMap::read(&bytes))
            }
            _ => None,
        };
        let mut font = Self {
            code_length: embedded.and_then(|map| map.code_length).unwrap_or(2),
            to_unicode,
            simple: Vec::new(),
            is_utf16: name.starts_with(b"Uni") && (has(name, b"UCS2") || has(name, b"UTF16")),
            widths: HashMap::new(),
            default_width: 1000.0,
            scale: 0.001,
        };
        let descendants = file.get(dict, "DescendantFonts");
        let descendant = descendants.array().and_then(<[Object]>::first).map(|first| file.resolve(first));
        if let Some(descendant) = descendant.as_deref().and_then(Object::dict) {
            font.default_width = file.get(descendant, "DW").number().unwrap_or(1000.0);
            if let Some(widths) = file.get(descendant, "W").array() {
                font.take_widths(file, widths);
            }
        }
        Ok(font)
    }

    /// `c [w1 w2 …]` and `from to w` (ISO 32000-1, 9.7.4.3).
    fn take_widths(&mut self, file: &File<'_>, widths: &[Object]) {
        const MOST: usize = 70_000;
        let mut rest = widths;
        while let [first, second, tail @ ..] = rest {
            let Some(first) = first.index().and_then(|first| u32::try_from(first).ok()) else { return };
            let second = file.resolve(second);
            if let Some(list) = second.array() {
                let entries = (first..).zip(list).filter_map(|(code, width)| Some((code, width.number()?)));
                self.widths.extend(entries.take(MOST.saturating_sub(self.widths.len())));
                rest = tail;
            } else {
                let Some((width, tail)) = tail.split_first() else { return };
                if let (Some(last), Some(width)) =
                    (second.index().and_then(|last| u32::try_from(last).ok()), width.number())
                {
                    let room = MOST.saturating_sub(self.widths.len());
                    self.widths.extend((first..=last).take(room).map(|code| (code, width)));
                }
                rest = tail;
            }
        }
    }

    pub(super) fn glyphs<'a>(&'a self, string: &'a [u8]) -> impl Iterator<Item = Glyph> + 'a {
        string.chunks(self.code_length).map(|bytes| {
            let code = cmap::number(bytes);
            let width = self.widths.get(&code).copied().unwrap_or(self.default_width) * self.scale;
            Glyph { text: self.meaning(code, bytes), width, is_space: bytes == b" " }
        })
    }

    fn meaning(&self, code: u32, bytes: &[u8]) -> String {
        if let Some(text) = self.to_unicode.as_ref().and_then(|map| map.get(code)) {
            return text;
        }
        if self.is_utf16 {
            return cmap::utf16(bytes);
        }
        self.simple.get(code as usize).cloned().flatten().unwrap_or_default()
    }
}

fn has(name: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(name, part).is_some()
}

/// The encoding that a simple font names, with its differences.
fn simple_encoding(file: &File<'_>, dict: &Dict) -> Vec<Option<String>> {
    let encoding = file.get(dict, "Encoding");
    let is_true_type = dict.get("Subtype").and_then(Object::name) == Some(b"TrueType");
    let otherwise = if is_true_type { Encoding::WinAnsi } else { Encoding::Standard };
    let named = encoding.name().or_else(|| encoding.dict()?.get("BaseEncoding")?.name());
    let base = named.and_then(Encoding::named).unwrap_or(otherwise);
    let mut table: Vec<Option<String>> = base.table().iter().map(|c| c.map(String::from)).collect();
    let differences = encoding.dict().map(|dict| file.get(dict, "Differences"));
    let mut code = 0;
    for item in differences.as_deref().and_then(Object::array).unwrap_or_default().iter().take(1024) {
        match item {
            Object::Number(_) => code = item.index().unwrap_or(256),
            Object::Name(name) => {
                if let Some(entry) = table.get_mut(code) {
                    *entry = encoding::glyph(name);
                }
                code += 1;
            }
            _ => {}
        }
    }
    table
}
