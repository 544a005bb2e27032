//! A tensor inside a file: its shape, and views of it. Nothing is converted before it is asked for.

mod data;
mod read;
mod strides;

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::element::{DType, Element};
use super::source::Source;
pub(super) use data::Data;
pub(super) use strides::{Order, element_count};
use strides::{dense_strides, elements_of_view};

/// Why a shape and its data do not make a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TensorError {
    /// More elements announced than any memory holds.
    #[error("a shape of {shape:?} announces more elements than any memory holds")]
    TooLarge {
        /// As the file has it.
        shape: Vec<usize>,
    },
    /// The announced elements and the data differ in length.
    #[error("a shape of {shape:?} in {} takes {needed} bytes, but there are {found}", .dtype.name())]
    Length {
        /// As the file has it.
        shape: Vec<usize>,
        /// As the file has it.
        dtype: DType,
        /// Bytes that shape and type ask for.
        needed: usize,
        /// Bytes of data there are.
        found: usize,
    },
    /// A view that reaches beyond its data, or repeats them without measure.
    #[error(
        "a view of shape {shape:?} and strides {strides:?} from element {offset} does not fit its {found} elements"
    )]
    View {
        /// As the file has it.
        shape: Vec<usize>,
        /// Distance in elements between neighbours along each dimension.
        strides: Vec<usize>,
        /// First element.
        offset: usize,
        /// Elements there are.
        found: usize,
    },
}

/// A tensor in a file: shape, element type and where its bytes lie. Cheap to clone; keeps its file
/// mapped.
#[derive(Clone, Debug)]
pub struct Tensor {
    source: Arc<Source>,
    data: Data,
    element: Element,
    shape: Vec<usize>,
    /// Distance in elements between neighbours along each dimension.
    strides: Vec<usize>,
    /// At most one along each dimension.
    scales: Vec<Arc<Scale>>,
    /// A tensor of the same shape that the elements are multiplied by as they are read.
    mask: Option<Arc<Tensor>>,
}

/// Factors that elements are multiplied by as they are read.
#[derive(Clone, Debug)]
struct Scale {
    /// Dimension along which they differ.
    axis: usize,
    /// One for each place along it.
    factors: Vec<f64>,
    /// What is subtracted from the elements before: of a quantised tensor's first scale one for each place, else none.
    zeros: Vec<f64>,
}

impl Tensor {
    /// A tensor whose elements fill `data` exactly, in `order`.
    pub(super) fn dense(
        source: &Arc<Source>,
        data: Data,
        element: Element,
        shape: Vec<usize>,
        order: Order,
    ) -> Result<Self, TensorError> {
        let count = element_count(&shape);
        let Some(needed) = count.and_then(|n| n.checked_mul(element.dtype.size())) else {
            return Err(TensorError::TooLarge { shape });
        };
        let found = data.len();
        if needed != found {
            return Err(TensorError::Length {
                shape,
                dtype: element.dtype,
                needed,
                found,
            });
        }
        let strides = dense_strides(&shape, order);
        Ok(Self {
            source: Arc::clone(source),
            data,
            element,
            shape,
            strides,
            scales: vec![],
            mask: None,
        })
    }

    /// A view of the elements at `span` in the file: the first is number `offset`, and neighbours
    /// along a dimension lie `strides` elements apart. They may repeat, within bounds.
    ///
    /// # Panics
    /// If there are not as many strides as dimensions.
    pub(super) fn view(
        source: &Arc<Source>,
        span: Range<usize>,
        element: Element,
        offset: usize,
        shape: Vec<usize>,
        strides: Vec<usize>,
    ) -> Result<Self, TensorError> {
        assert_eq!(shape.len(), strides.len(), "a stride for each dimension");
        let size = element.dtype.size();
        let found = span.len() / size;
        let Some(elements) = elements_of_view(&shape, &strides, offset, found) else {
            return Err(TensorError::View {
                shape,
                strides,
                offset,
                found,
            });
        };
        let data = Data::Raw(span.start + elements.start * size..span.start + elements.end * size);
        Ok(Self {
            source: Arc::clone(source),
            data,
            element,
            shape,
            strides,
            scales: vec![],
            mask: None,
        })
    }

