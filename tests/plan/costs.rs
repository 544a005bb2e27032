//! Plans by measured times: what is taken is what they say, of what they do not know the model decides, and what computes nothing
//! here is never taken.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{MatrixLayout, Network, Shape};
use gradcam::low_level::plan::{
    Costs, ForwardRequest, KernelFamily, LayerShape, Limits, Measured, Plan, Request, Subgroup,
    Times, Variant,
};

use crate::{MIB, adapter, convolution, request, tiled, vgg16};

const SUBGROUPS: KernelFamily = KernelFamily::Subgroup(Subgroup::new(8, 16_384));

/// A layer of VGG16: 3 x 3 taps, as many rows as columns.
fn layer(inputs: usize, outputs: usize, side: usize) -> LayerShape {
    LayerShape {
        input: [inputs, side, side],
        output: [outputs, side, side],
        taps: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        groups: 1,
    }
}

/// What takes so long there and back, nanoseconds an image, and once.
fn times(each: u64, once: u64) -> Times {
    Times {
        forward: Some(each),
        backward: Some(each),
        once,
    }
}

fn measured(layer: LayerShape, images: usize, variants: &[(Variant, Times)]) -> Measured {
    Measured {
        layer,
        images,
        variants: variants.to_vec(),
    }
}

fn costs(layers: impl IntoIterator<Item = Measured>) -> Costs {
    let layers = layers.into_iter().collect();
    Costs { layers }
}

/// The kernels that a layer of VGG16 goes by, there or back.
fn kernels(
    family: KernelFamily,
    costs: &Costs,
    request: &Request,
    label: &str,
) -> BTreeSet<Kernel> {
    let limits = Limits {
        family,
        costs,
        ..adapter(512 * MIB)
    };
    let plan = Plan::new(&vgg16(MatrixLayout::OutIn), request, limits).unwrap();
    let calls = plan.phases().flatten().filter(|call| call.label == label);
    calls.map(|call| call.kernel).collect()
}

/// Every kernel of a layer there and back, where one of its variants has been measured to take nothing and all others a second.
fn forced(
    family: KernelFamily,
    layer: LayerShape,
    wanted: Variant,
    label: &str,
) -> BTreeSet<Kernel> {
    let variants: Vec<_> = Variant::ALL
        .iter()
        .map(|&variant| {
            (
                variant,
                times(u64::from(variant != wanted) * 1_000_000_000, 0),
            )
        })
        .collect();
    let network = vgg16(MatrixLayout::OutIn);
    let request = Request {
        runs: 1000,
        ..request(&network, 1)
    };
    let costs = costs([measured(layer, 1, &variants)]);
    let mut both = kernels(family, &costs, &request, label);
    both.extend(kernels(
        family,
        &costs,
        &request,
        &format!("{label} backward"),
    ));
    both
}

#[test]
fn what_takes_least_time_is_taken() {
    let conv3_2 = layer(256, 256, 56);
    for (variant, expected) in [
        (Variant::Direct3x3, vec![Kernel::Conv3x3Subgroup]),
        (
            Variant::Windows,
            vec![Kernel::Conv2dSubgroupWide, Kernel::Conv2dSubgroupMaskedWide],
        ),
        (
            Variant::Winograd,
            vec![
                Kernel::WinogradInput,
                Kernel::WinogradProduct,
                Kernel::WinogradProductTurned,
                Kernel::WinogradOutput,
            ],
        ),
        (
            Variant::WinogradLoads,
            vec![
                Kernel::WinogradInput,
                Kernel::WinogradProductLoaded,
                Kernel::WinogradProductLoadedTurned,
                Kernel::WinogradOutput,
            ],
        ),
        (
            Variant::WinogradWide,
            vec![
                Kernel::WinogradInput,
                Kernel::WinogradProductWide,
                Kernel::WinogradProductWideTurned,
                Kernel::WinogradOutput,
            ],
        ),
    ] {
        let kernels = forced(SUBGROUPS, conv3_2, variant, "conv3_2");
        assert_eq!(
            kernels,
            expected.into_iter().collect::<BTreeSet<_>>(),
            "{variant}"
        );
    }
    for (variant, expected) in [
        (Variant::TilesLarge, vec![Kernel::Conv2dTiledLarge]),
        (Variant::TilesSmall, vec![Kernel::Conv2dTiledSmall]),
        (
            Variant::TilesParts,
            vec![Kernel::Conv2dTiledSmall, Kernel::SplitSum],
        ),
        (
            Variant::F4x4Large,
            vec![
                Kernel::WinogradInputTiled,
                Kernel::WinogradProductTiledLarge,
                Kernel::WinogradOutputTiled,
            ],
        ),
        (
            Variant::F4x4Small,
            vec![
                Kernel::WinogradInputTiled,
                Kernel::WinogradProductTiledSmall,
                Kernel::WinogradOutputTiled,
            ],
        ),
        (
            Variant::F2x2Large,
            vec![
                Kernel::WinogradInputTiled2x2,
                Kernel::WinogradProductTiledLarge,
                Kernel::WinogradOutputTiled2x2,
            ],
        ),
        (
            Variant::F2x2Small,
            vec![
                Kernel::WinogradInputTiled2x2,
                Kernel::WinogradProductTiledSmall,
                Kernel::WinogradOutputTiled2x2,
            ],
        ),
    ] {
        let kernels = forced(tiled(256), conv3_2, variant, "conv3_2");
        assert_eq!(
            kernels,
            expected.into_iter().collect::<BTreeSet<_>>(),
            "{variant}"
        );
    }
}

