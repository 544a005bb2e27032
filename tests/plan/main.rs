//! Plans for made-up adapters: no GPU is touched, and no weights are held.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::{Access, IMAGE_ROW, Kernel};
use gradcam::low_level::network::{
    FilterLayout, FlattenOrder, MatrixLayout, Network, NodeId, Op, ReluRule, Shape, Window,
};
use gradcam::low_level::plan::{
    Backward, BackwardRequest, Buffer, BufferId, Contents, Costs, Dispatch, Forward,
    ForwardRequest, Hardware, KernelFamily, Limits, Means, Packing, Plan, PlanError, Request,
    Subgroup, Upload, Winograd,
};
use gradcam::weights::Tensor;

mod at_once;
mod costs;
mod halves;
mod images;
mod reached;
mod replayed;
mod tiled;
mod walks;

const MIB: u64 = 1 << 20;

const FAMILIES: [KernelFamily; 3] = [
    KernelFamily::Plain,
    tiled(256),
    KernelFamily::Subgroup(Subgroup::new(8, 16_384)),
];

/// A GPU that so many workgroups keep busy.
const fn tiled(workgroups: u32) -> KernelFamily {
    KernelFamily::Tiled(Hardware {
        workgroups,
        multiply_adds_a_byte: 12,
    })
}

/// A convolution of 3 x 3 that keeps rows and columns, by its shapes alone, without a bias.
fn convolution(outputs: usize, inputs: usize) -> Op {
    Op::Conv2d {
        weight: Tensor::repeated(vec![outputs, inputs, 3, 3], 0.0),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    }
}

fn adapter(binding: u64) -> Limits<'static> {
    Limits {
        binding,
        buffer: 2048 * MIB,
        workgroups: 65_535,
        family: KernelFamily::Plain,
        winograd: Winograd::WhereFaster,
        costs: Costs::model(),
    }
}

/// VGG16 of full size, by its shapes alone.
fn vgg16(layout: MatrixLayout) -> Network {
    let mut network = Network::new("vgg16", Shape::new(3, 224, 224));
    let mut channels = 3;
    let blocks = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];
    for (block, (convolutions, width)) in (1..).zip(blocks) {
        for i in 1..=convolutions {
            let conv = Op::Conv2d {
                weight: Tensor::repeated(vec![width, channels, 3, 3], 0.0),
                bias: Some(Tensor::repeated(vec![width], 0.0)),
                layout: FilterLayout::Oihw,
                window: Window::square(3, 1, 1),
                groups: 1,
            };
            network.chain(format!("conv{block}_{i}"), conv).unwrap();
            network.chain(format!("relu{block}_{i}"), Op::RELU).unwrap();
            channels = width;
        }
        let pool = Op::MaxPool(Window::square(2, 2, 0));
        network.chain(format!("pool{block}"), pool).unwrap();
    }
    network
        .chain("flatten", Op::Flatten(FlattenOrder::Chw))
        .unwrap();
    let mut inputs = 25_088;
    for (name, outputs) in [("fc6", 4096), ("fc7", 4096), ("fc8", 1000)] {
        let shape = match layout {
            MatrixLayout::OutIn => vec![outputs, inputs],
            MatrixLayout::InOut => vec![inputs, outputs],
        };
        let linear = Op::Linear {
            weight: Tensor::repeated(shape, 0.0),
            bias: Some(Tensor::repeated(vec![outputs], 0.0)),
            layout,
        };
        network.chain(name, linear).unwrap();
        if name != "fc8" {
            network.chain(format!("relu_{name}"), Op::RELU).unwrap();
        }
        inputs = outputs;
    }
    network
}

fn request(network: &Network, classes: usize) -> Request {
    let target = network.target(None).unwrap();
    let pass = |to, rule| BackwardRequest {
        to,
        keep: vec![],
        classes,
        rule,
        means: Means::Never,
    };
    Request::of(ForwardRequest {
        keep: vec![target],
        backs: vec![
            pass(target, ReluRule::Plain),
            pass(NodeId(0), ReluRule::Guided),
        ],
        ..ForwardRequest::default()
    })
}

/// The parts of a layer's matrix, as ranges of the file's rows.
fn parts(plan: &Plan, name: &str) -> Vec<std::ops::Range<usize>> {
    let rows = |buffer: &Buffer| match &buffer.contents {
        Contents::Weights(upload) => match &upload.packing {
            Packing::Rows(rows, _) if buffer.name == format!("{name} weights") => {
                Some(rows.clone())
            }
            _ => None,
        },
        _ => None,
    };
    plan.buffers.iter().filter_map(rows).collect()
}

