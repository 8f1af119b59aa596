//! HTML: any bytes, any form, any selector.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/owl-extract/tests/it/invariants.rs"]
#[expect(dead_code, reason = "each target uses one of the functions")]
mod invariants;

fuzz_target!(|data: &[u8]| invariants::html(data));
