// Max-pool, and where each maximum was.
//
//   y[n, b, r, c] = max over taps of x[n, b, r * stride - pad + kr, c * stride - pad + kc], per channel
//   argmax: the tap's number kr * taps_w + kc, one byte a channel, first channel lowest.
// A tap outside x does not count; of equal values the first in row order wins. So it does of those that are equal but for
// rounding, as far as repeats.wgsl tells: a tap whose bit is set holds what an earlier one holds, and never wins.
//
// x: N x blocks x in_h x in_w, y: N x blocks x out_h x out_w, four channels an element; argmax: as y, one u32 each;
// where `known`, with the bits of repeats.wgsl before.
// An invocation makes one element of y. CPU twin: max_pool in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * out_h * out_w
    in_h: i32,
    in_w: i32,
    out_h: u32,
    out_w: u32,
    taps_h: i32,
    taps_w: i32,
    stride_h: i32,
    stride_w: i32,
    pad_h: i32,
    pad_w: i32,
    known: u32, // whether argmax holds repeated taps
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

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
    let plane = at / (p.out_h * p.out_w);
    let in_plane = plane * u32(p.in_h * p.in_w);
    let first_row = i32(at / p.out_w % p.out_h) * p.stride_h - p.pad_h;
    let first_col = i32(at % p.out_w) * p.stride_w - p.pad_w;
    let repeated = select(0u, argmax[at], p.known != 0u);
    var best = vec4<f32>();
    var best_tap = vec4<u32>();
    var found = false;
    for (var kr = 0; kr < p.taps_h; kr++) {
        let row = first_row + kr;
        if row < 0 || row >= p.in_h {
            continue;
        }
        for (var kc = 0; kc < p.taps_w; kc++) {
            let col = first_col + kc;
            if col < 0 || col >= p.in_w {
                continue;
            }
            let value = x[in_plane + u32(row * p.in_w + col)];
            let tap = u32(kr * p.taps_w + kc);
            let better = (value > best) | vec4<bool>(!found);
            // A repeat's rounding may make the value, as without one, but not the place.
            let first = vec4<bool>((repeated >> (tap & 31u) & 1u) == 0u);
            best = select(best, value, better);
            best_tap = select(best_tap, vec4<u32>(tap), better & first);
            found = true;
        }
    }
    y[at] = best;
    argmax[at] = best_tap.x | best_tap.y << 8u | best_tap.z << 16u | best_tap.w << 24u;
}
