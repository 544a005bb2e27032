//! The device under test, and networks run on it.
#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part"
)]

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Deref;
use std::sync::Mutex;

use gradcam::low_level::gpu::{Gpu, Selection, Session};
use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{Network, NodeId, Op, Pad, Shape};
use gradcam::low_level::plan::{
    BackwardRequest, Broadcast, ForwardRequest, Hardware, KernelFamily, Limits, Means, Plan,
    Request, StoredDtype, Subgroup, Winograd,
};

/// The device under test. No adapter is a failure: nothing here is skipped in silence.
pub(crate) static GPU: UnderTest = UnderTest;

/// A device for each test that runs: Mesa's software adapter compiles the kernels of one device one after the other.
pub(crate) struct UnderTest;

/// Devices that no thread has.
static IDLE: Mutex<Vec<&Gpu>> = Mutex::new(vec![]);

/// A thread's device, which is another's when the thread has ended.
struct Lent(&'static Gpu);

thread_local! {
    static LENT: Lent = Lent({
        let idle = IDLE.lock().unwrap().pop();
        idle.unwrap_or_else(|| {
            let gpu = Gpu::open(&Selection::default());
            Box::leak(Box::new(gpu.unwrap_or_else(|error| panic!("the tests need an adapter: {error}"))))
        })
    });
}

impl Drop for Lent {
    fn drop(&mut self) {
        IDLE.lock().unwrap().push(self.0);
    }
}

impl Deref for UnderTest {
    type Target = Gpu;

    fn deref(&self) -> &Gpu {
        LENT.with(|lent| lent.0)
    }
}

/// `len` values in -1..1, the same for the same seed.
pub(crate) fn random(seed: u32, len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|i| {
            let mut h = i.wrapping_mul(0x9E37_79B1) ^ seed.wrapping_mul(0x85EB_CA77);
            h = (h ^ h >> 16).wrapping_mul(0x7FEB_352D);
            h = (h ^ h >> 15).wrapping_mul(0x846C_A68B);
            h ^= h >> 16;
            (h >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Fails with the coordinate and both values where `actual` is further from `expected` than `tolerance` times the
/// largest value expected.
#[track_caller]
pub(crate) fn assert_close(
    what: &str,
    actual: &[f32],
    expected: &[f32],
    shape: Shape,
    tolerance: f32,
) {
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    let bound = tolerance * largest.max(f32::MIN_POSITIVE);
    let mut worst = (0.0, 0);
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let off = (a - e).abs();
        if off.is_nan() || off > worst.0 {
            worst = (off, i);
        }
        if off.is_nan() {
            break;
        }
    }
    let (off, i) = worst;
    let coordinate = || {
        let (p, c) = (i % (shape.h * shape.w), i / (shape.h * shape.w));
        format!(
            "n {} c {} row {} column {}",
            c / shape.c,
            c % shape.c,
            p / shape.w,
            p % shape.w
        )
    };
    assert!(
        off <= bound,
        "{what}: {} where {} was expected at {} (off by {off}, allowed {bound})",
        actual[i],
        expected[i],
        coordinate()
    );
}

/// Limits under which the plan takes the plain kernels, whatever the adapter could do.
pub(crate) fn plain() -> Limits<'static> {
    Limits {
        family: KernelFamily::Plain,
        ..GPU.limits()
    }
}

/// What the adapter takes, and the plain kernels.
pub(crate) fn own_and_plain() -> Vec<Limits<'static>> {
    let own = GPU.limits();
    match subgroups_alone() {
        true => vec![own],
        false => vec![own, plain()],
    }
}

/// The kernels for a GPU that so many workgroups keep busy: with 0 in large tiles, with the most in small ones.
pub(crate) fn tiled(workgroups: u32) -> KernelFamily {
    KernelFamily::Tiled(Hardware {
        workgroups,
        multiply_adds_a_byte: 12,
    })
}

/// What float16 may be off, of the largest value: a few roundings of 2^-11 each, of inputs, filters and results.
pub(crate) const HALF_TOLERANCE: f32 = 6e-3;

/// The same with values, gradients, filters and matrices in float16.
fn in_halves(request: &Request) -> Request {
    Request {
        matrices: StoredDtype::F16,
        dtype: StoredDtype::F16,
        ..request.clone()
    }
}

thread_local! {
    /// How often a test has held each set of kernels in float16, with how many dispatches.
    static HELD: RefCell<HashMap<(BTreeSet<Kernel>, usize), usize>> = RefCell::default();
}

/// Whether a plan in float16 is one of the first two that a test makes of these kernels. What the others differ in, windows and
/// sizes, is held in float32.
fn is_to_be_held(plan: &Plan) -> bool {
    let dispatches = plan.phases().map(<[_]>::len).sum();
    HELD.with_borrow_mut(|held| {
        let times = held.entry((plan.kernels(), dispatches)).or_default();
        *times += 1;
        *times <= 2
    })
}

/// Rounded to what float16 holds, so that no mask and no maximum is another's by that.
fn to_halves(values: &[f32]) -> Vec<f32> {
    let rounded = |&value: &f32| half::f16::from_f32(value).to_f32();
    values.iter().map(rounded).collect()
}

/// How many nodes take masks or maxima of values that are computed, and so rounded: those that lie within rounding of zero, or of
/// each other, send their gradient elsewhere.
fn that_may_turn_over(network: &Network) -> usize {
    let decides = |op: &Op| matches!(op, Op::MaxPool(_) | Op::Activate(_));
    let nodes = network.nodes.iter();
    nodes
        .filter(|node| decides(&node.op) && node.inputs != [NodeId(0)])
        .count()
}

/// Fails where more than a tenth of the values are further from what is expected than `tolerance` times the largest.
#[track_caller]
fn assert_mostly_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    let largest = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    // Not a number is close to nothing.
    let is_close = |(a, e): &(&f32, &f32)| (*a - *e).abs() <= tolerance * largest;
    let close = actual.iter().zip(expected).filter(is_close).count();
    assert_eq!(actual.len(), expected.len(), "{what}: length");
    let off = expected.len() - close;
    assert!(
        off * 10 <= expected.len(),
        "{what}: {off} of {} values are off",
        expected.len()
    );
}

