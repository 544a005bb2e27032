// A scale and a shift a channel; with the scale alone its own input gradient.
//
//   y[n, b, i] = end(scale[b] * x[n, b, i] + (shifted: shift[b], else 0)), per channel
//
// x, y: N x blocks x positions, four channels an element; scale, shift: blocks. end: the ReLU after it where epilogue is BIAS_RELU.
// An invocation makes one element of y. CPU twin: affine in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * positions
    blocks: u32,
    positions: u32,
    shifted: u32,
    epilogue: u32,
}

const EPILOGUE_BIAS_RELU: u32 = 2u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> shift: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 64u + lane;
    if at >= p.count {
        return;
    }
    let block = at / p.positions % p.blocks;
    var value = scale[block] * x[at];
    if p.shifted != 0u {
        value += shift[block];
    }
    if p.epilogue == EPILOGUE_BIAS_RELU {
        value = max(value, vec4<f32>());
    }
    y[at] = value;
}
