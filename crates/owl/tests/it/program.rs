//! Runs `owl` in a folder of its own, without a terminal, and makes what it prints the same each time.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A secret that must never appear where people look.
pub(crate) const CANARY: &str = "canary-7f3a:with$and\"quote";

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A folder, and the variables of whatever is run in it.
pub(crate) struct Place {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// With this server as the provider `owl`.
    pub(crate) fn at(base_url: &str) -> Self {
        Self::new().with("OWL_BASE_URL", base_url).with("OWL_ALLOW_PRIVATE_NETWORK", "true")
    }

    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `owl` to its end, on a thread where waiting is fine.
    pub(crate) fn owl(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_owl"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.envs(self.variables.iter().cloned()).stdin(Stdio::null());
        let output = tokio::task::block_in_place(|| command.output()).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ended = Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
        for stream in [&ended.out, &ended.err] {
            assert!(!stream.contains("canary"), "a credential was printed: {stream}");
            assert!(!stream.contains('\u{1b}'), "there is no terminal: {stream}");
        }
        ended
    }
}

impl Ended {
    /// Exit code and both streams, with `names` (ports, folders) replaced and without times.
    pub(crate) fn told(&self, names: &[(&str, &str)]) -> String {
        let text = format!("exit code: {:?}\n{}--- stderr\n{}", self.code.unwrap_or(-1), self.out, self.err);
        let text = names.iter().fold(text, |text, (from, to)| text.replace(from, to));
        text.lines().map(without_times).collect::<Vec<_>>().join("\n")
    }
}

/// The line with its durations, rates and dates replaced.
fn without_times(line: &str) -> String {
    for (before, behind) in [(" in ", ""), ("first token after ", ""), ("valid until ", "")] {
        let Some(at) = line.find(before) else { continue };
        let rest = &line[at + before.len()..];
        let is_duration = rest.ends_with(" ms") || rest.ends_with(" s");
        if before != " in " || (is_duration && line.contains("chat ")) {
            return format!("{}{before}[time]{behind}", &line[..at]);
        }
    }
    line.to_owned()
}
