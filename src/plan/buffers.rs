//! The buffers of a plan under construction: what each holds, and when it is in use.

use std::collections::BTreeMap;

use super::slots::{self, Life};
use super::{Buffer, BufferId, Contents, ImageUse, Limits, Packing, PlanError, Sums, Upload};
use crate::kernels::IMAGE_ROW;
use crate::layout::padded_bytes;
use crate::network::Shape;
use crate::weights::Tensor;

/// Rows of an image that holds a row of zeros and `texels` after it.
pub(super) fn image_rows(texels: usize) -> usize {
    1 + texels.div_ceil(IMAGE_ROW)
}

/// The buffers so far.
#[derive(Default)]
pub(super) struct Buffers {
    pub(super) drafts: Vec<Draft>,
    /// The images that layers use one after the other.
    pub(super) images: BTreeMap<ImageUse, BufferId>,
}

/// A buffer, whose slot is chosen at the end where it needs one.
pub(super) struct Draft {
    pub(super) buffer: Buffer,
    /// Whether it may be stored in float16.
    pub(super) can_be_half: bool,
    /// First and last dispatch that use it, counted over all phases.
    life: Option<Life>,
}

impl Buffers {
    fn add(&mut self, name: String, bytes: u64, contents: Contents) -> BufferId {
        self.drafts.push(Draft {
            buffer: Buffer {
                name,
                bytes,
                half: false,
                contents,
            },
            can_be_half: false,
            life: None,
        });
        BufferId(self.drafts.len() - 1)
    }

    /// The buffer that holds the same already.
    fn found(&self, same: impl Fn(&Buffer) -> bool) -> Option<BufferId> {
        let found = self.drafts.iter().position(|draft| same(&draft.buffer));
        found.map(BufferId)
    }

    /// Memory that dispatches or the host write.
    pub(super) fn scratch(&mut self, name: String, bytes: u64) -> BufferId {
        self.add(name, bytes, Contents::Scratch { slot: 0 })
    }

    /// Part of a scratch buffer or of a part of one, from byte `offset` on.
    pub(super) fn part(&mut self, name: &str, of: BufferId, offset: u64, bytes: u64) -> BufferId {
        let contents = match self.drafts[of.0].buffer.contents {
            Contents::Part { of, offset: before } => Contents::Part {
                of,
                offset: before + offset,
            },
            _ => Contents::Part { of, offset },
        };
        self.add(name.into(), bytes, contents)
    }

    /// The same for `n` tensors of `shape`, values or gradients of a layer.
    pub(super) fn tensor(&mut self, name: &str, n: usize, shape: Shape) -> BufferId {
        let tensor = self.scratch(name.into(), padded_bytes(n, shape));
        self.drafts[tensor.0].can_be_half = true;
        tensor
    }

    /// A weight buffer of so many float32; the same tensor in the same packing is uploaded once.
    pub(super) fn weights(
        &mut self,
        name: String,
        values: usize,
        tensor: &Tensor,
        packing: Packing,
    ) -> BufferId {
        let same = |buffer: &Buffer| match &buffer.contents {
            Contents::Weights(upload) => buffer.name == name && upload.packing == packing,
            _ => false,
        };
        if let Some(found) = self.found(same) {
            return found;
        }
        let upload = Upload {
            tensor: tensor.clone(),
            packing,
        };
        let can_be_half = upload.packing.is_filters();
        let weights = self.add(name, values as u64 * 4, Contents::Weights(upload));
        self.drafts[weights.0].can_be_half = can_be_half;
        weights
    }

    /// What the preparation makes of a weight tensor, so many vec4, and whether it is new. What has another size is made in another
    /// way: filters for tiles of one size and of another, where the ways of a layer differ in that. `can_be_half` where float16
    /// is exact enough for it.
    pub(super) fn prepared(
        &mut self,
        name: &str,
        elements: usize,
        can_be_half: bool,
    ) -> (BufferId, bool) {
        let bytes = elements as u64 * 16;
        let same = |buffer: &Buffer| {
            matches!(buffer.contents, Contents::Prepared)
                && (buffer.name.as_str(), buffer.bytes) == (name, bytes)
        };
        if let Some(found) = self.found(same) {
            return (found, false);
        }
        let made = self.add(name.into(), bytes, Contents::Prepared);
        self.drafts[made.0].can_be_half = can_be_half;
        (made, true)
    }

