//! Which of a graph's outputs are class scores.
//!
//! Graphs give embeddings, feature maps and auxiliary heads beside them. Each output is read as if it were the only one, and
//! what speaks for it is compared from the strongest sign to the weakest; where nothing tells two apart, none is taken.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::network::{Network, NodeId, Op};
use crate::weights::onnx::{Graph, Node};

use super::{GraphError, Imported};

/// An output as `info` lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct GraphOutput {
    /// Its name.
    pub name: String,
    /// Its shape for one picture; `None` where it is not known.
    pub shape: Option<Vec<usize>>,
    /// Whether it is the one that is explained.
    pub taken: bool,
}

/// One output, read.
pub(super) struct Candidate {
    pub(super) name: String,
    pub(super) read: Result<Imported, GraphError>,
}

/// What speaks for an output: whether each of [`SIGNS`] is there.
type Signs = [bool; 6];

/// From the strongest to the weakest: what an output has that the other lacks.
const SIGNS: [&str; 6] = [
    "it has a number for each class name",
    "the other is called features or an auxiliary head",
    "it is made from the other",
    "it ends in a softmax or sigmoid",
    "its name speaks of class scores",
    "it ends in a dense layer",
];

/// The strongest sign that tells the two apart, in words.
fn reason(of: Signs, other: Signs) -> &'static str {
    let first = (0..SIGNS.len()).find(|&i| of[i] != other[i]);
    first.map_or("", |i| SIGNS[i])
}

const FEATURES: [&str; 12] = [
    "emb",
    "feat",
    "vector",
    "descriptor",
    "hidden",
    "pool",
    "latent",
    "represent",
    "norm",
    "attention",
    "backbone",
    "flatten",
];
const SCORES: [&str; 12] = [
    "logit", "prob", "score", "softmax", "sigmoid", "class", "pred", "label", "output", "head",
    "dense", "cls",
];

fn speaks_of(name: &str, words: &[&str]) -> bool {
    let name = name.to_lowercase();
    words.iter().any(|word| name.contains(word))
}

fn is_auxiliary(name: &str) -> bool {
    speaks_of(name, &["aux"])
}

/// The last node that computes something of its own.
fn classifies(network: &Network) -> bool {
    let mut at = network.output();
    loop {
        let node = network.node(at);
        match (&node.op, &node.inputs[..]) {
            (Op::Linear { .. } | Op::Conv2d { .. }, _) => return true,
            // A head of convolutions ends with their mean.
            (Op::GlobalMean | Op::Flatten(_) | Op::Affine { .. }, &[input]) => at = input,
            _ => return false,
        }
    }
}

/// The output that is taken, and what is to be told of the choice.
pub(super) fn choose(
    graph: &Graph,
    candidates: &[Candidate],
    named: &dyn Fn(usize) -> bool,
) -> Result<(usize, Option<String>), GraphError> {
    let read: Vec<(usize, &Imported)> = candidates
        .iter()
        .enumerate()
        .filter_map(|(i, candidate)| Some((i, candidate.read.as_ref().ok()?)))
        .collect();
    let made = |i: usize| made_for(graph, &candidates[i].name);
    let signs = |i: usize, imported: &Imported| {
        let name = &candidates[i].name;
        let before = made(i);
        let made_before = |other: usize| before.contains(candidates[other].name.as_str());
        [
            named(imported.network.classes()),
            !is_auxiliary(name) && !speaks_of(name, &FEATURES),
            read.iter()
                .any(|&(other, _)| other != i && made_before(other)),
            imported.ends,
            speaks_of(name, &SCORES) || name.eq_ignore_ascii_case("out"),
            classifies(&imported.network),
        ]
    };
    let mut ranked: Vec<(Signs, usize, &Imported)> = read
        .iter()
        .map(|&(i, imported)| (signs(i, imported), i, imported))
        .collect();
    // Stable: in the file's order where nothing tells them apart.
    ranked.sort_by_key(|(signs, ..)| Reverse(*signs));
    let refused = |candidate: &Candidate| candidate.read.is_err();
    let Some(&(best, taken, network)) = ranked.first() else {
        return Err(first_error(candidates));
    };
    // Features are no answer where the scores are what could not be read.
    let [fits, scores, ..] = best;
    if !fits && !scores && candidates.iter().any(|c| refused(c) && !is_map(c)) {
        return Err(GraphError::OnlyFeatures {
            taken: candidates[taken].name.clone(),
        });
    }
    if candidates.len() == 1 {
        return Ok((taken, None));
    }
    let told = match ranked.get(1) {
        None => "no other is one number a class",
        Some(&(second, _, _)) if second < best => reason(best, second),
        Some(_) => {
            let equal: Vec<&(Signs, usize, &Imported)> =
                ranked.iter().filter(|(signs, ..)| *signs == best).collect();
            let deepest = equal
                .iter()
                .max_by_key(|(_, _, imported)| depth(&imported.network));
            let deepest = deepest.copied().filter(|(_, _, deepest)| {
                let same = |other: &Imported| other.network.classes() == network.network.classes();
                let less = |other: &Imported| depth(&other.network) < depth(&deepest.network);
                equal.iter().all(|(_, _, other)| {
                    std::ptr::eq(*other, *deepest) || same(other) && less(other)
                })
            });
            let Some(&(_, deepest, _)) = deepest else {
                let outputs = equal.iter().map(|(_, i, imported)| {
                    format!(
                        "{:?} ({} numbers)",
                        candidates[*i].name,
                        imported.network.classes()
                    )
                });
                return Err(GraphError::Ambiguous {
                    outputs: outputs.collect(),
                });
            };
            return Ok((
                deepest,
                Some(note(
                    candidates,
                    deepest,
                    "it has the most layers before it",
                )),
            ));
        }
    };
    Ok((taken, Some(note(candidates, taken, told))))
}

