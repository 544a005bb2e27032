// Winograd F(4x4, 3x3) and F(2x2, 3x3) in buffers, last of three stages where a ReLU and a 2 x 2 max-pool of stride 2 follow
// and nobody else reads what goes into the pool: four maxima of each tile or one, and where they were; for GPUs.
//
//   y[t] = max over taps of max(A^T m[t] A + bias, 0)        A^T: winograd_output.wgsl, winograd_output_tiled.wgsl
//   argmax: the tap's number, 0 to 3 row by row, one byte a channel, first channel lowest; of equal values the first wins.
//   Of values that are equal but for rounding, which differs from place to place in a tile, repeats.wgsl tells: a tap whose bit
//   is set holds what an earlier one holds, and never wins.
//
// m: [position][blocks][tiles], each element four channels, from winograd_product_tiled.wgsl: tiles `first` and after it,
// counted through all images. bias: blocks. y: N x blocks x h x w, each element four channels (NC4HW4), h and w of the pool;
// windows past them are not written. argmax: as y, one u32 each; where `known`, with the bits of repeats.wgsl before.
// Elements are read and written in halves, two channels each: an invocation makes one tile of half a block, neighbours read
// next to one another and write the next columns of y. What it holds at once fits half as many registers as whole elements would.
// The two halves' taps meet in workgroup memory, as a word of argmax has both.
// CPU twin: max_pool of conv2d in tests/common/twins.rs.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32,   // tiles in a row of an image
    image_tiles: i32, // tiles of an image
    first: i32,       // the first tile made
    tiles: i32,       // how many
    known: u32,       // whether argmax holds repeated taps
}

// Outputs along a side of a tile: 4 or 2.
override SIZE: i32;

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec2<f32>>;
@group(0) @binding(4) var<storage, read_write> argmax: array<u32>;

// With SIZE 2 the first four products give the first two columns.
fn transform(
    m0: vec2<f32>,
    m1: vec2<f32>,
    m2: vec2<f32>,
    m3: vec2<f32>,
    m4: vec2<f32>,
    m5: vec2<f32>,
) -> mat4x2<f32> {
    if SIZE == 2 {
        return mat4x2<f32>(m0 + (m1 + m2), (m1 - m2) + m3, vec2<f32>(), vec2<f32>());
    }
    let even_a = m1 + m2;
    let odd_a = A * (m1 - m2);
    let even_b = m4 + m3;
    let odd_b = B * (m4 - m3);
    return mat4x2<f32>(
        m0 + (even_a + even_b),
        odd_a + odd_b,
        0.5 * even_a + 2.0 * even_b,
        (0.5 * odd_a + 2.0 * odd_b) + m5,
    );
}

// The product at one position of the tile that is at `at` of each.
fn product(at: i32, row: i32, column: i32) -> vec2<f32> {
    if max(row, column) >= SIZE + 2 {
        return vec2<f32>();
    }
    return m[at + (row * (SIZE + 2) + column) * 2 * p.blocks * p.tiles];
}

// Products of a row of the tile, transformed.
fn row(at: i32, r: i32) -> mat4x2<f32> {
    return transform(
        product(at, r, 0),
        product(at, r, 1),
        product(at, r, 2),
        product(at, r, 3),
        product(at, r, 4),
        product(at, r, 5),
    );
}

// Taps of the tile's windows as an invocation finds them, a byte a channel in the lower half of a word.
var<workgroup> taps: array<array<u32, 4>, 128>;

// Where the tile's windows go.
struct Place {
    n: i32,
    block: i32,
    half: i32,
    top: i32,
    left: i32,
}

// The element of y and argmax of the window `row` down and `column` right of the tile's first; -1 where there is none. With SIZE 2
// there is one window.
fn window(to: Place, row: i32, column: i32) -> i32 {
    if 2 * max(row, column) >= SIZE || to.top + row >= p.h || to.left + column >= p.w {
        return -1;
    }
    return ((to.n * p.blocks + to.block) * p.h + to.top + row) * p.w + to.left + column;
}

// Writes the maximum of a window, and returns its tap.
fn pool(to: Place, row: i32, column: i32, x0: vec2<f32>, x1: vec2<f32>, x2: vec2<f32>, x3: vec2<f32>) -> u32 {
    let at = window(to, row, column);
    if at < 0 {
        return 0u;
    }
    let repeated = select(0u, argmax[at], p.known != 0u);
    let b = bias[2 * to.block + to.half];
    var best = max(x0 + b, vec2<f32>());
    var tap = vec2<u32>();
    let v1 = x1 + b;
    tap = select(tap, vec2<u32>(1u), (v1 > best) & vec2<bool>((repeated & 2u) == 0u));
    best = max(best, v1);
    let v2 = x2 + b;
    tap = select(tap, vec2<u32>(2u), (v2 > best) & vec2<bool>((repeated & 4u) == 0u));
    best = max(best, v2);
    let v3 = x3 + b;
    tap = select(tap, vec2<u32>(3u), (v3 > best) & vec2<bool>((repeated & 8u) == 0u));
    best = max(best, v3);
    y[2 * at + to.half] = best;
    return tap.x | tap.y << 8u;
}

// Writes where the maximum of a window was, from what both halves' invocations found; `lane` is the first of them.
fn store_taps(to: Place, row: i32, column: i32, lane: u32) {
    let at = window(to, row, column);
    if at >= 0 {
        let window = u32(2 * row + column);
        argmax[at] = taps[lane][window] | taps[lane + 1u][window] << 16u;
    }
}

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let column = i32(id.x) / 2;
    let half = i32(id.x) % 2;
    let block = i32(id.y);
    let tile = p.first + column;
    let n = tile / p.image_tiles;
    let in_image = tile - n * p.image_tiles;
    let tile_row = in_image / p.row_tiles;
    let left = (in_image - tile_row * p.row_tiles) * (SIZE / 2);
    let to = Place(n, block, half, tile_row * (SIZE / 2), left);
    let is_there = column < p.tiles;
    if is_there {
        let at = 2 * (block * p.tiles + column) + half;
        let r0 = row(at, 0);
        let r1 = row(at, 1);
        let r2 = row(at, 2);
        let r3 = row(at, 3);
        let r4 = row(at, 4);
        let r5 = row(at, 5);
        let c0 = transform(r0[0], r1[0], r2[0], r3[0], r4[0], r5[0]);
        let c1 = transform(r0[1], r1[1], r2[1], r3[1], r4[1], r5[1]);
        let c2 = transform(r0[2], r1[2], r2[2], r3[2], r4[2], r5[2]);
        let c3 = transform(r0[3], r1[3], r2[3], r3[3], r4[3], r5[3]);
        taps[lane][0] = pool(to, 0, 0, c0[0], c1[0], c0[1], c1[1]);
        taps[lane][1] = pool(to, 0, 1, c2[0], c3[0], c2[1], c3[1]);
        taps[lane][2] = pool(to, 1, 0, c0[2], c1[2], c0[3], c1[3]);
        taps[lane][3] = pool(to, 1, 1, c2[2], c3[2], c2[3], c3[3]);
    }
    // Both halves have read what argmax held before either writes to it: the upper windows the first, the lower the second.
    workgroupBarrier();
    storageBarrier();
    if is_there {
        let pair = lane / 2u * 2u;
        store_taps(to, half, 0, pair);
        store_taps(to, half, 1, pair);
    }
}
