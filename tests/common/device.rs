//! The device under test, and networks run on it.
#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses a part"
)]

use std::sync::LazyLock;

use gradcam::low_level::gpu::{Gpu, Selection, Session};
use gradcam::low_level::network::{Network, NodeId, Shape};
use gradcam::low_level::plan::{
    BackwardRequest, ForwardRequest, Handing, Hardware, KernelFamily, Limits, Means, Plan, Request,
    Subgroup, Winograd,
};

/// The device under test, opened once a program. No adapter is a failure: nothing here is skipped in silence.
pub(crate) static GPU: LazyLock<Gpu> = LazyLock::new(|| {
    Gpu::open(&Selection::default())
        .unwrap_or_else(|error| panic!("the tests need an adapter: {error}"))
});

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

/// The kernels for a GPU that so many workgroups keep busy: with 0 in large tiles, with the most in small ones.
pub(crate) fn tiled(workgroups: u32) -> KernelFamily {
    KernelFamily::Tiled(Hardware {
        workgroups,
        multiply_adds_a_byte: 12,
    })
}

/// The adapter's limits with each kernel for convolutions that it can run: its own choice, those for other adapters, both
/// tiles of the tiled ones, and Winograd's algorithm nowhere and everywhere in each of the family's forms.
pub(crate) fn each_convolution() -> Vec<Limits<'static>> {
    let own = GPU.limits();
    let mut each = vec![own, plain()];
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
    add(tiled(0), &forms);
    add(tiled(u32::MAX), &forms);
    if let KernelFamily::Subgroup(subgroup) = own.family {
        add(own.family, &forms[..2]);
        let handings = [Handing::Shuffles, Handing::Loads, Handing::Quads];
        let others = handings.into_iter().filter(|&handing| {
            handing != subgroup.handing && (handing != Handing::Quads || subgroup.width == 4)
        });
        for handing in others {
            let otherwise = Subgroup {
                handing,
                ..subgroup
            };
            add(KernelFamily::Subgroup(otherwise), &forms[1..2]);
        }
    }
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
    let request = Request::of(ForwardRequest {
        images: n,
        ..ForwardRequest::default()
    });
    forward_asked(limits, network, &request, x)
}

/// The network's output for `request.images` pictures, from poisoned memory.
pub(crate) fn forward_asked(
    limits: Limits<'_>,
    network: &Network,
    request: &Request,
    x: &[f32],
) -> Vec<f32> {
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
    let request = Request::of(ForwardRequest {
        backs: vec![request],
        ..ForwardRequest::default()
    });
    backward_asked(limits, network, &request, x, dy)
}

/// The same of `request`'s first backward pass.
pub(crate) fn backward_asked(
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
