//! JSON5 text to a tree in which every key and value knows where it stands.
//!
//! The `json5` crate is the oracle of this parser's tests but has no positions, and `json-five` gives them to tokens only.
//! Refused before any recursion can hurt: more than [`SIZE_LIMIT`] bytes, more than [`DEPTH_LIMIT`] levels. Duplicate keys
//! are kept; `shape.rs` reports them. A tree may hold secrets, so it has no `Debug`.

use super::problem::{KeyPath, Origin, Step};

/// The largest configuration, in bytes.
pub(crate) const SIZE_LIMIT: usize = 1024 * 1024;

/// The deepest nesting of lists and objects.
pub(crate) const DEPTH_LIMIT: usize = 64;

/// A value and where it stands.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) origin: Origin,
    pub(crate) value: Value,
}

/// A JSON5 value.
#[derive(Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

/// A key of an object, where it stands, and its value.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

/// Why a text is not JSON5. Quotes nothing longer than one character: the text may hold secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) help: Option<&'static str>,
}

impl Node {
    /// The value at `path`; of a key that is written twice, the first.
    pub(crate) fn find(&self, path: &KeyPath) -> Option<&Node> {
        path.steps().iter().try_fold(self, |node, step| match (&node.value, step) {
            (Value::Object(members), Step::Key(key)) => Some(&members.iter().find(|member| member.key == *key)?.node),
            (Value::Array(elements), Step::Index(index)) => elements.get(*index),
            _ => None,
        })
    }

    /// Where the value at `path` stands, or else the closest thing around it.
    pub(crate) fn origin_of(&self, path: &KeyPath) -> Origin {
        let mut node = self;
        for length in 1..=path.steps().len() {
            match self.find(&path.up_to(length)) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        node.origin
    }
}

/// Parses a whole text.
pub(crate) fn parse(text: &str) -> Result<Node, SyntaxError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    if text.len() > SIZE_LIMIT {
        return Err(parser.error("the file is larger than 1 MiB", None));
    }
    parser.skip_blank()?;
    if parser.peek().is_none() {
        return Err(parser.error("the file is empty", Some("write at least {}")));
    }
    let node = parser.value()?;
    parser.skip_blank()?;
    match parser.peek() {
        None => Ok(node),
        Some(_) => Err(parser.error("something follows the end of the configuration", Some("remove it"))),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

impl Parser<'_> {
    fn value(&mut self) -> Parsed<Node> {
        let origin = Origin::File { offset: self.at };
        let value = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some(quote @ ('"' | '\'')) => Value::String(self.string(quote)?),
            Some('+' | '-' | '.' | '0'..='9') => self.number()?,
            Some(c) if is_name_start(c) || c == '\\' => self.word()?,
            _ => return Err(self.unexpected("a value")),
        };
        Ok(Node { origin, value })
    }

