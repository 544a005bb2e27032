//! How many classes, pictures and values go through the network at once.

use gradcam::low_level::network::{MatrixLayout, NodeId};
use gradcam::low_level::plan::{
    Budget, ForwardRequest, KernelFamily, Limits, Plan, Request, StoredDtype, Subgroup,
    classes_at_once, images_at_once, walks_at_once,
};

use super::{MIB, adapter, vgg16};

const fn f32(bytes: u64) -> Budget {
    Budget {
        bytes,
        dtype: StoredDtype::F32,
    }
}

#[test]
fn of_float16_twice_as_many_go_together_in_the_same_memory() {
    let network = vgg16(MatrixLayout::OutIn);
    let limits = adapter(2048 * MIB);
    let counts = [StoredDtype::F32, StoredDtype::F16].map(|dtype| {
        let budget = |mib| Budget {
            bytes: mib * MIB,
            dtype,
        };
        let images = images_at_once(&network, NodeId(0), limits, budget(50));
        let classes = classes_at_once(&network, NodeId(0), &[], limits, budget(50));
        let walks = walks_at_once(&network, 1, limits, budget(190));
        let request = Request {
            dtype,
            ..Request::of(ForwardRequest {
                images,
                ..ForwardRequest::default()
            })
        };
        let (_, shared) = Plan::new(&network, &request, limits).unwrap().bytes();
        ([images, classes, walks], shared)
    });
    let [(of_f32, f32_bytes), (of_f16, f16_bytes)] = counts;
    assert_eq!([of_f32, of_f16], [[2; 3], [4; 3]]);
    // But for two pictures more, which the host writes as float32: four channels of each pixel.
    let pictures = 2 * 224 * 224 * 4 * 4;
    assert!(
        f16_bytes <= f32_bytes + pictures,
        "{f16_bytes} and {f32_bytes}"
    );
}

#[test]
fn classes_go_together_as_far_as_memory_and_bindings_allow() {
    let network = vgg16(MatrixLayout::OutIn);
    let keeping = |keep: &[NodeId], binding, budget| {
        classes_at_once(&network, NodeId(0), keep, adapter(binding), f32(budget))
    };
    let pixels = |binding, budget| keeping(&[], binding, budget);
    // 12.25 MiB a class at conv1, twice; and 1.85 x 10^9 multiply-adds, of which a dispatch may have 8 x 10^9.
    assert_eq!(pixels(2048 * MIB, 256 * MIB), 4);
    assert_eq!(pixels(2048 * MIB, 64 * MIB), 2);
    assert_eq!(pixels(32 * MIB, 256 * MIB), 2);
    assert_eq!(pixels(MIB, MIB), 1, "one class must do");
    // Both convolutions of the first block beside them.
    let first = [NodeId(1), NodeId(3)];
    assert_eq!(keeping(&first, 2048 * MIB, 147 * MIB), 3);
    let target = network.target(None).unwrap();
    // fc6: 103 x 10^6 multiply-adds.
    assert_eq!(
        classes_at_once(&network, target, &[], adapter(128 * MIB), f32(256 * MIB)),
        77
    );
}

#[test]
fn images_go_together_as_far_as_every_layer_on_the_way_allows() {
    let network = vgg16(MatrixLayout::OutIn);
    let target = network.target(None).unwrap();
    let at_once = |from, limits| images_at_once(&network, from, limits, f32(256 * MIB));
    assert_eq!(at_once(NodeId(0), adapter(2048 * MIB)), 4);
    // 103 x 10^6 multiply-adds in fc6; conv5_3 has 128 blocks of channels.
    assert_eq!(at_once(target, adapter(128 * MIB)), 77);
    let narrow = Limits {
        workgroups: 1000,
        ..adapter(128 * MIB)
    };
    assert_eq!(at_once(target, narrow), 7);
    // An image of 784 rows holds conv1 of four pictures after its row of zeros, one of 783 of three.
    for (image_rows, images) in [(785, 4), (784, 3)] {
        let limits = Limits {
            family: KernelFamily::Subgroup(Subgroup::new(8, image_rows)),
            ..adapter(2048 * MIB)
        };
        assert_eq!(at_once(NodeId(0), limits), images);
    }
}

#[test]
fn pictures_go_there_and_back_together_as_far_as_what_they_leave_on_the_way_fits() {
    let network = vgg16(MatrixLayout::OutIn);
    let at_once = |classes, budget| {
        let limits = adapter(2048 * MIB);
        walks_at_once(&network, classes, limits, f32(budget * MIB))
    };
    // A picture leaves 58 MiB behind it, and takes 24.5 more for each class on the backward pass.
    assert_eq!(at_once(1, 512), 4);
    assert_eq!(at_once(1, 200), 2);
    assert_eq!(at_once(2, 512), 2);
    assert_eq!([at_once(9, 512), at_once(0, 1)], [1, 1]);
}
