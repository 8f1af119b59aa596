//! XML that is no feed, indented. Nothing is resolved: no entity is expanded, nothing outside is named.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::indent::Indent;

/// A reader that goes on over what is not well formed.
pub(crate) fn reader(text: &str) -> Reader<&[u8]> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.check_end_names = false;
    config.allow_unmatched_ends = true;
    config.allow_dangling_amp = true;
    reader
}

/// Indents elements, each text on its element's line; `None` when it cannot be read as XML.
pub(crate) fn indent(text: &str) -> Option<String> {
    let mut reader = reader(text);
    let mut writer =
        Writer { out: String::new(), open: Vec::new(), last: Last::Element, indent: Indent::for_text(text) };
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                writer.element(&["<", &one_line(&tag), ">"]);
                writer.open.push(writer.last == Last::Text);
                writer.last = Last::Start;
            }
            Event::Empty(tag) => writer.element(&["<", one_line(&tag).trim_end(), "/>"]),
            Event::End(tag) => {
                let was_in_text = writer.open.pop().unwrap_or_default();
                if writer.last == Last::Element {
                    writer.new_line();
                }
                writer.out.extend(["</", tag.name().as_ref(), ">"]);
                writer.last = if was_in_text { Last::Text } else { Last::Element };
            }
            Event::Text(text) => writer.text(&text),
            Event::GeneralRef(name) => {
                writer.out.extend(["&", &name, ";"]);
                writer.last = Last::Text;
            }
            Event::CData(text) => {
                writer.out.extend(["<![CDATA[", &text, "]]>"]);
                writer.last = Last::Text;
            }
            Event::Decl(declaration) => writer.element(&["<?", one_line(&declaration).trim_end(), "?>"]),
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Eof => break,
        }
    }
    writer.out.truncate(writer.out.trim_end().len());
    Some(writer.out)
}

/// What was written last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Start,
    Text,
    /// A whole element, or its end.
    Element,
}

struct Writer {
    out: String,
    /// The elements that are open: whether each stands in running text.
    open: Vec<bool>,
    last: Last,
    indent: Indent,
}

impl Writer {
    fn element(&mut self, parts: &[&str]) {
        // Inside of running text a new line would add a blank.
        if self.last != Last::Text {
            self.new_line();
            self.last = Last::Element;
        }
        self.out.extend(parts.iter().copied());
    }

    fn text(&mut self, text: &str) {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            if self.last == Last::Text && !self.out.ends_with(' ') {
                self.out.push(' ');
            }
            return;
        }
        if self.last == Last::Element {
            self.new_line();
        } else if self.last == Last::Text && text.starts_with(char::is_whitespace) {
            self.out.push(' ');
        }
        self.out.push_str(trimmed);
        if text.ends_with(char::is_whitespace) {
            self.out.push(' ');
        }
        self.last = Last::Text;
    }

    fn new_line(&mut self) {
        if !self.out.is_empty() {
            let kept = self.out.trim_end().len();
            self.out.truncate(kept);
            self.indent.new_line(&mut self.out, self.open.len());
        }
    }
}

/// A tag whose attributes stand on several lines.
fn one_line(tag: &str) -> String {
    tag.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::indent;

    #[test]
    fn elements_are_indented_and_texts_stay_on_their_line() {
        let text = "<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x \"y\">]><a><!-- no --><b k='1'\n  l='2'>text &amp; &x;</b><c/>\
                    <d>some <i>mixed</i> text</d><e>\n</e><![CDATA[<raw>]]></a>";
        insta::assert_snapshot!(indent(text).expect("XML"), @r#"
        <?xml version="1.0"?>
        <a>
          <b k='1' l='2'>text &amp; &x;</b>
          <c/>
          <d>some <i>mixed</i> text</d>
          <e></e><![CDATA[<raw>]]></a>
        "#);
    }

    #[test]
    fn what_cannot_be_read_is_left_alone() {
        for text in ["<a", "<a><!-- ", "<a><![CDATA[", "<a k='", "<!DOCTYPE a ["] {
            assert_eq!(indent(text), None, "{text}");
        }
        assert!(indent("</a></b><c>").is_some());
    }

    #[test]
    fn no_depth_is_too_deep_and_the_size_stays_in_proportion() {
        let deep = "<a>".repeat(200_000);
        let out = indent(&deep).expect("XML");
        assert!(out.len() < deep.len() * 6, "{}", out.len());
    }
}
