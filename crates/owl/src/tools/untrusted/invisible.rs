//! What nobody sees is taken out: it hides text from people and shows it to models, or the other way round.
//!
//! Controls and terminal escapes, zero-width and bidirectional characters, tags, variation selectors, fillers. What belongs
//! to a script or an emoji stays: joiners between Persian and Indic letters and in emoji, the emoji selector, the tags of
//! three flags. Marks above and below a letter are bounded.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// How many marks one letter may carry: more than any language writes.
const MARKS: usize = 8;
/// The longest parameters of a terminal escape that goes as a whole, in characters.
const ESCAPE: usize = 64;

const ESC: char = '\u{1b}';
const CSI: char = '\u{9b}';
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const KEYCAP: char = '\u{20e3}';
const BLACK_FLAG: char = '\u{1f3f4}';
/// `gbeng`, `gbsct` and `gbwls` in tags: all the flags that are written with them.
const FLAGS: [&str; 3] = [
    "\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
    "\u{e0067}\u{e0062}\u{e0077}\u{e006c}\u{e0073}\u{e007f}",
];

/// The text without what is invisible; line ends are `\n`.
pub(super) fn without(text: &str) -> Cow<'_, str> {
    match text.bytes().position(|byte| !is_plain(byte)) {
        None => Cow::Borrowed(text),
        Some(plain) => Cow::Owned(Stripping::begin(text, plain).end()),
    }
}

/// Whether the byte is a visible ASCII character, a space, a tab or a line end.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\n' | b'\t')
}

struct Stripping<'a> {
    text: &'a str,
    at: usize,
    kept: String,
    /// The last character that was kept.
    last: Option<char>,
    /// How many marks have been kept since the last letter.
    marks: usize,
}

impl<'a> Stripping<'a> {
    /// The first `plain` bytes are plain.
    fn begin(text: &'a str, plain: usize) -> Self {
        let mut kept = String::with_capacity(text.len());
        kept.push_str(&text[..plain]);
        let last = kept.chars().next_back();
        Self { text, at: plain, kept, last, marks: 0 }
    }

    fn end(mut self) -> String {
        while let Some(c) = self.next() {
            self.step(c);
        }
        self.kept
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn keep(&mut self, c: char) {
        self.kept.push(c);
        self.last = Some(c);
    }

    fn step(&mut self, c: char) {
        match c {
            '\t' | '\n' | ' '..='~' => {
                self.marks = 0;
                self.keep(c);
            }
            '\r' if self.peek() == Some('\n') => {}
            '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                self.marks = 0;
                self.keep('\n');
            }
            ESC if self.peek() == Some('[') => self.skip_escape('['.len_utf8()),
            CSI => self.skip_escape(0),
            NON_JOINER | JOINER if self.joins(c) => self.keep(c),
            '\u{fe0e}' | '\u{fe0f}' if self.selects() => self.keep(c),
            '\u{e0067}' if self.last == Some(BLACK_FLAG) => self.keep_flag(),
            _ if is_invisible(c) => {}
            _ if c.width() == Some(0) => {
                if self.marks < MARKS {
                    self.marks += 1;
                    self.keep(c);
                }
            }
            _ => {
                self.marks = 0;
                self.keep(c);
            }
        }
    }

    /// `ESC [ parameters letter` goes as a whole, for its parameters mean nothing to a reader. Of one that does not end, only
    /// the escape goes.
    fn skip_escape(&mut self, introducer: usize) {
        let rest = &self.text[self.at + introducer..];
        let end = rest.char_indices().take(ESCAPE).find(|(_, c)| !matches!(c, ' '..='?'));
        if let Some((length, '@'..='~')) = end {
            self.at += introducer + length + 1;
        }
    }

    /// Whether a joiner does what it is for: between letters of a script that knows it, or parts of an emoji.
    fn joins(&self, c: char) -> bool {
        let Some(last) = self.last else { return false };
        let of_emoji = is_pictographic(last) || matches!(last, '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}');
        is_joining(last) || (c == JOINER && of_emoji && self.peek().is_some_and(is_pictographic))
    }

    /// Whether a selector chooses between a picture and a text.
    fn selects(&self) -> bool {
        match self.last {
            Some('0'..='9' | '#' | '*') => self.peek() == Some(KEYCAP),
            Some(last) => is_pictographic(last),
            None => false,
        }
    }

    /// Keeps the tags of a flag; those of anything else are letters that nobody sees.
    fn keep_flag(&mut self) {
        let begin = self.at - '\u{e0067}'.len_utf8();
        let flag = FLAGS.into_iter().find(|flag| self.text[begin..].starts_with(flag));
        if let Some(flag) = flag {
            self.kept.push_str(flag);
            self.last = flag.chars().next_back();
            self.at = begin + flag.len();
        }
    }
}

/// Characters without a shape of their own.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Letters and marks of scripts in which joiners change what a word is.
fn is_joining(c: char) -> bool {
    matches!(c,
        '\u{620}'..='\u{7ff}' | '\u{840}'..='\u{dff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17d3}'
        | '\u{1820}'..='\u{18aa}' | '\u{1b00}'..='\u{1bff}' | '\u{a840}'..='\u{a87f}' | '\u{fb50}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefc}' | '\u{11000}'..='\u{1135f}')
}

/// Characters that may be shown as pictures.
fn is_pictographic(c: char) -> bool {
    matches!(c,
        '©' | '®' | '‼' | '⁉' | '™' | 'ℹ' | '〰' | '〽' | '㊗' | '㊙' | '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{23ff}'
        | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
        | '\u{1f000}'..='\u{1faff}')
}
