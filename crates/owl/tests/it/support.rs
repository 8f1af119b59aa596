//! Owl, started for a test: in this process, or as the program itself.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use owl::cli::doors::Doors;
use owl::config::{Config, Environment, Overrides};
use owl::context::RequestContext;
use owl::gateway::{Gateway, ToolRequest};
use owl::server::Server;
use owl::tools::{Asker, Silent, Tool, ToolError, ToolResult, ToolSet};
use owl_egress::audit::LogSink;
use owl_testkit::Client;
use owl_testkit::client::RawResponse;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

/// When a test that waits in vain is given up. Never part of what a test shows.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test on two threads, as Owl runs on several; fails it when it does not end.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let result = runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await });
    runtime.shutdown_background();
    result.expect("what the test waits for has not happened")
}

/// A configuration with one provider, `owl`, that may be on this machine; `more` are further keys of it.
pub(crate) fn one_provider(base_url: &str, more: &str) -> String {
    format!("{{ models: {{ providers: {{ owl: {{ baseUrl: {base_url:?}, allowPrivateNetwork: true, {more} }} }} }} }}")
}

/// The same with further keys of `gateway`.
pub(crate) fn with_gateway(base_url: &str, gateway: &str) -> String {
    format!(
        "{{ gateway: {{ {gateway} }}, models: {{ providers: {{ owl: {{ baseUrl: {base_url:?}, \
         allowPrivateNetwork: true }} }} }} }}"
    )
}

/// Owl in this process.
pub(crate) struct Owl {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    _folder: TempDir,
}

impl Owl {
    /// Starts Owl with a configuration in JSON5, on a free port. Nothing is asked of an upstream before a request needs
    /// it: the lists of models are not kept fresh.
    pub(crate) async fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, config).await
    }

    /// The same, where the configuration's relative paths begin in `folder`.
    pub(crate) async fn start_in(folder: TempDir, config: &str) -> Self {
        Self::start_with(folder, config, None).await
    }

    /// Starts Owl with a configuration and, instead of its own, these tools.
    pub(crate) async fn start_with_tools(config: &str, tools: impl IntoIterator<Item = Arc<dyn Tool>>) -> Self {
        Self::start_with(tempfile::tempdir().unwrap(), config, Some(tools.into_iter().collect())).await
    }

    async fn start_with(folder: TempDir, config: &str, tools_instead: Option<ToolSet>) -> Self {
        Records::listen();
        let file = folder.path().join("owl.json5");
        std::fs::write(&file, config).unwrap();
        let overrides =
            Overrides { config: Some(file), listen: Some("127.0.0.1:0".to_owned()), ..Overrides::default() };
        let Config { gateway: door, providers, egress, tools, .. } =
            match Config::load_with(&overrides, &Environment::these([])) {
                Ok(config) => config,
                Err(problems) => panic!("{problems:?}"),
            };
        let network = egress.network(Arc::new(LogSink));
        let gateway = Gateway::new(providers, &network).unwrap();
        let gateway = gateway.with_media(door.media.clone(), door.rules.clone(), &network).unwrap();
        let gateway = match tools_instead {
            Some(tools) => gateway.with_tool_set(tools),
            None => gateway.with_tools(tools, &network).unwrap(),
        };
        let gateway = Arc::new(gateway.with_auto_tools(&door.keys));
        gateway.admit().await.unwrap();
        let server = Server::bind(Arc::clone(&gateway), door).await.unwrap();
        let address = server.address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let doors = Doors::new(server, &gateway);
        let serving = tokio::spawn(doors.run(async move {
            let _stopped_or_dropped = stopped.await;
        }));
        Self { address, gateway, stop: Some(stop), serving, _folder: folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Calls a tool, on behalf of a program that sees no pictures.
    pub(crate) async fn tool(&self, name: &str, arguments: Value) -> Result<ToolResult, ToolError> {
        let Value::Object(arguments) = arguments else { panic!("the arguments of a call are an object") };
        let asked = ToolRequest {
            name,
            arguments: &arguments,
            asker: Asker::Model,
            sees: false,
            progress: &Silent,
            approval: None,
        };
        self.gateway.call_tool(&RequestContext::local(), asked).await
    }

    /// A new connection to it.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await.unwrap()
    }

    /// POSTs JSON over a connection of its own.
    pub(crate) async fn post(&self, path: &str, headers: &[&str], body: &str) -> RawResponse {
        self.client().await.post(path, headers, body).await.unwrap()
    }

    /// GETs over a connection of its own.
    pub(crate) async fn get(&self, path: &str, headers: &[&str]) -> RawResponse {
        self.client().await.get(path, headers).await.unwrap()
    }

    /// Sends one message to the model `tiny-chat`.
    pub(crate) async fn chat(&self, text: &str, stream: bool) -> RawResponse {
        self.post("/v1/chat/completions", &[], &chat_body("tiny-chat", text, stream)).await
    }

    /// Tells it to stop, as SIGTERM does.
    pub(crate) fn stop(&mut self) {
        self.stop.take().expect("stopped once").send(()).unwrap();
    }

    /// Waits until it has stopped.
    pub(crate) async fn stopped(self) {
        self.serving.await.unwrap();
    }
}

