//! The result of `gradcam bench`, with its times by kernel and as rates; as text and as JSON below.

mod json;
mod text;

use std::path::PathBuf;

use super::{Ceilings, Check, Stored};
use crate::command::tune::Row;
use crate::gpu::AdapterInfo;
use crate::kernels::Kernel;
use crate::network::Shape;

/// Everything measured. Times are milliseconds.
#[derive(Clone, Debug)]
pub struct Report {
    /// The device.
    pub adapter: AdapterInfo,
    /// `None`: the built-in network.
    pub weights: Option<PathBuf>,
    /// The network's.
    pub architecture: String,
    /// What it reads, one picture.
    pub input: Shape,
    /// What the device stores numbers as.
    pub stored: Stored,
    /// Runs behind each median.
    pub runs: usize,
    /// What was seen before the clock started.
    pub check: Check,
    /// From a preprocessed picture to its logits on the host.
    pub forward_ms: f64,
    /// From a preprocessed picture to one class's map: forward and head backward.
    pub gradcam_ms: f64,
    /// From a preprocessed picture to one class's guided gradient at the pixels: forward and backward.
    pub guided_bprop_ms: f64,
    /// Several pictures at once, if asked for.
    pub batch: Option<Batch>,
    /// Up to the first picture's logits.
    pub start_up: StartUp,
    /// Device memory of the weights, bytes.
    pub weights_bytes: u64,
    /// Device memory of everything else, bytes.
    pub activations_bytes: u64,
    /// The most device memory at once by the plan of the three passes, with what it is written and read through, see
    /// [`Plan::peak_bytes`](crate::plan::Plan::peak_bytes).
    pub planned_bytes: u64,
    /// The most that was held at once up to the end of the medians, see [`Gpu::peak_bytes`](crate::gpu::Gpu::peak_bytes).
    pub allocated_bytes: u64,
    /// What the device does at most.
    pub ceilings: Ceilings,
    /// Each dispatch; empty where the adapter has no timestamps.
    pub layers: Vec<LayerTime>,
    /// What is kept of `gradcam tune`, where anything is.
    pub tuning: Option<Tuned>,
    /// What a user should know beside.
    pub notes: Vec<String>,
}

/// Times that are kept for the device, and what they change.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// Where they are kept.
    pub file: PathBuf,
    /// What the model and the times take for each convolution of one picture.
    pub(crate) rows: Vec<Row>,
}

/// The forward pass of several pictures at once.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// How many.
    pub pictures: usize,
    /// From the preprocessed pictures to their logits on the host.
    pub milliseconds: f64,
}

/// What comes before the first picture, and that one's forward pass.
///
/// Kernels are compiled beside packing and upload, which take turns; all else comes one after the other. So `total` is the
/// sum of `device`, `reading`, the larger of `pipelines` and `packing` with `upload`, `preparation` and `first_forward`, but
/// for planning and recording, a hundredth or two. The process's own start is in none of them.
#[derive(Clone, Copy, Debug)]
pub struct StartUp {
    /// Opening the adapter and its device.
    pub device: f64,
    /// Opening the weights file and building the network; the weights themselves are read as they are packed.
    pub reading: f64,
    /// Compiling kernels.
    pub pipelines: f64,
    /// Reading the weights and packing them.
    pub packing: f64,
    /// Allocating memory and handing the weights over.
    pub upload: f64,
    /// What the device makes of weights once: sums of a dense layer, and on GPUs Winograd's transformed filters.
    pub preparation: f64,
    /// The first forward pass, in which some drivers compile.
    pub first_forward: f64,
    /// From the beginning to the logits of the first picture.
    pub total: f64,
}

