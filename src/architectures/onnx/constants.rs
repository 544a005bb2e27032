//! Arithmetic on what is known beforehand: shapes, mostly, and weights that an exporter left in pieces.

use crate::weights::Tensor;
use crate::weights::onnx::{Attribute, Constant, Integers};

use super::array::{Array, Span};
use super::attributes::axis;
use super::layers::Call;
use super::shapes::{permutation, squeezed, target, unsqueezed};
use super::{GraphError, Import, Value, names, quantized};

/// Elements that arithmetic may make in all; shapes take dozens, weights that are put together some thousands.
pub(super) const MAX_FOLDED: usize = 4 << 20;
/// Weights that are one number everywhere: as many as the largest matrix of a classifier has.
const MAX_FILLED: usize = 1 << 27;
/// Whole numbers in one result.
const MAX_INTEGERS: usize = 4096;

/// A constant's values.
enum Values {
    Ints(Array<i64>),
    Floats(Array<f32>),
}

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
                let shape = super::array::broadcast(x.shape(), &asked).ok_or_else(unusable)?;
                x.each(|x| x.spread(&shape), |x| x.spread(&shape))
            }
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
            _ => return Err(unknown(call)),
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

impl Values {
    fn shape(&self) -> &[usize] {
        match self {
            Self::Ints(array) => &array.shape,
            Self::Floats(array) => &array.shape,
        }
    }

    /// The same for either type.
    fn each(
        self,
        ints: impl FnOnce(Array<i64>) -> Option<Array<i64>>,
        floats: impl FnOnce(Array<f32>) -> Option<Array<f32>>,
    ) -> Option<Self> {
        match self {
            Self::Ints(array) => ints(array).map(Self::Ints),
            Self::Floats(array) => floats(array).map(Self::Floats),
        }
    }

    /// Of whole numbers only.
    fn whole(self, each: impl Fn(i64) -> Option<i64>) -> Option<Self> {
        match self {
            Self::Ints(array) => array.mapped(each).map(Self::Ints),
            Self::Floats(_) => None,
        }
    }
}

impl Call<'_> {
    /// The dimension that `Split` cuts, and the lengths of its parts.
    pub(super) fn split(&self, shape: &[usize]) -> Result<(usize, Vec<usize>), GraphError> {
        let unusable = || self.unusable("split");
        let along = axis(self.node.int("axis").unwrap_or(0), shape.len());
        let along = along.ok_or_else(unusable)?;
        let length = shape[along];
        let sizes: Option<Vec<usize>> = if let Some(sizes) = self.ints("split", 1) {
            let sizes = sizes.iter().map(|&size| usize::try_from(size).ok());
            sizes.collect()
        } else {
            let parts = self.node.outputs.len().max(1);
            let size = length.div_ceil(parts);
            let taken = |i: usize| (i * size).min(length);
            Some((0..parts).map(|i| taken(i + 1) - taken(i)).collect())
        };
        let sizes = sizes.ok_or_else(unusable)?;
        let all = sizes.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n));
        (all == Some(length) && sizes.len() == self.node.outputs.len())
            .then_some((along, sizes))
            .ok_or_else(unusable)
    }
}

/// `yes` where the condition is not zero, else `no`.
fn pick<T: Copy>(condition: &Array<i64>, yes: &Array<T>, no: &Array<T>) -> Option<Array<T>> {
    let pairs = yes.paired(no, |yes, no| Some((yes, no)))?;
    let shape = super::array::broadcast(&condition.shape, &pairs.shape)?;
    let (condition, pairs) = (condition.spread(&shape)?, pairs.spread(&shape)?);
    let each = condition.values.iter().zip(&pairs.values);
    let values = each.map(|(&c, &(yes, no))| if c != 0 { yes } else { no });
    Some(Array {
        values: values.collect(),
        shape,
    })
}

/// What a `Cast` makes, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Float,
    Whole,
    Bool,
}

