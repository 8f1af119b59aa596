//! What the doctor found, step by step, and how it is shown.
//!
//! A finding never holds a credential: what a server says goes through `Caller`, which takes it out.

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use owl_egress::Denied;
use serde::Serialize;

use crate::cli::say;

/// The steps, in their order. Every one of them is in every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The base URL's name and port are ones that Owl may ask for.
    Name,
    /// The name has addresses.
    Addresses,
    /// The policy opens them.
    Policy,
    /// One of them accepts a connection.
    Connect,
    /// The certificate is good.
    Tls,
    /// The server accepts the credential.
    Authentication,
    /// It lists its models.
    Models,
    /// A model answers.
    Chat,
    /// It answers piece by piece.
    Streaming,
    /// A streamed answer ends with its token counts.
    Usage,
    /// It calls functions.
    Tools,
    /// It keeps to a JSON schema.
    JsonSchema,
    /// It sees images.
    Vision,
    /// What the configuration has to say of it.
    Compat,
    /// The server has the Responses API.
    Responses,
    /// The server has Anthropic's Messages API.
    Messages,
    /// It makes embeddings.
    Embeddings,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Name,
        Self::Addresses,
        Self::Policy,
        Self::Connect,
        Self::Tls,
        Self::Authentication,
        Self::Models,
        Self::Chat,
        Self::Streaming,
        Self::Usage,
        Self::Tools,
        Self::JsonSchema,
        Self::Vision,
        Self::Compat,
        Self::Responses,
        Self::Messages,
        Self::Embeddings,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Addresses => "addresses",
            Self::Policy => "policy",
            Self::Connect => "connect",
            Self::Tls => "TLS",
            Self::Authentication => "authentication",
            Self::Models => "models",
            Self::Chat => "chat",
            Self::Streaming => "streaming",
            Self::Usage => "usage in streams",
            Self::Tools => "function calling",
            Self::JsonSchema => "JSON schema",
            Self::Vision => "vision",
            Self::Compat => "compat",
            Self::Responses => "responses API",
            Self::Messages => "messages API",
            Self::Embeddings => "embeddings",
        }
    }
}

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should.
    Ok,
    /// It works, and something is worth a look.
    Warn,
    /// The server does not have this ability, which is no failure.
    No,
    /// It does not work.
    Failed,
    /// It was not tried.
    Skipped,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::No => "no",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Ok => "✓",
            Self::Warn => "!",
            Self::No => "–",
            Self::Failed => "✗",
            Self::Skipped => "·",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Ok => AnsiColor::Green.on_default(),
            Self::Warn => AnsiColor::Yellow.on_default(),
            Self::No => Style::new().dimmed(),
            Self::Failed => AnsiColor::Red.on_default().bold(),
            Self::Skipped => Style::new().dimmed(),
        }
    }
}

/// What a step found.
#[derive(Clone, Debug)]
pub struct Finding {
    status: Status,
    detail: String,
    advice: Option<String>,
    denied: Option<Box<Denied>>,
}

impl Finding {
    pub(super) fn ok(detail: impl Into<String>) -> Self {
        Self { status: Status::Ok, detail: detail.into(), advice: None, denied: None }
    }

    pub(super) fn warn(detail: impl Into<String>) -> Self {
        Self { status: Status::Warn, ..Self::ok(detail) }
    }

    pub(super) fn no(detail: impl Into<String>) -> Self {
        Self { status: Status::No, ..Self::ok(detail) }
    }

    pub(super) fn failed(detail: impl Into<String>) -> Self {
        Self { status: Status::Failed, ..Self::ok(detail) }
    }

    pub(super) fn skipped(detail: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(detail) }
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    pub(super) fn denied(self, denied: Box<Denied>) -> Self {
        Self { denied: Some(denied), ..self }
    }

    /// A failure of an ability is no failure of the server.
    pub(super) fn into_ability(self) -> Self {
        match self.status {
            Status::Failed => Self { status: Status::No, ..self },
            Status::Ok | Status::Warn | Status::No | Status::Skipped => self,
        }
    }

    fn is_bad(&self) -> bool {
        self.status == Status::Failed
    }
}

/// One step of a report.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    step: Step,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
    ms: u64,
}

/// What was found about one provider.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProviderReport {
    id: String,
    base_url: String,
    steps: Vec<StepReport>,
    /// The policy's refusal, when that is what stopped it.
    #[serde(skip)]
    pub denied: Option<Box<Denied>>,
}

impl ProviderReport {
    /// Whether no step failed.
    pub fn is_ok(&self) -> bool {
        self.failed_steps() == 0
    }

