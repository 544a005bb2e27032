//! Functions that a model defines itself, put in the place of their calls.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::weights::onnx::{Attribute, Constant, Function, Graph, Input, Node};

use super::GraphError;

/// Functions within functions.
const MAX_DEPTH: usize = 32;
/// Bytes of nodes and names that functions may become.
const MAX_BYTES: usize = 16 << 20;

/// The same graph without functions.
pub(super) fn unfolded(graph: &Graph) -> Result<Cow<'_, Graph>, GraphError> {
    if graph.functions.is_empty() {
        return Ok(Cow::Borrowed(graph));
    }
    let functions = graph.functions.iter();
    let mut unfolding = Unfolding {
        functions: functions
            .map(|function| ((&function.domain[..], &function.name[..]), function))
            .collect(),
        left: MAX_BYTES,
        calls: 0,
    };
    let mut nodes = vec![];
    for node in &graph.nodes {
        unfolding.node(node.clone(), 0, &mut nodes)?;
    }
    Ok(Cow::Owned(Graph {
        nodes,
        functions: vec![],
        ..graph.clone()
    }))
}

struct Unfolding<'a> {
    /// By domain and name.
    functions: BTreeMap<(&'a str, &'a str), &'a Function>,
    left: usize,
    calls: usize,
}

impl Unfolding<'_> {
    /// Appends a node, or what the function that it calls becomes.
    fn node(
        &mut self,
        mut node: Node,
        depth: usize,
        out: &mut Vec<Node>,
    ) -> Result<(), GraphError> {
        let key = (&node.domain[..], &node.op_type[..]);
        let Some(&function) = self.functions.get(&key) else {
            for attribute in node.attributes.values_mut() {
                if let Attribute::Graph(graph) = attribute {
                    let inner = std::mem::take(&mut graph.nodes);
                    for node in inner {
                        self.node(node, depth + 1, &mut graph.nodes)?;
                    }
                }
            }
            out.push(node);
            return Ok(());
        };
        if depth >= MAX_DEPTH {
            return Err(GraphError::Functions);
        }
        self.calls += 1;
        let scope = Scope::new(function, &node, self.calls);
        for inner in &function.nodes {
            let mut inner = scope.node(inner, &mut self.left)?;
            inner.opset = function.opset.or(node.opset);
            self.node(inner, depth + 1, out)?;
        }
        Ok(())
    }
}

/// The names and settings of one call.
struct Scope<'a> {
    /// What stands for each input and output.
    outside: BTreeMap<&'a str, &'a str>,
    /// Before all other names of values.
    prefix: String,
    /// Before the names of nodes.
    call: String,
    settings: BTreeMap<&'a str, &'a Attribute>,
}

impl<'a> Scope<'a> {
    fn new(function: &'a Function, call: &'a Node, number: usize) -> Self {
        let given = |list: &'a [String], i: usize| list.get(i).map_or("", String::as_str);
        let inputs = function.inputs.iter().enumerate();
        let mut outside: BTreeMap<&str, &str> = inputs
            .map(|(i, name)| (name.as_str(), given(&call.inputs, i)))
            .collect();
        let outputs = function.outputs.iter().enumerate();
        outside.extend(
            outputs
                .map(|(i, name)| (name.as_str(), given(&call.outputs, i)))
                .filter(|(_, outer)| !outer.is_empty()),
        );
        let defaults = function.defaults.iter().chain(&call.attributes);
        Self {
            outside,
            prefix: format!("{}#{number}/", call.op_type),
            call: match call.name.as_str() {
                "" => given(&call.outputs, 0).to_owned(),
                name => name.to_owned(),
            },
            settings: defaults
                .map(|(name, value)| (name.as_str(), value))
                .collect(),
        }
    }

    fn value(&self, name: &str, left: &mut usize) -> Result<String, GraphError> {
        let name = match self.outside.get(name) {
            Some(&outer) => outer.to_owned(),
            None if name.is_empty() => String::new(),
            None => format!("{}{name}", self.prefix),
        };
        charge(left, name.len() + size_of::<String>())?;
        Ok(name)
    }

    fn node(&self, node: &Node, left: &mut usize) -> Result<Node, GraphError> {
        let modules: usize = node
            .modules
            .iter()
            .map(|name| name.len() + size_of::<String>())
            .sum();
        charge(
            left,
            size_of::<Node>() + self.call.len() + node.name.len() + modules,
        )?;
        let mut values = |names: &[String]| {
            let names = names.iter().map(|name| self.value(name, left));
            names.collect::<Result<Vec<String>, _>>()
        };
        let (inputs, outputs) = (values(&node.inputs)?, values(&node.outputs)?);
        let mut attributes = BTreeMap::new();
        for (name, attribute) in &node.attributes {
            charge(left, 2 * name.len() + size_of::<Attribute>())?;
            let attribute = match attribute {
                Attribute::Reference(outer) => match self.settings.get(outer.as_str()) {
                    Some(&setting) => copied(setting, left)?,
                    // Left out by the call: left out within.
                    None => continue,
                },
                Attribute::Graph(graph) => Attribute::Graph(Box::new(self.graph(graph, left)?)),
                other => copied(other, left)?,
            };
            attributes.insert(name.clone(), attribute);
        }
        Ok(Node {
            name: format!("{}/{}", self.call, node.name),
            op_type: node.op_type.clone(),
            domain: node.domain.clone(),
            inputs,
            outputs,
            attributes,
            opset: node.opset,
            modules: node.modules.clone(),
        })
    }

    fn graph(&self, graph: &Graph, left: &mut usize) -> Result<Graph, GraphError> {
        let mut renamed = Graph {
            opset: graph.opset,
            ..Graph::default()
        };
        for node in &graph.nodes {
            renamed.nodes.push(self.node(node, left)?);
        }
        for (name, constant) in &graph.constants {
            let name = self.value(name, left)?;
            charge(left, size_of_val(constant))?;
            renamed.constants.insert(name, constant.clone());
        }
        for output in &graph.outputs {
            let name = self.value(&output.name, left)?;
            renamed.outputs.push(Input {
                name,
                ..Input::default()
            });
        }
        Ok(renamed)
    }
}

fn copied(attribute: &Attribute, left: &mut usize) -> Result<Attribute, GraphError> {
    let bytes = match attribute {
        Attribute::Tensor(Constant::Ints(ints)) => size_of_val(&ints.values[..]),
        Attribute::Ints(values) => size_of_val(&values[..]),
        Attribute::Floats(values) => size_of_val(&values[..]),
        Attribute::String(text) => text.len(),
        // A graph that a call hands over is of the call's own scope, which no exporter does.
        Attribute::Graph(_) => return Ok(Attribute::Other),
        _ => 0,
    };
    charge(left, bytes)?;
    Ok(attribute.clone())
}

fn charge(left: &mut usize, bytes: usize) -> Result<(), GraphError> {
    *left = left.checked_sub(bytes).ok_or(GraphError::Functions)?;
    Ok(())
}
