//! A layer's value under the graph's reshapes and transposes: which dimension is what.

use crate::network::{FlattenOrder, Op, Shape};

use super::attributes::axis;
use super::channels::with_channels;
use super::layers::Call;
use super::{GraphError, Import, View};

/// What a dimension of a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    /// The picture's number in its batch.
    N,
    /// Channels, or the elements of a vector.
    C,
    /// Rows.
    H,
    /// Columns.
    W,
    /// Rows and columns as one dimension.
    Places,
    /// Which of so many equal groups of channels.
    Group(usize),
    /// Which of the channels of a group of so many.
    Within(usize),
    /// Which of so many equal parts of the channels, each of which is groups: a part may be taken, and nothing else be done.
    Part(usize),
    /// Which of so many blocks of rows.
    RowBlock(usize),
    /// Which row of a block of so many.
    RowWithin(usize),
    /// Which of so many blocks of columns.
    ColumnBlock(usize),
    /// Which column of a block of so many.
    ColumnWithin(usize),
    /// A length of 1 that a reshape has put there.
    One,
}

/// What cannot be done with channels that are three dimensions.
pub(super) const IN_PARTS: &str = "of channels as parts of groups, before one part is taken";

impl Axis {
    /// Channels first, as ONNX has its convolutions.
    pub(super) const PLANAR: [Self; 4] = [Self::N, Self::C, Self::H, Self::W];
}

