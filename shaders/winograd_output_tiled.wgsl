// Winograd F(4x4, 3x3) and F(2x2, 3x3) in buffers, last of three stages: 4 x 4 or 2 x 2 outputs of each tile from its 36 or
// 16 products; for GPUs.
//
//   y[t] = end(A^T m[t] A)        A^T of F(4x4): winograd_output.wgsl
//
//                                 A^T of F(2x2) = | 1   1   1   0 |   the points: winograd_filters_tiled.wgsl
//                                                 | 0   1  -1   1 |
//
// m: [position][blocks][tiles], each element four channels, from winograd_product_tiled.wgsl: tiles `first` and after it,
// counted through all images. y: N x blocks x h x w, each element four channels (NC4HW4); outputs past its edges are not
// written. extra: by `epilogue`, the bias (blocks) or activations in y's shape, one image's for `sharing` n.
// Elements are read and written in halves, two channels each: an invocation makes one tile of half a block, neighbours read
// next to one another and write the next columns of y. What it holds at once fits half as many registers as whole elements would.
// CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32,   // tiles in a row of an image
    image_tiles: i32, // tiles of an image
    first: i32,       // the first tile made
    tiles: i32,       // how many
    epilogue: u32,
    sharing: i32, // n of an image
    low: f32, // bounds between which a mask passes
    high: f32,
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

// Outputs along a side of a tile: 4 or 2.
override SIZE: i32;

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read> extra: array<vec2<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec2<f32>>;

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

// Where a mask by such activations lets the gradient pass.
fn passes(act: vec2<f32>) -> vec2<bool> {
    return (act > vec2<f32>(p.low)) & (act < vec2<f32>(p.high));
}

fn end(value: vec2<f32>, block: i32, act: i32) -> vec2<f32> {
    let zero = vec2<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS: { return value + extra[block]; }
        case EPILOGUE_BIAS_RELU: { return max(value + extra[block], zero); }
        case EPILOGUE_MASK: { return select(zero, value, passes(extra[act])); }
        case EPILOGUE_MASK_GUIDED: { return select(zero, max(value, zero), passes(extra[act])); }
        case EPILOGUE_MASK_DECONV: { return max(value, zero); }
        default: { return value; }
    }
}

// Where the tile goes.
struct Place {
    n: i32,
    block: i32,
    half: i32,
    top: i32,
    left: i32,
}

fn store(to: Place, row: i32, column: i32, value: vec2<f32>) {
    if max(row, column) < SIZE && to.top + row < p.h && to.left + column < p.w {
        let at = 2 * ((to.block * p.h + to.top + row) * p.w + to.left + column) + to.half;
        let image = 2 * p.blocks * p.h * p.w;
        y[to.n * image + at] = end(value, 2 * to.block + to.half, to.n / p.sharing * image + at);
    }
}

fn store_column(to: Place, column: i32, values: mat4x2<f32>) {
    store(to, 0, column, values[0]);
    store(to, 1, column, values[1]);
    store(to, 2, column, values[2]);
    store(to, 3, column, values[3]);
}

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = i32(id.x) / 2;
    let half = i32(id.x) % 2;
    let block = i32(id.y);
    if column >= p.tiles {
        return;
    }
    let at = 2 * (block * p.tiles + column) + half;
    let r0 = row(at, 0);
    let r1 = row(at, 1);
    let r2 = row(at, 2);
    let r3 = row(at, 3);
    let r4 = row(at, 4);
    let r5 = row(at, 5);

    let tile = p.first + column;
    let n = tile / p.image_tiles;
    let in_image = tile - n * p.image_tiles;
    let tile_row = in_image / p.row_tiles;
    let left = (in_image - tile_row * p.row_tiles) * SIZE;
    let to = Place(n, block, half, tile_row * SIZE, left);
    store_column(to, 0, transform(r0[0], r1[0], r2[0], r3[0], r4[0], r5[0]));
    store_column(to, 1, transform(r0[1], r1[1], r2[1], r3[1], r4[1], r5[1]));
    store_column(to, 2, transform(r0[2], r1[2], r2[2], r3[2], r4[2], r5[2]));
    store_column(to, 3, transform(r0[3], r1[3], r2[3], r3[3], r4[3], r5[3]));
}
