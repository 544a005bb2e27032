//! Shapes and strides: how many elements there are, and which lies where.

use std::ops::Range;

/// Order of the elements of a dense array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::weights) enum Order {
    /// Row major: the last index runs fastest.
    C,
    /// Column major: the first index runs fastest.
    Fortran,
}

/// The product of a shape; `None` when it, or a product on the way (a 0 may hide it), does not fit.
pub(in crate::weights) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .filter(|&&n| n > 0)
        .try_fold(1_usize, |product, &n| product.checked_mul(n))?;
    Some(shape.iter().product())
}

/// Elements of a view that repeats its data, such as one bias for all channels, at most: as many as the largest matrix
/// that anybody has in a classifier.
const MAX_REPEATED: usize = 1 << 27;

/// From the first element of a view to its last; `None` when they are not among `found`, or when there are so many more
/// in the view that nothing but harm needs them.
pub(super) fn elements_of_view(
    shape: &[usize],
    strides: &[usize],
    offset: usize,
    found: usize,
) -> Option<Range<usize>> {
    match element_count(shape)? {
        0 => Some(0..0),
        count if count > found.max(MAX_REPEATED) => None,
        _ => {
            let mut dimensions = shape.iter().zip(strides);
            let last = dimensions.try_fold(offset, |last, (&length, &stride)| {
                last.checked_add((length - 1).checked_mul(stride)?)
            })?;
            (last < found).then(|| offset..last + 1)
        }
    }
}

pub(super) fn dense_strides(shape: &[usize], order: Order) -> Vec<usize> {
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    let mut set = |i: usize| {
        strides[i] = stride;
        stride *= shape[i];
    };
    match order {
        Order::C => (0..shape.len()).rev().for_each(&mut set),
        Order::Fortran => (0..shape.len()).for_each(&mut set),
    }
    strides
}