#[test]
fn fc6_is_split_by_the_limits_of_the_adapter() {
    for layout in [MatrixLayout::OutIn, MatrixLayout::InOut] {
        let network = vgg16(layout);
        let rows = if layout == MatrixLayout::OutIn {
            4096
        } else {
            25_088
        };
        for (binding, expected) in [(64, 7), (128, 4), (2048, 1)] {
            let limits = adapter(binding * MIB);
            let plan = Plan::new(&network, &request(&network, 3), limits).unwrap();
            let parts = parts(&plan, "fc6");
            assert_eq!(parts.len(), expected, "{layout:?}, {binding} MiB");
            let mut next = 0;
            for part in &parts {
                assert_eq!(part.start, next, "parts follow one another");
                assert_eq!(part.start % 4, 0, "kernels count rows in fours");
                next = part.end;
            }
            assert_eq!(next, rows);
            for buffer in &plan.buffers {
                assert!(
                    buffer.bytes <= limits.tensor(),
                    "{}: {}",
                    buffer.name,
                    buffer.bytes
                );
            }
        }
    }
}

#[test]
fn a_tensor_that_cannot_fit_says_what_it_needs_and_what_there_is() {
    let network = vgg16(MatrixLayout::OutIn);
    let error = Plan::new(&network, &request(&network, 1), adapter(8 * MIB)).unwrap_err();
    assert!(matches!(error, PlanError::TooLarge { .. }));
    let text = error.to_string();
    assert!(
        text.contains("conv1_1 needs 12.2 MiB") && text.contains("has 8.0 MiB"),
        "{text}"
    );
}

/// Scores of a map's positions between one another grow with the square of their number.
#[test]
fn attention_that_cannot_fit_says_so_too() {
    let mut network = Network::new("attention", Shape::new(3, 64, 64));
    let picture = NodeId(0);
    let op = Op::AttentionScores {
        heads: 1,
        scale: 1.0,
    };
    network.push("scores", op, vec![picture, picture]).unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    let error = Plan::new(&network, &Request::default(), adapter(8 * MIB)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("scores needs 64.0 MiB"), "{text}");
}

#[test]
fn too_many_workgroups_are_refused_before_the_device_refuses_them() {
    let network = vgg16(MatrixLayout::OutIn);
    let limits = Limits {
        workgroups: 100,
        ..adapter(2048 * MIB)
    };
    let error = Plan::new(&network, &request(&network, 20), limits).unwrap_err();
    assert!(
        matches!(error, PlanError::TooManyWorkgroups { .. }),
        "{error}"
    );
}

#[test]
fn grad_cam_alone_runs_no_convolution_backward() {
    let network = vgg16(MatrixLayout::OutIn);
    for family in FAMILIES {
        let limits = Limits {
            family,
            ..adapter(128 * MIB)
        };
        let plan = Plan::new(&network, &request(&network, 3), limits).unwrap();
        let convolutions = |dispatches: &[Dispatch]| {
            let labels = dispatches.iter().map(|dispatch| dispatch.label.as_str());
            let layers: BTreeSet<&str> = labels.filter(|label| label.starts_with("conv")).collect();
            layers.len()
        };
        let counts: Vec<usize> = plan.phases().map(convolutions).collect();
        assert_eq!(counts, [13, 0, 13]);
    }
}

#[test]
fn every_buffer_is_written_before_it_is_read() {
    for family in FAMILIES {
        let network = vgg16(MatrixLayout::InOut);
        let limits = Limits {
            family,
            ..adapter(128 * MIB)
        };
        let mut request = with_reruns(request(&network, 3), &network);
        request.passes.push(ForwardRequest {
            images: 2,
            backs: vec![request.passes[0].backs[1].clone()],
            times: 3,
            ..ForwardRequest::default()
        });
        let plan = Plan::new(&network, &request, limits).unwrap();
        let [picture, others @ ..] = &plan.passes[..] else {
            panic!("the picture's pass is the first")
        };
        let mut memory = Memory {
            plan: &plan,
            holds: vec![None; plan.slots.len()],
        };
        memory.go(picture);
        for back in &picture.backs {
            // Twice: a phase may run again, and must find what it found before.
            for _ in 0..2 {
                for pass in others {
                    if let Some(base) = &pass.base {
                        memory.write(base.input);
                        memory.run(&base.dispatches);
                    }
                    // Batch after batch beside one base, and more classes than go at once.
                    for _ in 0..2 {
                        memory.go(pass);
                        for back in pass.backs.iter().chain(&pass.backs) {
                            memory.go_back(back);
                        }
                    }
                }
                memory.go_back(back);
            }
        }
        for &kept in &picture.kept {
            memory.read(kept, "the host, at the end");
        }
    }
}

/// Everything again for 3 pictures, and what comes after the target for 5 values of it.
fn with_reruns(request: Request, network: &Network) -> Request {
    let rerun = |from, images| ForwardRequest {
        from,
        images,
        based: true,
        ..ForwardRequest::default()
    };
    let target = network.target(None).unwrap();
    let mut request = request;
    request
        .passes
        .extend([rerun(NodeId(0), 3), rerun(target, 5)]);
    request
}

