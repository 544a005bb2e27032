// The input gradient of group_norm.wgsl.
//
//   dx[n, c, i] = f (g[c, i] - mean of g - h[c, i] * mean of g h)
//   f = 1 / sqrt(v + epsilon), h[c, i] = f (x[c, i] - m), g[c, i] = scale[c] dy[n, c, i], means over the channels of c's group and
//   all positions
//
// dy, dx: N x blocks x positions, four channels an element; x: one image's (blocks x positions) for `sharing` n; scale: blocks.
// All as single values, since the channels of an element may belong to several groups.
// A workgroup makes one group of one gradient; that of the last group also the zeros of channels that there are not.
// CPU twin: group_norm_backward in tests/common/twins.rs.

const LANES: u32 = 64u;

struct Params {
    count: u32, // groups of all gradients: N * groups
    groups: u32,
    blocks: u32,
    positions: u32,
    channels: u32, // a multiple of groups
    epsilon: f32,
    sharing: u32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

var<workgroup> sums: array<f32, LANES>;

// The sum of all lanes' values, for all of them.
fn sum_over_lanes(own: f32, lane: u32) -> f32 {
    // Some may still be reading the sum before.
    workgroupBarrier();
    sums[lane] = own;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    return sums[0];
}

fn place(image: u32, channel: u32, position: u32) -> u32 {
    return ((image * p.blocks + channel / 4u) * p.positions + position) * 4u + channel % 4u;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = group.y * groups.x + group.x;
    if at >= p.count {
        return;
    }
    let n = at / p.groups;
    let image = n / p.sharing;
    let size = p.channels / p.groups;
    let first = at % p.groups * size;
    let values = size * p.positions;
    var sum = 0.0;
    for (var i = lane; i < values; i += LANES) {
        sum += x[place(image, first + i / p.positions, i % p.positions)];
    }
    let mean = sum_over_lanes(sum, lane) / f32(values);
    var squares = 0.0;
    for (var i = lane; i < values; i += LANES) {
        let centred = x[place(image, first + i / p.positions, i % p.positions)] - mean;
        squares += centred * centred;
    }
    let factor = inverseSqrt(sum_over_lanes(squares, lane) / f32(values) + p.epsilon);
    var of_g = 0.0;
    var of_gh = 0.0;
    for (var i = lane; i < values; i += LANES) {
        let c = first + i / p.positions;
        let position = i % p.positions;
        let g = scale[c] * dy[place(n, c, position)];
        of_g += g;
        of_gh += g * ((x[place(image, c, position)] - mean) * factor);
    }
    let mean_g = sum_over_lanes(of_g, lane) / f32(values);
    let mean_gh = sum_over_lanes(of_gh, lane) / f32(values);
    for (var i = lane; i < values; i += LANES) {
        let c = first + i / p.positions;
        let position = i % p.positions;
        let here = place(n, c, position);
        let h = (x[place(image, c, position)] - mean) * factor;
        dx[here] = factor * (scale[c] * dy[here] - mean_g - h * mean_gh);
    }
    if first + size == p.channels {
        let absent = (p.blocks * 4u - p.channels) * p.positions;
        for (var i = lane; i < absent; i += LANES) {
            dx[place(n, p.channels + i / p.positions, i % p.positions)] = 0.0;
        }
    }
}
