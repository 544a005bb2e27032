// Max-pool backward: each gradient goes to the element that was its window's maximum.
//
//   dx[n, b, r, c] = sum of dy[n, b, R, C] over the windows (R, C) whose argmax is (r, c), per channel
// argmax is one image's for `sharing` n (the classes of that image).
//
// dx: N x blocks x in_h x in_w, dy: N x blocks x out_h x out_w, four channels an element; argmax: blocks x out_h x out_w.
// An invocation gathers one element of dx, so that overlapping windows need no atomics.
// CPU twin: max_pool_backward in tests/common/twins.rs.

struct Params {
    count: i32, // elements of dx: N * blocks * in_h * in_w
    blocks: i32,
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
    sharing: i32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4<f32>>;

// `at` over `by`, rounded down, `by` above zero: this adapter divides whole numbers one invocation after the other. The quotient of the
// floats is at most one off.
fn over(at: i32, by: i32) -> i32 {
    let quotient = i32(f32(at) / f32(by));
    let rest = at - quotient * by;
    return quotient + select(0, 1, rest >= by) - select(0, 1, rest < 0);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = i32((group.y * groups.x + group.x) * 64u + lane);
    if at >= p.count {
        return;
    }
    let in_plane = p.in_h * p.in_w;
    let plane = over(at, in_plane);
    let out_plane = p.out_h * p.out_w;
    let n = over(plane, p.blocks);
    let image_plane = over(n, p.sharing) * p.blocks + plane - n * p.blocks;
    let in_row = over(at - plane * in_plane, p.in_w);
    let row = in_row + p.pad_h;
    let col = at - plane * in_plane - in_row * p.in_w + p.pad_w;
    // Windows that cover the element: floor((row - taps) / stride) + 1 up to floor(row / stride).
    let last_r = min(over(row, p.stride_h), p.out_h - 1);
    let last_c = min(over(col, p.stride_w), p.out_w - 1);
    let first_r = max(over(row - p.taps_h, p.stride_h) + 1, 0);
    let first_c = max(over(col - p.taps_w, p.stride_w) + 1, 0);
    var sum = vec4<f32>();
    for (var r = first_r; r <= last_r; r++) {
        for (var c = first_c; c <= last_c; c++) {
            let tap = u32((row - r * p.stride_h) * p.taps_w + col - c * p.stride_w);
            let here = r * p.out_w + c;
            let packed = argmax[image_plane * out_plane + here];
            let winner = vec4<u32>(packed, packed >> 8u, packed >> 16u, packed >> 24u) & vec4<u32>(255u);
            sum += select(vec4<f32>(), dy[plane * out_plane + here], winner == vec4<u32>(tap));
        }
    }
    dx[at] = sum;
}
