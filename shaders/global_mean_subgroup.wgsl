// Mean over all positions of a feature map for software adapters whose subgroup is 4, 8 or 16 invocations.
//
//   y[n, b] = sum over positions of x[n, b, position] / positions
//
// x: N x blocks x positions, y: N x blocks, four channels an element. A workgroup is one subgroup and makes one element of y: its
// invocations stride over the positions, then add up. CPU twin: global_mean in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks
    positions: u32,
}

// Invocations of a subgroup, and of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(SUBGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let at = group.y * groups.x + group.x;
    if at >= p.count {
        return;
    }
    let positions = p.positions;
    var sum = vec4<f32>();
    for (var i = local.x; i < positions; i += SUBGROUP) {
        sum += x[at * positions + i];
    }
    let total = subgroupAdd(sum);
    if local.x == 0u {
        y[at] = total / f32(positions);
    }
}