    fn nested(&mut self, inner: fn(&mut Self) -> Parsed<Value>) -> Parsed<Value> {
        if self.depth == DEPTH_LIMIT {
            return Err(self.error("lists and objects are nested more than 64 levels deep", None));
        }
        self.depth += 1;
        self.next();
        let value = inner(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Parsed<Value> {
        let mut members = Vec::new();
        loop {
            self.skip_blank()?;
            if self.eat('}') {
                return Ok(Value::Object(members));
            }
            let origin = Origin::File { offset: self.at };
            let key = self.key()?;
            self.skip_blank()?;
            if !self.eat(':') {
                return Err(self.unexpected("`:` after the key"));
            }
            self.skip_blank()?;
            members.push(Member { key, origin, node: self.value()? });
            self.skip_blank()?;
            if !self.eat(',') && self.peek() != Some('}') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self) -> Parsed<Value> {
        let mut elements = Vec::new();
        loop {
            self.skip_blank()?;
            if self.eat(']') {
                return Ok(Value::Array(elements));
            }
            elements.push(self.value()?);
            self.skip_blank()?;
            if !self.eat(',') && self.peek() != Some(']') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn key(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(quote @ ('"' | '\'')) => self.string(quote),
            Some(c) if is_name_start(c) || c == '\\' => self.name(),
            _ => Err(self.unexpected("a key or `}`")),
        }
    }

    fn word(&mut self) -> Parsed<Value> {
        let start = self.at;
        let name = self.name()?;
        match (name.as_str(), self.at - start == name.len()) {
            ("null", true) => Ok(Value::Null),
            ("true", true) => Ok(Value::Bool(true)),
            ("false", true) => Ok(Value::Bool(false)),
            ("Infinity", true) => Ok(Value::Number(f64::INFINITY)),
            ("NaN", true) => Ok(Value::Number(f64::NAN)),
            _ => {
                self.at = start;
                Err(self.error("a text without quotes", Some("put it in quotes: \"…\"")))
            }
        }
    }

    /// An identifier as a key; `\u0061` may stand for a letter.
    fn name(&mut self) -> Parsed<String> {
        let mut name = String::new();
        while let Some(c) = self.peek() {
            let allowed = if name.is_empty() { is_name_start } else { is_name_part };
            let start = self.at;
            let c = if c == '\\' {
                self.next();
                if !self.eat('u') {
                    return Err(self.unexpected("`u` after `\\` in a key"));
                }
                let unit = self.hex(4)?;
                char::from_u32(unit).filter(|&c| allowed(c)).ok_or_else(|| {
                    self.at = start;
                    self.error("this escape does not stand for a letter", Some("put the key in quotes"))
                })?
            } else if allowed(c) {
                self.next();
                c
            } else {
                break;
            };
            name.push(c);
        }
        Ok(name)
    }

    fn string(&mut self, quote: char) -> Parsed<String> {
        let start = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                Some(c) if c == quote => {
                    self.next();
                    return Ok(text);
                }
                Some('\\') => self.escape(&mut text)?,
                None | Some('\n' | '\r') => {
                    self.at = start;
                    return Err(self.error("the text that begins here has no closing quote on its line", None));
                }
                Some(c) => {
                    self.next();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Parsed<()> {
        let start = self.at;
        self.next();
        let Some(c) = self.next() else { return Err(self.unexpected("a character after `\\`")) };
        let plain = match c {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0' if !self.peek().is_some_and(|c| c.is_ascii_digit()) => '\0',
            '0'..='9' => {
                self.at = start;
                return Err(self.error("a digit cannot follow `\\`", Some("write a backslash as \\\\")));
            }
            'x' => char::from_u32(self.hex(2)?).unwrap_or('\u{fffd}'),
            'u' => self.unicode_escape(start)?,
            '\r' => {
                self.eat('\n');
                return Ok(());
            }
            '\n' | '\u{2028}' | '\u{2029}' => return Ok(()),
            other => other,
        };
        text.push(plain);
        Ok(())
    }

    fn unicode_escape(&mut self, start: usize) -> Parsed<char> {
        let first = self.hex(4)?;
        let mut code = first;
        if (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u") {
            self.at += 2;
            let second = self.hex(4)?;
            if (0xdc00..0xe000).contains(&second) {
                code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            }
        }
        char::from_u32(code).ok_or_else(|| {
            self.at = start;
            self.error("this escape is half of a surrogate pair", None)
        })
    }

    fn hex(&mut self, digits: usize) -> Parsed<u32> {
        let mut value = 0;
        for _ in 0..digits {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                return Err(self.unexpected("a hexadecimal digit"));
            };
            self.next();
            value = value * 16 + digit;
        }
        Ok(value)
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        let sign = if self.eat('-') {
            -1.0
        } else {
            self.eat('+');
            1.0
        };
        let digits = self.rest();
        let (length, value) = if digits.starts_with("Infinity") {
            (8, Some(f64::INFINITY))
        } else if digits.starts_with("NaN") {
            (3, Some(f64::NAN))
        } else if let Some(hex) = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            let length = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
            let value = hex[..length]
                .bytes()
                .fold(0.0, |value, digit| value * 16.0 + f64::from(char::from(digit).to_digit(16).unwrap_or_default()));
            (2 + length, (length > 0).then_some(value))
        } else {
            let length = decimal_length(digits);
            (length, digits[..length].parse().ok())
        };
        self.at += length;
        let ends = !self.peek().is_some_and(|c| is_name_part(c) || c == '\\' || c == '.');
        match value {
            Some(value) if ends => Ok(Value::Number(sign * value)),
            _ => {
                self.at = start;
                Err(self.error("this is not a number", Some("put a text in quotes: \"…\"")))
            }
        }
    }

    /// Blanks and comments.
    fn skip_blank(&mut self) -> Parsed<()> {
        loop {
            let rest = self.rest();
            if rest.starts_with("//") {
                let is_end = |c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
                self.at += rest.find(is_end).unwrap_or(rest.len());
            } else if let Some(comment) = rest.strip_prefix("/*") {
                match comment.find("*/") {
                    Some(end) => self.at += end + 4,
                    None => return Err(self.error("the comment that begins here has no end", Some("close it with */"))),
                }
            } else if self.peek().is_some_and(is_blank) {
                self.next();
            } else {
                return Ok(());
            }
        }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn unexpected(&self, wanted: &str) -> SyntaxError {
        match self.peek() {
            None => self.error(format!("expected {wanted}, but the file ends here"), None),
            Some(c) => self.error(format!("expected {wanted}, found `{}`", c.escape_debug()), None),
        }
    }

    fn error(&self, message: impl Into<String>, help: Option<&'static str>) -> SyntaxError {
        SyntaxError { offset: self.at, message: message.into(), help }
    }
}

/// How many bytes of `text` are a decimal number without a sign. A leading zero ends it: `010` is not JSON5.
fn decimal_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut length = if bytes.first() == Some(&b'0') { 1 } else { digits(0) };
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if length + fraction == 0 {
            return 0;
        }
        length += 1 + fraction;
    }
    if length > 0 && matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        match digits(length + 1 + sign) {
            0 => {}
            exponent => length += 1 + sign + exponent,
        }
    }
    length
}

fn is_blank(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}'
        | '\u{205f}' | '\u{3000}' | '\u{feff}')
}