    /// What the host makes of a matrix, once.
    pub(super) fn sums(&mut self, name: &str, sums: Sums) -> BufferId {
        let same =
            |buffer: &Buffer| matches!(buffer.contents, Contents::Sums(_)) && buffer.name == name;
        if let Some(found) = self.found(same) {
            return found;
        }
        let [rows, columns] = sums.size;
        self.add(
            name.into(),
            rows as u64 * columns as u64 * 4,
            Contents::Sums(sums),
        )
    }

    /// Weights for the preparation alone, so many vec4.
    pub(super) fn source(
        &mut self,
        name: String,
        elements: usize,
        tensor: &Tensor,
        packing: Packing,
    ) -> BufferId {
        let upload = Upload {
            tensor: tensor.clone(),
            packing,
        };
        self.add(name, elements as u64 * 16, Contents::Source(upload))
    }

    /// The image that layers use for one thing after the other, with room for `texels` beside its row of zeros.
    pub(super) fn image(&mut self, image_use: ImageUse, texels: usize) -> BufferId {
        let bytes = (image_rows(texels) * IMAGE_ROW) as u64 * 16;
        let id = if let Some(&id) = self.images.get(&image_use) {
            id
        } else {
            let name = match image_use {
                ImageUse::Input => "image",
                ImageUse::Kept => "image kept",
                ImageUse::Tiles => "tiles",
            };
            let id = self.add(name.into(), 0, Contents::Image);
            self.images.insert(image_use, id);
            id
        };
        let buffer = &mut self.drafts[id.0].buffer;
        buffer.bytes = buffer.bytes.max(bytes);
        id
    }

    /// An image of float16, whose size is not known yet.
    pub(super) fn half_image(&mut self) -> BufferId {
        let id = self.add("image of halves".into(), 0, Contents::Image);
        self.drafts[id.0].buffer.half = true;
        id
    }

    /// The dispatch at `at` uses a buffer.
    pub(super) fn touch(&mut self, buffer: BufferId, at: usize) {
        let buffer = match self.drafts[buffer.0].buffer.contents {
            Contents::Part { of, .. } => of,
            _ => buffer,
        };
        let life = &mut self.drafts[buffer.0].life;
        *life = Some(life.map_or(
            Life {
                first: at,
                last: at,
            },
            |life| life.extended(at),
        ));
    }

    /// What a phase from dispatch `first` to `last` reads of earlier ones lives to its end, since it may run again.
    pub(super) fn hold_what_is_read(&mut self, first: usize, last: usize) {
        for draft in &mut self.drafts {
            if let Some(life) = &mut draft.life
                && life.first < first
                && life.last >= first
            {
                life.last = last;
            }
        }
    }

    /// Whether each fits an adapter of `limits`.
    pub(super) fn check(&self, limits: Limits<'_>) -> Result<(), PlanError> {
        for Draft { buffer, .. } in &self.drafts {
            // What goes into images was measured against their limit when the kernel was chosen.
            if buffer.is_image() || buffer.bytes <= limits.tensor() {
                continue;
            }
            return Err(PlanError::TooLarge {
                name: buffer.name.clone(),
                needs: buffer.bytes,
                has: limits.tensor(),
                advice: match buffer.contents {
                    Contents::Weights(_)
                    | Contents::Source(_)
                    | Contents::Prepared
                    | Contents::Sums(_) => "choose another with --adapter",
                    Contents::Scratch { .. } | Contents::Part { .. } | Contents::Image => {
                        "use smaller pictures or fewer classes, or choose another with --adapter"
                    }
                },
            });
        }
        Ok(())
    }

    /// The buffers, those that are never in use at once in slots that they share, and the sizes of the slots.
    pub(super) fn in_slots(self) -> (Vec<Buffer>, Vec<u64>) {
        let scratch = self.drafts.iter().map(|draft| match draft.buffer.contents {
            Contents::Scratch { .. } => Some((draft.buffer.bytes, draft.life?)),
            _ => None,
        });
        let (assigned, slots) = slots::assign(&scratch.collect::<Vec<_>>());
        let buffers = self.drafts.into_iter().zip(assigned);
        let buffers = buffers.map(|(Draft { mut buffer, .. }, assigned)| {
            if let Contents::Scratch { slot } = &mut buffer.contents {
                *slot = assigned;
            }
            buffer
        });
        (buffers.collect(), slots)
    }
}
