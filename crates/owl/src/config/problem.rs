//! What is wrong with a configuration: where, which key, what, and what to write instead.
//!
//! A problem never quotes the file, and never a value that may be a secret.

use std::fmt;

/// Where a value was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// In the file, at this byte.
    File { offset: usize },
    /// On the command line.
    Flag(&'static str),
    /// In the environment.
    Variable(&'static str),
}

/// The way to a key: `models.providers.owl.auth.type`, `gateway.keys[0].key`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyPath(Vec<Step>);

/// The most problems that are listed; a file with more of them is not a configuration.
const PROBLEM_LIMIT: usize = 100;

/// One step of a [`KeyPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    /// The path of a key inside this one; dots separate several.
    pub(crate) fn of(keys: &str) -> Self {
        Self(keys.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The path of its first `length` steps.
    pub(crate) fn up_to(&self, length: usize) -> Self {
        Self(self.0.iter().take(length).cloned().collect())
    }

    fn with(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    f.write_str(if position == 0 { "" } else { "." })?;
                    match key.char_indices().nth(64) {
                        None => f.write_str(&spelt(key))?,
                        Some((end, _)) => write!(f, "{:?}…", &key[..end])?,
                    }
                }
            }
        }
        Ok(())
    }
}

/// A key as it has to be written in JSON5: in quotes where it is not a plain name.
pub(crate) fn spelt(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
    if key.starts_with(|c: char| plain(c) && !c.is_ascii_digit()) && key.chars().all(plain) {
        key.to_owned()
    } else {
        format!("{key:?}")
    }
}

/// One thing that is wrong, or worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: Option<Place>,
    path: String,
    message: String,
    help: Option<String>,
}

/// Where the problem is, for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    File { name: String, line: usize, column: usize },
    Other(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

impl Problem {
    /// A problem that has no place in a file.
    pub(crate) fn without_place(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place: None, path: String::new(), message: message.into(), help: Some(help.into()) }
    }

    /// The key's path, such as `models.providers.owl.baseUrl`; empty where the problem is not about one key.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Line and column in the file, both counted from 1.
    pub fn position(&self) -> Option<(usize, usize)> {
        match &self.place {
            Some(Place::File { line, column, .. }) => Some((*line, *column)),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, "\n  help: {help}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, problem) in self.0.iter().enumerate() {
            f.write_str(if position == 0 { "" } else { "\n" })?;
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems and warnings while a configuration is read.
pub(crate) struct Reporter<'a> {
    file: &'a str,
    text: &'a str,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    broken: Vec<KeyPath>,
}

impl<'a> Reporter<'a> {
    /// For a file's name and its text.
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, problems: Vec::new(), warnings: Vec::new(), broken: Vec::new() }
    }

    /// Adds a problem and marks the key as broken.
    pub(crate) fn report(
        &mut self,
        origin: Origin,
        path: &KeyPath,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.mark_broken(path.clone());
        if self.problems.len() >= PROBLEM_LIMIT {
            return;
        }
        let problem = self.problem(origin, path, message.into(), help.into());
        self.problems.push(problem);
    }

    /// Adds a problem that belongs to the whole.
    pub(crate) fn report_whole(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, origin: Origin, path: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem(origin, path, message.into(), help.into());
        self.warnings.push(problem);
    }

    /// Adds a warning that belongs to the whole.
    pub(crate) fn warn_of_whole(&mut self, warning: Problem) {
        if self.warnings.len() < PROBLEM_LIMIT {
            self.warnings.push(warning);
        }
    }

    /// Remembers that this key was meant to be there.
    pub(crate) fn mark_broken(&mut self, path: KeyPath) {
        if self.broken.len() < 2 * PROBLEM_LIMIT {
            self.broken.push(path);
        }
    }

    /// Whether a problem was reported at this key or inside it: its absence is then no second problem.
    pub(crate) fn is_broken(&self, path: &KeyPath) -> bool {
        self.broken.iter().any(|broken| broken.steps().starts_with(path.steps()))
    }

    /// Where `origin` is, for people: `owl.json5:7:15`, `--listen`, `OWL_LISTEN`.
    pub(crate) fn place(&self, origin: Origin) -> String {
        self.locate(origin).to_string()
    }

    /// The warnings, or the problems if there are any.
    pub(crate) fn finish(mut self) -> Result<Vec<Problem>, Problems> {
        if self.problems.is_empty() {
            return Ok(self.warnings);
        }
        self.problems.sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        Err(Problems(self.problems))
    }

    fn problem(&self, origin: Origin, path: &KeyPath, message: String, help: String) -> Problem {
        let help = (!help.is_empty()).then_some(help);
        Problem { place: Some(self.locate(origin)), path: path.to_string(), message, help }
    }

    fn locate(&self, origin: Origin) -> Place {
        match origin {
            Origin::Flag(name) | Origin::Variable(name) => Place::Other(name.to_owned()),
            Origin::File { offset } => {
                let before = self.text.get(..offset).unwrap_or(self.text);
                let line_start = before.rfind('\n').map_or(0, |at| at + 1);
                let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
                let column = before[line_start..].chars().count() + 1;
                Place::File { name: self.file.to_owned(), line, column }
            }
        }
    }
}
