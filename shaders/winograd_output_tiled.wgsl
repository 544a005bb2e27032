// Winograd F(4x4, 3x3) in buffers, last of three stages: 4 x 4 outputs of each tile from its 36 products; for GPUs.
//
//   y[t] = end(A^T m[t] A)        A^T: winograd_output.wgsl
//
// m: [position][blocks][tiles], each element four channels, from winograd_product_tiled.wgsl: tiles `first` and after it,
// counted through all images. y: N x blocks x h x w, each element four channels (NC4HW4); outputs past its edges are not
// written. extra: by `epilogue`, the bias (blocks) or the activations of one image in y's shape, shared by all n.
// An invocation makes one tile of one block: neighbours read next to one another and write the next four columns of y.
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
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

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

fn end(value: vec4<f32>, block: i32, at: i32) -> vec4<f32> {
    let zero = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS: { return value + extra[block]; }
        case EPILOGUE_BIAS_RELU: { return max(value + extra[block], zero); }
        case EPILOGUE_MASK: { return select(zero, value, extra[at] > zero); }
        case EPILOGUE_MASK_GUIDED: { return select(zero, max(value, zero), extra[at] > zero); }
        case EPILOGUE_MASK_DECONV: { return max(value, zero); }
        default: { return value; }
    }
}

// Where the tile goes.
struct Place {
    n: i32,
    block: i32,
    top: i32,
}

fn store(to: Place, row: i32, column: i32, value: vec4<f32>) {
    if to.top + row < p.h && column < p.w {
        let at = (to.block * p.h + to.top + row) * p.w + column;
        y[to.n * p.blocks * p.h * p.w + at] = end(value, to.block, at);
    }
}

fn store_column(to: Place, column: i32, values: mat4x4<f32>) {
    store(to, 0, column, values[0]);
    store(to, 1, column, values[1]);
    store(to, 2, column, values[2]);
    store(to, 3, column, values[3]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = i32(id.x);
    let block = i32(id.y);
    if column >= p.tiles {
        return;
    }
    let step = p.blocks * p.tiles;
    let at = block * p.tiles + column;
    let r0 = row(at, step);
    let r1 = row(at + 6 * step, step);
    let r2 = row(at + 12 * step, step);
    let r3 = row(at + 18 * step, step);
    let r4 = row(at + 24 * step, step);
    let r5 = row(at + 30 * step, step);

    let tile = p.first + column;
    let n = tile / p.image_tiles;
    let in_image = tile - n * p.image_tiles;
    let tile_row = in_image / p.row_tiles;
    let left = (in_image - tile_row * p.row_tiles) * 4;
    let to = Place(n, block, tile_row * 4);
    store_column(to, left, transform(r0[0], r1[0], r2[0], r3[0], r4[0], r5[0]));
    store_column(to, left + 1, transform(r0[1], r1[1], r2[1], r3[1], r4[1], r5[1]));
    store_column(to, left + 2, transform(r0[2], r1[2], r2[2], r3[2], r4[2], r5[2]));
    store_column(to, left + 3, transform(r0[3], r1[3], r2[3], r3[3], r4[3], r5[3]));
}
