//! The means of a gradient from a dense layer's sums over positions: the sums against their CPU twin, the means against the
//! whole gradient.

use gradcam::low_level::gpu::Session;
use gradcam::low_level::network::{
    FlattenOrder, MatrixLayout, Network, NodeId, Op, ReluRule, Shape, Window,
};
use gradcam::low_level::plan::{
    BackwardRequest, BufferId, Contents, ForwardRequest, KernelFamily, Limits, Means, Plan,
    Request, StoredDtype, Subgroup,
};
use gradcam::weights::Tensor;

use crate::TOLERANCE;
use crate::common::device::{GPU, assert_close, plain, random};
use crate::common::twins;

const PICTURE: NodeId = NodeId(0);
const CLASSES: usize = 7;

fn linear(seed: u32, inputs: usize, outputs: usize, layout: MatrixLayout) -> Op {
    let shape = match layout {
        MatrixLayout::OutIn => [outputs, inputs],
        MatrixLayout::InOut => [inputs, outputs],
    };
    Op::Linear {
        weight: Tensor::from_f32(shape.to_vec(), &random(seed, inputs * outputs)),
        bias: Some(Tensor::from_f32(vec![outputs], &random(seed + 1, outputs))),
        layout,
    }
}

/// A map, pools, and two dense layers with a ReLU between.
fn head(input: Shape, pools: &[Op], order: FlattenOrder, layout: MatrixLayout) -> Network {
    let mut network = Network::new("head", input);
    for (i, pool) in pools.iter().enumerate() {
        network.chain(format!("pool{i}"), pool.clone()).unwrap();
    }
    network.chain("flatten", Op::Flatten(order)).unwrap();
    let inputs = network.node(network.output()).shape.c;
    network.chain("fc1", linear(1, inputs, 37, layout)).unwrap();
    network.chain("relu", Op::RELU).unwrap();
    network
        .chain("fc2", linear(3, 37, CLASSES, layout))
        .unwrap();
    network
}

fn max_pool(size: usize, stride: usize) -> Op {
    Op::MaxPool(Window::square(size, stride, 0))
}

/// What is asked of `network`, for gradients of `classes` at the picture.
fn request(classes: usize, means: Means, matrices: StoredDtype) -> Request {
    Request {
        matrices,
        ..Request::of(ForwardRequest {
            backs: vec![BackwardRequest {
                to: PICTURE,
                keep: vec![],
                classes,
                rule: ReluRule::Plain,
                means,
            }],
            ..ForwardRequest::default()
        })
    }
}

/// Each channel's mean over positions of the gradient at the picture, for each class.
fn means(network: &Network, limits: Limits<'_>, request: &Request, what: &str) -> Vec<f32> {
    let plan = Plan::new(network, request, limits).unwrap();
    let session = Session::new(&GPU, plan).unwrap();
    session.poison().unwrap();
    let input = network.input_shape();
    session.forward(0, &random(5, input.len()), input).unwrap();
    let pass = &request.passes[0].backs[0];
    let seeds = random(6, pass.classes * CLASSES);
    session
        .backward([0, 0], &seeds, Shape::vector(CLASSES))
        .unwrap();
    let phase = &session.plan().picture().backs[0];
    let gradient = session
        .read(phase.gradient, pass.classes, phase.shape)
        .unwrap();
    if pass.means == Means::Never {
        let positions = input.h * input.w;
        let sum = |g: &[f32]| g.iter().map(|&g| f64::from(g)).sum::<f64>();
        let each = gradient.chunks_exact(positions);
        return each.map(|g| (sum(g) / positions as f64) as f32).collect();
    }
    assert_eq!(phase.shape, Shape::vector(input.c), "{what}: not by sums");
    gradient
}

#[track_caller]
fn check(network: &Network, limits: Limits<'_>, matrices: StoredDtype, what: &str) {
    for classes in [1, 5] {
        let of = |how| means(network, limits, &request(classes, how, matrices), what);
        let what = format!(
            "{what}, {matrices:?}, {classes} classes, {:?}",
            limits.family
        );
        let shape = Shape::vector(network.input_shape().c);
        let (means, whole) = (of(Means::WherePossible), of(Means::Never));
        assert_close(&what, &means, &whole, shape, TOLERANCE);
    }
}

