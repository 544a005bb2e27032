//! ONNX models put together by hand, field by field, as no exporter writes them.
#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part"
)]

/// A field of whole numbers.
pub(crate) fn int(number: u64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value as u64)].concat()
}

/// A field of bytes: a string, a message, packed numbers.
pub(crate) fn bytes(number: u64, value: &[u8]) -> Vec<u8> {
    let head = [varint(number << 3 | 2), varint(value.len() as u64)].concat();
    [&head, value].concat()
}

pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut out = vec![];
    while value > 127 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn dimensions(shape: &[i64]) -> Vec<u8> {
    shape.iter().flat_map(|&n| int(1, n)).collect()
}

/// A float32 tensor with raw data.
pub(crate) fn floats(name: &str, shape: &[i64], values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let fields = [dimensions(shape), int(2, 1), bytes(8, name.as_bytes())];
    [fields.concat(), bytes(9, &raw)].concat()
}

/// A tensor of this type with its data as `data` fields.
pub(crate) fn tensor(name: &str, data_type: i64, shape: &[i64], data: &[u8]) -> Vec<u8> {
    let fields = [
        dimensions(shape),
        int(2, data_type),
        bytes(8, name.as_bytes()),
    ];
    [&fields.concat(), data].concat()
}

/// An int64 tensor of one dimension, in the typed field.
pub(crate) fn ints(name: &str, values: &[i64]) -> Vec<u8> {
    let packed: Vec<u8> = values.iter().flat_map(|&v| varint(v as u64)).collect();
    tensor(name, 7, &[values.len() as i64], &bytes(7, &packed))
}

pub(crate) fn attribute_int(name: &str, value: i64) -> Vec<u8> {
    [bytes(1, name.as_bytes()), int(3, value), int(20, 2)].concat()
}

pub(crate) fn attribute_float(name: &str, value: f32) -> Vec<u8> {
    let float = [varint(2 << 3 | 5), value.to_le_bytes().to_vec()].concat();
    [bytes(1, name.as_bytes()), float, int(20, 1)].concat()
}

pub(crate) fn attribute_ints(name: &str, values: &[i64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|&v| int(8, v)).collect();
    [bytes(1, name.as_bytes()), values, int(20, 7)].concat()
}

/// A node whose one output has its own name.
pub(crate) fn node(op: &str, name: &str, inputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|i| bytes(1, i.as_bytes())).collect();
    let attributes: Vec<u8> = attributes.iter().flat_map(|a| bytes(5, a)).collect();
    let names = [bytes(2, name.as_bytes()), bytes(3, name.as_bytes())].concat();
    [inputs, names, bytes(4, op.as_bytes()), attributes].concat()
}

/// What a graph is given or gives, of an element type; a length of -1 is open.
fn value(name: &str, data_type: i64, shape: &[i64]) -> Vec<u8> {
    let shape: Vec<u8> = shape.iter().flat_map(|&n| bytes(1, &int(1, n))).collect();
    let tensor = [int(1, data_type), bytes(2, &shape)].concat();
    [bytes(1, name.as_bytes()), bytes(2, &bytes(1, &tensor))].concat()
}

/// A model over pictures `x` of this shape, whose last node is its output.
#[derive(Clone, Default)]
pub(crate) struct Model {
    pub(crate) nodes: Vec<Vec<u8>>,
    pub(crate) constants: Vec<Vec<u8>>,
    pub(crate) input: Vec<i64>,
    pub(crate) output: String,
    /// Outputs beside it.
    pub(crate) further: Vec<String>,
    /// Whether the picture is of uint8.
    pub(crate) bytes: bool,
    /// FunctionProtos.
    pub(crate) functions: Vec<Vec<u8>>,
    pub(crate) opset: i64,
}

impl Model {
    pub(crate) fn new(input: &[i64]) -> Self {
        Self {
            input: input.to_vec(),
            opset: 17,
            ..Self::default()
        }
    }

    pub(crate) fn constant(mut self, tensor: Vec<u8>) -> Self {
        self.constants.push(tensor);
        self
    }

    pub(crate) fn node(
        mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: &[Vec<u8>],
    ) -> Self {
        self.nodes.push(node(op, name, inputs, attributes));
        self.output = name.into();
        self
    }

    /// A node of one input and several outputs.
    pub(crate) fn outputs(
        mut self,
        op: &str,
        names: &[&str],
        input: &str,
        attribute: &[u8],
    ) -> Self {
        let names: Vec<u8> = names.iter().flat_map(|n| bytes(2, n.as_bytes())).collect();
        let parts = [bytes(1, input.as_bytes()), names, bytes(4, op.as_bytes())];
        self.nodes
            .push([parts.concat(), bytes(5, attribute)].concat());
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let nodes = self.nodes.iter().flat_map(|n| bytes(1, n));
        let constants = self.constants.iter().flat_map(|c| bytes(5, c));
        let outputs = [&self.output].into_iter().chain(&self.further);
        let outputs = outputs.flat_map(|name| bytes(12, &value(name, 1, &[1, -1])));
        let input = bytes(11, &value("x", if self.bytes { 2 } else { 1 }, &self.input));
        let graph: Vec<u8> = nodes.chain(constants).chain(input).chain(outputs).collect();
        let opset = [bytes(1, b""), int(2, self.opset)].concat();
        let functions: Vec<u8> = self.functions.iter().flat_map(|f| bytes(25, f)).collect();
        [
            int(1, 8),
            bytes(2, b"hand"),
            bytes(7, &graph),
            bytes(8, &opset),
            functions,
        ]
        .concat()
    }
}
