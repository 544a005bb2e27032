//! A plan under construction.

use super::buffers::Buffers;
use super::costs::Batch;
use super::dispatches::{self, Dispatches};
use super::phases::{OfNodes, Pass};
use super::{BufferId, CopyToImage, Dispatch, ImageUse, Limits, Request, TileListPart};
use crate::kernels::Kernel;
use crate::layout::Direction;
use crate::network::{Network, NodeId};

/// A plan under construction: what is asked, what there is so far, and the pass that is being recorded.
pub(super) struct Builder<'a> {
    pub(super) network: &'a Network,
    pub(super) request: &'a Request,
    pub(super) limits: Limits<'a>,
    pub(super) buffers: Buffers,
    pub(super) dispatches: Dispatches,
    pub(super) pass: Pass,
    /// Where the values of the picture's pass are, while others are recorded.
    pub(super) picture: OfNodes,
    /// Bound where a kernel has nothing to read.
    pub(super) nothing: BufferId,
}

/// How many images and gradients go through a node, as far as is known.
#[derive(Clone)]
pub(super) struct Traffic {
    /// Of each pass the images or gradients at once, and how often it runs for one run of all.
    pub(super) passes: Vec<Batch>,
    /// How often all the passes run.
    pub(super) runs: usize,
    /// Bytes of a value and of a filter's weight.
    pub(super) value_bytes: u64,
}

impl Traffic {
    fn new(request: &Request, id: NodeId) -> Self {
        let mut passes = vec![];
        for pass in &request.passes {
            let batch = |way, images| Batch {
                way,
                images,
                times: pass.times,
            };
            if id > pass.from {
                passes.push(batch(Direction::Forward, pass.images));
            }
            let backs = pass.backs.iter().filter(|back| id > back.to);
            passes.extend(backs.map(|back| batch(Direction::Backward, pass.gradients(back))));
        }
        Self {
            passes,
            runs: request.runs.max(1),
            value_bytes: request.dtype.bytes(),
        }
    }

    /// Images and gradients in all.
    pub(super) fn images(&self) -> usize {
        let passes = self.passes.iter();
        let images = passes.map(|batch| batch.images.saturating_mul(batch.times));
        let images = images.fold(0, usize::saturating_add);
        images.saturating_mul(self.runs)
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(network: &'a Network, request: &'a Request, limits: Limits<'a>) -> Self {
        let mut buffers = Buffers::default();
        let nothing = buffers.scratch("nothing".into(), 16);
        Self {
            network,
            request,
            limits,
            buffers,
            dispatches: Dispatches::default(),
            pass: Pass::default(),
            picture: OfNodes::new(),
            nothing,
        }
    }

    /// What goes through a node.
    pub(super) fn traffic(&self, id: NodeId) -> Traffic {
        Traffic::new(self.request, id)
    }

    /// Records a dispatch of the preparation.
    pub(super) fn prepare<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        params: &P,
        buffers: Vec<BufferId>,
        workgroups: [u32; 3],
    ) {
        let dispatch = dispatches::dispatch(kernel, label, params, buffers, workgroups, 0);
        self.dispatches.preparation.push(dispatch);
    }

    /// Records a dispatch of the phase.
    pub(super) fn dispatch<P: bytemuck::Pod>(
        &mut self,
        kernel: Kernel,
        label: &str,
        params: &P,
        buffers: Vec<BufferId>,
        workgroups: [u32; 3],
        multiply_adds: u64,
    ) {
        let at = self.dispatches.next();
        for &buffer in &buffers {
            self.buffers.touch(buffer, at);
        }
        let dispatch =
            dispatches::dispatch(kernel, label, params, buffers, workgroups, multiply_adds);
        self.dispatches.push(dispatch);
    }

    /// Puts a copy before the dispatch recorded last, if there is one.
    pub(super) fn copy_before_last(&mut self, copy: Option<CopyToImage>) {
        self.copy_before(1, copy);
    }

    /// Puts a copy before the first of the `last` dispatches recorded, if there is one.
    pub(super) fn copy_before(&mut self, last: usize, copy: Option<CopyToImage>) {
        let Some(copy) = copy else { return };
        let (at, dispatch) = self.dispatches.nth_last(last);
        dispatch.copies.push(copy);
        dispatch.image_texels += copy.texels;
        self.buffers.touch(copy.from, at);
    }

    /// The image through which the next dispatch reads so many texels of a buffer, and what is to be copied to it before. What a later
    /// layer reads too is kept until another such value comes.
    pub(super) fn through_image(
        &mut self,
        from: BufferId,
        texels: usize,
    ) -> (BufferId, Option<CopyToImage>) {
        let image_use = match self.pass.read_again.contains(&from) {
            true => ImageUse::Kept,
            false => ImageUse::Input,
        };
        self.in_image(image_use, from, texels)
    }

    /// The same for what that dispatch adds, which needs another image than `input`, through which it reads `x`.
    pub(super) fn added_through_image(
        &mut self,
        from: BufferId,
        texels: usize,
        (x, input): (BufferId, BufferId),
    ) -> (BufferId, Option<CopyToImage>) {
        if from == x {
            return (input, None);
        }
        let is_kept = self.buffers.images.get(&ImageUse::Kept) == Some(&input);
        let image_use = match is_kept {
            true => ImageUse::Input,
            false => ImageUse::Kept,
        };
        self.in_image(image_use, from, texels)
    }

    /// The image through which products read transformed tiles, and their copy to it.
    pub(super) fn tiles_through_image(
        &mut self,
        from: BufferId,
        texels: usize,
    ) -> (BufferId, CopyToImage) {
        let to = self.buffers.image(ImageUse::Tiles, texels);
        (to, CopyToImage { from, to, texels })
    }

    /// The image that is kept where it holds a buffer's values already, else that for `image_use` and their copy to it.
    fn in_image(
        &mut self,
        image_use: ImageUse,
        from: BufferId,
        texels: usize,
    ) -> (BufferId, Option<CopyToImage>) {
        if self.pass.kept == Some(from) {
            return (self.buffers.image(ImageUse::Kept, texels), None);
        }
        let to = self.buffers.image(image_use, texels);
        if image_use == ImageUse::Kept {
            self.pass.kept = Some(from);
        }
        (to, Some(CopyToImage { from, to, texels }))
    }

    /// Gives the dispatch recorded last the part of a list that it takes.
    pub(super) fn list_last(&mut self, listed: Option<TileListPart>) {
        let (_, dispatch) = self.dispatches.nth_last(1);
        dispatch.listed = listed;
    }

    /// Has a buffer live from the beginning of the phase on, when the host writes it.
    pub(super) fn written_before_phase(&mut self, buffer: BufferId) {
        self.buffers.touch(buffer, self.dispatches.begin());
    }

    /// Keeps buffers that the host reads after the phase.
    pub(super) fn hold_to_end_of_phase(&mut self, buffers: &[BufferId]) {
        let end = self.dispatches.last();
        for &buffer in buffers {
            self.buffers.touch(buffer, end);
        }
    }

    /// Closes a phase. What it read from earlier phases lives to its end, since it may run again. Another may write over what it
    /// left in images.
    pub(super) fn end_phase(&mut self) -> Vec<Dispatch> {
        self.pass.kept = None;
        self.pass.read_again.clear();
        let (first, last) = (self.dispatches.begin(), self.dispatches.last());
        self.buffers.hold_what_is_read(first, last);
        self.dispatches.end_phase()
    }
}
