//! Arithmetic of constants' values, whole numbers or floats.

use crate::weights::onnx::Constant;

use super::GraphError;
use super::array::{Array, broadcast};
use super::attributes::axis;
use super::layers::Call;

/// A constant's values.
pub(super) enum Values {
    Ints(Array<i64>),
    Floats(Array<f32>),
}

impl Values {
    pub(super) fn shape(&self) -> &[usize] {
        match self {
            Self::Ints(array) => &array.shape,
            Self::Floats(array) => &array.shape,
        }
    }

    /// The same for either type.
    pub(super) fn each(
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
    pub(super) fn whole(self, each: impl Fn(i64) -> Option<i64>) -> Option<Self> {
        match self {
            Self::Ints(array) => array.mapped(each).map(Self::Ints),
            Self::Floats(_) => None,
        }
    }
}

/// `yes` where the condition is not zero, else `no`.
pub(super) fn pick<T: Copy>(
    condition: &Array<i64>,
    yes: &Array<T>,
    no: &Array<T>,
) -> Option<Array<T>> {
    let pairs = yes.paired(no, |yes, no| Some((yes, no)))?;
    let shape = broadcast(&condition.shape, &pairs.shape)?;
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
pub(super) enum Type {
    Float,
    Whole,
    Bool,
}

pub(super) fn cast_to(call: &Call<'_>) -> Result<Type, GraphError> {
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

pub(super) fn cast(x: Values, to: Type) -> Values {
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

pub(super) fn unary(op: &str, x: Values) -> Option<Values> {
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

pub(super) fn reduced(call: &Call<'_>, x: Values) -> Result<Option<Values>, GraphError> {
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
pub(super) fn pairs(call: &Call<'_>, x: Values, y: Values) -> Option<Values> {
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
