//! A model's turn: any chunking, nothing lost.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl-wire/tests/it/invariants.rs"]
#[expect(dead_code, reason = "each target uses one of the functions")]
mod invariants;

/// How to cut the input: decided by the input, so that a crash can be repeated.
fn seed(data: &[u8]) -> u64 {
    data.iter().fold(0, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

fuzz_target!(|data: &[u8]| invariants::turn(data, seed(data)));
