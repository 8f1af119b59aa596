//! The program's commands, run as a person runs them: with arguments, variables and a pipe, and nothing else around.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use owl_testkit::{InferenceOptions, InferenceServer};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// When a test that waits in vain is given up. Never part of what a test shows.
const DEADLINE: Duration = Duration::from_secs(30);

/// A secret that must never appear where people look.
pub(crate) const CANARY: &str = "canary-7f3a:with$and\"quote";

/// Runs a test; fails it when it does not end.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let result = runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await });
    runtime.shutdown_background();
    result.expect("what the test waits for has not happened")
}

/// An inference server with one model.
pub(crate) fn one_model() -> InferenceServer {
    InferenceServer::start(InferenceOptions { models: vec!["tiny-chat".to_owned()], ..InferenceOptions::default() })
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    fn new(output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }
}

/// `owl` in this folder, without a terminal and with no variables but these.
fn command(arguments: &[&str], folder: &Path, variables: &[(String, String)]) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_owl"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder).envs(variables.iter().cloned());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
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

    /// Runs `owl` to its end, its standard input being empty, on a thread where waiting is fine.
    pub(crate) fn owl(&self, arguments: &[&str]) -> Ended {
        let mut command = command(arguments, self.folder.path(), &self.variables);
        command.stdin(Stdio::null());
        let ended = Ended::new(tokio::task::block_in_place(|| command.output()).unwrap());
        for stream in [&ended.stdout, &ended.stderr] {
            assert!(!stream.contains("canary"), "a credential was printed: {stream}");
            assert!(!stream.contains('\u{1b}'), "there is no terminal: {stream}");
        }
        ended
    }
}

/// `owl`, about to be run once, in a place of its own.
pub(crate) struct Owl {
    arguments: Vec<String>,
    place: Place,
}

impl Owl {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(ToString::to_string).collect(), place: Place::new() }
    }

    /// With this server as its provider.
    pub(crate) fn at(self, base_url: &str) -> Self {
        self.with("OWL_BASE_URL", base_url).with("OWL_ALLOW_PRIVATE_NETWORK", "true")
    }

    pub(crate) fn with(self, variable: &str, value: &str) -> Self {
        Self { place: self.place.with(variable, value), ..self }
    }

    /// With a configuration in JSON5.
    pub(crate) fn configured(self, config: &str) -> Self {
        self.place.write("owl.json5", config);
        self
    }

    /// Starts it, its standard input being open; the folder goes when its second half is dropped.
    pub(crate) fn start(self) -> (Child, TempDir) {
        let Place { folder, variables } = self.place;
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let mut command = Command::from(command(&arguments, folder.path(), &variables));
        (command.kill_on_drop(true).spawn().unwrap(), folder)
    }

    /// Runs it to its end.
    pub(crate) async fn run(self, stdin: impl AsRef<[u8]>) -> Ended {
        let (mut child, _folder) = self.start();
        let mut pipe = child.stdin.take().unwrap();
        // A command that reads no pipe has closed it.
        let _ = pipe.write_all(stdin.as_ref()).await;
        drop(pipe);
        Ended::new(child.wait_with_output().await.unwrap())
    }
}

impl Ended {
    /// Checks that all went well, and what was printed; nothing was said beside it.
    #[track_caller]
    pub(crate) fn check(&self, stdout: &str) {
        assert_eq!((self.code, self.stdout.as_str(), self.stderr.as_str()), (Some(0), stdout, ""));
    }

    /// Checks the exit code, that nothing was printed, and that one line with all these parts says why.
    #[track_caller]
    pub(crate) fn check_failure(&self, code: i32, parts: &[&str]) {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        check_parts(&self.stderr, parts);
    }

    /// Exit code and both streams, with `names` (ports, folders) replaced and without times.
    pub(crate) fn told(&self, names: &[(&str, &str)]) -> String {
        let text = format!("exit code: {:?}\n{}--- stderr\n{}", self.code.unwrap_or(-1), self.stdout, self.stderr);
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

#[track_caller]
pub(crate) fn check_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

/// Sends a signal: `INT`, `TERM`.
pub(crate) fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs");
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().unwrap();
    assert!(sent.success());
}

/// Waits for the end of a command whose pipes are held elsewhere.
pub(crate) async fn end(mut child: Child) -> ExitStatus {
    child.wait().await.unwrap()
}
