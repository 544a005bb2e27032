//! What an exporter has written in a longer or a more general form, as one node each: products by `Einsum`; layer norms,
//! `(x - m) / sqrt(mean((x - m)^2) + epsilon)`; and group norms, whose groups of channels are for an `InstanceNormalization` what
//! channels are.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::weights::onnx::{Attribute, Constant, Graph, Node};

/// The same graph with a `MeanVarianceNormalization` for each quotient that is one, which has an `epsilon` beside the
/// standard's `axes`; and with an `InstanceNormalization` that has a `num_groups` and reads the map itself for one that reads its
/// groups. What nothing reads any more stays behind.
pub(super) fn joined(graph: Cow<'_, Graph>) -> Cow<'_, Graph> {
    let found: BTreeMap<usize, Node> = {
        let parts = Parts::of(&graph);
        let nodes = graph.nodes.iter().enumerate();
        nodes
            .filter_map(|(i, node)| {
                let joined = parts.normalization(node);
                let joined = joined.or_else(|| parts.group_normalization(node));
                Some((i, joined.or_else(|| parts.product(node))?))
            })
            .collect()
    };
    if found.is_empty() {
        return graph;
    }
    let mut graph = graph.into_owned();
    for (i, node) in found {
        graph.nodes[i] = node;
    }
    Cow::Owned(graph)
}

struct Parts<'a> {
    graph: &'a Graph,
    makers: BTreeMap<&'a str, &'a Node>,
    constants: &'a BTreeMap<String, Constant>,
}

impl<'a> Parts<'a> {
    fn of(graph: &'a Graph) -> Self {
        let nodes = graph.nodes.iter().filter(|node| node.is_standard());
        Self {
            graph,
            makers: nodes
                .filter_map(|node| Some((node.outputs.first()?.as_str(), node)))
                .collect(),
            constants: &graph.constants,
        }
    }

