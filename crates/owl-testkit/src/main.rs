//! `owl-testkit`: the fakes for a shell, and load for them. It refuses to be a server for anything but tests: loopback
//! is its default.
//!
//! A server's first line on standard output is the bound address; then comes one JSON object a line for each event.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use owl_testkit::certificates;
use owl_testkit::event::{Closed, ClosedBy, Event, Request};
use owl_testkit::http::{Answer, HttpServer, ListenOptions, ServerTls, full};
use owl_testkit::inference::{Credential, InferenceOptions, InferenceServer};
use owl_testkit::load::{self, LoadOptions};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const USAGE: &str = "\
owl-testkit inference [--listen 127.0.0.1:0] [--models a,b] [--prefix /llm] [--auth bearer:KEY | basic:USER:PASSWORD | header:NAME:VALUE]
                      [--tls CERT.pem,KEY.pem [--client-ca CA.pem]] [--log FILE] [--quiet] [--control 127.0.0.1:0]
    An OpenAI-compatible server that the last user message scripts. Prints its address, then events as JSON lines.
    --log      writes the events into a file instead
    --quiet    no events, and none remembered: for load
    --control  a second listener, its address in the second line. For the request whose body contains TEXT:
               GET /arrived?TEXT answers when it is there, GET /closed?TEXT when its connection has ended
owl-testkit load ADDRESS [--streams 16] [--model tiny-chat] [--text '[[count 1000]]'] [--seconds N | --hold]
    Streamed chats, all at once. Prints what came, as JSON: events, chunks of the transfer coding, bytes, seconds.
    --seconds  hangs up after this time: for answers without an end
    --hold     reads the first chunk of each, prints how many are open, and keeps them until standard input ends
owl-testkit certificates FOLDER
    Writes a private CA and certificates, good and bad.
";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) if command == "inference" => inference(rest).await,
        Some((command, rest)) if command == "load" => load(rest).await,
        Some((command, [folder])) if command == "certificates" => {
            certificates::write_all(Path::new(folder)).map_err(|error| format!("{folder}: {error}"))
        }
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _nothing_left_to_tell = writeln!(io::stderr(), "{message}");
            ExitCode::from(2)
        }
    }
}

async fn inference(arguments: &[String]) -> Result<(), String> {
    let mut flags = Flags::parse(arguments)?;
    if flags.control.is_some() && flags.quiet {
        return Err("--control needs the events that --quiet forgets".to_owned());
    }
    let (sink, mut events) = mpsc::unbounded_channel();
    flags.options.sink = (!flags.quiet).then_some(sink);
    flags.options.remember = flags.control.is_some();
    let server = Arc::new(InferenceServer::start(flags.options));

    let mut output = io::stdout();
    print_line(&mut output, server.address())?;
    let _control = match flags.control {
        None => None,
        Some(listen) => {
            let control = start_control(listen, Arc::clone(&server));
            print_line(&mut output, control.address())?;
            Some(control)
        }
    };
    let mut output: Box<dyn Write> = match flags.log {
        None => Box::new(output),
        Some(path) => Box::new(File::create(&path).map_err(|error| format!("{path}: {error}"))?),
    };
    while let Some(event) = events.recv().await {
        print_line(&mut output, describe(&event))?;
    }
    std::future::pending().await
}

async fn load(arguments: &[String]) -> Result<(), String> {
    let (options, is_held) = parse_load(arguments)?;
    let failed = |error: io::Error| format!("{}: {error}", options.address);
    let started = Instant::now();
    if is_held {
        let held = load::hold(&options).await.map_err(failed)?;
        print_line(&mut io::stdout(), json!({"open": held.len()}))?;
        let _ended = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await;
        return Ok(());
    }
    let counted = load::read(&options).await.map_err(failed)?;
    let seconds = started.elapsed().as_secs_f64();
    let line = json!({"events": counted.events, "chunks": counted.chunks, "bytes": counted.bytes, "seconds": seconds});
    print_line(&mut io::stdout(), line)
}

fn parse_load(arguments: &[String]) -> Result<(LoadOptions, bool), String> {
    let (address, rest) = arguments.split_first().ok_or(USAGE)?;
    let mut options = LoadOptions {
        address: parse_address(address)?,
        streams: 16,
        model: "tiny-chat".to_owned(),
        text: "[[count 1000]]".to_owned(),
        time: None,
    };
    let mut is_held = false;
    let mut rest = rest.iter();
    while let Some(flag) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{flag} needs a value"));
        match flag.as_str() {
            "--streams" => options.streams = parse_number(value()?)?,
            "--model" => value()?.clone_into(&mut options.model),
            "--text" => value()?.clone_into(&mut options.text),
            "--seconds" => options.time = Some(Duration::from_secs(parse_number(value()?)?)),
            "--hold" => is_held = true,
            _ => return Err(format!("{flag} is not known here\n{USAGE}")),
        }
    }
    Ok((options, is_held))
}