const LAYOUTS: [MatrixLayout; 2] = [MatrixLayout::OutIn, MatrixLayout::InOut];
const ORDERS: [FlattenOrder; 2] = [FlattenOrder::Chw, FlattenOrder::Hwc];

/// In every order of axes, through images where this adapter runs that, and as every adapter does.
#[test]
fn means_by_sums_are_those_of_the_whole_gradient() {
    for layout in LAYOUTS {
        for order in ORDERS {
            let pool = [max_pool(2, 2)];
            let network = head(Shape::new(8, 7, 10), &pool, order, layout);
            for limits in [GPU.limits(), plain()] {
                for matrices in [StoredDtype::F32, StoredDtype::F16] {
                    check(
                        &network,
                        limits,
                        matrices,
                        &format!("{layout:?}, {order:?}"),
                    );
                }
            }
        }
    }
}

/// The host sums what the kernel cannot: channels that are neighbours, and not in whole fours.
#[test]
fn means_by_sums_of_the_host_are_those_of_the_whole_gradient() {
    let limits = GPU.limits();
    if limits.image_rows() == 0 {
        return;
    }
    let layout = MatrixLayout::OutIn;
    for channels in [1, 5, 6] {
        let pool = [max_pool(2, 2)];
        let input = Shape::new(channels, 7, 10);
        let network = head(input, &pool, FlattenOrder::Hwc, layout);
        check(&network, limits, StoredDtype::F32, "neighbours");
    }
}

/// Windows that overlap, that leave a row out, averages, a mean over all positions, and none at all.
#[test]
fn pools_without_padding_keep_the_sums_of_gradients() {
    let average = Op::AvgPool {
        window: Window::square(3, 2, 0),
        count_include_pad: true,
    };
    let chains: [(&str, &[Op]); 5] = [
        ("overlapping", &[max_pool(3, 2)]),
        ("average", &[average]),
        ("adaptive", &[max_pool(2, 2), Op::AdaptiveAvgPool([2, 5])]),
        ("mean", &[max_pool(2, 2), Op::GlobalMean]),
        ("none", &[]),
    ];
    for (what, pools) in chains {
        for layout in LAYOUTS {
            let network = head(Shape::new(5, 8, 6), pools, FlattenOrder::Chw, layout);
            check(&network, GPU.limits(), StoredDtype::F32, what);
        }
    }
}

#[test]
fn sums_of_a_matrix_larger_than_a_binding_are_made_in_parts() {
    for layout in LAYOUTS {
        for order in ORDERS {
            let network = head(Shape::new(8, 6, 10), &[max_pool(2, 2)], order, layout);
            let small_images = Limits {
                family: match GPU.limits().family {
                    KernelFamily::Subgroup(own) => KernelFamily::Subgroup(Subgroup {
                        image_rows: 36,
                        ..own
                    }),
                    other => other,
                },
                ..GPU.limits()
            };
            let small_bindings = Limits {
                binding: 10000,
                ..plain()
            };
            let mut small = vec![small_bindings];
            // The sums have as many rows as the matrix, which one image must hold. Matrices in parts by their bytes are fc6 of
            // tests/vgg16_full.rs.
            if small_images.image_rows() > 0 && layout == MatrixLayout::InOut {
                small.push(small_images);
            }
            for limits in small {
                let request = request(1, Means::WherePossible, StoredDtype::F32);
                let plan = Plan::new(&network, &request, limits).unwrap();
                let of = |b: &gradcam::low_level::plan::Buffer| match &b.contents {
                    Contents::Sums(sums) => Some(sums.of.len()),
                    _ => None,
                };
                let parts = plan.buffers.iter().find_map(of);
                let parts = parts.unwrap_or(plan.prepare.len());
                assert!(parts > 1, "{layout:?}, {order:?}: {parts} parts");
                check(
                    &network,
                    limits,
                    StoredDtype::F32,
                    &format!("{layout:?}, {order:?}"),
                );
            }
        }
    }
}

