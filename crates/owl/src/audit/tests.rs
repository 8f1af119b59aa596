use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use owl_egress::Caller;
use owl_egress::address::Tier;
use owl_egress::audit::{Access, AccessEnd, AccessId};
use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
use rusqlite::{Connection, TransactionBehavior};

use super::*;

/// What the tests record, before they change something about it.
fn access() -> Box<Access> {
    Box::new(Access {
        id: AccessId::next(),
        at: SystemTime::now(),
        caller: Caller { request_id: Some("req_1".into()), key: Some("alice".into()) },
        component: "gateway".into(),
        policy: "{}".into(),
        url: "http://10.1.2.3/image?[12 bytes]".to_owned(),
        host: "10.1.2.3".to_owned(),
        port: 80,
        addresses: vec!["10.1.2.3".parse().unwrap()],
        tier: Some(Tier::Private),
        range: Some("10.0.0.0/8, private use".to_owned()),
        rule: "private",
        reason: "10.1.2.3 is in 10.0.0.0/8, private use".to_owned(),
    })
}

fn opened() -> Box<Access> {
    Box::new(Access { rule: "allow-cidrs", reason: String::new(), ..*access() })
}

fn ended(id: AccessId) -> AuditEvent {
    AuditEvent::Ended(AccessEnd { id, received: 7, sent: 5, duration: Duration::from_millis(1_234), status: Some(200) })
}

fn refuse(log: &AuditLog, count: usize) {
    for _ in 0..count {
        log.record(AuditEvent::Refused(access()));
    }
}

fn options(path: &Path) -> Options {
    Options {
        path: path.to_owned(),
        max_age: Duration::from_secs(3600),
        max_size: 1 << 30,
        most_waiting: MOST_WAITING,
        patience: Duration::from_millis(1),
        most_pages: u32::MAX - 1,
    }
}

/// A folder with a store in it, and its records.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("state/owl.db")
    }

    fn start(&self) -> AuditKeeper {
        AuditLog::start_with(Some(options(&self.path())))
    }

    fn all(&self) -> Vec<AuditRecord> {
        AuditReader::open(&self.path()).unwrap().after(&AuditFilter::default(), 0, 100_000).unwrap()
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.all().iter().filter(|record| record.verdict == verdict).count()
    }

    fn number(&self, sql: &str) -> i64 {
        Connection::open(self.path()).unwrap().query_row(sql, (), |row| row.get(0)).unwrap()
    }
}

#[test]
fn an_access_is_kept_with_all_that_is_known() {
    let place = Place::new();
    let keeper = place.start();
    let (first, second) = (opened(), opened());
    let ids = [first.id, second.id];
    keeper.log().record(AuditEvent::Refused(access()));
    keeper.log().record(AuditEvent::Opened(first));
    keeper.log().record(ended(ids[0]));
    keeper.log().record(AuditEvent::Opened(second));
    assert!(keeper.log().flush());
    let records = place.all();
    let durations: Vec<_> = records.iter().map(|record| (record.verdict, record.duration_ms)).collect();
    assert_eq!(durations, [(Verdict::Refused, None), (Verdict::Opened, Some(1_234)), (Verdict::Opened, None)]);
    // An end that comes in a later batch finds its record; one of nothing finds none.
    keeper.log().record(ended(ids[1]));
    keeper.log().record(ended(AccessId::next()));
    assert!(keeper.log().flush());
    let records = place.all();
    let last = &records[2];
    assert_eq!((last.received, last.sent, last.duration_ms, last.status), (Some(7), Some(5), Some(1_234), Some(200)));
    assert_eq!(records.len(), 3);
    assert_eq!(
        (last.port, last.addresses.as_slice(), last.tier.as_deref()),
        (80, &["10.1.2.3".to_owned()][..], Some("private"))
    );
    assert_eq!((last.key.as_deref(), last.request_id.as_deref()), (Some("alice"), Some("req_1")));
    let totals = keeper.log().counters().snapshot();
    let expect =
        AuditTotals { refused: 1, opened: 2, private: 2, exemptions: 2, received: 21, sent: 15, written: 3, lost: 0 };
    assert_eq!(totals, expect);
    drop(keeper);
    let sql =
        "SELECT refused * 10000 + opened * 1000 + written * 100 + received FROM runs WHERE ended_ms >= started_ms";
    assert_eq!(place.number(sql), 12_321, "the totals stand in the store");
}

