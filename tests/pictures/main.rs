//! Pictures: every kind of file against the decoder that its users trust, what decoding costs, and what the network sees.

mod files;
mod jpeg;
mod memory;
mod preprocess;
mod tiff;

#[allow(dead_code, reason = "every test program uses a part")]
#[path = "../common"]
mod common {
    pub(crate) mod memory;
}