impl Import<'_> {
    pub(super) fn length(&self, axis: Axis, shape: Shape) -> usize {
        match axis {
            Axis::N => self.batch,
            Axis::C => shape.c,
            Axis::H => shape.h,
            Axis::W => shape.w,
            Axis::Places => shape.h * shape.w,
            Axis::Group(length)
            | Axis::Within(length)
            | Axis::Part(length)
            | Axis::RowBlock(length)
            | Axis::RowWithin(length)
            | Axis::ColumnBlock(length)
            | Axis::ColumnWithin(length) => length,
            Axis::One => 1,
        }
    }

    /// The shape of the layer's value for one picture: with the channels that were picked and the zeros that were announced.
    pub(super) fn shape_of_value(&self, layer: &View) -> Shape {
        let shape = self.shape_of(layer);
        let [rows, columns] = layer.pad.map(|[before, after]| before + after);
        Shape {
            c: layer.channels.as_ref().map_or(shape.c, |all| all.len()),
            h: shape.h + rows,
            w: shape.w + columns,
        }
    }

    /// Whether channels are three dimensions of the layer.
    pub(super) fn is_in_parts(layer: &View) -> bool {
        layer.axes.iter().any(|axis| matches!(axis, Axis::Part(_)))
    }

    /// Length of each dimension as the graph sees the layer.
    pub(super) fn dimensions(&self, layer: &View) -> Vec<usize> {
        let shape = self.shape_of_value(layer);
        let lengths = layer.axes.iter().map(|&axis| self.length(axis, shape));
        lengths.collect()
    }

    /// Whether the layer's dimensions are these. One of length 1 is as good as another, since reshapes move them about.
    pub(super) fn has_axes(&self, layer: &View, wanted: &[Axis]) -> bool {
        let shape = self.shape_of_value(layer);
        let single = |axis| self.length(axis, shape) == 1;
        let all = [Axis::N, Axis::C, Axis::H, Axis::W];
        let mut left_out = all.iter().filter(|axis| !wanted.contains(axis));
        layer.axes.len() == wanted.len()
            && left_out.all(|&axis| single(axis))
            && layer
                .axes
                .iter()
                .zip(wanted)
                .all(|(&found, &wanted)| found == wanted || single(found) && single(wanted))
    }

    /// The same elements in dimensions of these lengths.
    pub(super) fn reshape(
        &mut self,
        call: &Call<'_>,
        layer: &View,
        target: &[usize],
    ) -> Result<View, GraphError> {
        if let Some(gathered) = self.blocks_as_channels(call, layer, target)? {
            return Ok(gathered);
        }
        let shape = self.shape_of_value(layer);
        let long = |&axis: &Axis| self.length(axis, shape) > 1;
        let old: Vec<Axis> = layer.axes.iter().copied().filter(long).collect();
        let length = |axis| self.length(axis, shape);
        let wanted: Vec<usize> = target.iter().copied().filter(|&n| n != 1).collect();
        if let Some((found, shuffled)) = renamed(&old, &wanted, length) {
            let layer = &match shuffled {
                Some([groups, within]) => shuffle(layer, groups, within),
                None => layer.clone(),
            };
            let mut found = found.into_iter();
            let axes = target.iter().enumerate().map(|(i, &length)| match length {
                1 if i == 0 && self.batch == 1 => Axis::N,
                1 => Axis::One,
                _ => found.next().expect("as many as there are lengths above 1"),
            });
            return Ok(View {
                axes: axes.collect(),
                ..layer.clone()
            });
        }
        let batch = usize::from(self.batch > 1);
        let flat = wanted.len() == batch + 1
            && wanted[..batch] == [self.batch][..batch]
            && wanted[batch] == shape.len()
            && old.iter().position(|&axis| axis == Axis::N).unwrap_or(0) == 0;
        if !flat {
            return Err(call.unsupported("to something else than a vector"));
        }
        let vector = self.flatten(call, layer)?;
        self.reshape(call, &vector, target)
    }

    /// The layer as a vector, its elements in the order that its dimensions have now.
    pub(super) fn flatten(&mut self, call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let shape = self.shape_of_value(layer);
        let axes = vec![Axis::N, Axis::C];
        if shape.h * shape.w == 1 {
            return Ok(View {
                axes,
                ..layer.clone()
            });
        }
        let layer = &self.settled(call.node, layer.clone())?;
        call.open(layer)?;
        let spread = |&axis: &Axis| axis != Axis::N && self.length(axis, shape) > 1;
        let found: Vec<Axis> = layer.axes.iter().copied().filter(spread).collect();
        let within = |order: &[Axis]| order.iter().copied().filter(spread).eq(found.clone());
        let order = if within(&[Axis::C, Axis::H, Axis::W]) || within(&[Axis::C, Axis::Places]) {
            FlattenOrder::Chw
        } else if within(&[Axis::H, Axis::W, Axis::C]) || within(&[Axis::Places, Axis::C]) {
            FlattenOrder::Hwc
        } else {
            return Err(call.unsupported("of transposed rows and columns"));
        };
        let id = self.push(call.node, None, Op::Flatten(order), layer.node)?;
        Ok(View::new(id, axes))
    }

    /// The layer with its rows before its columns, where the graph has turned them around.
    pub(super) fn upright(&mut self, call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let at = |wanted| layer.axes.iter().position(|&axis| axis == wanted);
        let (Some(rows), Some(columns)) = (at(Axis::H), at(Axis::W)) else {
            return Ok(layer.clone());
        };
        let shape = self.shape_of(layer);
        let plain = layer.pending.is_none() && layer.pad == [[0; 2]; 2];
        if rows < columns || shape.h * shape.w == 1 || !plain {
            return Ok(layer.clone());
        }
        let mut turned = self.made(call, layer, Op::Transpose)?;
        turned.axes.swap(rows, columns);
        Ok(turned)
    }

    /// The dimensions in another order.
    pub(super) fn transpose(call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let rank = layer.axes.len();
        let reversed: Vec<i64> = (0..rank as i64).rev().collect();
        let order = call.node.ints("perm").unwrap_or(&reversed);
        let order = permutation(order, rank).ok_or_else(|| call.unusable("perm"))?;
        Ok(View {
            axes: order.into_iter().map(|from| layer.axes[from]).collect(),
            ..layer.clone()
        })
    }
}

