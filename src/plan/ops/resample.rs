//! Other sizes, and places around a map that repeat it.

use super::{Step, size};
use crate::kernels::{Kernel, ResampleParams};
use crate::layout::Direction;
use crate::network::{NodeId, Resample, Taps};
use crate::plan::Packing;
use crate::plan::builder::Builder;
use crate::weights::Tensor;

impl Builder<'_> {
    /// Either way the same, with the taps turned round for the way back.
    pub(super) fn resample(&mut self, id: NodeId, step: &Step<'_>, resample: &Resample) {
        let there = step.in_shape;
        let axes = [(0, there.h), (1, there.w)].map(|(axis, length)| {
            let taps = resample.taps(axis, length);
            taps.expect("a shape was found when the node was made")
        });
        let (from, axes, what) = match step.direction {
            Direction::Forward => (step.in_shape, axes, "taps"),
            Direction::Backward => (
                step.out_shape,
                axes.map(|taps| taps.transposed()),
                "taps back",
            ),
        };
        let tensor = listed(&axes);
        let name = format!("{} {what}", self.network.node(id).name);
        let taps = self.weights(name, tensor.len(), &tensor, Packing::Vector);
        let params = ResampleParams {
            count: step.count(),
            in_size: size(from),
            out_size: size(step.made()),
        };
        let buffers = vec![step.x, taps, step.y];
        self.each(Kernel::Resample, step.label, params.count, &params, buffers);
    }
}

/// Four numbers for each row and each column, where its taps are and how many, and then for each tap, its place and its weight.
fn listed(axes: &[Taps; 2]) -> Tensor {
    let lists = || axes.iter().flat_map(|taps| &taps.of);
    let mut next = lists().count();
    let mut numbers = vec![];
    for taps in lists() {
        numbers.extend([next as f32, taps.len() as f32, 0.0, 0.0]);
        next += taps.len();
    }
    for &(place, weight) in lists().flatten() {
        numbers.extend([place as f32, weight, 0.0, 0.0]);
    }
    Tensor::from_f32(vec![numbers.len()], &numbers)
}
