//! How many classes, values or pictures go through the network at once.

use super::schedule::{self, TakesNothing};
use super::{ForwardRequest, Limits, SUBMISSION, StoredDtype};
use crate::kernels::IMAGE_ROW;
use crate::layout::{blocks, padded_bytes};
use crate::network::{Network, Node, NodeId};

/// Device memory that values and gradients may take together.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// As much.
    pub bytes: u64,
    /// What they are stored as between layers. What the host writes or reads is float32 in any case, and so is every tensor
    /// where it is held against the adapter's bindings, since some kernels write nothing else.
    pub dtype: StoredDtype,
}

impl Budget {
    /// Bytes of a node's value or gradient for one image; `exchanged` where the host writes or reads it.
    fn bytes_of(self, node: &Node, exchanged: bool) -> u64 {
        let full = padded_bytes(1, node.shape);
        match self.dtype {
            StoredDtype::F16 if !exchanged => full / 2,
            StoredDtype::F16 | StoredDtype::F32 => full,
        }
    }
}

/// Most classes that one backward pass to `to` may carry that keeps the gradients at `keep`, so that no tensor on its way
/// outgrows a binding, all its gradients together stay within `budget`, and no dispatch takes long enough for a
/// watchdog; at least 1.
pub fn classes_at_once(
    network: &Network,
    to: NodeId,
    keep: &[NodeId],
    limits: Limits<'_>,
    budget: Budget,
) -> usize {
    at_once(network, to, keep, limits, budget)
}

/// Most values of `from` that one rerun may carry, by the same measures; at least 1.
pub fn images_at_once(
    network: &Network,
    from: NodeId,
    limits: Limits<'_>,
    budget: Budget,
) -> usize {
    at_once(network, from, &[], limits, budget)
}

/// Most images that one pass there and back to the picture may carry with the gradients of `classes` each, so that what
/// the backward pass reads and its gradients stay within `budget`, and by the same measures; at least 1.
pub fn walks_at_once(
    network: &Network,
    classes: usize,
    limits: Limits<'_>,
    budget: Budget,
) -> usize {
    let bytes = |node: &Node| budget.bytes_of(node, false);
    let steps = schedule::steps(network, &ForwardRequest::default(), &TakesNothing);
    let held = steps.iter().map(|step| bytes(network.node(step.made())));
    let held = budget.bytes_of(&network.nodes[0], true) + held.sum::<u64>();
    let largest = network.nodes.iter().map(bytes).max().unwrap_or(0);
    let classes = classes.max(1);
    let by_budget = budget.bytes / (held + 2 * largest * classes as u64).max(1);
    let unbounded = Budget {
        bytes: u64::MAX,
        ..budget
    };
    let gradients = at_once(network, NodeId(0), &[], limits, unbounded);
    (gradients / classes).min(by_budget as usize).max(1)
}

fn at_once(
    network: &Network,
    first: NodeId,
    keep: &[NodeId],
    limits: Limits<'_>,
    budget: Budget,
) -> usize {
    let nodes = || network.nodes[first.0..].iter();
    let largest = nodes().map(|node| padded_bytes(1, node.shape)).max();
    let largest = largest.unwrap_or(0).max(1);
    let held = nodes().map(|node| budget.bytes_of(node, false)).max();
    let kept = keep
        .iter()
        .map(|&id| budget.bytes_of(network.node(id), true));
    let kept: u64 = kept.sum();
    let ids = (first.0..network.nodes.len()).map(NodeId);
    let work = ids.map(|id| network.multiply_adds_of(id));
    let longest = work.max().unwrap_or(0).max(1);
    // Convolutions lay images and blocks of channels along one dimension.
    let maps = nodes().filter(|node| node.shape.h * node.shape.w > 1);
    let most_blocks = maps
        .map(|node| blocks(node.shape.c))
        .max()
        .unwrap_or(0)
        .max(1);
    // In a chain two tensors are alive at a time beside those kept: the one that a layer reads and the one that it writes.
    let alive = alive(network, first, budget).max(2 * held.unwrap_or(0).max(1));
    let by_budget = (budget.bytes / (alive + kept)) as usize;
    let mut bytes = limits.tensor();
    if limits.image_rows() > 1 {
        // What is larger than an image goes through a slower kernel.
        bytes = bytes.min((limits.image_rows() - 1) as u64 * (IMAGE_ROW * 16) as u64);
    }
    let by_memory = (bytes / largest) as usize;
    let by_length = (SUBMISSION / longest) as usize;
    let by_workgroups = limits.workgroups as usize / most_blocks;
    by_memory
        .min(by_budget)
        .min(by_length)
        .min(by_workgroups)
        .max(1)
}

/// Bytes of the values of nodes from `first` on that one image has at once, at the most: each until its last reader is done.
fn alive(network: &Network, first: NodeId, budget: Budget) -> u64 {
    // The host writes the first.
    let bytes = |id: usize| budget.bytes_of(&network.nodes[id], id == first.0);
    let mut last = vec![0; network.nodes.len()];
    for (id, node) in network.nodes.iter().enumerate() {
        for input in &node.inputs {
            last[input.0] = id;
        }
    }
    let (mut now, mut most) = (0, 0);
    for id in first.0..network.nodes.len() {
        now += bytes(id);
        most = most.max(now);
        let mut read: Vec<NodeId> = network.nodes[id].inputs.clone();
        read.sort();
        read.dedup();
        let done = read
            .iter()
            .filter(|input| last[input.0] == id && input.0 >= first.0);
        now -= done.map(|input| bytes(input.0)).sum::<u64>();
    }
    most
}
