//! A network whose map is known: how red the picture is at each place, grey and the colour of bars not at all, in cells of 2 x 2 pixels.

use serde_json::json;

use crate::safetensors_writer::safetensors;

/// Sees 64 x 64 pixels; class 0 is red, class 1 is not. Its target layer, `red`, has 32 x 32 positions.
pub(crate) fn network() -> Vec<u8> {
    let window = |size: usize, stride: usize| json!({"size": [size, size], "stride": [stride, stride], "pad_before": [0, 0], "pad_after": [0, 0], "dilation": [1, 1]});
    let graph = json!({"input": [3, 64, 64], "nodes": [
        {"name": "cells", "inputs": [0], "op": "avg_pool", "count_include_pad": true, "window": window(2, 2)},
        {"name": "conv", "inputs": [1], "op": "conv2d", "layout": "oihw", "window": window(1, 1)},
        {"name": "red", "inputs": [2], "op": "relu"},
        {"name": "mean", "inputs": [3], "op": "global_mean"},
        {"name": "dense", "inputs": [4], "op": "linear", "layout": "out_in"},
    ]});
    let tensors: [(&str, &[usize], Vec<f32>); 2] = [
        ("conv.weight", &[1, 3, 1, 1], vec![1.0, -1.541, 0.54]),
        ("dense.weight", &[2, 1], vec![1.0, -1.0]),
    ];
    let metadata = json!({"gradcam_graph": graph.to_string(), "preprocessing": "unit"});
    safetensors(&metadata, tensors)
}

/// A grey picture with a red disc, whose centre and radius are in pixels from the upper left corner.
pub(crate) fn disc(size: (u32, u32), centre: [f64; 2], radius: f64) -> image::RgbImage {
    image::RgbImage::from_fn(size.0, size.1, |x, y| {
        let (dx, dy) = (
            f64::from(x) + 0.5 - centre[0],
            f64::from(y) + 0.5 - centre[1],
        );
        // How much of the pixel is red, so that the disc has no steps.
        let share = (radius + 0.5 - dx.hypot(dy)).clamp(0.0, 1.0);
        let mix = |red: f64| (red * share + 90.0 * (1.0 - share)).round() as u8;
        image::Rgb([mix(220.0), mix(10.0), mix(10.0)])
    })
}

pub(crate) fn png(picture: &image::RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(vec![]);
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}
