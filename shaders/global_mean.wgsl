// Mean over all positions of a feature map.
//
//   y[n, b] = sum over positions of x[n, b, position] / positions
//
// x: N x blocks x positions, y: N x blocks, four channels an element. An invocation makes one element of y.
// CPU twin: global_mean in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks
    positions: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

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
    var sum = vec4<f32>();
    for (var i = 0u; i < p.positions; i++) {
        sum += x[at * p.positions + i];
    }
    y[at] = sum / f32(p.positions);
}
