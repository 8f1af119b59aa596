//! `ToUnicode`: what the codes of a font mean, in the font's own words (ISO 32000-1, 9.10.3).

use std::collections::HashMap;

use super::object::{Lexer, Object};

/// A text that one code stands for is a ligature at most.
const LONGEST_TEXT: usize = 32;

#[derive(Debug, Default)]
pub(super) struct CMap {
    /// How many bytes a code has, where the map says it.
    pub(super) code_length: Option<usize>,
    single: HashMap<u32, String>,
    /// From, to, and what the first of them means; sorted.
    ranges: Vec<(u32, u32, String)>,
}

impl CMap {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut map = Self::default();
        let mut lexer = Lexer::new(bytes, 0);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(object) = lexer.object() {
            let Object::Word(word) = object else {
                operands.push(object);
                continue;
            };
            match &word[..] {
                b"endcodespacerange" => {
                    let lengths = operands.iter().filter_map(Object::text).map(<[u8]>::len);
                    map.code_length = lengths.chain(map.code_length).filter(|length| (1..=4).contains(length)).min();
                }
                b"endbfchar" => operands.chunks_exact(2).for_each(|pair| map.single(&pair[0], &pair[1])),
                b"endbfrange" => operands.chunks_exact(3).for_each(|three| map.range(&three[0], &three[1], &three[2])),
                _ => {}
            }
            operands.clear();
        }
        map.ranges.sort_by_key(|(from, ..)| *from);
        map
    }

    fn single(&mut self, code: &Object, text: &Object) {
        if let (Some(code), Some(text)) = (code.text().map(number), text.text()) {
            self.single.insert(code, utf16(text));
        }
    }

    fn range(&mut self, from: &Object, to: &Object, text: &Object) {
        let (Some(from), Some(to)) = (from.text().map(number), to.text().map(number)) else { return };
        match text {
            Object::Text(text) if to >= from => self.ranges.push((from, to, utf16(text))),
            Object::Array(texts) => {
                for (code, text) in (from..=to).zip(texts) {
                    self.single.insert(code, utf16(text.text().unwrap_or_default()));
                }
            }
            _ => {}
        }
    }

    /// What a code means.
    pub(super) fn get(&self, code: u32) -> Option<String> {
        if let Some(text) = self.single.get(&code) {
            return Some(text.clone());
        }
        let after = self.ranges.partition_point(|(from, ..)| *from <= code);
        let (from, to, text) = self.ranges.get(after.checked_sub(1)?)?;
        if code > *to {
            return None;
        }
        // The last character counts on.
        let mut text = text.clone();
        let last = text.pop()?;
        text.push(char::from_u32(u32::from(last).saturating_add(code - from))?);
        Some(text)
    }
}

/// A code of up to four bytes.
pub(super) fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

pub(super) fn utf16(bytes: &[u8]) -> String {
    if let [byte] = bytes {
        return char::from(*byte).to_string();
    }
    let units = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).filter_map(Result::ok).filter(|c| *c != '\0').take(LONGEST_TEXT).collect()
}
