//! `.npy`: numpy's file for one array. Weights come as an array of Python objects, which is a
//! pickle behind the header.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use std::sync::Arc;

use thiserror::Error;

use super::numpy::{self, NumpyError};
use super::pickle::{self, PickleError};
use super::source::Source;
use super::{Contents, Shape};

pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Bytes of header at most; numpy itself reads 10,000.
const MAX_HEADER: usize = 64 << 10;

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
    if !matches!(header.descr.as_str(), "|O" | "O" | "|O8" | "|O4") {
        return Err(NpyError::PlainArray {
            descr: header.descr,
            shape: header.shape,
        });
    }
    let pickle = pickle::load(file, start, numpy::Global::find)?;
    let (tensors, skipped) = numpy::tensors(source, &pickle, &header.shape)?;
    Ok(Contents {
        tensors,
        skipped,
        ..Contents::default()
    })
}

#[derive(Debug, PartialEq)]
struct Header {
    /// The element type: numpy's string for it, or `a record` for a list of fields.
    descr: String,
    shape: Vec<usize>,
}

/// Reads the header and says where the array's own bytes begin.
fn header(file: &[u8]) -> Result<(Header, usize), NpyError> {
    let prefix = |end: usize| {
        file.get(..end).ok_or_else(|| NpyError::Truncated {
            missing: end - file.len(),
        })
    };
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
        let (mut descr, mut shape) = (None, None);
        self.expect("{")?;
        while self.expect("}").is_none() {
            let key = self.string()?;
            self.expect(":")?;
            match key {
                "descr" if self.rest.trim_start().starts_with('[') => {
                    // Fields of a record: numbers in any case, and no need to know which.
                    return Some(Header {
                        descr: "a record".to_owned(),
                        shape: Vec::new(),
                    });
                }
                "descr" => descr = Some(self.string()?.to_owned()),
                "fortran_order" => self.expect("False").or_else(|| self.expect("True"))?,
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
        let header = |descr: &str, shape: &[usize]| {
            Some(Header {
                descr: descr.to_owned(),
                shape: shape.to_vec(),
            })
        };
        assert_eq!(
            parse("{'descr': '|O', 'fortran_order': False, 'shape': (), }      \n"),
            header("|O", &[])
        );
        assert_eq!(
            parse("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}\n"),
            header("<f4", &[2, 3])
        );
        assert_eq!(
            parse("{'shape': (5L,), 'fortran_order': False, \"descr\": '>f8'}"),
            header(">f8", &[5])
        );
        let record =
            "{'descr': [('a', '<f4'), ('b', '<i4')], 'fortran_order': False, 'shape': (2,), }";
        assert_eq!(parse(record), header("a record", &[]));
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
