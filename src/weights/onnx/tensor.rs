//! A `TensorProto`: floats stay where they are in the file, small whole numbers become plain values.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::Skipped;
use super::super::element::{DType, Element, Endian};
use super::super::source::Source;
use super::super::tensor::{Data, Order, Tensor, element_count};
use super::wire::{Field, Message, varint};
use super::{Constant, ENTRY, Integers, OnnxError, Reader};

/// Whole numbers in one tensor that are kept: shapes and axes have a few, places that are gathered some thousands.
const MAX_INTEGERS: usize = 1 << 14;
/// The same of a type that weights are quantised to.
const MAX_SHORT: usize = 1024;
/// Dimensions at most.
const MAX_RANK: usize = 32;

/// Element types by their number in `onnx.proto`.
pub(super) fn type_name(number: i64) -> &'static str {
    const NAMES: [&str; 17] = [
        "undefined",
        "float32",
        "uint8",
        "int8",
        "uint16",
        "int16",
        "int32",
        "int64",
        "string",
        "bool",
        "float16",
        "float64",
        "uint32",
        "uint64",
        "complex64",
        "complex128",
        "bfloat16",
    ];
    let known = usize::try_from(number).ok().and_then(|n| NAMES.get(n));
    known.copied().unwrap_or("a type of 8 bits or less")
}

/// The whole number in so many raw bytes.
type Decode = fn(&[u8]) -> i64;

/// How the whole numbers of a type lie in raw bytes: how many each takes, and what they say.
fn integer(data_type: i64) -> Option<(usize, Decode)> {
    fn le<const N: usize>(bytes: &[u8]) -> [u8; N] {
        std::array::from_fn(|i| bytes[i])
    }
    Some(match data_type {
        2 | 9 => (1, |b| i64::from(b[0])),
        3 => (1, |b| i64::from(b[0] as i8)),
        4 => (2, |b| i64::from(u16::from_le_bytes(le(b)))),
        5 => (2, |b| i64::from(i16::from_le_bytes(le(b)))),
        6 => (4, |b| i64::from(i32::from_le_bytes(le(b)))),
        7 => (8, |b| i64::from_le_bytes(le(b))),
        12 => (4, |b| i64::from(u32::from_le_bytes(le(b)))),
        _ => return None,
    })
}

fn float(data_type: i64) -> Option<DType> {
    Some(match data_type {
        1 => DType::F32,
        10 => DType::F16,
        11 => DType::F64,
        16 => DType::BF16,
        _ => return None,
    })
}

/// Whole numbers in a tensor of this type that are kept.
fn most(data_type: i64) -> usize {
    match whole(data_type) {
        Some(_) => MAX_SHORT,
        None => MAX_INTEGERS,
    }
}

/// Whole numbers that weights are quantised to.
fn whole(data_type: i64) -> Option<DType> {
    Some(match data_type {
        2 => DType::U8,
        3 => DType::I8,
        6 => DType::I32,
        _ => return None,
    })
}

/// The fields of the message, as places in the file.
#[derive(Default)]
struct Fields {
    name: String,
    shape: Vec<usize>,
    data_type: i64,
    raw: Option<Range<usize>>,
    /// `float_data` or `double_data`: runs of bytes as they are.
    floats: Vec<Range<usize>>,
    /// `int32_data` or `int64_data`: runs of varints.
    varints: Vec<Range<usize>>,
    external: BTreeMap<String, String>,
    is_external: bool,
    segmented: bool,
}

/// Reads the tensor in `range` and its name.
pub(super) fn read(
    reader: &mut Reader<'_>,
    range: Range<usize>,
) -> Result<(String, Constant), OnnxError> {
    let fields = fields(reader, range)?;
    // It is listed twice, in the graph and among the tensors; shape and strides are lists of their own.
    reader.charge(2 * (ENTRY + fields.shape.len() * 2 * size_of::<usize>()))?;
    let Fields {
        name,
        shape,
        data_type,
        ..
    } = &fields;
    let skipped = || {
        Constant::Other(Skipped {
            dtype: type_name(*data_type).into(),
            shape: shape.clone(),
        })
    };
    let constant = if fields.segmented {
        skipped()
    } else if let Some(dtype) = float(*data_type) {
        let (source, data) = floats(reader, &fields, dtype)?;
        let element = Element {
            dtype,
            endian: Endian::Little,
        };
        let tensor = Tensor::dense(&source, Data::Raw(data), element, shape.clone(), Order::C);
        Constant::Floats(tensor.map_err(|error| OnnxError::Tensor {
            name: name.clone(),
            error,
        })?)
    } else if let Some((size, decode)) = integer(*data_type) {
        match element_count(shape) {
            Some(count) if count <= most(*data_type) && !fields.is_external => {
                reader.charge(count * size_of::<i64>())?;
                let values = integers(reader, &fields, size, decode);
                let values = values
                    .filter(|values| values.len() == count)
                    .ok_or_else(|| OnnxError::Integers { name: name.clone() })?;
                Constant::Ints(Integers {
                    shape: shape.clone(),
                    values,
                    dtype: type_name(*data_type),
                })
            }
            _ => match whole(*data_type).filter(|_| fields.is_external || fields.raw.is_some()) {
                Some(dtype) => {
                    let (source, data) = floats(reader, &fields, dtype)?;
                    let element = Element {
                        dtype,
                        endian: Endian::Little,
                    };
                    let tensor =
                        Tensor::dense(&source, Data::Raw(data), element, shape.clone(), Order::C);
                    Constant::Quantized(tensor.map_err(|error| OnnxError::Tensor {
                        name: name.clone(),
                        error,
                    })?)
                }
                None => skipped(),
            },
        }
    } else {
        skipped()
    };
    Ok((fields.name, constant))
}

