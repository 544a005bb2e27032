//! Writes `{layer: [weights, biases]}` as `numpy.save` does, from a stream: 553 MB take no memory.

use std::io::{self, Write};

use super::seeded::Seeded;

/// The Python whose numpy the file is written like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Python {
    /// Protocol 2 with raw byte strings: the form of tensorflow-vgg's own files.
    Two,
    /// Protocol 3, as numpy 1.17 to 1.26 write.
    Three,
}

/// Writes the whole file. `out` should be buffered: most writes are of a few bytes.
pub(crate) fn write(
    out: &mut impl Write,
    python: Python,
    layers: &[[Seeded; 2]],
) -> io::Result<()> {
    let header = format!(
        "{:117}\n",
        "{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    );
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut pickle = Pickle { out, python };
    match python {
        Python::Two => pickle.raw(b"\x80\x02")?,
        Python::Three => pickle.raw(b"\x80\x03")?,
    }
    // The outermost array has no dimensions and holds one object.
    pickle.begin_array(&[])?;
    pickle.raw(b"cnumpy\ndtype\n")?;
    pickle.text("O8")?;
    pickle.raw(b"K\x00K\x01\x87R(K\x03")?;
    pickle.text("|")?;
    pickle.raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb\x89]}(")?;
    for pair in layers {
        pickle.text(pair[0].layer)?;
        pickle.raw(b"](")?;
        for tensor in pair {
            pickle.tensor(tensor)?;
        }
        pickle.raw(b"e")?;
    }
    pickle.raw(b"uatb.")
}

struct Pickle<'a, W> {
    out: &'a mut W,
    python: Python,
}

impl<W: Write> Pickle<'_, W> {
    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)
    }

    /// A `str` of either Python: bytes in the second, text in the third.
    fn text(&mut self, text: &str) -> io::Result<()> {
        match self.python {
            Python::Two => self.raw(&[b'U', text.len() as u8])?,
            Python::Three => {
                self.raw(b"X")?;
                self.raw(&(text.len() as u32).to_le_bytes())?;
            }
        }
        self.raw(text.as_bytes())
    }

    /// `_reconstruct(ndarray, (0,), b'b')`, then the state up to the shape.
    fn begin_array(&mut self, shape: &[usize]) -> io::Result<()> {
        self.raw(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85")?;
        self.raw(match self.python {
            Python::Two => b"U\x01b",
            Python::Three => b"C\x01b",
        })?;
        self.raw(b"\x87R(K\x01(")?;
        for &length in shape {
            self.raw(b"J")?;
            self.raw(&(length as i32).to_le_bytes())?;
        }
        self.raw(b"t")
    }

    fn tensor(&mut self, tensor: &Seeded) -> io::Result<()> {
        self.begin_array(&tensor.shape)?;
        match tensor.number {
            0 => {
                self.raw(b"cnumpy\ndtype\n")?;
                self.text("f4")?;
                self.raw(b"K\x00K\x01\x87Rq\x00(K\x03")?;
                self.text("<")?;
                self.raw(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")?;
            }
            // All arrays share the first one's type.
            _ => self.raw(b"h\x00")?,
        }
        self.raw(b"\x89")?;
        self.raw(match self.python {
            Python::Two => b"T",
            Python::Three => b"B",
        })?;
        self.raw(&(4 * tensor.len() as u32).to_le_bytes())?;
        let mut chunk = Vec::with_capacity(64 << 10);
        for value in tensor.values() {
            chunk.extend(value.to_le_bytes());
            if chunk.len() == chunk.capacity() {
                self.out.write_all(&chunk)?;
                chunk.clear();
            }
        }
        self.out.write_all(&chunk)?;
        self.raw(b"tb")
    }
}