#[test]
fn a_rerun_starts_after_its_node_and_shares_the_weights() {
    let network = vgg16(MatrixLayout::OutIn);
    for family in FAMILIES {
        let limits = Limits {
            family,
            // Where it is faster depends on what is asked.
            winograd: Winograd::Everywhere,
            ..adapter(128 * MIB)
        };
        let once = Plan::new(&network, &request(&network, 1), limits).unwrap();
        let again = with_reruns(request(&network, 1), &network);
        let again = Plan::new(&network, &again, limits).unwrap();
        let labels = |dispatches: &[Dispatch]| -> Vec<String> {
            dispatches.iter().map(|call| call.label.clone()).collect()
        };
        let [picture, whole, rest] = &again.passes[..] else {
            panic!("two reruns")
        };
        let layers = |dispatches: &[Dispatch]| {
            let mut layers = labels(dispatches);
            // No gradient goes back through a rerun's pools, and what goes into the last is asked of the picture alone.
            layers.retain(|layer| layer != "ties" && layer != "pool5");
            layers.dedup();
            layers
        };
        assert_eq!(layers(&whole.dispatches), layers(&picture.dispatches));
        // No convolution is left there.
        assert!(rest.base.is_none());
        let rest = labels(&rest.dispatches);
        assert_eq!(rest[0], "pool5");
        let in_tiles = whole.base.as_ref().map_or(0, |base| base.layers.len());
        let listing = matches!(family, KernelFamily::Subgroup(_));
        assert_eq!(in_tiles, if listing { 13 } else { 0 });
        assert!(labels(&picture.dispatches).ends_with(&rest));
        assert_eq!(again.bytes().0, once.bytes().0, "{family:?}: weights");
    }
}

/// Which buffer each slot holds at the moment.
struct Memory<'a> {
    plan: &'a Plan,
    holds: Vec<Option<BufferId>>,
}

impl Memory<'_> {
    fn slot(&self, id: BufferId) -> Option<usize> {
        match self.plan.buffer(id).contents {
            Contents::Scratch { slot } => Some(slot),
            _ => None,
        }
    }

    /// The buffer that it is part of.
    fn whole(&self, id: BufferId) -> BufferId {
        match self.plan.buffer(id).contents {
            Contents::Part { of, .. } => of,
            _ => id,
        }
    }

    fn write(&mut self, id: BufferId) {
        let id = self.whole(id);
        if let Some(slot) = self.slot(id) {
            self.holds[slot] = Some(id);
        }
    }

    fn read(&self, id: BufferId, reader: &str) {
        let id = self.whole(id);
        let name = &self.plan.buffer(id).name;
        if let Some(slot) = self.slot(id).filter(|_| name != "nothing") {
            assert_eq!(self.holds[slot], Some(id), "{reader} reads {name}");
        }
    }

    fn go(&mut self, pass: &Forward) {
        self.write(pass.input);
        for layer in pass.base.iter().flat_map(|base| &base.layers) {
            self.write(layer.computed);
            self.write(layer.copied);
        }
        self.run(&pass.dispatches);
        for &id in pass.kept.iter().chain([&pass.logits]) {
            self.read(id, "the host");
        }
    }

    fn go_back(&mut self, back: &Backward) {
        self.write(back.seed);
        self.run(&back.dispatches);
        self.read(back.gradient, "the host");
    }

    fn run(&mut self, dispatches: &[Dispatch]) {
        for dispatch in dispatches {
            let accesses = dispatch.kernel.info().bindings;
            let of = |wanted: Access| {
                let bound = dispatch.buffers.iter().zip(accesses);
                bound
                    .filter(move |(_, access)| **access == wanted)
                    .map(|(id, _)| *id)
            };
            let copied = dispatch.copies.iter().map(|copy| copy.from);
            for id in of(Access::Read).chain(copied) {
                self.read(id, &dispatch.label);
            }
            for id in of(Access::Write).chain(of(Access::WriteSingly)) {
                self.write(id);
            }
        }
    }
}

#[test]
fn memory_is_shared_and_a_forward_pass_alone_holds_little() {
    let network = vgg16(MatrixLayout::OutIn);
    let target = network.target(None).unwrap();
    let forward = Request::of(ForwardRequest {
        keep: vec![target],
        ..ForwardRequest::default()
    });
    let (_, alone) = Plan::new(&network, &forward, adapter(128 * MIB))
        .unwrap()
        .bytes();
    let (weights, all) = Plan::new(&network, &request(&network, 1), adapter(128 * MIB))
        .unwrap()
        .bytes();
    // The two largest neighbours, conv1_1 and conv1_2, and their pool with its argmax.
    assert!(alone < 32 * MIB, "{alone}");
    // Guided backpropagation needs every activation, 54 MB, and two gradients.
    assert!(all > 54_000_000 && all < 110 * MIB, "{all}");
    // 553 MB in the file, and the convolutions' 59 MB once more, turned.
    assert!((553_000_000..640_000_000).contains(&weights), "{weights}");
}

