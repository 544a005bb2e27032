//! The file: JSON, of one adapter.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::{Batches, TimedBy};
use crate::gpu::AdapterInfo;
use crate::kernels::Kernel;
use crate::plan::{Costs, LayerShape, Measured, Times, Variant};
use crate::weights::hex;

/// Of the file's form.
const SCHEMA: u32 = 1;

/// What was measured on an adapter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// The adapter.
    pub adapter: AdapterInfo,
    /// By what clock.
    pub by: TimedBy,
    /// The times.
    pub costs: Costs,
    /// Those of whole networks by pictures at once, each network once.
    pub batches: Vec<Batches>,
}

/// Why a file says nothing about an adapter.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FileError {
    /// It is something else, or damaged.
    #[error("is no tuning file ({0})")]
    Broken(String),
    /// It was made on another adapter or with another driver.
    #[error("is of {there}, this is {here}")]
    OtherAdapter {
        /// The file's.
        there: String,
        /// The one at hand.
        here: String,
    },
    /// It was made by a program with other kernels.
    #[error("is of other kernels than those of this version")]
    OtherKernels,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    program: String,
    kernels: String,
    adapter: Adapter,
    by: String,
    #[serde(default)]
    batches: Vec<Batches>,
    layers: Vec<FileLayer>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adapter {
    name: String,
    backend: String,
    r#type: String,
    driver: String,
}

#[derive(Serialize, Deserialize)]
struct FileLayer {
    #[serde(flatten)]
    shape: LayerShape,
    images: usize,
    /// Nanoseconds, by the variant's name.
    variants: Map<String, Value>,
}

impl Tuning {
    /// The file's text, a line a layer.
    pub fn to_json(&self) -> String {
        let layers = self.costs.layers.iter().map(|measured| {
            let variants = measured.variants.iter();
            let variants = variants.map(|(variant, times)| {
                let times = serde_json::to_value(times).expect("numbers");
                (variant.to_string(), times)
            });
            FileLayer {
                shape: measured.layer,
                images: measured.images,
                variants: variants.collect(),
            }
        });
        let AdapterInfo {
            name,
            backend,
            kind,
            driver,
        } = self.adapter.clone();
        let file = File {
            schema: SCHEMA,
            program: env!("CARGO_PKG_VERSION").into(),
            kernels: kernels(),
            adapter: Adapter {
                name,
                backend,
                r#type: kind.into(),
                driver,
            },
            by: self.by.to_string(),
            batches: self.batches.clone(),
            layers: vec![],
        };
        let head = serde_json::to_string(&file).expect("keys are strings");
        let head = head.strip_suffix("]}").expect("it ends with no layers");
        let layers: Vec<String> = layers
            .map(|layer| serde_json::to_string(&layer).expect("keys are strings"))
            .collect();
        format!("{head}\n{}\n]}}\n", layers.join(",\n"))
    }

    /// What a file says of adapter `here`.
    ///
    /// # Errors
    /// Where it says nothing of it.
    pub fn of_json(text: &str, here: &AdapterInfo) -> Result<Self, FileError> {
        let broken = |error: &dyn std::fmt::Display| FileError::Broken(error.to_string());
        let file: File = serde_json::from_str(text).map_err(|error| broken(&error))?;
        if file.schema != SCHEMA {
            let known = format!("schema {}, this version knows {SCHEMA}", file.schema);
            return Err(FileError::Broken(known));
        }
        let there = &file.adapter;
        let same = there.name == here.name
            && there.backend == here.backend
            && there.r#type == here.kind
            && there.driver == here.driver;
        if !same {
            let Adapter {
                name,
                backend,
                r#type,
                driver,
            } = file.adapter;
            return Err(FileError::OtherAdapter {
                there: format!("{name} ({backend}, {type}, {driver})"),
                here: here.to_string(),
            });
        }
        if file.kernels != kernels() {
            return Err(FileError::OtherKernels);
        }
        let mut costs = Costs::default();
        for layer in file.layers {
            let variants = layer.variants.into_iter().map(|(name, times)| {
                let variant: Variant = name.parse().map_err(|error| broken(&error))?;
                let times: Times = serde_json::from_value(times).map_err(|error| broken(&error))?;
                Ok((variant, times))
            });
            costs.insert(Measured {
                layer: layer.shape,
                images: layer.images,
                variants: variants.collect::<Result<_, FileError>>()?,
            });
        }
        Ok(Self {
            adapter: here.clone(),
            by: file.by.parse().map_err(|error| broken(&error))?,
            costs,
            batches: file.batches,
        })
    }

    /// Keeps times of a network in place of those that were known.
    pub fn insert(&mut self, batches: Batches) {
        self.batches
            .retain(|there| there.network != batches.network);
        self.batches.push(batches);
    }
}

