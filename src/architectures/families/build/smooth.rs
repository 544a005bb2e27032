//! Maps that are smoothed where they get smaller.

use super::{Builder, Result};
use crate::architectures::families::step::{Pool, Smoothing};
use crate::network::{FilterLayout, Op, RepeatMode, Resample, Window};
use crate::weights::Tensor;

impl Builder<'_> {
    /// Every `stride`th place of the smoothed map.
    pub(super) fn smooth(&mut self, layer: &str, stride: usize) -> Result {
        let name = format!("{layer}.smoothed");
        if self.family.smoothing == Smoothing::Mean {
            let window = Window::square(stride, stride, 0);
            let op = Op::AvgPool {
                window,
                count_include_pad: false,
            };
            return self.push(name, op);
        }
        let mirrored = Op::Resample(Resample::Repeat {
            before: [1; 2],
            after: [1; 2],
            by: RepeatMode::Reflect,
        });
        self.push(format!("{layer}.mirrored"), mirrored)?;
        let channels = self.shape().c;
        let side = [0.25, 0.5, 0.25];
        let taps = side.map(|a| side.map(|b| a * b));
        let weight = taps.as_flattened().repeat(channels);
        let op = Op::Conv2d {
            weight: Tensor::from_f32(vec![channels, 1, 3, 3], &weight),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(3, stride, 0),
            groups: channels,
        };
        self.push(name, op)
    }

    /// A pool of which every place is taken, and then smoothed; or the mean alone.
    pub(super) fn smooth_pool(&mut self, layer: &str, pool: &Pool) -> Result {
        if self.family.smoothing == Smoothing::Blur {
            let whole = Pool { stride: 1, ..*pool };
            let window = self.window_of(&whole);
            self.push(layer, Op::MaxPool(window))?;
        }
        self.smooth(layer, pool.stride)
    }
}
