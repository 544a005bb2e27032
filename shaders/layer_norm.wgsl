// Normalisation over the channels of each position (ConvNeXt's LayerNorm).
//
//   y[n, c, i] = scale[c] (x[n, c, i] - m) / sqrt(v + epsilon) + shift[c]
//   m and v: mean and variance of x[n, :, i] over the channels, the variance divided by their number
//
// x, y: N x blocks x positions, four channels an element; scale, shift: blocks.
// An invocation makes all channels of one position. CPU twin: layer_norm in tests/common/twins.rs.

struct Params {
    count: u32, // positions of all images: N * positions
    blocks: u32,
    positions: u32,
    channels: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> shift: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Ones for the channels of a block that there are.
fn present(block: u32) -> vec4<f32> {
    let c = vec4<u32>(block * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
    return select(vec4<f32>(), vec4<f32>(1.0), c < vec4<u32>(p.channels));
}

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
    let first = at / p.positions * p.blocks * p.positions + at % p.positions;
    let channels = f32(p.channels);
    var sum = 0.0;
    for (var b = 0u; b < p.blocks; b++) {
        sum += dot(x[first + b * p.positions], present(b));
    }
    let mean = sum / channels;
    var squares = 0.0;
    for (var b = 0u; b < p.blocks; b++) {
        let centred = (x[first + b * p.positions] - mean) * present(b);
        squares += dot(centred, centred);
    }
    let factor = inverseSqrt(squares / channels + p.epsilon);
    for (var b = 0u; b < p.blocks; b++) {
        let place = first + b * p.positions;
        y[place] = scale[b] * ((x[place] - mean) * factor) + shift[b];
    }
}
