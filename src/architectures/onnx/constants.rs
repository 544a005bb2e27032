//! Arithmetic on what is known beforehand: shapes, mostly, and weights that an exporter left in pieces.

use crate::weights::Tensor;
use crate::weights::onnx::{Attribute, Constant, Integers};

use super::attributes::axis;
use super::layers::Call;
use super::shapes::{permutation, squeezed, target, unsqueezed};
use super::{GraphError, Import, Value, names};

/// Elements that arithmetic may make in all; shapes take dozens, weights that are put together some thousands.
pub(super) const MAX_FOLDED: usize = 4 << 20;
/// Whole numbers in one result.
const MAX_INTEGERS: usize = 1024;

impl Import<'_> {
    /// What a node makes of constants.
    pub(super) fn fold(&mut self, call: &Call<'_>) -> Result<Constant, GraphError> {
        let first = call
            .constant(0)
            .ok_or_else(|| call.unusable("first input"))?;
        match first {
            Constant::Ints(ints) => self.fold_ints(call, ints).map(Constant::Ints),
            Constant::Floats(tensor) => self.fold_floats(call, tensor).map(Constant::Floats),
            Constant::Other(_) => Err(call.unsupported("of constants of this type")),
        }
    }

    fn fold_ints(&mut self, call: &Call<'_>, x: &Integers) -> Result<Integers, GraphError> {
        let unusable = || call.unusable("shape arithmetic");
        let list = |values: Vec<i64>| Integers {
            shape: vec![values.len()],
            values,
        };
        let made = match call.node.op_type.as_str() {
            // Casting to a float and back is how some exporters halve a length: whole numbers do the same.
            "Identity" | "Cast" | "Floor" | "Ceil" => x.clone(),
            "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => Integers {
                shape: view(call, &x.shape)?,
                values: x.values.clone(),
            },
            "Shape" => list(x.shape.iter().map(|&n| n as i64).collect()),
            "Gather" if call.node.int("axis").unwrap_or(0) == 0 && x.shape.len() == 1 => {
                let indices = integers(call, 1)?;
                let values = indices.values.iter().map(|&index| {
                    let at = axis(index, x.values.len()).ok_or_else(unusable)?;
                    Ok(x.values[at])
                });
                Integers {
                    shape: indices.shape.clone(),
                    values: values.collect::<Result<_, GraphError>>()?,
                }
            }
            "Slice" => list(slice(call, x).ok_or_else(unusable)?),
            "Concat" => {
                let mut values = vec![];
                for i in 0..call.inputs.len() {
                    let part = integers(call, i)?;
                    if part.shape.len() != 1 || values.len() + part.values.len() > MAX_INTEGERS {
                        return Err(unusable());
                    }
                    values.extend(&part.values);
                }
                list(values)
            }
            "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Min" | "Max" => {
                pairs(call, x).ok_or_else(unusable)?
            }
            "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => {
                let mut values = x.values.iter().copied();
                let step = |a: i64, b: i64| match call.node.op_type.as_str() {
                    "ReduceProd" => a.checked_mul(b),
                    "ReduceSum" => a.checked_add(b),
                    "ReduceMax" => Some(a.max(b)),
                    _ => Some(a.min(b)),
                };
                let first = values.next().ok_or_else(unusable)?;
                let all = values.try_fold(first, step).ok_or_else(unusable)?;
                let keeps = call.node.int("keepdims").unwrap_or(1) != 0;
                Integers {
                    shape: if keeps {
                        vec![1; x.shape.len()]
                    } else {
                        vec![]
                    },
                    values: vec![all],
                }
            }
            "ConstantOfShape" => {
                let value = match call.node.attributes.get("value") {
                    Some(Attribute::Tensor(Constant::Ints(ints))) => ints.values.first().copied(),
                    _ => None,
                };
                let lengths: Option<Vec<usize>> =
                    x.values.iter().map(|&n| usize::try_from(n).ok()).collect();
                let shape = lengths.ok_or_else(unusable)?;
                let count = shape.iter().try_fold(1_usize, |n, &m| n.checked_mul(m));
                let count = count.filter(|&n| n <= MAX_INTEGERS).ok_or_else(unusable)?;
                let value = value.ok_or_else(|| call.unsupported("of floats"))?;
                Integers {
                    shape,
                    values: vec![value; count],
                }
            }
            _ => return Err(unknown(call)),
        };
        self.book(call.node, made.values.len() + made.shape.len())?;
        Ok(made)
    }

    fn fold_floats(&mut self, call: &Call<'_>, x: &Tensor) -> Result<Tensor, GraphError> {
        match call.node.op_type.as_str() {
            // Half precision reads as float32 wherever it is used; no value is rounded on the way.
            "Identity" | "Cast" | "CastLike" => Ok(x.clone()),
            "Transpose" => {
                let reversed: Vec<i64> = (0..x.shape().len() as i64).rev().collect();
                let order = call.node.ints("perm").unwrap_or(&reversed);
                let order = permutation(order, x.shape().len());
                Ok(x.permuted(&order.ok_or_else(|| call.unusable("perm"))?))
            }
            "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => {
                let shape = view(call, x.shape())?;
                if let Some(view) = x.reshaped(shape.clone()) {
                    return Ok(view);
                }
                self.book(call.node, x.len())?;
                Ok(Tensor::from_f32(shape, &x.to_vec()))
            }
            op @ ("Add" | "Sub" | "Mul" | "Div" | "Pow") => {
                let Some(Constant::Floats(y)) = call.constant(1) else {
                    return Err(call.unsupported("of floats and something else"));
                };
                let longer = if x.len() < y.len() { y } else { x };
                if x.len() != 1 && y.len() != 1 && x.shape() != y.shape() {
                    return Err(call.unsupported("of constants of different shapes"));
                }
                self.book(call.node, x.len().max(y.len()))?;
                let (xs, ys) = (x.to_vec(), y.to_vec());
                let at = |z: &[f32], i: usize| z[if z.len() == 1 { 0 } else { i }];
                let values = (0..longer.len()).map(|i| {
                    let (a, b) = (at(&xs, i), at(&ys, i));
                    match op {
                        "Add" => a + b,
                        "Sub" => a - b,
                        "Mul" => a * b,
                        "Div" => a / b,
                        _ => a.powf(b),
                    }
                });
                let values: Vec<f32> = values.collect();
                Ok(Tensor::from_f32(longer.shape().to_vec(), &values))
            }
            op @ ("Sqrt" | "Reciprocal" | "Neg") => {
                self.book(call.node, x.len())?;
                let values = x.to_vec().into_iter().map(|v| match op {
                    "Sqrt" => v.sqrt(),
                    "Reciprocal" => v.recip(),
                    _ => -v,
                });
                let values: Vec<f32> = values.collect();
                Ok(Tensor::from_f32(x.shape().to_vec(), &values))
            }
            _ => Err(unknown(call)),
        }
    }
}

