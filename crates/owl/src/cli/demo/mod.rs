//! `owl demo`: Owl in front of a server behind a password, step by step, with nothing to set up.
//!
//! Everything it shows happens: the refusal and the configuration are those of the gateway that is built from the very
//! text it prints, and the answer goes over the same sockets that a client would use.
//!
//! Read next: `server.rs` (the scripted inference server), `script.rs` (what it says).

mod script;
mod server;

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use anstyle::Style;
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderValue, Method, header};
use owl_egress::audit::LogSink;
use owl_egress::{Caller, PolicyRules, TargetUrl, UpstreamClient, UpstreamOptions, UpstreamRequest};
use owl_wire::chat::{ChatMessage, ChatRequest};

use self::server::{DemoServer, MODEL, PASSWORD, USER};
use super::chat::answer::{Answer, AnswerReader};
use super::chat::end_of_output;
use super::chat::screen::Screen;
use super::doors::Doors;
use super::serve::{asked_to_stop, run_until_stopped};
use super::{failed, log, say};
use crate::config::{Config, check_text};
use crate::gateway::Gateway;
use crate::server::{BindError, Server};

/// What the demo asks its own model.
const QUESTION: &str = "What do owls do at night?";

const BOLD: Style = Style::new().bold();

/// Shows Owl at work on an embedded, scripted inference server
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl demo
  owl demo --listen 127.0.0.1:8080")]
pub struct DemoCommand {
    /// The loopback address and port that Owl listens on; another port when this one is taken
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:6950", value_parser = loopback)]
    listen: SocketAddr,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write an address and a port: 127.0.0.1:6950".to_owned())?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("the demo has no client keys, so it listens on loopback only; `owl serve` listens anywhere".to_owned())
}

impl DemoCommand {
    pub(super) async fn run(self) -> ExitCode {
        match self.show().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(DemoError::Output(error)) => end_of_output(&error),
            Err(DemoError::Other(reason)) => failed(&reason),
        }
    }

    async fn show(self) -> Result<(), DemoError> {
        let upstream = DemoServer::bind().await.map_err(other)?;
        let base_url = format!("http://{}/v1", upstream.address().map_err(other)?);
        let mut serving_upstream = pin!(upstream.run());
        let listen = self.listen;
        let showing = async {
            say(&intro(&base_url))?;
            show_refusal(listen, &base_url).await?;
            show_gateway(listen, &base_url).await
        };
        tokio::select! {
            shown = showing => shown,
            () = &mut serving_upstream => Ok(()),
        }
    }
}

/// Why the demo ends early.
#[derive(Debug)]
enum DemoError {
    Output(io::Error),
    Other(String),
}

impl From<io::Error> for DemoError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn other(error: impl Display) -> DemoError {
    DemoError::Other(error.to_string())
}

fn intro(base_url: &str) -> String {
    format!(
        "{BOLD}1. An inference server behind a password.{BOLD:#} It is scripted and runs inside this process:\n   \
         {base_url}, Basic authentication, user name {USER}, password {PASSWORD}\n"
    )
}

/// What `owl serve` says to the configuration without `allowPrivateNetwork`.
async fn show_refusal(listen: SocketAddr, base_url: &str) -> Result<(), DemoError> {
    let config = configuration(listen, base_url, false)?;
    let network = config.egress.network(Arc::new(LogSink));
    let gateway = Gateway::new(config.providers, &network).map_err(other)?;
    let Err(refused) = gateway.admit().await else {
        return Err(other("the demo's server should have been refused; please report this"));
    };
    say(&format!(
        "{BOLD}2. Owl refuses private addresses until its operator allows them.{BOLD:#} `owl serve` stops and says:\n"
    ))?;
    for error in refused {
        say(&format!("   owl: {error}"))?;
    }
    say("")?;
    Ok(())
}

/// The gateway with `allowPrivateNetwork: true`, until it is told to stop.
async fn show_gateway(listen: SocketAddr, base_url: &str) -> Result<(), DemoError> {
    let mut stop = pin!(asked_to_stop(1));
    let (gateway, server) = start(listen, base_url).await?;
    let address = server.address().map_err(other)?;
    let refreshing = gateway.keep_fresh();
    let mut serving = pin!(run_until_stopped(Doors::new(server, &gateway), stop.as_mut()));
    let log = {
        let mut telling = pin!(tell(listen, address, base_url));
        tokio::select! {
            told = &mut telling => told?,
            ended = &mut serving => return ended.map_err(other),
        }
        // From here on every request leaves its line.
        log::start(&configuration(address, base_url, true)?.log)
    };
    let ended = serving.await;
    drop((refreshing, log));
    ended.map_err(other)
}

