//! Small dense arrays of any rank, and what graphs do with them before any picture is there.
//!
//! Each function gives `None` where its arguments do not fit the array, or where the result would take more than
//! [`MAX_BYTES`].

use crate::weights::onnx::{INT64, Integers};

/// Of one result.
pub(super) const MAX_BYTES: usize = 16 << 20;
/// Dimensions of one result.
const MAX_RANK: usize = 32;

/// Values in row-major order, as many as the shape holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Array<T> {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<T>,
}

/// Every `step`th of `count` places along a dimension, from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) count: usize,
    pub(super) step: isize,
}

impl Span {
    /// All places of a dimension.
    pub(super) fn whole(length: usize) -> Self {
        Self {
            start: 0,
            count: length,
            step: 1,
        }
    }

    /// What `Slice` takes of a dimension of `length` places: from `start` to before `end`, both counted from the end
    /// where they are negative, and clamped.
    pub(super) fn of_slice(start: i64, end: i64, step: i64, length: usize) -> Option<Self> {
        let length = i64::try_from(length).ok()?;
        let from_end = |at: i64| {
            if at < 0 {
                at.saturating_add(length)
            } else {
                at
            }
        };
        let (start, end) = (from_end(start), from_end(end));
        let (start, end, room) = match step {
            1.. => {
                let (start, end) = (start.clamp(0, length), end.clamp(0, length));
                (start, end, end - start)
            }
            0 => return None,
            // Downwards, `end` may lie before the first place.
            _ => {
                let (start, end) = (start.clamp(-1, length - 1), end.clamp(-1, length - 1));
                (start, end, start - end)
            }
        };
        debug_assert!(end <= length);
        let steps = i64::try_from(step.unsigned_abs()).unwrap_or(i64::MAX);
        let count = if room > 0 { (room - 1) / steps + 1 } else { 0 };
        Some(Self {
            start: usize::try_from(start).unwrap_or(0),
            count: usize::try_from(count).ok()?,
            // A step beyond the dimension is never taken.
            step: isize::try_from(step.clamp(-length - 1, length + 1)).ok()?,
        })
    }

    /// The places, in order.
    pub(super) fn places(self) -> impl Iterator<Item = usize> {
        (0..self.count).map(move |i| self.start.wrapping_add_signed(self.step * i as isize))
    }
}

/// How many elements of type `T` a shape holds, where that is a number to compute with; a length of 0 hides no absurd one.
fn elements<T>(shape: &[usize]) -> Option<usize> {
    let lengths = shape.iter().map(|&n| n.max(1));
    let count = lengths.fold(1_usize, usize::saturating_mul);
    let fits = shape.len() <= MAX_RANK && count <= MAX_BYTES / size_of::<T>();
    fits.then(|| shape.iter().product())
}

/// The shape of two that are spread over each other.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| {
        let lead = rank - shape.len();
        if i < lead { 1 } else { shape[i - lead] }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Some(x),
            (1, y) => Some(y),
            (x, 1) => Some(x),
            _ => None,
        })
        .collect()
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1_usize; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i].saturating_mul(shape[i]);
    }
    strides
}

impl<T: Copy> Array<T> {
    /// One dimension.
    pub(super) fn list(values: Vec<T>) -> Self {
        Self {
            shape: vec![values.len()],
            values,
        }
    }

    /// The same value everywhere.
    pub(super) fn filled(shape: Vec<usize>, value: T) -> Option<Self> {
        let values = vec![value; elements::<T>(&shape)?];
        Some(Self { shape, values })
    }

    /// The elements at these places of each dimension.
    fn picked(&self, places: &[Vec<usize>]) -> Option<Self> {
        let shape: Vec<usize> = places.iter().map(Vec::len).collect();
        let count = elements::<T>(&shape)?;
        let strides = strides(&self.shape);
        let mut values = Vec::with_capacity(count);
        for i in 0..count {
            let mut rest = i;
            let mut from = 0;
            for (places, stride) in places.iter().zip(&strides).rev() {
                from += places[rest % places.len()] * stride;
                rest /= places.len();
            }
            values.push(*self.values.get(from)?);
        }
        Some(Self { shape, values })
    }

    /// The elements that each dimension's span takes.
    pub(super) fn sliced(&self, spans: &[Span]) -> Option<Self> {
        elements::<T>(&self.shape)?;
        let places: Vec<Vec<usize>> = spans.iter().map(|span| span.places().collect()).collect();
        self.picked(&places)
    }

