//! The report for people.

use std::fmt::{Result, Write};

use super::{Batch, KernelTime, Report, StartUp, Tuned};
use crate::command::tune::table;
use crate::network::Shape;
use crate::plan::StoredDtype;
use crate::printable::{printable, printable_lines};

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text)
            .expect("a string takes whatever is written");
        text
    }

    fn write(&self, text: &mut String) -> Result {
        self.write_subject(text)?;
        self.write_medians(text)?;
        self.write_start_up(text)?;
        self.write_device(text)?;
        self.write_tuning(text)?;
        self.write_dispatches(text)
    }

    /// What was measured on what.
    fn write_subject(&self, text: &mut String) -> Result {
        let Shape { c, h, w } = self.input;
        let weights = self.weights.as_ref();
        let weights = weights.map_or("built-in".into(), |path| path.to_string_lossy());
        let network = format!(
            "{}, {weights}, one picture of {c} x {h} x {w}, one class",
            self.architecture
        );
        text.push_str(&printable_lines([self.adapter.to_string(), network]));
        match self.check.gradient_ratio {
            Some(ratio) => writeln!(
                text,
                "checked: repeatable; along its gradient the logit moves {ratio:.4} of what it says"
            ),
            None => writeln!(
                text,
                "checked: repeatable; the gradient is zero, or too small to be checked"
            ),
        }
    }

    fn write_medians(&self, text: &mut String) -> Result {
        writeln!(text, "\nmedians of {} warm runs", self.runs)?;
        let mut line = |name: &str, ms: f64| {
            let ratio = ms / self.forward_ms;
            writeln!(text, "  {name:<24}{ms:>10.2} ms  {ratio:>6.2} of forward")
        };
        line("forward", self.forward_ms)?;
        line("Grad-CAM", self.gradcam_ms)?;
        line("guided backpropagation", self.guided_bprop_ms)?;
        match self.batch {
            Some(Batch {
                pictures,
                milliseconds,
            }) => line(&format!("forward, {pictures} pictures"), milliseconds),
            None => Ok(()),
        }
    }

    fn write_start_up(&self, text: &mut String) -> Result {
        let StartUp {
            device,
            reading,
            pipelines,
            packing,
            upload,
            preparation,
            first_forward,
            total,
        } = self.start_up;
        writeln!(
            text,
            "start-up, ms: {total:.0}, of it device {device:.0}, reading {reading:.0}, packing {packing:.0}, upload \
             {upload:.0} (beside these two pipelines {pipelines:.0}), preparation {preparation:.0}, first forward \
             {first_forward:.0}"
        )
    }

    /// The device's memory, what it does at most, and what it stores numbers as.
    fn write_device(&self, text: &mut String) -> Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        writeln!(
            text,
            "device memory: {:.1} MiB of weights, {:.1} MiB for the rest; at most {:.1} MiB planned at once, {:.1} MiB allocated",
            mib(self.weights_bytes),
            mib(self.activations_bytes),
            mib(self.planned_bytes),
            mib(self.allocated_bytes)
        )?;
        writeln!(
            text,
            "ceilings of this device: {:.1} GFLOP/s in registers, {:.1} GB/s in a copy",
            self.ceilings.flops / 1e9,
            self.ceilings.bytes / 1e9
        )?;
        match self.stored.dtype {
            StoredDtype::F16 => writeln!(
                text,
                "values, gradients and filters are float16 on the device, arithmetic is float32"
            ),
            StoredDtype::F32 => Ok(()),
        }
    }

    fn write_tuning(&self, text: &mut String) -> Result {
        match &self.tuning {
            None => writeln!(
                text,
                "not tuned: the built-in model chooses the kernels; `gradcam tune` measures them"
            ),
            Some(Tuned { file, rows }) => {
                let kept = format!(
                    "tuned, one picture by the times kept in {}:",
                    file.display()
                );
                write!(text, "\n{}{}", printable_lines([kept]), table(rows))
            }
        }
    }

    /// The dispatches by kernel and by layer, where the device has their times.
    fn write_dispatches(&self, text: &mut String) -> Result {
        if self.layers.is_empty() {
            return writeln!(
                text,
                "\nno timestamps on this adapter: no times of single kernels"
            );
        }
        let called = |row: &KernelTime| format!("{} x{}", row.kernel, row.dispatches);
        let kernels = self.kernels().into_iter();
        let kernels: Vec<_> = kernels.map(|row| (called(&row), row)).collect();
        self.write_table(text, "kernel", &kernels)?;
        let layers = self.together(|layer| &layer.layer);
        let longest = layers.iter().map(|(layer, _)| layer.chars().count()).max();
        let longest = longest.unwrap_or(0);
        let named = |(layer, row)| {
            let layer = printable(layer);
            (format!("{layer:<longest$}  {}", called(&row)), row)
        };
        let layers: Vec<_> = layers.into_iter().map(named).collect();
        self.write_table(text, "layer", &layers)?;
        let before = self.layers.iter().map(|layer| layer.before_milliseconds);
        let before: f64 = before.sum();
        writeln!(
            text,
            "\nbetween the kernels, copies among it: {before:.3} ms\n\
             convolutions count as direct ones, also where Winograd's algorithm does a part of that work"
        )
    }

    fn write_table(&self, text: &mut String, title: &str, rows: &[(String, KernelTime)]) -> Result {
        let longest = rows.iter().map(|(name, _)| name.chars().count()).max();
        let longest = longest.unwrap_or(0);
        writeln!(
            text,
            "\n{title:<14}{:<longest$}{:>10}{:>11}{:>9}{:>7}{:>7}",
            "", "ms", "GFLOP/s", "GB/s", "arith", "bytes"
        )?;
        for (name, row) in rows {
            let rates = self.rates(row.milliseconds, row.multiply_adds, row.bytes);
            writeln!(
                text,
                "{:<14}{name:<longest$}{:>10.3}{:>11.1}{:>9.2}{:>6.0}%{:>6.0}%",
                row.phase,
                row.milliseconds,
                rates.gflops,
                rates.gbytes,
                rates.arithmetic * 1e2,
                rates.memory * 1e2
            )?;
        }
        Ok(())
    }
}
