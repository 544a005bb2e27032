//! Passes of many values that differ in some places only from one value, the base: a picture of which a patch is hidden, say. The
//! base goes through the network once. Of each other value layers compute the tiles that the difference reaches, and copy from the
//! base's pass what else is read.

use super::{BufferId, Dispatch};
use crate::kernels::WINOGRAD_SIZE;
use crate::network::{Network, NodeId, Op, Pad, Shape, SoftmaxOver, Window};

/// The base of a pass, and the layers that compute listed tiles beside it.
#[derive(Clone, Debug)]
pub struct Base {
    /// The base's value of the node that the pass begins with. The host writes it.
    pub input: BufferId,
    /// Its pass, as far as those layers go.
    pub dispatches: Vec<Dispatch>,
    /// The layers, in order.
    pub layers: Vec<TileLayer>,
}

/// A layer that computes listed tiles of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileLayer {
    /// The convolution.
    pub conv: NodeId,
    /// Whose value it makes: its own, its ReLU's or that of the pool after it.
    pub made: NodeId,
    /// Positions of that value along the side of a tile.
    pub side: usize,
    /// Tiles down and across.
    pub grid: [usize; 2],
    /// Where the host writes how many tiles are computed, and which.
    pub computed: BufferId,
    /// The same of those copied from the base.
    pub copied: BufferId,
}

/// A layer's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileList {
    /// [`TileLayer::computed`]
    Computed,
    /// [`TileLayer::copied`]
    Copied,
}

/// The part of a list that a dispatch takes; its workgroups along x are those for a list of all tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TileListPart {
    /// Index in [`Base::layers`].
    pub layer: usize,
    /// Which of its lists.
    pub list: TileList,
    /// The first tile.
    pub first: usize,
    /// The most tiles.
    pub most: usize,
    /// Tiles of a workgroup.
    pub each: usize,
}

impl TileListPart {
    /// Workgroups along x for lists so long.
    pub fn workgroups(&self, lists: &[TileLists]) -> u32 {
        let lists = &lists[self.layer];
        let list = match self.list {
            TileList::Computed => &lists.computed,
            TileList::Copied => &lists.copied,
        };
        let tiles = list.len().saturating_sub(self.first).min(self.most);
        tiles.div_ceil(self.each) as u32
    }
}

/// A layer's tiles for some values, counted row by row of tiles through all values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TileLists {
    /// Those that are computed.
    pub computed: Vec<u32>,
    /// Those that are read and the same as the base's.
    pub copied: Vec<u32>,
}

/// The lists of each of `layers` for `values` of node `from`, C x H x W each, as `base` is.
pub fn lists(
    network: &Network,
    from: NodeId,
    layers: &[TileLayer],
    base: &[f32],
    values: &[f32],
) -> Vec<TileLists> {
    let mut lists = vec![TileLists::default(); layers.len()];
    let Some(last) = layers.last() else {
        return lists;
    };
    for (i, value) in values.chunks_exact(base.len()).enumerate() {
        let differing = Places::differing(network.node(from).shape, base, value);
        let reached = reached(network, from, differing, last.made);
        let computed = layers.iter().map(|layer| {
            let reached = reached[layer.made.0].as_ref();
            layer.tiles(reached.expect("the layers of a rerun read its values"))
        });
        let computed: Vec<Places> = computed.collect();
        for ((layer, computes), lists) in layers.iter().zip(&computed).zip(&mut lists) {
            let read = layer.tiles(&read(network, layers, &computed, layer.made));
            let first = i * computes.at.len();
            for (tile, (&computes, &read)) in computes.at.iter().zip(&read.at).enumerate() {
                let tile = (first + tile) as u32;
                if computes {
                    lists.computed.push(tile);
                } else if read {
                    lists.copied.push(tile);
                }
            }
        }
    }
    lists
}

