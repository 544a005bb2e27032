// Rows as columns and columns as rows; its own gradient, with the lengths exchanged.
//
//   y[n, b, j, i] = x[n, b, i, j]
//
// x: N x blocks x rows x columns; y: N x blocks x columns x rows, four channels an element.
// An invocation makes one element of y. CPU twin: transpose in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * positions
    rows: u32, // of x
    columns: u32,
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
    let line = at / p.rows;
    let plane = line / p.columns;
    y[at] = x[(plane * p.rows + at % p.rows) * p.columns + line % p.columns];
}
