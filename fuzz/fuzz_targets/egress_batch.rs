//! The batch of judgements: any rows end in as many lines of JSON, never in a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl/tests/it/egress_invariants.rs"]
#[expect(dead_code, reason = "each target uses one of the functions")]
mod egress_invariants;

fuzz_target!(|data: &[u8]| egress_invariants::egress_batch(data));