/// For each node up to `last` that the value of `from` reaches, where it differs if that does at `differing`.
fn reached(
    network: &Network,
    from: NodeId,
    differing: Places,
    last: NodeId,
) -> Vec<Option<Places>> {
    let mut reached: Vec<Option<Places>> = vec![None; last.0 + 1];
    reached[from.0] = Some(differing);
    for id in from.0 + 1..=last.0 {
        let node = &network.nodes[id];
        let inputs = node.inputs.iter().filter_map(|input| {
            let of = network.node(*input).shape;
            let input = reached[input.0].as_ref()?;
            Some(match &node.op {
                Op::Conv2d { window, .. } | Op::MaxPool(window) | Op::AvgPool { window, .. } => {
                    input.through(window, node.shape)
                }
                Op::Pad(pad) => input.padded(pad, node.shape),
                Op::Add | Op::Mul | Op::Max | Op::Concat
                    if (of.h, of.w) == (node.shape.h, node.shape.w) =>
                {
                    input.clone()
                }
                Op::Activate(_)
                | Op::Lrn(_)
                | Op::Affine { .. }
                | Op::LayerNorm { .. }
                | Op::Softmax(SoftmaxOver::Channels { .. }) => input.clone(),
                Op::Input
                | Op::Add
                | Op::Mul
                | Op::Max
                | Op::Concat
                | Op::GroupNorm { .. }
                | Op::Linear { .. }
                | Op::Resample(_)
                | Op::Transpose
                | Op::Softmax(SoftmaxOver::Positions)
                | Op::AttentionScores { .. }
                | Op::AttentionSum { .. }
                | Op::AdaptiveAvgPool(_)
                | Op::GlobalMean
                | Op::Flatten(_) => Places::all(node.shape, true),
            })
        });
        reached[id] = inputs.reduce(Places::or);
    }
    reached
}

/// The places of `made` that are read where each of `layers` computes the tiles `computed`.
fn read(network: &Network, layers: &[TileLayer], computed: &[Places], made: NodeId) -> Places {
    let shape = network.node(made).shape;
    let mut places = Places::all(shape, false);
    let mut readers = network.consumers(made).peekable();
    if readers.peek().is_none() {
        return Places::all(shape, true);
    }
    for reader in readers {
        let Some(of) = layers.iter().position(|layer| layer.conv == reader) else {
            return Places::all(shape, true);
        };
        for (row, column) in computed[of].set() {
            // A tile of the convolution and one place around it.
            let [rows, columns] = [row, column].map(|tile| {
                (tile * WINOGRAD_SIZE).saturating_sub(1)..tile * WINOGRAD_SIZE + WINOGRAD_SIZE + 1
            });
            for row in rows.start..rows.end.min(shape.h) {
                places.at[row * shape.w..][columns.start..columns.end.min(shape.w)].fill(true);
            }
        }
    }
    places
}

impl TileLayer {
    /// The tiles of its value with any of `places`.
    fn tiles(&self, places: &Places) -> Places {
        let [rows, columns] = self.grid;
        let mut tiles = Places::all(Shape::new(1, rows, columns), false);
        for (row, column) in places.set() {
            tiles.at[row / self.side * columns + column / self.side] = true;
        }
        tiles
    }
}

/// Positions of a feature map, or tiles of a grid: which of them are meant, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Places {
    rows: usize,
    columns: usize,
    at: Vec<bool>,
}

impl Places {
    fn all(shape: Shape, at: bool) -> Self {
        Self {
            rows: shape.h,
            columns: shape.w,
            at: vec![at; shape.h * shape.w],
        }
    }

    /// Where two values differ in any channel; a NaN differs from itself.
    fn differing(shape: Shape, one: &[f32], other: &[f32]) -> Self {
        let mut places = Self::all(shape, false);
        let positions = places.at.len();
        for (one, other) in one.chunks(positions).zip(other.chunks(positions)) {
            for (at, (one, other)) in places.at.iter_mut().zip(one.iter().zip(other)) {
                *at |= one != other;
            }
        }
        places
    }

    /// Where a window over `self` holds any of it, for an output of `shape`.
    fn through(&self, window: &Window, shape: Shape) -> Self {
        // Down, then across: what a window holds is a product of rows and columns.
        let from = |axis: usize, tap: usize, to: usize| {
            let at = to * window.stride[axis] + tap * window.dilation[axis];
            at.checked_sub(window.pad_before[axis])
        };
        let mut down = Self::all(Shape::new(1, shape.h, self.columns), false);
        for (row, to) in down.at.chunks_exact_mut(self.columns).enumerate() {
            for tap in 0..window.size[0] {
                let Some(from) = from(0, tap, row).filter(|&from| from < self.rows) else {
                    continue;
                };
                let from = &self.at[from * self.columns..][..self.columns];
                to.iter_mut().zip(from).for_each(|(to, from)| *to |= from);
            }
        }
        let mut across = Self::all(shape, false);
        let rows = down.at.chunks_exact(self.columns);
        for (from_row, to_row) in rows.zip(across.at.chunks_exact_mut(shape.w)) {
            for (column, to) in to_row.iter_mut().enumerate() {
                let at = |tap| from_row.get(from(1, tap, column)?).copied();
                *to = (0..window.size[1]).filter_map(at).any(|at| at);
            }
        }
        across
    }

