//! Windows and paddings in Keras' words.

use serde_json::Value;

use super::{KerasLayer, KerasModelError};
use crate::network::{MAX_SIDE, Shape, Window};

/// The window of a convolution or a pool over `input`. Padding `same` gives ceil(input / stride) outputs, and the odd zero
/// goes to the lower right.
pub(super) fn window(
    layer: &KerasLayer,
    key: &str,
    input: Shape,
) -> Result<Window, KerasModelError> {
    let config = |key: &str, default: [usize; 2]| match &layer.config[key] {
        Value::Null => Ok(default),
        value => pair(value).ok_or_else(|| layer.unsupported(format!("{key} {value} is"))),
    };
    let size = config(key, [0; 2])?;
    // A pool steps by its own size unless it says otherwise.
    let stride = config("strides", if key == "pool_size" { size } else { [1; 2] })?;
    let dilation = config("dilation_rate", [1; 2])?;
    if [size, stride, dilation].as_flattened().contains(&0) {
        return Err(layer.unsupported("a window without extent is"));
    }
    let mut window = Window {
        size,
        stride,
        pad_before: [0; 2],
        pad_after: [0; 2],
        dilation,
    };
    match layer.config["padding"].as_str() {
        None | Some("valid") => {}
        Some("same") => {
            for (axis, len) in [input.h, input.w].into_iter().enumerate() {
                let reach = dilation[axis] * (size[axis] - 1) + 1;
                let steps = len.div_ceil(stride[axis]).saturating_sub(1);
                let pad = (steps * stride[axis] + reach).saturating_sub(len);
                window.pad_before[axis] = pad / 2;
                window.pad_after[axis] = pad - pad / 2;
            }
        }
        Some(other) => return Err(layer.unsupported(format!("padding {other:?} is"))),
    }
    Ok(window)
}

/// A number of pixels.
pub(super) fn size(value: &Value) -> Option<usize> {
    let size = usize::try_from(value.as_u64()?).ok()?;
    (size <= MAX_SIDE).then_some(size)
}

/// Rows and columns: `[3, 3]`, or one number for both.
fn pair(value: &Value) -> Option<[usize; 2]> {
    match value {
        Value::Array(pair) => match pair.as_slice() {
            [rows, columns] => Some([size(rows)?, size(columns)?]),
            _ => None,
        },
        one => Some([size(one)?; 2]),
    }
}

/// Of `ZeroPadding2D`: zeros before and after, in rows and columns.
pub(super) fn padding(layer: &KerasLayer) -> Result<[[usize; 2]; 2], KerasModelError> {
    sides(layer, "padding").ok_or_else(|| layer.unsupported("such a padding is"))
}

/// Rows and columns before and after a map, as `key` says them.
pub(super) fn sides(layer: &KerasLayer, key: &str) -> Option<[[usize; 2]; 2]> {
    let padding = &layer.config[key];
    // 1, [1, 2], or [[top, bottom], [left, right]].
    let along = |axis: usize| {
        let sides = match padding {
            Value::Array(axes) => axes.get(axis)?,
            number => number,
        };
        match sides {
            Value::Array(sides) => Some([size(sides.first()?)?, size(sides.get(1)?)?]),
            both => Some([size(both)?; 2]),
        }
    };
    match (along(0), along(1)) {
        (Some([top, bottom]), Some([left, right])) => Some([[top, left], [bottom, right]]),
        _ => None,
    }
}
