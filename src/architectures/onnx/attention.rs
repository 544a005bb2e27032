//! Attention between positions: products of two layers, of which one has the positions of the other as channels.
//!
//! A graph writes it as products of matrices, in heads that are a dimension before these. Which of the two ops a product is follows
//! from what its matrices' rows and columns are: queries by keys add up over channels, shares by values over positions.

use crate::network::{NodeId, Op, SoftmaxOver};

use super::channels::with_channels;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, View};

/// What one of the last two dimensions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The channels of a head.
    Channels,
    /// All positions.
    Places,
}

/// A layer as matrices, one a head.
struct Heads {
    node: NodeId,
    count: usize,
    /// Where their dimension is, if there is one.
    at: Option<usize>,
    rows: Side,
    columns: Side,
}

impl Import<'_> {
    /// `MatMul` of two layers.
    pub(super) fn product_of_layers(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        match self.weighted_sum(call)? {
            Some(sum) => Ok(sum),
            None => self.attention(call),
        }
    }

    /// Scores of queries and keys, or values weighed by shares of each position.
    fn attention(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let unsupported = || {
            call.unsupported(
                "of two layers, but for attention between positions, in heads of equal parts of the channels",
            )
        };
        let (a, b) = (call.layer_at(0)?.clone(), call.layer_at(1)?.clone());
        let rank = a.axes.len();
        if rank < 2 || b.axes.len() != rank {
            return Err(unsupported());
        }
        let (one, other) = (self.heads(&a), self.heads(&b));
        let (Some(mut one), Some(mut other)) = (one, other) else {
            return Err(unsupported());
        };
        // Keys and values of one head may be those of all.
        match (one.count, other.count) {
            (1, heads) if heads > 1 => self.repeat(call, &mut one, &a, heads)?,
            (heads, 1) if heads > 1 => self.repeat(call, &mut other, &b, heads)?,
            _ => {}
        }
        // Keys and values that are repeated have no dimension of heads.
        let alike = one.at == other.at || one.at.is_none() || other.at.is_none();
        let pictures = [&a, &b].map(|layer| layer.axes.iter().position(|&axis| axis == Axis::N));
        if one.count != other.count || !alike || self.batch > 1 && pictures[0] != pictures[1] {
            return Err(unsupported());
        }
        let heads = one.count;
        let (op, inputs, sides) = match (one.columns, other.rows) {
            (Side::Channels, Side::Channels) => {
                let op = Op::AttentionScores { heads, scale: 1.0 };
                (op, [one.node, other.node], [Side::Places, Side::Channels])
            }
            (Side::Channels, Side::Places) => {
                let op = Op::AttentionSum { heads };
                (op, [one.node, other.node], [Side::Places, Side::Channels])
            }
            (Side::Places, Side::Channels) => {
                let op = Op::AttentionSum { heads };
                (op, [other.node, one.node], [Side::Channels, Side::Places])
            }
            (Side::Places, Side::Places) => return Err(unsupported()),
        };
        let node = self.push_of(call.node, None, op, inputs.to_vec())?;
        Ok(self.in_heads(node, heads, one.at.or(other.at), sides, &a.axes))
    }

    /// The operator of opset 23: queries, keys and values with a dimension of heads, each a matrix of positions by channels.
    pub(super) fn attention_operator(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let given = |i: usize| call.input(i).is_some();
        let set = |name: &str| call.node.int(name).unwrap_or(0) != 0;
        if (3..7).any(given) || set("is_causal") || call.node.float("softcap").unwrap_or(0.0) != 0.0
        {
            return Err(call.unsupported("with a mask, with what came before, or with a cap"));
        }
        let unsupported = || call.unsupported("of other than positions by channels in heads");
        let mut parts = vec![];
        let mut at = None;
        for i in 0..3 {
            let layer = call.layer_at(i)?.clone();
            let heads = self.heads(&layer).filter(|_| layer.axes.len() == 4);
            let heads =
                heads.filter(|heads| [heads.rows, heads.columns] == [Side::Places, Side::Channels]);
            let heads = heads.ok_or_else(unsupported)?;
            at = at.or(heads.at);
            parts.push((heads, layer));
        }
        let heads = parts[0].0.count;
        for (part, layer) in &mut parts {
            if part.count == 1 && heads > 1 {
                self.repeat(call, part, layer, heads)?;
            }
            if part.count != heads {
                return Err(unsupported());
            }
        }
        let [queries, keys, values] = [0, 1, 2].map(|i| parts[i].0.node);
        let depth = self.network.node(queries).shape.c / heads;
        let scale = call
            .node
            .float("scale")
            .unwrap_or_else(|| (depth as f32).sqrt().recip());
        let op = Op::AttentionScores { heads, scale };
        let scores = self.push_of(call.node, None, op, vec![queries, keys])?;
        let count = self.network.node(scores).shape.c / heads;
        let op = Op::Softmax(SoftmaxOver::Channels { count, apart: 1 });
        let shares = self.push(call.node, None, op, scores)?;
        let op = Op::AttentionSum { heads };
        let node = self.push_of(call.node, None, op, vec![shares, values])?;
        let sides = [Side::Places, Side::Channels];
        Ok(self.in_heads(node, heads, at, sides, &parts[0].1.axes))
    }

    /// Scores whose softmax is over the queries, as those of keys and queries the other way round, whose softmax is over the
    /// keys.
    pub(super) fn scores_turned(
        &mut self,
        call: &Call<'_>,
        layer: &View,
    ) -> Result<Option<View>, GraphError> {
        let node = self.network.node(layer.node);
        let Op::AttentionScores { heads, scale } = node.op else {
            return Ok(None);
        };
        let (queries, keys) = (node.inputs[0], node.inputs[1]);
        let Some(found) = self.heads(layer) else {
            return Ok(None);
        };
        let op = Op::AttentionScores { heads, scale };
        let node = self.push_of(call.node, None, op, vec![keys, queries])?;
        let sides = [found.columns, found.rows];
        Ok(Some(self.in_heads(
            node,
            heads,
            found.at,
            sides,
            &layer.axes,
        )))
    }

    /// Scores times a number, where these are scores and there is one, as scores of another scale.
    pub(super) fn scores_scaled(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        factor: Option<f32>,
    ) -> Result<Option<View>, GraphError> {
        let node = self.network.node(layer.node);
        let (Op::AttentionScores { heads, scale }, Some(factor)) = (&node.op, factor) else {
            return Ok(None);
        };
        let inputs = node.inputs.clone();
        let op = Op::AttentionScores {
            heads: *heads,
            scale: scale * factor,
        };
        let node = self.push_of(call.node, None, op, inputs)?;
        Ok(Some(View {
            node,
            ..layer.clone()
        }))
    }

    /// The layer as matrices of its last two dimensions, of which one is channels and one positions.
    fn heads(&self, layer: &View) -> Option<Heads> {
        let (shape, rank) = (self.shape_of(layer), layer.axes.len());
        let (leading, matrix) = layer.axes.split_at(rank.checked_sub(2)?);
        let mut heads = leading
            .iter()
            .enumerate()
            .filter_map(|(at, &axis)| match axis {
                Axis::Group(count) => Some((at, count)),
                // Of one channel each.
                Axis::C => Some((at, shape.c)),
                _ => None,
            });
        let found = heads.next();
        let (at, count) = found.map_or((None, 1), |(at, count)| (Some(at), count));
        let is_other = |axis: &Axis| matches!(axis, Axis::N | Axis::One | Axis::Group(_) | Axis::C);
        if heads.next().is_some() || !leading.iter().all(is_other) {
            return None;
        }
        let depth = shape.c / count;
        let is_channels = |axis: Axis| match axis {
            Axis::Within(length) => length == depth && count > 1,
            Axis::C => count == 1,
            Axis::One => depth == 1,
            _ => false,
        };
        let is_places = |axis: Axis| match axis {
            Axis::Places => true,
            Axis::H => shape.w == 1,
            Axis::W => shape.h == 1,
            Axis::One => shape.h * shape.w == 1,
            _ => false,
        };
        let [rows, columns] = [matrix[0], matrix[1]];
        let (rows, columns) = match () {
            () if is_channels(rows) && is_places(columns) => (Side::Channels, Side::Places),
            () if is_places(rows) && is_channels(columns) => (Side::Places, Side::Channels),
            () => return None,
        };
        Some(Heads {
            node: layer.node,
            count,
            at,
            rows,
            columns,
        })
    }

    /// One head as several that are alike.
    fn repeat(
        &mut self,
        call: &Call<'_>,
        one: &mut Heads,
        layer: &View,
        heads: usize,
    ) -> Result<(), GraphError> {
        let channels = self.shape_of(layer).c;
        self.pick(call.node, channels.saturating_mul(heads))?;
        let places: Vec<usize> = (0..heads).flat_map(|_| 0..channels).collect();
        let repeated = with_channels(layer, channels, &places);
        one.node = self.with_chosen_channels(call.node, repeated)?.node;
        one.count = heads;
        Ok(())
    }

    /// A node with so many heads, their dimension at `at`, the last two dimensions these, and others as `axes` has them.
    fn in_heads(
        &self,
        node: NodeId,
        heads: usize,
        at: Option<usize>,
        sides: [Side; 2],
        axes: &[Axis],
    ) -> View {
        let depth = self.network.node(node).shape.c / heads;
        let (group, channels) = match (heads, depth) {
            (1, _) => (Axis::One, Axis::C),
            (_, 1) => (Axis::C, Axis::One),
            _ => (Axis::Group(heads), Axis::Within(depth)),
        };
        let leading = &axes[..axes.len() - 2];
        let leading = leading.iter().enumerate().map(|(i, &axis)| match axis {
            _ if at == Some(i) => group,
            Axis::N => Axis::N,
            _ => Axis::One,
        });
        let matrix = sides.map(|side| match side {
            Side::Channels => channels,
            Side::Places => Axis::Places,
        });
        View::new(node, leading.chain(matrix).collect())
    }
}