#[test]
fn what_waits_is_written_at_the_end() {
    let place = Place::new();
    let keeper = place.start();
    let log = Arc::clone(keeper.log());
    refuse(&log, 2_500);
    drop(keeper);
    assert_eq!(place.count(Verdict::Refused), 2_500);
    // Nobody writes any more, but it is counted.
    refuse(&log, 3);
    let totals = log.counters().snapshot();
    assert_eq!((totals.refused, totals.written, totals.lost), (2_503, 2_500, 3));
}

#[test]
fn the_next_start_goes_on_behind_the_last() {
    let place = Place::new();
    for _ in 0..2 {
        let keeper = place.start();
        refuse(keeper.log(), 1);
    }
    let records = place.all();
    assert_eq!(records.len(), 2);
    assert_ne!(records[0].run, records[1].run);
}

#[test]
fn several_owls_share_a_file() {
    let place = Place::new();
    let keepers: Vec<_> = (0..3)
        .map(|_| AuditLog::start_with(Some(Options { patience: Duration::from_secs(20), ..options(&place.path()) })))
        .collect();
    std::thread::scope(|scope| {
        for keeper in &keepers {
            scope.spawn(|| {
                for _ in 0..20 {
                    refuse(keeper.log(), 50);
                    assert!(keeper.log().flush());
                }
            });
        }
        // Somebody reads all the while.
        scope.spawn(|| {
            for _ in 0..20 {
                if place.path().exists()
                    && let Ok(reader) = AuditReader::open(&place.path())
                {
                    reader.after(&AuditFilter::default(), 0, 10_000).unwrap();
                }
            }
        });
    });
    drop(keepers);
    assert_eq!(place.count(Verdict::Refused), 3_000);
}

#[test]
fn a_full_queue_loses_records_and_says_so() {
    let place = Place::new();
    let keeper = AuditLog::start_with(Some(Options { most_waiting: 100, ..options(&place.path()) }));
    let log = keeper.log();
    assert!(log.flush());
    let mut other = Connection::open(place.path()).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    let begun = opened();
    let id = begun.id;
    log.record(AuditEvent::Opened(begun));
    refuse(log, 1_000);
    // The end of what is written finds room where refusals found none.
    log.record(ended(id));
    assert!(!log.flush(), "another program holds the lock");
    let totals = log.counters().snapshot();
    assert_eq!(totals.recorded(), 1_001);
    assert!(totals.lost >= 1_001 - 200, "{totals:?}");
    drop(lock);
    assert!(log.flush());
    let totals = log.counters().snapshot();
    assert_eq!(totals.recorded(), totals.written + totals.lost);
    let records = place.all();
    let lost: i64 = records.iter().filter_map(|record| record.lost).sum();
    assert_eq!(lost.unsigned_abs(), totals.lost);
    assert!(records.iter().any(|record| record.duration_ms == Some(1_234)), "the end was kept");
}

#[test]
fn a_lock_that_stays_loses_only_records() {
    let place = Place::new();
    let keeper = place.start();
    let log = Arc::clone(keeper.log());
    assert!(log.flush());
    let mut other = Connection::open(place.path()).unwrap();
    let lock = other.transaction_with_behavior(TransactionBehavior::Exclusive).unwrap();
    refuse(&log, 5);
    assert!(!log.flush());
    drop(keeper);
    let totals = log.counters().snapshot();
    assert_eq!((totals.refused, totals.written, totals.lost), (5, 0, 5));
    drop(lock);
}

#[test]
fn a_folder_that_comes_later_is_used() {
    let place = Place::new();
    // Root may write anywhere, but nobody can make a folder below a file.
    std::fs::write(place.folder.path().join("state"), "in the way").unwrap();
    let keeper = place.start();
    refuse(keeper.log(), 3);
    assert!(!keeper.log().flush());
    std::fs::remove_file(place.folder.path().join("state")).unwrap();
    assert!(keeper.log().flush());
    assert_eq!(place.count(Verdict::Refused), 3);
    assert_eq!(keeper.log().counters().snapshot().lost, 0);
}

