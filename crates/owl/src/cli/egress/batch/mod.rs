//! `owl egress check --batch`: JSON lines in, JSON lines out, in order, as they come.
//!
//! A row is a URL or a bare address with a policy of its own. A row that is wrong gets a line that says so, and the others
//! are judged all the same. Made to be quick: a line is borrowed from, a policy is built once for all rows that spell it
//! alike, and an answer is written without being built first. Nothing asks DNS.

mod row;
mod write;

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};

use owl_egress::{EgressPolicy, PolicyRules, TargetUrl};

use self::row::{Row, Subject};
use crate::config::policy_rules;

/// The longest line, in bytes.
const LINE_LIMIT: usize = 1024 * 1024;

/// How much is read, and written, at a time.
const BUFFER: usize = 256 * 1024;

/// How many policies are remembered, and the most bytes that one may have to be remembered.
const POLICIES: usize = 1024;
const POLICY_LENGTH: usize = 4096;

/// How a batch went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many rows were judged.
    pub judged: u64,
    /// How many were wrong.
    pub wrong: u64,
    /// The line of the first wrong one, counted from 1.
    pub first_wrong: Option<u64>,
}

/// Judges every row of `input`. What is known so far is written out whenever the input has nothing more to give at once.
/// For any bytes it ends without a panic: this is what is fuzzed.
///
/// # Errors
/// `input` cannot be read, or `output` not written.
pub fn run(input: impl Read, output: &mut impl Write) -> io::Result<Summary> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut judge = Judge::default();
    let mut summary = Summary::default();
    let (mut line, mut out) = (Vec::new(), Vec::with_capacity(BUFFER));
    for number in 1.. {
        // Without a whole line at hand the next read may wait for long.
        if out.len() >= BUFFER || !input.buffer().contains(&b'\n') {
            output.write_all(&out)?;
            output.flush()?;
            out.clear();
        }
        line.clear();
        if input.by_ref().take(LINE_LIMIT as u64 + 1).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let judged = if line.len() > LINE_LIMIT && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
            let reason = "the line is longer than 1 MiB";
            write::error(&mut out, None, number, reason);
            false
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            judge.line(&line, number, &mut out)
        };
        if judged {
            summary.judged += 1;
        } else {
            summary.wrong += 1;
            summary.first_wrong.get_or_insert(number);
        }
    }
    output.write_all(&out)?;
    output.flush()?;
    Ok(summary)
}

/// What is kept from row to row.
#[derive(Default)]
struct Judge {
    default: Option<EgressPolicy>,
    policies: HashMap<Box<str>, Result<EgressPolicy, String>>,
}

impl Judge {
    fn line(&mut self, line: &[u8], number: u64, out: &mut Vec<u8>) -> bool {
        let row = match Row::parse(line) {
            Ok(row) => row,
            Err(error) => {
                write::error(out, error.id, number, &error.reason);
                return false;
            }
        };
        let policy = match self.policy(row.policy) {
            Ok(policy) => policy,
            Err(reason) => {
                write::error(out, row.id, number, &format!("policy: {reason}"));
                return false;
            }
        };
        match &row.subject {
            Subject::Url { text, dns } => match TargetUrl::parse(text) {
                Ok(target) => write::url(out, row.id, &policy.rule_on(&target, dns.as_deref())),
                Err(error) => write::unusable(out, row.id, &error),
            },
            Subject::Ip { ip: Some(ip), target } => write::ip(out, row.id, &policy.rule_on_address(target, *ip)),
            Subject::Ip { ip: None, .. } => write::no_address(out, row.id),
        }
        true
    }

