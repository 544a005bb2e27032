//! The attributes of a node.

use std::ops::Range;

use super::graph::{Attribute, Graph};
use super::wire::Field;
use super::{ENTRY, MAX_DEPTH, OnnxError, Reader, tensor};

/// The fields of the message, strings and messages in it as places in the file.
#[derive(Default)]
struct AttributeFields {
    name: String,
    kind: Option<i64>,
    int: i64,
    float: f32,
    string: Option<Range<usize>>,
    tensor: Option<Range<usize>>,
    graph: Option<Range<usize>>,
    /// The attribute of the function's node that it stands for.
    reference: Option<String>,
    floats: Vec<f32>,
    ints: Vec<i64>,
    strings: Vec<String>,
}

impl Reader<'_> {
    /// AttributeProto.
    pub(super) fn attribute(
        &mut self,
        range: Range<usize>,
    ) -> Result<(String, Attribute), OnnxError> {
        self.charge(ENTRY)?;
        let mut fields = AttributeFields::default();
        let file = self.file();
        let read = |range: Range<usize>| {
            let bytes = file[range].try_into();
            bytes.map_or(0.0, f32::from_le_bytes)
        };
        let mut message = self.message(range);
        while let Some((number, field)) = message.next()? {
            match (number, field) {
                (1, Field::Bytes(range)) => fields.name = self.string(range)?,
                (2, Field::Fixed32(range)) => fields.float = read(range),
                (3, field) => fields.int = field.int().unwrap_or(0),
                (4, Field::Bytes(range)) => fields.string = Some(range),
                (5, Field::Bytes(range)) => fields.tensor = Some(range),
                (6, Field::Bytes(range)) => fields.graph = Some(range),
                (21, Field::Bytes(range)) => fields.reference = Some(self.string(range)?),
                (7, Field::Fixed32(range)) => fields.floats.push(read(range)),
                (7, Field::Bytes(range)) => {
                    self.charge(range.len())?;
                    let fours = range.step_by(4).map(|at| at..at + 4);
                    let whole = fours.filter(|four| four.end <= message.position());
                    fields.floats.extend(whole.map(read));
                }
                (8, Field::Varint(value)) => fields.ints.push(value as i64),
                (8, Field::Bytes(range)) => {
                    self.charge(range.len() * size_of::<i64>())?;
                    let values = tensor::varints(&file[range]);
                    fields.ints.extend(values.map(|value| value as i64));
                }
                (9, Field::Bytes(range)) => fields.strings.push(self.string(range)?),
                (20, field) => fields.kind = field.int(),
                _ => {}
            }
            self.charge(size_of::<i64>())?;
        }
        let name = std::mem::take(&mut fields.name);
        Ok((name, self.attribute_of(fields)?))
    }

    /// The value of an attribute among its fields.
    fn attribute_of(&mut self, fields: AttributeFields) -> Result<Attribute, OnnxError> {
        if let Some(reference) = fields.reference {
            return Ok(Attribute::Reference(reference));
        }
        // Files of the first version leave the type out: it is that of the field that is there.
        let told = match (&fields.tensor, &fields.string, fields.ints.is_empty()) {
            (Some(_), _, _) => 4,
            (None, Some(_), _) => 3,
            (None, None, false) => 7,
            (None, None, true) => 0,
        };
        let AttributeFields {
            kind,
            float,
            int,
            string,
            tensor,
            graph,
            floats,
            ints,
            strings,
            ..
        } = fields;
        Ok(match kind.unwrap_or(told) {
            1 => Attribute::Float(float),
            2 => Attribute::Int(int),
            3 => {
                let text = string.map(|range| self.string(range)).transpose()?;
                Attribute::String(text.unwrap_or_default())
            }
            4 => match tensor {
                Some(range) => Attribute::Tensor(tensor::read(self, range)?.1),
                None => Attribute::Other,
            },
            5 => match graph.filter(|_| self.depth < MAX_DEPTH) {
                Some(range) => {
                    let mut inner = Box::new(Graph::default());
                    self.charge(size_of::<Graph>())?;
                    self.depth += 1;
                    self.graph(range, &mut inner)?;
                    self.depth -= 1;
                    Attribute::Graph(inner)
                }
                None => Attribute::Other,
            },
            6 => Attribute::Floats(floats),
            7 => Attribute::Ints(ints),
            8 => Attribute::Strings(strings),
            _ => Attribute::Other,
        })
    }
}
