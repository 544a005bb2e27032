//! Sums, means, maxima and lengths over rows and columns, over channels, or over values that lie one after the other in them.

use crate::network::{Activation, FilterLayout, MAX_POOL, Op, Window};
use crate::weights::Tensor;

use super::attributes::axis;
use super::channels::with_channels;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

/// What is made of all values over the dimensions that go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reduction {
    Mean,
    Sum,
    Largest,
    /// The root of the sum of squares.
    Length,
    SumOfSquares,
}

impl Import<'_> {
    /// One value for all rows, columns or both, for all channels, or for all groups of them.
    pub(super) fn reduced(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let layer = call.layer()?.clone();
        call.open(&layer)?;
        let rank = layer.axes.len();
        let (of, reduces) = match call.node.op_type.as_str() {
            "GlobalAveragePool" => (Reduction::Mean, false),
            "GlobalMaxPool" => (Reduction::Largest, false),
            "ReduceMax" => (Reduction::Largest, true),
            "ReduceSum" => (Reduction::Sum, true),
            "ReduceL2" => (Reduction::Length, true),
            "ReduceSumSquare" => (Reduction::SumOfSquares, true),
            _ => (Reduction::Mean, true),
        };
        let axes: Option<Vec<usize>> = if reduces {
            let axes = call.ints("axes", 1).unwrap_or_default();
            axes.iter().map(|&value| axis(value, rank)).collect()
        } else {
            Some((2..rank).collect())
        };
        let axes = axes.ok_or_else(|| call.unusable("axes"))?;
        let lengths = self.dimensions(&layer);
        let mut made = match of {
            Reduction::Length | Reduction::SumOfSquares => {
                self.made(call, &layer, Op::Activate(Activation::Square))?
            }
            _ => layer.clone(),
        };
        let mut positions = [false; 2];
        for &at in axes.iter().filter(|&&at| lengths[at] > 1) {
            match layer.axes[at] {
                Axis::H => positions[0] = true,
                Axis::W => positions[1] = true,
                Axis::Places => positions = [true; 2],
                Axis::C if of == Reduction::Largest => made = self.largest_channel(call, &made)?,
                Axis::C => made = self.over_channels(call, &made, of)?,
                Axis::Group(count) if of != Reduction::Largest => {
                    made = self.over_groups(call, &made, count, of)?;
                }
                _ => return Err(call.unsupported("over other than rows, columns and channels")),
            }
        }
        if axes.is_empty() {
            return Err(call.unsupported("over all dimensions"));
        }
        // A map of one position is its own mean, and a node all the same: it is what people know there.
        let shape = self.shape_of(&layer);
        let spatial = |&at: &usize| matches!(layer.axes[at], Axis::H | Axis::W | Axis::Places);
        if positions != [false; 2] || shape.h * shape.w == 1 && axes.iter().any(spatial) {
            made = self.over_positions(call, &made, positions, of)?;
        }
        if of == Reduction::Length {
            made = self.made(call, &made, Op::Activate(Activation::Sqrt))?;
        }
        if reduces && call.node.int("keepdims").unwrap_or(1) == 0 {
            let kept = (0..rank).filter(|at| !axes.contains(at));
            made.axes = kept.map(|at| made.axes[at]).collect();
        }
        Ok(made)
    }

    /// A layer whose dimensions are the same.
    pub(super) fn made(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        op: Op,
    ) -> Result<View, GraphError> {
        let node = self.push(call.node, None, op, layer.node)?;
        Ok(View {
            node,
            ..layer.clone()
        })
    }

    fn over_positions(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        [rows, columns]: [bool; 2],
        of: Reduction,
    ) -> Result<View, GraphError> {
        let shape = self.shape_of(layer);
        let whole = (rows || shape.h == 1) && (columns || shape.w == 1);
        let pooled = match of != Reduction::Largest && whole {
            true => self.pool(call, layer, Op::GlobalMean)?,
            false => self.over(call, layer, [rows, columns], of != Reduction::Largest)?,
        };
        if matches!(of, Reduction::Mean | Reduction::Largest) {
            return Ok(pooled);
        }
        let places = if rows { shape.h } else { 1 } * if columns { shape.w } else { 1 };
        self.affine(
            call,
            &pooled,
            &vec![places as f32; shape.c],
            &vec![0.0; shape.c],
        )
    }

    /// The mean or the maximum over rows, columns or both. A maximum of many places is taken of each row first: where several
    /// are equal it is the first in row order all the same.
    pub(super) fn over(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        [rows, columns]: [bool; 2],
        means: bool,
    ) -> Result<View, GraphError> {
        let shape = self.shape_of(layer);
        let size = [
            if rows { shape.h } else { 1 },
            if columns { shape.w } else { 1 },
        ];
        let steps = match size {
            [h, w] if !means && h * w > MAX_POOL => vec![[1, w], [h, 1]],
            both => vec![both],
        };
        let mut pooled = layer.clone();
        for size in steps {
            let window = Window {
                size,
                ..Window::square(1, 1, 0)
            };
            let op = match means {
                true => Op::AvgPool {
                    window,
                    count_include_pad: false,
                },
                false => Op::MaxPool(window),
            };
            pooled = self.pool(call, &pooled, op)?;
        }
        Ok(pooled)
    }

    /// At each position one value for all channels: a convolution of one tap to one channel.
    fn over_channels(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        of: Reduction,
    ) -> Result<View, GraphError> {
        let channels = self.shape_of(layer).c;
        let share = if of == Reduction::Mean {
            1.0 / channels as f32
        } else {
            1.0
        };
        self.by_position(
            call,
            layer,
            Tensor::repeated(vec![1, channels, 1, 1], share),
        )
    }

    /// At each position the largest of all channels, the first where several are equal: of neighbours the larger one, and of those again.
    fn largest_channel(&mut self, call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let mut made = layer.clone();
        loop {
            let channels = self.shape_of(&made).c;
            if channels == 1 {
                return Ok(made);
            }
            let halves = [0, 1].map(|odd| {
                let places = (0..channels).step_by(2);
                // A last one without a neighbour is compared with itself.
                let places = places.map(|even| (even + odd).min(channels - 1));
                with_channels(&made, channels, &places.collect::<Vec<_>>())
            });
            let [even, odd] = halves;
            let even = self.with_chosen_channels(call.node, even)?;
            let odd = self.with_chosen_channels(call.node, odd)?;
            made = self.larger_of_two(call, &even, &odd)?;
        }
    }

    /// At each position and for each channel of a group one value for all groups: a convolution of one tap that adds them up.
    fn over_groups(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        groups: usize,
        of: Reduction,
    ) -> Result<View, GraphError> {
        let channels = self.shape_of(layer).c;
        let within = channels / groups;
        let share = if of == Reduction::Mean {
            1.0 / groups as f32
        } else {
            1.0
        };
        self.pick(call.node, within.saturating_mul(channels))?;
        let mut weight = vec![0.0; within * channels];
        for i in 0..channels {
            weight[i % within * channels + i] = share;
        }
        let weight = Tensor::from_f32(vec![within, channels, 1, 1], &weight);
        let mut made = self.by_position(call, layer, weight)?;
        for axis in &mut made.axes {
            *axis = match *axis {
                Axis::Group(_) => Axis::One,
                Axis::Within(_) => Axis::C,
                axis => axis,
            };
        }
        Ok(made)
    }

    /// Each position's channels times a matrix.
    pub(super) fn by_position(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        weight: Tensor,
    ) -> Result<View, GraphError> {
        let op = Op::Conv2d {
            weight,
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        self.made(call, layer, op)
    }
}
