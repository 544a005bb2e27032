//! Plans whose values, gradients and filters are float16.

use std::collections::BTreeSet;

use gradcam::low_level::kernels::Access;
use gradcam::low_level::plan::{
    BufferId, Contents, Forward, Limits, PART, Plan, Request, StoredDtype, Winograd,
};

use crate::{FAMILIES, MIB, MatrixLayout, adapter, request, vgg16, with_reruns};

fn in_halves(request: Request) -> Request {
    Request {
        dtype: StoredDtype::F16,
        matrices: StoredDtype::F16,
        ..request
    }
}

/// Plans of VGG16 with reruns, by every family of kernels and both ways of convolutions: in float32 and in float16.
fn each_plan(mut check: impl FnMut(&str, &Plan, &Plan)) {
    let network = vgg16(MatrixLayout::OutIn);
    for family in FAMILIES {
        for winograd in [
            Winograd::Never,
            Winograd::Everywhere,
            Winograd::Everywhere2x2,
        ] {
            let limits = Limits {
                family,
                winograd,
                ..adapter(128 * MIB)
            };
            let asked = with_reruns(request(&network, 2), &network);
            let plan = |request: &Request| Plan::new(&network, request, limits).unwrap();
            let what = format!("{family:?}, {winograd:?}");
            check(&what, &plan(&asked), &plan(&in_halves(asked.clone())));
        }
    }
}

#[test]
fn float16_takes_about_half_the_memory() {
    each_plan(|what, full, half| {
        let share = |of: u64, all: u64| of as f64 / all as f64;
        let ((full_weights, full_rest), (half_weights, half_rest)) = (full.bytes(), half.bytes());
        // Where Winograd's algorithm is, its tiles and products and its larger filters are float32.
        let winograd = what.contains("Everywhere") && !what.contains("Plain");
        let most = if winograd { 0.95 } else { 0.62 };
        let [weights, rest] = [
            share(half_weights, full_weights),
            share(half_rest, full_rest),
        ];
        assert!(weights <= most, "{what}: {weights} of the weights");
        assert!(rest <= most, "{what}: {rest} of the rest");
        assert!(half.peak_bytes() < full.peak_bytes(), "{what}");
    });
}

/// What the host writes and reads of a pass.
fn of_host(pass: &Forward) -> Vec<BufferId> {
    let mut ids = vec![pass.input, pass.logits];
    ids.extend(&pass.kept);
    ids.extend(pass.base.iter().map(|base| base.input));
    for back in &pass.backs {
        ids.extend([back.seed, back.gradient]);
        ids.extend(&back.kept);
    }
    ids
}

#[test]
fn what_the_host_writes_and_reads_is_float32_and_nearly_all_else_is_not() {
    each_plan(|what, full, half| {
        assert!(!full.has_halves() && half.has_halves(), "{what}");
        let host: Vec<BufferId> = half.passes.iter().flat_map(of_host).collect();
        for &id in &host {
            assert!(!half.buffer(id).half, "{what}: {}", half.buffer(id).name);
        }
        for (at, buffer) in half.buffers.iter().enumerate() {
            let name = buffer.name.as_str();
            let is_float = |what: &&str| name.ends_with(what);
            let others = [
                "bias", "argmax", "alike", "tiles", "products", "parts", "nothing",
            ];
            let stays = others.iter().any(is_float)
                || ["computed", "copied"].iter().any(is_float)
                || buffer.is_matrix()
                || host.contains(&BufferId(at))
                // Stored one value after the other.
                || ["flatten", "d_pool5"].contains(&name.trim_end_matches(" again").trim_end_matches(" base"))
                || matches!(
                    &buffer.contents,
                    Contents::Source(_) | Contents::Prepared | Contents::Image
                )
                || matches!(&buffer.contents, Contents::Weights(upload) if !upload.packing.is_filters());
            if !stays
                && matches!(
                    buffer.contents,
                    Contents::Scratch { .. } | Contents::Weights(_)
                )
            {
                let is_value = buffer.bytes > 4096;
                assert!(buffer.half || !is_value, "{what}: {name} is float32");
            }
        }
    });
}

#[test]
fn an_image_holds_what_is_copied_to_it_and_parts_begin_where_adapters_bind() {
    each_plan(|what, _, half| {
        for phase in half.phases() {
            let mut copied = BTreeSet::new();
            for dispatch in phase {
                for copy in &dispatch.copies {
                    assert_eq!(
                        half.buffer(copy.from).half,
                        half.buffer(copy.to).half,
                        "{what}: {}",
                        dispatch.label
                    );
                    let row = if half.buffer(copy.to).half { 8 } else { 16 };
                    // Its first row stays zero.
                    let bytes = (copy.texels + 4096) as u64 * row;
                    assert!(bytes <= half.buffer(copy.to).bytes, "{what}");
                    copied.insert(copy.to);
                }
                let bindings = dispatch.kernel.info().bindings;
                for (&id, access) in dispatch.buffers.iter().zip(bindings) {
                    let name = half.buffer(id).name.as_str();
                    if *access == Access::Image && name.starts_with("image") {
                        assert!(copied.contains(&id), "{what}: {}", dispatch.label);
                    }
                }
            }
        }
        for buffer in &half.buffers {
            assert!(
                buffer.offset().is_multiple_of(PART),
                "{what}: {}",
                buffer.name
            );
        }
    });
}
