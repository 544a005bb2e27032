//! Channels in another order: what a shuffle leaves is only noted, and the convolution that reads it takes the order into its
//! weights.

use super::{Builder, Place, Result};
use crate::architectures::families::step::Step;
use crate::network::{FilterLayout, Op, Window};
use crate::weights::Tensor;

/// Weights at most of a convolution that is made to pick channels: the widest published `ShuffleNetV2` has a tenth of it.
const MAX_SPREAD: usize = 1 << 24;

impl Builder<'_> {
    pub(super) fn shuffle(&mut self, first: &[Step], second: &[Step], place: Place<'_>) -> Result {
        let channels = match &self.order {
            Some(order) => order.clone(),
            None => (0..self.shape().c).collect(),
        };
        let mut parts = vec![];
        if self.has_all(first, place.scope) {
            self.settle()?;
            let input = self.at;
            for branch in [first, second] {
                self.at = input;
                self.run(branch, place)?;
                parts.push(self.at);
            }
        } else {
            let (kept, worked) = channels.split_at(channels.len() / 2);
            let input = self.at;
            self.order = Some(kept.to_vec());
            self.pick(&format!("{}kept", place.scope))?;
            parts.push(self.at);
            self.at = input;
            self.order = Some(worked.to_vec());
            self.run(second, place)?;
            parts.push(self.at);
        }
        let each = parts.iter().map(|&part| self.network.node(part).shape.c);
        let each: Vec<usize> = each.collect();
        self.at = self.network.push(place.called, Op::Concat, parts)?;
        // One of the first half, one of the second, and so on.
        let turns = (0..each[0]).flat_map(|c| [c, each[0] + c]);
        self.order = Some(turns.filter(|&c| c < each[0] + each[1]).collect());
        Ok(())
    }

    /// The filters of a convolution that reads the channels in `order`, as one over all channels as they lie.
    pub(super) fn over_all_channels(&mut self, weight: Tensor) -> Result<Tensor> {
        let &[outputs, inputs, h, w] = weight.shape() else {
            return Ok(weight);
        };
        let all = self.shape().c;
        match &self.order {
            Some(order) if order.len() == inputs => {
                let (values, taps) = (weight.to_vec(), h * w);
                let count = outputs.saturating_mul(all).saturating_mul(taps);
                if count > MAX_SPREAD {
                    return Err(self.file.odd(&self.network.node(self.at).name));
                }
                let mut spread = vec![0.0; count];
                for (o, filter) in values.chunks(inputs * taps).enumerate() {
                    for (&c, from) in order.iter().zip(filter.chunks(taps)) {
                        let start = (o * all + c) * taps;
                        spread[start..start + taps].copy_from_slice(from);
                    }
                }
                self.order = None;
                Ok(Tensor::from_f32(vec![outputs, all, h, w], &spread))
            }
            _ => {
                self.settle()?;
                Ok(weight)
            }
        }
    }

    /// Brings channels into the order that is meant.
    pub(super) fn settle(&mut self) -> Result {
        match &self.order {
            Some(order) if order.iter().copied().eq(0..self.shape().c) => {
                self.order = None;
                Ok(())
            }
            Some(_) => self.pick(&format!("{}.shuffled", self.network.node(self.at).name)),
            None => Ok(()),
        }
    }

    /// The channels in `order` and no others, by a convolution of zeros and ones.
    pub(super) fn pick(&mut self, name: &str) -> Result {
        let Some(order) = self.order.take() else {
            return Ok(());
        };
        let all = self.shape().c;
        let count = order.len().saturating_mul(all);
        if count > MAX_SPREAD {
            return Err(self.file.odd(name));
        }
        let mut weight = vec![0.0; count];
        for (o, &c) in order.iter().enumerate() {
            weight[o * all + c] = 1.0;
        }
        let op = Op::Conv2d {
            weight: Tensor::from_f32(vec![order.len(), all, 1, 1], &weight),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        self.push(name, op)
    }
}
