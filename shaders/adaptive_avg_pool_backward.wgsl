// Adaptive average pool backward: each gradient in equal parts to the places of its bin.
//
//   dx[n, b, r, c] = sum of dy[n, b, R, C] / (rows(R) * columns(C)) over the bins (R, C) that hold (r, c), per channel
//   bins: as in adaptive_avg_pool.wgsl. Bin i holds place q where i * in < (q + 1) * out and q * out < (i + 1) * in
//
// dx: N x blocks x in_h x in_w, dy: N x blocks x out_h x out_w, four channels an element.
// An invocation gathers one element of dx, so that bins that share a place need no atomics.
// CPU twin: adaptive_avg_pool_backward in tests/common/twins.rs.

struct Params {
    count: u32, // elements of dx: N * blocks * in_h * in_w
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

fn up(a: u32, b: u32) -> u32 {
    return (a + b - 1u) / b;
}

fn length(i: u32, in: u32, out: u32) -> u32 {
    return up((i + 1u) * in, out) - i * in / out;
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
    let plane = at / (p.in_h * p.in_w) * (p.out_h * p.out_w);
    let row = at / p.in_w % p.in_h;
    let col = at % p.in_w;
    // The bins that hold the element: floor(q * out / in) up to ceil((q + 1) * out / in).
    let end_r = up((row + 1u) * p.out_h, p.in_h);
    let end_c = up((col + 1u) * p.out_w, p.in_w);
    var sum = vec4<f32>();
    for (var r = row * p.out_h / p.in_h; r < end_r; r++) {
        for (var c = col * p.out_w / p.in_w; c < end_c; c++) {
            let places = length(r, p.in_h, p.out_h) * length(c, p.in_w, p.out_w);
            sum += dy[plane + r * p.out_w + c] / f32(places);
        }
    }
    dx[at] = sum;
}