fn is_map(candidate: &Candidate) -> bool {
    matches!(&candidate.read, Err(GraphError::Output { .. }))
}

/// Why nothing is read: of the first output that looks like scores, else of the first.
pub(super) fn first_error(candidates: &[Candidate]) -> GraphError {
    let errors = || {
        candidates
            .iter()
            .filter_map(|c| Some((c, c.read.as_ref().err()?)))
    };
    let computed = errors().find(|(c, _)| !is_map(c));
    let found = computed.or_else(|| errors().next());
    found.map_or(GraphError::NoOutput, |(_, error)| error.clone())
}

fn note(candidates: &[Candidate], taken: usize, reason: &str) -> String {
    let described = |candidate: &Candidate| match &candidate.read {
        Ok(imported) => format!(
            "{:?} ({} numbers)",
            candidate.name,
            imported.network.classes()
        ),
        Err(_) => format!("{:?}", candidate.name),
    };
    let others = candidates.iter().enumerate().filter(|(i, _)| *i != taken);
    let others: Vec<String> = others.map(|(_, candidate)| described(candidate)).collect();
    format!(
        "of the graph's {} outputs {} was taken as class scores, since {reason}; --output NAME takes another: {}",
        candidates.len(),
        described(&candidates[taken]),
        others.join(", ")
    )
}

/// Convolutions and dense layers.
fn depth(network: &Network) -> usize {
    let weighs =
        |id: &NodeId| matches!(network.node(*id).op, Op::Conv2d { .. } | Op::Linear { .. });
    (0..network.nodes.len()).map(NodeId).filter(weighs).count()
}

/// The scores whose largest an output only names or lists, by `ArgMax` or `TopK`, whatever shape that is brought into then.
pub(super) fn before_choice<'a>(graph: &'a Graph, output: &'a str) -> Option<&'a str> {
    const MOST: usize = 8;
    const AS_IT_IS: [&str; 6] = [
        "Identity",
        "Cast",
        "Squeeze",
        "Unsqueeze",
        "Reshape",
        "Flatten",
    ];
    let mut value = output;
    for _ in 0..MOST {
        let made = |node: &&Node| node.outputs.iter().any(|name| name == value);
        let node = graph.nodes.iter().find(made)?;
        let before = node.inputs.first()?;
        match node.op_type.as_str() {
            "ArgMax" | "TopK" if node.is_standard() => return Some(before),
            op if AS_IT_IS.contains(&op) => value = before,
            _ => return None,
        }
    }
    None
}

/// Names of the values that are made on the way to an output.
fn made_for<'a>(graph: &'a Graph, output: &'a str) -> BTreeSet<&'a str> {
    let (nodes, _) = super::needed(graph, output);
    let made = nodes.iter().flat_map(|node| &node.outputs);
    made.map(String::as_str)
        .filter(|name| *name != output)
        .collect()
}
