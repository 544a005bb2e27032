//! Each kernel against its CPU twin, forward and backward, on whatever adapter there is, from poisoned memory.
//!
//! Tolerance 1e-5 of the largest value: float32 sums of up to a few thousand products, in another order than the twin's.

mod activations;
mod attention;
mod convolutions;
mod elementwise;
mod ends;
mod halves;
mod linear;
mod masks;
mod means;
mod measured;
mod pools;
mod ties;

#[path = "../common"]
mod common {
    pub(crate) mod device;
    pub(crate) mod drawn;
    pub(crate) mod twins;
}

use common::device::{GPU, assert_close};
use common::twins;
use gradcam::low_level::network::{Network, Op, Shape};

pub(crate) const TOLERANCE: f32 = 1e-5;

pub(crate) fn single(input: Shape, op: Op) -> Network {
    let mut network = Network::new("single", input);
    network.chain("layer", op).unwrap();
    network
}

/// Odd, non-square, one wide, one past a tile of each kernel, and more channels than a block.
pub(crate) const SHAPES: [Shape; 7] = [
    Shape::new(3, 7, 5),
    Shape::new(4, 8, 8),
    Shape::new(1, 1, 9),
    Shape::new(6, 33, 9),
    Shape::new(9, 13, 1),
    Shape::new(17, 5, 17),
    Shape::new(64, 14, 14),
];

/// Runs tests of this program once more, in a process of their own with these variables, and has all of them pass.
pub(crate) fn again_with(set: &[(&str, &str)], tests: &[&str]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .arg("--exact")
        .args(tests)
        .envs(set.iter().copied())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let passed = format!("{} passed", tests.len());
    assert!(
        output.status.success() && told.contains(&passed),
        "{set:?}: {told}"
    );
}

/// The loop that measures a device's arithmetic; a driver that saw through it would make a ceiling out of nothing.
#[test]
fn multiply_adds_of_the_ceiling_are_all_done() {
    let workgroups = 3;
    for rounds in [0, 1, 2] {
        let plan = gradcam::low_level::command::bench::multiply_adds(workgroups, rounds);
        let session = gradcam::low_level::gpu::Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        session.forward(0, &[0.0], Shape::vector(1)).unwrap();
        let shape = Shape::vector(workgroups as usize * 64 * 4);
        let y = session
            .read(session.plan().picture().logits, 1, shape)
            .unwrap();
        let expected = twins::multiply_add(workgroups, rounds);
        assert_close("multiply-adds", &y, &expected, shape, TOLERANCE);
    }
}
