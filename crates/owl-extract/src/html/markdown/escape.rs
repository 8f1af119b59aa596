//! Text that must not become Markdown, with as few backslashes as that takes.

/// Where a text is written, which decides what in it could be taken for Markdown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// In the text of a link, which a bracket would end.
    pub(super) link: bool,
    /// In the cell of a table, which a bar would end.
    pub(super) cell: bool,
}

/// Appends a word (a text without spaces) to a line.
pub(super) fn push(out: &mut String, word: &str, place: Place) {
    if !word.bytes().any(is_special) {
        out.push_str(word);
        return;
    }
    let mut before = out.chars().next_back();
    let mut last = true;
    for (at, c) in word.char_indices() {
        let rest = &word[at + c.len_utf8()..];
        let after = rest.chars().next();
        let escaped = match c {
            '\\' => after.is_none_or(|after| after.is_ascii_punctuation()),
            '`' => true,
            '*' => !stands_alone(before, after),
            // After a letter it can only end what another began, and none that could is left unescaped.
            '_' => !(stands_alone(before, after) || is_word(before) || (before == Some('_') && !last)),
            '[' => place.link || after == Some('^') || ends_bracket(out),
            ']' => place.link,
            '(' | ':' => ends_bracket(out),
            '<' => after.is_some_and(|after| after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?')),
            '&' => is_entity(rest),
            // One that follows a space cannot end what another began.
            '~' => after == Some('~') || before.is_some_and(|before| !before.is_whitespace()),
            '|' => place.cell,
            _ => false,
        };
        if escaped {
            out.push('\\');
        }
        out.push(c);
        (before, last) = (Some(c), escaped);
    }
}

/// Appends a line, and what it takes that its beginning is no heading, list, quote, rule or table.
pub(super) fn push_line(out: &mut String, line: &str) {
    let at = structure(line).unwrap_or(0);
    let escaped = structure(line).is_some();
    out.push_str(&line[..at]);
    if escaped {
        out.push('\\');
    }
    out.push_str(&line[at..]);
}

/// Where the backslash has to be in a line that begins like a block.
fn structure(line: &str) -> Option<usize> {
    let only = |marks: &str| line.chars().all(|c| marks.contains(c));
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    let is_block = match *line.as_bytes().first()? {
        b'#' => {
            let rest = line.trim_start_matches('#');
            line.len() - rest.len() <= 6 && ends(rest)
        }
        b'>' | b'|' => true,
        b'-' => ends(&line[1..]) || only("-:| "),
        b'+' | b'*' | b'_' => ends(&line[1..]),
        b'=' => only("= "),
        b':' => ends(&line[1..]) || only("-:| "),
        b'[' => line.starts_with("[ ] ") || line.starts_with("[x] "),
        b'0'..=b'9' => {
            let digits = line.bytes().take_while(u8::is_ascii_digit).count();
            let rest = &line[digits..];
            return (digits <= 9 && rest.starts_with(['.', ')']) && ends(&rest[1..])).then_some(digits);
        }
        _ => false,
    };
    is_block.then_some(0)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'\\' | b'`' | b'*' | b'_' | b'[' | b']' | b'(' | b':' | b'<' | b'&' | b'~' | b'|')
}

fn is_word(c: Option<char>) -> bool {
    c.is_some_and(char::is_alphanumeric)
}

fn stands_alone(before: Option<char>, after: Option<char>) -> bool {
    before.is_none_or(char::is_whitespace) && after.is_none()
}

/// Whether a bracket was just closed: what follows could make a link of it.
fn ends_bracket(out: &str) -> bool {
    out.ends_with(']') && !out.ends_with("\\]")
}

/// Whether what follows an ampersand makes it a character reference.
fn is_entity(rest: &str) -> bool {
    let Some(end) = rest.bytes().take(33).position(|b| b == b';') else { return false };
    let name = rest[..end].strip_prefix('#').unwrap_or(&rest[..end]);
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric())
}
