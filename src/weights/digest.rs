//! What identifies a weights file: digests over all of its bytes, and the published files known by
//! theirs.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Weights;
use super::source::Source;

/// SHA-1 of tensorflow-vgg's `VGG16.npy`, the file that the TensorFlow original of this program
/// asks for.
pub const TENSORFLOW_VGG16_SHA1: &str = "6206897b35c2bfe5d9d16b83314e44fc3ea83b1c";

/// Published weights, by the first bytes of their SHA-256: torchvision has these eight digits in its files' names.
const PUBLISHED: [(&str, &str); 9] = [
    ("8a719046", "torchvision's vgg11-8a719046.pth"),
    ("6002323d", "torchvision's vgg11_bn-6002323d.pth"),
    ("19584684", "torchvision's vgg13-19584684.pth"),
    ("abd245e5", "torchvision's vgg13_bn-abd245e5.pth"),
    ("397923af", "torchvision's vgg16-397923af.pth"),
    ("6c64b313", "torchvision's vgg16_bn-6c64b313.pth"),
    (
        "88682ab5",
        "torchvision's vgg16_features-amdegroot-88682ab5.pth",
    ),
    ("dcbb9e9d", "torchvision's vgg19-dcbb9e9d.pth"),
    ("c79401a0", "torchvision's vgg19_bn-c79401a0.pth"),
];

/// Bytes of its float32 tensors, which the file holds as they are.
const TENSORFLOW_VGG16_DATA: usize = 4 * 138_357_544;
/// More than the header and the pickle around them take.
const MAX_OVERHEAD: usize = 64 << 10;

/// Bytes hashed before their pages are given back.
const CHUNK: usize = 8 << 20;

impl Weights {
    /// SHA-1 over the whole file. Reads all of it, in pieces that do not stay in memory.
    pub fn sha1(&self) -> [u8; 20] {
        digest::<Sha1>(&self.source).into()
    }

    /// SHA-256 over the whole file. Reads all of it, in pieces that do not stay in memory.
    pub fn sha256(&self) -> [u8; 32] {
        digest::<Sha256>(&self.source).into()
    }

    /// The published file that this is, if it is a known one. `sha256` is that of the whole file.
    pub fn known_as(&self, sha256: &[u8; 32]) -> Option<&'static str> {
        let digits = hex(&sha256[..4]);
        let published = PUBLISHED.iter().find(|(start, _)| *start == digits);
        match published {
            Some((_, name)) => Some(name),
            None if self.is_tensorflow_vgg16() => Some("tensorflow-vgg's VGG16.npy"),
            None => None,
        }
    }

    /// Whether this is tensorflow-vgg's `VGG16.npy`, bit for bit: [`TENSORFLOW_VGG16_SHA1`]. Hashes
    /// only a file whose length allows it.
    pub fn is_tensorflow_vgg16(&self) -> bool {
        let lengths = TENSORFLOW_VGG16_DATA..TENSORFLOW_VGG16_DATA + MAX_OVERHEAD;
        lengths.contains(&self.byte_len()) && hex(&self.sha1()) == TENSORFLOW_VGG16_SHA1
    }
}

/// Bytes as lower-case hexadecimal digits, as `sha1sum` prints them.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let pair = |&byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(pair).collect()
}

fn digest<D: Digest>(source: &Source) -> sha2::digest::Output<D> {
    let mut digest = D::new();
    let mut start = 0;
    for chunk in source.bytes().chunks(CHUNK) {
        digest.update(chunk);
        source.release(start..start + chunk.len());
        start += chunk.len();
    }
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standards() {
        let abc = Source::Owned(b"abc".to_vec());
        assert_eq!(
            hex(&digest::<Sha1>(&abc)),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hex(&digest::<Sha256>(&abc)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