/// A dispatch's time on the device.
#[derive(Clone, Debug)]
pub struct LayerTime {
    /// `forward`, or `gradcam` and `guided_bprop` for their backward passes.
    pub phase: &'static str,
    /// The layer, with `backward` after it on the backward pass.
    pub layer: String,
    /// What it ran.
    pub kernel: Kernel,
    /// The kernel's time.
    pub milliseconds: f64,
    /// Time since the dispatch before it: a copy to an image, a barrier, waiting for the host.
    pub before_milliseconds: f64,
    /// Work.
    pub multiply_adds: u64,
    /// The least that it moves: what it reads and writes, each once.
    pub bytes: u64,
}

/// A kernel's dispatches in a phase together.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// See [`LayerTime::phase`].
    pub phase: &'static str,
    /// Its file's name.
    pub kernel: &'static str,
    /// Dispatches.
    pub dispatches: usize,
    /// Their time together.
    pub milliseconds: f64,
    /// Their work.
    pub multiply_adds: u64,
    /// What they move at least.
    pub bytes: u64,
}

/// Time, work and bytes as rates and as shares of the device's ceilings.
struct Rates {
    gflops: f64,
    gbytes: f64,
    arithmetic: f64,
    memory: f64,
}

impl Report {
    /// The kernels of each phase, longest first.
    pub fn kernels(&self) -> Vec<KernelTime> {
        let mut kernels: Vec<KernelTime> = self
            .together(|_| "")
            .into_iter()
            .map(|(_, kernel)| kernel)
            .collect();
        let phase = |name| self.layers.iter().position(|layer| layer.phase == name);
        kernels.sort_by(|a, b| {
            let longest = b.milliseconds.total_cmp(&a.milliseconds);
            phase(a.phase).cmp(&phase(b.phase)).then(longest)
        });
        kernels
    }

    /// The dispatches of the same phase, kernel and name together, in the order of the first of each.
    fn together<'a>(
        &'a self,
        name: impl Fn(&'a LayerTime) -> &'a str,
    ) -> Vec<(&'a str, KernelTime)> {
        let mut rows: Vec<(&str, KernelTime)> = vec![];
        for layer in &self.layers {
            let (phase, name, kernel) = (layer.phase, name(layer), layer.kernel.info().name);
            let same = |(known, row): &(&str, KernelTime)| {
                (row.phase, *known, row.kernel) == (phase, name, kernel)
            };
            let at = rows.iter().position(same).unwrap_or_else(|| {
                let none = KernelTime {
                    phase,
                    kernel,
                    dispatches: 0,
                    milliseconds: 0.0,
                    multiply_adds: 0,
                    bytes: 0,
                };
                rows.push((name, none));
                rows.len() - 1
            });
            let (_, row) = &mut rows[at];
            row.dispatches += 1;
            row.milliseconds += layer.milliseconds;
            row.multiply_adds += layer.multiply_adds;
            row.bytes += layer.bytes;
        }
        rows
    }

