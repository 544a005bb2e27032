//! What a GPU runs: tiles, and Winograd's algorithm where it pays.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{MatrixLayout, Network, Shape};
use gradcam::low_level::plan::{
    Dispatch, ForwardRequest, Hardware, KernelFamily, Limits, Plan, Request, Winograd,
};

use crate::{MIB, adapter, convolution, request, tiled, vgg16};

#[test]
fn a_small_layer_is_cut_into_smaller_tiles_where_it_would_leave_a_gpu_idle() {
    let network = vgg16(MatrixLayout::OutIn);
    let limits = Limits {
        family: tiled(100),
        winograd: Winograd::Never,
        ..adapter(128 * MIB)
    };
    let plan = Plan::new(&network, &request(&network, 3), limits).unwrap();
    let call = |dispatches: &[Dispatch], label: &str| {
        let found = dispatches.iter().find(|call| call.label == label).unwrap();
        (found.kernel, found.workgroups)
    };
    let (large, small) = (Kernel::Conv2dTiledLarge, Kernel::Conv2dTiledSmall);
    // 28 x 28 positions x 512 outputs make 13 x 8 tiles of 64 x 64; 14 x 14 make 4 x 8, or 7 x 16 of 32 x 32.
    assert_eq!(
        call(&plan.picture().dispatches, "conv4_2"),
        (large, [13, 1, 8])
    );
    assert_eq!(
        call(&plan.picture().dispatches, "conv5_1"),
        (small, [7, 1, 16])
    );
    // Three classes make three times as many.
    let backward = &plan.picture().backs[1].dispatches;
    assert_eq!(call(backward, "conv4_2 backward"), (large, [13, 1, 24]));
    assert_eq!(call(backward, "conv5_1 backward"), (small, [7, 1, 48]));
    assert_eq!(call(backward, "conv1_1 backward"), (large, [784, 1, 3]));
}

#[test]
fn sums_are_cut_into_parts_where_even_small_tiles_would_leave_a_gpu_idle() {
    let network = vgg16(MatrixLayout::OutIn);
    let calls = |limits, label: &str| {
        let limits = Limits {
            winograd: Winograd::Never,
            ..limits
        };
        let request = Request::default();
        let plan = Plan::new(&network, &request, limits).unwrap();
        let calls = plan
            .picture()
            .dispatches
            .iter()
            .filter(|call| call.label == label);
        let calls = calls.map(|call| (call.kernel, call.workgroups));
        calls.collect::<Vec<_>>()
    };
    let small = |workgroups| (Kernel::Conv2dTiledSmall, workgroups);
    let busy = |workgroups| Limits {
        family: tiled(workgroups),
        ..adapter(128 * MIB)
    };
    // 7 x 16 tiles three times are more than 256; 25,088 elements of y, 64 an invocation of the sum.
    let sum = (Kernel::SplitSum, [392, 1, 1]);
    assert_eq!(calls(busy(256), "conv5_1"), [small([7, 1, 48]), sum]);
    assert_eq!(calls(busy(112), "conv5_1"), [small([7, 1, 16])]);
    // 288 steps make 36 parts of 8; the 3 steps of a picture's single block of channels make none.
    assert_eq!(
        calls(busy(u32::MAX), "conv5_1"),
        [small([7, 1, 16 * 36]), sum]
    );
    assert_eq!(calls(busy(u32::MAX), "conv1_1"), [small([1568, 1, 2])]);
    // 16 tiles of each lie along one dimension.
    let narrow = Limits {
        workgroups: 130,
        ..busy(u32::MAX)
    };
    assert_eq!(calls(narrow, "conv5_1")[0], small([7, 1, 16 * 8]));
}