fn cast_to(call: &Call<'_>) -> Result<Type, GraphError> {
    if call.node.op_type == "CastLike" {
        return match call.constant(1) {
            Some(Constant::Ints(_)) => Ok(Type::Whole),
            _ => Ok(Type::Float),
        };
    }
    match call.node.int("to").unwrap_or(1) {
        1 | 10 | 11 | 16 => Ok(Type::Float),
        2..=7 | 12 | 13 => Ok(Type::Whole),
        9 => Ok(Type::Bool),
        _ => Err(call.unsupported("to this type")),
    }
}

fn cast(x: Values, to: Type) -> Values {
    fn each<T: Copy, U>(x: &Array<T>, as_other: impl Fn(T) -> U) -> Array<U> {
        Array {
            values: x.values.iter().map(|&value| as_other(value)).collect(),
            shape: x.shape.clone(),
        }
    }
    match (x, to) {
        (Values::Ints(x), Type::Float) => Values::Floats(each(&x, |v| v as f32)),
        (Values::Ints(x), Type::Bool) => Values::Ints(each(&x, |v| i64::from(v != 0))),
        (Values::Floats(x), Type::Whole) => Values::Ints(each(&x, |v| v as i64)),
        (Values::Floats(x), Type::Bool) => Values::Ints(each(&x, |v| i64::from(v != 0.0))),
        (same, _) => same,
    }
}

fn unary(op: &str, x: Values) -> Option<Values> {
    x.each(
        |x| {
            x.mapped(|v| match op {
                "Floor" | "Ceil" | "Round" => Some(v),
                "Neg" => v.checked_neg(),
                "Abs" => v.checked_abs(),
                _ => None,
            })
        },
        |x| {
            x.mapped(|v| {
                Some(match op {
                    "Floor" => v.floor(),
                    "Ceil" => v.ceil(),
                    "Round" => v.round_ties_even(),
                    "Sqrt" => v.sqrt(),
                    "Reciprocal" => v.recip(),
                    "Neg" => -v,
                    "Abs" => v.abs(),
                    "Exp" => v.exp(),
                    _ => v.ln(),
                })
            })
        },
    )
}

fn reduced(call: &Call<'_>, x: Values) -> Result<Option<Values>, GraphError> {
    let op = call.node.op_type.as_str();
    let rank = x.shape().len();
    let keep = call.node.int("keepdims").unwrap_or(1) != 0;
    let axes = match call.ints("axes", 1) {
        Some(axes) if !axes.is_empty() => axes.iter().map(|&a| axis(a, rank)).collect(),
        _ if call.node.int("noop_with_empty_axes").unwrap_or(0) != 0 => return Ok(Some(x)),
        _ => Some((0..rank).collect::<Vec<usize>>()),
    };
    let axes = axes.ok_or_else(|| call.unusable("axes"))?;
    let count: usize = axes.iter().map(|&i| x.shape()[i]).product();
    Ok(match x {
        Values::Ints(x) => {
            let add = |a: i64, b: i64| match op {
                "ReduceProd" => a.checked_mul(b),
                "ReduceSum" => a.checked_add(b),
                "ReduceMax" => Some(a.max(b)),
                "ReduceMin" => Some(a.min(b)),
                _ => None,
            };
            let all = x.reduced(&axes, keep, |a| a, add);
            all.map(Values::Ints)
        }
        Values::Floats(x) => {
            let squares = matches!(op, "ReduceL2" | "ReduceSumSquare");
            let wide = |v: f32| f64::from(v) * if squares { f64::from(v) } else { 1.0 };
            let all = x.reduced(&axes, keep, wide, |a, b| {
                let b = wide(b);
                Some(match op {
                    "ReduceProd" => a * b,
                    "ReduceMax" => a.max(b),
                    "ReduceMin" => a.min(b),
                    _ => a + b,
                })
            });
            let ended = all.and_then(|all| {
                all.mapped(|v| {
                    Some(match op {
                        "ReduceMean" => v / count as f64,
                        "ReduceL2" => v.sqrt(),
                        _ => v,
                    } as f32)
                })
            });
            ended.map(Values::Floats)
        }
    })
}

