// A scale and a shift a channel; with the scale alone its own input gradient.
//
//   y[n, b, i] = end(scale[b] * x[n, b, i] + (SHIFTED: shift[b], else 0)), per channel
//
// x, y: N x blocks x positions, four channels an element; scale, shift: blocks. end: the ReLU after it where epilogue is BIAS_RELU.
// An invocation makes one element of y, a layer of workgroups those of one n. CPU twin: affine in tests/common/twins.rs.

struct Params {
    image: u32, // elements of an image: blocks * positions
    positions: u32,
    epilogue: u32,
}

const EPILOGUE_BIAS_RELU: u32 = 2u;

// Whether there is a shift: in a kernel without, none is read.
override SHIFTED: bool;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> shift: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

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
    let block = over(i, p.positions);
    var value = scale[block] * x[at];
    if SHIFTED {
        value += shift[block];
    }
    if p.epilogue == EPILOGUE_BIAS_RELU {
        value = max(value, vec4<f32>());
    }
    y[at] = value;
}
