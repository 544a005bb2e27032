//! What a GPU runs: tiles, and Winograd's algorithm where it pays.

use std::collections::BTreeSet;

use gradcam::kernels::Kernel;
use gradcam::network::{FilterLayout, MatrixLayout, Network, Op, Shape, Window};
use gradcam::plan::{Dispatch, Hardware, KernelFamily, Limits, Plan, Request, Winograd};
use gradcam::weights::Tensor;

use crate::{MIB, adapter, request, tiled, vgg16};

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
    assert_eq!(call(&plan.forward, "conv4_2"), (large, [13, 1, 8]));
    assert_eq!(call(&plan.forward, "conv5_1"), (small, [7, 1, 16]));
    // Three classes make three times as many.
    let backward = &plan.backward[1].dispatches;
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
        let request = Request {
            images: 1,
            ..Request::default()
        };
        let plan = Plan::new(&network, &request, limits).unwrap();
        let calls = plan.forward.iter().filter(|call| call.label == label);
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
    let request = Request {
        images: 1,
        ..Request::default()
    };
    let plan = Plan::new(&network, &request, limits).unwrap();
    assert_eq!(plan.forward[0].workgroups, [262, 3, 1]);
}

/// Layers of VGG16 that go by Winograd's algorithm for so many images at once.
fn transformed(limits: Limits, images: usize) -> BTreeSet<String> {
    let request = Request {
        images,
        ..Request::default()
    };
    let plan = Plan::new(&vgg16(MatrixLayout::OutIn), &request, limits).unwrap();
    let calls = plan.forward.iter();
    let products = calls.filter(|call| call.kernel == Kernel::WinogradInputTiled);
    products.map(|call| call.label.clone()).collect()
}

fn layers(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn winograd_runs_where_the_products_it_saves_outweigh_the_bytes_it_moves() {
    let within = |multiply_adds_a_byte, images| {
        let family = KernelFamily::Tiled(Hardware {
            workgroups: 256,
            multiply_adds_a_byte,
        });
        let limits = Limits {
            family,
            ..adapter(128 * MIB)
        };
        transformed(limits, images)
    };
    let middle = [
        "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv4_1", "conv4_2",
        "conv4_3",
    ];
    // conv5's filters are more than its 16 tiles are worth, but not more than those of several images.
    assert_eq!(within(12, 1), layers(&middle));
    let all = [&middle[..], &["conv5_1", "conv5_2", "conv5_3"]].concat();
    assert_eq!(within(12, 4), layers(&all));
    // Where arithmetic is slow beside memory, for a single one too; where it costs nothing, nowhere.
    assert_eq!(within(3, 1), layers(&all));
    assert_eq!(within(10_000, 4), layers(&[]));
}

#[test]
fn a_layer_whose_filters_or_workgroups_an_adapter_cannot_hold_goes_by_the_direct_kernel() {
    let within = |binding| {
        let limits = Limits {
            family: tiled(256),
            winograd: Winograd::Everywhere,
            ..adapter(binding)
        };
        transformed(limits, 1)
    };
    assert_eq!(within(128 * MIB).len(), 13);
    // 36 MiB for 512 x 512 filters, transformed; 18 MiB for 256 x 512.
    let smaller = within(35 * MIB);
    assert!(smaller.contains("conv4_1") && !smaller.contains("conv4_2"));
    assert_eq!(smaller.len(), 8);
    // 36 products lie along one dimension.
    let mut network = Network::new("single", Shape::new(8, 14, 14));
    let op = Op::Conv2d {
        weight: Tensor::repeated(vec![8, 8, 3, 3], 0.0),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    };
    network.chain("layer", op).unwrap();
    for (workgroups, transformed) in [(36, 1), (35, 0)] {
        let limits = Limits {
            family: tiled(256),
            workgroups,
            winograd: Winograd::Everywhere,
            ..adapter(128 * MIB)
        };
        let request = Request {
            images: 1,
            ..Request::default()
        };
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
    assert_eq!(products(&plan.forward, "conv3_2"), (large, [4, 4, 36]));
    assert_eq!(products(&plan.forward, "conv4_2"), (large, [1, 8, 36]));
    assert_eq!(products(&plan.forward, "conv5_1"), (small, [1, 16, 36]));
    let backward = &plan.backward[1].dispatches;
    assert_eq!(products(backward, "conv5_1 backward"), (large, [1, 8, 36]));
    // 3136 tiles, 12 channels or fewer of the input: 64 outputs make 49 x 1 large ones.
    assert_eq!(products(&plan.forward, "conv1_1"), (large, [49, 1, 36]));
}
