//! Records as lines: for people, and as JSON.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use crate::audit::{AuditRecord, Tally, Verdict};
use crate::cli::chat::screen::json_line;

/// How records are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Json,
}

/// The columns' heads and widths. A text that is wider pushes the rest of its line aside: lines are printed as they
/// come, so nobody knows how wide the next one is. What varies most stands last.
const COLUMNS: [(&str, usize); 9] = [
    ("TIME", 20),
    ("VERDICT", 7),
    ("RULE", 21),
    ("KEY", 10),
    ("COMPONENT", 16),
    ("ADDRESS", 15),
    ("IN/OUT", 11),
    ("DURATION", 8),
    ("URL", 0),
];

/// The line above the table.
pub(super) fn head() -> io::Result<()> {
    let style = Style::new().bold();
    let line = aligned(&COLUMNS.map(|(head, _)| head.to_owned()));
    writeln!(anstream::stdout(), "{style}{line}{style:#}")
}

/// One record. What others have chosen, such as a URL, cannot command a terminal.
pub(super) fn record(out: &mut impl Write, record: &AuditRecord, form: Form) -> io::Result<()> {
    match form {
        Form::Json => writeln!(out, "{}", json_line(&object(record))),
        Form::Table => {
            let style = style(record.verdict);
            writeln!(out, "{style}{}{style:#}", aligned(&cells(record)))
        }
    }
}

/// How often what happened, and how many records were lost.
pub(super) fn summary(tallies: &[Tally], lost: i64, form: Form) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    if form == Form::Table {
        let style = Style::new().bold();
        writeln!(out, "{style}{:>9}  {:7}  {:21}  HOST{style:#}", "COUNT", "VERDICT", "RULE")?;
    }
    let lost = Tally { count: lost, verdict: Verdict::Lost, rule: String::new(), host: String::new() };
    for Tally { count, verdict, rule, host } in tallies.iter().chain([&lost]) {
        let word = word(*verdict);
        match form {
            Form::Json => {
                let tally = json!({ "count": count, "verdict": word, "rule": rule, "host": host });
                writeln!(out, "{}", json_line(&tally))?;
            }
            Form::Table => {
                let line = format!("{count:>9}  {word:7}  {:21}  {}", printable(rule), printable(host));
                writeln!(out, "{}", line.trim_end())?;
            }
        }
    }
    out.flush()
}

fn cells(record: &AuditRecord) -> [String; 9] {
    let or_dash = |text: Option<&str>| text.filter(|text| !text.is_empty()).map_or("-".to_owned(), printable);
    let what = match record.lost {
        Some(lost) => format!("{lost} records before this one are missing"),
        None if record.url.is_empty() => or_dash(Some(&record.host)),
        None => printable(&record.url),
    };
    let address = match record.addresses.as_slice() {
        [] => "-".to_owned(),
        [one] => printable(one),
        [first, others @ ..] => format!("{} +{}", printable(first), others.len()),
    };
    let (bytes, duration) = match (record.verdict, record.duration_ms) {
        (Verdict::Refused | Verdict::Lost, _) => ("-".to_owned(), "-".to_owned()),
        (Verdict::Opened, None) => ("-".to_owned(), "no end".to_owned()),
        (Verdict::Opened, Some(duration)) => (
            format!("{}/{}", size(record.received.unwrap_or(0)), size(record.sent.unwrap_or(0))),
            milliseconds(duration),
        ),
    };
    [
        // To the second: `2026-11-23T23:32:43` of `2026-11-23T23:32:43.123Z`.
        format!("{}Z", record.time.get(..19).unwrap_or(&record.time)),
        word(record.verdict).to_owned(),
        or_dash(Some(&record.rule)),
        or_dash(record.key.as_deref()),
        or_dash(Some(&record.component)),
        address,
        bytes,
        duration,
        what,
    ]
}

fn aligned(cells: &[String; 9]) -> String {
    let padded: Vec<String> = cells.iter().zip(COLUMNS).map(|(cell, (_, width))| format!("{cell:width$}")).collect();
    padded.join("  ").trim_end().to_owned()
}

fn object(record: &AuditRecord) -> Value {
    json!({
        "id": record.id,
        "time": record.time,
        "verdict": word(record.verdict),
        "request_id": record.request_id,
        "key": record.key,
        "component": record.component,
        "policy": record.policy,
        "url": record.url,
        "host": record.host,
        "port": record.port,
        "addresses": record.addresses,
        "tier": record.tier,
        "range": record.range,
        "rule": record.rule,
        "reason": record.reason,
        "received": record.received,
        "sent": record.sent,
        "duration_ms": record.duration_ms,
        "status": record.status,
        "lost": record.lost,
        "run": record.run,
        "access": record.access,
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Refused => "refused",
        Verdict::Opened => "opened",
        Verdict::Lost => "lost",
    }
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Refused => AnsiColor::Red.on_default(),
        Verdict::Opened => Style::new(),
        Verdict::Lost => AnsiColor::Yellow.on_default(),
    }
}

/// The text in one line, with whatever a terminal would obey, or show in another order, replaced.
fn printable(text: &str) -> String {
    let turns =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|letter| if letter.is_control() || turns(letter) { '\u{fffd}' } else { letter }).collect()
}

#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
fn size(bytes: i64) -> String {
    match bytes {
        ..1_000 => format!("{bytes}B"),
        1_000..1_000_000 => format!("{:.1}K", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}M", bytes as f64 / 1e6),
        _ => format!("{:.1}G", bytes as f64 / 1e9),
    }
}

#[expect(clippy::cast_precision_loss, reason = "one digit behind the point is shown")]
fn milliseconds(duration: i64) -> String {
    match duration {
        ..1_000 => format!("{duration}ms"),
        1_000..60_000 => format!("{:.1}s", duration as f64 / 1e3),
        60_000..3_600_000 => format!("{}m{:02}s", duration / 60_000, duration / 1_000 % 60),
        _ => format!("{}h{:02}m", duration / 3_600_000, duration / 60_000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_by_people() {
        let check = |found: String, expect: &str| assert_eq!(found, expect);
        check(size(999), "999B");
        check(size(1_500), "1.5K");
        check(size(2_000_000), "2.0M");
        check(size(3_000_000_000), "3.0G");
        check(milliseconds(999), "999ms");
        check(milliseconds(1_500), "1.5s");
        check(milliseconds(61_000), "1m01s");
        check(milliseconds(3_660_000), "1h01m");
        check(printable("a\u{1b}[31m\nb\u{202e}c\u{9b}ü"), "a\u{fffd}[31m\u{fffd}b\u{fffd}c\u{fffd}ü");
    }
}
