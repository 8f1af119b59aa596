//! JSON, indented. It is rewritten token by token and never becomes a tree: numbers keep their digits, objects the order
//! and the repetition of their keys, and no depth ends the program.

use crate::indent::Indent;

/// Indents a JSON text; `None` when it is none.
pub(crate) fn indent(text: &str) -> Option<String> {
    let mut writer = Writer { out: String::new(), open: Vec::new(), inline: false, indent: Indent::for_text(text) };
    let mut tokens = Tokens { text, at: 0 };
    let mut expected = Expected::Value;
    while let Some(token) = tokens.next()? {
        expected = writer.write(token, expected, &tokens)?;
    }
    (expected == Expected::End).then_some(writer.out)
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    Colon,
    CommaOrClose,
    /// Nothing: the value is whole.
    End,
}

#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Open(char),
    Close(char),
    Colon,
    Comma,
    /// With its quotes.
    Text(&'a str),
    /// A number, `true`, `false` or `null`.
    Scalar(&'a str),
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    /// The next token, `Some(None)` at the end, `None` for what JSON does not have.
    #[expect(clippy::option_option, reason = "the outer one is the error, for `?`")]
    fn next(&mut self) -> Option<Option<Token<'a>>> {
        let rest = self.text[self.at..].trim_start_matches([' ', '\t', '\r', '\n']);
        self.at = self.text.len() - rest.len();
        let Some(first) = rest.bytes().next() else { return Some(None) };
        let (token, length) = match first {
            b'{' => (Token::Open('{'), 1),
            b'[' => (Token::Open('['), 1),
            b'}' => (Token::Close('}'), 1),
            b']' => (Token::Close(']'), 1),
            b':' => (Token::Colon, 1),
            b',' => (Token::Comma, 1),
            b'"' => {
                let length = end_of_text(rest.as_bytes())?;
                (Token::Text(&rest[..length]), length)
            }
            _ => {
                let length = rest.find([' ', '\t', '\r', '\n', ',', ']', '}', ':']).unwrap_or(rest.len());
                let scalar = &rest[..length];
                (is_scalar(scalar).then_some(Token::Scalar(scalar))?, length)
            }
        };
        self.at += length;
        Some(Some(token))
    }

    /// Whether what follows `[` is a short list of scalars, which reads better on one line.
    fn is_short_list(&self) -> bool {
        const SHORT: usize = 100;
        let rest = &self.text.as_bytes()[self.at..];
        let head = &rest[..rest.len().min(SHORT)];
        head.iter().find(|b| matches!(b, b'[' | b'{' | b']')) == Some(&b']')
    }
}

fn end_of_text(quoted: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', &quoted[at..])?;
        if quoted[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
        quoted.get(at)?;
    }
}

fn is_scalar(text: &str) -> bool {
    if matches!(text, "true" | "false" | "null") {
        return true;
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    let mut rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        return whole > 0 && !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    whole > 0 && rest.is_empty()
}

struct Writer {
    out: String,
    /// The brackets that are open.
    open: Vec<char>,
    /// Whether the innermost of them is written on one line.
    inline: bool,
    indent: Indent,
}

impl Writer {
    fn write(&mut self, token: Token<'_>, expected: Expected, tokens: &Tokens<'_>) -> Option<Expected> {
        use Expected::{Colon, CommaOrClose, End, Key, KeyOrClose, Value, ValueOrClose};
        Some(match (token, expected) {
            (Token::Open(bracket), Value | ValueOrClose) => {
                self.place(expected);
                self.out.push(bracket);
                self.open.push(bracket);
                self.inline = bracket == '[' && tokens.is_short_list();
                if bracket == '{' { KeyOrClose } else { ValueOrClose }
            }
            (Token::Close(bracket), ValueOrClose | KeyOrClose | CommaOrClose) => {
                let opened = self.open.pop()?;
                if (opened, bracket) != ('{', '}') && (opened, bracket) != ('[', ']') {
                    return None;
                }
                if expected == CommaOrClose && !self.inline {
                    self.new_line();
                }
                self.inline = false;
                self.out.push(bracket);
                if self.open.is_empty() { End } else { CommaOrClose }
            }
            (Token::Text(text), Key | KeyOrClose) => {
                self.place(ValueOrClose);
                self.push_text(text);
                Colon
            }
            (Token::Text(text), Value | ValueOrClose) => {
                self.place(expected);
                self.push_text(text);
                if self.open.is_empty() { End } else { CommaOrClose }
            }
            (Token::Scalar(text), Value | ValueOrClose) => {
                self.place(expected);
                self.out.push_str(text);
                if self.open.is_empty() { End } else { CommaOrClose }
            }
            (Token::Colon, Colon) => {
                self.out.push_str(": ");
                Value
            }
            (Token::Comma, CommaOrClose) => {
                self.out.push(',');
                if self.open.last() == Some(&'{') { Key } else { ValueOrClose.after_comma() }
            }
            _ => return None,
        })
    }

    /// Goes to where a key, or a value of a list, is written. The value of a key follows it on its line.
    fn place(&mut self, expected: Expected) {
        let after_key = expected == Expected::Value && self.open.last() == Some(&'{');
        if self.open.is_empty() || after_key {
            return;
        }
        if !self.inline {
            self.new_line();
        } else if self.out.ends_with(',') {
            self.out.push(' ');
        }
    }

    fn new_line(&mut self) {
        self.indent.new_line(&mut self.out, self.open.len());
    }

    /// A text with its quotes. Letters and digits that were written as `\u` escapes are written as themselves; nothing
    /// else is touched, so that what is invisible stays visible.
    fn push_text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            self.out.push_str(&rest[..at]);
            rest = &rest[at..];
            let (letter, length) = escaped_letter(rest);
            match letter {
                Some(letter) => self.out.push(letter),
                None => self.out.push_str(&rest[..length]),
            }
            rest = &rest[length..];
        }
        self.out.push_str(rest);
    }
}

