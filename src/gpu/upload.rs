//! Weights from their file to the device, in slices: no second copy of a large file stays in memory.
//!
//! A slice goes from the mapped file through [`Staging`], which gives its memory back before the first picture: VGG16.npy
//! (553 MB) on the software adapter peaks in the forward pass, where of the file nothing is resident, nor of the staging.
//! Buffers mapped where they lie (`MAPPABLE_PRIMARY_BUFFERS`) would do without, but matrices lie in images on that adapter,
//! which cannot be mapped, and what reading such memory costs a GPU that shares the host's nobody has measured.

use std::ops::Range;
use std::time::{Duration, Instant};

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use super::memory::Memory;
use super::staging::Staging;
use super::{Gpu, GpuError};
use crate::kernels::{IMAGE_ROW, WINOGRAD_POSITIONS};
use crate::layout::{
    blocks, pack_blocks, pack_depths, pack_depthwise, pack_filters, pack_texels, transform_filters,
    winograd_block, winograd_blocks, zeros,
};
use crate::network::{FilterLayout, filter_axes};
use crate::plan::{BufferId, Contents, Packing, Plan, STAGED, StoredDtype, Sums, Upload};
use crate::weights::Tensor;

/// The smallest number that float16 rounds to infinity.
const HALF_OVERFLOWS: f32 = 65520.0;

/// Uploads every weight buffer of the plan, and the sums of matrices; `memory` is the buffers' memory. Returns the time that
/// reading and packing took of it.
pub(super) fn weights(gpu: &Gpu, plan: &Plan, memory: &[Memory]) -> Result<Duration, GpuError> {
    let started = Instant::now();
    let mut handing_over = Duration::ZERO;
    let mut staging = Staging::new(gpu, plan.staging_chunk());
    let mut hand_over = |at: usize, offset: usize, bytes: &[u8]| {
        let started = Instant::now();
        let doing = || format!("uploading {}", plan.buffers[at].name);
        staging.write(&memory[at], offset, bytes, doing)?;
        handing_over += started.elapsed();
        Ok(())
    };
    let mut scratch = Scratch::default();
    let mut sums: Vec<_> = (0..plan.buffers.len())
        .filter_map(|at| Summing::new(plan, at))
        .collect();
    for (at, buffer) in plan.buffers.iter().enumerate() {
        let (Contents::Weights(upload) | Contents::Source(upload)) = &buffer.contents else {
            continue;
        };
        let of_this = |summing: &&mut Summing<'_>| summing.sums.of.contains(&BufferId(at));
        let mut summing: Vec<_> = sums.iter_mut().filter(of_this).collect();
        let mut write = |offset: usize, bytes: &[u8]| hand_over(at, offset, bytes);
        if buffer.half {
            send_half(upload, &buffer.name, &mut scratch, &mut write)?;
        } else {
            send(upload, &buffer.name, &mut scratch, &mut summing, &mut write)?;
        }
    }
    for summing in sums {
        hand_over(summing.at, 0, bytemuck::cast_slice(&summing.scaled()))?;
    }
    let packing = started.elapsed().saturating_sub(handing_over);
    staging.finish(|| "uploading the weights".into())?;
    Ok(packing)
}

/// Memory that the banks of filters use one after the other: to make its pages anew for each would take longer than to fill them.
#[derive(Default)]
struct Scratch {
    values: Vec<f32>,
    packed: Vec<f32>,
}

/// A matrix's sums while its parts go by.
struct Summing<'a> {
    sums: &'a Sums,
    /// Index of their buffer.
    at: usize,
    so_far: Vec<f32>,
}

impl<'a> Summing<'a> {
    /// Of the plan's buffer `at`, if it holds sums.
    fn new(plan: &'a Plan, at: usize) -> Option<Self> {
        let Contents::Sums(sums) = &plan.buffers[at].contents else {
            return None;
        };
        let so_far = vec![0.0; sums.size.iter().product()];
        Some(Self { sums, at, so_far })
    }

    /// Adds a row of the matrix.
    fn add(&mut self, row: usize, values: &[f32]) {
        let width = self.sums.size[1];
        self.sums.sums.add(&mut self.so_far, width, row, values);
    }

    fn scaled(mut self) -> Vec<f32> {
        self.so_far
            .iter_mut()
            .for_each(|sum| *sum *= self.sums.scale);
        self.so_far
    }
}