    /// The elements at `indices` along a dimension, which takes the shape of the indices.
    pub(super) fn gathered(&self, along: usize, indices: &Array<i64>) -> Option<Self> {
        elements::<T>(&self.shape)?;
        let length = *self.shape.get(along)?;
        let found = |&index: &i64| super::attributes::axis(index, length);
        let chosen: Vec<usize> = indices.values.iter().map(found).collect::<Option<_>>()?;
        let mut places: Vec<Vec<usize>> = self.shape.iter().map(|&n| (0..n).collect()).collect();
        places[along] = chosen;
        let mut picked = self.picked(&places)?;
        picked.shape.splice(along..=along, indices.shape.clone());
        (picked.shape.len() <= MAX_RANK).then_some(picked)
    }

    /// Dimension `order[i]` in place `i`, each once.
    pub(super) fn transposed(&self, order: &[usize]) -> Self {
        let shape: Vec<usize> = order.iter().map(|&from| self.shape[from]).collect();
        let old = strides(&self.shape);
        let values = (0..self.values.len()).map(|i| {
            let mut rest = i;
            let mut from = 0;
            for (&length, &axis) in shape.iter().zip(order).rev() {
                from += rest % length * old[axis];
                rest /= length;
            }
            self.values[from]
        });
        Self {
            values: values.collect(),
            shape,
        }
    }

    /// The same elements in another shape, which must hold as many.
    pub(super) fn reshaped(mut self, shape: Vec<usize>) -> Option<Self> {
        self.shape = shape;
        (elements::<T>(&self.shape)? == self.values.len()).then_some(self)
    }

    /// Spread to a shape that its own fits by the rules of broadcasting.
    pub(super) fn spread(&self, shape: &[usize]) -> Option<Self> {
        if broadcast(&self.shape, shape)? != shape {
            return None;
        }
        elements::<T>(shape)?;
        let lead = shape.len() - self.shape.len();
        let own = |i: usize| if i < lead { 1 } else { self.shape[i - lead] };
        let whole = Self {
            shape: (0..shape.len()).map(own).collect(),
            values: self.values.clone(),
        };
        let places: Vec<Vec<usize>> = (0..shape.len())
            .map(|i| match own(i) {
                1 => vec![0; shape[i]],
                n => (0..n).collect(),
            })
            .collect();
        whole.picked(&places)
    }

    /// The arrays one after the other along a dimension; the others are the same.
    pub(super) fn joined(parts: &[Self], along: usize) -> Option<Self> {
        let mut shape = parts.first()?.shape.clone();
        let others = |shape: &[usize]| {
            let mut shape = shape.to_vec();
            shape.remove(along);
            shape
        };
        if along >= shape.len() {
            return None;
        }
        let same = others(&shape);
        shape[along] = 0;
        for part in parts {
            if part.shape.len() != shape.len() || others(&part.shape) != same {
                return None;
            }
            shape[along] = shape[along].checked_add(part.shape[along])?;
        }
        let count = elements::<T>(&shape)?;
        let outer: usize = shape[..along].iter().product();
        let mut values = Vec::with_capacity(count);
        for i in 0..outer {
            for part in parts {
                let run: usize = part.shape[along..].iter().product();
                values.extend_from_slice(&part.values[i * run..][..run]);
            }
        }
        Some(Self { shape, values })
    }

    /// Each element as another.
    pub(super) fn mapped<U>(&self, each: impl Fn(T) -> Option<U>) -> Option<Array<U>> {
        let values = self.values.iter().map(|&value| each(value));
        Some(Array {
            values: values.collect::<Option<_>>()?,
            shape: self.shape.clone(),
        })
    }

    /// Element by element of two that are spread over each other.
    pub(super) fn paired<U>(
        &self,
        other: &Self,
        each: impl Fn(T, T) -> Option<U>,
    ) -> Option<Array<U>> {
        let shape = broadcast(&self.shape, &other.shape)?;
        let (a, b) = (self.spread(&shape)?, other.spread(&shape)?);
        let pairs = a.values.iter().zip(&b.values);
        let values = pairs.map(|(&a, &b)| each(a, b)).collect::<Option<_>>()?;
        Some(Array { shape, values })
    }