#[test]
fn an_image_too_tall_for_the_adapter_leaves_the_plain_kernel() {
    let network = vgg16(MatrixLayout::OutIn);
    let kernels = |image_rows| {
        let limits = Limits {
            family: KernelFamily::Subgroup(Subgroup::new(8, image_rows)),
            ..adapter(128 * MIB)
        };
        Plan::new(&network, &request(&network, 1), limits)
            .unwrap()
            .kernels()
    };
    let tallest = 16 * 224 * 224 / IMAGE_ROW as u32 + 1;
    assert!(!kernels(tallest).contains(&Kernel::Conv2d));
    assert!(kernels(tallest - 1).contains(&Kernel::Conv2d));
    assert!(!kernels(0).contains(&Kernel::Conv3x3Subgroup));
}

/// The buffers of Winograd's transformed filters, by name: uploaded so, or prepared.
fn transformed(plan: &Plan) -> Vec<&str> {
    let buffers = plan.buffers.iter().filter(|buffer| {
        matches!(
            &buffer.contents,
            Contents::Prepared
                | Contents::Weights(Upload {
                    packing: Packing::Winograd(_),
                    ..
                })
        )
    });
    buffers.map(|buffer| buffer.name.as_str()).collect()
}

#[test]
fn transformed_filters_are_there_once_and_for_all_passes() {
    let network = vgg16(MatrixLayout::OutIn);
    for (family, sources) in [(FAMILIES[1], 12), (FAMILIES[2], 0)] {
        let limits = Limits {
            family,
            ..adapter(128 * MIB)
        };
        let request = with_reruns(request(&network, 3), &network);
        let plan = Plan::new(&network, &request, limits).unwrap();
        // All but conv1_1, whose picture has a single block of channels.
        assert_eq!(transformed(&plan).len(), 12, "{family:?}");
        let is_source = |buffer: &&Buffer| matches!(buffer.contents, Contents::Source(_));
        assert_eq!(plan.buffers.iter().filter(is_source).count(), sources);
        let made = plan.prepare.iter().flat_map(|dispatch| &dispatch.buffers);
        let made: Vec<&BufferId> = made.collect();
        for dispatch in plan.phases().flatten() {
            for id in &dispatch.buffers {
                match plan.buffer(*id).contents {
                    Contents::Prepared => assert!(made.contains(&id), "{}", dispatch.label),
                    Contents::Source(_) => panic!("{} reads a source", dispatch.label),
                    _ => {}
                }
            }
        }
    }
}

/// The few tiles of a small map gain less in one picture than transforming the filters takes.
#[test]
fn a_single_forward_pass_transforms_only_the_filters_that_repay_it() {
    let limits = Limits {
        family: FAMILIES[2],
        ..adapter(128 * MIB)
    };
    let transformed = |side, runs| {
        let mut network = Network::new("two layers", Shape::new(128, side, side));
        network.chain("conv", convolution(128, 128)).unwrap();
        let request = Request {
            runs,
            ..Request::default()
        };
        let plan = Plan::new(&network, &request, limits).unwrap();
        transformed(&plan).len()
    };
    assert_eq!([transformed(13, 1), transformed(13, 100)], [0, 1]);
    assert_eq!([transformed(56, 1), transformed(56, 100)], [1, 1]);
}

#[test]
fn winograd_can_be_left_out_and_forced_where_there_are_kernels_for_it() {
    let network = vgg16(MatrixLayout::OutIn);
    for family in FAMILIES {
        let limits = Limits {
            family,
            winograd: Winograd::Never,
            ..adapter(128 * MIB)
        };
        let plan = Plan::new(&network, &request(&network, 1), limits).unwrap();
        assert_eq!(transformed(&plan), [""; 0]);
        let name = |kernel: &Kernel| kernel.info().name;
        assert!(
            !plan
                .kernels()
                .iter()
                .any(|kernel| name(kernel).starts_with("winograd"))
        );
    }
    let count = |family, winograd| {
        let limits = Limits {
            family,
            winograd,
            ..adapter(128 * MIB)
        };
        let plan = Plan::new(&network, &request(&network, 1), limits).unwrap();
        transformed(&plan).len()
    };
    let counts = FAMILIES.map(|family| {
        [Winograd::Everywhere, Winograd::Everywhere2x2].map(|form| count(family, form))
    });
    assert_eq!(counts, [[0, 0], [13, 13], [13, 0]]);
}
