//! A plan whose values, gradients and filters are float16, made of the same plan in float32 before its memory is shared out.
//!
//! Float32 stay: what the host writes or reads (pictures, logits, what is kept, the gradients at both ends), so that it is as
//! exact as the arithmetic that makes it; biases and other vectors; sums that another kernel adds up; what an LRN divides by; words
//! and places of maxima; and what a kernel stores one value after the other. Of Winograd's algorithm, whose arithmetic is float32 as
//! all other, the transformed tiles and their products stay too: they are differences of values and sums of many, larger than what
//! they are made of, and F(4x4) multiplies the rounding of each several times. Its filters stay for that reason; those of F(2x2) lose
//! no more than the filters themselves.

use std::collections::BTreeSet;

use super::buffers::{Buffers, image_rows};
use super::dispatches::{phases, phases_mut};
use super::{BufferId, Contents, Dispatch, Forward, ImageUse};
use crate::kernels::{Access, IMAGE_ROW};

impl Buffers {
    /// Has all that may be float16 be so, in a plan of these passes.
    pub(super) fn halve(&mut self, passes: &mut [Forward], preparation: &mut [Dispatch]) {
        let full = self.stay_full(passes, preparation);
        for at in 0..self.drafts.len() {
            let half = match &self.drafts[at].buffer.contents {
                Contents::Part { of, .. } => self.drafts[of.0].buffer.half,
                _ => self.drafts[at].can_be_half && !full.contains(&BufferId(at)),
            };
            let buffer = &mut self.drafts[at].buffer;
            if half {
                buffer.half = true;
                buffer.bytes /= 2;
                if let Contents::Part { offset, .. } = &mut buffer.contents {
                    *offset /= 2;
                }
            }
        }
        self.part_images(passes, ImageUse::Input);
        self.part_images(passes, ImageUse::Kept);
    }

    /// The buffers that the host writes or reads, and those that are stored one value after the other. Of a part, the whole.
    fn stay_full(&self, passes: &[Forward], preparation: &[Dispatch]) -> BTreeSet<BufferId> {
        let mut full = vec![];
        for pass in passes {
            full.extend([pass.input, pass.logits]);
            full.extend(&pass.kept);
            full.extend(pass.base.iter().map(|base| base.input));
            for back in &pass.backs {
                full.extend([back.seed, back.gradient]);
                full.extend(&back.kept);
            }
        }
        for dispatch in phases(passes).flatten().chain(preparation) {
            let bound = dispatch.buffers.iter().zip(dispatch.kernel.info().bindings);
            let singly = bound.filter(|(_, access)| **access == Access::WriteSingly);
            full.extend(singly.map(|(id, _)| *id));
        }
        let whole = |id: BufferId| match self.drafts[id.0].buffer.contents {
            Contents::Part { of, .. } => of,
            _ => id,
        };
        full.into_iter().map(whole).collect()
    }

    /// Has layers whose input is float16 read it through an image of float16, beside the one of float32 for `image_use`.
    fn part_images(&mut self, passes: &mut [Forward], image_use: ImageUse) {
        let Some(&image) = self.images.get(&image_use) else {
            return;
        };
        let half_image = self.half_image();
        let mut most = [0; 2];
        for phase in phases_mut(passes) {
            // A dispatch without a copy reads what the one before it read.
            let mut is_half = false;
            for dispatch in phase {
                let copies = dispatch.copies.iter_mut();
                for copy in copies.filter(|copy| copy.to == image) {
                    is_half = self.drafts[copy.from.0].buffer.half;
                    let most = &mut most[usize::from(is_half)];
                    *most = copy.texels.max(*most);
                    if is_half {
                        copy.to = half_image;
                        dispatch.image_texels -= copy.texels / 2;
                    }
                }
                let read = dispatch.buffers.iter_mut().filter(|id| **id == image);
                for id in read.filter(|_| is_half) {
                    *id = half_image;
                }
            }
        }
        for (id, texels, texel) in [(image, most[0], 16), (half_image, most[1], 8)] {
            let texels = image_rows(texels) * IMAGE_ROW;
            self.drafts[id.0].buffer.bytes = texels as u64 * texel;
        }
    }
}
