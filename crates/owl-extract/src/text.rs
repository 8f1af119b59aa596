//! Markdown and plain text: as they came, with the title that they show.

/// The first heading, on one line: `# Title`, or a line that is underlined by `=`. Only the beginning is looked at.
pub(crate) fn title(text: &str) -> Option<String> {
    const LINES: usize = 50;
    let mut lines = without_front_matter(text).lines().take(LINES).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") || line.starts_with("~~~") {
            return None;
        }
        if let Some(heading) = line.strip_prefix("# ") {
            return one_line(heading.trim().trim_end_matches('#'));
        }
        let is_underline = |next: &&str| next.len() >= 3 && next.trim_end().bytes().all(|b| b == b'=');
        if !line.trim().is_empty() && lines.peek().is_some_and(is_underline) {
            return one_line(line);
        }
    }
    None
}

/// Behind a block of metadata between two lines of `---`.
fn without_front_matter(text: &str) -> &str {
    text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).map_or(text, |(_, rest)| rest)
}

/// A text on one line, of a length that a title may have. `None` when it is empty.
pub(crate) fn one_line(text: &str) -> Option<String> {
    const LONGEST: usize = 500;
    let mut out = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().take(LONGEST));
        if out.len() >= LONGEST {
            break;
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::{one_line, title};

    #[test]
    fn the_title_is_the_first_heading_of_the_first_level() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(title(text).as_deref(), expected, "{text:?}");
        check("# Owl\n\ntext", Some("Owl"));
        check("\n# Owl #\n", Some("Owl"));
        check("---\ntitle: x\n---\n# Owl", Some("Owl"));
        check("Owl  and\tmore\n===\n", Some("Owl and more"));
        check("## Part\n# Whole", Some("Whole"));
        check("#hash", None);
        check("```\n# a comment\n```", None);
        check("", None);
    }

    #[test]
    fn a_line_is_one_and_not_long() {
        assert_eq!(one_line(" a\n\tb\u{1b}[1m "), Some("a b [1m".to_owned()));
        assert_eq!(one_line(" \n "), None);
        assert!(one_line(&"a ".repeat(10_000)).expect("a line").len() < 600);
    }
}