/// Six channels are no whole elements of four.
#[test]
fn sums_are_those_of_their_twin_and_zero_beyond_it() {
    let input = Shape::new(6, 4, 6);
    let positions = 2 * 3;
    for (layout, order) in [
        (MatrixLayout::OutIn, FlattenOrder::Chw),
        (MatrixLayout::InOut, FlattenOrder::Chw),
        (MatrixLayout::InOut, FlattenOrder::Hwc),
    ] {
        let network = head(input, &[max_pool(2, 2)], order, layout);
        let asked = request(1, Means::WherePossible, StoredDtype::F32);
        let plan = Plan::new(&network, &asked, plain()).unwrap();
        let is_prepared =
            |b: &gradcam::low_level::plan::Buffer| matches!(b.contents, Contents::Prepared);
        let sums = BufferId(plan.buffers.iter().position(is_prepared).unwrap());
        let session = Session::new(&GPU, plan).unwrap();
        let m = random(1, 37 * input.c * positions);
        let expected = twins::linear_means(&m, layout, order, [input.c, positions], 1.0 / 24.0);
        let [rows, columns] = match layout {
            MatrixLayout::OutIn => [37, input.c],
            MatrixLayout::InOut => [input.c, 37],
        };
        // Rows and columns in whole fours.
        let (all_rows, width) = (rows.next_multiple_of(4), columns.next_multiple_of(4));
        let shape = Shape::vector(width);
        let all = session.read(sums, all_rows, shape).unwrap();
        let mut whole = vec![0.0; all_rows * width];
        let made = whole.chunks_exact_mut(width);
        for (row, expected) in made.zip(expected.chunks_exact(columns)) {
            row[..columns].copy_from_slice(expected);
        }
        let what = format!("{layout:?}, {order:?}");
        assert_close(&what, &all, &whole, shape, TOLERANCE);
    }
}

#[test]
fn the_whole_gradient_is_made_where_sums_cannot_be_or_do_not_repay() {
    let shape_on = |limits: Limits<'_>, network: &Network, request: &Request| {
        let plan = Plan::new(network, request, limits).unwrap();
        plan.picture().backs[0].shape
    };
    let shape_of = |network: &Network, request: &Request| shape_on(GPU.limits(), network, request);
    let input = Shape::new(6, 8, 8);
    let possible = request(1, Means::WherePossible, StoredDtype::F32);
    let (chw, out_in) = (FlattenOrder::Chw, MatrixLayout::OutIn);
    let padded = Op::MaxPool(Window::square(2, 2, 1));
    let clip = Op::clip(0.0, 6.0);
    for network in [
        head(input, &[padded], chw, out_in),
        head(input, &[clip], chw, out_in),
    ] {
        assert_eq!(shape_of(&network, &possible), input);
    }
    // Four neighbouring columns are of two positions, which the kernel cannot tell apart.
    let network = head(input, &[max_pool(2, 2)], FlattenOrder::Hwc, out_in);
    assert_eq!(shape_on(plain(), &network, &possible), input);
    let network = head(input, &[max_pool(2, 2)], chw, out_in);
    assert_eq!(shape_of(&network, &possible), Shape::vector(6));
    let mut kept = possible.clone();
    kept.passes[0].backs[0].keep = vec![NodeId(1)];
    assert_eq!(shape_of(&network, &kept), input);
    let means = Shape::vector(6);
    let mut asked = request(4, Means::WhereFaster, StoredDtype::F32);
    for (runs, expected) in [(1, input), (2, means)] {
        asked.runs = runs;
        for limits in [GPU.limits(), plain()] {
            assert_eq!(shape_on(limits, &network, &asked), expected, "{runs} runs");
        }
    }
    // The software adapter reads the matrix twice for these, a GPU once.
    let asked = request(5, Means::WhereFaster, StoredDtype::F32);
    assert_eq!(shape_on(plain(), &network, &asked), input);
    if GPU.limits().image_rows() > 0 {
        assert_eq!(shape_of(&network, &asked), means);
    }
}
