//! Runs `loc_fuzz::targets::split` on inputs from libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _accepted = loc_fuzz::targets::split(bytes);
});
