use half::{bf16, f16};

use super::super::element::Endian;
use super::super::latin1::Latin1;
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
