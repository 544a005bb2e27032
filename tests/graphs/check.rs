//! A network's values, gradients and reruns against the interpreter's.

use gradcam::low_level::exact;
use gradcam::low_level::gpu::Session;
use gradcam::low_level::network::{Network, NodeId, ReluRule, Shape};
use gradcam::low_level::plan::{
    BackwardRequest, ForwardRequest, Limits, Means, Plan, Request, lists,
};

use crate::CLASSES;
use crate::common::device::{GPU, assert_close, backward_within, forward_within, random};
use crate::common::interpreter::{gradients, values};

/// A node in the middle whose value is a map and reaches the logits.
fn middle(network: &Network) -> NodeId {
    let output = network.output();
    let fits = |&id: &NodeId| {
        let node = network.node(id);
        node.shape.h * node.shape.w > 1 && network.descendants(id)[output.0]
    };
    let maps: Vec<NodeId> = (1..network.nodes.len()).map(NodeId).filter(fits).collect();
    maps[maps.len() / 2]
}

fn describe(network: &Network) -> String {
    let nodes = network.nodes.iter().map(|node| {
        let op = format!("{:?}", node.op);
        let op = op.split([' ', '{', '(']).next().unwrap().to_owned();
        let inputs: Vec<usize> = node.inputs.iter().map(|input| input.0).collect();
        format!("{}:{op}{inputs:?}{}", node.name, node.shape)
    });
    nodes.collect::<Vec<_>>().join(" ")
}

pub(crate) fn check(limits: Limits<'_>, network: &Network, seed: u32) {
    let what = |part: &str| {
        format!(
            "seed {seed}, {:?}: {part} of {}",
            limits.family,
            describe(network)
        )
    };
    let (input, classes) = (network.input_shape(), Shape::vector(CLASSES));
    let pictures = random(seed + 1, 2 * input.len());
    let each: Vec<Vec<Vec<f32>>> = pictures
        .chunks_exact(input.len())
        .map(|x| values(network, x, None))
        .collect();
    let logits: Vec<f32> = each
        .iter()
        .flat_map(|v| v.last().unwrap().clone())
        .collect();
    let actual = forward_within(limits, network, 2, &pictures);
    assert_close(&what("logits"), &actual, &logits, classes, 1e-4);

    let x = &pictures[..input.len()];
    let dy = random(seed + 2, 2 * CLASSES);
    let target = middle(network);
    let shape = network.node(target).shape;
    for rule in [ReluRule::Plain, ReluRule::Guided] {
        let expected: Vec<Vec<Vec<f32>>> = dy
            .chunks_exact(CLASSES)
            .map(|dy| gradients(network, &each[0], dy, rule))
            .collect();
        for (to, shape) in [(NodeId(0), input), (target, shape)] {
            let request = BackwardRequest {
                to,
                keep: vec![],
                classes: 2,
                rule,
                means: Means::Never,
            };
            let (_, dx) = backward_within(limits, network, request, x, &dy);
            let expected: Vec<f32> = expected.iter().flat_map(|g| g[to.0].clone()).collect();
            let part = format!("gradient at {to:?}, {rule:?}");
            assert_close(&what(&part), &dx, &expected, shape, 1e-4);
        }
    }
}

/// Hands over what the host computes of a pass.
fn compute_by_host(session: &Session, pass: usize, network: &Network, inputs: &[f32]) {
    let Some(last) = session.plan().passes[pass].request.by_host else {
        return;
    };
    let each = inputs.chunks_exact(network.input_shape().len());
    for (image, input) in each.enumerate() {
        exact::Layers::new(network, last, 1).forward(input, |node, values, maxima| {
            let shape = network.node(node).shape;
            session.write_by_host([pass, image], node, shape, values, maxima);
        });
    }
}

/// A rerun from the middle, whose other values are those of the picture, beside a walk, which must leave them; where `by_host`
/// the host computes what it can of both. Returns whether that is anything.
pub(crate) fn check_reruns(
    limits: Limits<'_>,
    network: &Network,
    seed: u32,
    by_host: bool,
) -> bool {
    let by_host = exact::last(network, 1.0).filter(|_| by_host);
    let (input, classes) = (network.input_shape(), Shape::vector(CLASSES));
    let target = middle(network);
    let shape = network.node(target).shape;
    let x = random(seed + 1, input.len());
    let images = 3;
    let changed = random(seed + 3, images * shape.len());
    let back = BackwardRequest {
        to: NodeId(0),
        keep: vec![target],
        classes: 1,
        rule: ReluRule::Plain,
        means: Means::Never,
    };
    let picture = ForwardRequest {
        keep: vec![target],
        backs: vec![back.clone()],
        by_host,
        ..ForwardRequest::default()
    };
    let again = ForwardRequest {
        from: target,
        images,
        based: true,
        ..ForwardRequest::default()
    };
    let others = ForwardRequest {
        images: 2,
        backs: vec![back],
        by_host,
        ..ForwardRequest::default()
    };
    let request = Request {
        passes: vec![picture, again, others],
        ..Request::default()
    };
    let plan = Plan::new(network, &request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    compute_by_host(&session, 0, network, &x);
    session.forward(0, &x, input).unwrap();
    let own = values(network, &x, None);
    let what = |part: &str| {
        format!(
            "seed {seed}, {:?}: {part} of {}",
            limits.family,
            describe(network)
        )
    };
    let expected: Vec<f32> = changed
        .chunks_exact(shape.len())
        .flat_map(|value| values(network, &x, Some((target, value))).pop().unwrap())
        .collect();
    let rerun = &session.plan().passes[1];
    let layers = rerun.base.as_ref().map_or(&[][..], |base| &base.layers);
    let base = &own[target.0];
    for round in 0..2 {
        session.base(1, base, shape).unwrap();
        let lists = lists(network, target, layers, base, &changed);
        session
            .forward_beside_base(1, &changed, shape, &lists)
            .unwrap();
        let logits = session.read(rerun.logits, images, classes).unwrap();
        let part = format!("rerun from {target:?}, round {round}");
        assert_close(&what(&part), &logits, &expected, classes, 1e-4);
        // Neither a walk nor the backward pass disturbs the next one.
        let walked = random(seed + 4, 2 * input.len());
        compute_by_host(&session, 2, network, &walked);
        session.forward(2, &walked, input).unwrap();
        let seeds = random(seed + 5, 2 * CLASSES);
        session.backward([2, 0], &seeds, classes).unwrap();
        let walk = &session.plan().passes[2].backs[0];
        let dx = session.read(walk.gradient, 2, input).unwrap();
        let expected: Vec<f32> = walked
            .chunks_exact(input.len())
            .zip(seeds.chunks_exact(CLASSES))
            .flat_map(|(x, dy)| {
                let values = values(network, x, None);
                gradients(network, &values, dy, ReluRule::Plain).swap_remove(0)
            })
            .collect();
        assert_close(&what("walk"), &dx, &expected, input, 1e-4);
        session
            .backward([0, 0], &seeds[..CLASSES], classes)
            .unwrap();
        let phase = &session.plan().picture().backs[0];
        let expected = gradients(network, &own, &seeds[..CLASSES], ReluRule::Plain);
        for (buffer, id, shape) in [
            (phase.gradient, NodeId(0), input),
            (phase.kept[0], target, shape),
        ] {
            let dx = session.read(buffer, 1, shape).unwrap();
            assert_close(&what("backward"), &dx, &expected[id.0], shape, 1e-4);
        }
    }
    by_host.is_some()
}