/// Converts one tensor to its packing and passes its bytes to `write`, each with its offset, and its rows as they are stored to
/// `summing`.
fn send(
    upload: &Upload,
    name: &str,
    scratch: &mut Scratch,
    summing: &mut [&mut Summing<'_>],
    write: &mut impl FnMut(usize, &[u8]) -> Result<(), GpuError>,
) -> Result<(), GpuError> {
    let Upload { tensor, packing } = upload;
    let Scratch { values, packed } = scratch;
    match packing {
        Packing::Vector => {
            let mut values = tensor.to_vec();
            check_finite(name, 0, values.iter().copied())?;
            values.resize(blocks(values.len()) * 4, 0.0);
            write(0, bytemuck::cast_slice(&values))
        }
        Packing::VectorTexels => {
            let mut values = tensor.to_vec();
            check_finite(name, 0, values.iter().copied())?;
            values.resize(values.len().next_multiple_of(IMAGE_ROW * 4), 0.0);
            write(0, bytemuck::cast_slice(&values))
        }
        Packing::Filters(layout, groups, direction) => {
            let shape = filters(tensor, name, values)?;
            pack_filters(values, shape, *layout, *groups, *direction, packed);
            write(0, bytemuck::cast_slice(packed))
        }
        Packing::Depthwise(layout, direction) => {
            let shape = filters(tensor, name, values)?;
            pack_depthwise(values, shape, *layout, *direction, packed);
            write(0, bytemuck::cast_slice(packed))
        }
        Packing::DepthwiseTexels(layout, direction) => {
            let shape = filters(tensor, name, values)?;
            pack_depthwise(values, shape, *layout, *direction, packed);
            write(0, bytemuck::cast_slice(whole_rows(packed)))
        }
        Packing::Depths(layout, direction) => {
            let shape = filters(tensor, name, values)?;
            pack_depths(values, shape, *layout, *direction, packed);
            write(0, bytemuck::cast_slice(packed))
        }
        Packing::Texels(layout, direction) => {
            let shape = filters(tensor, name, values)?;
            pack_texels(values, shape, *layout, *direction, packed);
            write(0, bytemuck::cast_slice(whole_rows(packed)))
        }
        Packing::TexelBlocks(layout, direction) => {
            let shape = filters(tensor, name, values)?;
            pack_blocks(values, shape, *layout, *direction, packed);
            write(0, bytemuck::cast_slice(whole_rows(packed)))
        }
        Packing::Winograd(layout) => send_transformed(tensor, name, *layout, scratch, write),
        Packing::Rows(rows, StoredDtype::F32) | Packing::TexelRows(rows, StoredDtype::F32) => {
            let as_they_are = |values: &mut [f32], packed: &mut Vec<f32>| {
                packed.extend_from_slice(values);
                Ok(())
            };
            send_rows(tensor, name, rows, 4, as_they_are, summing, write)
        }
        Packing::Rows(rows, StoredDtype::F16) | Packing::TexelRows(rows, StoredDtype::F16) => {
            let summed = !summing.is_empty();
            let halved = |values: &mut [f32], packed: &mut Vec<u16>| {
                let first = packed.len();
                to_halves(name, values, packed)?;
                if summed {
                    let halves: &[f16] = packed[first..].reinterpret_cast();
                    halves.convert_to_f32_slice(values);
                }
                Ok(())
            };
            send_rows(tensor, name, rows, 8, halved, summing, write)
        }
    }
}

/// [`send`] of filters that are stored in float16.
fn send_half(
    upload: &Upload,
    name: &str,
    scratch: &mut Scratch,
    write: &mut impl FnMut(usize, &[u8]) -> Result<(), GpuError>,
) -> Result<(), GpuError> {
    let mut halves = vec![];
    send(upload, name, scratch, &mut [], &mut |offset, bytes| {
        let values: &[f32] = bytemuck::cast_slice(bytes);
        halves.clear();
        to_halves(name, values, &mut halves)?;
        write(offset / 2, bytemuck::cast_slice(&halves))
    })
}

/// Adds values to those in float16.
fn to_halves(name: &str, values: &[f32], halves: &mut Vec<u16>) -> Result<(), GpuError> {
    if let Some(&value) = values.iter().find(|value| value.abs() >= HALF_OVERFLOWS) {
        let tensor = name.into();
        return Err(GpuError::NotHalf { tensor, value });
    }
    let first = halves.len();
    halves.resize(first + values.len(), 0);
    let added: &mut [f16] = halves[first..].reinterpret_cast_mut();
    added.convert_from_f32_slice(values);
    Ok(())
}

/// Winograd's transform of filters: as few outputs at a time as make whole rows of the image at each position, so that what is
/// transformed is still in the caches when it is written; all at once where none make them.
///
/// On this adapter the device is the host, and the thread that copies is not this one: a kernel that did this once all was
/// uploaded made the start longer.
fn send_transformed(
    tensor: &Tensor,
    name: &str,
    layout: FilterLayout,
    scratch: &mut Scratch,
    write: &mut impl FnMut(usize, &[u8]) -> Result<(), GpuError>,
) -> Result<(), GpuError> {
    let Scratch { values, packed } = scratch;
    let shape = filters(tensor, name, values)?;
    let (outputs, inputs, _) = filter_axes(&shape, layout).expect("the network checked it");
    let (out_blocks, block) = (winograd_blocks(outputs), winograd_block(inputs));
    let plane = out_blocks * block;
    let makes_rows = |&together: &usize| {
        (together * block).is_multiple_of(IMAGE_ROW * 4) && out_blocks.is_multiple_of(together)
    };
    let Some(together) = (1..=out_blocks).find(makes_rows) else {
        zeros(packed, WINOGRAD_POSITIONS * plane);
        transform_filters(values, shape, layout, 0..out_blocks, (packed, plane));
        return write(0, bytemuck::cast_slice(whole_rows(packed)));
    };
    let piece = together * block;
    // A line of the cache apart: what is a power of two apart meets in the same few lines.
    let stride = piece + 16;
    zeros(packed, WINOGRAD_POSITIONS * stride);
    for first in (0..out_blocks).step_by(together) {
        let blocks = first..first + together;
        transform_filters(values, shape, layout, blocks, (packed, stride));
        for (position, values) in packed.chunks_exact(stride).enumerate() {
            let at = position * plane + first * block;
            write(at * 4, bytemuck::cast_slice(&values[..piece]))?;
        }
    }
    Ok(())
}

/// Rows of a matrix, converted by `convert`, `unit` columns to an element of the device's; `convert` leaves the values as they
/// are stored.
fn send_rows<T: bytemuck::Pod>(
    tensor: &Tensor,
    name: &str,
    rows: &Range<usize>,
    unit: usize,
    convert: impl Fn(&mut [f32], &mut Vec<T>) -> Result<(), GpuError>,
    summing: &mut [&mut Summing<'_>],
    write: &mut impl FnMut(usize, &[u8]) -> Result<(), GpuError>,
) -> Result<(), GpuError> {
    let columns = tensor.shape()[1];
    let padded = columns.next_multiple_of(unit);
    let rows_at_once = (STAGED / (padded * size_of::<T>()) / 4 * 4).max(4);
    let mut values = vec![];
    let mut packed = vec![];
    for first in rows.clone().step_by(rows_at_once) {
        let last = rows.end.min(first + rows_at_once);
        let (start, len) = (first * columns, (last - first) * columns);
        let offset = (first - rows.start) * padded * size_of::<T>();
        // Four float32 rows of whole vec4 at a time go from the mapped file to the queue as they are.
        let whole = unit == 4 && columns == padded && (last - first).is_multiple_of(4);
        let as_they_are = tensor.f32_bytes().filter(|_| whole);
        if let Some(file) = as_they_are {
            let bytes = &file[start * 4..(start + len) * 4];
            let read = |word: &[u8]| f32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            check_finite(name, start, bytes.chunks_exact(4).map(read))?;
            if !summing.is_empty() {
                for (row, bytes) in (first..).zip(bytes.chunks_exact(columns * 4)) {
                    values.clear();
                    values.extend(bytes.chunks_exact(4).map(read));
                    for sums in &mut *summing {
                        sums.add(row, &values);
                    }
                }
            }
            write(offset, bytes)?;
        } else {
            values.resize(len, 0.0);
            tensor.read(start, &mut values);
            check_finite(name, start, values.iter().copied())?;
            packed.clear();
            for (at, row) in (first..).zip(values.chunks_exact_mut(columns)) {
                convert(row, &mut packed)?;
                for sums in &mut *summing {
                    sums.add(at, row);
                }
                packed.resize(packed.len().next_multiple_of(padded), T::zeroed());
            }
            packed.resize(packed.len().next_multiple_of(padded * 4), T::zeroed());
            write(offset, bytemuck::cast_slice(&packed))?;
        }
        tensor.release(start, len);
    }
    Ok(())
}

/// The four axes of a filter bank, and its values in place of those that are there.
fn filters(tensor: &Tensor, name: &str, values: &mut Vec<f32>) -> Result<[usize; 4], GpuError> {
    let shape = *<&[usize; 4]>::try_from(tensor.shape()).expect("the network checked it");
    values.resize(tensor.len(), 0.0);
    tensor.read(0, values);
    tensor.release(0, values.len());
    check_finite(name, 0, values.iter().copied())?;
    Ok(shape)
}

/// Filled up with zeros to whole rows of an image.
fn whole_rows(packed: &mut Vec<f32>) -> &[f32] {
    packed.resize(packed.len().next_multiple_of(IMAGE_ROW * 4), 0.0);
    packed
}

/// The first value that is not finite, as an error; `start` is the first value's index in the tensor.
fn check_finite(
    name: &str,
    start: usize,
    values: impl Iterator<Item = f32> + Clone,
) -> Result<(), GpuError> {
    // One pass without a branch, which the compiler turns into vectors: an exponent of all ones is NaN or infinity.
    const EXPONENT: u32 = 0x7f80_0000;
    let damaged = values.clone().fold(false, |any, value| {
        any | (value.to_bits() & EXPONENT == EXPONENT)
    });
    if !damaged {
        return Ok(());
    }
    let found = values.enumerate().find(|(_, value)| !value.is_finite());
    found.map_or(Ok(()), |(at, value)| {
        Err(GpuError::NotFinite {
            tensor: name.into(),
            at: start + at,
            value,
        })
    })
}
