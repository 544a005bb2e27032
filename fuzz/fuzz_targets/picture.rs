#![no_main]

use std::path::Path;

// The extension is that of the one format without a signature.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(picture) = gradcam::low_level::picture::decode(bytes, Path::new("picture.tga")) {
        let (width, height) = picture.rgb.dimensions();
        assert!(u64::from(width) * u64::from(height) <= gradcam::low_level::picture::MAX_PIXELS);
    }
});
