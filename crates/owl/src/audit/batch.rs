//! One transaction's worth of events, and the statements that write it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use owl_egress::address::Tier;
use owl_egress::audit::{Access, AccessEnd, AccessId, AuditEvent};
use rusqlite::{Connection, Statement, TransactionBehavior, params};

use super::counters::AuditTotals;

/// What is to be written together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    records: Vec<Record>,
    /// Ends of connections whose beginning was written earlier.
    ends: Vec<AccessEnd>,
}

#[derive(Debug)]
struct Record {
    verdict: &'static str,
    access: Box<Access>,
    end: Option<AccessEnd>,
}

/// What a batch says about itself and about what is missing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    /// The row of this start in `runs`.
    pub(super) run: i64,
    /// How many records were lost since the last batch.
    pub(super) lost: u64,
    /// The counters as they will be once the batch is written.
    pub(super) totals: AuditTotals,
    /// Whether this is the last batch.
    pub(super) ended: bool,
}

impl Batch {
    /// A connection that begins and ends among these events becomes one record.
    pub(super) fn new(events: Vec<AuditEvent>) -> Self {
        let mut batch = Self::default();
        let mut begun: HashMap<AccessId, usize> = HashMap::new();
        for event in events {
            match event {
                AuditEvent::Refused(access) => {
                    batch.records.push(Record { verdict: "refused", access, end: None });
                }
                AuditEvent::Opened(access) => {
                    begun.insert(access.id, batch.records.len());
                    batch.records.push(Record { verdict: "opened", access, end: None });
                }
                AuditEvent::Ended(end) => match begun.get(&end.id) {
                    Some(&index) => batch.records[index].end = Some(end),
                    None => batch.ends.push(end),
                },
            }
        }
        batch
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.ends.is_empty()
    }

    /// How many records it makes.
    pub(super) fn records(&self) -> u64 {
        self.records.len() as u64
    }

    /// Writes all of it, or nothing.
    pub(super) fn write(&self, connection: &mut Connection, account: &Account) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !self.records.is_empty() {
            let mut insert = transaction.prepare(INSERT)?;
            self.records.iter().try_for_each(|record| write_record(&mut insert, account.run, record))?;
        }
        if !self.ends.is_empty() {
            let mut update = transaction.prepare(END)?;
            for end in &self.ends {
                update.execute(params![
                    account.run,
                    number(end.id.number()),
                    number(end.received),
                    number(end.sent),
                    milliseconds(end.duration),
                    end.status
                ])?;
            }
        }
        if account.lost > 0 {
            transaction.execute(INSERT_LOST, params![account.run, time(SystemTime::now()), number(account.lost)])?;
        }
        write_totals(&transaction, account)?;
        transaction.commit()
    }
}

const INSERT: &str = "INSERT INTO accesses (run, access, time_ms, verdict, request_id, key, component, policy, url, host, \
    port, addresses, tier, range, rule, reason, received, sent, duration_ms, status) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";

/// Its condition is that of the index `accesses_open`. Where the beginning was lost or pruned, nothing happens.
const END: &str = "UPDATE accesses SET received = ?3, sent = ?4, duration_ms = ?5, status = ?6 \
    WHERE run = ?1 AND access = ?2 AND verdict = 'opened' AND duration_ms IS NULL";

const INSERT_LOST: &str = "INSERT INTO accesses (run, access, time_ms, verdict, component, policy, url, host, port, \
    addresses, rule, reason, lost) VALUES (?1, 0, ?2, 'lost', 'owl', '', '', '', 0, '', '', \
    'records before this one are missing: the store could not take them', ?3)";

const TOTALS: &str = "UPDATE runs SET refused = ?2, opened = ?3, private = ?4, exemptions = ?5, received = ?6, sent = ?7, \
    written = ?8, lost = ?9, ended_ms = ?10 WHERE id = ?1";

fn write_record(insert: &mut Statement<'_>, run: i64, record: &Record) -> rusqlite::Result<()> {
    let Record { verdict, access, end } = record;
    insert.execute(params![
        run,
        number(access.id.number()),
        time(access.at),
        verdict,
        access.caller.request_id.as_deref(),
        access.caller.key.as_deref(),
        &*access.component,
        &*access.policy,
        access.url,
        access.host,
        access.port,
        addresses(access),
        access.tier.map(Tier::name),
        access.range,
        access.rule,
        access.reason,
        end.map(|end| number(end.received)),
        end.map(|end| number(end.sent)),
        end.map(|end| milliseconds(end.duration)),
        end.and_then(|end| end.status),
    ])?;
    Ok(())
}

fn write_totals(connection: &Connection, account: &Account) -> rusqlite::Result<()> {
    let totals = account.totals;
    let ended = account.ended.then(|| time(SystemTime::now()));
    connection.execute(
        TOTALS,
        params![
            account.run,
            number(totals.refused),
            number(totals.opened),
            number(totals.private),
            number(totals.exemptions),
            number(totals.received),
            number(totals.sent),
            number(totals.written),
            number(totals.lost),
            ended
        ],
    )?;
    Ok(())
}

fn addresses(access: &Access) -> String {
    access.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Milliseconds since 1970.
pub(super) fn time(at: SystemTime) -> i64 {
    at.duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// SQLite's integers have a sign.
fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
