//! Requests of the Responses and Messages APIs: a chat completion, or an error that names a part.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl-wire/tests/it/invariants.rs"]
#[expect(dead_code, reason = "each target uses one of the functions")]
mod invariants;

fuzz_target!(|data: &[u8]| invariants::conversions(data));
