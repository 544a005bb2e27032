//! `.npy`: numpy's file for one array. Weights come as an array of Python objects, which is a
//! pickle behind the header.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use super::numpy::{self, Kind, NumpyError};
use super::pickle::{self, PickleError};
use super::pickled::MAX_DIMENSIONS;
use super::source::Source;
use super::tensor::{Data, Order, Tensor, TensorError};
use super::{Contents, Shape, Skipped};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Bytes of header at most; numpy itself reads 10,000.
const MAX_HEADER: usize = 64 << 10;
/// Bytes of a file at most before the array's own.
const LARGEST_PREFIX: usize = 12 + MAX_HEADER;

/// Why a `.npy` file was not read as weights.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NpyError {
    /// The file ends within the header.
    #[error(
        "the file is cut off: at least {missing} more bytes belong to it, copy or download it again"
    )]
    Truncated {
        /// Bytes that the header lacks; the array follows it.
        missing: usize,
    },
    /// A version of the format that came later than this reader.
    #[error("version {0} of the .npy format is not known: numpy.save writes 1, 2 or 3")]
    Version(u8),
    /// The header is not what numpy writes.
    #[error("the .npy header is damaged")]
    Header,
    /// An array of numbers.
    #[error(
        "one plain array ({descr}, {}), not a dictionary of layers: \
         weights come as numpy.save('weights.npy', {{'conv1_1': [weights, biases], ...}})", Shape(.shape)
    )]
    PlainArray {
        /// Element type in numpy's notation, `<f4`.
        descr: String,
        /// Lengths of the dimensions.
        shape: Vec<usize>,
    },
    /// The array's shape does not fit its data.
    #[error(transparent)]
    Tensor(#[from] TensorError),
    /// A pickle that takes much memory.
    #[error("a compressed pickle of {bytes} bytes: numpy.savez writes it without compression")]
    CompressedPickle {
        /// Its length when it is unpacked.
        bytes: usize,
    },
    /// The pickle was refused or is damaged.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// The objects in the pickle are not arrays in dictionaries and lists.
    #[error(transparent)]
    Numpy(#[from] NumpyError),
}

/// Reads the tensors of a pickled `.npy`, named by their path through the dictionaries and lists
/// that hold them.
pub(super) fn read(source: &Arc<Source>) -> Result<Contents, NpyError> {
    let file = source.bytes();
    let (header, start) = header(file)?;
    match header.kind() {
        Kind::Object => objects(source, start..file.len(), &header.shape, ""),
        Kind::Float(_) | Kind::Other(_) => Err(NpyError::PlainArray {
            descr: header.descr,
            shape: header.shape,
        }),
    }
}

/// Reads the `.npy` in `data`, a member of an `.npz`, as the tensor `name` or, where it is pickled,
/// as tensors with names below that. A compressed pickle is unpacked into memory, and takes its
/// length off `room`.
pub(super) fn read_member(
    source: &Arc<Source>,
    data: Data,
    name: &str,
    room: &mut usize,
) -> Result<Contents, NpyError> {
    let mut head = vec![0; data.len().min(LARGEST_PREFIX)];
    data.decode(source.bytes(), 0, &mut head);
    let (header, length) = header(&head)?;
    let mut contents = Contents::default();
    match (header.kind(), data) {
        (Kind::Object, Data::Raw(span)) => {
            return objects(source, span.start + length..span.end, &header.shape, name);
        }
        (Kind::Object, packed) => {
            let bytes = packed.len();
            *room = room
                .checked_sub(bytes)
                .ok_or(NpyError::CompressedPickle { bytes })?;
            let mut unpacked = vec![0; bytes];
            packed.decode(source.bytes(), 0, &mut unpacked);
            let unpacked = Arc::new(Source::Owned(unpacked));
            return objects(&unpacked, length..bytes, &header.shape, name);
        }
        (Kind::Float(element), data) => {
            let data = data.skip(length);
            let tensor = Tensor::dense(source, data, element, header.shape, header.order)?;
            contents.push(name.to_owned(), tensor);
        }
        (Kind::Other(dtype), _) => {
            let shape = header.shape;
            let skipped = Skipped { dtype, shape };
            contents.skipped.insert(name.to_owned(), skipped);
        }
    }
    Ok(contents)
}

fn objects(
    source: &Arc<Source>,
    span: Range<usize>,
    shape: &[usize],
    name: &str,
) -> Result<Contents, NpyError> {
    let file = &source.bytes()[..span.end];
    let pickle = pickle::load(file, span.start, &numpy::DIALECT)?;
    Ok(numpy::read(source, &pickle, shape, name)?)
}

#[derive(Debug, PartialEq)]
struct Header {
    /// The element type: numpy's string for it, or `a record` for a list of fields.
    descr: String,
    order: Order,
    shape: Vec<usize>,
}

impl Header {
    fn kind(&self) -> Kind {
        let (endian, code) = numpy::type_code(&self.descr);
        Kind::of(endian, code)
    }
}

/// Reads the header and says where the array's own bytes begin.
fn header(file: &[u8]) -> Result<(Header, usize), NpyError> {
    let prefix = |end: usize| {
        file.get(..end).ok_or_else(|| NpyError::Truncated {
            missing: end - file.len(),
        })
    };
    if prefix(MAGIC.len())? != MAGIC {
        return Err(NpyError::Header);
    }
    let version = prefix(MAGIC.len() + 2)?[MAGIC.len()];
    let (start, length) = match version {
        1 => {
            let [.., low, high] = *prefix(10)? else {
                unreachable!("ten bytes")
            };
            (10, usize::from(u16::from_le_bytes([low, high])))
        }
        2 | 3 => {
            let [.., a, b, c, d] = *prefix(12)? else {
                unreachable!("twelve bytes")
            };
            (12, u32::from_le_bytes([a, b, c, d]) as usize)
        }
        newer => return Err(NpyError::Version(newer)),
    };
    if length > MAX_HEADER {
        return Err(NpyError::Header);
    }
    let text = &prefix(start + length)?[start..];
    let text = std::str::from_utf8(text).map_err(|_| NpyError::Header)?;
    let header = Literal { rest: text }.header().ok_or(NpyError::Header)?;
    Ok((header, start + length))
}

/// The Python literal of a header: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn header(mut self) -> Option<Header> {
        let (mut descr, mut order, mut shape) = (None, None, None);
        self.expect("{")?;
        while self.expect("}").is_none() {
            let key = self.string()?;
            self.expect(":")?;
            match key {
                "descr" if self.rest.trim_start().starts_with('[') => {
                    // Fields of a record: numbers in any case, and no need to know which.
                    return Some(Header {
                        descr: "a record".to_owned(),
                        order: Order::C,
                        shape: Vec::new(),
                    });
                }
                "descr" => descr = Some(self.string()?.to_owned()),
                "fortran_order" => {
                    order = Some(match self.expect("False") {
                        Some(()) => Order::C,
                        None => self.expect("True").map(|()| Order::Fortran)?,
                    });
                }
                "shape" => shape = Some(self.shape()?),
                _ => return None,
            }
            if self.expect(",").is_none() {
                self.expect("}")?;
                break;
            }
        }
        if !self.rest.trim().is_empty() {
            return None;
        }
        Some(Header {
            descr: descr?,
            order: order?,
            shape: shape?,
        })
    }

    /// Passes over `token` and the blanks before it, if it is next.
    fn expect(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(token)?;
        Some(())
    }

    fn string(&mut self) -> Option<&'a str> {
        let quote = if self.expect("'").is_some() {
            '\''
        } else {
            self.expect("\"").map(|()| '"')?
        };
        let (string, rest) = self.rest.split_once(quote)?;
        self.rest = rest;
        (!string.contains('\\')).then_some(string)
    }

    fn shape(&mut self) -> Option<Vec<usize>> {
        let mut shape = Vec::new();
        self.expect("(")?;
        while self.expect(")").is_none() {
            self.rest = self.rest.trim_start();
            let digits = self.rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, rest) = self.rest.split_at(digits);
            shape.push(number.parse().ok()?);
            if shape.len() > MAX_DIMENSIONS {
                return None;
            }
            // Python 2 may mark a long integer.
            self.rest = rest.strip_prefix('L').unwrap_or(rest);
            if self.expect(",").is_none() {
                self.expect(")")?;
                break;
            }
        }
        Some(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(literal: &str) -> Option<Header> {
        Literal { rest: literal }.header()
    }

    fn file(version: u8, literal: &str) -> Vec<u8> {
        let mut file = [MAGIC, &[version, 0]].concat();
        match version {
            1 => file.extend((literal.len() as u16).to_le_bytes()),
            _ => file.extend((literal.len() as u32).to_le_bytes()),
        }
        file.extend(literal.as_bytes());
        file
    }

    #[test]
    fn headers_are_read_as_numpy_of_either_python_writes_them() {
        let header = |descr: &str, order, shape: &[usize]| {
            Some(Header {
                descr: descr.to_owned(),
                order,
                shape: shape.to_vec(),
            })
        };
        assert_eq!(
            parse("{'descr': '|O', 'fortran_order': False, 'shape': (), }      \n"),
            header("|O", Order::C, &[])
        );
        assert_eq!(
            parse("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}\n"),
            header("<f4", Order::Fortran, &[2, 3])
        );
        assert_eq!(
            parse("{'shape': (5L,), 'fortran_order': False, \"descr\": '>f8'}"),
            header(">f8", Order::C, &[5])
        );
        let record =
            "{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (2,), }";
        assert_eq!(parse(record), header("a record", Order::C, &[]));
    }

    #[test]
    fn headers_that_numpy_does_not_write_are_refused() {
        for literal in [
            "",
            "{",
            "{}",
            "{'descr': '|O'}",
            "{'descr': '|O', 'shape': (1 2)}",
            "{'descr': '|O', 'shape': (-1,)}",
            "{'descr': '|O', 'shape': (99999999999999999999999,)}",
            "{'descr': '|O', 'shape': (1,), 'more': 1}",
            "{'descr': '|O', 'fortran_order': maybe, 'shape': ()}",
            "{'descr': '|O', 'fortran_order': False, 'shape': ()} x",
            "{'descr': '\\x7c', 'fortran_order': False, 'shape': ()}",
        ] {
            assert_eq!(parse(literal), None, "{literal}");
        }
    }

    #[test]
    fn versions_one_to_three_are_read_and_later_ones_named() {
        let literal = "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n";
        for (version, start) in [(1, 10), (2, 12), (3, 12)] {
            assert_eq!(
                header(&file(version, literal)).unwrap().1,
                start + literal.len()
            );
        }
        assert_eq!(header(&file(4, literal)), Err(NpyError::Version(4)));
    }

    #[test]
    fn a_header_cut_anywhere_says_that_bytes_are_missing() {
        let whole = file(
            1,
            "{'descr': '|O', 'fortran_order': False, 'shape': (), }\n",
        );
        for length in 0..whole.len() {
            assert!(
                matches!(header(&whole[..length]), Err(NpyError::Truncated { .. })),
                "{length} bytes"
            );
        }
    }
}
