//! The bounded decoder of bodies: any encoding, any chunking.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl-egress/tests/decode/invariants.rs"]
mod invariants;

fuzz_target!(|data: &[u8]| invariants::any_bytes(data));
