//! A tensor inside a file: where its bytes lie and how to read them as float32. Nothing is
//! converted before it is asked for.

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::deflated::Deflated;
use super::element::{DType, Element};
use super::latin1::Latin1;
use super::source::Source;

/// Bytes decoded from text or unpacked at once: many, since each beginning in the middle costs some.
const DECODED: usize = 256 << 10;

/// Elements read at once where all of a tensor is looked through.
const PIECE: usize = 1 << 20;

/// Order of the elements of a dense array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Row major: the last index runs fastest.
    C,
    /// Column major: the first index runs fastest.
    Fortran,
}

/// Where the bytes of a tensor lie in its source.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Raw(Range<usize>),
    Latin1(Arc<Latin1>),
    Deflated(Deflated),
}

impl Data {
    /// Bytes of data, decoded.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Raw(range) => range.len(),
            Self::Latin1(text) => text.len(),
            Self::Deflated(packed) => packed.len(),
        }
    }

    /// The same bytes in a file without the first `count`, of at most `len()`; text has none that
    /// could be left out.
    pub(super) fn skip(self, count: usize) -> Self {
        match self {
            Self::Raw(range) => Self::Raw(range.start + count..range.end),
            Self::Deflated(packed) => Self::Deflated(packed.skip(count)),
            Self::Latin1(_) => unreachable!("text lies within a pickle"),
        }
    }

    /// Writes the decoded bytes from `start` on into `out`. Panics if they are not there.
    pub(super) fn decode(&self, file: &[u8], start: usize, out: &mut [u8]) {
        match self {
            Self::Raw(range) => out.copy_from_slice(&file[range.clone()][start..][..out.len()]),
            Self::Latin1(text) => text.decode(file, start, out),
            Self::Deflated(packed) => packed.decode(file, start, out),
        }
    }
}

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
    /// A view that reaches beyond its data, or shows more elements than there are data.
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
}

