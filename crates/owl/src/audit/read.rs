//! Reads the audit log back, for `owl audit`. It reads the view `audit`, as other programs do.

use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use crate::store::{Identity, StoreError, identity, open_to_read};

/// Which records are wanted. The empty filter takes all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Not before this time, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Before this time.
    pub until: Option<i64>,
    /// Refusals alone.
    pub refused: bool,
    /// Only where the address is not public.
    pub private: bool,
    /// Only for the holder of this client key.
    pub key: Option<String>,
    /// Only for this request.
    pub request: Option<String>,
    /// Only by this part of Owl.
    pub component: Option<String>,
}

/// What became of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was connected to.
    Refused,
    /// A connection was opened.
    Opened,
    /// It is not known: records are missing here.
    Lost,
}

/// One record, as it stands in the view `audit`.
#[expect(missing_docs, reason = "docs/audit.md says what each column is")]
#[derive(Clone, Debug)]
pub struct AuditRecord {
    pub id: i64,
    pub time: String,
    pub verdict: Verdict,
    pub request_id: Option<String>,
    pub key: Option<String>,
    pub component: String,
    pub policy: String,
    pub url: String,
    pub host: String,
    pub port: i64,
    pub addresses: Vec<String>,
    pub tier: Option<String>,
    pub range: Option<String>,
    pub rule: String,
    pub reason: String,
    pub received: Option<i64>,
    pub sent: Option<i64>,
    pub duration_ms: Option<i64>,
    pub status: Option<i64>,
    pub lost: Option<i64>,
    pub run: String,
    pub access: i64,
}

/// How often something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// How many records.
    pub count: i64,
    /// What became of them.
    pub verdict: Verdict,
    /// The rule that decided.
    pub rule: String,
    /// The host.
    pub host: String,
}

const COLUMNS: &str = "id, time, verdict, request_id, key, component, policy, url, host, port, addresses, tier, range, \
    rule, reason, received, sent, duration_ms, status, lost, run, access";

/// Reads the store, beside a server or without one. Each call is a short transaction of its own, so that a reader that
/// stays never keeps the file from being tidied.
#[derive(Debug)]
pub struct AuditReader {
    connection: Connection,
    path: PathBuf,
    identity: Option<Identity>,
}

impl AuditReader {
    /// Opens the file.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Before it is opened: one that is replaced meanwhile is opened once more, rather than never.
        let identity = identity(path);
        Ok(Self { connection: open_to_read(path)?, path: path.to_owned(), identity })
    }

    /// Whether another file, or none, has the name now: nothing new will come in this one.
    pub fn is_gone(&self) -> bool {
        identity(&self.path) != self.identity
    }

    /// The number behind which the newest `count` of the wanted records stand; and whether there are more before it.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest(&self, filter: &AuditFilter, count: u64) -> Result<(i64, bool), StoreError> {
        let (condition, values) = condition(filter, 0);
        let sql = format!("SELECT id FROM audit WHERE {condition} ORDER BY id DESC LIMIT 1 OFFSET {count}");
        let mut statement = self.connection.prepare(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        match rows.next()? {
            Some(row) => Ok((row.get(0)?, true)),
            None => Ok((0, false)),
        }
    }

    /// Up to `count` of the wanted records behind the record with the number `after`, the oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn after(&self, filter: &AuditFilter, after: i64, count: u32) -> Result<Vec<AuditRecord>, StoreError> {
        let (condition, values) = condition(filter, after);
        let sql = format!("SELECT {COLUMNS} FROM audit WHERE {condition} ORDER BY id LIMIT {count}");
        let mut statement = self.connection.prepare(&sql)?;
        let records = statement.query_map(params_from_iter(values), record)?;
        Ok(records.collect::<rusqlite::Result<_>>()?)
    }

    /// The number of the newest record; 0 without any.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self) -> Result<i64, StoreError> {
        Ok(self.connection.query_row("SELECT coalesce(max(id), 0) FROM accesses", (), |row| row.get(0))?)
    }

    /// How often what happened, the most frequent first. What was lost is not among it, see [`AuditReader::lost`].
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn tally(&self, filter: &AuditFilter, count: u64) -> Result<Vec<Tally>, StoreError> {
        let (condition, values) = condition(filter, 0);
        let sql = format!(
            "SELECT count(*) AS number, verdict, rule, host FROM audit WHERE {condition} AND verdict <> 'lost' \
             GROUP BY verdict, rule, host ORDER BY number DESC, verdict, rule, host LIMIT {count}"
        );
        let mut statement = self.connection.prepare(&sql)?;
        let tallies = statement.query_map(params_from_iter(values), |row| {
            Ok(Tally { count: row.get(0)?, verdict: verdict(row, "verdict")?, rule: row.get(2)?, host: row.get(3)? })
        })?;
        Ok(tallies.collect::<rusqlite::Result<_>>()?)
    }

    /// How many records are missing in the filter's time. What they would have said nobody knows, so no more of the filter
    /// counts.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lost(&self, filter: &AuditFilter) -> Result<i64, StoreError> {
        let (condition, values) = condition(filter, 0);
        let sql = format!("SELECT coalesce(sum(lost), 0) FROM audit WHERE {condition} AND verdict = 'lost'");
        Ok(self.connection.query_row(&sql, params_from_iter(values), |row| row.get(0))?)
    }
}

