//! How much memory of the device a plan takes.

use super::{BufferId, Contents, Dispatch, Plan};
use crate::kernels::MATRIX_IMAGE;

/// The most bytes of a chunk of memory that weights are uploaded through, two in turn: an image of a matrix at once, as wgpu clears
/// what is written in parts.
pub(crate) const STAGED: usize = MATRIX_IMAGE;
/// Tensors and rows of images begin at multiples of this in a chunk; a dispatch's uniforms do so at most.
const ALIGNED: u64 = 256;

impl Plan {
    /// Bytes of device memory at its most: weights with what is prepared of them, and what the rest shares.
    pub fn bytes(&self) -> (u64, u64) {
        // As they are allocated.
        let whole = |bytes: u64| bytes.next_multiple_of(16);
        let mut weights = 0;
        let mut shared = self.slots.iter().map(|&bytes| whole(bytes)).sum();
        for buffer in &self.buffers {
            match buffer.contents {
                Contents::Weights(_)
                | Contents::Source(_)
                | Contents::Prepared
                | Contents::Sums(_) => {
                    weights += whole(buffer.bytes);
                }
                Contents::Image => shared += buffer.bytes,
                Contents::Scratch { .. } | Contents::Part { .. } => {}
            }
        }
        (weights, shared)
    }

    /// The same as one number, with what goes there and back through memory of its own: while the weights are uploaded, or while
    /// the phase runs that is given the most and read the most of. What wgpu adds for itself is not in it, and where the host
    /// has memory of its own what goes through it may lie there.
    pub fn peak_bytes(&self) -> u64 {
        let (weights, shared) = self.bytes();
        let uploading = weights + shared + self.staged();
        // The uniforms are there, and on their way there until the first phase was waited for.
        let running = weights - self.sources() + shared + 2 * self.uniforms() + self.exchanged();
        let running = running + self.overflow_words();
        uploading.max(running)
    }

    /// What weights are uploaded through.
    fn staged(&self) -> u64 {
        match self.to_stage() {
            bytes if bytes > STAGED as u64 => 2 * STAGED as u64,
            _ => self.staging_chunk(),
        }
    }

    /// Bytes of a chunk that weights are uploaded through. One holds all of a small network's: wgpu clears every chunk.
    pub(crate) fn staging_chunk(&self) -> u64 {
        self.to_stage().clamp(ALIGNED, STAGED as u64)
    }

    /// Bytes that are uploaded before the first phase, as they lie in a chunk.
    fn to_stage(&self) -> u64 {
        let mut bytes = 0;
        for buffer in &self.buffers {
            if let Contents::Weights(_) | Contents::Source(_) | Contents::Sums(_) = buffer.contents
            {
                let texel = if buffer.half { 8 } else { 16 };
                let row = buffer
                    .image_columns()
                    .map_or(buffer.bytes, |columns| columns as u64 * texel);
                bytes += buffer.bytes / row * row.next_multiple_of(ALIGNED);
            }
        }
        bytes
    }

    /// What is gone once the preparation is done.
    fn sources(&self) -> u64 {
        let sources = self.buffers.iter();
        let sources = sources.filter(|buffer| matches!(buffer.contents, Contents::Source(_)));
        sources
            .map(|buffer| buffer.bytes.next_multiple_of(16))
            .sum()
    }

    fn uniforms(&self) -> u64 {
        let of = |dispatch: &Dispatch| (dispatch.params.len() as u64).next_multiple_of(ALIGNED);
        let phase = |phase: &[Dispatch]| phase.iter().map(of).sum::<u64>().max(ALIGNED);
        self.phases().map(phase).sum()
    }

    /// The words in which kernels tell of values that are too large for float16, and those of a phase once more as they are read.
    fn overflow_words(&self) -> u64 {
        if !self.has_halves() {
            return 0;
        }
        let phases = self.phases().map(|phase| phase.len() as u64 * ALIGNED);
        let phases: Vec<u64> = phases.collect();
        phases.iter().sum::<u64>() + phases.iter().max().copied().unwrap_or(0)
    }

    /// What a phase is given all at once, and the largest that the host reads back of it, of the phase where that is most.
    fn exchanged(&self) -> u64 {
        let bytes = |id: &BufferId| self.buffer(*id).bytes;
        let phase = |given: &[BufferId], read: &[BufferId]| {
            given.iter().map(bytes).sum::<u64>() + read.iter().map(bytes).max().unwrap_or(0)
        };
        let passes = self.passes.iter().flat_map(|pass| {
            let mut given = vec![pass.input];
            if let Some(base) = &pass.base {
                given.push(base.input);
                given.extend(base.layers.iter().flat_map(|l| [l.computed, l.copied]));
            }
            let backs = pass.backs.iter().map(|back| {
                let read = [&[back.gradient], &back.kept[..]].concat();
                phase(&[back.seed], &read)
            });
            let there = phase(&given, &[&[pass.logits], &pass.kept[..]].concat());
            backs.chain([there])
        });
        passes.max().unwrap_or(0)
    }
}