#[test]
fn a_full_disk_is_survived() {
    let place = Place::new();
    let keeper = AuditLog::start_with(Some(Options { most_waiting: 1_000, most_pages: 250, ..options(&place.path()) }));
    let log = keeper.log();
    let mut tries = 0;
    while {
        refuse(log, 500);
        log.flush()
    } {
        tries += 1;
        assert!(tries < 100, "so few pages hold no more than this");
    }
    refuse(log, 5_000);
    assert!(!log.flush());
    // Somebody makes room.
    assert!((0..20).any(|_| {
        // One batch after the other fits, once those before are gone.
        Connection::open(place.path()).unwrap().execute_batch("DELETE FROM accesses").unwrap();
        log.flush()
    }));
    let totals = log.counters().snapshot();
    assert!(totals.lost > 0);
    assert_eq!(totals.recorded(), totals.written + totals.lost);
}

#[test]
fn a_deleted_file_is_begun_anew() {
    let place = Place::new();
    let keeper = place.start();
    refuse(keeper.log(), 3);
    assert!(keeper.log().flush());
    std::fs::remove_dir_all(place.path().parent().unwrap()).unwrap();
    refuse(keeper.log(), 2);
    assert!(keeper.log().flush());
    assert_eq!(place.count(Verdict::Refused), 2);
}

#[test]
fn the_file_of_a_newer_owl_is_left_alone() {
    let place = Place::new();
    drop(place.start());
    Connection::open(place.path()).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let keeper = place.start();
    let log = Arc::clone(keeper.log());
    refuse(&log, 1);
    assert!(!log.flush());
    drop(keeper);
    assert_eq!(log.counters().snapshot().lost, 1);
    assert_eq!(place.number("SELECT count(*) FROM accesses"), 0);
}

#[test]
fn old_records_go() {
    let place = Place::new();
    let keeper = place.start();
    assert!(keeper.log().flush());
    for age in [7_200, 3_700, 3_500, 0] {
        let at = SystemTime::now() - Duration::from_secs(age);
        keeper.log().record(AuditEvent::Refused(Box::new(Access { at, ..*access() })));
    }
    drop(keeper);
    assert_eq!(place.count(Verdict::Refused), 4, "those that are new are not looked at in every batch");
    drop(place.start());
    assert_eq!(place.count(Verdict::Refused), 2);
    assert_eq!(place.number("SELECT count(*) FROM runs"), 2);
}

/// A server that has long had nothing to record, a command that was run since, and the pruning between them.
#[test]
fn what_is_recorded_after_its_run_was_pruned_is_shown() {
    let place = Place::new();
    let keeper = place.start();
    refuse(keeper.log(), 1);
    assert!(keeper.log().flush());
    let other = Connection::open(place.path()).unwrap();
    other.execute_batch("INSERT INTO runs (name, version, started_ms) VALUES ('newer', '', 0)").unwrap();
    other.execute_batch("DELETE FROM accesses; DELETE FROM runs WHERE name <> 'newer'").unwrap();
    refuse(keeper.log(), 2);
    assert!(keeper.log().flush());
    assert_eq!(place.count(Verdict::Refused), 2);
    drop(keeper);
    assert_eq!(place.number("SELECT refused FROM runs WHERE ended_ms IS NOT NULL"), 3, "the totals go on");
}

#[test]
fn the_file_stays_below_its_size() {
    let place = Place::new();
    let max_size = 1 << 20;
    let keeper = AuditLog::start_with(Some(Options { max_size, ..options(&place.path()) }));
    for _ in 0..20 {
        refuse(keeper.log(), 500);
        assert!(keeper.log().flush());
    }
    for _ in 0..20 {
        // Each takes out one more slice.
        assert!(keeper.log().flush());
    }
    let numbers = place.number("SELECT max(id) - min(id) + 1 FROM accesses");
    let count = place.number("SELECT count(*) FROM accesses");
    assert_eq!(place.number("SELECT max(id) FROM accesses"), 10_000, "the newest stay");
    assert_eq!(count, numbers, "only the oldest went");
    assert!((500..5_000).contains(&count), "{count}");
    drop(keeper);
    // A smaller bound gives the space back.
    let max_size = 256 << 10;
    let keeper = AuditLog::start_with(Some(Options { max_size, ..options(&place.path()) }));
    for _ in 0..100 {
        assert!(keeper.log().flush());
    }
    drop(keeper);
    let length = std::fs::metadata(place.path()).unwrap().len();
    assert!(length <= max_size, "{length}");
    assert!(place.number("SELECT count(*) FROM accesses") > 0);
}