/// The body of a chat request.
pub(crate) fn chat_body(model: &str, text: &str, stream: bool) -> String {
    serde_json::json!({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}).to_string()
}

/// Checks that an answer is an error in the OpenAI shape, with this status and code, whose message has all these parts.
#[track_caller]
pub(crate) fn check_error(response: &RawResponse, status: u16, code: &str, parts: &[&str]) {
    let body = response.text();
    assert_eq!(response.status, status, "{body}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{body}");
    assert!(response.header("x-request-id").is_some_and(|id| !id.is_empty()), "no x-request-id: {body}");
    check_error_body(&response.json(), code, parts);
}

/// The same for the body alone.
#[track_caller]
pub(crate) fn check_error_body(body: &Value, code: &str, parts: &[&str]) {
    let keys = |value: &Value| value.as_object().map(|object| object.keys().cloned().collect::<Vec<_>>());
    assert_eq!(keys(body), Some(vec!["error".to_owned()]), "{body}");
    let error = &body["error"];
    let shape = ["message", "type", "param", "code"].map(str::to_owned).to_vec();
    assert_eq!(keys(error), Some(shape), "{body}");
    assert_eq!(error["code"], code, "{body}");
    assert!(error["type"].is_string(), "{body}");
    let message = error["message"].as_str().unwrap();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// The records of all requests that Owl served in this process.
pub(crate) struct Records(watch::Sender<Vec<Fields>>);

/// A record's fields as text.
pub(crate) type Fields = BTreeMap<String, String>;

static RECORDS: OnceLock<Records> = OnceLock::new();

impl Records {
    fn listen() -> &'static Self {
        RECORDS.get_or_init(|| {
            tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Collector)).unwrap();
            Self(watch::Sender::default())
        })
    }

    /// Waits for the record of the request with this id.
    pub(crate) async fn of(request_id: &str) -> Fields {
        let mut records = Self::listen().0.subscribe();
        loop {
            let found = records.borrow_and_update().iter().find(|fields| fields["request_id"] == request_id).cloned();
            match found {
                Some(fields) => return fields,
                None => records.changed().await.unwrap(),
            }
        }
    }
}

struct Collector;

impl<S: tracing::Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target() == "owl::request"
            && let Some(records) = RECORDS.get()
        {
            let mut fields = TextFields::default();
            event.record(&mut fields);
            records.0.send_modify(|all| all.push(fields.0));
        }
    }
}

#[derive(Default)]
struct TextFields(Fields);

impl Visit for TextFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

/// The program itself: `owl serve` or another command, its standard error being collected.
pub(crate) struct Program {
    child: Child,
    lines: watch::Receiver<Vec<String>>,
    reading: JoinHandle<()>,
    _folder: TempDir,
}

