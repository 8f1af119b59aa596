//! The one file in which Owl keeps what it remembers: an embedded SQLite database.
//!
//! This module opens it, for the one thread that writes or for any number of readers, and brings its schema up to date.
//! What stands in it is the business of the modules that use it (the audit log, conversations). Several Owls may share a file, and
//! other programs may read it at any time: it is in WAL mode, and whoever must wait for a lock does so for a bounded
//! time. A file that a newer Owl, or another program, has written is refused and left as it is.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

/// What changes the schema from version n to n + 1, in order.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql"), include_str!("responses.sql")];

/// Marks the file as Owl's, in the database's header: `OWL` and a byte.
const APPLICATION: i64 = 0x4f57_4c01;

/// How large the write-ahead log may stay once its content is in the file, in bytes.
const LOG_LIMIT: i64 = 16 << 20;

/// Why the store cannot be used.
#[derive(Debug)]
pub enum StoreError {
    /// There is no such file, and it was only to be read.
    Missing,
    /// A newer Owl wrote the file.
    Newer {
        /// The version of its schema.
        found: i64,
    },
    /// The file belongs to another program, or is no database at all.
    Foreign,
    /// The folder or the file cannot be made.
    Create(io::Error),
    /// The file cannot be looked at.
    Read(io::Error),
    /// What SQLite says.
    Database(rusqlite::Error),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Newer { found } => write!(
                f,
                "the file was written by a newer Owl (schema {found}, this one knows {}): use that one, or name another \
                 file",
                MIGRATIONS.len()
            ),
            Self::Foreign => f.write_str("the file is not one of Owl's: name another one"),
            Self::Create(error) => write!(f, "it cannot be created: {error}"),
            Self::Read(error) => error.fmt(f),
            Self::Database(error) => f.write_str(&in_words(error)),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Missing | Self::Newer { .. } | Self::Foreign => None,
            Self::Create(error) | Self::Read(error) => Some(error),
            Self::Database(error) => Some(error),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign,
            Some(_) | None => Self::Database(error),
        }
    }
}

/// The errors that operators meet, in words that say what to do; the others as SQLite tells them.
fn in_words(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another program holds its lock".to_owned(),
        Some(ErrorCode::DiskFull) => "the disk is full".to_owned(),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "it may not be written".to_owned(),
        Some(ErrorCode::CannotOpen) => "it cannot be opened".to_owned(),
        Some(ErrorCode::SystemIoFailure) => format!("the disk fails: {error}"),
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged: move it away, and a new one is begun".to_owned(),
        Some(_) | None => error.to_string(),
    }
}

/// The store, open for writing. Each part of Owl that writes has one of its own.
#[derive(Debug)]
pub struct Store {
    /// The connection to the database.
    pub connection: Connection,
    path: PathBuf,
    identity: Option<Identity>,
}

impl Store {
    /// Opens the file, or creates it: readable by its owner alone, as is the folder if that is new, too. Whoever holds
    /// a lock is waited for as long as `patience`, each time.
    ///
    /// # Errors
    /// It cannot be used now. A later try may succeed.
    pub fn open(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let path = plain_path(path);
        create(&path).map_err(StoreError::Create)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(&path, flags)?;
        connection.busy_timeout(patience)?;
        judge(&connection)?;
        // Both only act on a file that is still empty, and in this order.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "journal_size_limit", LOG_LIMIT)?;
        migrate(&mut connection)?;
        let identity = identity(&path);
        Ok(Self { connection, path, identity })
    }

    /// Whether the file has been deleted or replaced since it was opened: what is written now would be lost.
    pub fn is_gone(&self) -> bool {
        identity(&self.path) != self.identity
    }

    /// How much of the file is in use, and how large it is, in bytes.
    ///
    /// # Errors
    /// The database does not answer.
    pub fn size(&self) -> Result<Size, rusqlite::Error> {
        let ask = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        let (page, pages, free) = (ask("page_size")?, ask("page_count")?, ask("freelist_count")?);
        let bytes = |pages: i64| u64::try_from(pages.saturating_mul(page)).unwrap_or(0);
        Ok(Size { used: bytes(pages - free), file: bytes(pages) })
    }

    /// Gives pages that are no longer used back to the file system, so many at most.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn shrink(&self, pages: u32) -> Result<(), rusqlite::Error> {
        // Each step gives back one page.
        let mut statement = self.connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
        let mut rows = statement.query(())?;
        while rows.next()?.is_some() {}
        Ok(())
    }
}

/// How large the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// What holds something, in bytes.
    pub used: u64,
    /// The file, in bytes.
    pub file: u64,
}

/// Opens the file for reading alone. It works beside a server that writes, and without one.
///
/// # Errors
/// There is no such file, or it cannot be read.
pub fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let path = plain_path(path);
    match std::fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Err(StoreError::Missing);
        }
        Err(error) => return Err(StoreError::Read(error)),
    }
    let connection =
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    match judge(&connection)? {
        // It was created and nothing has been put into it.
        0 => Err(StoreError::Missing),
        _ => Ok(connection),
    }
}

/// The same schema in memory, for what is to be remembered no longer than this process runs.
///
/// # Errors
/// SQLite has no memory.
pub fn in_memory() -> Result<Connection, StoreError> {
    let connection = Connection::open_in_memory()?;
    for migration in MIGRATIONS {
        connection.execute_batch(migration)?;
    }
    Ok(connection)
}

/// The version of the file's schema, if it is one that this Owl may touch; 0 for an empty file. Asked in one statement: another
/// Owl that creates the file meanwhile is seen to have done all of it or nothing.
fn judge(connection: &Connection) -> Result<i64, StoreError> {
    const FACTS: &str = "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), \
                         (SELECT count(*) FROM sqlite_schema)";
    let (application, version, tables) =
        connection.query_row(FACTS, (), |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?)))?;
    match application {
        APPLICATION if version > newest() => Err(StoreError::Newer { found: version }),
        APPLICATION => Ok(version),
        0 if tables == 0 => Ok(0),
        _ => Err(StoreError::Foreign),
    }
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the schema up to date. Another Owl may be doing the same: who comes second finds it done.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    if judge(connection)? == newest() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = judge(&transaction)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", newest())?;
    transaction.commit()?;
    Ok(())
}

/// SQLite takes a name that begins with `file:` for a URI; a path is only ever a path.
fn plain_path(path: &Path) -> PathBuf {
    if path.is_relative() { Path::new(".").join(path) } else { path.to_owned() }
}

fn create(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Which file it is, whatever it is called: its device and its number there.
pub type Identity = (u64, u64);

/// The file that has this name now. As long as it is held open no other one gets its identity.
pub fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests;