#[test]
fn without_a_store_everything_is_counted() {
    let keeper = AuditLog::start(&StoreConfig::default());
    refuse(keeper.log(), 2);
    assert!(!keeper.log().flush());
    let totals = keeper.log().counters().snapshot();
    assert_eq!((totals.refused, totals.written, totals.lost), (2, 0, 0));
}

#[test]
fn what_others_choose_is_bounded() {
    let place = Place::new();
    let keeper = place.start();
    let url = format!("http://10.1.2.3/{}", "x".repeat(1 << 20));
    let addresses = vec!["10.1.2.3".parse().unwrap(); 1_000];
    keeper.log().record(AuditEvent::Refused(Box::new(Access { url, addresses, ..*access() })));
    drop(keeper);
    let record = place.all().remove(0);
    assert!(record.url.len() <= 2_048 && record.url.ends_with("x…"), "{}", record.url.len());
    assert_eq!(record.addresses.len(), 32);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Refuse(usize),
    Open,
    End,
    Lock,
    Unlock,
    Flush,
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    /// Whatever happens: every record is written or counted as lost, and the store agrees.
    #[test]
    fn written_and_lost_are_all(steps in proptest::collection::vec(step(), 1..20)) {
        let place = Place::new();
        let keeper = AuditLog::start_with(Some(Options { most_waiting: 50, ..options(&place.path()) }));
        let log = Arc::clone(keeper.log());
        assert!(log.flush());
        let other = Connection::open(place.path()).unwrap();
        let mut open = Vec::new();
        let mut locked = false;
        for step in steps {
            match step {
                Step::Refuse(count) => refuse(&log, count),
                Step::Open => {
                    let access = opened();
                    open.push(access.id);
                    log.record(AuditEvent::Opened(access));
                }
                Step::End => open.pop().into_iter().for_each(|id| log.record(ended(id))),
                // The writer itself may hold the lock for a moment.
                Step::Lock => locked = locked || other.execute_batch("BEGIN EXCLUSIVE").is_ok(),
                Step::Unlock if std::mem::take(&mut locked) => other.execute_batch("COMMIT").unwrap(),
                Step::Unlock => {}
                // Without anything to write a lock is in nobody's way.
                Step::Flush => assert!(log.flush() || locked),
            }
        }
        if locked {
            other.execute_batch("COMMIT").unwrap();
        }
        drop(keeper);
        let totals = log.counters().snapshot();
        assert_eq!(totals.recorded(), totals.written + totals.lost);
        let records = place.all();
        let written = records.iter().filter(|record| record.verdict != Verdict::Lost).count() as u64;
        let lost: i64 = records.iter().filter_map(|record| record.lost).sum();
        assert_eq!((written, lost.unsigned_abs()), (totals.written, totals.lost));
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_usize..120).prop_map(Step::Refuse),
        Just(Step::Open),
        Just(Step::End),
        Just(Step::Lock),
        Just(Step::Unlock),
        Just(Step::Flush),
    ]
}

/// Run by hand: `cargo test -p owl-gateway --lib -- --ignored --nocapture how_fast`.
#[test]
#[ignore = "a measurement"]
fn how_fast_records_are_written() {
    let place = Place::new();
    let keeper = place.start();
    let started = std::time::Instant::now();
    for _ in 0..100 {
        refuse(keeper.log(), 5_000);
        assert!(keeper.log().flush());
    }
    let seconds = started.elapsed().as_secs_f64();
    let size = std::fs::metadata(place.path()).unwrap().len();
    println!("{:.0} records a second, {} bytes a record", 500_000.0 / seconds, size / 500_000);
}
