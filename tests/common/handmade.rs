//! Weights files put together by hand as no program writes them, and opened under observation.

use std::fs;
use std::path::Path;

use gradcam::weights::{self, ContentsError, NpyError, PickleError, Weights};

use super::memory;

/// Opens a file in memory, reads all of its tensors, and holds the memory it took against the
/// promise.
pub(crate) fn open(bytes: Vec<u8>) -> Result<Weights, ContentsError> {
    let length = bytes.len();
    let (result, taken) = memory::peak(|| weights::from_bytes(bytes));
    assert!(taken < 64 << 20, "{taken} bytes for a file of {length}");
    if let Ok(weights) = &result {
        for tensor in weights.tensors.values() {
            assert_eq!(tensor.to_vec().len(), tensor.len());
            tensor.release(0, tensor.len());
        }
    }
    result
}

pub(crate) fn pickle_error(bytes: Vec<u8>) -> PickleError {
    match open(bytes) {
        Err(ContentsError::Npy(NpyError::Pickle(error))) => error,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/npy");
    fs::read(folder.join(name)).unwrap()
}

/// A header and so many zeros behind it.
pub(crate) fn safetensors_of(header: &str, data: usize) -> Vec<u8> {
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.as_bytes());
    file.resize(file.len() + data, 0);
    file
}

/// A `.npy` file with this pickle behind a header that announces objects of this shape.
pub(crate) fn npy(shape: &str, pickle: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|O', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(pickle);
    file
}

/// The outermost array of a pickled `.npy`, around the opcodes that leave its one object on the
/// stack. Memo 0 is left free.
pub(crate) fn npy_of(object: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02".to_vec();
    pickle.extend(ARRAY);
    pickle.extend(b"(K\x01)");
    pickle.extend(dtype("O8"));
    pickle.extend(b"\x89]");
    pickle.extend(object);
    pickle.extend(b"atb.");
    npy("()", &pickle)
}

pub(crate) const ARRAY: &[u8] =
    b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R";

pub(crate) fn dtype(code: &str) -> Vec<u8> {
    let mut opcodes = b"cnumpy\ndtype\nU".to_vec();
    opcodes.push(code.len() as u8);
    opcodes.extend(code.as_bytes());
    opcodes.extend(b"K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb");
    opcodes
}

/// An array of float32 with this shape, as opcodes, over these bytes.
pub(crate) fn array(shape: &[u8], data: &[u8]) -> Vec<u8> {
    [ARRAY, b"(K\x01", shape, &dtype("f4"), b"\x89", data, b"tb"].concat()
}

/// A list of 2^25 lists, as opcodes: each level holds the one below twice.
pub(crate) fn doubling_lists() -> Vec<u8> {
    let mut object = b"]q\x000".to_vec();
    for level in 0..25_u8 {
        object.extend([
            b']',
            b'h',
            level,
            b'a',
            b'h',
            level,
            b'a',
            b'q',
            level + 1,
            b'0',
        ]);
    }
    object.extend(b"h\x19");
    object
}
