//! The program's commands, run as a person runs them: with arguments, variables and a pipe, and nothing else around.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use owl_testkit::{InferenceOptions, InferenceServer};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// When a test that waits in vain is given up. Never part of what a test shows.
const DEADLINE: Duration = Duration::from_secs(30);

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

/// `owl`, about to be run in an empty folder.
pub(crate) struct Owl {
    command: Command,
    folder: TempDir,
}

impl Owl {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_owl"));
        command.args(arguments).env_clear().current_dir(folder.path()).env("HOME", folder.path()).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, folder }
    }

    /// With this server as its provider.
    pub(crate) fn at(mut self, base_url: &str) -> Self {
        self.command.env("OWL_BASE_URL", base_url).env("OWL_ALLOW_PRIVATE_NETWORK", "true");
        self
    }

    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.command.env(variable, value);
        self
    }

    /// With a configuration in JSON5.
    pub(crate) fn configured(self, config: &str) -> Self {
        std::fs::write(self.folder.path().join("owl.json5"), config).unwrap();
        self
    }

    /// Starts it, its standard input being open; the folder goes when its second half is dropped.
    pub(crate) fn start(mut self) -> (Child, TempDir) {
        (self.command.spawn().unwrap(), self.folder)
    }

    /// Runs it to its end.
    pub(crate) async fn run(self, stdin: impl AsRef<[u8]>) -> Ended {
        let (mut child, _folder) = self.start();
        let mut pipe = child.stdin.take().unwrap();
        // A command that reads no pipe has closed it.
        let _ = pipe.write_all(stdin.as_ref()).await;
        drop(pipe);
        let output = child.wait_with_output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
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