    fn rates(&self, milliseconds: f64, multiply_adds: u64, bytes: u64) -> Rates {
        // A clock that stands still between two timestamps gives no rate.
        let seconds = if milliseconds > 0.0 {
            milliseconds / 1e3
        } else {
            f64::INFINITY
        };
        let (flops, bytes) = (2.0 * multiply_adds as f64 / seconds, bytes as f64 / seconds);
        Rates {
            gflops: flops / 1e9,
            gbytes: bytes / 1e9,
            arithmetic: flops / self.ceilings.flops,
            memory: bytes / self.ceilings.bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StoredDtype;
    use serde_json::Value;

    fn report(layers: Vec<LayerTime>) -> Report {
        Report {
            adapter: AdapterInfo {
                name: "abacus".into(),
                backend: "vulkan".into(),
                kind: "other",
                driver: String::new(),
            },
            weights: None,
            architecture: "vgg16".into(),
            input: Shape::new(3, 224, 224),
            stored: Stored {
                matrices: StoredDtype::F32,
                dtype: StoredDtype::F32,
            },
            runs: 1,
            check: Check {
                gradient_ratio: None,
            },
            forward_ms: 1.0,
            gradcam_ms: 1.5,
            guided_bprop_ms: 2.0,
            batch: None,
            start_up: StartUp {
                device: 1.0,
                reading: 1.0,
                pipelines: 1.0,
                packing: 1.0,
                upload: 1.0,
                preparation: 1.0,
                first_forward: 1.0,
                total: 6.0,
            },
            weights_bytes: 1 << 20,
            activations_bytes: 1 << 20,
            planned_bytes: 3 << 20,
            allocated_bytes: 3 << 20,
            ceilings: Ceilings {
                flops: 1e9,
                bytes: 2e9,
            },
            layers,
            tuning: None,
            notes: vec![],
        }
    }

    fn layer(layer: &str, kernel: Kernel, milliseconds: f64) -> LayerTime {
        LayerTime {
            phase: "forward",
            layer: layer.into(),
            kernel,
            milliseconds,
            before_milliseconds: 0.0,
            multiply_adds: 250_000,
            bytes: 1_000_000,
        }
    }

    fn json(report: &Report) -> Value {
        serde_json::from_str(&report.json()).unwrap()
    }

    #[test]
    fn rates_are_work_by_time_and_shares_are_of_the_ceilings() {
        let kernel = &json(&report(vec![layer("conv", Kernel::Conv2d, 2.0)]))["kernels"][0];
        for (key, expected) in [
            ("ms", 2.0),
            ("gflops", 0.25),
            ("gbytes_per_s", 0.5),
            ("share_of_arithmetic", 0.25),
            ("share_of_memory", 0.25),
        ] {
            assert_eq!(kernel[key], expected, "{key}");
        }
    }

    #[test]
    fn no_time_gives_no_rate_and_numbers_all_the_same() {
        let report = report(vec![layer("conv", Kernel::Conv2d, 0.0)]);
        let kernel = &json(&report)["kernels"][0];
        for key in [
            "ms",
            "gflops",
            "gbytes_per_s",
            "share_of_arithmetic",
            "share_of_memory",
        ] {
            assert_eq!(kernel[key], 0.0, "{key}");
        }
        let text = report.text();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
    }

    #[test]
    fn parts_of_a_layer_are_one_row_a_kernel_of_the_text_and_each_in_the_json() {
        let parts = [
            layer("conv1", Kernel::WinogradInput, 1.0),
            layer("conv1", Kernel::WinogradOutput, 2.0),
            layer("conv1", Kernel::WinogradInput, 3.0),
            layer("conv1", Kernel::WinogradOutput, 5.0),
            layer("conv1 backward", Kernel::WinogradInput, 9.0),
        ];
        let report = report(parts.to_vec());
        let text = report.text();
        let (_, rows) = text.split_once("\nlayer ").unwrap();
        let rows: Vec<Vec<&str>> = rows
            .lines()
            .skip(1)
            .map_while(|line| line.strip_prefix("forward "))
            .map(|line| line.split_whitespace().collect())
            .collect();
        let rows: Vec<String> = rows
            .iter()
            .map(|row| row[..row.len() - 4].join(" "))
            .collect();
        assert_eq!(
            rows,
            [
                "conv1 winograd_input x2 4.000",
                "conv1 winograd_output x2 7.000",
                "conv1 backward winograd_input x1 9.000"
            ]
        );
        let layers = &json(&report)["layers"];
        assert_eq!(layers.as_array().unwrap().len(), parts.len());
        assert_eq!(report.kernels()[0].milliseconds, 13.0);
    }

    #[test]
    fn without_timestamps_there_are_no_kernels_and_a_line_says_so() {
        let report = report(vec![]);
        let json = json(&report);
        assert_eq!(
            (&json["timestamps"], &json["kernels"]),
            (&false.into(), &Value::Array(vec![]))
        );
        assert!(report.text().contains("no timestamps on this adapter"));
    }
}
