//! What is too large for float16, and what is too small.

use gradcam::low_level::gpu::{GpuError, Session};
use gradcam::low_level::network::{FilterLayout, Network, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{ForwardRequest, Plan, Request, StoredDtype};
use gradcam::weights::Tensor;

use crate::common::device::{GPU, each_convolution, to_input};

/// 1 x 1 convolutions that multiply by these, one after the other, each of one channel.
fn multiplying(factors: &[f32]) -> Network {
    let mut network = Network::new("multiplying", Shape::new(1, 3, 5));
    for (at, &factor) in factors.iter().enumerate() {
        let convolution = Op::Conv2d {
            weight: Tensor::from_f32(vec![1, 1, 1, 1], &[factor]),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        network.chain(format!("conv{at}"), convolution).unwrap();
    }
    network
}

fn request(images: usize) -> Request {
    let classes = 2;
    Request {
        dtype: StoredDtype::F16,
        ..Request::of(ForwardRequest {
            images,
            backs: vec![to_input(classes, ReluRule::Plain)],
            ..ForwardRequest::default()
        })
    }
}

fn session(network: &Network, images: usize) -> Result<Session, GpuError> {
    let plan = Plan::new(network, &request(images), GPU.limits()).unwrap();
    let session = Session::new(&GPU, plan)?;
    session.poison().unwrap();
    Ok(session)
}

#[test]
fn a_value_beyond_float16_names_the_first_layer_that_meets_it_by_every_kernel() {
    let network = multiplying(&[300.0, 300.0, 1e-3, 1.0]);
    let shape = network.input_shape();
    for limits in each_convolution() {
        let plan = Plan::new(&network, &request(1), limits).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        let mut x = vec![0.5; shape.len()];
        session.forward(0, &x, shape).unwrap();
        x[7] = -1.0;
        let error = session.forward(0, &x, shape).unwrap_err();
        assert!(
            matches!(&error, GpuError::Overflow { layer, value } if layer == "conv1" && (*value - 90_000.0).abs() < 50.0),
            "{error}"
        );
        // And it is forgotten with the next input.
        x[7] = 0.25;
        session.forward(0, &x, shape).unwrap();
    }
}

#[test]
fn the_largest_float16_is_held_and_what_rounds_beyond_it_is_not() {
    let network = multiplying(&[1.0, 1.0]);
    let shape = network.input_shape();
    let session = session(&network, 1).unwrap();
    let run = |value: f32| {
        session.forward(0, &vec![value; shape.len()], shape)?;
        session.read(session.plan().picture().logits, 1, shape)
    };
    assert_eq!(run(65_504.0).unwrap()[0], 65_504.0);
    assert_eq!(run(65_519.0).unwrap()[0], 65_504.0);
    run(65_520.0).unwrap_err();
    run(f32::INFINITY).unwrap_err();
    // To the nearest, ties to even: neighbours of 2048 are 2 apart.
    for (value, rounded) in [
        (2049.0, 2048.0),
        (2049.5, 2050.0),
        (2051.0, 2052.0),
        (-2049.5, -2050.0),
    ] {
        assert_eq!(run(value).unwrap()[0], rounded);
    }
}

#[test]
fn images_that_are_not_given_are_not_found_too_large() {
    let network = multiplying(&[300.0, 1.0]);
    let shape = network.input_shape();
    let session = session(&network, 3).unwrap();
    let large = vec![1000.0; 3 * shape.len()];
    session.forward(0, &large, shape).unwrap_err();
    session
        .forward(
            0,
            &large[..shape.len()]
                .iter()
                .map(|v| v / 1e3)
                .collect::<Vec<_>>(),
            shape,
        )
        .unwrap();
}

#[test]
fn gradients_too_small_for_float16_come_back_and_each_by_itself() {
    let network = multiplying(&[0.5, 0.25, 3.0]);
    let shape = network.input_shape();
    let session = session(&network, 1).unwrap();
    session.forward(0, &vec![1.0; shape.len()], shape).unwrap();
    let mut seed = vec![1e-30; shape.len()];
    seed.extend(vec![-2.0; shape.len()]);
    session.backward([0, 0], &seed, shape).unwrap();
    let gradient = session.plan().picture().backs[0].gradient;
    let found = session.read(gradient, 2, shape).unwrap();
    for (found, start) in found.iter().zip(&seed) {
        let expected = start * 0.375;
        assert!(
            (found / expected - 1.0).abs() < 2e-3,
            "{found}, not {expected}"
        );
    }
}

/// Layers multiply by 200: from 2^10 a gradient is too large after three.
#[test]
fn gradients_that_grow_start_lower() {
    let network = multiplying(&[200.0, 200.0, 200.0, 200.0, 1e-3]);
    let shape = network.input_shape();
    let session = session(&network, 1).unwrap();
    session.forward(0, &vec![1e-6; shape.len()], shape).unwrap();
    let seed = vec![1.0; 2 * shape.len()];
    for _ in 0..2 {
        session.backward([0, 0], &seed, shape).unwrap();
        let gradient = session.plan().picture().backs[0].gradient;
        let found = session.read(gradient, 2, shape).unwrap();
        assert!((found[0] / 1.6e6 - 1.0).abs() < 2e-3, "{}", found[0]);
    }
    let network = multiplying(&[6e4, 6e4, 6e4, 6e4]);
    let session = self::session(&network, 1).unwrap();
    session.forward(0, &vec![0.0; shape.len()], shape).unwrap();
    let error = session.backward([0, 0], &seed, shape).unwrap_err();
    assert!(
        matches!(&error, GpuError::Overflow { layer, .. } if layer.contains("backward")),
        "{error}"
    );
}

#[test]
fn a_filter_beyond_float16_is_refused_by_its_name() {
    let error = session(&multiplying(&[1.0, 7e4]), 1).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("conv1 weights") && text.contains("--dtype f16"),
        "{text}"
    );
}
