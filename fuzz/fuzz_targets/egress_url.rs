//! The egress policy: any URL, policy and answers; what is allowed is open by a judge that is written apart.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl/tests/it/egress_invariants.rs"]
#[expect(dead_code, reason = "each target uses one of the functions")]
mod egress_invariants;

fuzz_target!(|data: &[u8]| egress_invariants::egress_url(data));
