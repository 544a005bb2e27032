//! Convolutions by each kernel that measured times can choose: the answer is the twin's whichever it is. And the measuring.

use std::collections::BTreeSet;
use std::time::Duration;

use gradcam::low_level::gpu::Gpu;
use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{FilterLayout, Network, NodeId, Op, Shape, Window};
use gradcam::low_level::plan::{Costs, KernelFamily, LayerShape, Limits, Plan, Variant, choices};
use gradcam::low_level::tuning::{Clock, layers, measure, measure_within, there_and_back};
use gradcam::weights::Tensor;
use gradcam::wgpu;

use crate::common::device::{GPU, assert_close, backward_asked, forward_asked, random, tiled};
use crate::common::twins::{self, Filters};
use crate::{TOLERANCE, single};

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
    let request = there_and_back();
    let layer = LayerShape::of(&network, NodeId(1)).unwrap();
    let mut reached = BTreeSet::new();
    for &variant in Variant::ALL {
        let costs = Costs::forcing(layer, variant);
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
        let by_fours = matches!(own, KernelFamily::Subgroup(subgroup) if subgroup.width == 4);
        for kernel in [
            Kernel::WinogradProductQuads,
            Kernel::WinogradProductQuadsTurned,
        ] {
            assert_eq!(by_subgroups.contains(&kernel), by_fours, "{kernel:?}");
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

/// A network of two layers of one shape, one of another, and one of one channel a group.
fn network() -> Network {
    let mut network = Network::new("measured", Shape::new(8, 12, 12));
    for (name, outputs, groups, window) in [
        ("conv1", 8, 1, Window::square(3, 1, 1)),
        ("conv2", 8, 1, Window::square(3, 1, 1)),
        ("conv3", 20, 1, Window::square(3, 2, 1)),
        ("conv4", 20, 20, Window::square(3, 1, 1)),
    ] {
        let inputs = network.node(network.output()).shape.c / groups;
        let [kh, kw] = window.size;
        let conv = Op::Conv2d {
            weight: Tensor::from_f32(
                vec![outputs, inputs, kh, kw],
                &random(5, outputs * inputs * kh * kw),
            ),
            bias: None,
            layout: FilterLayout::Oihw,
            window,
            groups,
        };
        network.chain(name, conv).unwrap();
    }
    network
}

/// What was measured has every variant with a time for each way that it is for, and plans take what took least.
#[track_caller]
fn check_measured(gpu: &Gpu, limits: Limits<'_>) {
    let network = network();
    let layers = layers(&network);
    let mut names: Vec<&[String]> = layers.iter().map(|layer| &layer.names[..]).collect();
    names.sort();
    assert_eq!(names, [&["conv1", "conv2"][..], &["conv3"], &["conv4"]]);
    let mut costs = Costs::default();
    for layer in &layers {
        // Tests end on machines of any speed: no time is too long.
        let clock = Clock::new(Duration::from_secs(100_000));
        let measured = measure_within(gpu, limits, layer, 1, clock).unwrap();
        costs.layers.extend(measured);
    }
    let request = there_and_back();
    let limits = Limits {
        costs: &costs,
        ..limits
    };
    let mut chosen = 0;
    for choice in choices(&network, &request, limits) {
        if choice.variants.len() < 2 {
            assert_eq!(choice.taken, choice.model);
            continue;
        }
        chosen += 1;
        let measured = costs.of(&choice.layer, 1).unwrap();
        for variant in &choice.variants {
            let mut times = measured.variants.iter();
            let (_, times) = times.find(|(there, _)| there == variant).unwrap();
            let time = times.of(choice.way);
            assert!(time.is_some_and(|time| time > 0), "{choice:?}: {times:?}");
        }
    }
    let plain = limits.family == KernelFamily::Plain;
    assert_eq!(chosen > 0, !plain);
}

#[test]
fn each_kernel_of_each_shape_is_measured_there_and_back() {
    let own = GPU.limits();
    for family in [own.family, tiled(40), KernelFamily::Plain] {
        check_measured(&GPU, Limits { family, ..own });
    }
}

#[test]
fn a_device_without_timestamps_is_measured_by_the_clock() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let descriptor = wgpu::DeviceDescriptor {
        required_features: adapter.features() & wgpu::Features::SUBGROUP,
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).unwrap();
    let gpu = Gpu::from_device(device, queue).unwrap();
    assert!(!gpu.has_timestamps());
    check_measured(&gpu, gpu.limits());
}

#[test]
fn nothing_is_measured_when_time_is_over() {
    let over = Clock::new(Duration::ZERO);
    assert!(over.is_over());
    for layer in layers(&network()) {
        assert_eq!(measure(&GPU, &layer, 1, over).unwrap(), None);
    }
}
