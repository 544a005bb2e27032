//! What a plan chooses between, for who measures it or shows it.

use super::builder::Builder;
use super::costs::LayerShape;
use super::phases::Pass;
use super::{Limits, Request, Variant};
use crate::layout::Direction;
use crate::network::{Network, NodeId};

/// The kernels of a convolution, there or back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The convolution.
    pub node: NodeId,
    /// Its shape.
    pub layer: LayerShape,
    /// Which way it goes.
    pub way: Direction,
    /// Images or gradients at once.
    pub images: usize,
    /// Everything that computes it on this adapter.
    pub variants: Vec<Variant>,
    /// What the built-in model takes.
    pub model: Variant,
    /// What is taken.
    pub taken: Variant,
}

/// The choices for the picture's pass of `request` and its backward passes, layer by layer; those back of the way that goes
/// furthest.
pub fn choices(network: &Network, request: &Request, limits: Limits<'_>) -> Vec<Choice> {
    let picture = &request.passes[0];
    let mut builder = Builder::new(network, request, limits);
    builder.pass = Pass {
        images: picture.images,
        ..Pass::default()
    };
    let nodes = (0..network.nodes.len()).map(NodeId);
    let choices = nodes.flat_map(|node| {
        let crossing = picture.backs.iter().filter(|back| node > back.to);
        let gradients = crossing.map(|back| picture.gradients(back)).next();
        let ways = [
            (Direction::Forward, Some(picture.images)),
            (Direction::Backward, gradients),
        ];
        let ways = ways.map(|(way, images)| builder.choice(node, way, images?));
        ways.into_iter().flatten()
    });
    choices.collect()
}
