//! `loc_fuzz::targets::onnx` on bytes that libFuzzer finds.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    loc_fuzz::targets::onnx(bytes);
});
