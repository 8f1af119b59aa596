//! The configuration: any text ends in a configuration or in problems, never in a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| drop(owl::config::check_text(data)));