    /// All elements along `axes` as one: the first as `start` has it, and each further one added to it.
    pub(super) fn reduced<U: Copy>(
        &self,
        axes: &[usize],
        keep: bool,
        start: impl Fn(T) -> U,
        add: impl Fn(U, T) -> Option<U>,
    ) -> Option<Array<U>> {
        let others: Vec<usize> = (0..self.shape.len())
            .filter(|i| !axes.contains(i))
            .collect();
        let order = [&others[..], axes].concat();
        let run: usize = axes.iter().map(|&i| self.shape[i]).product();
        let turned = self.transposed(&order);
        let mut values = vec![];
        for part in turned.values.chunks(run.max(1)) {
            let (&first, rest) = part.split_first()?;
            values.push(
                rest.iter()
                    .try_fold(start(first), |all, &value| add(all, value))?,
            );
        }
        let shape: Vec<usize> = match keep {
            true => (0..self.shape.len())
                .map(|i| if axes.contains(&i) { 1 } else { self.shape[i] })
                .collect(),
            false => others.iter().map(|&i| self.shape[i]).collect(),
        };
        (elements::<U>(&shape)? == values.len()).then_some(Array { shape, values })
    }
}

impl From<&Integers> for Array<i64> {
    fn from(ints: &Integers) -> Self {
        Self {
            shape: ints.shape.clone(),
            values: ints.values.clone(),
        }
    }
}

impl From<Array<i64>> for Integers {
    fn from(array: Array<i64>) -> Self {
        Self {
            shape: array.shape,
            values: array.values,
            dtype: INT64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(shape: &[usize]) -> Array<i64> {
        Array {
            shape: shape.to_vec(),
            values: (0..shape.iter().product::<usize>() as i64).collect(),
        }
    }

    #[test]
    fn slices_go_either_way_as_the_standard_has_them() {
        let places = |start, end, step| {
            let span = Span::of_slice(start, end, step, 5).unwrap();
            span.places().collect::<Vec<_>>()
        };
        assert_eq!(places(1, 4, 1), [1, 2, 3]);
        assert_eq!(places(-2, i64::MAX, 1), [3, 4]);
        assert_eq!(places(0, 5, 2), [0, 2, 4]);
        assert_eq!(places(-1, i64::MIN, -1), [4, 3, 2, 1, 0]);
        assert_eq!(places(4, 0, -2), [4, 2]);
        assert_eq!(places(3, 3, 1), [0; 0]);
        assert_eq!(places(9, -9, -3), [4, 1]);
        assert_eq!(places(0, 5, i64::MAX), [0]);
        assert_eq!(places(4, i64::MIN, i64::MIN), [4]);
        assert_eq!(Span::of_slice(0, 5, 0, 5), None);
        let none = Span::of_slice(-1, i64::MIN, -1, 0).unwrap();
        assert_eq!(none.count, 0);
    }

    #[test]
    fn two_dimensions_are_turned_sliced_and_joined() {
        let array = counted(&[2, 3]);
        assert_eq!(array.transposed(&[1, 0]).values, [0, 3, 1, 4, 2, 5]);
        let reversed = Span::of_slice(-1, i64::MIN, -1, 2).unwrap();
        let sliced = array.sliced(&[reversed, Span::whole(3)]).unwrap();
        assert_eq!(sliced.values, [3, 4, 5, 0, 1, 2]);
        let joined = Array::joined(&[array.clone(), counted(&[2, 1])], 1).unwrap();
        assert_eq!(joined.shape, [2, 4]);
        assert_eq!(joined.values, [0, 1, 2, 0, 3, 4, 5, 1]);
        assert_eq!(Array::joined(&[array.clone(), counted(&[3, 1])], 1), None);
        let indices = Array {
            shape: vec![1, 2],
            values: vec![-1, 0],
        };
        let gathered = array.gathered(1, &indices).unwrap();
        assert_eq!(gathered.shape, [2, 1, 2]);
        assert_eq!(gathered.values, [2, 0, 5, 3]);
        assert_eq!(array.gathered(0, &Array::list(vec![2])), None);
    }

    #[test]
    fn arrays_are_spread_over_each_other_and_reduced() {
        let array = counted(&[2, 3]);
        let sums = array.paired(&counted(&[2, 1]), i64::checked_add);
        assert_eq!(sums.unwrap().values, [0, 1, 2, 4, 5, 6]);
        assert_eq!(array.paired(&counted(&[2]), i64::checked_add), None);
        let total = |axes: &[usize], keep| array.reduced(axes, keep, |a| a, i64::checked_add);
        let rows = total(&[1], true).unwrap();
        assert_eq!(
            (&rows.shape[..], &rows.values[..]),
            (&[2, 1][..], &[3, 12][..])
        );
        let all = total(&[0, 1], false).unwrap();
        assert_eq!((&all.shape[..], &all.values[..]), (&[][..], &[15][..]));
        assert_eq!(
            counted(&[0]).reduced(&[0], true, |a| a, i64::checked_add),
            None
        );
        let large = Array::list(vec![1]).spread(&[1 << 40]);
        assert_eq!(large, None);
    }
}
