//! What is remembered of conversations: responses that clients may go on from, and what Owl's tools have left around calls of the
//! client's functions.
//!
//! It stands in the store, or in memory where there is none; both are SQLite and the same statements. Everything belongs to whoever
//! asked for it: to others it does not exist. What is old goes, and so does the oldest when it becomes too much.
//!
//! The database is only touched on a thread for such work, by one at a time.

mod table;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::context::Principal;
use crate::store::{Store, StoreError};

pub use table::{Kept, Remembered};

/// How long a lock of another program's is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long messages around a client's calls are kept: a client that has not answered by then has given up.
const PARKED: Duration = Duration::from_secs(24 * 3600);

/// How much memory holds them where there is no store, in bytes.
const MEMORY: u64 = 64 << 20;

/// Where conversations are kept, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConversationOptions {
    /// The store's file; `None`: memory, until the process ends.
    pub path: Option<PathBuf>,
    /// How long a response is kept after it was last gone on from.
    pub max_age: Duration,
    /// How much all of them may hold together, in bytes; a quarter of it is for messages around a client's calls.
    pub max_size: u64,
}

impl Default for ConversationOptions {
    fn default() -> Self {
        Self { path: None, max_age: Duration::from_secs(30 * 24 * 3600), max_size: MEMORY }
    }
}

/// Why something cannot be remembered or found.
#[derive(Debug)]
pub enum ConversationError {
    /// The store cannot be used now.
    Store(StoreError),
    /// The thread for such work has failed.
    Lost,
}

impl fmt::Display for ConversationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the store cannot be used now: {error}"),
            Self::Lost => f.write_str("the store cannot be used now"),
        }
    }
}

impl std::error::Error for ConversationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Lost => None,
        }
    }
}

/// The database: in the store, or in memory.
enum Database {
    File(Store),
    Memory(Connection),
}

impl Database {
    fn open(options: &ConversationOptions) -> Result<Self, StoreError> {
        match &options.path {
            Some(path) => Store::open(path, PATIENCE).map(Self::File),
            None => crate::store::in_memory().map(Self::Memory),
        }
    }

    fn connection(&mut self) -> &mut Connection {
        match self {
            Self::File(store) => &mut store.connection,
            Self::Memory(connection) => connection,
        }
    }

    fn is_gone(&self) -> bool {
        match self {
            Self::File(store) => store.is_gone(),
            Self::Memory(_) => false,
        }
    }
}

/// What is remembered of conversations.
pub struct Conversations {
    options: ConversationOptions,
    /// Opened when it is first needed.
    database: Arc<Mutex<Option<Database>>>,
}

impl fmt::Debug for Conversations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversations").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Default for Conversations {
    fn default() -> Self {
        Self::new(ConversationOptions::default())
    }
}

impl Conversations {
    /// Opens nothing yet.
    pub fn new(options: ConversationOptions) -> Self {
        Self { options, database: Arc::default() }
    }

    /// Keeps the messages that stand around calls of the client's.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn park(
        &self,
        owner: &Principal,
        call_ids: Vec<String>,
        messages: Vec<Value>,
    ) -> Result<(), ConversationError> {
        let owner = key(owner);
        let limit = self.options.max_size;
        self.with(move |connection| {
            table::park(connection, &owner, &call_ids, &Value::from(messages).to_string(), now(), after(PARKED), limit)
        })
        .await
    }

    /// The messages that stood around each of these calls, where there are some.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn resume(
        &self,
        owner: &Principal,
        call_ids: Vec<String>,
    ) -> Result<Vec<(String, Vec<Value>)>, ConversationError> {
        let owner = key(owner);
        self.with(move |connection| table::resume(connection, &owner, &call_ids, now())).await
    }

    /// Keeps a response; one with the same id is replaced.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn put(&self, owner: &Principal, kept: Kept) -> Result<(), ConversationError> {
        let owner = key(owner);
        let (expires, limit) = (after(self.options.max_age), self.options.max_size);
        self.with(move |connection| table::put(connection, &owner, &kept, now(), expires, limit)).await
    }

    /// A response and its input items.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn get(&self, owner: &Principal, id: &str) -> Result<Option<Remembered>, ConversationError> {
        let (owner, id) = (key(owner), id.to_owned());
        self.with(move |connection| table::get(connection, &owner, &id, now())).await
    }

    /// Forgets a response. Whether there was one.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn delete(&self, owner: &Principal, id: &str) -> Result<bool, ConversationError> {
        let (owner, id) = (key(owner), id.to_owned());
        self.with(move |connection| table::delete(connection, &owner, &id, now())).await
    }

    /// The messages of the conversation up to this response, it included; `None` if a part of it is not there (any more). All of it
    /// is then kept as long as a new one.
    ///
    /// # Errors
    /// [`ConversationError`].
    pub async fn history(&self, owner: &Principal, id: &str) -> Result<Option<Vec<Value>>, ConversationError> {
        let (owner, id) = (key(owner), id.to_owned());
        let expires = after(self.options.max_age);
        self.with(move |connection| table::history(connection, &owner, &id, now(), expires)).await
    }

    /// Does something with the database, on a thread for such work.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ConversationError> {
        let mut database = Arc::clone(&self.database).lock_owned().await;
        let options = self.options.clone();
        let work = move || {
            if database.as_ref().is_some_and(Database::is_gone) {
                *database = None;
            }
            let open = match &mut *database {
                Some(open) => open,
                none => none.insert(Database::open(&options)?),
            };
            work(open.connection()).map_err(StoreError::from)
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| ConversationError::Lost)?;
        done.map_err(ConversationError::Store)
    }
}

/// Whose it is. A key's name cannot be mistaken for the word that stands for no key.
fn key(owner: &Principal) -> String {
    match owner {
        Principal::Key(name) => format!("key {name}"),
        Principal::Local | Principal::Stranger => owner.name().to_owned(),
    }
}

fn now() -> i64 {
    milliseconds(SystemTime::now())
}

fn after(time: Duration) -> i64 {
    SystemTime::now().checked_add(time).map_or(i64::MAX, milliseconds)
}

fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