    /// A dense tensor of `values` in memory, row by row.
    ///
    /// # Panics
    /// If `shape` does not hold as many.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let data = Data::Raw(0..bytes.len());
        let source = Arc::new(Source::Owned(bytes));
        Self::dense(&source, data, Element::F32_LE, shape, Order::C)
            .expect("as many values as the shape holds")
    }

    /// A tensor that holds `value` everywhere and takes four bytes: a shape to plan with.
    pub fn repeated(shape: Vec<usize>, value: f32) -> Self {
        let strides = vec![0; shape.len()];
        Self {
            shape,
            strides,
            ..Self::from_f32(vec![], &[value])
        }
    }

    /// The same elements, in C order, under another shape; `None` where it holds another number of them, or where
    /// they do not lie in C order, and are not one number everywhere, or are scaled.
    pub fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        let fits = element_count(&shape) == Some(self.len());
        let plain = self.scales.is_empty() && self.mask.is_none();
        if fits && plain && self.strides.iter().all(|&stride| stride == 0) {
            let strides = vec![0; shape.len()];
            return Some(Self {
                shape,
                strides,
                ..self.clone()
            });
        }
        let mask = match &self.mask {
            Some(mask) => Some(Arc::new(mask.reshaped(shape.clone())?)),
            None => None,
        };
        (fits && self.scales.is_empty() && self.is_contiguous()).then(|| Self {
            strides: dense_strides(&shape, Order::C),
            shape,
            mask,
            ..self.clone()
        })
    }

    /// The same tensor with every element multiplied by that of `mask`, as it is read. `None` where the shapes differ.
    pub(super) fn masked(&self, mask: &Self) -> Option<Self> {
        (self.shape == mask.shape && self.mask.is_none()).then(|| Self {
            mask: Some(Arc::new(mask.clone())),
            ..self.clone()
        })
    }

    /// The same tensor with every element multiplied by the factor of its place along `axis`, in float64, as it is
    /// read: a batch normalisation costs no copy of the matrix it follows.
    ///
    /// # Panics
    /// If there is not one factor for each place.
    #[must_use]
    pub fn scaled(&self, axis: usize, factors: Vec<f64>) -> Self {
        assert_eq!(factors.len(), self.shape[axis], "one factor a place");
        let mut scales = self.scales.clone();
        match scales.iter_mut().find(|scale| scale.axis == axis) {
            Some(scale) => {
                let pairs = scale.factors.iter().zip(&factors);
                let factors = pairs.map(|(a, b)| a * b).collect();
                *scale = Arc::new(Scale {
                    factors,
                    ..(**scale).clone()
                });
            }
            None => scales.push(Arc::new(Scale {
                axis,
                factors,
                zeros: vec![],
            })),
        }
        Self {
            scales,
            ..self.clone()
        }
    }

    /// The same tensor with every element less the zero of its place along `axis`, times the factor there: what quantised weights
    /// stand for.
    ///
    /// # Panics
    /// If there is not one of each for each place, or the tensor is scaled already.
    #[must_use]
    pub fn dequantized(&self, axis: usize, factors: Vec<f64>, zeros: Vec<f64>) -> Self {
        assert_eq!([factors.len(), zeros.len()], [self.shape[axis]; 2]);
        assert!(self.scales.is_empty(), "whole numbers have no scale yet");
        let scale = Scale {
            axis,
            factors,
            zeros,
        };
        Self {
            scales: vec![Arc::new(scale)],
            ..self.clone()
        }
    }

    /// Length of each dimension, outermost first, as the file has it; empty for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Type of the elements in the file.
    pub fn dtype(&self) -> DType {
        self.element.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no element, because a dimension is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same elements with dimension `order[i]` in place `i`; nothing is moved.
    ///
    /// # Panics
    /// When `order` has not each dimension once.
    #[must_use]
    pub fn permuted(&self, order: &[usize]) -> Self {
        let mut seen = vec![false; self.shape.len()];
        for &from in order {
            seen[from] = true;
        }
        assert!(order.len() == seen.len() && seen.iter().all(|&seen| seen));
        let moved = |scale: &Arc<Scale>| {
            let axis = order.iter().position(|&from| from == scale.axis);
            Arc::new(Scale {
                axis: axis.expect("each dimension is in the order"),
                ..(**scale).clone()
            })
        };
        Self {
            shape: order.iter().map(|&from| self.shape[from]).collect(),
            strides: order.iter().map(|&from| self.strides[from]).collect(),
            scales: self.scales.iter().map(moved).collect(),
            mask: self
                .mask
                .as_ref()
                .map(|mask| Arc::new(mask.permuted(order))),
            ..self.clone()
        }
    }

    /// Whether the elements lie row by row, without gaps.
    pub fn is_contiguous(&self) -> bool {
        let expected = dense_strides(&self.shape, Order::C);
        let mut dimensions = self.shape.iter().zip(&self.strides).zip(expected);
        self.is_empty()
            || dimensions.all(|((&length, &stride), expected)| length == 1 || stride == expected)
    }
}

#[cfg(test)]
mod tests;
