//! The tokens are compared with those of html5ever's own tokenizer.

use std::cell::{Cell, RefCell};

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{BufferQueue, StartTag, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts};

use super::{Lists, tokenize};

/// Writes down what it is told.
#[derive(Default)]
struct Log {
    lines: RefCell<Vec<String>>,
    attributes: RefCell<Vec<String>>,
    lists: Cell<u32>,
}

impl Log {
    fn text(&self, text: &str) {
        let mut lines = self.lines.borrow_mut();
        match lines.last_mut().filter(|line| line.starts_with('\'')) {
            Some(line) => line.push_str(text),
            None => lines.push(format!("'{text}")),
        }
    }
}

impl TokenSink for Log {
    type Handle = ();

    fn process_token(&self, token: Token, _: u64) -> TokenSinkResult<()> {
        match token {
            Token::CharacterTokens(text) => self.text(&text),
            Token::TagToken(tag) => {
                let mut attributes = std::mem::take(&mut *self.attributes.borrow_mut());
                if tag.kind == StartTag && attributes.is_empty() {
                    attributes =
                        tag.attrs.iter().map(|given| format!("{}={}", given.name.local, given.value)).collect();
                }
                self.lines
                    .borrow_mut()
                    .push(format!("{:?} {} {} {attributes:?}", tag.kind, tag.name, tag.self_closing));
                match (tag.kind, &*tag.name) {
                    (StartTag, "script") => return TokenSinkResult::RawData(RawKind::ScriptData),
                    (StartTag, "title") => return TokenSinkResult::RawData(RawKind::Rcdata),
                    (StartTag, "style") => return TokenSinkResult::RawData(RawKind::Rawtext),
                    _ => {}
                }
            }
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => {}
        }
        TokenSinkResult::Continue
    }
}

impl Lists for Log {
    fn begin(&self) -> u32 {
        self.attributes.borrow_mut().clear();
        self.lists.set(self.lists.get() + 1);
        self.lists.get()
    }

    fn add(&self, name: &str, value: &str) {
        self.attributes.borrow_mut().push(format!("{name}={value}"));
    }

    fn end(&self) {}
}

fn ours(page: &str) -> Vec<String> {
    let log = Log::default();
    tokenize(&StrTendril::from_slice(page), &log, &log);
    log.lines.into_inner()
}

fn theirs(page: &str) -> Vec<String> {
    let tokenizer = Tokenizer::new(Log::default(), TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(page));
    while !matches!(tokenizer.feed(&input), html5ever::TokenizerResult::Done) {}
    tokenizer.end();
    tokenizer.sink.lines.into_inner()
}

#[test]
fn tokens_are_those_of_html5ever() {
    for page in [
        "<p class=a ID='b' hidden x = \"&lt;y\">a &amp; b</P >",
        "<a b=c/><br/><br / ><a/b><a b='c'd>",
        "<!doctype html><!-- a --><!--><b><!---><b><!-- a --!><b><!--->-->",
        "</><//><? x><!x><1></1><",
        "<a =b =c= d==e f=>",
        "<script>a<b</script><script><!--<script></script>--></script>x",
        "<script><!-- </script>x-->",
        "<title>&amp;<b></title><style>&amp;<b></style>",
        "a<b",
        "<a href",
        "<a href='x",
        "&",
        "&amp",
        "<a b=\"",
        "é<é>",
        "<é",
        "<a é=é>",
    ] {
        assert_eq!(ours(page), theirs(page), "{page}");
    }
}

#[test]
fn tokens_of_any_page_are_those_of_html5ever() {
    const PIECES: &[&str] = &[
        "<",
        ">",
        "/",
        "</",
        "a",
        "B",
        "=",
        "\"",
        "'",
        " ",
        "\n",
        "<!--",
        "-->",
        "--",
        "!",
        "-",
        "<script>",
        "</script>",
        "<script",
        "</script",
        "<title>",
        "</title>",
        "&amp;",
        "&",
        "&copy",
        "&#65",
        ";",
        "<?",
        "<!",
        "é",
        "<a ",
        "<style>",
        "</style ",
        "x",
    ];
    let mut seed = 1_u64;
    for _ in 0..8_000 {
        let mut page = String::new();
        for _ in 0..14 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            page.push_str(PIECES[(seed >> 33) as usize % PIECES.len()]);
        }
        assert_eq!(ours(&page), theirs(&page), "{page}");
    }
}

#[test]
fn a_tag_may_have_any_number_of_attributes() {
    let many: String = (0..300_000).map(|number| format!(" a{number}=b")).collect();
    let lines = ours(&format!("<p{many}>x"));
    assert_eq!(lines.len(), 2);
    assert!(lines[0].matches('=').count() == super::MOST_ATTRIBUTES);
}
