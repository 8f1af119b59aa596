//! Where an answer goes: a terminal, a pipe, or nowhere.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::Duration;

use anstyle::Style;
use indicatif::{ProgressBar, ProgressStyle};
use owl_wire::chat::ChatPiece;
use serde_json::Value;

use super::answer::Answer;
use super::markdown::Blocks;

/// How long nothing is shown while waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);

/// What is said beside the matter.
pub(in crate::cli) const DIM: Style = Style::new().dimmed();

/// Where the pieces of an answer are shown.
#[derive(Debug)]
pub(in crate::cli) enum Screen {
    /// With the model's thoughts, dimmed, its Markdown as it is meant, and without control characters.
    Terminal {
        /// Whether the last piece was a thought.
        thinking: bool,
        /// Whether the last line has its end.
        at_line_start: bool,
        /// What is not shown yet.
        blocks: Blocks,
    },
    /// The content, as it was written.
    Pipe {
        /// Whether the last line has its end.
        at_line_start: bool,
    },
    /// Nowhere.
    Silent,
}

impl Screen {
    pub(in crate::cli) fn of_stdout() -> Self {
        if io::stdout().is_terminal() {
            Self::Terminal { thinking: false, at_line_start: true, blocks: Blocks::default() }
        } else {
            Self::Pipe { at_line_start: true }
        }
    }

    pub(in crate::cli) fn show(&mut self, piece: &ChatPiece) -> io::Result<()> {
        match self {
            Self::Terminal { thinking, at_line_start, blocks } => {
                let mut out = anstream::stdout().lock();
                if !piece.reasoning.is_empty() {
                    let text = plain(&piece.reasoning);
                    write!(out, "{DIM}{text}{DIM:#}")?;
                    *thinking = true;
                    *at_line_start = text.ends_with('\n');
                }
                if !piece.content.is_empty() {
                    if std::mem::take(thinking) {
                        out.write_all(if *at_line_start { b"\n" } else { b"\n\n" })?;
                    }
                    let text = blocks.push(&plain(&piece.content));
                    out.write_all(text.as_bytes())?;
                    *at_line_start |= text.ends_with('\n');
                }
                out.flush()
            }
            Self::Pipe { at_line_start } => {
                if piece.content.is_empty() {
                    return Ok(());
                }
                let mut out = io::stdout().lock();
                out.write_all(piece.content.as_bytes())?;
                *at_line_start = piece.content.ends_with('\n');
                out.flush()
            }
            Self::Silent => Ok(()),
        }
    }

    /// Ends the last line.
    pub(in crate::cli) fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Terminal { at_line_start, blocks, .. } => {
                let text = blocks.finish();
                let mut out = anstream::stdout().lock();
                out.write_all(text.as_bytes())?;
                if text.is_empty() && !std::mem::replace(at_line_start, true) {
                    out.write_all(b"\n")?;
                }
                *at_line_start = true;
                out.flush()
            }
            Self::Pipe { at_line_start } => {
                if std::mem::replace(at_line_start, true) {
                    return Ok(());
                }
                let mut out = io::stdout().lock();
                out.write_all(b"\n")?;
                out.flush()
            }
            Self::Silent => Ok(()),
        }
    }
}

/// A text without the control characters that a terminal would obey.
pub(in crate::cli) fn plain(text: &str) -> Cow<'_, str> {
    let obeyed = |letter: char| letter.is_control() && letter != '\n' && letter != '\t';
    if text.contains(obeyed) { text.replace(obeyed, "").into() } else { text.into() }
}

/// JSON in one line, in which every control character is an escape: the standard lets some stand for themselves, which a
/// terminal would obey.
pub(in crate::cli) fn json_line(value: &Value) -> String {
    let mut line = String::new();
    for letter in value.to_string().chars() {
        if letter.is_control() {
            // Only texts have any, and all of them are below U+0100.
            line.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            line.push(letter);
        }
    }
    line
}

/// Says something beside the answer. When standard error is closed there is nobody left to tell.
pub(in crate::cli) fn note(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// One line on how long the answer was and how fast it came, for a person.
pub(super) fn show_speed(model: &str, answer: &Answer) {
    if !io::stderr().is_terminal() {
        return;
    }
    let tokens = answer.usage.map(|usage| format!("{} + {} tokens", usage.prompt_tokens, usage.completion_tokens));
    let speed = answer.tokens_per_second().map(|speed| format!("{speed:.1} tokens/s"));
    let first = answer.seconds_to_first().map(|seconds| format!("first after {seconds:.1} s"));
    let cut =
        answer.finish_reason.as_deref().filter(|reason| *reason != "stop").map(|reason| format!("ended by {reason}"));
    let parts: Vec<String> = [Some(model.to_owned()), tokens, speed, first, cut].into_iter().flatten().collect();
    note(&format!("{DIM}{}{DIM:#}", plain(&parts.join(" · "))));
}

/// Waits; after a second with a spinner, on a terminal.
pub(in crate::cli) async fn patiently<T>(waiting: impl Future<Output = T>) -> T {
    let mut waiting = pin!(waiting);
    if let Ok(done) = tokio::time::timeout(PATIENCE, &mut waiting).await {
        return done;
    }
    // Hidden by itself unless standard error is a terminal; cleared when it is dropped.
    let spinner = ProgressBar::new_spinner().with_message("waiting for the server");
    if let Ok(style) = ProgressStyle::with_template("{spinner:.dim} {msg:.dim} {elapsed:.dim}") {
        spinner.set_style(style);
    }
    let spinner = ClearAtEnd(spinner);
    spinner.0.enable_steady_tick(TICK);
    waiting.await
}

struct ClearAtEnd(ProgressBar);

impl Drop for ClearAtEnd {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_not_commanded() {
        let check = |text: &str, expect: &str| assert_eq!(plain(text), expect, "{text:?}");
        check("a\tb\nc 🦉", "a\tb\nc 🦉");
        check("\u{1b}]52;c;aGk=\u{7}a", "]52;c;aGk=a");
        check("a\rb\u{9b}31mc\u{7f}", "ab31mc");
        let value = serde_json::json!({ "a": "\u{1b}\u{9b}\u{7f}é" });
        assert_eq!(json_line(&value), r#"{"a":"\u001b\u009b\u007fé"}"#);
        assert_eq!(serde_json::from_str::<Value>(&json_line(&value)).ok(), Some(value));
    }
}
