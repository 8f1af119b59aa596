//! The command `owl egress check`.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use owl_egress::TargetUrl;
use owl_egress::policy::Verdict;

use super::super::config::BAD_CONFIGURATION;
use super::super::{FAILED, failed, load_for_tools, say};
use super::answers::{Names, Resolved};
use super::basis::{Basis, Purpose};
use super::reasoning::{Asked, Reasoning};
use super::{batch, show};
use crate::config::{Config, Overrides, policy_rules};

/// Says whether Owl would fetch a URL, step by step, and what would open it
#[derive(Debug, Args)]
#[command(
    long_about = "\
Says whether Owl would fetch a URL, step by step, and what would open it

Judges each URL by the egress policy: how it is read, its scheme, port and name, the addresses that the name leads to, and \
what opens or refuses each of them; then the verdict, and the shortest configuration that would open just that. Nothing is \
connected to; a name is looked up, unless --resolve says what it leads to or --offline forbids it.

Without --for and --policy the default policy judges: public addresses only.

With --batch it reads JSON lines, {\"id\": …, \"url\": …, \"policy\": {…}, \"dns\": {\"A\": […], \"AAAA\": […]}} or \
{\"id\": …, \"ip\": …, \"policy\": {…}}, from a file or standard input, and writes a line for each, in order. It makes no \
queries: without \"dns\", a name that would have to be looked up is refused.

Exit code: 0 all are allowed (with --batch: all rows were right), 1 any is refused, 2 the usage, the policy or a row is wrong.",
    after_help = "\
Examples:
  owl egress check http://169.254.169.254/latest/meta-data/
  owl egress check --for gateway https://images.example.com/cat.png
  owl egress check --for provider:gpu
  owl egress check --for fetch http://wiki.corp.example/
  owl egress check --policy '{ allowHosts: [\"nas.lan\"] }' --resolve nas.lan=192.168.7.2 http://nas.lan:8000/
  owl egress check --offline --json http://0x7f.1/ | jq .verdict
  owl egress check --batch < rows.jsonl"
)]
pub struct CheckCommand {
    /// The URLs; with --batch a file of rows, or nothing for standard input
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Whose policy judges: fetch, image, search, gateway or provider:NAME, from the configuration
    #[arg(long = "for", value_name = "WHO", conflicts_with = "policy")]
    purpose: Option<Purpose>,
    /// The policy that judges, as an object in JSON or JSON5 with the configuration's keys
    #[arg(long, value_name = "JSON")]
    policy: Option<String>,
    /// What a name leads to, in place of DNS; may be given several times
    #[arg(long, value_name = "HOST=ADDR[,ADDR]…")]
    resolve: Vec<Resolved>,
    /// Look no name up: one that would have to be is refused
    #[arg(long)]
    offline: bool,
    /// Print one JSON object a URL instead of text
    #[arg(long)]
    json: bool,
    /// Read JSON lines and write one for each
    #[arg(long, conflicts_with_all = ["purpose", "policy", "resolve", "offline", "json", "config"])]
    batch: bool,
    /// The configuration file, for --for [env: OWL_CONFIG]
    #[arg(long, value_name = "FILE", requires = "purpose")]
    config: Option<PathBuf>,
}

impl CheckCommand {
    pub(super) async fn run(self) -> ExitCode {
        if self.batch {
            return run_batch(&self.urls);
        }
        match self.judge().await {
            Ok(verdicts) if verdicts.iter().all(|verdict| *verdict == Verdict::Allow) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(FAILED),
            Err(code) => code,
        }
    }

    async fn judge(self) -> Result<Vec<Verdict>, ExitCode> {
        let basis = self.basis()?;
        let asked = self.asked(&basis)?;
        let names = Names::new(self.resolve, self.offline, basis.resolver().clone());
        if !self.json {
            written(say(&format!("Judged by {}.", basis.told())))?;
        }
        let mut verdicts = Vec::with_capacity(asked.len());
        for one in asked {
            let reasoning = Reasoning::about(&basis, &names, one).await;
            let text = if self.json { show::json(&basis, &reasoning) } else { show::text(&basis, &reasoning) };
            written(say(&text))?;
            verdicts.push(reasoning.verdict);
        }
        Ok(verdicts)
    }

    /// The policy that judges.
    fn basis(&self) -> Result<Basis, ExitCode> {
        match (&self.purpose, &self.policy) {
            (None, None) => Ok(Basis::default_policy()),
            (_, Some(text)) => match policy_rules(text) {
                Ok(rules) => Ok(Basis::given(rules)),
                Err(problem) => Err(wrong(&format!("--policy:{problem}"))),
            },
            (Some(purpose), None) => {
                let overrides = Overrides { config: self.config.clone(), ..Overrides::default() };
                let config: Config = load_for_tools(&overrides)?;
                Basis::configured(purpose, &config).map_err(|message| wrong(&message))
            }
        }
    }

    /// What is judged: the URLs, or the own one of the provider or the search engine.
    fn asked(&self, basis: &Basis) -> Result<Vec<Asked>, ExitCode> {
        match (self.urls.is_empty(), basis.base_url()) {
            (true, Some(target)) => Ok(vec![Asked::Target(TargetUrl::clone(target))]),
            (true, None) => Err(wrong("name a URL to judge, for example: owl egress check https://example.com/")),
            (false, _) => Ok(self.urls.iter().cloned().map(Asked::Text).collect()),
        }
    }
}

fn wrong(message: &str) -> ExitCode {
    failed(message);
    ExitCode::from(BAD_CONFIGURATION)
}

/// A reader that has gone away, `head` or `grep -q`, hears no more; the exit code still says what was judged.
fn written(result: io::Result<()>) -> Result<(), ExitCode> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(failed(&format!("the output cannot be written: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn run_batch(files: &[String]) -> ExitCode {
    let input: Box<dyn Read> = match files {
        [] => Box::new(io::stdin().lock()),
        [name] if name == "-" => Box::new(io::stdin().lock()),
        [name] => match File::open(name) {
            Ok(file) => Box::new(file),
            Err(error) => return wrong(&format!("{name} cannot be read: {error}")),
        },
        [_, ..] => return wrong("--batch reads one file, or standard input when none is named"),
    };
    match batch::run(input, &mut io::stdout().lock()) {
        Ok(batch::Summary { first_wrong: Some(line), wrong: rows, .. }) => {
            wrong(&format!("rows that were wrong: {rows}, the first on line {line}; each has an `error` in the output"))
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => failed(&format!("the rows cannot be read, or the answers not written: {error}")),
    }
}
