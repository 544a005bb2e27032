//! `.onnx`: a model as a protobuf message, the graph with its weights.
//! <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>
//!
//! The wire format is walked here, without a protobuf crate: one would decode each message into a struct, and with it
//! copy 553 MB of weights to the heap, or need the whole file as one reference-counted buffer. A walk over the mapped
//! file keeps the place of each tensor instead, and the few messages that a classifier needs are short. Messages are
//! read to a fixed depth, graphs within graphs too; what is kept is charged against a budget.

mod attribute;
mod external;
mod graph;
mod tensor;
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::source::Source;
use super::tensor::TensorError;
use super::{Contents, Skipped};

pub use external::ExternalError;
use external::Folder;
pub(crate) use graph::INT64;
pub use graph::{Attribute, Constant, Function, Graph, Input, Integers, Node};
use wire::{Field, Message};

/// Bytes of names, nodes and attributes: some thousands of nodes. Lists that grow take up to three times what they hold.
const STRUCTURE: usize = 12 << 20;
/// Bytes beyond the length of the file that tensors may take which do not lie in it as they are.
const COPIES: usize = 8 << 20;

/// Graphs within graphs that are read; deeper ones are no classifier's.
const MAX_DEPTH: usize = 4;

/// Memory charged for an entry of a map, beside the text in it.
const ENTRY: usize = 256;

/// Why an `.onnx` file was not read.
#[derive(Debug, Error)]
pub enum OnnxError {
    /// The file ends within a field.
    #[error(
        "the file is cut off: at least {missing} more bytes belong to it, copy or download it again"
    )]
    Truncated {
        /// Bytes that the field lacks.
        missing: u64,
    },
    /// Not what protobuf writes.
    #[error("the ONNX model is damaged at byte {at}")]
    Damaged {
        /// Place in the file.
        at: usize,
    },
    /// A model without its main part.
    #[error("the ONNX model has no {0}: the file is cut off, or it is something else")]
    Missing(&'static str),
    /// More structure than any classifier has.
    #[error("the ONNX model has more nodes, names or attributes than any classifier")]
    TooComplex,
    /// A negative length.
    #[error("{name:?}: a dimension of {found}")]
    Dimension {
        /// The tensor.
        name: String,
        /// The length.
        found: i64,
    },
    /// A tensor does not fit its data.
    #[error("{name:?}: {error}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What does not fit.
        error: TensorError,
    },
    /// Whole numbers that do not fit their shape.
    #[error("{name:?}: its whole numbers are not as many as its shape says")]
    Integers {
        /// The tensor.
        name: String,
    },
    /// Data beside the model that cannot be used.
    #[error("{name:?}: {error}")]
    External {
        /// The tensor.
        name: String,
        /// What is wrong.
        error: ExternalError,
    },
}

/// Reads a model; `path` is its file, for data beside it.
pub(super) fn read(source: &Arc<Source>, path: Option<&Path>) -> Result<Contents, OnnxError> {
    let mut reader = Reader {
        source,
        structure: STRUCTURE,
        copies: COPIES.saturating_add(source.bytes().len()),
        depth: 0,
        folder: Folder::of(path),
    };
    let (graph, metadata) = reader.model()?;
    let mut contents = Contents {
        metadata,
        ..Contents::default()
    };
    for (name, constant) in &graph.constants {
        match constant {
            Constant::Floats(tensor) => {
                contents.tensors.insert(name.clone(), tensor.clone());
            }
            Constant::Ints(ints) => {
                let skipped = Skipped {
                    dtype: ints.dtype.into(),
                    shape: ints.shape.clone(),
                };
                contents.skipped.insert(name.clone(), skipped);
            }
            Constant::Quantized(tensor) => {
                let skipped = Skipped {
                    dtype: tensor.dtype().name().into(),
                    shape: tensor.shape().to_vec(),
                };
                contents.skipped.insert(name.clone(), skipped);
            }
            Constant::Other(skipped) => {
                contents.skipped.insert(name.clone(), skipped.clone());
            }
        }
    }
    contents.graph = Some(graph);
    Ok(contents)
}

/// The file and what may still be kept of it.
struct Reader<'a> {
    source: &'a Arc<Source>,
    structure: usize,
    copies: usize,
    /// Graphs around the one that is read.
    depth: usize,
    folder: Folder,
}

