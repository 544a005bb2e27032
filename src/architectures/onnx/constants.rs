//! What is known beforehand: shapes, mostly, and weights that an exporter left in pieces.

use crate::weights::Tensor;
use crate::weights::onnx::{Attribute, Constant, Integers};

use super::arithmetic::{Type, Values, cast, cast_to, pairs, pick, reduced, unary};
use super::array::{Array, Span, broadcast};
use super::attributes::axis;
use super::layers::Call;
use super::views::{order, spans, view};
use super::{GraphError, Import, Value, quantized};

/// Elements that arithmetic may read and make in all, of a graph that holds so many numbers itself; shapes take dozens, weights that are
/// put together some thousands, those that are normed in pieces ten times their own.
pub(super) fn foldable(held: usize) -> usize {
    const LEAST: usize = 4 << 20;
    const LARGE: usize = 1 << 25;
    LEAST.max(12 * held.min(LARGE))
}

/// Weights that are one number everywhere: as many as the largest matrix of a classifier has.
const MAX_FILLED: usize = 1 << 27;
/// Whole numbers in one result.
const MAX_INTEGERS: usize = 4096;

impl Import<'_> {
    /// What a node makes of constants: a value for each of its outputs.
    pub(super) fn fold(&mut self, call: &Call<'_>) -> Result<Vec<Constant>, GraphError> {
        if let Some(filled) = filled_weights(call)? {
            return Ok(vec![Constant::Floats(filled)]);
        }
        if let Some(view) = Self::view_of_floats(call)? {
            return Ok(vec![Constant::Floats(view)]);
        }
        if call.node.op_type == "DequantizeLinear" {
            return Ok(vec![Constant::Floats(quantized::dequantized(call)?)]);
        }
        if call.node.op_type == "BatchNormalization" {
            return Ok(vec![Constant::Floats(self.normed(call)?)]);
        }
        if call.node.op_type == "QuantizeLinear" {
            let x = call.tensor(0, "weights")?;
            self.book(call.node, 2 * x.len())?;
            return Ok(vec![Constant::Floats(quantized::quantized(call, x)?)]);
        }
        let made = match call.node.op_type.as_str() {
            "Split" => self.split_constant(call)?,
            _ => vec![self.fold_one(call)?],
        };
        let made = made.into_iter().map(|values| {
            Ok(match values {
                Values::Ints(ints) if ints.values.len() > MAX_INTEGERS => {
                    return Err(call.unsupported("to so many whole numbers"));
                }
                Values::Ints(ints) => {
                    self.book(call.node, ints.values.len() + ints.shape.len())?;
                    Constant::Ints(ints.into())
                }
                Values::Floats(floats) => {
                    self.book(call.node, floats.values.len())?;
                    Constant::Floats(Tensor::from_f32(floats.shape, &floats.values))
                }
            })
        });
        made.collect()
    }

    /// Large weights stay in their file: the same elements under another shape or order.
    fn view_of_floats(call: &Call<'_>) -> Result<Option<Tensor>, GraphError> {
        let Some(Constant::Floats(x)) = call.constant(0) else {
            return Ok(None);
        };
        Ok(match call.node.op_type.as_str() {
            // Half precision reads as float32 wherever it is used; no value is rounded on the way.
            "Identity" | "Dropout" => Some(x.clone()),
            "Cast" | "CastLike" if cast_to(call)? == Type::Float => Some(x.clone()),
            "Transpose" => Some(x.permuted(&order(call, x.shape().len())?)),
            "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => x.reshaped(view(call, x.shape())?),
            _ => None,
        })
    }

    fn fold_one(&mut self, call: &Call<'_>) -> Result<Values, GraphError> {
        let unusable = || call.unusable("shape arithmetic");
        let op = call.node.op_type.as_str();
        match op {
            "Range" => return range(call),
            "ConstantOfShape" => return constant_of_shape(call),
            "Where" => return self.chosen(call),
            "Concat" => return self.joined(call),
            _ => {}
        }
        let x = self.values(call, 0)?;
        let made = match op {
            "Identity" | "Dropout" => Some(x),
            "Cast" | "CastLike" => Some(cast(x, cast_to(call)?)),
            "Shape" => Some(Values::Ints(Array::list(
                x.shape().iter().map(|&n| n as i64).collect(),
            ))),
            "Size" => Some(Values::Ints(Array {
                shape: vec![],
                values: vec![x.shape().iter().product::<usize>() as i64],
            })),
            "Squeeze" | "Unsqueeze" | "Reshape" | "Flatten" => {
                let shape = view(call, x.shape())?;
                x.each(|x| x.reshaped(shape.clone()), |x| x.reshaped(shape.clone()))
            }
            "Transpose" => {
                let order = order(call, x.shape().len())?;
                x.each(
                    |x| Some(x.transposed(&order)),
                    |x| Some(x.transposed(&order)),
                )
            }
            "Slice" => {
                let spans = spans(call, x.shape())?;
                x.each(|x| x.sliced(&spans), |x| x.sliced(&spans))
            }
            "Gather" => {
                let along = axis(call.node.int("axis").unwrap_or(0), x.shape().len());
                let along = along.ok_or_else(unusable)?;
                let indices = Array::from(integers(call, 1)?);
                x.each(
                    |x| x.gathered(along, &indices),
                    |x| x.gathered(along, &indices),
                )
            }
            "Expand" => {
                let asked = lengths(integers(call, 1)?).ok_or_else(unusable)?;
                let shape = broadcast(x.shape(), &asked).ok_or_else(unusable)?;
                x.each(|x| x.spread(&shape), |x| x.spread(&shape))
            }
            "Clip" => self.between(call, x)?,
            "Not" => x.whole(|a| Some(i64::from(a == 0))),
            "Floor" | "Ceil" | "Round" | "Sqrt" | "Reciprocal" | "Neg" | "Abs" | "Exp" | "Log" => {
                unary(op, x)
            }
            "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceMean" | "ReduceL2"
            | "ReduceSumSquare" => reduced(call, x)?,
            "Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Min" | "Max" | "Equal" | "Less"
            | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor" => {
                let mut all = x;
                for i in 1..call.inputs.len() {
                    let y = self.values(call, i)?;
                    all = pairs(call, all, y).ok_or_else(unusable)?;
                }
                Some(all)
            }
            _ => return Err(call.node.unknown()),
        };
        made.ok_or_else(unusable)
    }

    /// An input's values; those of weights are read from the file.
    fn values(&mut self, call: &Call<'_>, i: usize) -> Result<Values, GraphError> {
        match call.constant(i) {
            Some(Constant::Ints(ints)) => Ok(Values::Ints(ints.into())),
            Some(Constant::Floats(tensor)) => {
                self.book(call.node, tensor.len())?;
                Ok(Values::Floats(Array {
                    shape: tensor.shape().to_vec(),
                    values: tensor.to_vec(),
                }))
            }
            Some(Constant::Quantized(_) | Constant::Other(_)) => {
                Err(call.unsupported("of constants of this type"))
            }
            None => Err(call.unusable("input")),
        }
    }

    fn joined(&mut self, call: &Call<'_>) -> Result<Values, GraphError> {
        let (mut ints, mut floats) = (vec![], vec![]);
        for i in 0..call.inputs.len() {
            match self.values(call, i)? {
                Values::Ints(part) => ints.push(part),
                Values::Floats(part) => floats.push(part),
            }
        }
        let rank = match (ints.first(), floats.first()) {
            (Some(part), None) => part.shape.len(),
            (None, Some(part)) => part.shape.len(),
            _ => return Err(call.unsupported("of floats and something else")),
        };
        let along = axis(call.node.int("axis").unwrap_or(0), rank);
        let joined = along.and_then(|along| match ints.is_empty() {
            false => Array::joined(&ints, along).map(Values::Ints),
            true => Array::joined(&floats, along).map(Values::Floats),
        });
        joined.ok_or_else(|| call.unusable("shape arithmetic"))
    }

    /// `x` no lower and no higher than bounds that are inputs, or attributes before opset 11.
    fn between(&mut self, call: &Call<'_>, x: Values) -> Result<Option<Values>, GraphError> {
        let mut bounded = Some(x);
        for (i, name) in [(1, "min"), (2, "max")] {
            let bound = match (call.input(i), call.node.float(name)) {
                (Some(_), _) => self.values(call, i)?,
                (None, Some(bound)) => Values::Floats(Array::list(vec![bound])),
                (None, None) => continue,
            };
            // A lower bound is the least that there may be.
            bounded = bounded.and_then(|x| match (x, bound) {
                (Values::Ints(x), Values::Ints(bound)) => {
                    let &[bound] = &bound.values[..] else {
                        return None;
                    };
                    let each = |v: i64| Some(if i == 1 { v.max(bound) } else { v.min(bound) });
                    x.mapped(each).map(Values::Ints)
                }
                (Values::Floats(x), Values::Floats(bound)) => {
                    let &[bound] = &bound.values[..] else {
                        return None;
                    };
                    let each = |v: f32| Some(if i == 1 { v.max(bound) } else { v.min(bound) });
                    x.mapped(each).map(Values::Floats)
                }
                _ => None,
            });
        }
        Ok(bounded)
    }

    /// `Where`: the second input where the first is not zero, else the third.
    fn chosen(&mut self, call: &Call<'_>) -> Result<Values, GraphError> {
        let unusable = || call.unusable("shape arithmetic");
        let condition = Array::from(integers(call, 0)?);
        let mut sides = vec![];
        for i in [1, 2] {
            sides.push(self.values(call, i)?);
        }
        let (Some(no), Some(yes)) = (sides.pop(), sides.pop()) else {
            return Err(unusable());
        };
        let made = match (&yes, &no) {
            (Values::Ints(yes), Values::Ints(no)) => pick(&condition, yes, no).map(Values::Ints),
            (Values::Floats(yes), Values::Floats(no)) => {
                pick(&condition, yes, no).map(Values::Floats)
            }
            _ => None,
        };
        made.ok_or_else(unusable)
    }

    fn split_constant(&mut self, call: &Call<'_>) -> Result<Vec<Values>, GraphError> {
        let x = self.values(call, 0)?;
        let (along, sizes) = call.split(x.shape())?;
        let mut start = 0;
        let mut parts = vec![];
        for size in sizes {
            let mut spans: Vec<Span> = x.shape().iter().map(|&n| Span::whole(n)).collect();
            spans[along] = Span {
                start,
                count: size,
                step: 1,
            };
            start += size;
            let part = match &x {
                Values::Ints(x) => x.sliced(&spans).map(Values::Ints),
                Values::Floats(x) => x.sliced(&spans).map(Values::Floats),
            };
            parts.push(part.ok_or_else(|| call.unusable("split"))?);
        }
        Ok(parts)
    }
}

