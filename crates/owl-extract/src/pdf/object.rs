//! The objects that PDF is made of (ISO 32000-1, 7.2 and 7.3), read leniently and never deeper than [`DEEPEST`].

/// How many objects one may hold. What comes after them is left out.
const MOST_ITEMS: usize = 500_000;

/// How deep arrays and dictionaries may stand in each other. Deeper ones are left out.
const DEEPEST: usize = 48;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Object {
    Null,
    Bool(bool),
    Number(f64),
    Name(Vec<u8>),
    Text(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    Reference(u32),
    /// An operator of a content stream, or any other bare word.
    Word(Vec<u8>),
}

/// Sorted by key; of two with one key the first is right.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Dict(Vec<(Vec<u8>, Object)>);

impl Dict {
    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        let at = self.0.partition_point(|(name, _)| &name[..] < key.as_bytes());
        self.0.get(at).filter(|(name, _)| name == key.as_bytes()).map(|(_, value)| value)
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        self.get("Type").and_then(Object::name) == Some(name.as_bytes())
    }
}

impl Object {
    pub(super) fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// A whole number that may count or name something.
    pub(super) fn index(&self) -> Option<usize> {
        let number = self.number().filter(|number| (0.0..4e9).contains(number))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        Some(number as usize)
    }

    pub(super) fn name(&self) -> Option<&[u8]> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }

    pub(super) fn text(&self) -> Option<&[u8]> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn array(&self) -> Option<&[Object]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    pub(super) fn dict(&self) -> Option<&Dict> {
        if let Self::Dict(dict) = self { Some(dict) } else { None }
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0c | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%')
}