impl<'a> Reader<'a> {
    fn file(&self) -> &'a [u8] {
        self.source.bytes()
    }

    fn message(&self, range: Range<usize>) -> Message<'a> {
        Message::within(self.file(), range)
    }

    /// Takes `bytes` of names, nodes or attributes off their budget.
    fn charge(&mut self, bytes: usize) -> Result<(), OnnxError> {
        let left = self.structure.checked_sub(bytes);
        self.structure = left.ok_or(OnnxError::TooComplex)?;
        Ok(())
    }

    /// Takes `bytes` of copied tensors off their budget.
    fn charge_copy(&mut self, bytes: usize) -> Result<(), OnnxError> {
        let left = self.copies.checked_sub(bytes);
        self.copies = left.ok_or(OnnxError::TooComplex)?;
        Ok(())
    }

    fn string(&mut self, range: Range<usize>) -> Result<String, OnnxError> {
        // The text may be kept twice, as a name and as a key, each with its handle.
        self.charge(2 * (range.len() + size_of::<String>()))?;
        let at = range.start;
        std::str::from_utf8(&self.file()[range])
            .map(str::to_owned)
            .map_err(|_| OnnxError::Damaged { at })
    }

    /// ModelProto.
    fn model(&mut self) -> Result<(Graph, BTreeMap<String, String>), OnnxError> {
        let mut metadata = BTreeMap::new();
        let mut graph = None;
        let mut opset = None;
        let mut functions = vec![];
        let mut message = Message::whole(self.file());
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (2, Field::Bytes(range)) => {
                    metadata.insert("producer".into(), self.string(range)?);
                }
                (3, Field::Bytes(range)) => {
                    metadata.insert("producer_version".into(), self.string(range)?);
                }
                (7, Field::Bytes(range)) => {
                    let graph = graph.get_or_insert_default();
                    self.graph(range, graph)?;
                }
                (8, Field::Bytes(range)) => {
                    let (domain, version) = self.operator_set(range)?;
                    if domain.is_empty() || domain == "ai.onnx" {
                        opset = Some(version);
                        metadata.insert("opset".into(), version.to_string());
                    }
                }
                (14, Field::Bytes(range)) => {
                    let (key, value) = self.entry(range)?;
                    metadata.insert(key, value);
                }
                (25, Field::Bytes(range)) => functions.push(self.function(range)?),
                _ => {}
            }
        }
        let mut graph: Graph = graph.ok_or(OnnxError::Missing("graph"))?;
        graph.opset = opset.ok_or(OnnxError::Missing("opset"))?;
        graph.functions = functions;
        // Before IR version 4 the constants are among the inputs as well.
        let Graph {
            inputs, constants, ..
        } = &mut graph;
        inputs.retain(|input| !constants.contains_key(&input.name));
        Ok((graph, metadata))
    }

    /// GraphProto.
    fn graph(&mut self, range: Range<usize>, graph: &mut Graph) -> Result<(), OnnxError> {
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            let Some(range) = field.bytes() else {
                continue;
            };
            match number {
                1 => {
                    let node = self.node(range)?;
                    if let Some((name, constant)) = node.constant() {
                        graph.constants.insert(name, constant);
                    } else {
                        graph.nodes.push(node);
                    }
                }
                5 => {
                    let (name, constant) = tensor::read(self, range)?;
                    graph.constants.insert(name, constant);
                }
                11 => graph.inputs.push(self.input(range)?),
                12 => {
                    let output = self.input(range)?;
                    graph.outputs.push(output);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// FunctionProto.
    fn function(&mut self, range: Range<usize>) -> Result<Function, OnnxError> {
        self.charge(size_of::<Function>())?;
        let mut function = Function::default();
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            let Some(range) = field.bytes() else {
                continue;
            };
            match number {
                1 => function.name = self.string(range)?,
                4 => function.inputs.push(self.string(range)?),
                5 => function.outputs.push(self.string(range)?),
                7 => function.nodes.push(self.node(range)?),
                9 => {
                    let (domain, version) = self.operator_set(range)?;
                    if domain.is_empty() || domain == "ai.onnx" {
                        function.opset = Some(version);
                    }
                }
                10 => function.domain = self.string(range)?,
                11 => {
                    let (name, attribute) = self.attribute(range)?;
                    function.defaults.insert(name, attribute);
                }
                _ => {}
            }
        }
        Ok(function)
    }

    /// NodeProto.
    fn node(&mut self, range: Range<usize>) -> Result<Node, OnnxError> {
        self.charge(size_of::<Node>())?;
        let mut node = Node::default();
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            let Some(range) = field.bytes() else {
                continue;
            };
            match number {
                1 => node.inputs.push(self.string(range)?),
                2 => node.outputs.push(self.string(range)?),
                3 => node.name = self.string(range)?,
                4 => node.op_type = self.string(range)?,
                5 => {
                    let (name, attribute) = self.attribute(range)?;
                    node.attributes.insert(name, attribute);
                }
                7 => node.domain = self.string(range)?,
                9 => {
                    if let Some(modules) = self.modules(range)? {
                        node.modules = modules;
                    }
                }
                _ => {}
            }
        }
        Ok(node)
    }

    /// The modules that a node's StringStringEntryProto names, where it does. The last name of its list is the node's own.
    fn modules(&mut self, range: Range<usize>) -> Result<Option<Vec<String>>, OnnxError> {
        let file = self.file();
        let (mut key, mut value) = (0..0, 0..0);
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Bytes(range)) => key = range,
                (2, Field::Bytes(range)) => value = range,
                _ => {}
            }
        }
        if &file[key] != b"pkg.torch.onnx.name_scopes" {
            return Ok(None);
        }
        let text = self.string(value)?;
        let mut names: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
        names.pop();
        let mut modules = vec![];
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            self.charge(name.len() + size_of::<String>())?;
            modules.push(name.to_owned());
        }
        Ok(Some(modules))
    }

    /// ValueInfoProto, of which the name and the shape are wanted.
    fn input(&mut self, range: Range<usize>) -> Result<Input, OnnxError> {
        self.charge(size_of::<Input>())?;
        let mut input = Input::default();
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Bytes(range)) => input.name = self.string(range)?,
                // TypeProto, its tensor_type, the shape of that.
                (2, Field::Bytes(range)) => {
                    let tensor = self.last(range, 1)?;
                    if let Some(tensor) = tensor.clone() {
                        input.dtype = self.element_type(tensor)?;
                    }
                    let shape = tensor.map_or(Ok(None), |tensor| self.last(tensor, 2))?;
                    input.shape = shape.map_or(Ok(vec![]), |shape| self.shape(shape))?;
                }
                _ => {}
            }
        }
        Ok(input)
    }

    /// The element type of TypeProto.Tensor.
    fn element_type(&mut self, range: Range<usize>) -> Result<&'static str, OnnxError> {
        let mut message = self.message(range);
        let mut found = "";
        while let Some((number, field)) = message.next()? {
            if let (1, Some(number)) = (number, field.int()) {
                found = tensor::type_name(number);
            }
        }
        Ok(found)
    }

    /// TensorShapeProto.
    fn shape(&mut self, range: Range<usize>) -> Result<Vec<Option<usize>>, OnnxError> {
        let mut shape = vec![];
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            let (1, Field::Bytes(range)) = (number, field) else {
                continue;
            };
            self.charge(size_of::<Option<usize>>())?;
            let mut dimension = self.message(range);
            let mut length = None;
            while let Some((number, field)) = dimension.next()? {
                if let (1, Field::Varint(value)) = (number, field) {
                    // Some writers mark an open dimension by 0 or -1.
                    length = usize::try_from(value as i64).ok().filter(|&n| n > 0);
                }
            }
            shape.push(length);
        }
        Ok(shape)
    }

    /// StringStringEntryProto.
    fn entry(&mut self, range: Range<usize>) -> Result<(String, String), OnnxError> {
        self.charge(ENTRY)?;
        let mut entry = (String::new(), String::new());
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Bytes(range)) => entry.0 = self.string(range)?,
                (2, Field::Bytes(range)) => entry.1 = self.string(range)?,
                _ => {}
            }
        }
        Ok(entry)
    }

    /// OperatorSetIdProto: domain and version.
    fn operator_set(&mut self, range: Range<usize>) -> Result<(String, i64), OnnxError> {
        let mut set = (String::new(), 0);
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Bytes(range)) => set.0 = self.string(range)?,
                (2, field) => set.1 = field.int().unwrap_or(0),
                _ => {}
            }
        }
        Ok(set)
    }

    /// The last field of that number in a message, which is the one that counts.
    fn last(&self, range: Range<usize>, wanted: u64) -> Result<Option<Range<usize>>, OnnxError> {
        let mut found = None;
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            if number == wanted {
                found = field.bytes();
            }
        }
        Ok(found)
    }
}
