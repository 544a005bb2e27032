//! Which of a graph's outputs are class scores.
//!
//! Graphs give embeddings, feature maps and auxiliary heads beside them. Each output is read as if it were the only one, and
//! what speaks for it is compared from the strongest sign to the weakest; where nothing tells two apart, none is taken.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::network::{Network, NodeId, Op};
use crate::weights::onnx::{Attribute, Graph, Node};

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

/// A candidate that could be read.
struct Ranked<'a> {
    signs: Signs,
    /// Its place among the candidates.
    index: usize,
    network: &'a Network,
}

/// The output that is taken, and what is to be told of the choice. `named`: whether there are class names for so many classes.
pub(super) fn choose(
    graph: &Graph,
    candidates: &[Candidate],
    named: &dyn Fn(usize) -> bool,
) -> Result<(usize, Option<String>), GraphError> {
    let ranked = ranked(graph, candidates, named);
    let Some(first) = ranked.first() else {
        return Err(first_error(candidates));
    };
    // Features are no answer where the scores are what could not be read.
    let is_unread = |candidate: &Candidate| candidate.read.is_err() && !is_map(candidate);
    let [fits, scores, ..] = first.signs;
    if !fits && !scores && candidates.iter().any(is_unread) {
        return Err(GraphError::OnlyFeatures {
            taken: candidates[first.index].name.clone(),
        });
    }
    if candidates.len() == 1 {
        return Ok((first.index, None));
    }
    let (taken, reason) = match ranked.get(1) {
        None => (first, "no other is one number a class"),
        Some(second) if second.signs < first.signs => (first, reason(first.signs, second.signs)),
        Some(_) => {
            let equal = ranked.iter().filter(|other| other.signs == first.signs);
            let equal: Vec<&Ranked<'_>> = equal.collect();
            let deepest = deepest(&equal).ok_or_else(|| GraphError::Ambiguous {
                outputs: equal
                    .iter()
                    .map(|other| described(&candidates[other.index]))
                    .collect(),
            })?;
            (deepest, "it has the most layers before it")
        }
    };
    Ok((taken.index, Some(note(candidates, taken.index, reason))))
}

/// The candidates that could be read, the likeliest first, and in the file's order where nothing tells them apart.
fn ranked<'a>(
    graph: &Graph,
    candidates: &'a [Candidate],
    named: &dyn Fn(usize) -> bool,
) -> Vec<Ranked<'a>> {
    let read = candidates.iter().enumerate();
    let read = read.filter_map(|(index, candidate)| Some((index, candidate.read.as_ref().ok()?)));
    let read: Vec<(usize, &Imported)> = read.collect();
    let signs = |index: usize, imported: &Imported| {
        let name = &candidates[index].name;
        let before = made_for(graph, name);
        let is_before = |other: usize| before.contains(candidates[other].name.as_str());
        let mut others = read.iter().filter(|(other, _)| *other != index);
        [
            named(imported.network.classes()),
            !is_auxiliary(name) && !speaks_of(name, &FEATURES),
            others.any(|&(other, _)| is_before(other)),
            imported.ends,
            speaks_of(name, &SCORES) || name.eq_ignore_ascii_case("out"),
            classifies(&imported.network),
        ]
    };
    let ranked = read.iter().map(|&(index, imported)| Ranked {
        signs: signs(index, imported),
        index,
        network: &imported.network,
    });
    let mut ranked: Vec<Ranked<'_>> = ranked.collect();
    ranked.sort_by_key(|candidate| Reverse(candidate.signs));
    ranked
}

/// The one with more layers than all others, where all have as many classes.
fn deepest<'r, 'a>(ranked: &[&'r Ranked<'a>]) -> Option<&'r Ranked<'a>> {
    let depths = ranked.iter().map(|candidate| depth(candidate.network));
    let most = depths.clone().max()?;
    if depths.filter(|&depth| depth == most).count() > 1 {
        return None;
    }
    let mut candidates = ranked.iter();
    let deepest = *candidates.find(|candidate| depth(candidate.network) == most)?;
    let mut classes = ranked.iter().map(|candidate| candidate.network.classes());
    classes
        .all(|classes| classes == deepest.network.classes())
        .then_some(deepest)
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

/// Its name, and of one that could be read how many classes it has.
fn described(candidate: &Candidate) -> String {
    match &candidate.read {
        Ok(imported) => format!(
            "{:?} ({} numbers)",
            candidate.name,
            imported.network.classes()
        ),
        Err(_) => format!("{:?}", candidate.name),
    }
}

fn note(candidates: &[Candidate], taken: usize, reason: &str) -> String {
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

/// Whose operators classical learning has, and those that name classes.
const CLASSICAL: &str = "ai.onnx.ml";

/// The scores whose largest an output only names or lists, by `ArgMax` or `TopK`, whatever shape that is brought into then; or that it
/// has under the names of their classes, by `ZipMap`.
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
        let is_classical = node.domain == CLASSICAL;
        match node.op_type.as_str() {
            "ArgMax" | "TopK" if node.is_standard() => return Some(before),
            "ZipMap" if is_classical => return Some(before),
            "LabelEncoder" if is_classical => value = before,
            // Of names the one whose number is given.
            "ArrayFeatureExtractor" if is_classical => value = node.inputs.get(1)?,
            op if AS_IT_IS.contains(&op) => value = before,
            _ => return None,
        }
    }
    None
}

/// The classes' names, in order, where a `ZipMap` has them.
pub(in crate::architectures) fn class_names(graph: &Graph) -> Option<&[String]> {
    let mut nodes = graph.nodes.iter();
    nodes.find_map(|node| match node.attributes.get("classlabels_strings") {
        Some(Attribute::Strings(names)) if node.domain == CLASSICAL && node.op_type == "ZipMap" => {
            Some(&names[..])
        }
        _ => None,
    })
}

/// Names of the values that are made on the way to an output.
fn made_for<'a>(graph: &'a Graph, output: &'a str) -> BTreeSet<&'a str> {
    let (nodes, _) = super::needed(graph, output);
    let made = nodes.iter().flat_map(|node| &node.outputs);
    made.map(String::as_str)
        .filter(|name| *name != output)
        .collect()
}
