//! Other sizes, and places around a map that repeat it.

use super::{Call, size};
use crate::kernels::{Kernel, ResampleParams};
use crate::layout::Direction;
use crate::network::{NodeId, Resample, Taps};
use crate::plan::Packing;
use crate::plan::builder::Builder;
use crate::weights::Tensor;

impl Builder<'_> {
    /// Either way the same, with the taps turned round for the way back.
    pub(super) fn resample(&mut self, id: NodeId, call: &Call<'_>, resample: &Resample) {
        let there = call.in_shape;
        let axes = [(0, there.h), (1, there.w)].map(|(axis, length)| {
            let taps = resample.taps(axis, length);
            taps.expect("a shape was found when the node was made")
        });
        let (from, axes, what) = match call.direction {
            Direction::Forward => (call.in_shape, axes, "taps"),
            Direction::Backward => (
                call.out_shape,
                axes.map(|taps| taps.transposed()),
                "taps back",
            ),
        };
        let tensor = listed(&axes);
        let name = format!("{} {what}", self.network.node(id).name);
        let taps = self
            .buffers
            .weights(name, tensor.len(), &tensor, Packing::Vector);
        let params = ResampleParams {
            count: call.count(),
            in_size: size(from),
            out_size: size(call.made()),
        };
        let buffers = vec![call.x, taps, call.y];
        self.each(Kernel::Resample, call.label, params.count, &params, buffers);
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
