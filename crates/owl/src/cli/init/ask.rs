//! Questions on a terminal. Without one nothing is asked, and what is missing is named by its flag.

use std::io::{self, IsTerminal as _, Write as _};

use dialoguer::console::Term;
use dialoguer::{Confirm, Input, Select};
use owl_egress::Secret;

/// Why the wizard ends without a file.
#[derive(Debug)]
pub(super) enum Stop {
    /// An answer is missing or wrong.
    Usage(String),
    /// The server does not work, or something else failed.
    Failed(String),
    /// Everything was said; this is the exit code.
    Told(u8),
}

impl From<dialoguer::Error> for Stop {
    fn from(dialoguer::Error::IO(error): dialoguer::Error) -> Self {
        io_failed(&error)
    }
}

fn io_failed(error: &io::Error) -> Stop {
    if error.kind() == io::ErrorKind::Interrupted {
        return Stop::Failed("nothing was written".to_owned());
    }
    Stop::Failed(format!("the answer cannot be read: {error}"))
}

/// Asks, if there is anyone to ask.
pub(super) struct Asker {
    can_ask: bool,
    assumes_yes: bool,
}

impl Asker {
    pub(super) fn new(yes: bool) -> Self {
        Self { can_ask: !yes && io::stdin().is_terminal() && io::stderr().is_terminal(), assumes_yes: yes }
    }

    pub(super) fn can_ask(&self) -> bool {
        self.can_ask
    }

    /// Whether `--yes` stands for every answer that has a safe default.
    pub(super) fn assumes_yes(&self) -> bool {
        self.assumes_yes
    }

    /// Says something that only a person needs to read.
    pub(super) fn explain(&self, text: &str) {
        if self.can_ask {
            let _ = writeln!(anstream::stderr(), "\n{text}\n");
        }
    }

    /// The flag's value, or an answer that `parse` takes; a wrong answer is asked again, a wrong flag is the end.
    pub(super) fn text<T>(
        &self,
        given: Option<&str>,
        flag: &str,
        prompt: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Stop> {
        if let Some(given) = given {
            return parse(given).map_err(|error| Stop::Usage(format!("{flag}: {error}")));
        }
        if !self.can_ask {
            return match default.filter(|_| self.assumes_yes) {
                Some(default) => parse(default).map_err(|error| Stop::Usage(format!("{flag}: {error}"))),
                None => Err(missing(flag)),
            };
        }
        loop {
            let mut input = Input::<String>::new().with_prompt(prompt);
            if let Some(default) = default {
                input = input.default(default.to_owned());
            }
            match parse(input.interact_text()?.trim()) {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let _ = writeln!(anstream::stderr(), "  {error}");
                }
            }
        }
    }

    pub(super) fn confirm(&self, prompt: &str, default: bool) -> Result<bool, Stop> {
        Ok(Confirm::new().with_prompt(prompt).default(default).interact()?)
    }

    /// Which of `choices`; the first is the default.
    pub(super) fn choose(&self, prompt: &str, choices: &[&str]) -> Result<usize, Stop> {
        Ok(Select::new().with_prompt(prompt).items(choices).default(0).interact()?)
    }

    /// A secret, which does not appear while it is typed.
    pub(super) fn secret(&self, prompt: &str) -> Result<Secret, Stop> {
        let term = Term::stderr();
        loop {
            term.write_str(&format!("{prompt}: ")).map_err(|error| io_failed(&error))?;
            let line = term.read_secure_line().map_err(|error| io_failed(&error))?;
            if !line.is_empty() {
                return Ok(Secret::new(line));
            }
        }
    }
}

/// The end for want of an answer.
pub(super) fn missing(flag: &str) -> Stop {
    Stop::Usage(format!("there is no terminal to ask on: give {flag}"))
}