    /// The policy that a row spells, built once.
    fn policy(&mut self, text: Option<&str>) -> Result<EgressPolicy, String> {
        let Some(text) = text else {
            return Ok(self.default.get_or_insert_with(|| EgressPolicy::new(PolicyRules::default())).clone());
        };
        if let Some(known) = self.policies.get(text) {
            return known.clone();
        }
        let built = policy_rules(text).map(EgressPolicy::new).map_err(|problem| problem.to_string());
        if text.len() <= POLICY_LENGTH {
            if self.policies.len() >= POLICIES {
                self.policies.clear();
            }
            self.policies.insert(text.into(), built.clone());
        }
        built
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its pieces one by one, and counts what had been written when each was asked for.
    struct Pieces<'a> {
        pieces: Vec<&'static [u8]>,
        written: &'a std::cell::RefCell<Vec<u8>>,
        seen: Vec<usize>,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.seen.push(self.written.borrow().iter().filter(|&&byte| byte == b'\n').count());
            if self.pieces.is_empty() {
                return Ok(0);
            }
            let piece = self.pieces.remove(0);
            buffer[..piece.len()].copy_from_slice(piece);
            Ok(piece.len())
        }
    }

    struct Shared<'a>(&'a std::cell::RefCell<Vec<u8>>);

    impl Write for Shared<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn judged(input: &str) -> (Vec<String>, Summary) {
        let mut out = Vec::new();
        let summary = run(input.as_bytes(), &mut out).expect("written");
        (String::from_utf8(out).expect("text").lines().map(str::to_owned).collect(), summary)
    }

    #[test]
    fn rows_are_answered_in_order_and_wrong_ones_do_not_stop_it() {
        let input = r#"
            {"id": 1, "url": "http://10.1.2.3/"}
            {"id": {"deep": [1]}, "url": "https://example.com/", "dns": {"A": ["93.184.216.34"]}}

            {"id": "three", "url": "https://example.com/", "dns": null}
            not json
            {"id": 5, "policy": {}}
            {"id": 6, "ip": "10.0.0.1", "policy": {"allowCidr": []}}
            {"id": 7, "ip": "10.0.0.1", "policy": {"allowPrivateNetwork": true}, "note": "ignored"}
            {"ip": "fe80::1%eth0"}
            {"id": 9, "url": "http://\u003127.1/"}
            {"id": 10, "url": "nonsense"}"#;
        let (lines, summary) = judged(input);
        let expected = [
            r#"{"id":1,"verdict":"deny","stage":"ip","rule":"private-address","address":"10.1.2.3","range":"10.0.0.0/8, private use","hint":"allowCidrs: [\"10.1.2.3/32\"]"}"#,
            r#"{"id":{"deep": [1]},"verdict":"allow","stage":"dns","rule":"public","address":"93.184.216.34","range":"globally reachable IPv4","hint":null}"#,
            r#"{"id":"three","verdict":"deny","stage":"dns","rule":"no-lookup","address":null,"range":null,"hint":null}"#,
            r#"{"id":null,"line":6,"error":"line 6: it is not a row: expected ident at column 14"}"#,
            r#"{"id":5,"line":7,"error":"line 7: there is neither `url` nor `ip`"}"#,
            r#"{"id":6,"line":8,"error":"line 8: policy: 1:2: allowCidr: this key is not known here: did you mean `allowCidrs`?"}"#,
            r#"{"id":7,"verdict":"allow","stage":"ip","rule":"allow-private-network","address":"10.0.0.1","tier":"private","range":"10.0.0.0/8, private use","hint":null}"#,
            r#"{"id":null,"verdict":"invalid","stage":"parse","rule":"not-an-address","address":null,"tier":null,"range":null,"hint":null}"#,
            r#"{"id":9,"verdict":"deny","stage":"ip","rule":"loopback-address","address":"127.0.0.1","range":"127.0.0.0/8, loopback","hint":"allowHosts: [\"127.0.0.1:80\"]"}"#,
            r#"{"id":10,"verdict":"invalid","stage":"parse","rule":"not-a-url","address":null,"range":null,"hint":null}"#,
        ];
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(line, expected);
        }
        assert_eq!(lines.len(), expected.len());
        assert_eq!(summary, Summary { judged: 7, wrong: 3, first_wrong: Some(6) });
    }

    #[test]
    fn answers_come_before_the_next_read() {
        let written = std::cell::RefCell::new(Vec::new());
        let row: &[u8] = b"{\"url\": \"http://10.1.2.3/\"}\n";
        let mut input = Pieces {
            pieces: vec![row, b"{\"url\":", b"\"http://[::1]/\"}\n{}", b"\n"],
            written: &written,
            seen: Vec::new(),
        };
        let summary = run(&mut input, &mut Shared(&written)).expect("written");
        assert_eq!(input.seen, [0, 1, 1, 2, 3]);
        assert_eq!(summary, Summary { judged: 2, wrong: 1, first_wrong: Some(3) });
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = "x".repeat(3 * LINE_LIMIT);
        let (lines, summary) = judged(&format!("{long}\n{{\"id\": 2, \"ip\": \"8.8.8.8\"}}\n{long}"));
        assert_eq!(lines[0], r#"{"id":null,"line":1,"error":"line 1: the line is longer than 1 MiB"}"#);
        assert!(lines[1].starts_with(r#"{"id":2,"verdict":"allow""#), "{}", lines[1]);
        assert_eq!((lines.len(), summary.wrong), (3, 2));
    }

    #[test]
    fn more_policies_than_are_remembered_are_judged_right() {
        let rows: String = (0..3 * POLICIES)
            .map(|number| {
                let (one, two) = (number / 256, number % 256);
                format!("{{\"ip\": \"10.{one}.{two}.1\", \"policy\": {{\"allowCidrs\": [\"10.{one}.{two}.0/24\"]}}}}\n")
            })
            .collect();
        let (lines, summary) = judged(&rows);
        assert!(lines.iter().all(|line| line.contains(r#""rule":"allow-cidrs""#)));
        assert_eq!(summary.judged, 3 * POLICIES as u64);
    }
}
