#![no_main]

use gradcam::weights::Format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gradcam_fuzz::read(bytes, &[Format::Torch, Format::TorchLegacy, Format::Pickle]);
});
