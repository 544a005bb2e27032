//! The dispatches of a plan, phase after phase: as they are recorded, and of all passes together.

use super::{BufferId, Dispatch, Forward};
use crate::kernels::Kernel;

/// The dispatches so far.
#[derive(Default)]
pub(super) struct Dispatches {
    /// What runs once before all phases.
    pub(super) preparation: Vec<Dispatch>,
    /// Those of the phase that is being recorded.
    recorded: Vec<Dispatch>,
    /// Dispatches of the phases that are over.
    done: usize,
}

/// A dispatch that waits for no copy.
pub(super) fn dispatch<P: bytemuck::Pod>(
    kernel: Kernel,
    label: &str,
    params: &P,
    buffers: Vec<BufferId>,
    workgroups: [u32; 3],
    multiply_adds: u64,
) -> Dispatch {
    Dispatch {
        kernel,
        label: label.into(),
        params: bytemuck::bytes_of(params).to_vec(),
        listed: None,
        copies: vec![],
        image_texels: 0,
        buffers,
        workgroups,
        multiply_adds,
    }
}

impl Dispatches {
    /// The place of the phase's first dispatch, counted over all phases.
    pub(super) fn begin(&self) -> usize {
        self.done
    }

    /// The place of the next.
    pub(super) fn next(&self) -> usize {
        self.done + self.recorded.len()
    }

    /// The place of the last; of the first where there is none yet.
    pub(super) fn last(&self) -> usize {
        self.done + self.recorded.len().max(1) - 1
    }

    pub(super) fn push(&mut self, dispatch: Dispatch) {
        self.recorded.push(dispatch);
    }

    /// One of those recorded last: 1 is the last of them. With its place.
    pub(super) fn nth_last(&mut self, count: usize) -> (usize, &mut Dispatch) {
        let at = self.recorded.len() - count;
        (self.done + at, &mut self.recorded[at])
    }

    /// Closes the phase.
    pub(super) fn end_phase(&mut self) -> Vec<Dispatch> {
        self.done = self.last() + 1;
        std::mem::take(&mut self.recorded)
    }
}

/// The work of every phase.
pub(super) fn phases(passes: &[Forward]) -> impl Iterator<Item = &[Dispatch]> {
    passes.iter().flat_map(|pass| {
        let base = pass.base.iter().map(|base| &base.dispatches);
        let backs = pass.backs.iter().map(|back| &back.dispatches);
        let all = base.chain([&pass.dispatches]).chain(backs);
        all.map(Vec::as_slice)
    })
}

/// The same, to be changed.
pub(super) fn phases_mut(passes: &mut [Forward]) -> impl Iterator<Item = &mut [Dispatch]> {
    passes.iter_mut().flat_map(|pass| {
        let base = pass.base.iter_mut().map(|base| &mut base.dispatches);
        let backs = pass.backs.iter_mut().map(|back| &mut back.dispatches);
        let all = base.chain([&mut pass.dispatches]).chain(backs);
        all.map(Vec::as_mut_slice)
    })
}