fn is_name_start(c: char) -> bool {
    c == '$' || c == '_' || c.is_alphabetic()
}

fn is_name_part(c: char) -> bool {
    is_name_start(c) || c.is_alphanumeric() || matches!(c, '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::*;

    fn to_json(node: &Node) -> Json {
        match &node.value {
            Value::Null => Json::Null,
            Value::Bool(flag) => Json::from(*flag),
            Value::Number(number) => Json::from(*number),
            Value::String(text) => Json::from(text.as_str()),
            Value::Array(nodes) => nodes.iter().map(to_json).collect(),
            Value::Object(members) => {
                members.iter().map(|member| (member.key.clone(), to_json(&member.node))).collect()
            }
        }
    }

    /// The oracle's numbers are integers where they can be; here every number is an `f64`.
    fn as_floats(json: Json) -> Json {
        match json {
            Json::Number(number) => Json::from(number.as_f64()),
            Json::Array(elements) => elements.into_iter().map(as_floats).collect(),
            Json::Object(members) => members.into_iter().map(|(key, value)| (key, as_floats(value))).collect(),
            other => other,
        }
    }

    fn agrees_with_the_oracle(text: &str) {
        let ours = parse(text).ok().map(|node| to_json(&node));
        let theirs = ::json5::from_str::<Json>(text).ok().map(as_floats);
        assert_eq!(ours, theirs, "{text:?}");
    }

    #[test]
    fn special_forms_agree_with_the_oracle() {
        for text in [
            "{}",
            "[]",
            "[1,]",
            "[,]",
            "{,}",
            "{a:1,}",
            "{a:1,,}",
            "{'a':1,\"b\":2,c:3}",
            "{$:1,_:2,ä:3,\\u0061b:4}",
            "null",
            "true",
            "false",
            "nul",
            "1",
            "+1",
            "-1",
            ".5",
            "5.",
            ".",
            "-.5",
            "5.e3",
            "1e3",
            "1E+3",
            "1e",
            "1e+",
            "010",
            "0",
            "00",
            "0.5",
            "0x1F",
            "0XfF",
            "0x",
            "-0x10",
            "1.2.3",
            "1a",
            "0x1g",
            "- 1",
            "--1",
            "1_000",
            "'it\\'s'",
            "\"\\x41\\u00e9\\n\\0\"",
            "'\\01'",
            "'\\1'",
            "'\\q'",
            "'a\\\nb'",
            "'a\\\r\nb'",
            "'a\nb'",
            "'\u{2028}'",
            "'\\ud83e\\udd89'",
            "'unclosed",
            "'\\",
            "'\\x4'",
            "'\\u12'",
            "{a}",
            "{a:}",
            "{a 1}",
            "{1:2}",
            "[1 2]",
            "{a:1 b:2}",
            "// c\n1",
            "/* c */ 1 // d",
            "/* open",
            "/ 1",
            "1 /**/",
            "\u{feff}1",
            "\u{a0}1\u{3000}",
            "1 2",
            "",
            " ",
            "[[[]]]]",
            "{\"\":1}",
            "{a:{b:[{c:null}]}}",
            "[true,false,null]",
            "{null:1,true:2,Infinity:3}",
        ] {
            agrees_with_the_oracle(text);
        }
    }

    #[test]
    fn infinity_and_nan_are_numbers() {
        for (text, expect) in
            [("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY), ("+Infinity", f64::INFINITY)]
        {
            assert!(
                matches!(parse(text).map(|node| node.value), Ok(Value::Number(number)) if number == expect),
                "{text}"
            );
        }
        assert!(matches!(parse("NaN").map(|node| node.value), Ok(Value::Number(number)) if number.is_nan()));
    }

    #[test]
    fn a_flood_of_brackets_is_an_error() {
        let error = parse(&"[".repeat(200_000)).err().expect("refused");
        assert_eq!(
            (error.offset, error.message.as_str()),
            (64, "lists and objects are nested more than 64 levels deep")
        );
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
        let error = parse(&" ".repeat(SIZE_LIMIT + 1)).err().expect("refused");
        assert_eq!(error.message, "the file is larger than 1 MiB");
    }

    /// A JSON value written in one of JSON5's many spellings.
    fn spelt() -> impl Strategy<Value = String> {
        let blank = prop_oneof![Just(""), Just(" "), Just("\n"), Just("/* x */"), Just("// y\n"), Just("\u{a0}")];
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|flag| flag.to_string()),
            any::<i32>().prop_map(|number| number.to_string()),
            any::<u16>().prop_map(|number| format!("0x{number:X}")),
            (-1.0e9..1.0e9_f64).prop_map(|number| format!("{number:e}")),
            any::<String>().prop_map(|text| quoted(&text, '"')),
            any::<String>().prop_map(|text| quoted(&text, '\'')),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            let list = prop::collection::vec((blank.clone(), inner.clone()), 0..5).prop_map(|elements| {
                let mut text = "[".to_owned();
                for (blank, element) in elements {
                    let _ = write!(text, "{blank}{element}{blank},");
                }
                text + "]"
            });
            let key = prop_oneof!["[a-z_$][a-zA-Z0-9_$]{0,6}", any::<String>().prop_map(|text| quoted(&text, '"'))];
            let object = prop::collection::btree_map(key, (blank.clone(), inner), 0..5).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, (b, value))| format!("{b}{key}{b}:{b}{value}")).collect();
                format!("{{{}}}", members.join(","))
            });
            prop_oneof![list, object]
        })
    }

    fn quoted(text: &str, quote: char) -> String {
        let mut out = String::from(quote);
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if c == quote => out.extend(['\\', c]),
                c if c.is_control() => {
                    out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
                }
                c => out.push(c),
            }
        }
        out.push(quote);
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_spelling_agrees_with_the_oracle(text in spelt()) {
            prop_assert!(parse(&text).is_ok(), "{}", text);
            agrees_with_the_oracle(&text);
        }

        #[test]
        fn mutilated_text_agrees_with_the_oracle(text in spelt(), at in any::<prop::sample::Index>(), with in r#"[-+.0-9a-z"'\\{}\[\],:/* ]{0,2}"#) {
            let mut characters: Vec<char> = text.chars().collect();
            let at = at.index(characters.len());
            characters.splice(at..=at, with.chars());
            agrees_with_the_oracle(&characters.into_iter().collect::<String>());
        }
    }
}