async fn start(listen: SocketAddr, base_url: &str) -> Result<(Arc<Gateway>, Server), DemoError> {
    let config = configuration(listen, base_url, true)?;
    let network = config.egress.network(Arc::new(LogSink));
    let gateway = Arc::new(Gateway::new(config.providers, &network).map_err(other)?);
    if let Err(refused) = gateway.admit().await {
        let reasons: Vec<String> = refused.iter().map(ToString::to_string).collect();
        return Err(other(reasons.join("; ")));
    }
    let server = match Server::bind(Arc::clone(&gateway), config.gateway.clone()).await {
        Err(BindError::Address(_, error)) if error.kind() == io::ErrorKind::AddrInUse => {
            let elsewhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut door = config.gateway;
            door.listen = elsewhere;
            Server::bind(Arc::clone(&gateway), door).await
        }
        bound => bound,
    };
    Ok((gateway, server.map_err(other)?))
}

async fn tell(wanted: SocketAddr, address: SocketAddr, base_url: &str) -> Result<(), DemoError> {
    if wanted != address && wanted.port() != 0 {
        say(&format!("   ({wanted} is taken by another program, so Owl listens on {address}.)\n"))?;
    }
    say(&format!(
        "{BOLD}3. With `allowPrivateNetwork: true` it works.{BOLD:#} Owl listens on http://{address}. A question, through it:\n\n\
         > {QUESTION}"
    ))?;
    ask(address).await?;
    say(&instructions(address, &configuration_text(address, base_url, true)))?;
    Ok(())
}

/// Asks through the door, as any client would.
async fn ask(address: SocketAddr) -> Result<(), DemoError> {
    let door = TargetUrl::parse(&format!("http://{address}/v1")).map_err(other)?;
    let mut options = UpstreamOptions::new("demo", door);
    options.rules =
        PolicyRules { allow_private_network: true, allow_ports: vec![address.port()], ..PolicyRules::default() };
    let client = UpstreamClient::new(options).map_err(other)?;
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let question = ChatRequest {
        model: MODEL.to_owned(),
        messages: vec![ChatMessage::new("user", QUESTION)],
        stream: true,
        ..ChatRequest::default()
    };
    let body = Bytes::from(question.to_bytes());
    let (path, caller) = ("chat/completions".to_owned(), Caller::default());
    let request = UpstreamRequest { method: Method::POST, path, headers, body, caller };
    let response = client.send(request).await.map_err(other)?;
    let mut reader = AnswerReader::open(response).await.map_err(other)?;
    let (mut answer, mut screen) = (Answer::default(), Screen::of_stdout());
    while let Some(piece) = reader.next_text(&mut answer).await.map_err(other)? {
        screen.show(&piece)?;
    }
    screen.end()?;
    Ok(())
}

/// The configuration in effect, read from the text that is shown.
fn configuration(listen: SocketAddr, base_url: &str, allowed: bool) -> Result<Config, DemoError> {
    check_text(configuration_text(listen, base_url, allowed).as_bytes()).map_err(other)
}

fn configuration_text(listen: SocketAddr, base_url: &str, allowed: bool) -> String {
    let allowed = if allowed { "\n        allowPrivateNetwork: true, // opens this server alone" } else { "" };
    format!(
        r#"{{
  gateway: {{ listen: "{listen}" }},
  models: {{
    providers: {{
      owl: {{
        baseUrl: "{base_url}",
        auth: {{ type: "basic", username: "{USER}", password: "{PASSWORD}" }}, // or password: "${{OWL_PASSWORD}}"{allowed}
      }},
    }},
  }},
}}"#
    )
}

/// What to paste: nothing of it is indented, so that all of it can be.
fn instructions(address: SocketAddr, configuration: &str) -> String {
    format!(
        r#"
{BOLD}4. Your turn.{BOLD:#} Clients need no password: Owl shows it to the server. In a shell:

curl -N http://{address}/v1/chat/completions -H 'content-type: application/json' -d '{{"model":"{MODEL}","stream":true,"messages":[{{"role":"user","content":"Hello, owl!"}}]}}'

In Python (pip install openai):

from openai import OpenAI
client = OpenAI(base_url="http://{address}/v1", api_key="none-needed")
messages = [{{"role": "user", "content": "Hello, owl!"}}]
for chunk in client.chat.completions.create(model="{MODEL}", messages=messages, stream=True):
    print(chunk.choices[0].delta.content or "", end="", flush=True)

{BOLD}5. The same with your own server:{BOLD:#} put this into owl.json5, change the address and the password, run `owl serve`:

{configuration}

{BOLD}Owl listens on http://{address} until Ctrl-C.{BOLD:#} Requests show up here:
"#
    )
}
