// Mean over all positions, backward: every position gets an equal share.
//
//   dx[n, b, position] = dy[n, b] / positions
//
// dx: N x blocks x positions, dy: N x blocks, four channels an element. An invocation makes one element of dx.
// CPU twin: global_mean_backward in tests/common/twins.rs.

struct Params {
    count: u32, // elements of dx: N * blocks * positions
    positions: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

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
    dx[at] = dy[at / p.positions] / f32(p.positions);
}
