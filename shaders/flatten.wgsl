// A feature map as a vector, in the order in which the next layer's weights lie in their file.
//
//   y[n, channel * positions + position] = x[n, channel, position]     position_stride 1, channel_stride positions
//   y[n, position * channels + channel]  = x[n, channel, position]     position_stride channels, channel_stride 1
//
// x: N x blocks x positions, four channels an element; y: N x row, row = channels * positions rounded up to 4; the
// remainder is zero. An invocation makes one value of y. CPU twin: flatten in tests/common/twins.rs.

struct Params {
    count: u32, // values of y: N * row
    row: u32,
    channels: u32,
    blocks: u32,
    positions: u32,
    channel_stride: u32,
    position_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
    let i = at % p.row;
    if i >= p.channels * p.positions {
        y[at] = 0.0;
        return;
    }
    let channel = i / p.channel_stride % p.channels;
    let position = i / p.position_stride % p.positions;
    let plane = at / p.row * p.blocks + channel / 4u;
    y[at] = x[(plane * p.positions + position) * 4u + channel % 4u];
}
