//! The person at the terminal, asked before a tool goes to a private address.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use owl_egress::policy::HostPattern;
use tokio::sync::Mutex;

use super::screen::plain;
use crate::tools::Approval;

/// Asks on standard error and reads from standard input.
#[derive(Debug, Default)]
struct AtTerminal {
    /// What was allowed for as long as this conversation lasts. Held while a question is open, so that there is one at a time.
    always: Mutex<Vec<HostPattern>>,
}

/// What the person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    No,
    Once,
    Always,
}

impl Said {
    /// Whatever is not clearly a yes is a no.
    fn read(line: &str) -> Self {
        match line.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Self::Once,
            "a" | "always" => Self::Always,
            _ => Self::No,
        }
    }
}

/// Somebody to ask; `None` where nobody sits at both ends.
pub(super) fn at_terminal() -> Option<Arc<dyn Approval>> {
    let somebody = io::stdin().is_terminal() && io::stderr().is_terminal();
    somebody.then(|| Arc::new(AtTerminal::default()) as Arc<dyn Approval>)
}

impl Approval for AtTerminal {
    fn ask<'a>(&'a self, tool: &'a str, destination: &'a HostPattern) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let mut always = self.always.lock().await;
            if always.contains(destination) {
                return true;
            }
            let question = format!(
                "{tool} wants to go to {}, which is on a private network. Allow it? [y]es, once · [a]lways for this host · [N]o: ",
                plain(&destination.to_string())
            );
            let said = tokio::task::spawn_blocking(move || put(&question)).await.unwrap_or(Said::No);
            if said == Said::Always {
                always.push(destination.clone());
            }
            said != Said::No
        })
    }
}

fn put(question: &str) -> Said {
    let mut err = anstream::stderr().lock();
    let mut line = String::new();
    let asked =
        write!(err, "{question}").and_then(|()| err.flush()).and_then(|()| io::stdin().lock().read_line(&mut line));
    if asked.is_ok() { Said::read(&line) } else { Said::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        for (line, expect) in [
            ("y\n", Said::Once),
            (" YES ", Said::Once),
            ("a", Said::Always),
            ("Always\n", Said::Always),
            ("", Said::No),
            ("n", Said::No),
            ("yes please", Said::No),
            ("\u{1b}y", Said::No),
        ] {
            assert_eq!(Said::read(line), expect, "{line:?}");
        }
    }
}
