//! Takes out the oldest records: those past their age, and as many more as the size demands.
//!
//! A slice at a time, between two batches, so that new records never wait long for old ones to go.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::batch::time;
use crate::store::Store;

/// The most records that are taken out in one go.
const SLICE: i64 = 4_000;

/// The most pages that are given back in one go.
const PAGES: u32 = 2_000;

/// How long, and how much.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) max_age: Duration,
    pub(super) max_size: u64,
}

/// Takes out records that are too old. Whether there may be more of them.
pub(super) fn by_age(store: &Store, bounds: Bounds, now: SystemTime) -> rusqlite::Result<bool> {
    let oldest = now.checked_sub(bounds.max_age).map_or(0, time);
    let deleted = store.connection.execute(
        "DELETE FROM accesses WHERE id IN (SELECT id FROM accesses WHERE time_ms < ?1 ORDER BY time_ms LIMIT ?2)",
        params![oldest, SLICE],
    )?;
    let more = i64::try_from(deleted).is_ok_and(|deleted| deleted >= SLICE);
    if deleted > 0 && !more {
        store.connection.execute(
            "DELETE FROM runs WHERE started_ms < ?1 AND id NOT IN (SELECT run FROM accesses) \
             AND id < (SELECT max(id) FROM runs)",
            [oldest],
        )?;
    }
    Ok(more)
}

/// Takes out the oldest records while the file is too large. Whether it still is.
pub(super) fn by_size(store: &Store, bounds: Bounds) -> rusqlite::Result<bool> {
    let size = store.size()?;
    if size.used > bounds.max_size {
        let deleted = match range(&store.connection)? {
            // A part of what is there, for a small file holds fewer records than a slice.
            Some((first, last)) => store.connection.execute(
                "DELETE FROM accesses WHERE id <= ?1",
                [first + ((last - first + 1) / 8).clamp(1, SLICE) - 1],
            )?,
            None => 0,
        };
        return Ok(deleted > 0);
    }
    if size.file > bounds.max_size {
        store.shrink(PAGES)?;
        return Ok(store.size()?.file < size.file);
    }
    Ok(false)
}

fn range(connection: &Connection) -> rusqlite::Result<Option<(i64, i64)>> {
    let ask = |sql| connection.query_row(sql, (), |row| row.get::<_, i64>(0)).optional();
    let first = ask("SELECT id FROM accesses ORDER BY id LIMIT 1")?;
    let last = ask("SELECT id FROM accesses ORDER BY id DESC LIMIT 1")?;
    Ok(first.zip(last))
}
