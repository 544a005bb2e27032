#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gradcam_fuzz::labels(bytes));
