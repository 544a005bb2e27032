// The sum, the product or the larger one of two values, and what the ways back through them need of both.
//
//   ADD  y[n, b, i] = end(one[n, b, i] + other[n, b, i])
//   MUL  y[n, b, i] = end(one[n, b, i] * other[n, b, i])
//   MAX  y[n, b, i] = end(max(one[n, b, i], other[n, b, i]))
//   AT_LEAST, ABOVE  y[n, b, i] = 1 where one[n, b, i] is at least other[n, b, i], or above it, else 0: where the gradient of the
//        larger one goes, of equal ones to the first
//
// one, y: N x blocks x positions, four channels an element; other the same, or with one position for all of them where `spread` is
// set (squeeze and excite). Either may be there once for `sharing` n: activations for all gradients of an image, or what a rerun
// leaves as it is for all its images. end: the ReLU after it where epilogue is BIAS_RELU (there is no bias here).
// An invocation makes one element of y, a layer of workgroups those of one n. CPU twin: combine in tests/common/twins.rs.

struct Params {
    image: u32, // elements of an image: blocks * positions
    positions: u32,
    kind: u32,
    one_sharing: u32, // n of an image of `one`
    other_sharing: u32,
    spread: u32,
    epilogue: u32,
}

const COMBINE_MUL: u32 = 1u;
const COMBINE_MAX: u32 = 2u;
const COMBINE_AT_LEAST: u32 = 3u;
const COMBINE_ABOVE: u32 = 4u;
const EPILOGUE_BIAS_RELU: u32 = 2u;

// Whether one and other have a value for each n and position.
override EACH: bool;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> one: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

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
    var one_at = at;
    var other_at = at;
    if !EACH {
        one_at = image_of(n, p.one_sharing) * p.image + i;
        other_at = image_of(n, p.other_sharing) * p.image + i;
        other_at = select(other_at, over(other_at, p.positions), p.spread != 0u);
    }
    let a = one[one_at];
    let b = other[other_at];
    let zero = vec4<f32>();
    let one_each = zero + 1.0;
    var value = select(a + b, a * b, p.kind == COMBINE_MUL);
    value = select(value, max(a, b), p.kind == COMBINE_MAX);
    value = select(value, select(zero, one_each, a >= b), p.kind == COMBINE_AT_LEAST);
    value = select(value, select(zero, one_each, a > b), p.kind == COMBINE_ABOVE);
    y[at] = select(value, max(value, vec4<f32>()), p.epilogue == EPILOGUE_BIAS_RELU);
}
