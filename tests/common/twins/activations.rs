//! One value at a time.

use gradcam::low_level::network::{Activation, ReluRule, Shape};

use super::channel;

pub(crate) fn relu(x: &[f32]) -> Vec<f32> {
    x.iter().map(|&v| v.max(0.0)).collect()
}

/// `activations` are one image's, `dy` as many as there are gradients.
pub(crate) fn relu_backward(dy: &[f32], activations: &[f32], rule: ReluRule) -> Vec<f32> {
    let pass = |g: f32, a: f32| match rule {
        ReluRule::Plain => a > 0.0,
        ReluRule::Guided => a > 0.0 && g > 0.0,
        ReluRule::Deconv => g > 0.0,
    };
    dy.iter()
        .zip(activations.iter().cycle())
        .map(|(&g, &a)| if pass(g, a) { g } else { 0.0 })
        .collect()
}

pub(crate) fn clip(x: &[f32], low: f32, high: f32) -> Vec<f32> {
    x.iter().map(|&v| v.max(low).min(high)).collect()
}

/// As [`relu_backward`].
pub(crate) fn clip_backward(
    dy: &[f32],
    activations: &[f32],
    [low, high]: [f32; 2],
    rule: ReluRule,
) -> Vec<f32> {
    let pass = |g: f32, a: f32| match rule {
        // One that begins above zero is no ReLU.
        _ if low > 0.0 => low < a && a < high,
        ReluRule::Plain => low < a && a < high,
        ReluRule::Guided => low < a && a < high && g > 0.0,
        ReluRule::Deconv => g > 0.0,
    };
    dy.iter()
        .zip(activations.iter().cycle())
        .map(|(&g, &a)| if pass(g, a) { g } else { 0.0 })
        .collect()
}

/// 2 / sqrt(pi) times the integral of exp(-t^2) up to v, by its series, else by the continued fraction of what is left.
fn erf(v: f64) -> f64 {
    let u = v.abs();
    if u < 3.0 {
        let (mut term, mut sum) = (u, u);
        for n in 1..100 {
            term *= -u * u / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return v.signum() * sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let fraction = (1..100)
        .rev()
        .fold(u, |below, k| u + f64::from(k) / 2.0 / below);
    v.signum() * (1.0 - (-u * u).exp() / (fraction * std::f64::consts::PI.sqrt()))
}

fn sigmoid(v: f64) -> f64 {
    1.0 / (1.0 + (-v).exp())
}

/// Value and slope of an activation at `x` of channel `c`.
fn activation_at(activation: &Activation, x: f64, c: usize) -> [f64; 2] {
    let leaky = |alpha: f64| {
        if x > 0.0 {
            [x, 1.0]
        } else {
            [alpha * x, alpha]
        }
    };
    let elu = |scale: f64, alpha: f64| match x > 0.0 {
        true => [scale * x, scale],
        false => [scale * alpha * x.exp_m1(), scale * alpha * x.exp()],
    };
    // x times a gate of x.
    let gated = |gate: f64, slope: f64| [x * gate, gate + x * slope];
    let softplus = x.exp().ln_1p();
    let s = sigmoid(x);
    match activation {
        Activation::Relu => [x.max(0.0), f64::from(u8::from(x > 0.0))],
        Activation::Clip { low, high } => {
            let (low, high) = (f64::from(*low), f64::from(*high));
            [x.clamp(low, high), f64::from(u8::from(low < x && x < high))]
        }
        Activation::LeakyRelu { alpha } => leaky(f64::from(*alpha)),
        Activation::PRelu { slope } => leaky(f64::from(slope.to_vec()[c % slope.len()])),
        Activation::Elu { alpha } => elu(1.0, f64::from(*alpha)),
        Activation::Selu => elu(1.050_700_987_355_480_5, 1.673_263_242_354_377_2),
        Activation::Sigmoid => [s, s * (1.0 - s)],
        Activation::Tanh => [x.tanh(), 1.0 - x.tanh() * x.tanh()],
        Activation::Silu => gated(s, s * (1.0 - s)),
        Activation::HardSigmoid { alpha, beta } => {
            let alpha = f64::from(*alpha);
            let y = alpha * x + f64::from(*beta);
            let inside = 0.0 < y && y < 1.0;
            [y.clamp(0.0, 1.0), if inside { alpha } else { 0.0 }]
        }
        Activation::HardSwish => {
            let inside = -3.0 < x && x < 3.0;
            let slope = if inside { 1.0 / 6.0 } else { 0.0 };
            gated((x / 6.0 + 0.5).clamp(0.0, 1.0), slope)
        }
        Activation::Gelu => {
            let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            gated(0.5 + 0.5 * erf(x / 2f64.sqrt()), density)
        }
        Activation::GeluTanh => {
            let k = (2.0 / std::f64::consts::PI).sqrt();
            let t = (k * (x + 0.044_715 * x.powi(3))).tanh();
            let inner = k * (1.0 + 3.0 * 0.044_715 * x * x);
            gated(0.5 + 0.5 * t, (1.0 - t * t) / 2.0 * inner)
        }
        Activation::Softplus => [softplus, s],
        Activation::Mish => {
            let t = softplus.tanh();
            gated(t, (1.0 - t * t) * s)
        }
        Activation::Square => [x * x, 2.0 * x],
        Activation::Sqrt if x > 0.0 => [x.sqrt(), 0.5 / x.sqrt()],
        Activation::Sqrt => [0.0, 0.0],
        Activation::Reciprocal | Activation::Abs if x == 0.0 => [0.0, 0.0],
        Activation::Reciprocal => [1.0 / x, -1.0 / (x * x)],
        Activation::Abs => [x.abs(), x.signum()],
        Activation::Exp => [x.exp(), x.exp()],
        Activation::Log if x > 0.0 => [x.ln(), 1.0 / x],
        Activation::Log => [f64::from(f32::MIN_POSITIVE).ln(), 0.0],
        Activation::Power { low, power } => {
            let (low, power) = (f64::from(*low), f64::from(*power));
            let m = x.max(low);
            let passes = f64::from(u8::from(x > low));
            match m > 0.0 {
                _ if power == 1.0 => [m, passes],
                true => [m.powf(power), passes * power * m.powf(power - 1.0)],
                false => [0.0, 0.0],
            }
        }
    }
}

pub(crate) fn activate(x: &[f32], shape: Shape, activation: &Activation) -> Vec<f32> {
    let value = |(at, &x): (usize, &f32)| {
        activation_at(activation, f64::from(x), channel(at, shape))[0] as f32
    };
    x.iter().enumerate().map(value).collect()
}

/// `x` is one image's, `dy` as many as there are gradients.
pub(crate) fn activate_backward(
    dy: &[f32],
    x: &[f32],
    shape: Shape,
    activation: &Activation,
) -> Vec<f32> {
    let pass = |(at, (&g, &x)): (usize, (&f32, &f32))| {
        let [_, slope] = activation_at(activation, f64::from(x), channel(at, shape));
        (f64::from(g) * slope) as f32
    };
    dy.iter()
        .zip(x.iter().cycle())
        .enumerate()
        .map(pass)
        .collect()
}
