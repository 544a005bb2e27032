//! Convolutions by each kernel that measured times can choose: the answer is the twin's whichever it is.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{FilterLayout, NodeId, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{
    Costs, ForwardRequest, KernelFamily, LayerShape, Limits, Measured, Plan, Request, Times,
    Variant,
};
use gradcam::weights::Tensor;

use crate::common::device::{
    GPU, assert_close, backward_asked, forward_asked, random, tiled, to_input,
};
use crate::common::twins::{self, Filters};
use crate::{TOLERANCE, single};

/// Times by which `wanted` is the fastest.
fn fastest(layer: LayerShape, wanted: Variant) -> Costs {
    let times = |&variant: &Variant| {
        let each = Some(u64::from(variant != wanted) * 1_000_000_000);
        let times = Times {
            forward: each,
            backward: each,
            once: 0,
        };
        (variant, times)
    };
    Costs {
        layers: vec![Measured {
            layer,
            images: 1,
            variants: Variant::ALL.iter().map(times).collect(),
        }],
    }
}

/// Checks a layer by each variant, there and back; returns the kernels that computed it.
fn check(
    family: KernelFamily,
    input: Shape,
    outputs: usize,
    groups: usize,
    window: Window,
) -> BTreeSet<Kernel> {
    let [kh, kw] = window.size;
    let inputs = input.c / groups;
    let (weight, bias) = (random(1, outputs * inputs * kh * kw), random(2, outputs));
    let network = single(
        input,
        Op::Conv2d {
            weight: Tensor::from_f32(vec![outputs, inputs, kh, kw], &weight),
            bias: Some(Tensor::from_f32(vec![outputs], &bias)),
            layout: FilterLayout::Oihw,
            window,
            groups,
        },
    );
    let filters = Filters {
        values: &weight,
        outputs,
        inputs: input.c,
        groups,
    };
    let out = twins::output_shape(input, outputs, window);
    let (x, dy) = (random(3, input.len()), random(4, out.len()));
    let expected = twins::conv2d(&x, 1, input, &filters, Some(&bias), window);
    let back = twins::conv2d_backward(&dy, 1, input, &filters, window);
    // Enough runs for what is made once, and for what is compiled.
    let request = Request {
        runs: 1000,
        ..Request::of(ForwardRequest {
            backs: vec![to_input(1, ReluRule::Plain)],
            ..ForwardRequest::default()
        })
    };
    let layer = LayerShape::of(&network, NodeId(1)).unwrap();
    let mut reached = BTreeSet::new();
    for &variant in Variant::ALL {
        let costs = fastest(layer, variant);
        let limits = Limits {
            family,
            costs: &costs,
            ..GPU.limits()
        };
        reached.extend(Plan::new(&network, &request, limits).unwrap().kernels());
        let what = format!("{input} to {out}, {groups} groups, {variant}");
        let y = forward_asked(limits, &network, &request, &x);
        assert_close(&what, &y, &expected, out, TOLERANCE);
        let (_, dx) = backward_asked(limits, &network, &request, &x, &dy);
        assert_close(&format!("{what}, backward"), &dx, &back, input, TOLERANCE);
    }
    reached
}

#[test]
fn a_convolution_is_the_same_whichever_kernel_was_measured_to_be_fastest() {
    let same = Window::square(3, 1, 1);
    let own = GPU.limits().family;
    let mut by_subgroups = check(own, Shape::new(5, 9, 14), 37, 1, same);
    by_subgroups.extend(check(
        own,
        Shape::new(9, 8, 7),
        9,
        9,
        Window::square(3, 2, 1),
    ));
    by_subgroups.extend(check(
        own,
        Shape::new(3, 12, 11),
        21,
        1,
        Window::square(5, 2, 2),
    ));
    by_subgroups.extend(check(own, Shape::new(8, 6, 5), 12, 2, same));
    if matches!(own, KernelFamily::Subgroup(_)) {
        for kernel in [
            Kernel::Conv2d,
            Kernel::Conv2dSubgroup,
            Kernel::Conv2dFew,
            Kernel::Conv3x3Subgroup,
            Kernel::WinogradProduct,
            Kernel::WinogradProductTurned,
            Kernel::WinogradProductLoaded,
            Kernel::WinogradProductLoadedTurned,
            Kernel::WinogradProductWide,
            Kernel::WinogradProductWideTurned,
            Kernel::Depthwise,
            Kernel::DepthwiseSubgroup,
        ] {
            assert!(by_subgroups.contains(&kernel), "{kernel:?}");
        }
    }
    let mut in_tiles = check(tiled(40), Shape::new(70, 9, 14), 37, 1, same);
    in_tiles.extend(check(
        tiled(40),
        Shape::new(3, 12, 11),
        21,
        1,
        Window::square(5, 2, 2),
    ));
    for kernel in [
        Kernel::Conv2dTiledLarge,
        Kernel::Conv2dTiledSmall,
        Kernel::SplitSum,
        Kernel::WinogradInputTiled,
        Kernel::WinogradInputTiled2x2,
        Kernel::WinogradProductTiledLarge,
        Kernel::WinogradProductTiledSmall,
    ] {
        assert!(in_tiles.contains(&kernel), "{kernel:?}");
    }
}
