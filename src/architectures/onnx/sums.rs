//! Pooling that an exporter has written out: places of a map are gathered, masked, added and divided, one by one.
//!
//! That is what becomes of `AdaptiveAvgPool2d` where the sizes do not divide. What each place of the result is made of is
//! followed as a list of the map's places with their weights, and compared with the pool's at the end.

use crate::network::{NodeId, Op};
use crate::weights::onnx::Constant;

use super::array::Array;
use super::attributes::axis;
use super::layers::Call;
use super::shapes::{Axis, permutation};
use super::{GraphError, Import, Value, View};

/// Places and weights in all lists together.
const MAX_TERMS: usize = 1 << 20;

/// A dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dim {
    Batch,
    Channels,
    /// One of those of `cells`, in their order.
    Cell,
}

/// Sums over places of a layer's map, alike for all channels.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    node: NodeId,
    dims: Vec<Dim>,
    /// Over the dimensions that are cells: which term lists there are.
    cells: Array<usize>,
    /// Place in row order and weight.
    terms: Vec<Vec<(usize, f64)>>,
}

impl Sums {
    /// The dimensions of an array that is spread over this one, of which only cells may be longer than 1; as one over the
    /// cells alone.
    fn over_cells<T: Copy>(&self, array: &Array<T>) -> Option<Array<T>> {
        let lead = self.dims.len().checked_sub(array.shape.len())?;
        let mut shape = vec![];
        for (i, dim) in self.dims.iter().enumerate() {
            let length = if i < lead { 1 } else { array.shape[i - lead] };
            match dim {
                Dim::Cell => shape.push(length),
                _ if length == 1 => {}
                _ => return None,
            }
        }
        array.clone().reshaped(shape)?.spread(&self.cells.shape)
    }

    /// Each cell's terms as another list.
    fn each(&self, change: impl Fn(usize, &[(usize, f64)]) -> Vec<(usize, f64)>) -> Option<Self> {
        let lists = self.cells.values.iter().enumerate();
        let terms: Vec<_> = lists
            .map(|(i, &list)| change(i, &self.terms[list]))
            .collect();
        let all: usize = terms.iter().map(Vec::len).sum();
        (all <= MAX_TERMS).then(|| Self {
            cells: Array {
                shape: self.cells.shape.clone(),
                values: (0..terms.len()).collect(),
            },
            terms,
            ..self.clone()
        })
    }

    fn cell_axis(&self, dim: usize) -> usize {
        let before = self.dims[..dim].iter();
        before.filter(|dim| **dim == Dim::Cell).count()
    }
}

