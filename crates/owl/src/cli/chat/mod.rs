//! `owl chat`: one question, or a conversation.
//!
//! It runs the gateway inside its own process, so nothing needs to be listening. Only the answer goes to standard output.
//! What a model writes never reaches a terminal as a control sequence: it could retitle the window or fill the clipboard.
//!
//! Read next: `answer.rs` (an answer as it arrives), `conversation.rs` (asking), `screen.rs` (showing), `prompt.rs` (the
//! interactive loop).

pub(in crate::cli) mod answer;
mod conversation;
mod prompt;
pub(in crate::cli) mod screen;

use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use self::answer::Answer;
use self::conversation::{ChatError, Conversation};
use self::screen::{Screen, json_line, note, plain};
use super::config::BAD_CONFIGURATION;
use super::{FAILED, failed, load};
use crate::audit::{AuditKeeper, AuditLog};
use crate::config::{Config, Overrides};
use crate::gateway::Gateway;

/// The exit code after Ctrl-C, as shells give it: 128 and the number of SIGINT.
pub(in crate::cli) const INTERRUPTED: u8 = 130;

/// The longest prompt that is read from a pipe, in bytes.
const LONGEST_PROMPT: u64 = 64 * 1024 * 1024;

/// Asks a model: one question, or a conversation
///
/// Without a prompt, on a terminal, a conversation begins; /help lists what else it understands. A prompt from a pipe is
/// put behind the one of the command line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl chat                                  a conversation
  owl chat why is the sky blue
  owl chat -m big-model --system 'Answer in one sentence' 'What is a mutex?'
  git diff | owl chat 'Write a commit message for this' > message.txt
  owl chat --json 'Say hi' | jq -r .content
  owl chat --base-url http://192.168.7.20:8000 --allow-private-network 'Say hi'")]
pub struct ChatCommand {
    /// The model, as `owl models` lists it; without it the first
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Print one JSON object: the model, the content, the usage, why the answer ended
    #[arg(long)]
    json: bool,
    /// The question
    #[arg(value_name = "PROMPT")]
    prompt: Vec<String>,
    #[command(flatten)]
    overrides: Overrides,
}

impl ChatCommand {
    pub(super) async fn run(self) -> ExitCode {
        let prompt = match self.read_prompt() {
            Ok(prompt) => prompt,
            Err(reason) => return misused(&reason),
        };
        let config = match load(&self.overrides) {
            Ok(config) => config,
            Err(code) => return code,
        };
        // Dropped last: it writes what waits.
        let audit = AuditLog::start(&config.store);
        let gateway = match open(config, &audit).await {
            Ok(gateway) => gateway,
            Err(code) => return code,
        };
        let model = match self.model {
            Some(model) => model,
            None => match conversation::choose_model(&gateway).await {
                Ok(model) => model,
                Err(reason) => return failed(&reason),
            },
        };
        let conversation = Conversation::new(gateway, model, self.system);
        match prompt {
            Some(prompt) if self.json => answer_as_json(conversation, prompt).await,
            Some(prompt) => answer_once(conversation, prompt).await,
            None => prompt::converse(conversation).await,
        }
    }

    /// The prompt of the command line and that of the pipe; `None` for a conversation.
    fn read_prompt(&self) -> Result<Option<String>, String> {
        let argument = self.prompt.join(" ");
        let piped = if io::stdin().is_terminal() { String::new() } else { read_pipe()? };
        let parts: Vec<&str> =
            [argument.trim(), piped.trim_end()].into_iter().filter(|part| !part.trim().is_empty()).collect();
        if !parts.is_empty() {
            return Ok(Some(parts.join("\n\n")));
        }
        if self.json {
            return Err("--json needs a prompt: owl chat --json 'Say hi'".to_owned());
        }
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            return Ok(None);
        }
        Err("there is no prompt: write one behind `owl chat`, or pipe one in; a conversation needs a terminal"
            .to_owned())
    }
}

fn read_pipe() -> Result<String, String> {
    let mut text = Vec::new();
    let read = io::stdin().lock().take(LONGEST_PROMPT + 1).read_to_end(&mut text);
    read.map_err(|error| format!("the prompt cannot be read from standard input: {error}"))?;
    if text.len() as u64 > LONGEST_PROMPT {
        return Err(format!("the prompt on standard input is larger than {} MiB", LONGEST_PROMPT >> 20));
    }
    String::from_utf8(text).map_err(|_| "the prompt on standard input is not UTF-8 text".to_owned())
}

/// The gateway of a configuration, its providers judged; what stands in the way goes to standard error.
async fn open(config: Config, audit: &AuditKeeper) -> Result<Gateway, ExitCode> {
    let network = config.egress.network(audit.sink());
    let gateway = Gateway::new(config.providers, &network).map_err(|error| failed(&error.to_string()))?;
    match gateway.admit().await {
        Ok(()) => Ok(gateway),
        Err(refused) => {
            for error in refused {
                failed(&error.to_string());
            }
            Err(ExitCode::from(FAILED))
        }
    }
}

async fn answer_once(mut conversation: Conversation, prompt: String) -> ExitCode {
    let mut screen = Screen::of_stdout();
    let mut answer = Answer::default();
    let asked = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => None,
        asked = conversation.ask(prompt, &mut answer, &mut screen) => Some(asked),
    };
    // A failure in the middle leaves the line that was begun.
    let ended = screen.end();
    match asked {
        None => ExitCode::from(INTERRUPTED),
        Some(Ok(())) => match ended {
            Ok(()) => {
                screen::show_speed(conversation.model(), &answer);
                ExitCode::SUCCESS
            }
            Err(error) => end_of_output(&error),
        },
        Some(Err(ChatError::Output(error))) => end_of_output(&error),
        Some(Err(error)) => failed(&plain(&error.to_string())),
    }
}

async fn answer_as_json(mut conversation: Conversation, prompt: String) -> ExitCode {
    let (mut answer, mut screen) = (Answer::default(), Screen::Silent);
    let asked = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => return ExitCode::from(INTERRUPTED),
        asked = conversation.ask(prompt, &mut answer, &mut screen) => asked,
    };
    if let Err(error) = asked {
        return failed(&plain(&error.to_string()));
    }
    let usage = answer
        .usage
        .map(|usage| json!({ "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens }));
    let reasoning = (!answer.reasoning.is_empty()).then_some(&answer.reasoning);
    let line = json!({
        "model": conversation.model(),
        "content": answer.content,
        "reasoning": reasoning,
        "finish_reason": answer.finish_reason,
        "usage": usage,
        "tokens_per_second": answer.tokens_per_second().map(|speed| (speed * 10.0).round() / 10.0),
        "seconds_to_first_token": answer.seconds_to_first(),
        "seconds": answer.seconds(),
    });
    match super::say(&json_line(&line)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end_of_output(&error),
    }
}

/// A reader that has gone away (`| head`) had enough, which is no failure.
pub(in crate::cli) fn end_of_output(error: &io::Error) -> ExitCode {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return ExitCode::SUCCESS;
    }
    failed(&format!("the output cannot be written: {error}"))
}

fn misused(reason: &str) -> ExitCode {
    note(&format!("owl: {reason}"));
    ExitCode::from(BAD_CONFIGURATION)
}
