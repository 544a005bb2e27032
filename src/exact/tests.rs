use super::pool::pool;
use super::winograd::Scratch;
use super::*;
use crate::network::FilterLayout;
use crate::weights::Tensor;

/// Numbers from -1 to 1 that follow no pattern.
fn drawn(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn window(
    size: [usize; 2],
    stride: [usize; 2],
    pads: [[usize; 2]; 2],
    dilation: [usize; 2],
) -> Window {
    let [pad_before, pad_after] = pads;
    Window {
        size,
        stride,
        pad_before,
        pad_after,
        dilation,
    }
}

/// Where tap `tap` of output `at` reads along an axis.
fn read(window: &Window, axis: usize, at: usize, tap: usize, length: usize) -> Option<usize> {
    let padded = at * window.stride[axis] + tap * window.dilation[axis];
    let place = padded.checked_sub(window.pad_before[axis])?;
    (place < length).then_some(place)
}

/// Each output by itself, as the formula has it.
fn by_formula(
    x: &[f64],
    from: Shape,
    weight: &[f32],
    bias: &[f32],
    window: &Window,
    to: Shape,
) -> Vec<f64> {
    let [rows, columns] = window.size;
    let mut y = vec![];
    for (o, &bias) in bias.iter().enumerate() {
        for at in 0..to.h * to.w {
            let mut sum = f64::from(bias);
            for i in 0..from.c {
                for tap in 0..rows * columns {
                    let row = read(window, 0, at / to.w, tap / columns, from.h);
                    let column = read(window, 1, at % to.w, tap % columns, from.w);
                    if let Some((row, column)) = row.zip(column) {
                        let w = weight[(o * from.c + i) * rows * columns + tap];
                        sum += f64::from(w) * x[(i * from.h + row) * from.w + column];
                    }
                }
            }
            y.push(sum);
        }
    }
    y
}

#[test]
fn convolutions_of_all_windows_and_both_layouts_are_what_the_formula_says() {
    let same = [[1, 1]; 2];
    let windows = [
        (window([3, 3], [1, 1], same, [1, 1]), [9, 7]),
        (window([1, 1], [1, 1], [[0; 2]; 2], [1, 1]), [1, 5]),
        (window([3, 2], [2, 3], [[0, 1], [2, 0]], [1, 1]), [11, 13]),
        (window([3, 3], [1, 2], same, [2, 1]), [10, 8]),
        // Pads of both sides that differ, and one row of one column.
        (window([3, 3], [1, 1], [[2, 0], [1, 3]], [1, 1]), [6, 9]),
        (window([3, 3], [1, 1], [[0; 2]; 2], [1, 1]), [3, 3]),
        // More rows than go at once.
        (window([3, 3], [1, 1], same, [1, 1]), [40, 60]),
        (window([7, 7], [2, 2], [[3, 3]; 2], [1, 1]), [30, 31]),
    ];
    for (number, (window, [h, w])) in windows.into_iter().enumerate() {
        let from = Shape { c: 5, h, w };
        let [rows, columns] = window.output(h, w).unwrap();
        let to = Shape {
            c: 6,
            h: rows,
            w: columns,
        };
        let taps = window.size[0] * window.size[1];
        let weight = drawn(to.c * from.c * taps, 1);
        let bias = drawn(to.c, 2);
        let x: Vec<f64> = drawn(from.len(), 3).into_iter().map(f64::from).collect();
        let expected = by_formula(&x, from, &weight, &bias, &window, to);
        let mut turned = vec![0.0; weight.len()];
        for (at, &value) in weight.iter().enumerate() {
            let (o, i, tap) = (at / taps / from.c, at / taps % from.c, at % taps);
            turned[(tap * from.c + i) * to.c + o] = value;
        }
        for (layout, weight) in [(FilterLayout::Oihw, &weight), (FilterLayout::Hwio, &turned)] {
            let filters = Filters {
                values: weight.clone(),
                layout,
                outputs: to.c,
                inputs: from.c,
                taps: window.size,
            };
            let shapes = [from, to];
            let mut found = vec![vec![f64::NAN; to.len()]];
            let bank = direct::bank(&filters, vec![]);
            direct::convolve(&x, shapes, &bank, &bias, &window, &mut found[0]);
            if winograd::takes(&window) {
                let bank = winograd::bank(&filters, vec![7.0; 5]);
                let mut scratch = [Scratch::default(), Scratch::default()];
                // What is left in the scratch memory of another shape is not read.
                for _ in 0..2 {
                    let mut y = vec![f64::NAN; to.len()];
                    winograd::convolve(&x, shapes, &bank, &bias, &window, &mut scratch, &mut y);
                    found.push(y);
                }
            }
            for (way, found) in found.iter().enumerate() {
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "{number}, {layout:?}, {way}: {found}, {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_maximum_is_the_first_of_equal_values_and_of_those_that_rounding_parts() {
    let shape = |h, w| Shape { c: 1, h, w };
    let halves = Window::square(2, 2, 0);
    let pooled = |x: &[f64]| {
        let mut values = vec![f64::NAN];
        let taps = pool(x, shape(2, 2), &halves, shape(1, 1), &mut values);
        (values, taps)
    };
    assert_eq!(pooled(&[1.0, 3.0, 3.0, 2.0]), (vec![3.0], vec![1]));
    assert_eq!(pooled(&[1.0, 3.0, 3.0 + 1e-14, 2.0]).1, [1]);
    // Nearer than float32 tells apart, and yet not equal.
    assert_eq!(
        pooled(&[1.0, 3.0, 3.0 + 1e-9, 2.0]),
        (vec![3.0 + 1e-9], vec![2])
    );
    assert_eq!(pooled(&[-2.0, -3.0, -1.0, -1.0]), (vec![-1.0], vec![2]));
    assert!(pooled(&[1.0, f64::NAN, 3.0, 2.0]).0[0].is_nan());
    // Places in the padding do not count, though the values beside them are below zero.
    let padded = window([3, 3], [2, 2], [[1, 1]; 2], [1, 1]);
    let mut values = vec![f64::NAN];
    let x = [-4.0, -3.0, -2.0, -1.0];
    let taps = pool(&x, shape(2, 2), &padded, shape(1, 1), &mut values);
    assert_eq!((values, taps), (vec![-1.0], vec![8]));
}

fn convolution(outputs: usize, inputs: usize) -> Op {
    let weight = drawn(outputs * inputs * 9, 4);
    Op::Conv2d {
        weight: Tensor::from_f32(vec![outputs, inputs, 3, 3], &weight),
        bias: None,
        layout: FilterLayout::Oihw,
        window: Window::square(3, 1, 1),
        groups: 1,
    }
}

#[test]
fn the_host_goes_up_to_the_last_choice_before_what_it_does_not_know() {
    let mut network = Network::new("some", Shape { c: 2, h: 4, w: 4 });
    assert_eq!(last(&network, 1.0), None);
    network.chain("conv", convolution(2, 2)).unwrap();
    let relu = network
        .chain("relu", Op::Activate(Activation::Relu))
        .unwrap();
    let conv = network.chain("conv2", convolution(2, 2)).unwrap();
    let sum = network.push("sum", Op::Add, vec![relu, conv]).unwrap();
    let second = network
        .chain("relu2", Op::Activate(Activation::Relu))
        .unwrap();
    network.chain("conv3", convolution(2, 2)).unwrap();
    network
        .chain("tanh", Op::Activate(Activation::Tanh))
        .unwrap();
    network
        .chain("relu3", Op::Activate(Activation::Relu))
        .unwrap();
    network.chain("mean", Op::GlobalMean).unwrap();
    assert_eq!(last(&network, 1.0), Some(second));
    // The third convolution is one of three of the same work.
    assert_eq!(last(&network, 0.7), Some(second));
    assert_eq!(last(&network, 0.6), Some(relu));
    assert_eq!(last(&network, 0.3), None);

    let input = drawn(32, 5);
    let mut told = vec![];
    Layers::new(&network, second, 1).forward(&input, |node, values, maxima| {
        assert_eq!(maxima, None);
        told.push((node, values.to_vec()));
    });
    let [_, (_, relu), (_, conv), (id, found), (_, rectified)] = &told[..] else {
        panic!("{} nodes", told.len());
    };
    assert_eq!(*id, sum);
    for (((a, b), sum), rectified) in relu.iter().zip(conv).zip(found).zip(rectified) {
        assert_eq!((*sum, *rectified), (a + b, sum.max(0.0)));
    }
}