impl Expected {
    /// A list that goes on may not end.
    fn after_comma(self) -> Self {
        if self == Self::ValueOrClose { Self::Value } else { self }
    }
}

/// The letter that an escape at the beginning of `text` stands for, and how long the escape is.
fn escaped_letter(text: &str) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let hex = text.get(at..at + 6)?.strip_prefix("\\u")?;
        hex.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(hex, 16).ok())?
    };
    // Two bytes, or what is left when the second begins a longer character.
    let plain = 1 + text[1..].chars().next().map_or(0, char::len_utf8);
    let Some(first) = unit(0) else { return (None, plain) };
    let units = [first, unit(6).unwrap_or(0)];
    match char::decode_utf16(units).next() {
        Some(Ok(letter)) if letter.is_alphanumeric() => (Some(letter), 6 * letter.len_utf16()),
        _ => (None, plain),
    }
}

#[cfg(test)]
mod tests {
    use super::indent;

    #[test]
    fn values_keep_their_digits_order_and_repetition() {
        let text = r#" {"b":1.10,"a":123456789012345678901234567890,"a":-0.5e+10,"list":[1,2,"x"],"empty":{},"none":[],"deep":[{"k":null}]} "#;
        insta::assert_snapshot!(indent(text).expect("JSON"), @r#"
        {
          "b": 1.10,
          "a": 123456789012345678901234567890,
          "a": -0.5e+10,
          "list": [1, 2, "x"],
          "empty": {},
          "none": [],
          "deep": [
            {
              "k": null
            }
          ]
        }
        "#);
    }

    #[test]
    fn escaped_letters_are_read_and_other_escapes_stay() {
        let check = |text: &str, expected: &str| assert_eq!(indent(text).as_deref(), Some(expected));
        check(
            r#""\u043f\u0440\u0438 \ud835\udd38 \u200b \u0022 \n \" \\u0041""#,
            r#""при 𝔸 \u200b \u0022 \n \" \\u0041""#,
        );
        check(r#""\ud800 \u00 \u+041""#, r#""\ud800 \u00 \u+041""#);
        check("\"\\\u{e9}\"", "\"\\\u{e9}\"");
    }

    #[test]
    fn what_is_not_json_is_left_alone() {
        let not = [
            "",
            "{",
            "}",
            "[1,]",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\" 1}",
            "[1 2]",
            "[1}",
            "01a",
            "1.",
            ".5",
            "+1",
            "nul",
            "\"a",
            "\"\\",
            "1 2",
            "{} {}",
            "{\"a\":1}\n{\"a\":2}",
            "[,1]",
            "{\"a\":}",
            "-",
            "1e",
            "'a'",
            "é",
        ];
        for text in not {
            assert_eq!(indent(text), None, "{text}");
        }
    }

    #[test]
    fn no_depth_is_too_deep_and_the_size_stays_in_proportion() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let out = indent(&deep).expect("JSON");
        assert!(out.len() < deep.len() * 6, "{}", out.len());
    }
}
