//! The person at the terminal, asked before a tool goes to a private address.

use std::io::{self, BufRead as _, IsTerminal as _, PipeReader, Write as _};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use owl_egress::policy::HostPattern;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
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
            let said = put(question).await.unwrap_or(Said::No);
            if said == Said::Always {
                always.push(destination.clone());
            }
            said != Said::No
        })
    }
}

/// Who gives up waiting leaves the line to whoever reads next: nothing is read before it is there.
async fn put(question: String) -> io::Result<Said> {
    // Closed when this future is dropped, which wakes the thread that waits.
    let (gone, _held) = io::pipe()?;
    tokio::task::spawn_blocking(move || read(&question, &gone)).await?
}

fn read(question: &str, gone: &PipeReader) -> io::Result<Said> {
    {
        let mut err = anstream::stderr().lock();
        write!(err, "{question}")?;
        err.flush()?;
    }
    let stdin = io::stdin();
    let mut either = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(gone, PollFlags::IN)];
    retry_on_intr(|| poll(&mut either, None))?;
    if !either[1].revents().is_empty() {
        return Ok(Said::No);
    }
    let mut line = String::new();
    stdin.lock().read_line(&mut line)?;
    Ok(Said::read(&line))
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