    fn failed_steps(&self) -> usize {
        self.steps.iter().filter(|step| step.status == Status::Failed).count()
    }
}

/// Everything that was found: what `--json` prints.
#[derive(Debug, Serialize)]
pub struct Report {
    /// One for each provider.
    pub providers: Vec<ProviderReport>,
    /// Whether no step of any failed.
    pub ok: bool,
}

/// Where findings appear while they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Nowhere: the whole report is printed at the end.
    Silent,
    /// One line for each step, in words.
    Plain,
    /// The same on a terminal: with marks and colours, and with a spinner for the running step.
    Terminal,
}

impl Screen {
    /// The one that fits where standard output goes.
    pub fn detect() -> Self {
        if io::stdout().is_terminal() && io::stderr().is_terminal() { Self::Terminal } else { Self::Plain }
    }

    fn spinner(self, step: Step) -> Option<ProgressBar> {
        if self != Self::Terminal {
            return None;
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.set_message(step.label());
        bar.enable_steady_tick(Duration::from_millis(100));
        Some(bar)
    }

    fn show(self, step: &StepReport) {
        let StepReport { step, status, detail, advice, .. } = step;
        let style = status.style();
        let label = step.label();
        let indent = match self {
            Self::Silent => return,
            Self::Plain => {
                line(&format!("  {:<7}  {label:<16}  {detail}", status.word()));
                27
            }
            Self::Terminal => {
                line(&format!("  {style}{}{style:#} {label:<16}  {detail}", status.mark()));
                20
            }
        };
        if let Some(advice) = advice {
            line(&format!("{:indent$}→ {advice}", ""));
        }
    }

    fn headline(self, id: &str, base_url: &str) {
        let bold = Style::new().bold();
        if self != Self::Silent {
            line(&format!("{bold}{id}{bold:#}  {base_url}"));
        }
    }

    fn summary(self, report: &ProviderReport) {
        if self == Self::Silent {
            return;
        }
        match report.failed_steps() {
            0 => line("  no step failed"),
            1 => line("  1 step failed"),
            failed => line(&format!("  {failed} steps failed")),
        }
    }
}

/// A reader that has gone away does not end the examination: its exit code may still be looked at.
fn line(text: &str) {
    let _ = say(text);
}

/// A report in the making.
pub(super) struct Examination {
    report: ProviderReport,
    screen: Screen,
}

impl Examination {
    pub(super) fn begin(id: &str, base_url: String, screen: Screen) -> Self {
        screen.headline(id, &base_url);
        let report = ProviderReport { id: id.to_owned(), base_url, steps: Vec::new(), denied: None };
        Self { report, screen }
    }

    /// Takes a step and records what it found. Steps before it that were not taken are skipped. What comes back is
    /// `None` when the step failed.
    pub(super) async fn take<T>(&mut self, step: Step, work: impl Future<Output = (Finding, T)>) -> Option<T> {
        self.skip_before(Some(step));
        let spinner = self.screen.spinner(step);
        let started = Instant::now();
        let (finding, found) = work.await;
        let took = started.elapsed();
        if let Some(spinner) = spinner {
            spinner.finish_and_clear();
        }
        let is_bad = finding.is_bad();
        self.record(step, finding, took);
        (!is_bad).then_some(found)
    }

    /// Records what needed no work, or is a by-product of the last step.
    pub(super) fn note(&mut self, step: Step, finding: Finding) {
        self.skip_before(Some(step));
        self.record(step, finding, Duration::ZERO);
    }

    /// Ends the examination; steps that were not taken are skipped.
    pub(super) fn finish(mut self) -> ProviderReport {
        self.skip_before(None);
        self.screen.summary(&self.report);
        self.report
    }

    /// Ends the examination without a word about what was not tried.
    pub(super) fn stop(self) -> ProviderReport {
        self.report
    }

    fn skip_before(&mut self, next: Option<Step>) {
        let done = self.report.steps.len();
        let skipped = Step::ALL.into_iter().skip(done).take_while(|step| Some(*step) != next);
        for step in skipped.collect::<Vec<_>>() {
            let cause = self.report.steps.iter().rev().find(|step| step.status == Status::Failed);
            let reason = cause.map_or("not asked for".to_owned(), |cause| format!("{} failed", cause.step.label()));
            self.record(step, Finding::skipped(reason), Duration::ZERO);
        }
    }

    fn record(&mut self, step: Step, finding: Finding, took: Duration) {
        let Finding { status, detail, advice, denied } = finding;
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let step = StepReport { step, status, detail, advice, ms };
        self.screen.show(&step);
        self.report.steps.push(step);
        if denied.is_some() {
            self.report.denied = denied;
        }
    }
}