fn parse_number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a whole number"))
}

struct Flags {
    options: InferenceOptions,
    control: Option<SocketAddr>,
    log: Option<String>,
    quiet: bool,
}

impl Flags {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut flags = Self { options: InferenceOptions::default(), control: None, log: None, quiet: false };
        let mut client_ca = None;
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--listen" => flags.options.listen = parse_address(value()?)?,
                "--control" => flags.control = Some(parse_address(value()?)?),
                "--models" => flags.options.models = value()?.split(',').map(str::to_owned).collect(),
                "--prefix" => value()?.clone_into(&mut flags.options.prefix),
                "--auth" => flags.options.credential = parse_credential(value()?)?,
                "--tls" => flags.options.tls = Some(parse_tls(value()?)?),
                "--client-ca" => client_ca = Some(read(value()?)?),
                "--log" => flags.log = Some(value()?.clone()),
                "--quiet" => flags.quiet = true,
                _ => return Err(format!("{flag} is not known here\n{USAGE}")),
            }
        }
        if let Some(tls) = &mut flags.options.tls {
            tls.client_ca = client_ca;
        }
        Ok(flags)
    }
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text} is not an address like 127.0.0.1:0"))
}

fn parse_credential(text: &str) -> Result<Credential, String> {
    let wrong = || "--auth takes bearer:KEY, basic:USER:PASSWORD or header:NAME:VALUE".to_owned();
    let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
    let pair = || rest.split_once(':').map(|(left, right)| (left.to_owned(), right.to_owned())).ok_or_else(wrong);
    match kind {
        "bearer" => Ok(Credential::Bearer(rest.to_owned())),
        "basic" => pair().map(|(user, password)| Credential::Basic(user, password)),
        "header" => pair().map(|(name, value)| Credential::Header(name, value)),
        _ => Err(wrong()),
    }
}

fn parse_tls(text: &str) -> Result<ServerTls, String> {
    let (certificate, key) = text.split_once(',').ok_or("--tls takes CERT.pem,KEY.pem")?;
    Ok(ServerTls { certificates: read(certificate)?, key: read(key)?, client_ca: None })
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

fn print_line(output: &mut dyn Write, line: impl Display) -> Result<(), String> {
    writeln!(output, "{line}").and_then(|()| output.flush()).map_err(|error| format!("cannot write: {error}"))
}

fn describe(event: &Event) -> Value {
    match event {
        Event::Opened(connection, _) => json!({"event": "opened", "connection": connection.0}),
        Event::HandshakeFailed(connection, why) => {
            json!({"event": "handshake failed", "connection": connection.0, "why": why})
        }
        Event::Request(request) => describe_request(request),
        Event::Closed(closed) => describe_closed(closed),
    }
}

fn describe_request(request: &Request) -> Value {
    let header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())])
    };
    json!({"event": "request", "connection": request.connection.0, "method": request.method, "path": request.path,
           "query": request.query, "headers": request.headers.iter().map(header).collect::<Vec<_>>(),
           "body": String::from_utf8_lossy(&request.body)})
}

fn describe_closed(closed: &Closed) -> Value {
    let by = match closed.by {
        ClosedBy::Peer => "peer",
        ClosedBy::Server => "server",
    };
    json!({"event": "closed", "connection": closed.connection.0, "by": by, "received": closed.received,
           "sent": closed.sent})
}

fn start_control(listen: SocketAddr, server: Arc<InferenceServer>) -> HttpServer {
    HttpServer::start(ListenOptions { listen, ..ListenOptions::default() }, move |question| -> Answer {
        let server = Arc::clone(&server);
        Box::pin(async move {
            let text = question.query.unwrap_or_default();
            let find = |events: &[Event]| events.iter().find_map(|event| matching(event, &text));
            let answer = match question.path.as_str() {
                "/arrived" => describe_request(&server.log().wait_for(find).await),
                "/closed" => {
                    let connection = server.log().wait_for(find).await.connection;
                    describe_closed(&server.closed(connection).await)
                }
                _ => json!({"error": "the paths are /arrived and /closed"}),
            };
            http::Response::new(full(answer.to_string()))
        })
    })
}

fn matching(event: &Event, text: &str) -> Option<Request> {
    match event {
        Event::Request(request) if String::from_utf8_lossy(&request.body).contains(text) => {
            Some(Request::clone(request))
        }
        Event::Request(_) | Event::Opened(..) | Event::HandshakeFailed(..) | Event::Closed(_) => None,
    }
}
