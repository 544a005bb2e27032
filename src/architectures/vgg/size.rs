//! The size of a VGG's pictures, as far as its first dense layer tells it.

use super::{VGG, Vgg, length};
use crate::architectures::{ADVICE, ArchitectureError};
use crate::network::MAX_SIDE;

/// What five pools shrink a picture by, along each side.
pub(super) const STRIDE: usize = 32;
/// Bins along each side that torchvision averages the last map to: at 224 pixels the map has as many positions.
pub(super) const BINS: usize = 7;
/// Pictures of a network that takes any size, where nothing else is said.
const USUAL_SIZE: usize = 224;
/// Pictures of CIFAR-10 and CIFAR-100, and how many classes they have.
const CIFAR_SIZE: usize = 32;
const CIFAR_CLASSES: [usize; 2] = [10, 100];

const LAST_POOL: &str =
    "a pool is taken to follow the last convolution, as it does in the published networks";

/// How a picture comes to the first dense layer.
pub(super) struct Size {
    /// Pixels along each side of a picture.
    pub(super) pixels: usize,
    /// Positions along each side that the first dense layer reads; one where it reads a mean.
    pub(super) side: usize,
    /// Blocks that end with a pool.
    pub(super) pools: usize,
}

/// As asked for, or as the head wants it; with what was taken for granted.
pub(super) fn choose(
    vgg: &Vgg,
    asked: Option<usize>,
) -> Result<(Size, Option<String>), ArchitectureError> {
    let side = side(vgg)?;
    let blocks = vgg.blocks.len();
    // Names tell a pool after each block but the last: only the paper's own networks are known to end with one.
    let all = HeadFit::new(vgg, side, blocks);
    let open = HeadFit::new(vgg, side, blocks - 1);
    let known = VGG
        .iter()
        .any(|(_, known)| vgg.blocks.iter().map(Vec::len).eq(*known));
    if let Some(asked) = asked {
        let fits = if known { &[&all][..] } else { &[&all, &open] };
        let fit = fits.iter().find(|fit| fit.takes(asked));
        let fit = fit.ok_or_else(|| ArchitectureError::InputSize {
            asked,
            allowed: all.allowed(),
        })?;
        let note = (!known && all.averaged).then(|| format!("{LAST_POOL}{ADVICE}"));
        return Ok((fit.size(asked), note));
    }
    let pixels = all.usual(vgg.classes());
    if !all.takes(pixels) {
        let allowed = all.allowed();
        return Err(ArchitectureError::InputSize {
            asked: pixels,
            allowed,
        });
    }
    // The published networks' own, and that of nearly all that come from them.
    let usual = known && side == BINS && pixels == USUAL_SIZE;
    let note = (!usual).then(|| all.note(pixels, known)).flatten();
    Ok((all.size(pixels), note))
}

/// The sizes of pictures that a head and so many pools go with.
struct HeadFit {
    side: usize,
    pools: usize,
    /// From the smallest to the largest.
    sizes: [usize; 2],
    /// Whether the map is averaged to as many positions as the head reads, whatever it has.
    averaged: bool,
}

impl HeadFit {
    fn new(vgg: &Vgg, side: usize, pools: usize) -> Self {
        let stride = 1usize.checked_shl(pools as u32).unwrap_or(usize::MAX);
        let averaged = side == 1 || vgg.adaptive && side == BINS;
        let smallest = if averaged { 1 } else { side }.saturating_mul(stride);
        let largest = match averaged {
            true => MAX_SIDE,
            // Pools round down.
            false => smallest.saturating_add(stride - 1).min(MAX_SIDE),
        };
        Self {
            side,
            pools,
            sizes: [smallest, largest],
            averaged,
        }
    }

    fn takes(&self, pixels: usize) -> bool {
        (self.sizes[0]..=self.sizes[1]).contains(&pixels)
    }

    fn size(&self, pixels: usize) -> Size {
        Size {
            pixels,
            side: self.side,
            pools: self.pools,
        }
    }

    fn allowed(&self) -> String {
        let [smallest, largest] = self.sizes;
        let reads = match self.averaged {
            true => "",
            false => ", by its first dense layer",
        };
        format!("{smallest} to {largest}{reads}")
    }

    /// The likeliest size.
    fn usual(&self, classes: usize) -> usize {
        match self.averaged {
            true if self.side == 1 && CIFAR_CLASSES.contains(&classes) => {
                CIFAR_SIZE.max(self.sizes[0])
            }
            true => USUAL_SIZE.max(self.sizes[0]),
            false => self.sizes[0],
        }
    }

    fn note(&self, pixels: usize, known: bool) -> Option<String> {
        let [smallest, largest] = self.sizes;
        let side = self.side;
        let why = match self.averaged {
            _ if side == 1 && pixels == CIFAR_SIZE => format!(
                "its first dense layer reads one position, which is all that is left of a CIFAR picture, or the mean over \
                 a larger map of pictures up to {largest}"
            ),
            true if side == 1 => {
                format!(
                    "its first dense layer reads one position or the mean over a map, of {smallest} to {largest}"
                )
            }
            // torchvision's own size.
            true => return None,
            false => format!(
                "sizes from {smallest} to {largest} give its first dense layer the {side} x {side} positions that it reads"
            ),
        };
        let pools = match known {
            true => "",
            false => &format!("; {LAST_POOL}"),
        };
        Some(format!(
            "the file does not say which size of pictures the network takes: {pixels} is a guess, since {why}; \
             --input-size says otherwise{pools}"
        ))
    }
}

/// Positions along each side that the first dense layer reads; one for a layer over their mean.
fn side(vgg: &Vgg) -> Result<usize, ArchitectureError> {
    let first = &vgg.head[0].layer;
    let (_, inputs) = vgg.axes.widths();
    let (rows, channels) = (length(&first.weight, inputs), vgg.channels());
    let side = square(rows, channels);
    side.ok_or_else(|| ArchitectureError::HeadRows {
        layer: first.name.clone(),
        found: first.weight.shape().to_vec(),
        rows,
        channels,
    })
}

/// Positions along each side of a square map of so many `channels` that flattens to so many `rows`.
pub(in crate::architectures) fn square(rows: usize, channels: usize) -> Option<usize> {
    let positions = rows.checked_div(channels)?;
    let side = positions.isqrt();
    let fits = side * side == positions && positions * channels == rows;
    (fits && (1..=MAX_SIDE).contains(&side)).then_some(side)
}
