//! What stands in the text and is none: reasoning in `<think>`, and calls of functions.
//!
//! Text is told as it comes. Only what could be the beginning of a mark is held back, and what stands behind the mark of a call until the
//! call is complete. What turns out to be no call is told as the text that it was.

use super::calls::{self, Found};
use crate::compat::{Compat, TextCalls, TextReasoning};

const THINK: &str = "<think>";
const THOUGHT: &str = "</think>";

/// The largest call that is waited for, in bytes; what is longer is text.
const LONGEST_CALL: usize = 1 << 20;

/// How many marks may turn out to be none before no more are looked for: a text about such marks, or one that wants to cost time.
const MOST_FALSE: usize = 64;

/// A piece of the text, told apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TextPiece {
    Text(String),
    Reasoning(String),
    Call { name: String, arguments: String },
}

/// Tells the text of one turn apart.
#[derive(Debug)]
pub(super) struct TextReader {
    calls: TextCalls,
    /// The functions that can be called; a text that calls another one is a text.
    tools: Vec<String>,
    state: State,
    /// What came and was not told, from `at` on.
    held: String,
    at: usize,
    /// How much must be held before a call that was not complete is read again: reading costs what it holds.
    enough: usize,
    /// White space that comes next belongs to the template.
    trims: bool,
    /// Nothing but white space was told.
    blank: bool,
    false_marks: usize,
    seen: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At the very beginning, where `<think>` may stand.
    Beginning,
    Thinking,
    Text,
    /// Behind a call's mark, which stands at the beginning of what is held.
    Call,
}

impl TextReader {
    pub(super) fn new(compat: &Compat, tools: &[String]) -> Self {
        let state = match compat.text_reasoning {
            TextReasoning::Auto => State::Beginning,
            TextReasoning::Open => State::Thinking,
            TextReasoning::Off => State::Text,
        };
        let calls = if tools.is_empty() { TextCalls::Off } else { compat.text_calls };
        Self {
            calls,
            tools: tools.to_vec(),
            state,
            held: String::new(),
            at: 0,
            enough: 0,
            trims: false,
            blank: true,
            false_marks: 0,
            seen: 0,
        }
    }

    /// How much has come, in bytes.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Counts what came beside the text.
    pub(super) fn count(&mut self, text: &str) {
        self.seen += text.len() as u64;
    }

    pub(super) fn push(&mut self, text: &str, out: &mut Vec<TextPiece>) {
        self.count(text);
        self.held.drain(..self.at);
        self.at = 0;
        self.held.push_str(text);
        while self.step(false, out) {}
    }

    pub(super) fn finish(&mut self, out: &mut Vec<TextPiece>) {
        while self.step(true, out) {}
        let piece = if self.state == State::Thinking { TextPiece::Reasoning } else { TextPiece::Text };
        self.tell(self.held.len(), piece, out);
    }

    fn rest(&self) -> &str {
        &self.held[self.at..]
    }

    /// Tells what is held up to a place.
    fn tell(&mut self, to: usize, piece: fn(String) -> TextPiece, out: &mut Vec<TextPiece>) {
        let told = &self.held[self.at..to];
        if !told.is_empty() {
            self.blank &= told.trim().is_empty();
            out.push(piece(told.to_owned()));
        }
        self.at = to;
    }

    /// One step on; whether there may be another. `last`: nothing more comes.
    fn step(&mut self, last: bool, out: &mut Vec<TextPiece>) -> bool {
        if self.trims {
            self.at = self.held.len() - self.rest().trim_start().len();
            self.trims = self.rest().is_empty();
        }
        match self.state {
            State::Beginning => self.begin(last),
            State::Thinking => self.think(out),
            State::Text => self.text(last, out),
            State::Call => self.call(last, out),
        }
    }

    fn begin(&mut self, last: bool) -> bool {
        let said = self.rest().trim_start();
        if said.starts_with(THINK) {
            self.at = self.held.len() - said.len() + THINK.len();
            (self.state, self.trims) = (State::Thinking, true);
            return true;
        }
        if !last && THINK.starts_with(said) {
            return false;
        }
        self.state = State::Text;
        true
    }

    fn think(&mut self, out: &mut Vec<TextPiece>) -> bool {
        if let Some(found) = self.rest().find(THOUGHT) {
            self.tell(self.at + found, TextPiece::Reasoning, out);
            self.at += THOUGHT.len();
            self.blank = true;
            (self.state, self.trims) = (State::Text, true);
            return true;
        }
        let keep = held_back(self.rest(), &[THOUGHT]);
        self.tell(self.held.len() - keep, TextPiece::Reasoning, out);
        false
    }

    fn text(&mut self, last: bool, out: &mut Vec<TextPiece>) -> bool {
        let looks = self.false_marks < MOST_FALSE;
        let marks = if looks { calls::marks(self.calls) } else { &[] };
        let mark = calls::find_mark(self.rest(), marks).map(|found| self.at + found);
        let bare = looks && self.blank && calls::may_be_bare(self.calls, self.rest());
        if let Some(at) = mark.or(bare.then_some(self.at)) {
            self.tell(at, TextPiece::Text, out);
            (self.state, self.enough) = (State::Call, 0);
            return true;
        }
        let keep = if last { 0 } else { held_back(self.rest(), marks) };
        self.tell(self.held.len() - keep, TextPiece::Text, out);
        false
    }

    fn call(&mut self, last: bool, out: &mut Vec<TextPiece>) -> bool {
        let held = self.rest().len();
        if !last && held < self.enough {
            return false;
        }
        match calls::read(self.calls, self.rest(), last, &self.tools) {
            Found::Calls(found, end) => {
                out.extend(found.into_iter().map(|(name, arguments)| TextPiece::Call { name, arguments }));
                self.at += end;
                (self.state, self.trims) = (State::Text, true);
                true
            }
            Found::Incomplete if !last && held < LONGEST_CALL => {
                self.enough = held + held / 8;
                false
            }
            Found::Incomplete | Found::Nothing => {
                self.false_marks += 1;
                // Its first letter is text, so that the mark is not found again.
                let first = self.rest().chars().next().map_or(0, char::len_utf8);
                self.tell(self.at + first, TextPiece::Text, out);
                self.blank = false;
                self.state = State::Text;
                true
            }
        }
    }
}

/// How much at a text's end could be the beginning of a mark, in bytes.
fn held_back(text: &str, marks: &[&str]) -> usize {
    let begins = |mark: &&str| {
        let longest = mark.len().saturating_sub(1).min(text.len());
        (1..=longest).rev().find(|length| text.ends_with(&mark[..*length]))
    };
    marks.iter().filter_map(begins).max().unwrap_or(0)
}
