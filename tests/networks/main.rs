//! Networks as people have them, of every framework and format, against the numbers of the framework that they come from; files put
//! together by hand; and what `info` and `convert` make of a file.

mod convert;
mod families;
mod formats;
mod info;
mod keras;
mod keras_graphs;
mod names;
mod onnx;
mod onnx_handmade;
mod vgg;

#[allow(dead_code, reason = "every test program uses a part")]
#[path = "../common"]
mod common {
    pub(crate) mod device;
    pub(crate) mod handmade;
    pub(crate) mod memory;
    pub(crate) mod onnx_writer;
    pub(crate) mod seeded;
    pub(crate) mod splitmix;
    pub(crate) mod vgg;
}
