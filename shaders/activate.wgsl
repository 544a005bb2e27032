// A function of each value alone, but for those that end other kernels (relu.wgsl, clip.wgsl).
//
//   y[n, b, i] = f(x[n, b, i]), per channel
//
//   LEAKY         x > 0: x, else a x; `slopes` above 0: a is slopes[b] of the channel, or slopes[0] for all where it is 1
//   ELU           x > 0: b x, else a (exp(x) - 1)
//   SIGMOID       1 / (1 + exp(-x))
//   TANH          tanh(x)
//   SILU          x sigmoid(x)
//   HARD_SIGMOID  a x + b, between 0 and 1
//   HARD_SWISH    x (x / 6 + 1 / 2, between 0 and 1)
//   GELU          x (1 + erf(x / sqrt(2))) / 2
//   GELU_TANH     x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
//   SOFTPLUS      log(1 + exp(x))
//   MISH          x tanh(log(1 + exp(x)))
//   SQUARE        x x
//   SQRT          sqrt(x), of x < 0: 0
//   RECIPROCAL    1 / x, of 0: 0, so that what fills up a block of channels stays as it is
//   ABS           |x|
//   EXP           exp(x)
//   LOG           log(x), of x <= 0 that of the smallest number, which is finite
//   POWER         m^b, m = max(x, a); of m <= 0: 0, but m itself for a b of 1
//
// x, y: N x blocks x positions, four channels an element. No exponential but EXP's own is of a positive number, so that none is
// infinite; each result is within 1e-6 of f, POWER's within 4e-6, relative to the larger of 1, |x| and |f|.
// An invocation makes one element of y, a layer of workgroups those of one n. CPU twin: activate in tests/common/twins.rs.

struct Params {
    image: u32, // elements of an image: blocks * positions
    positions: u32,
    slopes: u32, // slopes that there are: 0, 1 or one a channel
    a: f32,
    b: f32,
}

const ACTIVATION_LEAKY: u32 = 0u;
const ACTIVATION_ELU: u32 = 1u;
const ACTIVATION_SIGMOID: u32 = 2u;
const ACTIVATION_TANH: u32 = 3u;
const ACTIVATION_SILU: u32 = 4u;
const ACTIVATION_HARD_SIGMOID: u32 = 5u;
const ACTIVATION_HARD_SWISH: u32 = 6u;
const ACTIVATION_GELU: u32 = 7u;
const ACTIVATION_GELU_TANH: u32 = 8u;
const ACTIVATION_SOFTPLUS: u32 = 9u;
const ACTIVATION_MISH: u32 = 10u;
const ACTIVATION_SQUARE: u32 = 11u;
const ACTIVATION_SQRT: u32 = 12u;
const ACTIVATION_RECIPROCAL: u32 = 13u;
const ACTIVATION_ABS: u32 = 14u;
const ACTIVATION_EXP: u32 = 15u;
const ACTIVATION_LOG: u32 = 16u;
const ACTIVATION_POWER: u32 = 17u;
// One of them: software adapters run all branches of a switch that is still there.
override KIND: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

const SMALLEST: f32 = 1.17549435e-38;

// exp(v) by the nearest power of two, so that the rounding of a large exponent is no part of it. Beyond 104 it is 0 or infinite.
fn exp_of(v: vec4<f32>) -> vec4<f32> {
    let u = clamp(v, vec4<f32>(-104.0), vec4<f32>(104.0));
    let whole = round(u * 1.442695);
    // Of the largest results the power of two alone may be too large.
    return exp((u - whole * 0.693359375) + whole * 2.1219444e-4) * exp2(whole - 1.0) * 2.0;
}

fn sigmoid(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return select(e, vec4<f32>(1.0), v > vec4<f32>()) / (1.0 + e);
}

// exp(v) - 1 for v up to 0; near 0 by its series, which cancels nothing.
fn expm1(v: vec4<f32>) -> vec4<f32> {
    let series = v * (1.0 + v / 2.0 * (1.0 + v / 3.0 * (1.0 + v / 4.0 * (1.0 + v / 5.0 * (1.0 + v / 6.0 * (1.0 + v / 7.0))))));
    return select(exp(v) - 1.0, series, v > vec4<f32>(-0.3));
}

fn tanh_of(v: vec4<f32>) -> vec4<f32> {
    let z = v * v;
    // The least largest error up to 0.6, fitted.
    let near = v * (0.99999994 + z * (-0.3333231 + z * (0.13310173 + z * (-0.05210148 + z * 0.015475425))));
    let e = exp(-2.0 * abs(v));
    return select(sign(v) * (1.0 - e) / (1.0 + e), near, abs(v) < vec4<f32>(0.6));
}

