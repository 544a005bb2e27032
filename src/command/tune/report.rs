//! The result of `gradcam tune`: as text and as JSON.

use std::fmt::Write;

use serde_json::json;

use super::{Report, Row, table};
use crate::network::Shape;
use crate::printable::printable_lines;

impl Report {
    /// For people.
    pub fn text(&self) -> String {
        let Shape { c, h, w } = self.input;
        let weights = self.weights.as_ref();
        let weights = weights.map_or("built-in".into(), |path| path.to_string_lossy());
        let network = format!(
            "{}, {weights}, one picture of {c} x {h} x {w}",
            self.architecture
        );
        let mut text = printable_lines([self.adapter.to_string(), network]);
        if self.measured == 0 {
            text.push_str("no convolution has a choice of kernels on this adapter\n");
        } else {
            let _ = writeln!(
                text,
                "{} shapes of convolutions measured in {:.1} s by {}\n\n{}",
                self.measured,
                self.took.as_secs_f64(),
                match self.by {
                    crate::tuning::TimedBy::Timestamps => "the device's timestamps",
                    crate::tuning::TimedBy::Clock => "the clock",
                },
                table(&self.rows)
            );
        }
        if let Some(best) = self.batches.best() {
            let times = self.batches.nanoseconds.iter();
            let times: Vec<String> = times
                .map(|(pictures, &time)| format!("{pictures}: {:.2}", time as f64 / 1e6))
                .collect();
            let _ = writeln!(
                text,
                "milliseconds a picture by pictures at once: {}; of many pictures {best} go at once",
                times.join(", ")
            );
        }
        if !self.left_out.is_empty() {
            let layers = self.left_out.join(", ");
            text.push_str(&printable_lines([format!(
                "no time was left for {layers}: the built-in model decides of them"
            )]));
        }
        if let Some(file) = &self.file {
            text.push_str(&printable_lines([format!("kept in {}", file.display())]));
        }
        text
    }

    /// One object on a line. `schema` 1: fields are only added later.
    pub fn json(&self) -> String {
        let value = json!({
            "schema": 1,
            "adapter": self.adapter,
            "weights": {
                "path": self.weights.as_ref().map(|path| path.to_string_lossy()),
                "architecture": self.architecture,
            },
            "input": [self.input.c, self.input.h, self.input.w],
            "by": self.by.to_string(),
            "seconds": self.took.as_secs_f64(),
            "measured": self.measured,
            "left_out": self.left_out,
            "file": self.file.as_ref().map(|path| path.to_string_lossy()),
            "batches": {
                "ns": self.batches.nanoseconds,
                "best": self.batches.best(),
            },
            "layers": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
        });
        format!("{value}\n")
    }
}
