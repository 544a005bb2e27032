//! What identifies a weights file: digests over all of its bytes, and the published files known by
//! theirs.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Weights;
use super::source::Source;

/// SHA-1 of tensorflow-vgg's `VGG16.npy`, the file that the TensorFlow original of this program
/// asks for.
pub const TENSORFLOW_VGG16_SHA1: &str = "6206897b35c2bfe5d9d16b83314e44fc3ea83b1c";

/// torchvision's files whose networks are read by their names. Each name ends with the first digits of the file's SHA-256.
const PUBLISHED: [&str; 26] = [
    "torchvision's vgg11-8a719046.pth",
    "torchvision's vgg11_bn-6002323d.pth",
    "torchvision's vgg13-19584684.pth",
    "torchvision's vgg13_bn-abd245e5.pth",
    "torchvision's vgg16-397923af.pth",
    "torchvision's vgg16_bn-6c64b313.pth",
    "torchvision's vgg16_features-amdegroot-88682ab5.pth",
    "torchvision's vgg19-dcbb9e9d.pth",
    "torchvision's vgg19_bn-c79401a0.pth",
    "torchvision's resnet18-f37072fd.pth",
    "torchvision's resnet34-b627a593.pth",
    "torchvision's resnet50-0676ba61.pth",
    "torchvision's resnet50-11ad3fa6.pth",
    "torchvision's resnet101-63fe2227.pth",
    "torchvision's resnet101-cd907fc2.pth",
    "torchvision's resnet152-394f9c45.pth",
    "torchvision's resnet152-f82ba261.pth",
    "torchvision's resnext50_32x4d-7cdf4587.pth",
    "torchvision's resnext50_32x4d-1a0047aa.pth",
    "torchvision's resnext101_32x8d-8ba56ff5.pth",
    "torchvision's resnext101_32x8d-110c445d.pth",
    "torchvision's resnext101_64x4d-173b62eb.pth",
    "torchvision's wide_resnet50_2-95faca4d.pth",
    "torchvision's wide_resnet50_2-9ba9bcbe.pth",
    "torchvision's wide_resnet101_2-32ee1156.pth",
    "torchvision's wide_resnet101_2-d733dc28.pth",
];

/// The digits in a name of [`PUBLISHED`].
fn digits(published: &str) -> &str {
    let end = published.strip_suffix(".pth").unwrap_or(published);
    end.rsplit('-').next().unwrap_or(end)
}

/// The published file with these first digits of its SHA-256.
fn published(first: &str) -> Option<&'static str> {
    PUBLISHED.into_iter().find(|name| digits(name) == first)
}

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
        match published(&hex(&sha256[..4])) {
            Some(name) => Some(name),
            None if self.is_tensorflow_vgg16() => Some("tensorflow-vgg's VGG16.npy"),
            None => None,
        }
    }

    /// The published file that this one is called, by the digits at the end of its name; whether it is that one is for
    /// [`Weights::known_as`] to say.
    pub(crate) fn called_as_published(&self) -> Option<&'static str> {
        let stem = self.path.as_ref()?.file_stem()?.to_str()?;
        let (_, digits) = stem.rsplit_once('-')?;
        published(digits)
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
    fn published_files_go_by_eight_digits_each() {
        let mut all: Vec<&str> = PUBLISHED.map(digits).to_vec();
        assert!(
            all.iter()
                .all(|d| d.len() == 8 && d.bytes().all(|b| b.is_ascii_hexdigit()))
        );
        assert_eq!(
            published("397923af"),
            Some("torchvision's vgg16-397923af.pth")
        );
        assert_eq!(published("00000000"), None);
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), PUBLISHED.len());
    }

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
