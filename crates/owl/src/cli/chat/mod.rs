//! `owl chat`: one question, or a conversation.
//!
//! It runs the gateway inside its own process, so nothing needs to be listening. Only the answer goes to standard output.
//! What a model writes never reaches a terminal as a control sequence: it could retitle the window or fill the clipboard.
//!
//! Read next: `answer.rs` (an answer as it arrives), `conversation.rs` (asking), `screen.rs` (showing), `prompt.rs` (the
//! interactive loop), `session.rs` (what is kept).

pub(in crate::cli) mod answer;
mod approval;
mod conversation;
mod markdown;
mod prompt;
pub(in crate::cli) mod screen;
mod session;

use std::io::{self, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clap::Args;
use owl_extract::picture::{self, PictureLimits};
use owl_wire::hosted::HostedTool;
use serde_json::{Value, json};

use self::answer::Answer;
use self::conversation::{ChatError, Conversation};
use self::screen::{Screen, json_line, note, plain};
use self::session::{Kept, Session};
use super::config::BAD_CONFIGURATION;
use super::{FAILED, failed, load};
use crate::audit::{AuditKeeper, AuditLog};
use crate::config::{Config, Overrides};
use crate::gateway::Gateway;

/// The exit code after Ctrl-C, as shells give it: 128 and the number of SIGINT.
pub(in crate::cli) const INTERRUPTED: u8 = 130;

/// The largest picture that is read from a file, in bytes.
const LARGEST_PICTURE: u64 = 64 << 20;

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
  owl chat --tools 'What is new in Rust?'   the model searches and reads
  owl chat --image cat.jpg 'What is it doing?'
  owl chat --continue                       goes on with the last conversation
  owl chat --base-url http://192.168.7.20:8000 --allow-private-network 'Say hi'")]
pub struct ChatCommand {
    /// The model, as `owl models` lists it; without it the first
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Let the model use Owl's tools: all that are switched on, or those named: --tools=web_search,web_fetch
    #[arg(long, value_name = "TOOLS", num_args = 0..=1, default_missing_value = "all", require_equals = true)]
    tools: Option<String>,
    /// Show the model a picture; can be repeated
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Go on with the last conversation, or with that of an id: --continue=ID
    #[arg(long, value_name = "ID", num_args = 0..=1, default_missing_value = "", require_equals = true)]
    r#continue: Option<String>,
    /// List the conversations that are kept
    #[arg(long)]
    list: bool,
    /// Do not keep the conversation
    #[arg(long)]
    no_save: bool,
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
        if self.list {
            return list();
        }
        let earlier = match self.earlier() {
            Ok(earlier) => earlier,
            Err(reason) => return misused(&reason),
        };
        let pictures = match self.image.iter().map(|file| picture(file)).collect::<Result<Vec<Value>, String>>() {
            Ok(pictures) => pictures,
            Err(reason) => return misused(&reason),
        };
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
            Ok(gateway) => Arc::new(gateway),
            Err(code) => return code,
        };
        let session = self.session(earlier.as_ref());
        let tools = self.tools.as_deref().map(|named| chosen(&gateway, named)).unwrap_or_default();
        let before = earlier.map(|(_, kept)| kept);
        let model = match self.model.or_else(|| before.as_ref().map(|kept| kept.model.clone())) {
            Some(model) => model,
            None => match conversation::choose_model(&gateway).await {
                Ok(model) => model,
                Err(reason) => return failed(&reason),
            },
        };
        let system = self.system.map(|text| json!({ "role": "system", "content": text }));
        let messages = system.into_iter().chain(before.map(|kept| kept.messages).unwrap_or_default()).collect();
        let conversation = Conversation::new(gateway, model, messages).with_tools(tools).kept_in(session);
        let prompt = prompt.map(|text| question(&text, pictures));
        match prompt {
            Some(prompt) if self.json => answer_as_json(conversation, prompt).await,
            Some(prompt) => answer_once(conversation, prompt).await,
            None => prompt::converse(conversation).await,
        }
    }

    /// The conversation that goes on.
    fn earlier(&self) -> Result<Option<(Session, Kept)>, String> {
        let Some(id) = &self.r#continue else { return Ok(None) };
        let folder = session::folder().ok_or("no folder is known in which conversations are kept")?;
        Session::load(folder, Some(id.as_str()).filter(|id| !id.is_empty())).map(Some)
    }

    /// Where the conversation is kept: what is said on a terminal, and what goes on. What a pipe asks is a program's.
    fn session(&self, earlier: Option<&(Session, Kept)>) -> Option<Session> {
        if self.no_save {
            return None;
        }
        match earlier {
            Some((session, _)) => Some(session.clone()),
            None if io::stdout().is_terminal() && io::stdin().is_terminal() => session::folder().map(Session::new),
            None => None,
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
        if !self.image.is_empty() {
            return Err("--image needs a prompt: owl chat --image cat.jpg 'What is it doing?'".to_owned());
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

/// A question, with the pictures that it is about.
fn question(text: &str, pictures: Vec<Value>) -> Value {
    if pictures.is_empty() {
        return json!({ "role": "user", "content": text });
    }
    let parts: Vec<Value> = [json!({ "type": "text", "text": text })].into_iter().chain(pictures).collect();
    json!({ "role": "user", "content": parts })
}

/// A picture from a file, turned upright, scaled down and without what else stood in the file.
fn picture(file: &Path) -> Result<Value, String> {
    let unusable = |reason: &dyn std::fmt::Display| format!("the picture {} cannot be used: {reason}", file.display());
    let length = std::fs::metadata(file).map_err(|error| unusable(&error))?.len();
    if length > LARGEST_PICTURE {
        return Err(unusable(&format!("it is larger than {} MiB", LARGEST_PICTURE >> 20)));
    }
    let bytes = std::fs::read(file).map_err(|error| unusable(&error))?;
    let picture = picture::prepare(&bytes, &PictureLimits::default()).map_err(|error| unusable(&error))?;
    let url = format!("data:{};base64,{}", picture.media_type, BASE64.encode(&picture.bytes));
    Ok(json!({ "type": "image_url", "image_url": { "url": url } }))
}

/// The tools that `--tools` names; one that is not switched on is told when it is offered.
fn chosen(gateway: &Gateway, named: &str) -> Vec<HostedTool> {
    if named == "all" {
        return gateway.tools().all().iter().map(|tool| HostedTool::new(tool.definition().name)).collect();
    }
    named.split(',').map(str::trim).filter(|name| !name.is_empty()).map(HostedTool::new).collect()
}

fn list() -> ExitCode {
    let listed = session::folder().map(|folder| session::list(&folder)).unwrap_or_default();
    if listed.is_empty() {
        note("no conversation is kept yet");
        return ExitCode::SUCCESS;
    }
    let lines: Vec<String> = listed
        .iter()
        .map(|one| {
            let time = time::OffsetDateTime::from(one.modified);
            let (date, hour, minute) = (time.date(), time.hour(), time.minute());
            plain(&format!("{}  {date} {hour:02}:{minute:02} UTC  {}  {}", one.id, one.model, one.question))
                .into_owned()
        })
        .collect();
    match super::say(&lines.join("\n")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => end_of_output(&error),
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
    let gateway = Gateway::new(config.providers, &network)
        .and_then(|gateway| gateway.with_tools(config.tools, &network))
        .map_err(|error| failed(&error.to_string()))?;
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

async fn answer_once(mut conversation: Conversation, prompt: Value) -> ExitCode {
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

async fn answer_as_json(mut conversation: Conversation, prompt: Value) -> ExitCode {
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