/// What a program left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Program {
    /// Starts `owl serve` with a configuration in JSON5 on a free port.
    pub(crate) fn serve(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("owl.json5");
        std::fs::write(&file, config).unwrap();
        let mut command = owl_command();
        command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(file);
        Self::start(command, folder)
    }

    fn start(mut command: Command, folder: TempDir) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Self::spawn(command, folder)
    }

    fn spawn(mut command: Command, folder: TempDir) -> Self {
        command.stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (sender, lines) = watch::channel(Vec::new());
        let reading = tokio::spawn(collect_lines(child.stderr.take().unwrap(), sender));
        Self { child, lines, reading, _folder: folder }
    }

    /// Waits for the first line in which `find` finds something.
    pub(crate) async fn line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        let mut lines = self.lines.clone();
        loop {
            if let Some(found) = lines.borrow_and_update().iter().find_map(|line| find(line)) {
                return found;
            }
            let changed = lines.changed().await;
            changed.unwrap_or_else(|_| panic!("it ended: {:#?}", self.lines.borrow()));
        }
    }

    /// Waits until it listens, and says where.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        self.line(|line| {
            let (_, rest) = line.split_once("listening on http://").or(line.split_once("listening on https://"))?;
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(rest.len());
            rest[..end].parse().ok()
        })
        .await
    }

    /// Sends it SIGTERM.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().expect("it runs");
        let killed = std::process::Command::new("sh").args(["-c", &format!("kill -TERM {id}")]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = self.child.wait().await.unwrap();
        self.reading.await.unwrap();
        let stderr = self.lines.borrow().join("\n");
        Ended { status, stdout: String::new(), stderr }
    }
}

/// `owl mcp`, and the client's ends of its standard input and output.
pub(crate) struct McpProgram {
    program: Program,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl McpProgram {
    /// Starts it with a configuration in JSON5.
    pub(crate) fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "owl.json5", config);
        let mut command = owl_command();
        command.args(["mcp", "--config"]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = Program::spawn(command, folder);
        let output = BufReader::new(program.child.stdout.take().unwrap()).lines();
        Self { input: program.child.stdin.take(), program, output }
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_line(&message.to_string()).await;
    }

    pub(crate) async fn send_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open");
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn receive(&mut self) -> Value {
        let line = self.output.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("it ended: {:#?}", self.program.lines.borrow()));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Closes its standard input, and waits for its end.
    pub(crate) async fn close(mut self) -> Ended {
        drop(self.input.take());
        self.ended().await
    }

    /// Sends it SIGTERM while its standard input is open, and waits for its end.
    pub(crate) async fn terminate(self) -> Ended {
        self.program.terminate();
        self.ended().await
    }

    async fn ended(mut self) -> Ended {
        let mut stdout = String::new();
        while let Some(line) = self.output.next_line().await.unwrap() {
            stdout += &line;
        }
        Ended { stdout, ..self.program.ended().await }
    }
}

async fn collect_lines(from: impl AsyncRead + Unpin, to: watch::Sender<Vec<String>>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        to.send_modify(|all| all.push(line));
    }
}

/// The program with an environment of nothing but a search path.
fn owl_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_owl"));
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").current_dir("/");
    command
}

/// Runs another command of the program to its end.
pub(crate) async fn owl(arguments: &[&str], config: &Path) -> Ended {
    let mut command = owl_command();
    command.args(arguments).arg("--config").arg(config).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Writes a file into a folder and says where it is.
pub(crate) fn write(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Everything that comes over a connection until its end, as text; a reset counts as an end.
pub(crate) async fn until_broken(client: &mut Client) -> String {
    let mut text = Vec::new();
    while let Ok(Some(chunk)) = client.chunk().await {
        text.extend_from_slice(&chunk);
    }
    String::from_utf8(text).unwrap()
}

/// An address on which nobody listens, and nobody else can as long as the socket is held.
pub(crate) fn nobody() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}
