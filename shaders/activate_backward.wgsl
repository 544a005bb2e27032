// The input gradient of activate.wgsl.
//
//   dx[n, b, i] = dy[n, b, i] f'(x[b, i]), per channel
//
//   LEAKY         x > 0: 1, else a, or slopes[b] as there
//   ELU           x > 0: b, else a exp(x)
//   SIGMOID       y (1 - y)
//   TANH          1 - y^2
//   SILU          s + x s (1 - s), s = sigmoid(x)
//   HARD_SIGMOID  a where 0 < a x + b < 1, else 0
//   HARD_SWISH    x <= -3: 0, x >= 3: 1, between x / 3 + 1 / 2
//   GELU          P + x exp(-x^2 / 2) / sqrt(2 pi), P the share of a normal distribution below x
//   GELU_TANH     s + x s (1 - s) u', s = sigmoid(u), u = sqrt(8 / pi) (x + 0.044715 x^3)
//   SOFTPLUS      sigmoid(x)
//   MISH          t + x (1 - t^2) sigmoid(x), t = tanh(log(1 + exp(x)))
//   SQUARE        2 x
//   SQRT          1 / (2 sqrt(x)), where x <= 0: 0
//   RECIPROCAL    -1 / x^2, of 0: 0
//   ABS           -1, 0 or 1, the sign of x
//   EXP           exp(x)
//   LOG           1 / x, of x <= 0: 0
//   POWER         b m^(b - 1), m = max(x, a); where x <= a, or m <= 0 for a b other than 1: 0
//
// dy, dx: N x blocks x positions, four channels an element; kept: x, but y for SIGMOID and TANH, one image's (blocks x
// positions) for `sharing` n. An invocation makes one element of dx, a layer of workgroups those of one n.
// CPU twin: activate_backward in tests/common/twins.rs.

struct Params {
    image: u32, // elements of an image: blocks * positions
    positions: u32,
    slopes: u32, // slopes that there are: 0, 1 or one a channel
    a: f32,
    b: f32,
    sharing: u32, // n of an image
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
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> kept: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> slopes: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

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

// sigmoid(v) (1 - sigmoid(v)), which cancels nothing.
fn sigmoid_slope(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return e / ((1.0 + e) * (1.0 + e));
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

// tanh(log(1 + exp(v))), from exp of what is negative, and what its square is short of 1.
fn mish_slope(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    // t = top / (top + rest), both times exp(-2 v) where v is above 0.
    let below = e * (e + 2.0);
    let above = 1.0 + 2.0 * e;
    let is_above = v > vec4<f32>();
    let top = select(below, above, is_above);
    let rest = select(vec4<f32>(2.0), 2.0 * e * e, is_above);
    let t = top / (top + rest);
    let short = rest * (2.0 * top + rest) / ((top + rest) * (top + rest));
    return t + v * short * sigmoid(v);
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

// The image that n belongs to, which is below 2^16.
fn image_of(n: u32, sharing: u32) -> u32 {
    return u32(i32((f32(i32(n)) + 0.5) / f32(i32(sharing))));
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
    let v = kept[image_of(n, p.sharing) * p.image + i];
    var slope = one;
    switch KIND {
        case ACTIVATION_LEAKY: {
            var below = vec4<f32>(p.a);
            if p.slopes == 1u {
                below = vec4<f32>(slopes[0].x);
            } else if p.slopes > 1u {
                below = slopes[over(i, p.positions)];
            }
            slope = select(below, one, v > zero);
        }
        case ACTIVATION_ELU: { slope = select(p.a * exp(min(v, zero)), vec4<f32>(p.b), v > zero); }
        case ACTIVATION_SIGMOID: { slope = v * (1.0 - v); }
        case ACTIVATION_TANH: { slope = 1.0 - v * v; }
        case ACTIVATION_SILU: { slope = sigmoid(v) + v * sigmoid_slope(v); }
        case ACTIVATION_HARD_SIGMOID: {
            let y = p.a * v + p.b;
            slope = select(zero, vec4<f32>(p.a), (y > zero) & (y < one));
        }
        case ACTIVATION_HARD_SWISH: {
            let between = select(v / 3.0 + 0.5, one, v >= vec4<f32>(3.0));
            slope = select(between, zero, v <= vec4<f32>(-3.0));
        }
        case ACTIVATION_GELU: {
            let u = clamp(v, vec4<f32>(-14.0), vec4<f32>(14.0));
            slope = normal(u) + u * exp(-0.5 * u * u) * 0.3989423;
        }
        case ACTIVATION_GELU_TANH: {
            // Beyond 10 the gate is 0 or 1 and flat, and a cube might be infinite.
            let u = clamp(v, vec4<f32>(-10.0), vec4<f32>(10.0));
            let gate = 1.5957691 * (u + 0.044715 * u * u * u);
            slope = sigmoid(gate) + u * sigmoid_slope(gate) * 1.5957691 * (1.0 + 0.134145 * u * u);
        }
        case ACTIVATION_SOFTPLUS: { slope = sigmoid(v); }
        case ACTIVATION_MISH: { slope = mish_slope(v); }
        case ACTIVATION_SQUARE: { slope = 2.0 * v; }
        case ACTIVATION_SQRT: {
            let is_above = v > zero;
            slope = select(zero, 0.5 / sqrt(select(one, v, is_above)), is_above);
        }
        case ACTIVATION_RECIPROCAL: {
            let is_zero = v == zero;
            let inverse = 1.0 / select(v, one, is_zero);
            slope = select(-inverse * inverse, zero, is_zero);
        }
        case ACTIVATION_ABS: { slope = sign(v); }
        case ACTIVATION_EXP: { slope = exp_of(v); }
        case ACTIVATION_LOG: {
            let is_above = v > zero;
            slope = select(zero, 1.0 / select(one, v, is_above), is_above);
        }
        case ACTIVATION_POWER: {
            let is_above = v > zero;
            let power = p.b * pow(select(one, v, is_above), vec4<f32>(p.b - 1.0));
            let of_power = select(zero, power, is_above);
            slope = select(zero, select(of_power, one, vec4<bool>(p.b == 1.0)), v > vec4<f32>(p.a));
        }
        default: {}
    }
    dx[at] = dy[at] * slope;
}
