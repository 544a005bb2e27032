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
const PUBLISHED: [&str; 94] = [
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
    "torchvision's alexnet-owt-7be5be79.pth",
    "torchvision's convnext_base-6075fbad.pth",
    "torchvision's convnext_large-ea097f82.pth",
    "torchvision's convnext_small-0c510722.pth",
    "torchvision's convnext_tiny-983f1562.pth",
    "torchvision's densenet121-a639ec97.pth",
    "torchvision's densenet161-8d451a50.pth",
    "torchvision's densenet169-b2777c0a.pth",
    "torchvision's densenet201-c1103571.pth",
    "torchvision's efficientnet_b0_rwightman-7f5810bc.pth",
    "torchvision's efficientnet_b1-c27df63c.pth",
    "torchvision's efficientnet_b1_rwightman-bac287d4.pth",
    "torchvision's efficientnet_b2_rwightman-c35c1473.pth",
    "torchvision's efficientnet_b3_rwightman-b3899882.pth",
    "torchvision's efficientnet_b4_rwightman-23ab8bcd.pth",
    "torchvision's efficientnet_b5_lukemelas-1a07897c.pth",
    "torchvision's efficientnet_b6_lukemelas-24a108a5.pth",
    "torchvision's efficientnet_b7_lukemelas-c5b4e57e.pth",
    "torchvision's efficientnet_v2_l-59c71312.pth",
    "torchvision's efficientnet_v2_m-dc08266a.pth",
    "torchvision's efficientnet_v2_s-dd5fe13b.pth",
    "torchvision's googlenet-1378be20.pth",
    "torchvision's inception_v3_google-0cc3c7bd.pth",
    "torchvision's mnasnet0.5_top1_67.823-3ffadce67e.pth",
    "torchvision's mnasnet0_75-7090bc5f.pth",
    "torchvision's mnasnet1.0_top1_73.512-f206786ef8.pth",
    "torchvision's mnasnet1_3-a4c69d6f.pth",
    "torchvision's mobilenet_v2-7ebf99e0.pth",
    "torchvision's mobilenet_v2-b0353104.pth",
    "torchvision's mobilenet_v3_large-5c1a4163.pth",
    "torchvision's mobilenet_v3_large-8738ca79.pth",
    "torchvision's mobilenet_v3_small-047dcff4.pth",
    "torchvision's regnet_x_16gf-2007eb11.pth",
    "torchvision's regnet_x_16gf-ba3796d7.pth",
    "torchvision's regnet_x_1_6gf-a12f2b72.pth",
    "torchvision's regnet_x_1_6gf-e3633e7f.pth",
    "torchvision's regnet_x_32gf-6eb8fdc6.pth",
    "torchvision's regnet_x_32gf-9d47f8d0.pth",
    "torchvision's regnet_x_3_2gf-7071aa85.pth",
    "torchvision's regnet_x_3_2gf-f342aeae.pth",
    "torchvision's regnet_x_400mf-62229a5f.pth",
    "torchvision's regnet_x_400mf-adf1edd5.pth",
    "torchvision's regnet_x_800mf-94a99ebd.pth",
    "torchvision's regnet_x_800mf-ad17e45c.pth",
    "torchvision's regnet_x_8gf-03ceed89.pth",
    "torchvision's regnet_x_8gf-2b70d774.pth",
    "torchvision's regnet_y_16gf-3e4a00f9.pth",
    "torchvision's regnet_y_16gf-9e6ed7dd.pth",
    "torchvision's regnet_y_16gf_lc_swag-f3ec0043.pth",
    "torchvision's regnet_y_1_6gf-0d7bc02a.pth",
    "torchvision's regnet_y_1_6gf-b11a554e.pth",
    "torchvision's regnet_y_32gf-4dee3f7a.pth",
    "torchvision's regnet_y_32gf-8db6d4b5.pth",
    "torchvision's regnet_y_32gf_lc_swag-e1583746.pth",
    "torchvision's regnet_y_3_2gf-9180c971.pth",
    "torchvision's regnet_y_3_2gf-b5a9779c.pth",
    "torchvision's regnet_y_400mf-c65dace8.pth",
    "torchvision's regnet_y_400mf-e6988f5f.pth",
    "torchvision's regnet_y_800mf-1b27b58c.pth",
    "torchvision's regnet_y_800mf-58fc7688.pth",
    "torchvision's regnet_y_8gf-d0d0e4a8.pth",
    "torchvision's regnet_y_8gf-dc2b1b54.pth",
    "torchvision's shufflenetv2_x0.5-f707e7126e.pth",
    "torchvision's shufflenetv2_x1-5666bf0f80.pth",
    "torchvision's shufflenetv2_x1_5-3c479a10.pth",
    "torchvision's shufflenetv2_x2_0-8be3c8ee.pth",
    "torchvision's squeezenet1_0-b66bff10.pth",
    "torchvision's squeezenet1_1-b8a52dc0.pth",
];

/// The digits in a name of [`PUBLISHED`].
fn digits(published: &str) -> &str {
    let end = published.strip_suffix(".pth").unwrap_or(published);
    end.rsplit('-').next().unwrap_or(end)
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
        let all = hex(sha256);
        match PUBLISHED
            .into_iter()
            .find(|name| all.starts_with(digits(name)))
        {
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
        PUBLISHED
            .into_iter()
            .find(|name| self::digits(name) == digits)
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
    fn published_files_go_by_their_first_digits() {
        let mut all: Vec<&str> = PUBLISHED.map(digits).to_vec();
        assert!(
            all.iter()
                .all(|d| matches!(d.len(), 8 | 10) && d.bytes().all(|b| b.is_ascii_hexdigit()))
        );
        let weights = |name: &str| Weights {
            path: Some(name.into()),
            ..crate::weights::builtin()
        };
        for (name, known) in [
            (
                "models/vgg16-397923af.pth",
                Some("torchvision's vgg16-397923af.pth"),
            ),
            (
                "mnasnet-3ffadce67e.pth",
                Some("torchvision's mnasnet0.5_top1_67.823-3ffadce67e.pth"),
            ),
            ("vgg16-00000000.pth", None),
        ] {
            assert_eq!(weights(name).called_as_published(), known);
        }
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
