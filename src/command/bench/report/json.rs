//! The report as one object of JSON.

use serde_json::{Value, json};

use super::Report;
use crate::command::tune::Row;

impl Report {
    /// One object on a line. `schema` 1: fields are only added later.
    pub fn json(&self) -> String {
        let measured = |ms: f64, work: u64, bytes: u64| {
            let rates = self.rates(ms, work, bytes);
            json!({
                "ms": rounded(ms),
                "gflops": rounded(rates.gflops),
                "gbytes_per_s": rounded(rates.gbytes),
                "share_of_arithmetic": rounded(rates.arithmetic),
                "share_of_memory": rounded(rates.memory),
            })
        };
        let kernels = self.kernels().into_iter().map(|kernel| {
            let names = json!({ "phase": kernel.phase, "kernel": kernel.kernel, "dispatches": kernel.dispatches });
            joined(names, measured(kernel.milliseconds, kernel.multiply_adds, kernel.bytes))
        });
        let layers = self.layers.iter().map(|layer| {
            let names = json!({
                "phase": layer.phase,
                "layer": layer.layer,
                "kernel": layer.kernel.info().name,
                "before_ms": rounded(layer.before_milliseconds),
            });
            joined(
                names,
                measured(layer.milliseconds, layer.multiply_adds, layer.bytes),
            )
        });
        let value = json!({
            "schema": 1,
            "adapter": self.adapter,
            "weights": {
                "path": self.weights.as_ref().map(|path| path.to_string_lossy()),
                "architecture": self.architecture,
                "dtype": self.stored.matrices.to_string(),
            },
            "dtype": self.stored.dtype.to_string(),
            "input": [self.input.c, self.input.h, self.input.w],
            "runs": self.runs,
            "check": { "repeatable": true, "gradient_ratio": self.check.gradient_ratio },
            "forward_ms": rounded(self.forward_ms),
            "gradcam_ms": rounded(self.gradcam_ms),
            "guided_bprop_ms": rounded(self.guided_bprop_ms),
            "batch": self.batch.map(|batch| json!({
                "pictures": batch.pictures,
                "forward_ms": rounded(batch.milliseconds),
            })),
            "start_up_ms": {
                "device": rounded(self.start_up.device),
                "reading": rounded(self.start_up.reading),
                "pipelines": rounded(self.start_up.pipelines),
                "packing": rounded(self.start_up.packing),
                "upload": rounded(self.start_up.upload),
                "preparation": rounded(self.start_up.preparation),
                "first_forward": rounded(self.start_up.first_forward),
                "total": rounded(self.start_up.total),
            },
            "memory_bytes": {
                "weights": self.weights_bytes,
                "activations": self.activations_bytes,
                "planned_peak": self.planned_bytes,
                "allocated_peak": self.allocated_bytes,
            },
            "ceilings": {
                "gflops": rounded(self.ceilings.flops / 1e9),
                "gbytes_per_s": rounded(self.ceilings.bytes / 1e9),
            },
            "timestamps": !self.layers.is_empty(),
            "kernels": kernels.collect::<Vec<_>>(),
            "layers": layers.collect::<Vec<_>>(),
            "tuning": self.tuning.as_ref().map(|tuned| json!({
                "file": tuned.file.to_string_lossy(),
                "layers": tuned.rows.iter().map(Row::json).collect::<Vec<_>>(),
            })),
        });
        format!("{value}\n")
    }
}

/// To six digits after the point: more are noise.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

fn joined(mut names: Value, values: Value) -> Value {
    if let (Some(names), Value::Object(values)) = (names.as_object_mut(), values) {
        names.extend(values);
    }
    names
}