/// Factors that elements are multiplied by as they are read.
#[derive(Debug)]
struct Scale {
    /// Dimension along which they differ.
    axis: usize,
    /// One for each place along it.
    factors: Vec<f64>,
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
        })
    }

    /// A view of the elements at `span` in the file: the first is number `offset`, and neighbours
    /// along a dimension lie `strides` elements apart. There are no more elements in the view than
    /// in the file, so that none is announced for nothing.
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
    /// they do not lie in C order or are scaled.
    pub fn reshaped(&self, shape: Vec<usize>) -> Option<Self> {
        let fits = element_count(&shape) == Some(self.len());
        (fits && self.scales.is_empty() && self.is_contiguous()).then(|| Self {
            strides: dense_strides(&shape, Order::C),
            shape,
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
                *scale = Arc::new(Scale { axis, factors });
            }
            None => scales.push(Arc::new(Scale { axis, factors })),
        }
        Self {
            scales,
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
        assert!(self.scales.is_empty(), "their axes would have to move too");
        Self {
            shape: order.iter().map(|&from| self.shape[from]).collect(),
            strides: order.iter().map(|&from| self.strides[from]).collect(),
            ..self.clone()
        }
    }

    /// Writes the elements `start..start + out.len()` in C (row-major) order into `out`, rounded to
    /// float32.
    ///
    /// # Panics
    /// When that range is not within `0..len()`.
    pub fn read(&self, start: usize, out: &mut [f32]) {
        self.check(start, out.len());
        self.read_unscaled(start, out);
        let inner = |axis: usize| self.shape[axis + 1..].iter().product();
        let scales: Vec<(usize, &[f64])> = self
            .scales
            .iter()
            .map(|scale| (inner(scale.axis), &scale.factors[..]))
            .collect();
        if !scales.is_empty() {
            for (i, value) in (start..).zip(out) {
                let factors = scales.iter().map(|(inner, f)| f[i / inner % f.len()]);
                *value = factors.fold(f64::from(*value), |value, f| value * f) as f32;
            }
        }
    }

    fn read_unscaled(&self, start: usize, out: &mut [f32]) {
        let file = self.source.bytes();
        let contiguous = self.is_contiguous();
        match &self.data {
            Data::Raw(range) if contiguous => {
                self.element.decode(&file[range.clone()], start, 1, out);
            }
            Data::Raw(range) => self.gather(&file[range.clone()], start, out),
            encoded if contiguous => {
                let size = self.element.dtype.size();
                let mut decoded = vec![0; DECODED.min(out.len() * size)];
                let mut first = start;
                for piece in out.chunks_mut(DECODED / size) {
                    let decoded = &mut decoded[..piece.len() * size];
                    encoded.decode(file, first * size, decoded);
                    self.element.decode(decoded, 0, 1, piece);
                    first += piece.len();
                }
            }
            // Both are rare. Neighbours lie far apart and text is decoded in one direction: all of
            // it.
            encoded => {
                let mut decoded = vec![0; encoded.len()];
                encoded.decode(file, 0, &mut decoded);
                self.gather(&decoded, start, out);
            }
        }
    }

    /// All elements in C (row-major) order as float32.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut values = vec![0.0; self.len()];
        self.read(0, &mut values);
        values
    }

    /// The first element that is infinite or no number, and where it is in C order. Reads all of them, in pieces.
    pub fn first_not_finite(&self) -> Option<(usize, f32)> {
        let mut piece = vec![0.0; PIECE.min(self.len())];
        (0..self.len()).step_by(PIECE).find_map(|start| {
            let piece = &mut piece[..PIECE.min(self.len() - start)];
            self.read(start, piece);
            self.release(start, piece.len());
            let found = piece.iter().position(|value| !value.is_finite())?;
            Some((start + found, piece[found]))
        })
    }

    /// The elements as the file has them, when these are float32 in little-endian C order: nothing
    /// is copied, and the first byte may lie at any address.
    pub fn f32_bytes(&self) -> Option<&[u8]> {
        match &self.data {
            Data::Raw(range)
                if self.element == Element::F32_LE
                    && self.scales.is_empty()
                    && self.is_contiguous() =>
            {
                Some(&self.source.bytes()[range.clone()])
            }
            _ => None,
        }
    }

    /// Tells the system that the elements `start..start + len` are not needed soon, so that a large
    /// file does not stay in memory beside its copy on the GPU. They may be read again all the
    /// same. Without effect where nothing is mapped.
    ///
    /// # Panics
    /// When that range is not within `0..len()`.
    pub fn release(&self, start: usize, len: usize) {
        self.check(start, len);
        let size = self.element.dtype.size();
        // Elements in another order are spread over all of the data.
        let bytes = if self.is_contiguous() {
            start * size..(start + len) * size
        } else {
            0..self.data.len()
        };
        if bytes.is_empty() {
            return;
        }
        self.source.release(match &self.data {
            Data::Raw(range) => range.start + bytes.start..range.start + bytes.end,
            Data::Latin1(text) => text.encoded(bytes),
            Data::Deflated(packed) => packed.packed(),
        });
    }

    fn check(&self, start: usize, len: usize) {
        let end = start.checked_add(len);
        assert!(
            end.is_some_and(|end| end <= self.len()),
            "elements {start}+{len} of {}",
            self.len()
        );
    }

    /// Whether the elements lie row by row, without gaps.
    pub fn is_contiguous(&self) -> bool {
        let expected = dense_strides(&self.shape, Order::C);
        let mut dimensions = self.shape.iter().zip(&self.strides).zip(expected);
        self.is_empty()
            || dimensions.all(|((&length, &stride), expected)| length == 1 || stride == expected)
    }

    /// Reads elements `start..` in C order through the strides, one run along the last dimension
    /// after the other.
    fn gather(&self, data: &[u8], start: usize, out: &mut [f32]) {
        let Some((&row, &step)) = self.shape.last().zip(self.strides.last()) else {
            return self.element.decode(data, 0, 1, out);
        };
        let mut next = start;
        let mut rest = out;
        while !rest.is_empty() {
            let column = next % row;
            let (run, others) = rest.split_at_mut((row - column).min(rest.len()));
            self.element.decode(data, self.offset(next), step, run);
            next += run.len();
            rest = others;
        }
    }

    /// Position in the data, in elements, of element `index` in C order.
    fn offset(&self, mut index: usize) -> usize {
        let mut offset = 0;
        for (&length, &stride) in self.shape.iter().zip(&self.strides).rev() {
            offset += index % length * stride;
            index /= length;
        }
        offset
    }
}

/// The product of a shape; `None` when it, or a product on the way (a 0 may hide it), does not fit.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .filter(|&&n| n > 0)
        .try_fold(1_usize, |product, &n| product.checked_mul(n))?;
    Some(shape.iter().product())
}

/// From the first element of a view to its last; `None` when they are not among `found`.
fn elements_of_view(
    shape: &[usize],
    strides: &[usize],
    offset: usize,
    found: usize,
) -> Option<Range<usize>> {
    match element_count(shape)? {
        0 => Some(0..0),
        count if count > found => None,
        _ => {
            let mut dimensions = shape.iter().zip(strides);
            let last = dimensions.try_fold(offset, |last, (&length, &stride)| {
                last.checked_add((length - 1).checked_mul(stride)?)
            })?;
            (last < found).then(|| offset..last + 1)
        }
    }
}

