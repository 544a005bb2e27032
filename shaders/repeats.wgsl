// The taps of a max-pool's windows that hold what an earlier one of the window holds: of equal values the first wins, so that
// these never do, however a convolution before the pool rounded them.
//
//   bit kr * taps_w + kc of argmax[n, b, r, c], for all blocks b = the tap is like the one left of it, above it or to either
//   side above it, next to it or one further, of those that are in the window and in the map
//
// alike: N x in_h x in_w, one u32 each, of which four bits from `bit` on tell of the next position, the one below and those
// beside it, and four from `far` on of those twice as far (alike.wgsl); 32 where no window is so large.
// argmax: N x blocks x out_h x out_w, one u32 each, where the pool finds the bits before it writes.
// An invocation makes the bits of one window. CPU twin: max_pool in tests/common/twins.rs, as for alike.wgsl.

struct Params {
    count: u32, // windows: N * out_h * out_w
    blocks: i32,
    bit: u32,
    far: u32,
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
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> alike: array<u32>;
@group(0) @binding(2) var<storage, read_write> argmax: array<u32>;

// Bit `bit` of a position; 0 outside.
fn is_like(image: i32, row: i32, column: i32, bit: u32) -> u32 {
    if row < 0 || row >= p.in_h || column < 0 || column >= p.in_w {
        return 0u;
    }
    return alike[(image * p.in_h + row) * p.in_w + column] >> bit & 1u;
}

// Whether the tap at (row, column), (kr, kc) in its window, is like an earlier one so far away, told by bits from `bit` on.
fn repeated(image: i32, row: i32, column: i32, kr: i32, kc: i32, distance: i32, bit: u32) -> u32 {
    var found = 0u;
    if kc >= distance {
        found |= is_like(image, row, column - distance, bit);
    }
    if kr >= distance {
        found |= is_like(image, row - distance, column, bit + 1u);
    }
    if kr >= distance && kc >= distance {
        found |= is_like(image, row - distance, column - distance, bit + 2u);
    }
    if kr >= distance && kc + distance < p.taps_w {
        found |= is_like(image, row - distance, column + distance, bit + 3u);
    }
    return found;
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
    let image = i32(at) / (p.out_h * p.out_w);
    let top = i32(at) / p.out_w % p.out_h * p.stride_h - p.pad_h;
    let left = i32(at) % p.out_w * p.stride_w - p.pad_w;
    var bits = 0u;
    for (var kr = 0; kr < p.taps_h; kr++) {
        for (var kc = 0; kc < p.taps_w; kc++) {
            let row = top + kr;
            let column = left + kc;
            var like = repeated(image, row, column, kr, kc, 1, p.bit);
            if p.far < 32u {
                like |= repeated(image, row, column, kr, kc, 2, p.far);
            }
            bits |= like << u32(kr * p.taps_w + kc);
        }
    }
    let plane = p.out_h * p.out_w;
    for (var b = 0; b < p.blocks; b++) {
        argmax[(image * p.blocks + b) * plane + i32(at) % plane] = bits;
    }
}
