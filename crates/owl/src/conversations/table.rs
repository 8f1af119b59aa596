//! The statements.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, named_params, params};
use serde_json::Value;

/// The longest conversation that is put together, in responses.
const LONGEST: usize = 10_000;

/// A response to be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// The response that it goes on from.
    pub previous: Option<String>,
    /// The response itself.
    pub response: Value,
    /// Its input items.
    pub input: Vec<Value>,
    /// What the conversation grew by.
    pub messages: Vec<Value>,
}

/// A response that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// The response itself.
    pub response: Value,
    /// Its input items.
    pub input: Vec<Value>,
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn list(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap_or_default()
}

fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

pub(super) fn put(
    connection: &mut Connection,
    owner: &str,
    kept: &Kept,
    now: i64,
    expires: i64,
    limit: u64,
) -> rusqlite::Result<()> {
    let Kept { id, previous, response, input, messages } = kept;
    let (response, input) = (response.to_string(), Value::from(input.clone()).to_string());
    let messages = Value::from(messages.clone()).to_string();
    let bytes = response.len() + input.len() + messages.len();
    let transaction = begin(connection)?;
    transaction.execute(
        "INSERT INTO responses (id, owner, previous, expires_ms, bytes, response, input, messages) \
         VALUES (:id, :owner, :previous, :expires, :bytes, :response, :input, :messages) \
         ON CONFLICT (id) DO UPDATE SET expires_ms = excluded.expires_ms, bytes = excluded.bytes, \
         response = excluded.response, input = excluded.input, messages = excluded.messages \
         WHERE owner = excluded.owner",
        named_params! {
            ":id": id, ":owner": owner, ":previous": previous, ":expires": expires, ":bytes": length(bytes),
            ":response": response, ":input": input, ":messages": messages,
        },
    )?;
    prune(&transaction, now, limit)?;
    transaction.commit()
}

pub(super) fn get(
    connection: &mut Connection,
    owner: &str,
    id: &str,
    now: i64,
) -> rusqlite::Result<Option<Remembered>> {
    let select = "SELECT response, input FROM responses WHERE id = ?1 AND owner = ?2 AND expires_ms > ?3";
    let read = |row: &rusqlite::Row<'_>| {
        let (response, input): (String, String) = (row.get(0)?, row.get(1)?);
        Ok(Remembered { response: json(&response), input: list(&input) })
    };
    connection.query_row(select, params![id, owner, now], read).optional()
}

pub(super) fn delete(connection: &mut Connection, owner: &str, id: &str, now: i64) -> rusqlite::Result<bool> {
    let delete = "DELETE FROM responses WHERE id = ?1 AND owner = ?2 AND expires_ms > ?3";
    connection.execute(delete, params![id, owner, now]).map(|deleted| deleted > 0)
}

pub(super) fn history(
    connection: &mut Connection,
    owner: &str,
    id: &str,
    now: i64,
    expires: i64,
) -> rusqlite::Result<Option<Vec<Value>>> {
    let transaction = begin(connection)?;
    let mut pieces: Vec<String> = Vec::new();
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        let select = "UPDATE responses SET expires_ms = max(expires_ms, ?4) WHERE id = ?1 AND owner = ?2 AND expires_ms > ?3 \
                      RETURNING previous, messages";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Option<String>>(0)?, row.get::<_, String>(1)?));
        let Some((previous, messages)) =
            transaction.query_row(select, params![id, owner, now, expires], read).optional()?
        else {
            return Ok(None);
        };
        pieces.push(messages);
        // A ring cannot come about, for an id is new when it is given; a file may hold anything.
        if pieces.len() > LONGEST {
            return Ok(None);
        }
        next = previous;
    }
    transaction.commit()?;
    Ok(Some(pieces.iter().rev().flat_map(|messages| list(messages)).collect()))
}

pub(super) fn park(
    connection: &mut Connection,
    owner: &str,
    call_ids: &[String],
    messages: &str,
    now: i64,
    expires: i64,
    limit: u64,
) -> rusqlite::Result<()> {
    let transaction = begin(connection)?;
    for id in call_ids {
        transaction.execute(
            "INSERT OR REPLACE INTO parked (owner, call_id, expires_ms, bytes, messages) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![owner, id, expires, length(messages.len()), messages],
        )?;
    }
    prune(&transaction, now, limit)?;
    transaction.commit()
}

pub(super) fn resume(
    connection: &mut Connection,
    owner: &str,
    call_ids: &[String],
    now: i64,
) -> rusqlite::Result<Vec<(String, Vec<Value>)>> {
    let mut select =
        connection.prepare("SELECT messages FROM parked WHERE owner = ?1 AND call_id = ?2 AND expires_ms > ?3")?;
    let mut found = Vec::new();
    for id in call_ids {
        let messages: Option<String> = select.query_row(params![owner, id, now], |row| row.get(0)).optional()?;
        found.extend(messages.map(|messages: String| (id.clone(), list(&messages))));
    }
    Ok(found)
}

fn length(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Takes out what is too old, and as much of the oldest as is too much.
fn prune(transaction: &Transaction<'_>, now: i64, limit: u64) -> rusqlite::Result<()> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    for (table, limit) in [("responses", limit / 4 * 3), ("parked", limit / 4)] {
        transaction.execute(&format!("DELETE FROM {table} WHERE expires_ms <= ?1"), [now])?;
        // The index alone answers this.
        let held: i64 =
            transaction.query_row(&format!("SELECT coalesce(sum(bytes), 0) FROM {table}"), (), |row| row.get(0))?;
        if held > limit {
            let too_much = format!(
                "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM (SELECT rowid, sum(bytes) OVER (ORDER BY expires_ms DESC, \
                 rowid DESC) AS held FROM {table}) WHERE held > ?1)"
            );
            transaction.execute(&too_much, [limit])?;
        }
    }
    Ok(())
}