/// Whether float16 holds them: others are refused.
fn are_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// The network with a node before and after it that hands values on: what the host writes and reads is float32, and all
/// that the network itself reads and makes then may be float16.
fn between(network: &Network) -> Network {
    let hand_on = || {
        Op::Pad(Pad {
            before: [0; 2],
            after: [0; 2],
            value: 0.0,
        })
    };
    let mut made = Network::new("between", network.input_shape());
    made.chain("before", hand_on()).unwrap();
    for node in &network.nodes[1..] {
        let inputs = node
            .inputs
            .iter()
            .map(|input| NodeId(input.0 + 1))
            .collect();
        made.push(&node.name, node.op.clone(), inputs).unwrap();
    }
    made.chain("after", hand_on()).unwrap();
    made
}

/// The variable that leaves the kernels for subgroups alone, in float32: for a width at which only they differ from what was run
/// before.
pub(crate) const SUBGROUPS_ALONE: &str = "GRADCAM_TEST_SUBGROUPS_ALONE";

fn subgroups_alone() -> bool {
    std::env::var_os(SUBGROUPS_ALONE).is_some()
}

/// The adapter's limits with each kernel for convolutions that it can run: its own choice, those for other adapters, both
/// tiles of the tiled ones, and Winograd's algorithm nowhere and everywhere in each of the family's forms.
pub(crate) fn each_convolution() -> Vec<Limits<'static>> {
    let own = GPU.limits();
    let mut each = vec![own];
    let mut add = |family, forms: &[Winograd]| {
        each.extend(forms.iter().map(|&winograd| Limits {
            family,
            winograd,
            ..own
        }));
    };
    let forms = [
        Winograd::Never,
        Winograd::Everywhere,
        Winograd::Everywhere2x2,
    ];
    if !subgroups_alone() {
        add(KernelFamily::Plain, &[own.winograd]);
        add(tiled(0), &forms);
        add(tiled(u32::MAX), &forms);
    }
    if let KernelFamily::Subgroup(subgroup) = own.family {
        add(own.family, &forms[..2]);
        let broadcasts = [Broadcast::Shuffles, Broadcast::Loads, Broadcast::Quads];
        let others = broadcasts.into_iter().filter(|&broadcast| {
            broadcast != subgroup.broadcast
                && (broadcast != Broadcast::Quads || subgroup.width == 4)
        });
        for broadcast in others {
            let otherwise = Subgroup {
                broadcast,
                ..subgroup
            };
            add(KernelFamily::Subgroup(otherwise), &forms[1..2]);
        }
    }
    each
}

/// Of [`each_convolution`] those under which one of the requests, in float32 or in float16, is planned as under none before: what is
/// planned alike runs alike, and is run once.
pub(crate) fn each_plan(network: &Network, requests: &[Request]) -> Vec<Limits<'static>> {
    let mut seen = HashSet::new();
    let mut each = each_convolution();
    let between = between(network);
    let planned = |network: &Network, request: &Request, limits| {
        let plan = Plan::new(network, request, limits).unwrap();
        let buffers = plan.buffers.iter();
        let buffers: Vec<_> = buffers.map(|it| (&it.name, it.bytes, it.half)).collect();
        let Plan {
            subgroup,
            slots,
            prepare,
            passes,
            ..
        } = &plan;
        format!("{subgroup} {slots:?} {prepare:?} {passes:?} {buffers:?}")
    };
    each.retain(|&limits| {
        let plans = requests.iter().flat_map(|request| {
            [
                planned(network, request, limits),
                planned(&between, &in_halves(request), limits),
            ]
        });
        seen.insert(plans.collect::<String>())
    });
    each
}