#[test]
fn what_is_for_another_family_or_way_changes_nothing() {
    let conv1_1 = layer(3, 64, 224);
    let network = vgg16(MatrixLayout::OutIn);
    let request = request(&network, 1);
    let by_model = |family, label: &str| kernels(family, Costs::model(), &request, label);
    for family in [SUBGROUPS, tiled(256), KernelFamily::Plain] {
        // Depthwise kernels compute other layers, and only of another family are the others.
        let variants = [Variant::Depthwise, Variant::DepthwiseImages, Variant::Plain];
        let variants = variants.map(|variant| (variant, times(0, 0)));
        let costs = costs([measured(conv1_1, 1, &variants)]);
        for label in ["conv1_1", "conv1_1 backward"] {
            let kernels = kernels(family, &costs, &request, label);
            assert_eq!(kernels, by_model(family, label), "{label}");
        }
    }
    // The kernel for few channels makes the three of a picture's gradient, and none of the 64 there.
    let few = forced(SUBGROUPS, conv1_1, Variant::Few, "conv1_1");
    assert!(few.contains(&Kernel::Conv2dFew), "{few:?}");
    assert!(few.len() == 2, "{few:?}");
}

#[test]
fn where_the_models_own_choice_was_not_measured_it_stays() {
    let conv3_2 = layer(256, 256, 56);
    let network = vgg16(MatrixLayout::OutIn);
    let request = request(&network, 1);
    let by_model = kernels(SUBGROUPS, Costs::model(), &request, "conv3_2");
    assert!(by_model.contains(&Kernel::WinogradProduct));
    let direct = [(Variant::Direct3x3, times(1, 0))];
    let there_alone = Times {
        backward: None,
        ..times(2, 0)
    };
    for variants in [
        &direct[..],
        &[direct[0], (Variant::Winograd, there_alone)],
        // Less than a noise's difference.
        &[
            (Variant::Direct3x3, times(990, 0)),
            (Variant::Winograd, times(1000, 0)),
        ],
    ] {
        let costs = costs([measured(conv3_2, 1, variants)]);
        let kernels = kernels(SUBGROUPS, &costs, &request, "conv3_2");
        assert_eq!(kernels, by_model, "{variants:?}");
    }
    // Of another layer's times it knows nothing.
    let costs = costs([measured(
        layer(256, 256, 28),
        1,
        &[
            (Variant::Direct3x3, times(1, 0)),
            (Variant::Winograd, times(1000, 0)),
        ],
    )]);
    assert_eq!(kernels(SUBGROUPS, &costs, &request, "conv3_2"), by_model);
}

#[test]
fn what_is_made_once_of_filters_counts_against_all_runs() {
    let variants = [
        (Variant::Windows, times(1000, 100)),
        (Variant::Winograd, times(900, 100_000)),
    ];
    let costs = costs([measured(layer(512, 512, 14), 1, &variants)]);
    let network = vgg16(MatrixLayout::OutIn);
    let with_runs = |runs| {
        let request = Request {
            runs,
            ..request(&network, 1)
        };
        kernels(SUBGROUPS, &costs, &request, "conv5_2")
    };
    assert!(with_runs(1).contains(&Kernel::Conv2dSubgroupWide));
    assert!(with_runs(1000).contains(&Kernel::WinogradProduct));
}

