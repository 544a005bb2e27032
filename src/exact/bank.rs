//! Filters as matrices of float64, ready for products.

use std::iter::StepBy;
use std::slice;

use ndarray::{ArrayView2, ShapeBuilder};

use crate::network::FilterLayout;

/// A convolution's filters, in the file's order.
pub(super) struct Filters {
    pub(super) values: Vec<f32>,
    pub(super) layout: FilterLayout,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
    /// Rows and columns.
    pub(super) taps: [usize; 2],
}

impl Filters {
    /// Pairs of an output and an input: elements of each matrix of a bank.
    pub(super) fn pairs(&self) -> usize {
        self.outputs * self.inputs
    }

    /// Of each pair, in the file's order, a tap's weight.
    pub(super) fn of_tap(&self, tap: usize) -> StepBy<slice::Iter<'_, f32>> {
        let [pair_stride, tap_stride] = match self.layout {
            FilterLayout::Oihw => [self.taps[0] * self.taps[1], 1],
            FilterLayout::Hwio => [1, self.pairs()],
        };
        self.values[tap * tap_stride..].iter().step_by(pair_stride)
    }

    /// The same of all taps, of which there are `N`.
    pub(super) fn each_tap<const N: usize>(&self) -> [StepBy<slice::Iter<'_, f32>>; N] {
        std::array::from_fn(|tap| self.of_tap(tap))
    }
}

/// Matrices one after the other, each of outputs x inputs, for a tap or for a point of Winograd's.
pub(super) struct Bank {
    values: Vec<f64>,
    shape: [usize; 2],
    strides: [usize; 2],
}

impl Bank {
    /// From values in the order of pairs in the file.
    pub(super) fn new(filters: &Filters, values: Vec<f64>) -> Self {
        let &Filters {
            outputs, inputs, ..
        } = filters;
        Self {
            values,
            shape: [outputs, inputs],
            strides: match filters.layout {
                FilterLayout::Oihw => [inputs, 1],
                FilterLayout::Hwio => [1, outputs],
            },
        }
    }

    /// Its memory, for another.
    pub(super) fn into_values(self) -> Vec<f64> {
        self.values
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(&self.values[..])
    }

    pub(super) fn matrix(&self, number: usize) -> ArrayView2<'_, f64> {
        let [outputs, inputs] = self.shape;
        let values = &self.values[number * outputs * inputs..][..outputs * inputs];
        let shape = self.shape.strides(self.strides);
        ArrayView2::from_shape(shape, values).expect("a network's filters are whole")
    }
}
