// Normalisation over groups of channels with all their positions (GroupNorm; InstanceNorm has groups of one channel).
//
//   y[n, c, i] = scale[c] (x[n, c, i] - m) / sqrt(v + epsilon) + shift[c]
//   m and v: mean and variance of x[n, k, j] over the channels k of c's group and all positions j, the variance divided by their
//   number
//
// x, y: N x blocks x positions, four channels an element; scale, shift: blocks. All as single values, since the channels of an
// element may belong to several groups.
// A workgroup makes one group of one image; that of the last group also the zeros of channels that there are not.
// CPU twin: group_norm in tests/common/twins.rs.

const LANES: u32 = 64u;

struct Params {
    count: u32, // groups of all images: N * groups
    groups: u32,
    blocks: u32,
    positions: u32,
    channels: u32, // a multiple of groups
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
    let image = at / p.groups;
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
    for (var i = lane; i < values; i += LANES) {
        let c = first + i / p.positions;
        let here = place(image, c, i % p.positions);
        y[here] = scale[c] * ((x[here] - mean) * factor) + shift[c];
    }
    if first + size == p.channels {
        let absent = (p.blocks * 4u - p.channels) * p.positions;
        for (var i = lane; i < absent; i += LANES) {
            y[place(image, p.channels + i / p.positions, i % p.positions)] = 0.0;
        }
    }
}
