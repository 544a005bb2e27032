//! Maxima and means over windows, bins and whole maps.

use gradcam::low_level::kernels::Kernel;
use gradcam::low_level::network::{Network, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{ForwardRequest, Plan, Request, Winograd};

use crate::common::device::{
    assert_close, backward, backward_asked, each_convolution, forward, forward_within, random,
    to_input,
};
use crate::common::drawn;
use crate::common::twins::{self, Filters};
use crate::{SHAPES, TOLERANCE, single};

#[test]
fn average_pools_and_their_gradients_are_the_twins() {
    let uneven = Window {
        pad_before: [1, 0],
        pad_after: [0, 1],
        ..Window::square(2, 1, 0)
    };
    let windows = [
        Window::square(2, 2, 0),
        Window::square(3, 2, 1),
        Window::square(3, 1, 1),
        uneven,
    ];
    for (input, window) in SHAPES.iter().flat_map(|&s| windows.map(|w| (s, w))) {
        if window.output(input.h, input.w).is_none() {
            continue;
        }
        for count_include_pad in [false, true] {
            let network = single(
                input,
                Op::AvgPool {
                    window,
                    count_include_pad,
                },
            );
            let out = twins::output_shape(input, input.c, window);
            let what = format!("{input}, window {:?}, {count_include_pad}", window.size);
            let x = random(18, 3 * input.len());
            let expected = twins::avg_pool(&x, 3, input, window, count_include_pad);
            let actual = forward(&network, 3, &x);
            assert_close(&what, &actual, &expected, out, TOLERANCE);
            let dy = random(19, 2 * out.len());
            let one = &x[..input.len()];
            let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
            let expected = twins::avg_pool_backward(&dy, 2, input, window, count_include_pad);
            assert_close(
                &format!("{what}, backward"),
                &dx,
                &expected,
                input,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn max_pools_and_their_gradients_are_the_twins() {
    let windows = [
        Window::square(2, 2, 0),
        Window::square(3, 2, 1),
        Window::square(3, 1, 1),
    ];
    for input in SHAPES {
        for window in windows {
            if window.output(input.h, input.w).is_none() {
                continue;
            }
            let network = single(input, Op::MaxPool(window));
            let out = twins::output_shape(input, input.c, window);
            // Few distinct values, so that most windows hold a tie; negative ones, so that padding must not win.
            let few = |v: f32| (v * 3.0).round() - 4.0;
            for n in [1, 3] {
                let x: Vec<f32> = random(5, n * input.len()).into_iter().map(few).collect();
                let (expected, _) = twins::max_pool(&x, n, input, window);
                assert_close("max pool", &forward(&network, n, &x), &expected, out, 0.0);
            }
            let x: Vec<f32> = random(6, input.len()).into_iter().map(few).collect();
            let (_, argmax) = twins::max_pool(&x, 1, input, window);
            let n = 3;
            let dy = random(7, n * out.len());
            let (_, dx) = backward(&network, to_input(n, ReluRule::Plain), &x, &dy);
            let expected = twins::max_pool_backward(&dy, n, input, window, &argmax);
            assert_close("max pool backward", &dx, &expected, input, TOLERANCE);
        }
    }
}

/// A convolution, a ReLU and a 2 x 2 max-pool in one, as Winograd's algorithms have them in tiles of either size, and each by
/// itself where what goes into the pool is asked for, or the convolution is direct.
#[test]
fn a_pool_taken_into_a_convolution_gives_what_it_gives_alone() {
    let outputs = 7;
    for (input, n) in [
        (Shape::new(5, 13, 22), 3),
        (Shape::new(3, 28, 9), 1),
        (Shape::new(9, 8, 3), 2),
    ] {
        let weight = random(40, outputs * input.c * 9);
        let bias = random(41, outputs);
        let mut network = Network::new("pooled", input);
        let same = Window::square(3, 1, 1);
        let convolution = drawn::convolution(40, outputs, input.c, same, 1);
        network.chain("convolution", convolution).unwrap();
        let relu = network.chain("relu", Op::RELU).unwrap();
        let halves = Window::square(2, 2, 0);
        network.chain("pool", Op::MaxPool(halves)).unwrap();
        let middle = Shape::new(outputs, input.h, input.w);
        let out = twins::output_shape(middle, outputs, halves);

        let x = random(42, n * input.len());
        let filters = Filters {
            values: &weight,
            outputs,
            inputs: input.c,
            groups: 1,
        };
        let before = twins::conv2d(&x, n, input, &filters, Some(&bias), same);
        let (expected, _) = twins::max_pool(&twins::relu(&before), n, middle, halves);
        let dy = random(43, 2 * out.len());
        let one = &x[..input.len()];

        let asked = |keep, rule| {
            Request::of(ForwardRequest {
                keep,
                backs: vec![to_input(2, rule)],
                ..ForwardRequest::default()
            })
        };
        let mut in_one = 0;
        for limits in each_convolution() {
            let is_one = |request: &Request| {
                let plan = Plan::new(&network, request, limits).unwrap();
                let pools = [Kernel::MaxPool, Kernel::MaxPoolImage];
                !pools.iter().any(|pool| plan.kernels().contains(pool))
            };
            let by_tiles = matches!(
                limits.winograd,
                Winograd::Everywhere | Winograd::Everywhere2x2
            );
            if by_tiles {
                assert!(is_one(&asked(vec![], ReluRule::Plain)));
            }
            if limits.winograd == Winograd::Never {
                assert!(!is_one(&asked(vec![], ReluRule::Plain)));
            }
            assert!(!is_one(&asked(vec![relu], ReluRule::Plain)));
            in_one += usize::from(by_tiles);

            let actual = forward_within(limits, &network, n, &x);
            assert_close("in one", &actual, &expected, out, TOLERANCE);
            for rule in [ReluRule::Plain, ReluRule::Guided, ReluRule::Deconv] {
                let together = backward_asked(limits, &network, &asked(vec![], rule), one, &dy);
                let alone = backward_asked(limits, &network, &asked(vec![relu], rule), one, &dy);
                let what = format!("{input}, {rule:?}: one kernel beside three");
                assert_close(&what, &together.0, &alone.0, out, TOLERANCE);
                assert_close(&what, &together.1, &alone.1, input, TOLERANCE);
            }
        }
        assert!(in_one >= 4, "{in_one}");
    }
}

#[test]
fn adaptive_average_pools_and_their_gradients_are_the_twins() {
    // Fewer bins than places, as many, more; bins of different sizes, and such that share places.
    for input in SHAPES {
        for size in [[7, 7], [3, 2], [1, 5], [input.h, input.w]] {
            let network = single(input, Op::AdaptiveAvgPool(size));
            let out = Shape::new(input.c, size[0], size[1]);
            let what = format!("{input} to {size:?}");
            let x = random(28, 3 * input.len());
            let expected = twins::adaptive_avg_pool(&x, 3, input, size);
            let actual = forward(&network, 3, &x);
            assert_close(&what, &actual, &expected, out, TOLERANCE);
            let dy = random(29, 2 * out.len());
            let one = &x[..input.len()];
            let (_, dx) = backward(&network, to_input(2, ReluRule::Plain), one, &dy);
            let expected = twins::adaptive_avg_pool_backward(&dy, 2, input, size);
            let what = format!("{what}, backward");
            assert_close(&what, &dx, &expected, input, TOLERANCE);
        }
    }
}

#[test]
fn global_mean_and_its_gradient() {
    for input in SHAPES {
        let network = single(input, Op::GlobalMean);
        let out = Shape::vector(input.c);
        let x = random(8, 3 * input.len());
        let expected = twins::global_mean(&x, input);
        assert_close("mean", &forward(&network, 3, &x), &expected, out, TOLERANCE);
        let dy = random(9, 2 * input.c);
        let (_, dx) = backward(
            &network,
            to_input(2, ReluRule::Plain),
            &x[..input.len()],
            &dy,
        );
        let expected = twins::global_mean_backward(&dy, input);
        assert_close("mean backward", &dx, &expected, input, TOLERANCE);
    }
}
