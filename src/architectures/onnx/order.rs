//! Nodes before those that read what they give.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::weights::onnx::{Graph, Node};

use super::read_by;

/// The same graph with each node behind those whose values it reads, as the standard wants it. onnxruntime sorts whatever it is
/// given, so that files in another order work there: its own conversion to float16 appends the node that the whole graph reads.
pub(super) fn sorted(graph: Cow<'_, Graph>) -> Cow<'_, Graph> {
    if in_order(&graph.nodes) {
        return graph;
    }
    let order = order(&graph.nodes);
    let mut graph = graph.into_owned();
    let mut nodes: Vec<Option<Node>> = graph.nodes.into_iter().map(Some).collect();
    graph.nodes = order.iter().filter_map(|&i| nodes[i].take()).collect();
    Cow::Owned(graph)
}

/// Whether no node reads what a later one gives.
fn in_order(nodes: &[Node]) -> bool {
    let mut read = BTreeSet::new();
    nodes.iter().all(|node| {
        read_by(node, &mut read);
        !node.outputs.iter().any(|name| read.contains(name.as_str()))
    })
}

/// The nodes by their number: of those that could come next always the first one of the file. What reads itself through others
/// comes last, and is refused by who gets there.
fn order(nodes: &[Node]) -> Vec<usize> {
    let mut makers: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            makers.entry(name).or_insert(i);
        }
    }
    let mut awaited = vec![0; nodes.len()];
    let mut readers = vec![vec![]; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let mut read = BTreeSet::new();
        read_by(node, &mut read);
        let makers: BTreeSet<usize> = read.iter().filter_map(|n| makers.get(n).copied()).collect();
        awaited[i] = makers.len();
        for maker in makers {
            readers[maker].push(i);
        }
    }
    let ready = (0..nodes.len()).filter(|&i| awaited[i] == 0);
    let mut ready: BinaryHeap<Reverse<usize>> = ready.map(Reverse).collect();
    let mut order = vec![];
    while let Some(Reverse(next)) = ready.pop() {
        order.push(next);
        for &reader in &readers[next] {
            awaited[reader] -= 1;
            if awaited[reader] == 0 {
                ready.push(Reverse(reader));
            }
        }
    }
    order.extend((0..nodes.len()).filter(|&i| awaited[i] > 0));
    order
}
