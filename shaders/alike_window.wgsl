// Where the output of a layer of windows repeats itself, from where its input does: two outputs are equal, whatever the
// weights, where every tap of one window holds what the same tap of the other does.
//
//   y[n, r, c] = the bits that x has at all taps of window (r, c), as in alike.wgsl
// x has its bits for shifts.xy and y for shifts.zw, as many outputs apart. A tap outside is like one that is outside as well
// and unlike all others. A position is like none outside of y.
//
// x: N x in_h x in_w, y: N x out_h x out_w, one u32 each.
// An invocation makes one element of y. CPU twin: max_pool in tests/common/twins.rs, as for alike.wgsl.

struct Params {
    shifts: array<vec4<i32>, 8>, // rows and columns of x, then of y; zeros where y has none for it
    count: u32, // elements of y: N * out_h * out_w
    in_plane: i32, // in_h * in_w
    out_plane: i32,
    levels: u32, // shifts that count
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
    dilation_h: i32,
    dilation_w: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

// For each direction of a shift whether it leads from (row, column) out of a map of h x w.
fn leaves(row: i32, column: i32, shift: vec2<i32>, h: i32, w: i32) -> u32 {
    let rows = vec4<i32>(0, shift.x, shift.x, shift.x) + row;
    let columns = vec4<i32>(shift.y, 0, shift.y, -shift.y) + column;
    let outside = (rows < vec4<i32>()) | (rows >= vec4<i32>(h)) | (columns < vec4<i32>()) | (columns >= vec4<i32>(w));
    let each = select(vec4<u32>(), vec4<u32>(1u, 2u, 4u, 8u), outside);
    return each.x | each.y | each.z | each.w;
}

// The bits of a tap outside.
fn outside(row: i32, column: i32) -> u32 {
    var bits = 0u;
    for (var l = 0u; l < p.levels; l++) {
        bits |= leaves(row, column, p.shifts[l].xy, p.in_h, p.in_w) << (4u * l);
    }
    return bits;
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
    let image = i32(at) / p.out_plane;
    let out_row = i32(at) / p.out_w % p.out_h;
    let out_column = i32(at) % p.out_w;
    var bits = ~0u;
    for (var kr = 0; kr < p.taps_h; kr++) {
        let row = out_row * p.stride_h - p.pad_h + kr * p.dilation_h;
        for (var kc = 0; kc < p.taps_w; kc++) {
            let column = out_column * p.stride_w - p.pad_w + kc * p.dilation_w;
            if row >= 0 && row < p.in_h && column >= 0 && column < p.in_w {
                bits &= x[image * p.in_plane + row * p.in_w + column];
            } else {
                bits &= outside(row, column);
            }
        }
    }
    var kept = 0u;
    for (var l = 0u; l < p.levels; l++) {
        let shift = p.shifts[l].zw;
        let inside = ~leaves(out_row, out_column, shift, p.out_h, p.out_w) & 15u;
        kept |= select(0u, inside, shift.x > 0) << (4u * l);
    }
    y[at] = bits & kept;
}
