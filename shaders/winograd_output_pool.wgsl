// Winograd F(4x4, 3x3), last of three stages where a ReLU and a 2 x 2 max-pool of stride 2 follow and nobody else reads
// what goes into the pool: four maxima of each tile and where they were, from its 36 products.
//
//   y[t] = max over taps of max(A^T m[t] A + bias, 0)        A: winograd_output.wgsl
//   argmax: the tap's number, 0 to 3 row by row, one byte a channel, first channel lowest; of equal values the first wins.
//   Of values that are equal but for rounding, which differs from place to place in a tile, repeats.wgsl tells: a tap whose bit
//   is set holds what an earlier one holds, and never wins.
//
// m: [position][m_blocks][stride], each element four channels, from
// winograd_product_subgroup.wgsl. bias: blocks. y: N x blocks x h x w, each element four channels (NC4HW4), h and w of the
// pool; windows past them are not written. argmax: as y, one u32 each; where `known`, with the bits of repeats.wgsl before.
// tiles: where `listed`, how many there are, and the tiles made, counted through all images.
// An invocation makes one tile of one block. CPU twin: max_pool of conv2d in tests/common/twins.rs.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32,   // tiles in a row of an image
    image_tiles: i32, // tiles of an image
    first: i32,       // the first tile made, counted through all images or in the list
    end: i32,         // the one after the last
    stride: i32,
    m_blocks: i32,
    listed: u32,
    known: u32,       // whether argmax holds repeated taps
}

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

// Invocations of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tiles: array<i32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> argmax: array<u32>;

fn transform(
    m0: vec4<f32>,
    m1: vec4<f32>,
    m2: vec4<f32>,
    m3: vec4<f32>,
    m4: vec4<f32>,
    m5: vec4<f32>,
) -> mat4x4<f32> {
    let even_a = m1 + m2;
    let odd_a = A * (m1 - m2);
    let even_b = m4 + m3;
    let odd_b = B * (m4 - m3);
    return mat4x4<f32>(
        m0 + (even_a + even_b),
        odd_a + odd_b,
        0.5 * even_a + 2.0 * even_b,
        (0.5 * odd_a + 2.0 * odd_b) + m5,
    );
}

// Six products of a row of the tile, transformed.
fn row(at: i32, step: i32) -> mat4x4<f32> {
    return transform(
        m[at],
        m[at + step],
        m[at + 2 * step],
        m[at + 3 * step],
        m[at + 4 * step],
        m[at + 5 * step],
    );
}

// The maximum of a window, and its tap.
fn pool(at: i32, b: vec4<f32>, x0: vec4<f32>, x1: vec4<f32>, x2: vec4<f32>, x3: vec4<f32>) {
    let repeated = select(0u, argmax[at], p.known != 0u);
    var best = max(x0 + b, vec4<f32>());
    var tap = vec4<u32>();
    let v1 = x1 + b;
    tap = select(tap, vec4<u32>(1u), (v1 > best) & vec4<bool>((repeated & 2u) == 0u));
    best = max(best, v1);
    let v2 = x2 + b;
    tap = select(tap, vec4<u32>(2u), (v2 > best) & vec4<bool>((repeated & 4u) == 0u));
    best = max(best, v2);
    let v3 = x3 + b;
    tap = select(tap, vec4<u32>(3u), (v3 > best) & vec4<bool>((repeated & 8u) == 0u));
    best = max(best, v3);
    y[at] = best;
    argmax[at] = tap.x | tap.y << 8u | tap.z << 16u | tap.w << 24u;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let place_of_tile = i32(group.x) * i32(SUBGROUP) + i32(local.x);
    let index = p.first + place_of_tile;
    // By selection: behind a branch the driver makes the rest of the kernel twice as slow.
    let is_listed = p.listed != 0u;
    let tile = select(index, tiles[1 + index * i32(p.listed)], is_listed);
    let end = select(p.end, min(p.end, tiles[0]), is_listed);
    let inside = index < end;
    let block = i32(group.y);
    let step = p.m_blocks * p.stride;
    let at = block * p.stride + place_of_tile;
    let r0 = row(at, step);
    let r1 = row(at + 6 * step, step);
    let r2 = row(at + 12 * step, step);
    let r3 = row(at + 18 * step, step);
    let r4 = row(at + 24 * step, step);
    let r5 = row(at + 30 * step, step);
    let c0 = transform(r0[0], r1[0], r2[0], r3[0], r4[0], r5[0]);
    let c1 = transform(r0[1], r1[1], r2[1], r3[1], r4[1], r5[1]);
    let c2 = transform(r0[2], r1[2], r2[2], r3[2], r4[2], r5[2]);
    let c3 = transform(r0[3], r1[3], r2[3], r3[3], r4[3], r5[3]);

    let n = tile / p.image_tiles;
    let in_image = tile % p.image_tiles;
    let top = in_image / p.row_tiles * 2;
    let left = in_image % p.row_tiles * 2;
    let to = ((n * p.blocks + block) * p.h + top) * p.w + left;
    let b = bias[block];
    if inside && top < p.h && left < p.w {
        pool(to, b, c0[0], c1[0], c0[1], c1[1]);
    }
    if inside && top < p.h && left + 1 < p.w {
        pool(to + 1, b, c2[0], c3[0], c2[1], c3[1]);
    }
    if inside && top + 1 < p.h && left < p.w {
        pool(to + p.w, b, c0[2], c1[2], c0[3], c1[3]);
    }
    if inside && top + 1 < p.h && left + 1 < p.w {
        pool(to + p.w + 1, b, c2[2], c3[2], c2[3], c3[3]);
    }
}
