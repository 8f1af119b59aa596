//! The fuzz targets' seeds, run in every ordinary test, each cut in a few ways and with a few bytes turned over.

use std::fs;
use std::path::Path;

use crate::invariants;

fn run(target: &str, holds: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let seeds = fs::read_dir(&folder).expect("the seeds' folder").map(|entry| entry.expect("readable").path());
    let mut seen = 0;
    for path in seeds {
        let seed = fs::read(&path).expect("readable");
        holds(&seed);
        for part in 1..8 {
            holds(&seed[..seed.len() * part / 8]);
            let mut turned = seed.clone();
            for at in (part..turned.len()).step_by(97) {
                turned[at] ^= 1 << (at % 8);
            }
            holds(&turned);
        }
        seen += 1;
    }
    assert!(seen >= 4, "{seen} seeds in {}", folder.display());
}

#[test]
fn seeds_of_documents_hold() {
    run("extract_document", invariants::document);
}

#[test]
fn seeds_of_pages_hold() {
    run("extract_html", invariants::html);
}

#[test]
fn seeds_of_pictures_hold() {
    run("picture", invariants::picture);
}