/// The filter in SQL. Records that say that others are missing are wanted whatever the others might have been.
fn condition(filter: &AuditFilter, after: i64) -> (String, Vec<Value>) {
    let mut all = vec!["id > ?"];
    let mut values = vec![Value::Integer(after)];
    let mut those = Vec::new();
    for (time, test) in [(filter.since, "time_ms >= ?"), (filter.until, "time_ms < ?")] {
        if let Some(time) = time {
            all.push(test);
            values.push(Value::Integer(time));
        }
    }
    for (wanted, test) in [(filter.refused, "verdict = 'refused'"), (filter.private, "tier <> 'public'")] {
        if wanted {
            those.push(test);
        }
    }
    for (text, test) in
        [(&filter.key, "key = ?"), (&filter.request, "request_id = ?"), (&filter.component, "component = ?")]
    {
        if let Some(text) = text {
            those.push(test);
            values.push(Value::Text(text.clone()));
        }
    }
    if those.is_empty() {
        return (all.join(" AND "), values);
    }
    (format!("{} AND (verdict = 'lost' OR ({}))", all.join(" AND "), those.join(" AND ")), values)
}

fn record(row: &Row<'_>) -> rusqlite::Result<AuditRecord> {
    let addresses: String = row.get("addresses")?;
    Ok(AuditRecord {
        id: row.get("id")?,
        time: row.get("time")?,
        verdict: verdict(row, "verdict")?,
        request_id: row.get("request_id")?,
        key: row.get("key")?,
        component: row.get("component")?,
        policy: row.get("policy")?,
        url: row.get("url")?,
        host: row.get("host")?,
        port: row.get("port")?,
        addresses: addresses.split_whitespace().map(str::to_owned).collect(),
        tier: row.get("tier")?,
        range: row.get("range")?,
        rule: row.get("rule")?,
        reason: row.get("reason")?,
        received: row.get("received")?,
        sent: row.get("sent")?,
        duration_ms: row.get("duration_ms")?,
        status: row.get("status")?,
        lost: row.get("lost")?,
        run: row.get("run")?,
        access: row.get("access")?,
    })
}

/// The table admits no other words.
fn verdict(row: &Row<'_>, column: &str) -> rusqlite::Result<Verdict> {
    Ok(match row.get_ref(column)?.as_str()? {
        "refused" => Verdict::Refused,
        "opened" => Verdict::Opened,
        _ => Verdict::Lost,
    })
}
