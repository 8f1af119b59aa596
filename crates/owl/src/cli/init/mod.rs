//! `owl config init`: the wizard. It asks for an inference server, tries it, and writes a file that works.
//!
//! Every question has a flag, so that it runs without a terminal too. It writes nothing before the server was tried, unless
//! `--no-try` says so, and never a secret that it was told to read from elsewhere. Read `answers.rs` (questions and
//! flags), `file.rs` (what is written).

mod answers;
mod ask;
mod file;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use owl_egress::policy::Hint;
use owl_egress::{Denied, Network, PolicyRules, UpstreamOptions};

use self::answers::Answers;
use self::ask::{Asker, Stop};
use super::check::report::{ProviderReport, Screen};
use super::check::{Depth, Wish, examine};
use super::{config, failed, say};
use crate::config::{ApiSupport, CompatConfig, Config, Environment, ModelsConfig, Overrides, ProviderConfig};

/// How long the server may take to list its models.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes a configuration for an inference server, after trying it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  owl config init                           asks for everything
  owl config init --base-url https://llm.corp.example --auth basic --username svc-owl --secret-file /run/secrets/owl
  owl config init --yes --base-url http://192.168.7.20:8000 --allow-private-network
  owl config init --yes --base-url https://llm.corp.example --secret-env OWL_API_KEY --listen 0.0.0.0:6950

Exit code: 0 the file is written, 1 the server was tried and does not work, 2 an answer is missing or wrong.")]
pub struct InitCommand {
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = "owl.json5")]
    output: PathBuf,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
    /// Ask nothing: what is not given has its default
    #[arg(short, long)]
    yes: bool,
    /// Write the file without trying the server
    #[arg(long)]
    no_try: bool,
    #[command(flatten)]
    answers: answers::Flags,
}

impl InitCommand {
    pub(super) async fn run(self) -> ExitCode {
        match self.write().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(Stop::Usage(message)) => {
                failed(&message);
                ExitCode::from(config::BAD_CONFIGURATION)
            }
            Err(Stop::Failed(message)) => failed(&message),
            Err(Stop::Told(code)) => ExitCode::from(code),
        }
    }

    async fn write(self) -> Result<(), Stop> {
        let path = &self.output;
        if path.exists() && !self.force {
            return Err(Stop::Usage(format!("{} exists already; --force replaces it", path.display())));
        }
        let asker = Asker::new(self.yes);
        let mut answers = Answers::collect(&self.answers, &asker, path)?;
        // What is wrong with the flags is said before anything is tried; a person is asked one thing after the other.
        if !asker.can_ask() {
            answers.settle_listener(&self.answers, &asker)?;
        }
        if !self.no_try {
            try_out(&mut answers, &asker).await?;
        }
        if asker.can_ask() {
            answers.settle_listener(&self.answers, &asker)?;
        }
        let text = file::render(&answers);
        file::write(path, &text, answers.holds_secret(), self.force)
            .map_err(|error| Stop::Failed(format!("{} cannot be written: {error}", path.display())))?;
        proofread(path)?;
        tell_next(path, &answers).map_err(|error| Stop::Failed(format!("the output cannot be written: {error}")))
    }
}

/// Tries the server until it works, the private network is refused, or the operator gives up.
async fn try_out(answers: &mut Answers, asker: &Asker) -> Result<(), Stop> {
    loop {
        let report = try_once(answers).await?;
        match &report.denied {
            Some(denied) if is_merely_private(answers, denied) => {
                open_private_network(answers, asker, denied)?;
            }
            _ if report.is_ok() => return Ok(()),
            _ => return give_up(asker),
        }
    }
}

