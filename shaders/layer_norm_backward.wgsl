// The input gradient of layer_norm.wgsl.
//
//   dx[n, c, i] = f (g[c] - mean of g - h[c] * mean of g h)
//   f = 1 / sqrt(v + epsilon), h[c] = f (x[c, i] - m), g[c] = scale[c] dy[n, c, i], means over the channels of the position
//
// dy, dx: N x blocks x positions, four channels an element; x: one image's (blocks x positions) for `sharing` n; scale: blocks,
// zero for channels that there are not. An invocation makes all channels of one position.
// CPU twin: layer_norm_backward in tests/common/twins.rs.

struct Params {
    count: u32, // positions of all gradients: N * positions
    blocks: u32,
    positions: u32,
    channels: u32,
    epsilon: f32,
    sharing: u32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

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
    let n = at / p.positions;
    let position = at - n * p.positions;
    let first = n * p.blocks * p.positions + position;
    let kept = n / p.sharing * p.blocks * p.positions + position;
    let channels = f32(p.channels);
    var sum = 0.0;
    for (var b = 0u; b < p.blocks; b++) {
        sum += dot(x[kept + b * p.positions], present(b));
    }
    let mean = sum / channels;
    var squares = 0.0;
    for (var b = 0u; b < p.blocks; b++) {
        let centred = (x[kept + b * p.positions] - mean) * present(b);
        squares += dot(centred, centred);
    }
    let factor = inverseSqrt(squares / channels + p.epsilon);
    var of_g = 0.0;
    var of_gh = 0.0;
    for (var b = 0u; b < p.blocks; b++) {
        let g = scale[b] * dy[first + b * p.positions] * present(b);
        of_g += dot(g, vec4<f32>(1.0));
        of_gh += dot(g, (x[kept + b * p.positions] - mean) * factor);
    }
    for (var b = 0u; b < p.blocks; b++) {
        let g = scale[b] * dy[first + b * p.positions];
        let h = (x[kept + b * p.positions] - mean) * factor;
        dx[first + b * p.positions] = factor * (g - of_g / channels - h * (of_gh / channels));
    }
}
