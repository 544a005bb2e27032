// Max-pool, and where each maximum was, for software adapters, which load from an image in a quarter of the time that it takes from a
// storage buffer.
//
//   y[n, b, r, c] = max over taps of x[n, b, r * stride - pad + kr, c * stride - pad + kc], per channel
//   argmax: the tap's number kr * taps_w + kc, one byte a channel, first channel lowest.
// A tap outside x does not count; of equal values the first in row order wins. So it does of those that are equal but for
// rounding, as far as repeats.wgsl tells: a tap whose bit is set holds what an earlier one holds, and never wins.
//
// x: an image of 4096 texels a row, a row of zeros, then N x blocks x in_h x in_w. y: N x blocks x out_h x out_w, four channels an
// element; argmax: as y, one u32 each; where `known`, with the bits of repeats.wgsl before.
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

const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> argmax: array<u32>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// `at` over `by`, rounded down, both below 2^31: software adapters divide whole numbers one invocation after the other, and have no
// instruction that makes floats of numbers without a sign. A quotient of floats is off by a little, that of what it leaves by one at
// most.
fn over(at: u32, by: u32) -> u32 {
    let whole = i32(by);
    let first = i32(f32(i32(at)) / f32(whole));
    let rest = i32(at) - first * whole;
    let more = i32(f32(rest) / f32(whole));
    let left = rest - more * whole;
    return u32(first + more + select(0, 1, left >= whole) - select(0, 1, left < 0));
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
    let line = over(at, p.out_w);
    let plane = over(line, p.out_h);
    let in_h = p.in_h;
    let in_w = p.in_w;
    let in_plane = IMAGE_ROW + i32(plane) * in_h * in_w;
    let first_row = i32(line - plane * p.out_h) * p.stride_h - p.pad_h;
    let first_col = i32(at - line * p.out_w) * p.stride_w - p.pad_w;
    var repeated = 0u;
    if p.known != 0u {
        repeated = argmax[at];
    }
    let taps_w = p.taps_w;
    let taps = p.taps_h * taps_w;
    var best = vec4<f32>();
    var best_tap = vec4<u32>();
    var found = false;
    var kr = 0;
    var kc = 0;
    for (var tap = 0; tap < taps; tap++) {
        let row = first_row + kr;
        let col = first_col + kc;
        let wraps = kc + 1 == taps_w;
        kr += select(0, 1, wraps);
        kc = select(kc + 1, 0, wraps);
        // Negative ones are large as u32. Without branches, both sides of which this adapter would run.
        let inside = (u32(row) < u32(in_h)) & (u32(col) < u32(in_w));
        let value = textureLoad(x, place(select(0, in_plane + row * in_w + col, inside)));
        let better = ((value > best) | vec4<bool>(!found)) & vec4<bool>(inside);
        // A repeat's rounding may make the value, as without one, but not the place.
        let first = vec4<bool>((repeated >> (u32(tap) & 31u) & 1u) == 0u);
        best = select(best, value, better);
        best_tap = select(best_tap, vec4<u32>(u32(tap)), better & first);
        found |= inside;
    }
    y[at] = best;
    argmax[at] = best_tap.x | best_tap.y << 8u | best_tap.z << 16u | best_tap.w << 24u;
}
