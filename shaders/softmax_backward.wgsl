// The input gradient of softmax.wgsl.
//
//   dx[n, e] = y[e] (dy[n, e] - sum over k of dy[n, k] y[k]), e and k over the values of a row
//
// Rows as there. dy, dx: N x blocks x positions, four channels an element; y: one image's (blocks x positions) for `sharing` n. All
// as single values, since the channels of an element may belong to several rows.
// A workgroup makes one row of one gradient; that of the first row also the zeros of channels that there are not.
// CPU twin: softmax_backward in tests/common/twins.rs.

const LANES: u32 = 64u;

struct Params {
    count: u32, // rows of all gradients: N * rows
    rows: u32,
    blocks: u32,
    positions: u32,
    channels: u32,
    length: u32, // values of a row
    apart: u32,
    sharing: u32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

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

// Where value `e` of a row is.
fn value(image: u32, row: u32, e: u32) -> u32 {
    if p.apart == 0u {
        return place(image, row, e);
    }
    let channel = row / p.positions;
    let first = channel / p.apart * p.apart * p.length + channel % p.apart;
    return place(image, first + e * p.apart, row % p.positions);
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
    let n = at / p.rows;
    let image = n / p.sharing;
    let row = at % p.rows;
    var sum = 0.0;
    for (var e = lane; e < p.length; e += LANES) {
        sum += dy[value(n, row, e)] * y[value(image, row, e)];
    }
    let all = sum_over_lanes(sum, lane);
    for (var e = lane; e < p.length; e += LANES) {
        let here = value(n, row, e);
        dx[here] = y[value(image, row, e)] * (dy[here] - all);
    }
    if row == 0u {
        let absent = (p.blocks * 4u - p.channels) * p.positions;
        for (var i = lane; i < absent; i += LANES) {
            dx[place(n, p.channels + i / p.positions, i % p.positions)] = 0.0;
        }
    }
}
