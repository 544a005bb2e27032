// Average pool backward: each gradient in equal parts to the places that its window averages.
//
//   dx[n, b, r, c] = sum of dy[n, b, R, C] / places[R, C] over the windows (R, C) that cover (r, c), per channel
//   places: as in avg_pool.wgsl
//
// dx: N x blocks x in_h x in_w, dy: N x blocks x out_h x out_w, four channels an element.
// An invocation gathers one element of dx, so that overlapping windows need no atomics.
// CPU twin: avg_pool_backward in tests/common/twins.rs.

struct Params {
    count: u32, // elements of dx: N * blocks * in_h * in_w
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
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

// Places of a window along one axis that are inside x.
fn inside(start: i32, taps: i32, length: i32) -> i32 {
    return min(start + taps, length) - max(start, 0);
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
    let plane = at / u32(p.in_h * p.in_w) * u32(p.out_h * p.out_w);
    let row = i32(at) / p.in_w % p.in_h + p.pad_h;
    let col = i32(at) % p.in_w + p.pad_w;
    // Windows that cover the element: floor((row - taps) / stride) + 1 up to floor(row / stride).
    let last_r = min(row / p.stride_h, p.out_h - 1);
    let last_c = min(col / p.stride_w, p.out_w - 1);
    let first_r = max((row - p.taps_h + p.stride_h) / p.stride_h, 0);
    let first_c = max((col - p.taps_w + p.stride_w) / p.stride_w, 0);
    var sum = vec4<f32>();
    for (var r = first_r; r <= last_r; r++) {
        for (var c = first_c; c <= last_c; c++) {
            var places = p.taps_h * p.taps_w;
            if p.count_include_pad == 0u {
                places = inside(r * p.stride_h - p.pad_h, p.taps_h, p.in_h)
                    * inside(c * p.stride_w - p.pad_w, p.taps_w, p.in_w);
            }
            sum += dy[plane + u32(r * p.out_w + c)] / f32(places);
        }
    }
    dx[at] = sum;
}