impl Import<'_> {
    /// What a node makes of places that are gathered, where it is one of these steps.
    pub(super) fn summed(&mut self, call: &Call<'_>) -> Result<Option<Value>, GraphError> {
        let sums = call.inputs.iter().flatten().find_map(|input| match input {
            Value::Sums(sums) => Some(sums),
            _ => None,
        });
        let op = call.node.op_type.as_str();
        let unsupported = || call.unsupported("of single places that are no pool");
        let Some(sums) = sums else {
            return match (op, call.input(0)) {
                ("GatherND", Some(Value::Layer(_))) => {
                    self.gathered(call).map(|sums| Some(Value::Sums(sums)))
                }
                _ => Ok(None),
            };
        };
        let made = match op {
            "Identity" | "Cast" => Some(sums.clone()),
            "Transpose" => turned(call, sums),
            "Gather" => chosen(call, sums),
            "Where" => masked(call, sums),
            "Add" => added(call),
            "Div" | "Mul" => scaled(call, sums, op == "Div"),
            "ReduceMean" => averaged(call, sums),
            _ => {
                let layer = self.pooled(call, sums)?;
                return Ok(Some(Value::Layer(layer)));
            }
        };
        if let Some(made) = &made {
            self.book(call.node, made.terms.iter().map(Vec::len).sum())?;
        }
        made.map(|sums| Some(Value::Sums(sums)))
            .ok_or_else(unsupported)
    }

    /// `GatherND` at places of rows and columns.
    fn gathered(&mut self, call: &Call<'_>) -> Result<Sums, GraphError> {
        let layer = self.settled(call.node, call.layer()?.clone())?;
        let unsupported = || call.unsupported("of other than rows and columns");
        let Some(Constant::Ints(indices)) = call.constant(1) else {
            return Err(unsupported());
        };
        let (Some((&2, cells)), 0, [Axis::H, Axis::W, Axis::N, Axis::C]) = (
            indices.shape.split_last(),
            call.node.int("batch_dims").unwrap_or(0),
            &layer.axes[..],
        ) else {
            return Err(unsupported());
        };
        let shape = self.shape_of(&layer);
        let places = indices.values.chunks(2).map(|at| {
            let (row, column) = (axis(at[0], shape.h)?, axis(at[1], shape.w)?);
            Some(vec![(row * shape.w + column, 1.0)])
        });
        let terms: Option<Vec<_>> = places.collect();
        let terms = terms.ok_or_else(|| call.unusable("indices"))?;
        self.book(call.node, terms.len())?;
        let mut dims = vec![Dim::Cell; cells.len()];
        dims.extend([Dim::Batch, Dim::Channels]);
        Ok(Sums {
            node: layer.node,
            dims,
            cells: Array {
                shape: cells.to_vec(),
                values: (0..terms.len()).collect(),
            },
            terms,
        })
    }

    /// The pool that all of it is.
    fn pooled(&mut self, call: &Call<'_>, sums: &Sums) -> Result<View, GraphError> {
        let unsupported = || call.unsupported("of single places that are no pool");
        let shape = self.network.node(sums.node).shape;
        let (&[h, w], [Dim::Batch, Dim::Channels, Dim::Cell, Dim::Cell]) =
            (&sums.cells.shape[..], &sums.dims[..])
        else {
            return Err(unsupported());
        };
        let bin = |i: usize, count: usize, length: usize| {
            (i * length / count)..((i + 1) * length).div_ceil(count)
        };
        for (i, &list) in sums.cells.values.iter().enumerate() {
            let (rows, columns) = (bin(i / w, h, shape.h), bin(i % w, w, shape.w));
            let share = 1.0 / (rows.len() * columns.len()) as f64;
            let mut expected: Vec<usize> = rows
                .flat_map(|row| columns.clone().map(move |column| row * shape.w + column))
                .collect();
            let mut found = sums.terms[list].clone();
            found.sort_by_key(|&(place, _)| place);
            expected.sort_unstable();
            let alike = |(&(place, weight), &wanted): (&(usize, f64), &usize)| {
                place == wanted && (weight - share).abs() <= 1e-5 * share
            };
            if found.len() != expected.len() || !found.iter().zip(&expected).all(alike) {
                return Err(unsupported());
            }
        }
        let op = Op::AdaptiveAvgPool([h, w]);
        let node = self.push(call.node, None, op, sums.node)?;
        Ok(View::new(node, Axis::PLANAR.to_vec()))
    }
}

fn turned(call: &Call<'_>, sums: &Sums) -> Option<Sums> {
    let order = permutation(call.node.ints("perm")?, sums.dims.len())?;
    let cells: Vec<usize> = order
        .iter()
        .filter(|&&from| sums.dims[from] == Dim::Cell)
        .map(|&from| sums.cell_axis(from))
        .collect();
    Some(Sums {
        dims: order.iter().map(|&from| sums.dims[from]).collect(),
        cells: sums.cells.transposed(&cells),
        ..sums.clone()
    })
}

