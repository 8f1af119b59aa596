//! `owl image`: what a model sees in pictures.
//!
//! A file that a person names may be read wherever it is: whoever runs the command could read it anyway. It is granted as exactly
//! that file, for this process alone; programs and models get nothing beyond `tools.image.roots`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::Map;

use super::{BAD_CONFIGURATION, Call, failed, load_for_tools, note, text, write_text};
use crate::config::Overrides;
use crate::tools::untrusted::unwrapped;
use crate::tools::{Content, ToolResult};

/// Asks a model that sees about pictures
///
/// Behind the pictures stands the question, unless --prompt has it. The model is --model's, or `tools.image.model`; flags and variables
/// can name its server. URLs are fetched from public addresses only, unless `tools.image` opens more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl image -m owl/Qwen3-VL-8B cat.jpg
  owl image cat.jpg 'What colour are its eyes?'
  owl image --prompt 'What is different?' before.png after.png
  owl image https://example.com/chart.png 'Write this chart as a table'
  owl image --json scan.tiff 'Read the text' | jq -r .result.details.text
  owl image -o small.png huge.jpg                what a model would be shown, without asking one")]
pub struct ImageCommand {
    /// Files, http(s) URLs or data: URLs, and then the question
    #[arg(value_name = "FILE|URL", required = true)]
    named: Vec<String>,
    /// The question; everything else then names a picture
    #[arg(short, long, value_name = "TEXT")]
    prompt: Option<String>,
    /// The model, as `owl models` lists it; without it, `tools.image.model`
    #[arg(short, long, value_name = "MODEL")]
    model: Option<String>,
    /// Write the one picture as a model would be shown it, and ask none
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["model", "prompt", "json"])]
    output: Option<PathBuf>,
    /// Fetch pictures from public addresses only, whatever the configuration opens
    #[arg(long)]
    no_private: bool,
    /// Print the JSON object that programs get
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overrides: Overrides,
}

/// A picture that was named.
#[derive(Debug, PartialEq, Eq)]
enum Named {
    Url(String),
    File(PathBuf),
}

impl ImageCommand {
    pub(in crate::cli) async fn run(self) -> ExitCode {
        let Self { named, prompt, model, output, no_private, json, overrides } = self;
        let (pictures, prompt) = match sorted(&named, prompt) {
            Ok(sorted) => sorted,
            Err(reason) => {
                failed(&reason);
                return ExitCode::from(BAD_CONFIGURATION);
            }
        };
        if output.is_some() && (pictures.len() != 1 || prompt.is_some()) {
            failed("-o writes one picture, and asks nothing about it");
            return ExitCode::from(BAD_CONFIGURATION);
        }
        let mut config = match load_for_tools(&overrides) {
            Ok(config) => config,
            Err(code) => return code,
        };
        let mut images = Vec::new();
        for picture in pictures {
            images.push(match picture {
                Named::Url(url) => url,
                Named::File(file) => {
                    let Some(path) = file.to_str().map(str::to_owned) else {
                        return failed(&format!("the path of {} is not UTF-8", file.display()));
                    };
                    config.tools.image.iter_mut().for_each(|image| image.roots.push(file.clone()));
                    path
                }
            });
        }
        if let (Some(image), Some(_)) = (&mut config.tools.image, &output) {
            image.model = None;
        }
        let mut arguments = Map::new();
        arguments.insert("images".to_owned(), images.into());
        let optional = [("prompt", prompt), ("model", model)];
        arguments.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?.into()))));
        let call = Call { tool: "image", arguments, no_private, sees: output.is_some(), json };
        call.run(config, |result| match output {
            Some(file) => write_picture(result, &file),
            None => show(result),
        })
        .await
    }
}

fn show(result: &ToolResult) -> io::Result<ExitCode> {
    write_text(unwrapped(text(&result.details, "text")))?;
    Ok(ExitCode::SUCCESS)
}

fn write_picture(result: &ToolResult, file: &Path) -> io::Result<ExitCode> {
    let picture = result.content.iter().find_map(|piece| match piece {
        Content::Picture { data, media_type } => Some((data, *media_type)),
        Content::Text(_) => None,
    });
    let Some((data, media_type)) = picture else { return Ok(failed("the tool gave no picture")) };
    Ok(match std::fs::write(file, data) {
        Ok(()) => {
            note(&format!("note: {} is {media_type}, {} bytes", file.display(), data.len()));
            ExitCode::SUCCESS
        }
        Err(error) => failed(&format!("{} cannot be written: {error}", file.display())),
    })
}

/// The pictures, and the question behind them.
fn sorted(named: &[String], prompt: Option<String>) -> Result<(Vec<Named>, Option<String>), String> {
    let mut pictures = Vec::new();
    for (position, word) in named.iter().enumerate() {
        match picture(word) {
            Some(picture) => pictures.push(picture),
            None if position > 0 && prompt.is_none() && !looks_like_a_file(word) => {
                return Ok((pictures, Some(named[position..].join(" "))));
            }
            None => return Err(format!("there is no file {word:?}, and it is no URL of a picture")),
        }
    }
    Ok((pictures, prompt))
}

fn picture(word: &str) -> Option<Named> {
    let is_url = ["http://", "https://", "data:"]
        .iter()
        .any(|scheme| word.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if is_url {
        return Some(Named::Url(word.to_owned()));
    }
    // The grant is for the file itself, wherever links lead.
    let file = Path::new(word).canonicalize().ok()?;
    file.is_file().then_some(Named::File(file))
}

/// A misspelt name must not become a question.
fn looks_like_a_file(word: &str) -> bool {
    const ENDINGS: [&str; 9] = ["png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif"];
    let ending = Path::new(word).extension().and_then(|ending| ending.to_str());
    !word.contains(char::is_whitespace)
        && ending.is_some_and(|ending| ENDINGS.contains(&ending.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_first_and_the_question_behind_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cat.png");
        std::fs::write(&file, "").expect("a file");
        let real = file.canonicalize().expect("a path");
        let path = file.to_str().expect("text");
        let url = "https://example.com/dog.png";
        let check = |words: &[&str], prompt: Option<&str>, expect: Result<(usize, Option<&str>), &str>| {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            let found = sorted(&words, prompt.map(str::to_owned));
            match (&found, expect) {
                (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
                (Ok((pictures, prompt)), Ok(expect)) => assert_eq!((pictures.len(), prompt.as_deref()), expect),
                (found, expect) => panic!("{found:?} is not {expect:?}"),
            }
        };
        check(&[path], None, Ok((1, None)));
        check(&[path, "what", "is it?"], None, Ok((1, Some("what is it?"))));
        check(&[path, url, "and this?"], None, Ok((2, Some("and this?"))));
        check(&[path, url], Some("why"), Ok((2, Some("why"))));
        check(&["DATA:image/png;base64,AA", "x"], None, Ok((1, Some("x"))));
        check(&["dgo.png"], None, Err("there is no file \"dgo.png\""));
        check(&[path, "dgo.PNG"], None, Err("there is no file \"dgo.PNG\""));
        check(&[path, "is this in dgo.png"], None, Ok((1, Some("is this in dgo.png"))));
        check(&[path, "what"], Some("why"), Err("there is no file \"what\""));
        check(&["what is it?"], None, Err("there is no file"));
        check(&[folder.path().to_str().expect("text")], None, Err("there is no file"));
        assert_eq!(picture(path), Some(Named::File(real)));
    }
}