    /// The inputs of the node that makes `value`, where it is of this kind.
    fn made_by(&self, value: &str, op: &str) -> Option<&'a [String]> {
        let maker = self.makers.get(value).copied()?;
        (maker.op_type == op).then_some(&maker.inputs)
    }

    fn number(&self, name: &str) -> Option<f32> {
        match self.constants.get(name)? {
            Constant::Floats(tensor) if tensor.len() == 1 => Some(tensor.to_vec()[0]),
            Constant::Ints(ints) if ints.values.len() == 1 => Some(ints.values[0] as f32),
            _ => None,
        }
    }

    /// What a mean is of, and the one dimension that it is over, which stays.
    fn mean(&self, value: &str) -> Option<(&'a str, i64)> {
        let node = self.makers.get(value).copied()?;
        if node.op_type != "ReduceMean" || node.int("keepdims").unwrap_or(1) == 0 {
            return None;
        }
        let given = node.inputs.get(1).and_then(|name| self.constants.get(name));
        let axes = match (node.ints("axes"), given) {
            (Some(axes), _) => axes,
            (None, Some(Constant::Ints(ints))) => &ints.values,
            _ => return None,
        };
        match axes {
            &[axis] => Some((node.inputs.first()?, axis)),
            _ => None,
        }
    }

    /// What is squared.
    fn square(&self, value: &str) -> Option<&'a str> {
        if let Some([base, exponent]) = self.made_by(value, "Pow") {
            return (self.number(exponent) == Some(2.0)).then_some(base);
        }
        match self.made_by(value, "Mul")? {
            [a, b] if a == b => Some(a),
            _ => None,
        }
    }

    /// A value from which its mean over a dimension is taken off.
    fn centred(&self, value: &str) -> Option<(&'a str, i64)> {
        let [whole, mean] = self.made_by(value, "Sub")? else {
            return None;
        };
        self.mean(mean).filter(|(of, _)| of == whole)
    }

    /// An `InstanceNormalization` of the map that a `Reshape` to batch, groups and the rest has made three dimensions of, where a `Reshape`
    /// back to the map's four comes after it, which changes nothing then.
    fn group_normalization(&self, node: &'a Node) -> Option<Node> {
        let ("InstanceNormalization", true, [grouped, scale, shift]) =
            (node.op_type.as_str(), node.is_standard(), &node.inputs[..])
        else {
            return None;
        };
        let [map, lengths] = self.made_by(grouped, "Reshape")? else {
            return None;
        };
        let Constant::Ints(lengths) = self.constants.get(lengths)? else {
            return None;
        };
        let &[-1..=1, groups @ 1..=i64::MAX, -1 | 1..=i64::MAX] = &lengths.values[..] else {
            return None;
        };
        let [result] = &node.outputs[..] else {
            return None;
        };
        let is_output = self
            .graph
            .outputs
            .iter()
            .any(|output| output.name == *result);
        let mut readers = self.graph.nodes.iter();
        let goes_back = |reader: &Node| match &reader.inputs[..] {
            [of, lengths] if of == result && reader.op_type == "Reshape" => {
                self.is_map(lengths, map)
            }
            inputs => !inputs.contains(result),
        };
        if is_output || !readers.all(goes_back) {
            return None;
        }
        Some(Node {
            inputs: vec![map.clone(), scale.clone(), shift.clone()],
            attributes: [("num_groups".to_owned(), Attribute::Int(groups))]
                .into_iter()
                .chain(node.attributes.clone())
                .collect(),
            ..node.clone()
        })
    }

    /// Whether these are the lengths of a map of four dimensions: those of `map`, or four of which none after the first is
    /// taken over from what is reshaped.
    fn is_map(&self, lengths: &str, map: &str) -> bool {
        if let Some([of]) = self.made_by(lengths, "Shape") {
            return of == map;
        }
        if let Some([_, c, h, w]) = self.made_by(lengths, "Concat") {
            return [c, h, w].iter().all(|part| self.number(part) != Some(0.0));
        }
        match self.constants.get(lengths) {
            Some(Constant::Ints(ints)) => {
                matches!(ints.values[..], [_, c, h, w] if [c, h, w].iter().all(|&n| n != 0))
            }
            _ => false,
        }
    }

    /// An `Einsum` of vectors and a matrix, as the `Gemm` that it is.
    fn product(&self, node: &'a Node) -> Option<Node> {
        let ("Einsum", true, [a, b]) =
            (node.op_type.as_str(), node.is_standard(), &node.inputs[..])
        else {
            return None;
        };
        let equation: String = node.text("equation")?.split_whitespace().collect();
        let (terms, result) = equation.split_once("->")?;
        let (of_a, of_b) = terms.split_once(',')?;
        let is_matrix = |name: &str| matches!(self.constants.get(name), Some(Constant::Floats(matrix)) if matrix.shape().len() == 2);
        let (vectors, of_vectors, matrix, of_matrix) = match (is_matrix(a), is_matrix(b)) {
            (false, true) => (a, of_a, b, of_b),
            (true, false) => (b, of_b, a, of_a),
            _ => return None,
        };
        let letters = |term: &str| <[char; 2]>::try_from(term.chars().collect::<Vec<_>>()).ok();
        let ([n, i], matrix_of, [out_n, o]) =
            (letters(of_vectors)?, letters(of_matrix)?, letters(result)?);
        let turned = match matrix_of {
            [first, second] if first == i && second == o => 0,
            [first, second] if first == o && second == i => 1,
            _ => return None,
        };
        let plain = out_n == n && n != i && n != o && i != o && !equation.contains('.');
        plain.then(|| Node {
            op_type: "Gemm".into(),
            inputs: vec![vectors.clone(), matrix.clone()],
            attributes: BTreeMap::from([("transB".into(), Attribute::Int(turned))]),
            ..node.clone()
        })
    }

    fn normalization(&self, node: &'a Node) -> Option<Node> {
        let ("Div", true, [above, below]) =
            (node.op_type.as_str(), node.is_standard(), &node.inputs[..])
        else {
            return None;
        };
        let [under_root] = self.made_by(below, "Sqrt")? else {
            return None;
        };
        let [a, b] = self.made_by(under_root, "Add")? else {
            return None;
        };
        let (variance, epsilon) = match (self.number(a), self.number(b)) {
            (None, Some(epsilon)) => (a, epsilon),
            (Some(epsilon), None) => (b, epsilon),
            _ => return None,
        };
        let (square, along) = self.mean(variance)?;
        let (value, axis) = self.centred(above)?;
        // Some exporters take the mean off once for each of the two.
        if self.centred(self.square(square)?)? != (value, axis) || along != axis {
            return None;
        }
        Some(Node {
            op_type: "MeanVarianceNormalization".into(),
            inputs: vec![value.into()],
            attributes: BTreeMap::from([
                ("axes".into(), Attribute::Ints(vec![axis])),
                ("epsilon".into(), Attribute::Float(epsilon)),
            ]),
            ..node.clone()
        })
    }
}
