//! A `.safetensors` file of float32 tensors.

use serde_json::{Value, json};

/// `metadata` is an object of texts; tensors are a name, a shape and the values, row by row.
pub(crate) fn safetensors<'a>(
    metadata: &Value,
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize], Vec<f32>)>,
) -> Vec<u8> {
    let mut header = json!({ "__metadata__": metadata });
    let mut data = vec![];
    for (name, shape, values) in tensors {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "{name}");
        let start = data.len();
        data.extend(values.into_iter().flat_map(f32::to_le_bytes));
        header[name] = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
    }
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &data].concat()
}