fn fields(reader: &mut Reader<'_>, range: Range<usize>) -> Result<Fields, OnnxError> {
    let file = reader.file();
    let mut fields = Fields::default();
    let mut dimensions = vec![];
    let mut message = Message::within(file, range);
    loop {
        let began = message.position();
        let Some((number, field)) = message.next()? else {
            break;
        };
        match (number, field) {
            (1, Field::Varint(value)) => dimensions.push(value),
            (1, Field::Bytes(range)) => {
                let room = MAX_RANK.saturating_sub(dimensions.len()) + 1;
                dimensions.extend(varints(&file[range]).take(room));
            }
            (2, field) => fields.data_type = field.int().unwrap_or(0),
            (3, _) => fields.segmented = true,
            (4 | 10, Field::Bytes(range) | Field::Fixed32(range) | Field::Fixed64(range)) => {
                reader.charge(size_of::<Range<usize>>())?;
                fields.floats.push(range);
            }
            (5 | 7, Field::Bytes(range)) => {
                reader.charge(size_of::<Range<usize>>())?;
                fields.varints.push(range);
            }
            // One number a field, as the first protobuf writers had it: after the field's own number, to where the next begins.
            (5 | 7, Field::Varint(_)) => {
                reader.charge(size_of::<Range<usize>>())?;
                let key = file[began..].iter().position(|byte| byte & 0x80 == 0);
                let key = key.expect("a field was read here") + 1;
                fields.varints.push(began + key..message.position());
            }
            (8, Field::Bytes(range)) => fields.name = reader.string(range)?,
            (9, Field::Bytes(range)) => fields.raw = Some(range),
            (13, Field::Bytes(range)) => {
                let (key, value) = reader.entry(range)?;
                fields.external.insert(key, value);
            }
            (14, field) => fields.is_external = field.int() == Some(1),
            _ => {}
        }
        if dimensions.len() > MAX_RANK {
            return Err(OnnxError::TooComplex);
        }
    }
    for value in dimensions {
        let length = usize::try_from(value as i64).map_err(|_| OnnxError::Dimension {
            name: fields.name.clone(),
            found: value as i64,
        })?;
        fields.shape.push(length);
    }
    Ok(fields)
}

/// Where a tensor's floats are: in the file, beside it, or in memory where the file has them in an encoding that no
/// GPU reads.
fn floats(
    reader: &mut Reader<'_>,
    fields: &Fields,
    dtype: DType,
) -> Result<(Arc<Source>, Range<usize>), OnnxError> {
    let here = Arc::clone(reader.source);
    if fields.is_external {
        let count = element_count(&fields.shape).unwrap_or(usize::MAX);
        let needed = count.saturating_mul(dtype.size());
        let found = reader.folder.find(&fields.external, needed);
        return found.map_err(|error| OnnxError::External {
            name: fields.name.clone(),
            error,
        });
    }
    if let Some(raw) = &fields.raw {
        return Ok((here, raw.clone()));
    }
    if let [only] = &fields.floats[..] {
        return Ok((here, only.clone()));
    }
    let file = reader.file();
    // Half precision is stored as the bits of whole numbers.
    let halves = if dtype.size() == 2 {
        &fields.varints[..]
    } else {
        &[]
    };
    let numbers = halves.iter().map(|range| count(&file[range.clone()]));
    let length = numbers.sum::<usize>() * 2 + fields.floats.iter().map(Range::len).sum::<usize>();
    reader.charge_copy(length)?;
    let mut bytes = Vec::with_capacity(length);
    for range in &fields.floats {
        bytes.extend(&file[range.clone()]);
    }
    for range in halves {
        for value in varints(&file[range.clone()]) {
            bytes.extend((value as u16).to_le_bytes());
        }
    }
    let length = bytes.len();
    Ok((Arc::new(Source::Owned(bytes)), 0..length))
}

/// Whole numbers from raw bytes or varints; `None` where there are too many or their bytes are not whole.
fn integers(reader: &Reader<'_>, fields: &Fields, size: usize, decode: Decode) -> Option<Vec<i64>> {
    let file = reader.file();
    if let Some(raw) = &fields.raw {
        let raw = &file[raw.clone()];
        let whole = raw.len().is_multiple_of(size) && raw.len() / size <= MAX_INTEGERS;
        return whole.then(|| raw.chunks_exact(size).map(decode).collect());
    }
    let runs = fields.varints.iter();
    let values = runs.flat_map(|range| varints(&file[range.clone()]));
    let values: Vec<i64> = values
        .take(MAX_INTEGERS + 1)
        .map(|value| value as i64)
        .collect();
    (values.len() <= MAX_INTEGERS).then_some(values)
}

/// How many numbers there are at most: each ends with a byte below 128.
fn count(bytes: &[u8]) -> usize {
    bytes.iter().filter(|&&byte| byte < 0x80).count()
}

/// Numbers one after the other; ends at the first that is not whole.
pub(super) fn varints(mut bytes: &[u8]) -> impl Iterator<Item = u64> + '_ {
    std::iter::from_fn(move || {
        let (value, length) = varint(bytes)?;
        bytes = &bytes[length..];
        Some(value)
    })
}