/// Element by element.
fn pairs(call: &Call<'_>, x: Values, y: Values) -> Option<Values> {
    let op = call.node.op_type.as_str();
    match (x, y) {
        (Values::Ints(x), Values::Ints(y)) => {
            let made = x.paired(&y, |a, b| match op {
                "Add" => a.checked_add(b),
                "Sub" => a.checked_sub(b),
                "Mul" => a.checked_mul(b),
                "Div" => a.checked_div(b),
                // The sign is the divisor's, or with `fmod` the dividend's.
                "Mod" if call.node.int("fmod").unwrap_or(0) != 0 => a.checked_rem(b),
                "Mod" => a
                    .checked_rem(b)
                    .map(|rest| match rest != 0 && (rest < 0) != (b < 0) {
                        true => rest + b,
                        false => rest,
                    }),
                "Pow" => a.checked_pow(u32::try_from(b).ok()?),
                "Min" => Some(a.min(b)),
                "Max" => Some(a.max(b)),
                "And" => Some(i64::from(a != 0 && b != 0)),
                "Or" => Some(i64::from(a != 0 || b != 0)),
                "Xor" => Some(i64::from((a != 0) != (b != 0))),
                _ => compared(op, [a, b]),
            });
            made.map(Values::Ints)
        }
        (Values::Floats(x), Values::Floats(y)) => {
            let compares = x.paired(&y, |a, b| compared(op, [a, b]));
            if let Some(compared) = compares.filter(|_| compared(op, [0.0, 0.0]).is_some()) {
                return Some(Values::Ints(compared));
            }
            let made = x.paired(&y, |a, b| {
                Some(match op {
                    "Add" => a + b,
                    "Sub" => a - b,
                    "Mul" => a * b,
                    "Div" => a / b,
                    "Pow" => a.powf(b),
                    "Min" => a.min(b),
                    "Max" => a.max(b),
                    _ => return None,
                })
            });
            made.map(Values::Floats)
        }
        // A power may be of another type than what it is taken of.
        (Values::Floats(x), y @ Values::Ints(_)) if op == "Pow" => {
            pairs(call, Values::Floats(x), cast(y, Type::Float))
        }
        _ => None,
    }
}

fn compared<T: PartialOrd + Copy>(op: &str, [a, b]: [T; 2]) -> Option<i64> {
    Some(i64::from(match op {
        "Equal" => a == b,
        "Less" => a < b,
        "LessOrEqual" => a <= b,
        "Greater" => a > b,
        "GreaterOrEqual" => a >= b,
        _ => return None,
    }))
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

fn order(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, GraphError> {
    let reversed: Vec<i64> = (0..rank as i64).rev().collect();
    let order = call.node.ints("perm").unwrap_or(&reversed);
    permutation(order, rank).ok_or_else(|| call.unusable("perm"))
}

/// What `Slice` takes of each dimension; attributes before opset 10, inputs since.
pub(super) fn spans(call: &Call<'_>, shape: &[usize]) -> Result<Vec<Span>, GraphError> {
    let unusable = || call.unusable("slice");
    let starts = call.ints("starts", 1).ok_or_else(unusable)?;
    let ends = call.ints("ends", 2).ok_or_else(unusable)?;
    let given = |name: &str, input: usize| {
        call.input(input).is_some() || call.node.attributes.contains_key(name)
    };
    let axes = match given("axes", 3) {
        true => call.ints("axes", 3).ok_or_else(unusable)?,
        false => (0..starts.len() as i64).collect(),
    };
    let steps = match given("steps", 4) {
        true => call.ints("steps", 4).ok_or_else(unusable)?,
        false => vec![1; starts.len()],
    };
    let all = [ends.len(), axes.len(), steps.len()];
    if all != [starts.len(); 3] {
        return Err(unusable());
    }
    let mut spans: Vec<Span> = shape.iter().map(|&n| Span::whole(n)).collect();
    for i in 0..starts.len() {
        let along = axis(axes[i], shape.len()).ok_or_else(unusable)?;
        let span = Span::of_slice(starts[i], ends[i], steps[i], shape[along]);
        spans[along] = span.ok_or_else(unusable)?;
    }
    Ok(spans)
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