fn dense_strides(shape: &[usize], order: Order) -> Vec<usize> {
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

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::super::element::Endian;
    use super::*;

    fn tensor(bytes: Vec<u8>, element: Element, shape: &[usize], order: Order) -> Tensor {
        let data = Data::Raw(0..bytes.len());
        Tensor::dense(
            &Arc::new(Source::Owned(bytes)),
            data,
            element,
            shape.to_vec(),
            order,
        )
        .unwrap()
    }

    fn f32_le(values: impl IntoIterator<Item = f32>) -> Vec<u8> {
        values.into_iter().flat_map(f32::to_le_bytes).collect()
    }

    #[test]
    fn every_type_in_either_byte_order_reads_as_the_same_numbers() {
        let values = [1.0_f32, -2.5, 0.0, 65504.0];
        let little: [(DType, Vec<u8>); 4] = [
            (
                DType::F16,
                values
                    .iter()
                    .flat_map(|&v| f16::from_f32(v).to_le_bytes())
                    .collect(),
            ),
            (
                DType::BF16,
                values
                    .iter()
                    .flat_map(|&v| bf16::from_f32(v).to_le_bytes())
                    .collect(),
            ),
            (DType::F32, f32_le(values)),
            (
                DType::F64,
                values
                    .iter()
                    .flat_map(|&v| f64::from(v).to_le_bytes())
                    .collect(),
            ),
        ];
        for (dtype, bytes) in little {
            let last = if dtype == DType::BF16 {
                65536.0
            } else {
                65504.0
            };
            let big = bytes
                .chunks(dtype.size())
                .flat_map(|element| element.iter().rev().copied())
                .collect();
            for (endian, bytes) in [(Endian::Little, bytes), (Endian::Big, big)] {
                let tensor = tensor(bytes, Element { dtype, endian }, &[4], Order::C);
                assert_eq!(
                    tensor.to_vec(),
                    [1.0, -2.5, 0.0, last],
                    "{dtype:?} {endian:?}"
                );
                let plain = dtype == DType::F32 && endian == Endian::Little;
                assert_eq!(tensor.f32_bytes().is_some(), plain, "{dtype:?} {endian:?}");
            }
        }
    }

    #[test]
    fn column_major_elements_come_out_in_row_major_order_from_any_start() {
        let [d, h, w] = [3, 4, 5];
        let mut bytes = Vec::new();
        for k in 0..w {
            for j in 0..h {
                bytes.extend(f32_le((0..d).map(|i| (i * 100 + j * 10 + k) as f32)));
            }
        }
        let tensor = tensor(bytes, Element::F32_LE, &[d, h, w], Order::Fortran);
        let expected: Vec<f32> = (0..d * h * w)
            .map(|n| (n / 20 * 100 + n / 5 % 4 * 10 + n % 5) as f32)
            .collect();
        assert!(tensor.f32_bytes().is_none());
        for start in 0..expected.len() {
            for end in start..=expected.len() {
                let mut out = vec![f32::NAN; end - start];
                tensor.read(start, &mut out);
                assert_eq!(out, expected[start..end], "{start}..{end}");
            }
        }
        tensor.release(0, tensor.len());
    }

    #[test]
    fn a_scale_along_any_dimension_multiplies_what_is_read_from_any_start() {
        let values = f32_le((0..24).map(|i| i as f32));
        let plain = tensor(values, Element::F32_LE, &[2, 3, 4], Order::C);
        for (axis, at) in [(0, 12), (1, 4), (2, 1)] {
            let factors: Vec<f64> = (0..plain.shape()[axis]).map(|k| 10.0 + k as f64).collect();
            let length = factors.len();
            let scaled = plain.scaled(axis, factors);
            assert!(scaled.f32_bytes().is_none());
            assert!(scaled.reshaped(vec![24]).is_none());
            let mut out = [0.0; 11];
            scaled.read(7, &mut out);
            let expected = (7..18).map(|i| (i * (10 + i / at % length)) as f32);
            assert!(out.iter().copied().eq(expected), "{axis}");
            // A second one along the same dimension, and one along another.
            let twice = scaled.scaled(axis, vec![2.0; length]);
            let other = (axis + 1) % 3;
            let halves = vec![0.5; plain.shape()[other]];
            assert_eq!(
                twice.scaled(other, halves).to_vec(),
                scaled.to_vec(),
                "{axis}"
            );
        }
    }

    #[test]
    fn a_tensor_in_row_major_order_takes_any_shape_of_as_many_elements() {
        let values = f32_le((0..6).map(|i| i as f32));
        let rows = tensor(values.clone(), Element::F32_LE, &[2, 3], Order::C);
        let flat = rows.reshaped(vec![6, 1, 1]).unwrap();
        assert_eq!(flat.shape(), [6, 1, 1]);
        assert_eq!(flat.to_vec(), rows.to_vec());
        assert!(rows.reshaped(vec![5]).is_none());
        assert!(rows.reshaped(vec![usize::MAX, 2]).is_none());
        let columns = tensor(values, Element::F32_LE, &[2, 3], Order::Fortran);
        assert!(columns.reshaped(vec![6]).is_none());
    }

    #[test]
    fn column_major_is_row_major_where_at_most_one_dimension_is_longer_than_one() {
        for shape in [&[][..], &[1], &[7], &[1, 7, 1], &[7, 0, 2]] {
            let bytes = f32_le((0..shape.iter().product::<usize>()).map(|i| i as f32));
            let tensor = tensor(bytes.clone(), Element::F32_LE, shape, Order::Fortran);
            assert_eq!(tensor.f32_bytes(), Some(&bytes[..]), "{shape:?}");
        }
    }

    #[test]
    fn views_show_the_same_elements_in_another_order_or_shape() {
        let values: Vec<f32> = (0..24).map(|i| i as f32).collect();
        let tensor = Tensor::from_f32(vec![2, 3, 4], &values);
        let turned = tensor.permuted(&[2, 0, 1]);
        let expected: Vec<f32> = (0..24)
            .map(|i| (i / 3 % 2 * 12 + i % 3 * 4 + i / 6) as f32)
            .collect();
        assert_eq!(
            (turned.shape(), turned.to_vec()),
            (&[4, 2, 3][..], expected)
        );
        assert!(!turned.is_contiguous() && turned.f32_bytes().is_none());
        assert!(turned.reshaped(vec![24]).is_none());
        assert_eq!(turned.permuted(&[1, 2, 0]).f32_bytes(), tensor.f32_bytes());
        let flat = tensor.reshaped(vec![6, 4]).unwrap();
        assert_eq!((flat.shape(), flat.to_vec()), (&[6, 4][..], values));
        assert!(tensor.reshaped(vec![5, 5]).is_none());
        assert!(tensor.reshaped(vec![usize::MAX, 2]).is_none());
    }

    #[test]
    fn a_shape_must_fill_its_data_exactly_and_fit_memory() {
        let source = Arc::new(Source::Owned(vec![0; 16]));
        let dense = |shape: &[usize]| {
            Tensor::dense(
                &source,
                Data::Raw(0..16),
                Element::F32_LE,
                shape.to_vec(),
                Order::C,
            )
            .map(|t| t.len())
        };
        assert_eq!(dense(&[2, 2]), Ok(4));
        assert!(matches!(
            dense(&[5]),
            Err(TensorError::Length {
                needed: 20,
                found: 16,
                ..
            })
        ));
        assert!(matches!(dense(&[3]), Err(TensorError::Length { .. })));
        assert!(matches!(
            dense(&[1_000_000_000_000]),
            Err(TensorError::Length { .. })
        ));
        for shape in [
            &[usize::MAX, 2][..],
            &[usize::MAX / 2, 1],
            &[0, usize::MAX, 2],
            &[usize::MAX, usize::MAX, 0],
        ] {
            assert!(
                matches!(dense(shape), Err(TensorError::TooLarge { .. })),
                "{shape:?}"
            );
        }
    }

    #[test]
    fn a_tensor_written_as_text_reads_like_one_written_as_bytes() {
        let values: Vec<f32> = (0..90_000).map(|i| (i as f32).sin()).collect();
        let text: String = f32_le(values.iter().copied())
            .into_iter()
            .map(char::from)
            .collect();
        let source = Arc::new(Source::Owned(text.into_bytes()));
        let latin1 = Latin1::scan(&source, 0..source.bytes().len()).unwrap();
        let latin1 = Arc::new(latin1);
        let element = Element::F32_LE;
        let rows = Tensor::dense(
            &source,
            Data::Latin1(Arc::clone(&latin1)),
            element,
            vec![300, 300],
            Order::C,
        )
        .unwrap();
        assert_eq!(rows.to_vec(), values);
        assert!(rows.f32_bytes().is_none());
        let mut piece = vec![0.0; 80_000];
        rows.read(777, &mut piece);
        assert_eq!(piece, values[777..80_777]);
        let columns = Tensor::dense(
            &source,
            Data::Latin1(latin1),
            element,
            vec![300, 300],
            Order::Fortran,
        )
        .unwrap();
        columns.read(12_345, &mut piece[..2]);
        assert_eq!(piece[..2], [values[45 * 300 + 41], values[46 * 300 + 41]]);
    }
}
