//! The URLs that a server would fetch: found, and replaced, without harm to anything else.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl-wire/tests/it/invariants.rs"]
#[expect(dead_code, reason = "each target uses one of the functions")]
mod invariants;

fuzz_target!(|data: &[u8]| invariants::media(data));