/// The layer's channels in the order that they have when the place within a group comes before the group.
fn shuffle(layer: &View, groups: usize, within: usize) -> View {
    let places = (0..within).flat_map(|w| (0..groups).map(move |g| g * within + w));
    with_channels(layer, groups * within, &places.collect::<Vec<_>>())
}

/// Dimensions, and of channels that come in another order the numbers of groups and of channels in each.
type Renamed = (Vec<Axis>, Option<[usize; 2]>);

/// What dimensions of these lengths are, where they are the old ones; dimensions of length 1 come and go and are not among
/// either, and rows and columns may become one, and channels groups, and groups channels.
fn renamed(old: &[Axis], wanted: &[usize], length: impl Fn(Axis) -> usize) -> Option<Renamed> {
    let mut rest = old;
    let mut found = vec![];
    let mut shuffled = None;
    let mut left = wanted;
    // Groups of a part are not all channels.
    let is_whole = !old.iter().any(|axis| matches!(axis, Axis::Part(_)));
    while let [wanted, others @ ..] = left {
        left = others;
        let wanted = *wanted;
        if let ([Axis::C, after @ ..], [within, others @ ..]) = (rest, left)
            && wanted.checked_mul(*within) == Some(length(Axis::C))
            && wanted > 1
        {
            found.extend([Axis::Group(wanted), Axis::Within(*within)]);
            (rest, left) = (after, others);
            continue;
        }
        if let ([Axis::C, after @ ..], [groups, within, others @ ..]) = (rest, left)
            && wanted
                .checked_mul(*groups)
                .and_then(|n| n.checked_mul(*within))
                == Some(length(Axis::C))
        {
            found.extend([
                Axis::Part(wanted),
                Axis::Group(*groups),
                Axis::Within(*within),
            ]);
            (rest, left) = (after, others);
            continue;
        }
        if let ([axis @ (Axis::H | Axis::W), after @ ..], [within, others @ ..]) = (rest, left)
            && wanted.checked_mul(*within) == Some(length(*axis))
        {
            found.extend(match axis {
                Axis::H => [Axis::RowBlock(wanted), Axis::RowWithin(*within)],
                _ => [Axis::ColumnBlock(wanted), Axis::ColumnWithin(*within)],
            });
            (rest, left) = (after, others);
            continue;
        }
        if let ([Axis::Places, after @ ..], [columns, others @ ..]) = (rest, left)
            && [wanted, *columns] == [length(Axis::H), length(Axis::W)]
        {
            found.extend([Axis::H, Axis::W]);
            (rest, left) = (after, others);
            continue;
        }
        found.push(match rest {
            [Axis::RowBlock(a), Axis::RowWithin(b), others @ ..] if a * b == wanted => {
                rest = others;
                Axis::H
            }
            [Axis::ColumnBlock(a), Axis::ColumnWithin(b), others @ ..] if a * b == wanted => {
                rest = others;
                Axis::W
            }
            [Axis::Group(a), Axis::Within(b), others @ ..] if a * b == wanted && is_whole => {
                rest = others;
                Axis::C
            }
            [Axis::Within(b), Axis::Group(a), others @ ..] if a * b == wanted && is_whole => {
                rest = others;
                shuffled = Some([*a, *b]);
                Axis::C
            }
            [axis, others @ ..] if length(*axis) == wanted => {
                rest = others;
                *axis
            }
            [Axis::H, Axis::W, others @ ..] if length(Axis::Places) == wanted => {
                rest = others;
                Axis::Places
            }
            _ => return None,
        });
    }
    rest.is_empty().then_some((found, shuffled))
}

/// Each of 0..rank once.
pub(super) fn permutation(order: &[i64], rank: usize) -> Option<Vec<usize>> {
    let order: Option<Vec<usize>> = order.iter().map(|&value| axis(value, rank)).collect();
    let order = order.filter(|order| order.len() == rank)?;
    let complete = (0..rank).all(|axis| order.contains(&axis));
    complete.then_some(order)
}

