//! Maxima and means over windows, bins and whole maps.

use gradcam::network::{Op, Shape, Window};
use gradcam::plan::ReluRule;

use crate::common::device::{assert_close, backward, forward, random, to_input};
use crate::common::twins;
use crate::{SHAPES, TOLERANCE, single};

#[test]
fn average_pool_and_its_gradient() {
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
fn max_pool_and_its_gradient() {
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

#[test]
fn adaptive_average_pool_and_its_gradient() {
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