/// Element by element; either side may be a single number.
fn pairs(call: &Call<'_>, x: &Integers) -> Option<Integers> {
    let Some(Constant::Ints(y)) = call.constant(1) else {
        return None;
    };
    let (longer, shorter) = if x.values.len() < y.values.len() {
        (y, x)
    } else {
        (x, y)
    };
    if shorter.values.len() != 1 && shorter.shape != longer.shape {
        return None;
    }
    let at = |z: &Integers, i: usize| z.values[if z.values.len() == 1 { 0 } else { i }];
    let values = (0..longer.values.len()).map(|i| {
        let (a, b) = (at(x, i), at(y, i));
        match call.node.op_type.as_str() {
            "Add" => a.checked_add(b),
            "Sub" => a.checked_sub(b),
            "Mul" => a.checked_mul(b),
            "Div" => a.checked_div(b),
            "Mod" => a.checked_rem_euclid(b),
            "Min" => Some(a.min(b)),
            _ => Some(a.max(b)),
        }
    });
    Some(Integers {
        shape: longer.shape.clone(),
        values: values.collect::<Option<_>>()?,
    })
}

/// The shape that an operator gives to elements that it leaves in place.
pub(super) fn view(call: &Call<'_>, old: &[usize]) -> Result<Vec<usize>, GraphError> {
    let shape = match call.node.op_type.as_str() {
        "Squeeze" => squeezed(old, call.ints("axes", 1).as_deref()),
        "Unsqueeze" => call.ints("axes", 1).and_then(|axes| unsqueezed(old, &axes)),
        "Flatten" => {
            let at = call.node.int("axis").unwrap_or(1);
            let rank = old.len();
            let at = if at == rank as i64 {
                Some(rank)
            } else {
                axis(at, rank)
            };
            at.map(|at| {
                let (rows, columns) = old.split_at(at);
                vec![rows.iter().product(), columns.iter().product()]
            })
        }
        _ => {
            let zeros = call.node.int("allowzero").unwrap_or(0) != 0;
            call.ints("shape", 1)
                .and_then(|asked| target(&asked, old, zeros))
        }
    };
    shape.ok_or_else(|| call.unusable("shape"))
}

fn integers<'a>(call: &'a Call<'_>, i: usize) -> Result<&'a Integers, GraphError> {
    match call.constant(i) {
        Some(Constant::Ints(ints)) => Ok(ints),
        _ => Err(call.unusable("whole numbers")),
    }
}

/// `Slice` of a list; attributes before opset 10, inputs since.
fn slice(call: &Call<'_>, x: &Integers) -> Option<Vec<i64>> {
    if x.shape.len() != 1 {
        return None;
    }
    let one = |name: &str, input: usize| match call.ints(name, input).as_deref() {
        Some(&[value]) => Some(value),
        _ => None,
    };
    let (start, end) = (one("starts", 1)?, one("ends", 2)?);
    let given = |input: usize| call.input(input).is_some();
    let along = call.ints("axes", 3).unwrap_or_else(|| vec![0]);
    let step = if given(4) { one("steps", 4)? } else { 1 };
    if !matches!(along[..], [0 | -1]) || step < 1 {
        return None;
    }
    let length = x.values.len() as i64;
    let place = |at: i64| {
        (if at < 0 {
            at.saturating_add(length)
        } else {
            at
        })
        .clamp(0, length)
    };
    let (start, end) = (place(start) as usize, place(end) as usize);
    let kept = x.values.get(start..end.max(start))?;
    Some(
        kept.iter()
            .step_by(usize::try_from(step).ok()?)
            .copied()
            .collect(),
    )
}

fn unknown(call: &Call<'_>) -> GraphError {
    GraphError::Operator {
        node: names::label(call.node),
        op: call.node.op_type.clone(),
    }
}

impl Value {
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}