/// `Gather` of one place along cells.
fn chosen(call: &Call<'_>, sums: &Sums) -> Option<Sums> {
    let along = axis(call.node.int("axis").unwrap_or(0), sums.dims.len())?;
    let Some(Constant::Ints(indices)) = call.constant(1) else {
        return None;
    };
    if sums.dims[along] != Dim::Cell || !indices.shape.is_empty() {
        return None;
    }
    let mut dims = sums.dims.clone();
    dims.remove(along);
    Some(Sums {
        dims,
        cells: sums
            .cells
            .gathered(sums.cell_axis(along), &indices.into())?,
        ..sums.clone()
    })
}

/// `Where`: nothing instead of some cells.
fn masked(call: &Call<'_>, sums: &Sums) -> Option<Sums> {
    let Some(Constant::Ints(condition)) = call.constant(0) else {
        return None;
    };
    let (zero, masks) = match (call.input(1)?, call.input(2)?) {
        (Value::Constant(zero), Value::Sums(_)) => (zero, true),
        (Value::Sums(_), Value::Constant(zero)) => (zero, false),
        _ => return None,
    };
    let Constant::Floats(zero) = zero else {
        return None;
    };
    if super::activations::one(zero) != Some(0.0) {
        return None;
    }
    let condition = sums.over_cells(&Array::from(condition))?;
    sums.each(|i, terms| match (condition.values[i] != 0) == masks {
        true => vec![],
        false => terms.to_vec(),
    })
}

fn added(call: &Call<'_>) -> Option<Sums> {
    let [Some(Value::Sums(a)), Some(Value::Sums(b))] = &call.inputs[..] else {
        return None;
    };
    let alike = a.node == b.node && a.dims == b.dims && a.cells.shape == b.cells.shape;
    let both = |i: usize, terms: &[(usize, f64)]| [terms, &b.terms[b.cells.values[i]]].concat();
    alike.then(|| a.each(both))?
}

/// `ReduceMean` over cells.
fn averaged(call: &Call<'_>, sums: &Sums) -> Option<Sums> {
    let rank = sums.dims.len();
    let axes = call.ints("axes", 1)?;
    let axes: Vec<usize> = axes.iter().map(|&a| axis(a, rank)).collect::<Option<_>>()?;
    let all_cells = axes.iter().all(|&along| sums.dims[along] == Dim::Cell);
    if !all_cells || axes.is_empty() || call.node.int("keepdims").unwrap_or(1) != 0 {
        return None;
    }
    let gone: Vec<usize> = axes.iter().map(|&along| sums.cell_axis(along)).collect();
    let shape = &sums.cells.shape;
    let kept: Vec<usize> = (0..shape.len()).filter(|i| !gone.contains(i)).collect();
    let count: usize = gone.iter().map(|&i| shape[i]).product();
    let turned = sums.cells.transposed(&[&kept[..], &gone].concat());
    let lists = turned.values.chunks(count.max(1));
    let terms: Vec<Vec<(usize, f64)>> = lists
        .map(|lists| {
            let all = lists.iter().flat_map(|&list| &sums.terms[list]);
            all.map(|&(place, weight)| (place, weight / count as f64))
                .collect()
        })
        .collect();
    let dims = sums.dims.iter().enumerate();
    Some(Sums {
        node: sums.node,
        dims: dims
            .filter(|(i, _)| !axes.contains(i))
            .map(|(_, &dim)| dim)
            .collect(),
        cells: Array {
            shape: kept.iter().map(|&i| shape[i]).collect(),
            values: (0..terms.len()).collect(),
        },
        terms,
    })
}

fn scaled(call: &Call<'_>, sums: &Sums, divides: bool) -> Option<Sums> {
    let (Some(Value::Sums(_)), Some(Constant::Floats(factors))) = (call.input(0), call.constant(1))
    else {
        return None;
    };
    let factors = Array {
        shape: factors.shape().to_vec(),
        values: factors.to_vec(),
    };
    let factors = sums.over_cells(&factors)?;
    sums.each(|i, terms| {
        let factor = f64::from(factors.values[i]);
        let factor = if divides { factor.recip() } else { factor };
        let each = terms
            .iter()
            .map(|&(place, weight)| (place, weight * factor));
        each.collect()
    })
}
