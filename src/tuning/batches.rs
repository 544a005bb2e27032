//! Pictures at once: what each of them takes in groups of several sizes, measured, and the size that is taken for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::network::{Network, NodeId};
use crate::plan::LayerShape;
use crate::weights::hex;

/// What a network's pictures take on a device, there and back, by how many go through it at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batches {
    /// The network, see [`network_key`].
    pub network: String,
    /// Nanoseconds a picture, by pictures at once.
    pub nanoseconds: BTreeMap<usize, u64>,
}

/// A difference of less than a part of so many is noise, and more pictures at once take more memory.
const NOISE: u64 = 16;

impl Batches {
    /// Pictures at once that take least time each; fewer of them where the difference is noise. `None` where fewer than two
    /// numbers were measured.
    pub fn best(&self) -> Option<usize> {
        if self.nanoseconds.len() < 2 {
            return None;
        }
        let faster = |best: (usize, u64), (&pictures, &time): (&usize, &u64)| {
            if time < best.1 - best.1 / NOISE {
                (pictures, time)
            } else {
                best
            }
        };
        let (best, _) = self.nanoseconds.iter().fold((1, u64::MAX), faster);
        Some(best)
    }
}

/// A number of a network's shapes and connections, whatever its weights are.
pub fn network_key(network: &Network) -> String {
    let mut digest = Sha256::new();
    for (id, node) in network.nodes.iter().enumerate() {
        let layer = LayerShape::of(network, NodeId(id));
        let words = format!(
            "{:?} {:?} {} {layer:?}\n",
            node.shape,
            node.inputs,
            network.multiply_adds_of(NodeId(id))
        );
        digest.update(words);
    }
    hex(&digest.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Op, Shape};

    fn best(times: &[(usize, u64)]) -> Option<usize> {
        let batches = Batches {
            network: String::new(),
            nanoseconds: times.iter().copied().collect(),
        };
        batches.best()
    }

    #[test]
    fn more_pictures_go_at_once_where_each_takes_less_by_more_than_noise() {
        assert_eq!(best(&[(1, 100), (2, 90), (4, 80), (8, 81)]), Some(4));
        assert_eq!(best(&[(1, 100), (2, 98), (4, 95), (8, 94)]), Some(1));
        assert_eq!(best(&[(1, 100), (2, 98), (4, 95), (8, 93)]), Some(8));
        assert_eq!(best(&[(1, 100), (2, 110), (4, 60), (8, 59)]), Some(4));
        assert_eq!(best(&[(1, 0), (2, u64::MAX)]), Some(1));
    }

    #[test]
    fn one_number_is_no_measurement() {
        assert_eq!(best(&[(1, 100)]), None);
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn networks_of_other_shapes_have_other_keys() {
        let of = |side: usize, pool: bool| {
            let mut network = Network::new("named so", Shape::new(3, side, side));
            network.chain("relu", Op::RELU).unwrap();
            if pool {
                network.chain("mean", Op::GlobalMean).unwrap();
            }
            network_key(&network)
        };
        let keys = [of(8, false), of(9, false), of(8, true)];
        assert_eq!(keys[0], of(8, false));
        assert!(keys[0] != keys[1] && keys[0] != keys[2]);
    }
}