#[test]
fn the_ways_of_a_layer_may_differ_within_an_algorithm_and_share_it() {
    let there = |forward, backward| Times {
        forward: Some(forward),
        backward: Some(backward),
        once: 0,
    };
    let variants = [
        (Variant::F4x4Large, there(10, 50)),
        (Variant::F4x4Small, there(50, 10)),
        (Variant::TilesLarge, there(5, 100)),
    ];
    let costs = costs([measured(layer(256, 256, 56), 1, &variants)]);
    let network = vgg16(MatrixLayout::OutIn);
    let request = Request {
        runs: 1000,
        ..request(&network, 1)
    };
    let of = |label| kernels(tiled(256), &costs, &request, label);
    assert!(of("conv3_2").contains(&Kernel::WinogradProductTiledLarge));
    assert!(of("conv3_2 backward").contains(&Kernel::WinogradProductTiledSmall));
}

#[test]
fn the_ways_of_a_layer_go_by_tiles_of_one_size_whatever_each_would_gain() {
    let there = |forward, backward| Times {
        forward: Some(forward),
        backward: Some(backward),
        once: 0,
    };
    let network = vgg16(MatrixLayout::OutIn);
    let request = Request {
        runs: 1000,
        ..request(&network, 3)
    };
    let conv3_2 = layer(256, 256, 56);
    let variants = [
        (Variant::F4x4Large, there(10, 500)),
        (Variant::F2x2Large, there(500, 10)),
        (Variant::TilesLarge, there(1000, 1000)),
        // Of a kernel that is not for this adapter, however fast.
        (Variant::Winograd, there(1, 1)),
        (Variant::WinogradLoads, there(1, 1)),
        (Variant::WinogradQuads, there(1, 1)),
    ];
    let costs = costs([
        measured(conv3_2, 1, &variants),
        measured(conv3_2, 3, &variants),
    ]);
    let of = |label| kernels(tiled(256), &costs, &request, label);
    let small = |label| {
        let kernels = of(label);
        let [large, small] = [Kernel::WinogradInputTiled, Kernel::WinogradInputTiled2x2]
            .map(|kernel| kernels.contains(&kernel));
        assert!(large != small, "{kernels:?}");
        small
    };
    // Three gradients to one picture.
    assert!(small("conv3_2") && small("conv3_2 backward"));
}

#[test]
fn times_of_other_numbers_of_images_choose_the_algorithm_and_leave_the_tile_to_the_model() {
    let conv3_2 = layer(256, 256, 56);
    let variants = [
        (Variant::F4x4Large, times(1000, 0)),
        (Variant::F2x2Small, times(500, 0)),
        (Variant::F2x2Large, times(600, 0)),
    ];
    let costs = costs([measured(conv3_2, 1, &variants)]);
    let with = |images| {
        let request = Request {
            runs: 1000,
            ..Request::of(ForwardRequest {
                images,
                ..ForwardRequest::default()
            })
        };
        kernels(tiled(256), &costs, &request, "conv3_2")
    };
    assert!(with(1).contains(&Kernel::WinogradProductTiledSmall));
    let of_eight = with(8);
    assert!(
        of_eight.contains(&Kernel::WinogradInputTiled2x2),
        "{of_eight:?}"
    );
    assert!(
        of_eight.contains(&Kernel::WinogradProductTiledLarge),
        "{of_eight:?}"
    );
}

#[test]
fn a_layer_measured_again_replaces_what_was_known_of_it() {
    let one = |images, each| {
        measured(
            layer(64, 64, 224),
            images,
            &[(Variant::Winograd, times(each, 0))],
        )
    };
    let mut costs = Costs::default();
    for measured in [one(1, 10), one(8, 5), one(1, 20)] {
        costs.insert(measured);
    }
    assert_eq!(costs.layers, [one(1, 20), one(8, 5)]);
    let of = |images| costs.of(&layer(64, 64, 224), images).unwrap().images;
    assert_eq!([1, 7, 8, 100].map(of), [1, 1, 8, 8]);
    assert_eq!(costs.of(&layer(64, 64, 112), 1), None);
}

#[test]
fn times_of_any_size_and_shape_make_a_plan() {
    let mut network = Network::new("one", Shape::new(8, 9, 9));
    network.chain("conv", convolution(8, 8)).unwrap();
    let variants: Vec<_> = Variant::ALL
        .iter()
        .map(|&variant| (variant, times(u64::MAX, u64::MAX)))
        .collect();
    let costs = costs([
        measured(layer(8, 8, 9), 1, &variants),
        measured(layer(8, 8, 9), usize::MAX, &variants),
        measured(layer(8, 8, 9), 0, &[]),
    ]);
    for family in [KernelFamily::Plain, tiled(256), SUBGROUPS] {
        let limits = Limits {
            family,
            costs: &costs,
            ..adapter(128 * MIB)
        };
        let request = Request {
            runs: usize::MAX,
            ..Request::default()
        };
        Plan::new(&network, &request, limits).unwrap();
    }
}