fn range(call: &Call<'_>) -> Result<Values, GraphError> {
    let one = |i: usize| match integers(call, i)?.values[..] {
        [value] => Ok(value),
        _ => Err(call.unusable("whole numbers")),
    };
    let (start, limit, step) = (one(0)?, one(1)?, one(2)?);
    let unusable = || call.unusable("shape arithmetic");
    let room = limit.checked_sub(start).ok_or_else(unusable)?;
    let count = match step {
        0 => return Err(unusable()),
        _ if (room > 0) != (step > 0) => 0,
        _ => room.unsigned_abs().div_ceil(step.unsigned_abs()),
    };
    if count > MAX_INTEGERS as u64 {
        return Err(call.unsupported("to so many whole numbers"));
    }
    let values = (0..count as i64).map(|i| i.checked_mul(step)?.checked_add(start));
    let values = values.collect::<Option<_>>().ok_or_else(unusable)?;
    Ok(Values::Ints(Array::list(values)))
}

/// Weights that are one number everywhere, which take no memory: of models that were published without their weights. Lists are
/// made as any other constant, since they may be scales that are read at once.
fn filled_weights(call: &Call<'_>) -> Result<Option<Tensor>, GraphError> {
    if call.node.op_type != "ConstantOfShape" {
        return Ok(None);
    }
    let value = match call.node.attributes.get("value") {
        Some(Attribute::Tensor(Constant::Floats(value))) if value.len() == 1 => value.to_vec()[0],
        None => 0.0,
        Some(_) => return Ok(None),
    };
    let shape = lengths(integers(call, 0)?).ok_or_else(|| call.unusable("shape"))?;
    if shape.len() < 2 {
        return Ok(None);
    }
    let count = shape.iter().try_fold(1_usize, |all, &n| all.checked_mul(n));
    match count {
        Some(count) if count <= MAX_FILLED => Ok(Some(Tensor::repeated(shape, value))),
        _ => Err(call.unsupported("to so many numbers")),
    }
}

fn constant_of_shape(call: &Call<'_>) -> Result<Values, GraphError> {
    let shape = lengths(integers(call, 0)?);
    let made = shape.and_then(|shape| match call.node.attributes.get("value") {
        Some(Attribute::Tensor(Constant::Ints(ints))) => {
            Array::filled(shape, *ints.values.first()?).map(Values::Ints)
        }
        Some(Attribute::Tensor(Constant::Floats(value))) if value.len() == 1 => {
            Array::filled(shape, value.to_vec()[0]).map(Values::Floats)
        }
        None => Array::filled(shape, 0.0).map(Values::Floats),
        Some(_) => None,
    });
    made.ok_or_else(|| call.unusable("shape arithmetic"))
}

fn lengths(ints: &Integers) -> Option<Vec<usize>> {
    let lengths = ints.values.iter().map(|&n| usize::try_from(n).ok());
    lengths.collect()
}

fn integers<'a>(call: &'a Call<'_>, i: usize) -> Result<&'a Integers, GraphError> {
    match call.constant(i) {
        Some(Constant::Ints(ints)) => Ok(ints),
        _ => Err(call.unusable("whole numbers")),
    }
}

impl Value {
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}
