//! What each shader computes, on the CPU in float64: written from the formula, not from the shader.
//!
//! Tensors are N x C x H x W. A backward twin takes N gradients that share one image's activations.
#![allow(
    dead_code,
    unused_imports,
    reason = "each test file is a program of its own and uses a part"
)]

mod activations;
mod attention;
mod dense;
mod joins;
mod norms;
mod windows;

use gradcam::low_level::network::Shape;

pub(crate) use activations::*;
pub(crate) use attention::*;
pub(crate) use dense::*;
pub(crate) use joins::*;
pub(crate) use norms::*;
pub(crate) use windows::*;

fn planes(n: usize, shape: Shape) -> impl Iterator<Item = usize> {
    (0..n * shape.c).map(move |plane| plane * shape.h * shape.w)
}

fn channel(at: usize, shape: Shape) -> usize {
    at / (shape.h * shape.w) % shape.c
}
