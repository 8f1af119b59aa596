//! Text from outside: harmless is harmless for good, and what is wrapped stays between its markers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use owl::tools::untrusted::{harmless, line_of, unwrapped, wrap};

fuzz_target!(|text: &str| {
    let once = harmless(text);
    assert_eq!(harmless(&once), once);
    assert!(!once.contains("EXTERNAL_UNTRUSTED_CONTENT") && !once.contains("<|im_start|>") && !once.contains('\u{1b}'));
    assert_eq!(unwrapped(&wrap(text, "fuzz")), once);
    let line = line_of(text, 100);
    assert!(line.chars().count() <= 100 && !line.contains('\n'));
});
