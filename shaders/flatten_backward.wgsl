// A vector back as a feature map: flatten.wgsl the other way round.
//
//   dx[n, channel, position] = dy[n, channel * channel_stride + position * position_stride]
//
// dx: N x blocks x positions, four channels an element, zero past the last channel; dy: N x row.
// An invocation makes one channel's value of dx. CPU twin: flatten_backward in tests/common/twins.rs.

struct Params {
    count: u32, // values of dx: N * blocks * positions * 4
    row: u32,
    channels: u32,
    blocks: u32,
    positions: u32,
    channel_stride: u32,
    position_stride: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

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
    let element = at / 4u;
    let position = element % p.positions;
    let channel = element / p.positions % p.blocks * 4u + at % 4u;
    let n = element / p.positions / p.blocks;
    if channel >= p.channels {
        dx[at] = 0.0;
        return;
    }
    dx[at] = dy[n * p.row + channel * p.channel_stride + position * p.position_stride];
}
