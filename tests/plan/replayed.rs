//! Tuning files of devices that are not here: that of a made-up GPU, and those that software drivers made (`docs/tuning.md`). A
//! plan goes by what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use gradcam::low_level::gpu::AdapterInfo;
use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::layout::Direction;
use gradcam::low_level::network::MatrixLayout;
use gradcam::low_level::plan::{
    Broadcast, KernelFamily, Limits, Measured, Plan, Request, Subgroup, Variant, choices,
};
use gradcam::low_level::tuning::{Tuning, kernels};

use crate::{MIB, adapter, request, tiled, vgg16};

/// A file of `tests/fixtures/tuning`, as if it were of the kernels of today.
fn replayed(name: &str) -> Tuning {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tuning");
    let text = fs::read_to_string(folder.join(name)).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    let of = |key: &str| file["adapter"][key].as_str().unwrap().to_owned();
    let info = AdapterInfo {
        name: of("name"),
        backend: of("backend"),
        kind: match of("type").as_str() {
            "discrete" => "discrete",
            "cpu" => "cpu",
            other => panic!("{other}"),
        },
        driver: of("driver"),
    };
    let text = text.replace(file["kernels"].as_str().unwrap(), &kernels());
    Tuning::of_json(&text, &info).unwrap()
}

/// One picture there and back, time and again.
fn often() -> Request {
    Request {
        runs: 1000,
        ..request(&vgg16(MatrixLayout::OutIn), 1)
    }
}

/// What each layer of VGG16 goes by there and back.
fn taken(limits: Limits<'_>) -> BTreeMap<String, [Variant; 2]> {
    let network = vgg16(MatrixLayout::OutIn);
    let mut taken = BTreeMap::new();
    for choice in choices(&network, &often(), limits) {
        let name = network.layer_name(choice.node).to_owned();
        let ways = taken.entry(name).or_insert([choice.taken; 2]);
        ways[usize::from(choice.way == Direction::Backward)] = choice.taken;
    }
    taken
}

#[test]
fn a_made_up_gpus_file_changes_a_plan_as_it_says() {
    let tuning = replayed("made-up-gpu.json");
    let by_model = Limits {
        family: tiled(256),
        ..adapter(512 * MIB)
    };
    let by_file = Limits {
        costs: &tuning.costs,
        ..by_model
    };
    let (before, after) = (taken(by_model), taken(by_file));
    for (layer, there, back) in [
        ("conv1_1", Variant::TilesSmall, Variant::TilesLarge),
        ("conv1_2", Variant::TilesLarge, Variant::TilesLarge),
        ("conv3_2", Variant::F4x4Large, Variant::F4x4Small),
        ("conv3_3", Variant::F4x4Large, Variant::F4x4Small),
        ("conv5_1", Variant::TilesParts, Variant::TilesParts),
        ("conv5_3", Variant::TilesParts, Variant::TilesParts),
    ] {
        assert_eq!(after[layer], [there, back], "{layer}");
    }
    // Of these it has no times, or none of the model's choice.
    for layer in [
        "conv2_1", "conv2_2", "conv3_1", "conv4_1", "conv4_2", "conv4_3",
    ] {
        assert_eq!(after[layer], before[layer], "{layer}");
    }
    assert_eq!(before["conv1_2"][0], Variant::F4x4Large);
    assert_ne!(before["conv5_1"], after["conv5_1"]);

    // The plan has those kernels.
    let plan = Plan::new(&vgg16(MatrixLayout::OutIn), &often(), by_file).unwrap();
    let of = |label: &str| -> Vec<Kernel> {
        let calls = plan.phases().flatten().filter(|call| call.label == label);
        calls.map(|call| call.kernel).collect()
    };
    assert_eq!(of("conv1_1"), [Kernel::Conv2dTiledSmall]);
    assert_eq!(of("conv1_2"), [Kernel::Conv2dTiledLarge]);
    assert_eq!(of("conv5_1"), [Kernel::Conv2dTiledSmall, Kernel::SplitSum]);
    assert!(of("conv3_2").contains(&Kernel::WinogradProductTiledLarge));
    assert!(of("conv3_2 backward").contains(&Kernel::WinogradProductTiledSmall));
}

/// The time of a variant in a file, one way.
fn time(measured: &Measured, variant: Variant, way: Direction) -> Option<u64> {
    let mut variants = measured.variants.iter();
    let (_, times) = variants.find(|(there, _)| *there == variant)?;
    match way {
        Direction::Forward => times.forward,
        Direction::Backward => times.backward,
    }
}

#[test]
fn the_files_of_three_software_drivers_are_gone_by_and_slow_nothing_down() {
    for (name, width, broadcast) in [
        ("mesa-22.3.6.json", 8, Broadcast::Shuffles),
        ("mesa-25.0.7.json", 8, Broadcast::Shuffles),
        ("swiftshader.json", 4, Broadcast::Quads),
    ] {
        let tuning = replayed(name);
        let subgroup = Subgroup {
            broadcast,
            ..Subgroup::new(width, 16_384)
        };
        let limits = Limits {
            family: KernelFamily::Subgroup(subgroup),
            costs: &tuning.costs,
            ..adapter(512 * MIB)
        };
        let network = vgg16(MatrixLayout::OutIn);
        let mut differing = BTreeSet::new();
        for choice in choices(&network, &often(), limits) {
            let Some(measured) = tuning.costs.of(&choice.layer, 1) else {
                assert_eq!(choice.taken, choice.model, "{name}: {choice:?}");
                continue;
            };
            // What is taken is known, and no slower than the model's choice.
            let of = |variant| time(measured, variant, choice.way);
            if let Some(model) = of(choice.model) {
                assert!(of(choice.taken).unwrap() <= model, "{name}: {choice:?}");
            }
            if choice.taken != choice.model {
                differing.insert(network.layer_name(choice.node).to_owned());
            }
        }
        assert_eq!(differing, BTreeSet::new(), "{name}");
    }
}
