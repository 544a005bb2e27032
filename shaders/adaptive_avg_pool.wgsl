// Adaptive average pool: so many outputs along each side, whatever the input has.
//
//   y[n, b, R, C] = mean over rows first(R)..end(R) and columns first(C)..end(C) of x[n, b, r, c], per channel
//   first(i) = floor(i * in / out), end(i) = ceil((i + 1) * in / out), as PyTorch has them: neighbours may share a row
//
// x: N x blocks x in_h x in_w, y: N x blocks x out_h x out_w, four channels an element. No bin is empty.
// An invocation makes one element of y.
// CPU twin: adaptive_avg_pool in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * out_h * out_w
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn first(i: u32, in: u32, out: u32) -> u32 {
    return i * in / out;
}

fn end(i: u32, in: u32, out: u32) -> u32 {
    return ((i + 1u) * in + out - 1u) / out;
}

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
    let plane = at / (p.out_h * p.out_w) * (p.in_h * p.in_w);
    let row = at / p.out_w % p.out_h;
    let col = at % p.out_w;
    let first_r = first(row, p.in_h, p.out_h);
    let first_c = first(col, p.in_w, p.out_w);
    let end_r = end(row, p.in_h, p.out_h);
    let end_c = end(col, p.in_w, p.out_w);
    var sum = vec4<f32>();
    for (var r = first_r; r < end_r; r++) {
        for (var c = first_c; c < end_c; c++) {
            sum += x[plane + r * p.in_w + c];
        }
    }
    y[at] = sum / f32((end_r - first_r) * (end_c - first_c));
}