async fn try_once(answers: &Answers) -> Result<ProviderReport, Stop> {
    let options = UpstreamOptions {
        authentication: answers.authentication(),
        tls: answers.tls.clone(),
        rules: PolicyRules { allow_private_network: answers.allow_private_network, ..PolicyRules::default() },
        ..UpstreamOptions::new(file::PROVIDER, answers.base_url.clone())
    };
    let declared = answers.declared();
    let models = ModelsConfig { all: declared.is_empty(), declared, refresh: Duration::from_secs(60) };
    let provider = ProviderConfig {
        upstream: options,
        models,
        responses: ApiSupport::default(),
        messages: ApiSupport::default(),
        compat: CompatConfig::default(),
        auto_tools: Vec::new(),
    };
    let wish = Wish { depth: Depth::Models, model: None, patience: PATIENCE, screen: Screen::detect() };
    examine(&provider, &Network::default(), wish).await.map_err(|error| Stop::Usage(error.to_string()))
}

/// Whether a word of the operator's would open it, which was not said yet.
fn is_merely_private(answers: &mut Answers, denied: &Denied) -> bool {
    denied.hint == Some(Hint::AllowPrivateNetwork) && !*answers.private_network_for(denied)
}

/// Explains a private address in plain words, and opens it when the operator says so.
fn open_private_network(answers: &mut Answers, asker: &Asker, denied: &Denied) -> Result<(), Stop> {
    let what = match (&denied.address, &denied.range) {
        (Some(address), Some(range)) => format!("{address} ({range})"),
        _ => denied.host.clone(),
    };
    asker.explain(&format!(
        "{what} is not on the public internet: it is this machine, or one on your own network.\n\
         Owl connects to such an address only when you say so, because a wrong or hostile base URL could otherwise\n\
         reach things that only your network can. For a server that you run yourself it is the right answer;\n\
         it opens private addresses for this one server and for nothing else."
    ));
    let message = "the server is on a private network; --allow-private-network writes `allowPrivateNetwork: true`";
    if !asker.can_ask() {
        return Err(Stop::Failed(format!("{denied}\nowl: {message}")));
    }
    if asker.confirm("Allow the private network for this server?", false)? {
        *answers.private_network_for(denied) = true;
        return Ok(());
    }
    Err(Stop::Failed("nothing was written: without that the server cannot be reached".to_owned()))
}

fn give_up(asker: &Asker) -> Result<(), Stop> {
    if asker.can_ask() && asker.confirm("The server does not work yet. Write the file all the same?", false)? {
        return Ok(());
    }
    Err(Stop::Failed("nothing was written; --no-try writes the file without trying the server".to_owned()))
}

/// Loads what was written as `owl serve` would if it were started here.
fn proofread(path: &Path) -> Result<(), Stop> {
    let overrides = Overrides { config: Some(path.to_owned()), ..Overrides::default() };
    match Config::load_with(&overrides, &Environment::Process) {
        Ok(_) => Ok(()),
        Err(problems) => {
            let mut err = anstream::stderr();
            let _ = writeln!(err, "owl: {} is written, but it needs a hand:", path.display());
            let _ = config::write_problems(&problems, &mut err);
            Err(Stop::Told(config::BAD_CONFIGURATION))
        }
    }
}

fn tell_next(path: &Path, answers: &Answers) -> std::io::Result<()> {
    let listen = answers.listen;
    let host = if listen.ip().is_unspecified() { "THIS-MACHINE".to_owned() } else { host(listen.ip()) };
    let shown = path.display();
    let flag = if path == Path::new("owl.json5") { String::new() } else { format!(" --config {shown}") };
    let mut next = vec![
        (format!("owl check{flag}"), "tries everything that the server can do"),
        (format!("owl serve{flag}"), "starts Owl"),
        (format!("http://{host}:{}/v1", listen.port()), "is the base URL for clients"),
    ];
    if let Some(variable) = answers.secret_variable() {
        next.insert(0, (format!("export {variable}=…"), "where Owl is started"));
    }
    let width = next.iter().map(|(what, _)| what.chars().count()).max().unwrap_or_default();
    say(&format!("\nWrote {shown}. Next:"))?;
    for (what, why) in next {
        say(&format!("  {what:<width$}   {why}"))?;
    }
    if answers.gateway_key.is_some() {
        say(&format!("The key for clients stands in {shown}, at gateway.keys; only you can read the file."))?;
    }
    Ok(())
}

fn host(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => format!("[{address}]"),
    }
}
