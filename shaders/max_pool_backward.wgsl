// Max-pool backward: each gradient goes to the element that was its window's maximum.
//
//   dx[n, b, r, c] = sum of dy[n, b, R, C] over the windows (R, C) whose argmax is (r, c), per channel
// argmax is one image's for `sharing` n (the classes of that image).
//
// dx: N x blocks x in_h x in_w, dy: N x blocks x out_h x out_w, four channels an element; argmax: blocks x out_h x out_w.
// An invocation gathers one element of dx, so that overlapping windows need no atomics.
// CPU twin: max_pool_backward in tests/common/twins.rs.

struct Params {
    count: u32, // elements of dx: N * blocks * in_h * in_w
    blocks: u32,
    in_h: u32,
    in_w: u32,
    out_h: i32,
    out_w: i32,
    taps_h: i32,
    taps_w: i32,
    stride_h: i32,
    stride_w: i32,
    pad_h: i32,
    pad_w: i32,
    sharing: u32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

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
    let plane = at / (p.in_h * p.in_w);
    let out_plane = u32(p.out_h * p.out_w);
    let image_plane = plane / p.blocks / p.sharing * p.blocks + plane % p.blocks;
    let row = i32(at / p.in_w % p.in_h) + p.pad_h;
    let col = i32(at % p.in_w) + p.pad_w;
    // Windows that cover the element: floor((row - taps) / stride) + 1 up to floor(row / stride).
    let last_r = min(row / p.stride_h, p.out_h - 1);
    let last_c = min(col / p.stride_w, p.out_w - 1);
    let first_r = max((row - p.taps_h + p.stride_h) / p.stride_h, 0);
    let first_c = max((col - p.taps_w + p.stride_w) / p.stride_w, 0);
    var sum = vec4<f32>();
    for (var r = first_r; r <= last_r; r++) {
        for (var c = first_c; c <= last_c; c++) {
            let tap = u32((row - r * p.stride_h) * p.taps_w + col - c * p.stride_w);
            let here = u32(r * p.out_w + c);
            let packed = argmax[image_plane * out_plane + here];
            let winner = vec4<u32>(packed, packed >> 8u, packed >> 16u, packed >> 24u) & vec4<u32>(255u);
            sum += select(vec4<f32>(), dy[plane * out_plane + here], winner == vec4<u32>(tap));
        }
    }
    dx[at] = sum;
}
