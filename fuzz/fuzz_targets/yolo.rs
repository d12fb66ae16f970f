//! Runs `loc_fuzz::targets::yolo` on inputs from libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    loc_fuzz::targets::yolo(bytes);
});