/// The lengths that `Reshape` asks for: 0 keeps the old one (unless `zeros` are meant), one -1 is what is left over.
pub(super) fn target(asked: &[i64], old: &[usize], zeros: bool) -> Option<Vec<usize>> {
    let mut lengths = vec![];
    let mut open = None;
    for (i, &length) in asked.iter().enumerate() {
        lengths.push(match length {
            -1 if open.is_none() => {
                open = Some(i);
                1
            }
            0 if !zeros => *old.get(i)?,
            _ => usize::try_from(length).ok()?,
        });
    }
    let product = |lengths: &[usize]| {
        lengths
            .iter()
            .try_fold(1_usize, |product, &n| product.checked_mul(n))
    };
    let (have, want) = (product(old)?, product(&lengths)?);
    if let Some(open) = open {
        lengths[open] = have.checked_div(want)?;
    }
    (product(&lengths)? == have).then_some(lengths)
}

/// The lengths after `Squeeze` of these dimensions, or of all that are 1.
pub(super) fn squeezed(old: &[usize], axes: Option<&[i64]>) -> Option<Vec<usize>> {
    let Some(axes) = axes else {
        return Some(old.iter().copied().filter(|&n| n != 1).collect());
    };
    let axes: Option<Vec<usize>> = axes.iter().map(|&a| axis(a, old.len())).collect();
    let axes = axes?;
    if axes.iter().any(|&axis| old[axis] != 1) {
        return None;
    }
    let kept = (0..old.len()).filter(|axis| !axes.contains(axis));
    Some(kept.map(|axis| old[axis]).collect())
}

/// The lengths after `Unsqueeze` at these places of the result.
pub(super) fn unsqueezed(old: &[usize], axes: &[i64]) -> Option<Vec<usize>> {
    const MAX_RANK: usize = 32;
    let rank = old.len() + axes.len();
    if rank > MAX_RANK {
        return None;
    }
    let axes: Option<Vec<usize>> = axes.iter().map(|&a| axis(a, rank)).collect();
    let axes = axes?;
    let mut old = old.iter().copied();
    (0..rank)
        .map(|i| {
            if axes.contains(&i) {
                Some(1)
            } else {
                old.next()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reshape_targets_follow_the_standard() {
        assert_eq!(target(&[0, -1], &[1, 8, 3, 3], false), Some(vec![1, 72]));
        assert_eq!(target(&[1, 72], &[1, 8, 3, 3], false), Some(vec![1, 72]));
        assert_eq!(
            target(&[0, 2, -1, 3], &[1, 8, 9], false),
            Some(vec![1, 2, 12, 3])
        );
        for wrong in [
            &[-1, -1][..],
            &[5, -1],
            &[1, 71],
            &[-2, 36],
            &[0, 0, 0, 0, 0],
            &[i64::MAX, -1],
        ] {
            assert_eq!(target(wrong, &[1, 8, 3, 3], false), None, "{wrong:?}");
        }
        assert_eq!(target(&[0, -1], &[1, 8], true), None);
    }

    #[test]
    fn squeeze_and_unsqueeze_are_each_others_reverse() {
        assert_eq!(squeezed(&[1, 8, 1, 1], Some(&[2, -1])), Some(vec![1, 8]));
        assert_eq!(squeezed(&[1, 8, 1, 1], None), Some(vec![8]));
        assert_eq!(squeezed(&[1, 8], Some(&[1])), None);
        assert_eq!(squeezed(&[1, 8], Some(&[2])), None);
        assert_eq!(unsqueezed(&[1, 8], &[-1, 2]), Some(vec![1, 8, 1, 1]));
        assert_eq!(unsqueezed(&[], &[0]), Some(vec![1]));
        assert_eq!(unsqueezed(&[8], &[0, 0]), None);
    }
}