#[test]
fn more_tiles_than_a_dimension_holds_are_laid_out_in_rows() {
    let network = vgg16(MatrixLayout::OutIn);
    let limits = Limits {
        workgroups: 300,
        family: tiled(0),
        ..adapter(2048 * MIB)
    };
    let request = Request::default();
    let plan = Plan::new(&network, &request, limits).unwrap();
    assert_eq!(plan.picture().dispatches[0].workgroups, [262, 3, 1]);
}

/// Layers of VGG16 that go by Winograd's F(4x4) and F(2x2).
fn forms(limits: Limits<'_>, request: &Request) -> [BTreeSet<String>; 2] {
    let plan = Plan::new(&vgg16(MatrixLayout::OutIn), request, limits).unwrap();
    [Kernel::WinogradInputTiled, Kernel::WinogradInputTiled2x2].map(|kernel| {
        let calls = plan
            .picture()
            .dispatches
            .iter()
            .filter(|call| call.kernel == kernel);
        calls.map(|call| call.label.clone()).collect()
    })
}

/// So many images at once.
fn images(images: usize) -> Request {
    Request::of(ForwardRequest {
        images,
        ..ForwardRequest::default()
    })
}

fn layers(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

const MIDDLE: [&str; 9] = [
    "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1", "conv4_2",
    "conv4_3",
];
const LAST: [&str; 3] = ["conv5_1", "conv5_2", "conv5_3"];

/// A GPU of so many multiply-adds a byte.
fn gpu(workgroups: u32, multiply_adds_a_byte: u32) -> Limits<'static> {
    Limits {
        family: KernelFamily::Tiled(Hardware {
            workgroups,
            multiply_adds_a_byte,
        }),
        ..adapter(512 * MIB)
    }
}

#[test]
fn winograd_runs_where_the_products_it_saves_outweigh_the_bytes_it_moves() {
    let within = |multiply_adds, n| {
        let [large, small] = forms(gpu(256, multiply_adds), &images(n));
        &large | &small
    };
    // conv5's filters are more than its tiles of one image are worth, but not more than those of several.
    assert_eq!(within(12, 1), layers(&MIDDLE));
    let all = layers(&[&MIDDLE[..], &LAST].concat());
    assert_eq!(within(12, 4), all);
    // Where arithmetic is slow beside memory, for a single one too; where it costs nothing, nowhere.
    assert_eq!(within(3, 1), all);
    assert_eq!(within(10_000, 4), layers(&[]));
}

/// What the program takes a card and an integrated GPU to be, those of the table in `src/kernels.rs` among them.
fn card_and_integrated() -> [Limits<'static>; 2] {
    [gpu(256, 12), gpu(32, 6)]
}

#[test]
fn smaller_tiles_run_where_they_are_few_to_share_the_filters_and_larger_where_they_are_many() {
    let (middle, last) = (layers(&MIDDLE), layers(&LAST));
    let small_last = [middle.clone(), last.clone()];
    let [card, integrated] = card_and_integrated();
    assert_eq!(forms(integrated, &images(1)), small_last);
    // On a card what one picture gains does not repay the transform of conv5's filters, what two gain does.
    assert_eq!(forms(card, &images(1)), [middle.clone(), layers(&[])]);
    let twice = Request {
        runs: 2,
        ..images(1)
    };
    assert_eq!(forms(card, &twice), small_last);
    let all = &middle | &last;
    for limits in [card, integrated] {
        assert_eq!(forms(limits, &images(16)), [all.clone(), layers(&[])]);
    }
}

#[test]
fn a_layer_takes_the_same_tiles_and_filters_in_both_directions() {
    let network = vgg16(MatrixLayout::OutIn);
    for limits in card_and_integrated() {
        let plan = Plan::new(&network, &request(&network, 1), limits).unwrap();
        let prepared = plan.prepare.iter();
        let prepared = prepared.filter(|call| call.label.starts_with("conv5_1"));
        let [filters] = prepared.collect::<Vec<_>>()[..] else {
            panic!("conv5_1 has not its filters once");
        };
        assert_eq!(filters.kernel, Kernel::WinogradFiltersTiled2x2);
        let back = &plan.picture().backs[1].dispatches;
        for (calls, label) in [
            (&plan.picture().dispatches, "conv5_1"),
            (back, "conv5_1 backward"),
        ] {
            let calls: Vec<_> = calls.iter().filter(|call| call.label == label).collect();
            assert_eq!(calls[0].kernel, Kernel::WinogradInputTiled2x2, "{label}");
            assert_eq!(calls[1].buffers[0], filters.buffers[1], "{label}");
        }
    }
}

