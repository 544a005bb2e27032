//! The command line as a user sees it: exit codes, messages, files written or left alone.
//!
//! Runs the program that was built. But for one test of the built-in network, a tiny VGG16 stands for the real one.

mod adapters;
mod again;
mod alignment;
mod at_once;
mod bench;
mod boxes;
mod browser;
mod drawing;
mod files;
mod graphs;
mod halves;
mod harness;
mod inputs;
mod labels;
mod layers;
mod many;
mod page;
mod page_in_browser;
mod pictures;
mod provenance;
mod question;
mod redness;
mod results;
mod resumed;
mod schema;
mod sheets;
mod stopped;
mod streams;
mod tiles;
mod tune;
mod usage;
mod weights;
mod whole_page;

#[allow(dead_code, reason = "every test program uses a part")]
#[path = "../common/npy_writer.rs"]
mod npy_writer;
#[path = "../common/safetensors_writer.rs"]
mod safetensors_writer;
#[allow(dead_code, reason = "every test program uses a part")]
#[path = "../common/seeded.rs"]
mod seeded;