/// Reads one object after the other.
pub(super) struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// How many objects the one that is being read holds.
    items: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, items: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                let rest = &self.bytes[self.at..];
                self.at += memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            } else if is_space(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next object; `None` at the end. What is no object is skipped.
    pub(super) fn object(&mut self) -> Option<Object> {
        self.items = 0;
        self.object_at(0)
    }

    fn object_at(&mut self, depth: usize) -> Option<Object> {
        self.items += 1;
        loop {
            self.skip_space();
            let first = self.peek()?;
            let second = self.bytes.get(self.at + 1).copied();
            return Some(match first {
                b'/' => self.name(),
                b'(' => self.literal(),
                b'<' if second == Some(b'<') => self.dict(depth),
                b'<' => self.hexadecimal(),
                b'[' => self.array(depth),
                b'0'..=b'9' | b'+' | b'-' | b'.' => self.number(),
                b')' | b'>' | b']' | b'{' | b'}' => {
                    self.at += 1;
                    continue;
                }
                _ => self.word(),
            });
        }
    }

    fn regular(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|b| is_space(*b) || is_delimiter(*b)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn word(&mut self) -> Object {
        match self.regular() {
            b"true" => Object::Bool(true),
            b"false" => Object::Bool(false),
            b"null" => Object::Null,
            word => Object::Word(word.to_vec()),
        }
    }

    fn name(&mut self) -> Object {
        self.at += 1;
        let raw = self.regular();
        let mut name = Vec::with_capacity(raw.len());
        let mut at = 0;
        while let Some(byte) = raw.get(at) {
            let escaped =
                (*byte == b'#').then(|| Some(hex(*raw.get(at + 1)?)? << 4 | hex(*raw.get(at + 2)?)?)).flatten();
            name.push(escaped.unwrap_or(*byte));
            at += if escaped.is_some() { 3 } else { 1 };
        }
        Object::Name(name)
    }

    /// A number, or `N G R`, a reference.
    fn number(&mut self) -> Object {
        let text = self.regular();
        let number = parse_number(text);
        if text.iter().all(u8::is_ascii_digit)
            && let Ok(index) = u32::try_from(number as i64)
            && let Some(end) = self.end_of_reference()
        {
            self.at = end;
            return Object::Reference(index);
        }
        Object::Number(number)
    }

    /// The end of ` G R` at this place.
    fn end_of_reference(&self) -> Option<usize> {
        let rest = self.bytes.get(self.at..(self.at + 16).min(self.bytes.len()))?;
        let mut at = rest.iter().take_while(|b| is_space(**b)).count();
        let digits = rest[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        at += digits;
        let blank = rest[at..].iter().take_while(|b| is_space(**b)).count();
        at += blank;
        let ends = rest.get(at) == Some(&b'R') && rest.get(at + 1).is_none_or(|b| is_space(*b) || is_delimiter(*b));
        (digits > 0 && blank > 0 && ends).then_some(self.at + at + 1)
    }

    fn literal(&mut self) -> Object {
        self.at += 1;
        let mut text = Vec::new();
        let mut depth = 0_usize;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' if depth == 0 => break,
                b')' => depth -= 1,
                b'\\' => {
                    text.extend(self.escape());
                    continue;
                }
                _ => {}
            }
            text.push(byte);
        }
        Object::Text(text)
    }

    fn escape(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'\r' => {
                self.at += usize::from(self.peek() == Some(b'\n'));
                return None;
            }
            b'\n' => return None,
            b'0'..=b'7' => {
                let mut code = u16::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code << 3 | u16::from(digit - b'0');
                    self.at += 1;
                }
                code.to_le_bytes()[0]
            }
            other => other,
        })
    }

    fn hexadecimal(&mut self) -> Object {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let length = memchr::memchr(b'>', rest).unwrap_or(rest.len());
        self.at += (length + 1).min(rest.len());
        let digits: Vec<u8> = rest[..length].iter().filter_map(|b| hex(*b)).collect();
        Object::Text(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect())
    }

    fn array(&mut self, depth: usize) -> Object {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None => break,
                Some(b']') => {
                    self.at += 1;
                    break;
                }
                // The bracket is passed over, so that what it holds lands here.
                Some(b'[' | b'<') if depth >= DEEPEST => self.at += 1,
                Some(_) => match self.object_at(depth + 1) {
                    Some(Object::Word(word)) if is_behind(&word) => break,
                    Some(item) if self.items < MOST_ITEMS => items.push(item),
                    Some(_) => {}
                    None => break,
                },
            }
        }
        Object::Array(items)
    }

    fn dict(&mut self, depth: usize) -> Object {
        self.at += 2;
        let mut entries: Vec<(Vec<u8>, Object)> = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None => break,
                Some(b'>') => {
                    self.at += 1;
                    self.at += usize::from(self.peek() == Some(b'>'));
                    break;
                }
                Some(b'/') => {
                    let Object::Name(key) = self.name() else { break };
                    self.skip_space();
                    match self.peek() {
                        Some(b'>') | None => {}
                        Some(b'[' | b'<') if depth >= DEEPEST => self.at += 1,
                        Some(_) => {
                            let value = self.object_at(depth + 1).filter(|_| self.items < MOST_ITEMS);
                            entries.extend(value.map(|value| (key, value)));
                        }
                    }
                }
                Some(_) => match self.object_at(depth + 1) {
                    Some(Object::Word(word)) if is_behind(&word) => break,
                    Some(_) => {}
                    None => break,
                },
            }
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Object::Dict(Dict(entries))
    }
}

/// Words that follow an object: whatever is open was never closed.
fn is_behind(word: &[u8]) -> bool {
    matches!(word, b"obj" | b"endobj" | b"stream")
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// As readers do: a second sign or point ends it, and what has no digit is zero.
fn parse_number(text: &[u8]) -> f64 {
    let (mut whole, mut scale, mut seen_point) = (0.0_f64, 1.0_f64, false);
    let negative = text.first() == Some(&b'-');
    for byte in text.iter().skip(usize::from(matches!(text.first(), Some(b'-' | b'+')))).take(40) {
        match byte {
            b'0'..=b'9' => {
                whole = whole * 10.0 + f64::from(byte - b'0');
                if seen_point {
                    scale *= 10.0;
                }
            }
            b'.' if !seen_point => seen_point = true,
            _ => break,
        }
    }
    if negative { -whole / scale } else { whole / scale }
}