#[test]
fn smaller_tiles_run_where_the_filters_of_larger_ones_do_not_fit() {
    let [card, _] = card_and_integrated();
    // Filters of 512 x 512 channels are 36 MiB for large tiles and 16 MiB for small ones.
    let smaller = Limits {
        binding: 35 * MIB,
        ..card
    };
    let [_, small] = forms(smaller, &images(2));
    let widest = layers(&["conv4_2", "conv4_3"]);
    assert_eq!(small, &widest | &layers(&LAST));
}

#[test]
fn a_layer_whose_filters_or_workgroups_an_adapter_cannot_hold_goes_by_the_direct_kernel() {
    let within = |binding| {
        let limits = Limits {
            family: tiled(256),
            winograd: Winograd::Everywhere,
            ..adapter(binding)
        };
        let [large, _] = forms(limits, &images(1));
        large
    };
    assert_eq!(within(128 * MIB).len(), 13);
    // 36 MiB for 512 x 512 filters, transformed; 18 MiB for 256 x 512.
    let smaller = within(35 * MIB);
    assert!(smaller.contains("conv4_1") && !smaller.contains("conv4_2"));
    assert_eq!(smaller.len(), 8);
    // 36 products lie along one dimension.
    let mut network = Network::new("single", Shape::new(8, 14, 14));
    network.chain("layer", convolution(8, 8)).unwrap();
    for (workgroups, transformed) in [(36, 1), (35, 0)] {
        let limits = Limits {
            family: tiled(256),
            workgroups,
            winograd: Winograd::Everywhere,
            ..adapter(128 * MIB)
        };
        let request = Request::default();
        let plan = Plan::new(&network, &request, limits).unwrap();
        assert_eq!(plan.prepare.len(), transformed, "{workgroups} workgroups");
    }
}

#[test]
fn products_of_few_tiles_are_made_in_small_workgroups() {
    let limits = Limits {
        family: tiled(256),
        winograd: Winograd::Everywhere,
        ..adapter(128 * MIB)
    };
    let network = vgg16(MatrixLayout::OutIn);
    let plan = Plan::new(&network, &request(&network, 3), limits).unwrap();
    let products = |dispatches: &[Dispatch], label: &str| {
        let mut calls = dispatches.iter().filter(|call| call.label == label);
        let found = calls.nth(1).unwrap();
        (found.kernel, found.workgroups)
    };
    let large = Kernel::WinogradProductTiledLarge;
    let small = Kernel::WinogradProductTiledSmall;
    // 196 tiles, 49 and 16; three times 16 for three classes.
    assert_eq!(
        products(&plan.picture().dispatches, "conv3_2"),
        (large, [4, 4, 36])
    );
    assert_eq!(
        products(&plan.picture().dispatches, "conv4_2"),
        (large, [1, 8, 36])
    );
    assert_eq!(
        products(&plan.picture().dispatches, "conv5_1"),
        (small, [1, 16, 36])
    );
    let backward = &plan.picture().backs[1].dispatches;
    assert_eq!(products(backward, "conv5_1 backward"), (large, [1, 8, 36]));
    // 3136 tiles, 12 channels or fewer of the input: 64 outputs make 49 x 1 large ones.
    assert_eq!(
        products(&plan.picture().dispatches, "conv1_1"),
        (large, [49, 1, 36])
    );
}