// log(1 + exp(v)) = max(v, 0) + log(1 + e), the latter as 2 artanh(e / (2 + e)).
fn softplus(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    let s = e / (2.0 + e);
    let z = s * s;
    let log1p = 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * (0.2 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * (1.0 / 11.0 + z / 13.0))))));
    return max(v, vec4<f32>()) + log1p;
}

// The share of a normal distribution below v.
fn normal(v: vec4<f32>) -> vec4<f32> {
    // Beyond 14 nothing is left, and a square might be infinite.
    let u = 0.70710678 * min(abs(v), vec4<f32>(14.0));
    let t = 1.0 / (1.0 + 0.4 * u);
    // erfc(u) exp(u^2) / t, with the least largest error, fitted.
    let tail = 0.22565906 + t * (0.22600833 + t * (0.2050604 + t * (0.18076561 + t * (0.10982641
        + t * (0.043946993 + t * (0.12279885 + t * (-0.15922694 + t * 0.045161378)))))));
    let beyond = 0.5 * t * exp(-u * u) * tail;
    return select(beyond, 1.0 - beyond, v > vec4<f32>());
}

// tanh(log(1 + exp(v))), from exp of what is negative.
fn mish_gate(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    let below = e * (e + 2.0) / (e * (e + 2.0) + 2.0);
    let above = (1.0 + 2.0 * e) / (1.0 + 2.0 * e + 2.0 * e * e);
    return select(below, above, v > vec4<f32>());
}

// `at` over `by`, rounded down, both below 2^31: software adapters divide whole numbers one invocation after the other, and have no
// instruction that makes floats of numbers without a sign. A quotient of floats is off by a little, that of what it leaves by one at
// most.
fn over(at: u32, by: u32) -> u32 {
    let whole = i32(by);
    let first = i32(f32(i32(at)) / f32(whole));
    let rest = i32(at) - first * whole;
    let more = i32(f32(rest) / f32(whole));
    let left = rest - more * whole;
    return u32(first + more + select(0, 1, left >= whole) - select(0, 1, left < 0));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = (group.y * groups.x + group.x) * 64u + lane;
    if i >= p.image {
        return;
    }
    let n = group.z;
    let at = n * p.image + i;
    let zero = vec4<f32>();
    let one = vec4<f32>(1.0);
    let v = x[at];
    switch KIND {
        case ACTIVATION_LEAKY: {
            var slope = vec4<f32>(p.a);
            if p.slopes == 1u {
                slope = vec4<f32>(slopes[0].x);
            } else if p.slopes > 1u {
                slope = slopes[over(i, p.positions)];
            }
            y[at] = select(slope * v, v, v > zero);
        }
        case ACTIVATION_ELU: { y[at] = select(p.a * expm1(min(v, zero)), p.b * v, v > zero); }
        case ACTIVATION_SIGMOID: { y[at] = sigmoid(v); }
        case ACTIVATION_TANH: { y[at] = tanh_of(v); }
        case ACTIVATION_SILU: { y[at] = v * sigmoid(v); }
        case ACTIVATION_HARD_SIGMOID: { y[at] = clamp(p.a * v + p.b, zero, one); }
        case ACTIVATION_HARD_SWISH: { y[at] = v * clamp(v / 6.0 + 0.5, zero, one); }
        case ACTIVATION_GELU: { y[at] = v * normal(v); }
        case ACTIVATION_GELU_TANH: {
            // Beyond 10 the gate is 0 or 1, and a cube might be infinite.
            let u = clamp(v, vec4<f32>(-10.0), vec4<f32>(10.0));
            y[at] = v * sigmoid(1.5957691 * (u + 0.044715 * u * u * u));
        }
        case ACTIVATION_SOFTPLUS: { y[at] = softplus(v); }
        case ACTIVATION_MISH: { y[at] = v * mish_gate(v); }
        case ACTIVATION_SQUARE: { y[at] = v * v; }
        case ACTIVATION_SQRT: { y[at] = sqrt(max(v, zero)); }
        case ACTIVATION_RECIPROCAL: {
            let is_zero = v == zero;
            y[at] = select(1.0 / select(v, one, is_zero), zero, is_zero);
        }
        case ACTIVATION_ABS: { y[at] = abs(v); }
        case ACTIVATION_EXP: { y[at] = exp_of(v); }
        case ACTIVATION_LOG: { y[at] = log(max(v, vec4<f32>(SMALLEST))); }
        case ACTIVATION_POWER: {
            let m = max(v, vec4<f32>(p.a));
            let is_above = m > zero;
            let power = select(zero, pow(select(one, m, is_above), vec4<f32>(p.b)), is_above);
            y[at] = select(power, m, vec4<bool>(p.b == 1.0));
        }
        default: { y[at] = v; }
    }
}
