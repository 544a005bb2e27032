//! Networks with branches, drawn at random: every value, gradient and rerun against an interpreter of CPU twins; and
//! the built-in network's reruns.

#[path = "../common"]
mod common {
    pub(crate) mod device;
    pub(crate) mod drawn;
    pub(crate) mod interpreter;
    pub(crate) mod twins;
}

mod check;
mod draw;
mod reruns;
mod schedule;

use common::device::{GPU, each_convolution, plain, random, tiled};
use gradcam::low_level::exact;
use gradcam::low_level::network::{Network, NodeId};
use gradcam::low_level::plan::{Costs, LayerShape, Limits, Measured, Times, Variant};

use check::{check, check_reruns};
use draw::Draw;

const CLASSES: usize = 3;

#[test]
fn drawn_graphs_give_the_values_and_gradients_of_their_twins() {
    for seed in 0..24 {
        let network = Draw::new(1000 + seed).network();
        check(GPU.limits(), &network, seed);
    }
}

#[test]
fn drawn_graphs_of_maps_in_other_sizes_give_the_values_and_gradients_of_their_twins() {
    for seed in 0..24 {
        let mut draw = Draw::new(1000 + seed);
        draw.resamples = true;
        check(GPU.limits(), &draw.network(), seed);
    }
}

#[test]
fn drawn_graphs_with_softmaxes_transposes_and_attention_give_the_values_and_gradients_of_their_twins()
 {
    for seed in 0..12 {
        let mut draw = Draw::new(4000 + seed);
        draw.has_shares = true;
        let network = draw.network();
        check(GPU.limits(), &network, seed);
        check_reruns(GPU.limits(), &network, seed, false);
    }
}

#[test]
fn drawn_graphs_give_the_same_by_every_kernel_for_convolutions() {
    for seed in [3, 8] {
        let network = Draw::new(1000 + seed).network();
        for limits in each_convolution() {
            check(limits, &network, seed);
        }
    }
}

/// Times of every convolution by every kernel, drawn, so that each layer goes by what happens to be fastest.
fn drawn_times(network: &Network, seed: u32) -> Costs {
    let mut costs = Costs::default();
    for id in (0..network.nodes.len()).map(NodeId) {
        let Some(layer) = LayerShape::of(network, id) else {
            continue;
        };
        let drawn = random(seed + id.0 as u32, 3 * Variant::ALL.len());
        let nanoseconds = |value: f32| (1e6 * (1.0 + value)) as u64;
        let times = Variant::ALL.iter().zip(drawn.chunks_exact(3));
        let variants = times.map(|(&variant, drawn)| {
            let times = Times {
                forward: Some(nanoseconds(drawn[0])),
                backward: Some(nanoseconds(drawn[1])),
                once: nanoseconds(drawn[2]),
            };
            (variant, times)
        });
        costs.insert(Measured {
            layer,
            images: 1,
            variants: variants.collect(),
        });
    }
    costs
}

#[test]
fn drawn_graphs_give_the_same_whatever_kernels_were_measured_to_be_fastest() {
    for seed in 0..12 {
        let network = Draw::new(1000 + seed).network();
        let costs = drawn_times(&network, 100 * seed);
        let family = match seed % 3 {
            0 => tiled(40),
            _ => GPU.limits().family,
        };
        let limits = Limits {
            family,
            costs: &costs,
            ..GPU.limits()
        };
        check(limits, &network, seed);
        check_reruns(limits, &network, seed, false);
    }
}

#[test]
fn reruns_of_drawn_graphs_keep_what_goes_around_their_beginning() {
    for seed in 0..16 {
        let network = Draw::new(2000 + seed).network();
        let limits = match seed % 4 {
            0 => plain(),
            1 => Limits {
                family: tiled(0),
                ..GPU.limits()
            },
            _ => GPU.limits(),
        };
        check_reruns(limits, &network, seed, false);
    }
}

#[test]
fn drawn_graphs_give_the_same_where_the_host_computes_their_first_layers() {
    let mut by_host = 0;
    for seed in 0..32 {
        let network = Draw::new(3000 + seed).network();
        if exact::last(&network, 1.0).is_none() {
            continue;
        }
        let limits = match by_host % 3 {
            0 => plain(),
            1 => Limits {
                family: tiled(0),
                ..GPU.limits()
            },
            _ => GPU.limits(),
        };
        by_host += u32::from(check_reruns(limits, &network, seed, true));
    }
    assert!(by_host > 5, "{by_host} graphs");
}