    /// The same among the places of a padded or cut map of `shape`; what is added never differs.
    fn padded(&self, pad: &Pad, shape: Shape) -> Self {
        let mut padded = Self::all(shape, false);
        let from = |at: usize, before: i32, length: usize| {
            let at = i64::try_from(at).ok()? - i64::from(before);
            usize::try_from(at).ok().filter(|&at| at < length)
        };
        for row in 0..shape.h {
            for column in 0..shape.w {
                let from_row = from(row, pad.before[0], self.rows);
                let from_column = from(column, pad.before[1], self.columns);
                if let (Some(r), Some(c)) = (from_row, from_column) {
                    padded.at[row * shape.w + column] = self.at[r * self.columns + c];
                }
            }
        }
        padded
    }

    fn or(mut self, other: Self) -> Self {
        let both = self.at.iter_mut().zip(other.at);
        both.for_each(|(one, other)| *one |= other);
        self
    }

    /// Row and column of each.
    fn set(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let set = self.at.iter().enumerate().filter(|&(_, &at)| at);
        set.map(|(i, _)| (i / self.columns, i % self.columns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::FilterLayout;
    use crate::weights::Tensor;

    fn places(rows: &[&str]) -> Places {
        let at = |row: &&str| row.bytes().map(|byte| byte == b'x').collect::<Vec<_>>();
        Places {
            rows: rows.len(),
            columns: rows[0].len(),
            at: rows.iter().flat_map(at).collect(),
        }
    }

    #[test]
    fn a_place_reaches_every_output_whose_window_holds_it() {
        let one = places(&[".....", ".x...", ".....", "....."]);
        let through = |window: &Window, h, w| one.through(window, Shape::new(1, h, w));
        let same = places(&["xxx..", "xxx..", "xxx..", "....."]);
        assert_eq!(through(&Window::square(3, 1, 1), 4, 5), same);
        let pool = places(&["x.", ".."]);
        assert_eq!(through(&Window::square(2, 2, 0), 2, 2), pool);
        let spread = Window {
            dilation: [2, 2],
            ..Window::square(2, 1, 1)
        };
        let expected = places(&["x.x..", ".....", "x.x..", "....."]);
        assert_eq!(through(&spread, 4, 5), expected);
    }

    /// Two convolutions over 18 x 9 pixels, with a pool between them, and a mean that reads all of the second.
    fn network() -> Network {
        let convolution = |inputs: usize| Op::Conv2d {
            weight: Tensor::from_f32(vec![1, inputs, 3, 3], &vec![0.0; inputs * 9]),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        };
        let mut network = Network::new("two", Shape::new(2, 18, 9));
        network.chain("conv1", convolution(2)).unwrap();
        network
            .chain("pool", Op::MaxPool(Window::square(2, 2, 0)))
            .unwrap();
        network.chain("conv2", convolution(1)).unwrap();
        network.chain("mean", Op::GlobalMean).unwrap();
        network
    }

    fn layer(conv: usize, made: usize, side: usize, grid: [usize; 2]) -> TileLayer {
        TileLayer {
            conv: NodeId(conv),
            made: NodeId(made),
            side,
            grid,
            computed: BufferId(0),
            copied: BufferId(0),
        }
    }

    #[test]
    fn tiles_are_computed_where_a_difference_reaches_and_copied_where_only_readers_do() {
        let network = network();
        // The first convolution takes the pool with it: its tiles are of 2 x 2 in the pool's 9 x 4.
        let layers = [layer(1, 2, 2, [5, 3]), layer(3, 3, 4, [3, 1])];
        let base = vec![1.0; 2 * 18 * 9];
        let mut values = base.repeat(2);
        // In the second channel of the second value, row 9 of 18: rows 8 to 10 of the convolution, 4 and 5 of the pool,
        // 3 to 6 of the second convolution, of which tiles 0 and 1 read rows 0 to 8 of the pool.
        values[3 * 18 * 9 + 9 * 9 + 8] = 2.0;
        let lists = lists(&network, NodeId(0), &layers, &base, &values);
        let [first, second] = &lists[..] else {
            panic!("one a layer")
        };
        // The first value computes nothing; its mean reads all of the second convolution.
        let tile = |row: u32, column: u32| 15 + 3 * row + column;
        assert_eq!(first.computed, [tile(2, 1)]);
        let others = (0..5).flat_map(|row| [tile(row, 0), tile(row, 1)]);
        let others: Vec<u32> = others.filter(|&other| other != tile(2, 1)).collect();
        assert_eq!(first.copied, others);
        assert_eq!(
            (&second.computed[..], &second.copied[..]),
            (&[3, 4][..], &[0, 1, 2, 5][..])
        );
        let part = TileListPart {
            layer: 1,
            list: TileList::Copied,
            first: 1,
            most: 9,
            each: 2,
        };
        assert_eq!(part.workgroups(&lists), 2);
        assert_eq!(TileListPart { first: 4, ..part }.workgroups(&lists), 0);
    }
}
