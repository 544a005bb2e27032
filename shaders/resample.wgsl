// Rows and columns that are made of a few of the input's each: another size, places around a map that repeat it.
//
//   y[n, b, r, c] = sum over the taps (row, u) of r and (column, v) of c of u v x[n, b, row, column]
//
// x: N x blocks x in_h x in_w, y: N x blocks x out_h x out_w, four channels an element.
// taps: for each row of y, then each column, (first tap, number of taps, -, -); then for each tap (place, weight, -, -). Whole
// numbers below 2^24, which float32 holds. Its own input gradient with the taps turned round.
// An invocation makes one element of y. CPU twin: resample in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * out_h * out_w
    in_h: i32,
    in_w: i32,
    out_h: i32,
    out_w: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> taps: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

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
    let places = u32(p.out_h * p.out_w);
    let plane = at / places * u32(p.in_h * p.in_w);
    let position = at % places;
    let rows = taps[position / u32(p.out_w)];
    let columns = taps[u32(p.out_h) + position % u32(p.out_w)];
    var sum = vec4<f32>();
    for (var i = 0u; i < u32(rows.y); i++) {
        let row = taps[u32(rows.x) + i];
        let base = plane + u32(row.x) * u32(p.in_w);
        var across = vec4<f32>();
        for (var k = 0u; k < u32(columns.y); k++) {
            let column = taps[u32(columns.x) + k];
            across += column.y * x[base + u32(column.x)];
        }
        sum += row.y * across;
    }
    y[at] = sum;
}
