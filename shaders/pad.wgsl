// Rows and columns added around a feature map, or cut off where their number is negative; its own input gradient with the numbers
// negated and zeros for `value`: what was added gives no gradient, what was cut off gets none.
//
//   y[n, b, r, c] = x[n, b, r - before_h, c - before_w], or value outside x
//
// x: N x blocks x in_h x in_w, y: N x blocks x out_h x out_w, four channels an element.
// An invocation makes one element of y. CPU twin: pad in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * out_h * out_w
    in_h: i32,
    in_w: i32,
    out_h: i32,
    out_w: i32,
    before_h: i32,
    before_w: i32,
    value: f32,
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
    let plane = at / u32(p.out_h * p.out_w);
    let position = i32(at % u32(p.out_h * p.out_w));
    let row = position / p.out_w - p.before_h;
    let col = position % p.out_w - p.before_w;
    if row < 0 || row >= p.in_h || col < 0 || col >= p.in_w {
        y[at] = vec4<f32>(p.value);
        return;
    }
    y[at] = x[plane * u32(p.in_h * p.in_w) + u32(row * p.in_w + col)];
}
