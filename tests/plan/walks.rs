//! The ways along which methods over many inputs go through the network.

use gradcam::low_level::explainer::{self, Wanted};
use gradcam::low_level::methods::attribution::Method;
use gradcam::low_level::network::{MatrixLayout, NodeId};
use gradcam::low_level::plan::{Limits, Plan, Request};

use super::{FAMILIES, MIB, adapter, tiled, vgg16};

/// What the walks of `methods` through a VGG16 have the host compute, by name, in order; and all that is asked.
fn walks(methods: &[Method], limits: Limits<'_>) -> (Vec<Option<String>>, Request) {
    let network = vgg16(MatrixLayout::OutIn);
    let wanted = Wanted::of(methods.iter().copied());
    let (_, request) = explainer::request(&network, &wanted, limits).unwrap();
    let name = |node: NodeId| network.layer_name(node).to_owned();
    let others = request.passes.iter().skip(1);
    let by_host = others.map(|pass| pass.by_host.map(name)).collect();
    (by_host, request)
}

#[test]
fn a_path_goes_by_the_host_and_on_a_gpu_without_it_too() {
    // Of a VGG16 without dense layers it is pool3.
    let last = Some("conv4_1".to_owned());
    for family in FAMILIES {
        let limits = Limits {
            family,
            ..adapter(2048 * MIB)
        };
        let (path, _) = walks(&[Method::IntegratedGradients], limits);
        let (both, _) = walks(&[Method::SmoothGrad, Method::IntegratedGradients], limits);
        let (noisy, _) = walks(&[Method::SmoothGrad], limits);
        if family == tiled(256) {
            assert_eq!(path, [last.clone(), None]);
            assert_eq!(both, [None, last.clone()]);
        } else {
            assert_eq!(path, std::slice::from_ref(&last));
            assert_eq!(both, std::slice::from_ref(&last));
        }
        assert_eq!(noisy, [None]);
    }
}

#[test]
fn walks_with_the_host_and_without_share_their_memory() {
    let limits = Limits {
        family: tiled(256),
        ..adapter(2048 * MIB)
    };
    let (_, both) = walks(&[Method::IntegratedGradients], limits);
    let network = vgg16(MatrixLayout::OutIn);
    let bytes = |without: Option<usize>| {
        let mut request = both.clone();
        if let Some(pass) = without {
            request.passes.remove(pass);
        }
        Plan::new(&network, &request, limits).unwrap().bytes()
    };
    let [one, other] = [1, 2].map(|pass| bytes(Some(pass)));
    let (weights, shared) = bytes(None);
    assert_eq!(weights, one.0.max(other.0));
    let most = one.1.max(other.1);
    assert!(shared <= most + most / 50, "{shared} and {most}");
}