/// A number of all the kernels' sources, which changes with each of them: times are of one.
pub fn kernels() -> String {
    let mut digest = Sha256::new();
    for kernel in Kernel::ALL {
        digest.update(kernel.info().source);
    }
    hex(&digest.finalize()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> AdapterInfo {
        AdapterInfo {
            name: "abacus \"9\"".into(),
            backend: "vulkan".into(),
            kind: "discrete",
            driver: "beads 1.2".into(),
        }
    }

    fn tuning() -> Tuning {
        let layer = LayerShape {
            input: [3, 224, 224],
            output: [64, 112, 112],
            taps: [7, 7],
            stride: [2, 2],
            dilation: [1, 1],
            groups: 1,
        };
        let times = |forward, once| Times {
            forward: Some(forward),
            backward: None,
            once,
        };
        let measured = |images| Measured {
            layer,
            images,
            variants: vec![
                (Variant::TilesLarge, times(5, 0)),
                (Variant::TilesParts, times(u64::MAX, 7)),
            ],
        };
        Tuning {
            adapter: adapter(),
            by: TimedBy::Timestamps,
            costs: Costs {
                layers: vec![measured(1), measured(8)],
            },
            batches: vec![Batches {
                network: "0123456789abcdef".into(),
                nanoseconds: [(1, 9), (8, 7)].into(),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let bare = Tuning {
            costs: Costs::default(),
            batches: vec![],
            ..tuning()
        };
        for written in [tuning(), bare] {
            let text = written.to_json();
            assert_eq!(Tuning::of_json(&text, &adapter()), Ok(written), "{text}");
        }
    }

    #[test]
    fn a_network_measured_again_is_kept_once() {
        let mut tuning = tuning();
        let again = |network: &str| Batches {
            network: network.into(),
            nanoseconds: [(1, 5), (2, 4)].into(),
        };
        tuning.insert(again("fedcba9876543210"));
        tuning.insert(again("0123456789abcdef"));
        let expected = ["fedcba9876543210", "0123456789abcdef"].map(again);
        assert_eq!(tuning.batches, expected);
    }

    #[test]
    fn a_file_of_before_batches_were_measured_is_read() {
        let text = tuning().to_json();
        let end = text.find("\"layers\"").unwrap();
        let start = text.find("\"batches\"").unwrap();
        let without = format!("{}{}", &text[..start], &text[end..]);
        let read = Tuning::of_json(&without, &adapter()).unwrap();
        assert_eq!((read.costs, read.batches), (tuning().costs, vec![]));
    }

    #[test]
    fn a_file_of_another_adapter_driver_or_version_says_nothing() {
        let text = tuning().to_json();
        let others = [
            AdapterInfo {
                driver: "beads 1.3".into(),
                ..adapter()
            },
            AdapterInfo {
                name: "abacus".into(),
                ..adapter()
            },
            AdapterInfo {
                backend: "metal".into(),
                ..adapter()
            },
            AdapterInfo {
                kind: "cpu",
                ..adapter()
            },
        ];
        for other in others {
            let Err(FileError::OtherAdapter { there, here }) = Tuning::of_json(&text, &other)
            else {
                panic!("{other}");
            };
            assert!(there.contains("beads 1.2"), "{there}");
            assert_eq!(here, other.to_string());
        }
        let of_others = text.replace(&kernels(), "0123456789abcdef");
        let read = Tuning::of_json(&of_others, &adapter());
        assert_eq!(read, Err(FileError::OtherKernels));
    }

    #[test]
    fn a_damaged_file_is_told_and_never_believed() {
        let text = tuning().to_json();
        for damaged in [
            String::new(),
            "{}".into(),
            "[1]".into(),
            text[..text.len() / 2].into(),
            text.replace("tiles-large", "tiles-huge"),
            text.replace("\"forward\":5", "\"forward\":-5"),
            text.replace("\"forward\":5", "\"forward\":5.5"),
            text.replace("\"forward\":5", "\"sideways\":5"),
            text.replace("\"schema\":1", "\"schema\":2"),
            text.replace("\"groups\":1", "\"groups\":-1"),
            text.replace("[2,2]", "[2,2,2]"),
            text.replace("timestamps", "sundial"),
            text.replace("\"8\":7", "\"8\":-7"),
            text.replace("\"8\":7", "\"eight\":7"),
        ] {
            let read = Tuning::of_json(&damaged, &adapter());
            assert!(matches!(read, Err(FileError::Broken(_))), "{damaged}");
        }
    }

    /// A layer may be there twice: the later counts.
    #[test]
    fn a_layer_that_is_there_twice_is_read_once() {
        let mut twice = tuning();
        let mut later = twice.costs.layers[0].clone();
        later.variants.truncate(1);
        twice.costs.layers.push(later.clone());
        let read = Tuning::of_json(&twice.to_json(), &adapter()).unwrap();
        assert_eq!(read.costs.layers.len(), 2);
        assert_eq!(read.costs.layers[0], later);
    }
}
