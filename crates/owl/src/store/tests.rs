use std::os::unix::fs::PermissionsExt as _;

use super::*;

const PATIENCE: Duration = Duration::from_millis(10);

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn nobody_else_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/owl/owl.db");
    let store = Store::open(&path, PATIENCE).unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for file in ["owl.db", "owl.db-wal", "owl.db-shm"] {
        assert_eq!(mode(&path.with_file_name(file)), 0o600, "{file}");
    }
    let ask = |name| store.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
    assert_eq!(ask("journal_mode").unwrap(), "wal".to_owned().into());
    assert_eq!(ask("synchronous").unwrap(), 1.into());
    assert_eq!(ask("auto_vacuum").unwrap(), 2.into());
    assert!(!store.is_gone());
    std::fs::remove_file(&path).unwrap();
    assert!(store.is_gone());
}

#[test]
fn a_file_that_is_not_ours_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, sql: Option<&str>, expect: &str| {
        let path = folder.path().join(name);
        match sql {
            Some(sql) => Connection::open(&path).unwrap().execute_batch(sql).unwrap(),
            None => std::fs::write(&path, "not a database, and long enough to have a header of 100 bytes ".repeat(9))
                .unwrap(),
        }
        let before = std::fs::read(&path).unwrap();
        for error in [Store::open(&path, PATIENCE).map(|_| ()), open_to_read(&path).map(|_| ())] {
            assert_eq!(error.unwrap_err().to_string(), expect, "{name}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), before, "{name}");
    };
    check(
        "newer.db",
        Some("PRAGMA application_id = 0x4f574c01; PRAGMA user_version = 99; CREATE TABLE accesses (a)"),
        "the file was written by a newer Owl (schema 99, this one knows 2): use that one, or name another file",
    );
    check("other.db", Some("CREATE TABLE bookmarks (a)"), "the file is not one of Owl's: name another one");
    check("text.txt", None, "the file is not one of Owl's: name another one");
}

#[test]
fn several_open_a_new_file_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("owl.db");
    std::thread::scope(|scope| {
        let opened: Vec<_> =
            (0..4).map(|_| scope.spawn(|| Store::open(&path, Duration::from_secs(20)).map(|_| ()))).collect();
        // Whoever reads meanwhile finds nothing, or all of it.
        while let Err(error) = open_to_read(&path) {
            assert!(matches!(error, StoreError::Missing), "{error}");
        }
        for one in opened {
            one.join().unwrap().unwrap();
        }
    });
    assert!(open_to_read(&path).is_ok());
}

#[test]
fn what_is_not_there_is_not_made_by_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("owl.db");
    assert!(matches!(open_to_read(&path), Err(StoreError::Missing)));
    assert!(!path.exists());
    std::fs::write(&path, "").unwrap();
    assert!(matches!(open_to_read(&path), Err(StoreError::Missing)));
}

#[test]
fn the_schema_that_readers_rely_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("owl.db"), PATIENCE).unwrap();
    let columns: Vec<String> = {
        let statement = store.connection.prepare("SELECT * FROM audit").unwrap();
        statement.column_names().map(str::to_owned).collect()
    };
    assert_eq!(
        columns.join(" "),
        "id time time_ms verdict request_id key component policy url host port addresses tier range rule reason received \
         sent duration_ms status lost run access"
    );
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit.md")).unwrap();
    for column in columns {
        assert!(page.contains(&format!("`{column}`")), "docs/audit.md does not name the column {column}");
    }
}
