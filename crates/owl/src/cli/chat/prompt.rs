//! The interactive conversation: line editing, a history that outlives it, and a few commands.

use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::process::ExitCode;

use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::json;

use super::answer::Answer;
use super::conversation::{ChatError, Conversation};
use super::screen::{DIM, Screen, note, plain, show_speed};
use super::{end_of_output, failed};
use crate::config::Environment;

const HELP: &str = "\
/model        lists the models
/model NAME   goes on with another model
/new          forgets the conversation
/help         this
/exit         ends, and so does Ctrl-D; Ctrl-C ends an answer";

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
enum Line<'a> {
    Empty,
    Help,
    Models,
    Model(&'a str),
    New,
    Exit,
    Unknown(&'a str),
    Question(&'a str),
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let line = line.trim();
        if line.is_empty() {
            return Self::Empty;
        }
        if !line.starts_with('/') || line.contains('\n') {
            return Self::Question(line);
        }
        let (command, argument) = line.split_once(' ').map_or((line, ""), |(command, rest)| (command, rest.trim()));
        match (command, argument) {
            ("/help", _) => Self::Help,
            ("/model" | "/models", "") => Self::Models,
            ("/model", name) => Self::Model(name),
            ("/new", _) => Self::New,
            ("/exit" | "/quit", _) => Self::Exit,
            _ => Self::Unknown(command),
        }
    }
}

/// Reads lines and answers them until the end.
pub(super) async fn converse(mut conversation: Conversation) -> ExitCode {
    let mut editor = match DefaultEditor::new() {
        Ok(editor) => editor,
        Err(error) => return failed(&format!("the terminal cannot be used: {error}")),
    };
    let history = history_file();
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    note(&format!("{DIM}{}; /help says what else there is, Ctrl-D ends{DIM:#}", plain(conversation.model())));
    let code = loop {
        // The terminal is only read here, and nothing else runs meanwhile.
        let line = match tokio::task::block_in_place(|| editor.readline("> ")) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                note(&format!("{DIM}Ctrl-D or /exit ends{DIM:#}"));
                continue;
            }
            Err(ReadlineError::Eof) => break ExitCode::SUCCESS,
            Err(error) => break failed(&format!("the terminal cannot be read: {error}")),
        };
        if !line.trim().is_empty() {
            // Only a history of no size refuses an entry.
            let _ = editor.add_history_entry(line.trim());
        }
        match act(&mut conversation, Line::read(&line)).await {
            Ok(true) => {}
            Ok(false) => break ExitCode::SUCCESS,
            Err(error) => break end_of_output(&error),
        }
    };
    if let Some(file) = history
        && let Err(error) = editor.save_history(&file)
    {
        note(&format!("note: the history cannot be written to {}: {error}", file.display()));
    }
    code
}

/// Does what a line says, and whether the conversation goes on.
async fn act(conversation: &mut Conversation, line: Line<'_>) -> io::Result<bool> {
    match line {
        Line::Empty => {}
        Line::Help => note(HELP),
        Line::Models => list_models(conversation).await,
        Line::Model(name) => match conversation.change_model(name).await {
            Ok(()) => note(&format!("{DIM}{}{DIM:#}", plain(name))),
            Err(error) => note(&format!("owl: {}", plain(&error.to_string()))),
        },
        Line::New => {
            conversation.forget();
            note(&format!("{DIM}a new conversation{DIM:#}"));
        }
        Line::Exit => return Ok(false),
        Line::Unknown(command) => note(&format!("owl: {command} is not known; /help lists what is")),
        Line::Question(question) => answer(conversation, question).await?,
    }
    Ok(true)
}

async fn answer(conversation: &mut Conversation, question: &str) -> io::Result<()> {
    let question = json!({ "role": "user", "content": question });
    let mut screen = Screen::of_stdout();
    let mut answer = Answer::default();
    let asked = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => None,
        asked = conversation.ask(question.clone(), &mut answer, &mut screen) => Some(asked),
    };
    screen.end()?;
    match asked {
        Some(Ok(())) => show_speed(conversation.model(), &answer),
        Some(Err(ChatError::Output(error))) => return Err(error),
        Some(Err(error)) => note(&format!("owl: {}", plain(&error.to_string()))),
        None => {
            note(&format!("{DIM}stopped{DIM:#}"));
            // What was said so far can be talked about; a question without any answer was not asked.
            if !answer.content.is_empty() {
                conversation.keep(question, &answer);
            }
        }
    }
    Ok(())
}

async fn list_models(conversation: &Conversation) {
    let table = conversation.gateway().complete_table().await;
    let mut err = anstream::stderr();
    for model in table.listed() {
        let mark = if model.name == conversation.model() { "*" } else { " " };
        // When standard error is closed there is nobody left to tell.
        let _ = writeln!(err, "{mark} {}", plain(&model.name));
    }
}

/// Where the history is kept, in a folder that only the user can read; `None` without a home.
fn history_file() -> Option<PathBuf> {
    let folder = |name: &str| Environment::Process.get(name).map(PathBuf::from).ok().filter(|path| path.is_absolute());
    let state = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")))?.join("owl");
    // When it cannot be made, writing the history says so.
    let _ = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&state);
    Some(state.join("chat_history"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let check = |line: &str, expect: Line<'_>| assert_eq!(Line::read(line), expect, "{line:?}");
        check("  ", Line::Empty);
        check(" why? ", Line::Question("why?"));
        check("/help", Line::Help);
        check("/model", Line::Models);
        check("/model  owl/a ", Line::Model("owl/a"));
        check("/new", Line::New);
        check("/quit", Line::Exit);
        check("/models x", Line::Unknown("/models"));
        check("/usr/bin is what?", Line::Unknown("/usr/bin"));
        check("/* a\ncomment */", Line::Question("/* a\ncomment */"));
    }
}