/// The network's output for `n` pictures, from poisoned memory.
pub(crate) fn forward(network: &Network, n: usize, x: &[f32]) -> Vec<f32> {
    forward_within(GPU.limits(), network, n, x)
}

/// [`forward`] as an adapter of `limits` would plan it.
pub(crate) fn forward_within(
    limits: Limits<'_>,
    network: &Network,
    n: usize,
    x: &[f32],
) -> Vec<f32> {
    forward_asked(limits, network, &there(n), x)
}

/// The output for `n` pictures.
pub(crate) fn there(n: usize) -> Request {
    Request::of(ForwardRequest {
        images: n,
        ..ForwardRequest::default()
    })
}

/// The output for one picture, and what comes back from it.
pub(crate) fn there_and_back(back: BackwardRequest) -> Request {
    Request::of(ForwardRequest {
        backs: vec![back],
        ..ForwardRequest::default()
    })
}

/// The network's output for `request.images` pictures, from poisoned memory; held, of what is stored in float16, against the same
/// in float32.
pub(crate) fn forward_asked(
    limits: Limits<'_>,
    network: &Network,
    request: &Request,
    x: &[f32],
) -> Vec<f32> {
    let halves = in_halves(request);
    let between = between(network);
    let x_halves = to_halves(x);
    let is_held = || is_to_be_held(&Plan::new(&between, &halves, limits).unwrap());
    if are_finite(&x_halves) && !subgroups_alone() && is_held() {
        let expected = forward_once(limits, network, request, &x_halves);
        let actual = forward_once(limits, &between, &halves, &x_halves);
        let shape = network.node(network.output()).shape;
        let what = format!("float16, {:?}, {:?}", limits.family, limits.winograd);
        assert_close(&what, &actual, &expected, shape, HALF_TOLERANCE);
    }
    forward_once(limits, network, request, x)
}

fn forward_once(limits: Limits<'_>, network: &Network, request: &Request, x: &[f32]) -> Vec<f32> {
    let plan = Plan::new(network, request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    session.forward(0, x, network.input_shape()).unwrap();
    let shape = network.node(network.output()).shape;
    session
        .read(
            session.plan().picture().logits,
            request.passes[0].images,
            shape,
        )
        .unwrap()
}

/// The output for one picture, and for `request.classes` gradients at the output those at `request.to`.
pub(crate) fn backward(
    network: &Network,
    request: BackwardRequest,
    x: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    backward_within(GPU.limits(), network, request, x, dy)
}

/// [`backward`] as an adapter of `limits` would plan it.
pub(crate) fn backward_within(
    limits: Limits<'_>,
    network: &Network,
    request: BackwardRequest,
    x: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    backward_asked(limits, network, &there_and_back(request), x, dy)
}

/// The same of `request`'s first backward pass; where it ends at the picture, held against float16 as by [`forward_asked`].
pub(crate) fn backward_asked(
    limits: Limits<'_>,
    network: &Network,
    request: &Request,
    x: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let back = &request.passes[0].backs[0];
    let (x_halves, dy_halves) = (to_halves(x), to_halves(dy));
    let (halves, between) = (in_halves(request), between(network));
    let is_held = || is_to_be_held(&Plan::new(&between, &halves, limits).unwrap());
    if back.to == NodeId(0) && are_finite(&x_halves) && !subgroups_alone() && is_held() {
        let (x, dy) = (x_halves, dy_halves);
        let (_, expected) = backward_once(limits, network, request, &x, &dy);
        let (_, actual) = backward_once(limits, &between, &halves, &x, &dy);
        let shape = network.input_shape();
        let what = format!("float16 back, {:?}, {:?}", limits.family, limits.winograd);
        match that_may_turn_over(network) {
            0 => assert_close(&what, &actual, &expected, shape, HALF_TOLERANCE),
            1 => assert_mostly_close(&what, &actual, &expected, HALF_TOLERANCE),
            // One place late in a network moves all that is before it: such are counted, of many small networks together, where
            // these are held against PyTorch.
            _ => {}
        }
    }
    backward_once(limits, network, request, x, dy)
}

fn backward_once(
    limits: Limits<'_>,
    network: &Network,
    request: &Request,
    x: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let plan = Plan::new(network, request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    session.forward(0, x, network.input_shape()).unwrap();
    let output = network.node(network.output()).shape;
    let y = session
        .read(session.plan().picture().logits, 1, output)
        .unwrap();
    session.backward([0, 0], dy, output).unwrap();
    let phase = &session.plan().picture().backs[0];
    let shape = network.node(phase.request.to).shape;
    let classes = phase.request.classes;
    let dx = session.read(phase.gradient, classes, shape).unwrap();
    (y, dx)
}

/// The gradient all the way to the picture.
pub(crate) fn to_input(
    classes: usize,
    rule: gradcam::low_level::network::ReluRule,
) -> BackwardRequest {
    BackwardRequest {
        to: NodeId(0),
        keep: vec![],
        classes,
        rule,
        means: Means::Never,
    }
}
