// Average pool.
//
//   y[n, b, r, c] = sum over taps inside x of x[n, b, r * stride - pad + kr, c * stride - pad + kc] / places, per channel
//   places: the taps inside x, or all of the window's where padding counts
//
// x: N x blocks x in_h x in_w, y: N x blocks x out_h x out_w, four channels an element.
// A window that lies in the padding altogether gives zero. An invocation makes one element of y.
// CPU twin: avg_pool in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * out_h * out_w
    in_h: i32,
    in_w: i32,
    out_h: i32,
    out_w: i32,
    taps_h: i32,
    taps_w: i32,
    stride_h: i32,
    stride_w: i32,
    pad_h: i32,
    pad_w: i32,
    count_include_pad: u32,
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
    let plane = at / u32(p.out_h * p.out_w) * u32(p.in_h * p.in_w);
    let top = i32(at) / p.out_w % p.out_h * p.stride_h - p.pad_h;
    let left = i32(at) % p.out_w * p.stride_w - p.pad_w;
    let first_r = max(top, 0);
    let first_c = max(left, 0);
    let end_r = min(top + p.taps_h, p.in_h);
    let end_c = min(left + p.taps_w, p.in_w);
    var sum = vec4<f32>();
    for (var r = first_r; r < end_r; r++) {
        for (var c = first_c; c < end_c; c++) {
            sum += x[plane + u32(r * p.in_w + c)];
        }
    }
    let inside = max(end_r - first_r, 0) * max(end_c - first_c, 0);
    let places = select(max(inside, 1), p.taps_h * p.taps_w, p.count_include_pad != 0u);
    y[at] = sum / f32(places);
}
