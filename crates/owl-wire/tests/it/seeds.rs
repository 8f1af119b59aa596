//! The fuzz targets' seeds, run in every ordinary test.

use std::path::Path;

use crate::invariants;

/// Runs `check` over the seeds of one target, each with a few ways to cut it.
fn check(target: &str, check: fn(&[u8], u64)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the target has seeds") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        (0..50).for_each(|seed| check(&bytes, seed));
        count += 1;
    }
    assert!(count > 0, "no seeds for {target}");
}

#[test]
fn request_scan() {
    check("request_scan", |body, _| invariants::request_scan(body));
}

#[test]
fn response_splice() {
    check("response_splice", invariants::response_splice);
}

#[test]
fn sse() {
    check("sse", invariants::sse);
}

#[test]
fn multipart() {
    check("multipart", |body, _| invariants::multipart(body));
}

#[test]
fn media() {
    check("media", |body, _| invariants::media(body));
}

#[test]
fn turn() {
    check("turn", invariants::turn);
}

#[test]
fn conversions() {
    check("conversions", |body, _| invariants::conversions(body));
}
