// Winograd F(4x4, 3x3) and F(2x2, 3x3) in buffers, first of three stages: each 6 x 6 or 4 x 4 tile of the input at the six
// or four points, along rows and columns; for GPUs.
//
//   v[t] = B^T d[t] B        B^T of F(4x4): winograd_input.wgsl
//
//                            B^T of F(2x2) = | 1   0  -1   0 |   the points: winograd_filters_tiled.wgsl
//                                            | 0   1   1   0 |
//                                            | 0  -1   1   0 |
//                                            | 0  -1   0   1 |
//
// Tiles make 4 x 4 or 2 x 2 outputs each and overlap by two; d is zero outside x.
// x: N x blocks x h x w, each element four channels (NC4HW4).
// v: [position][blocks][tiles], the same four channels: tiles `first` and after it, row by row, counted through all images.
// Elements are read and written in halves, two channels each: an invocation makes all positions of one tile and half a block,
// neighbours read and write next to one another. What it holds at once fits half as many registers as whole elements would.
// CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32,   // tiles in a row of an image
    image_tiles: i32, // tiles of an image
    first: i32,       // the first tile made
    tiles: i32,       // how many
}

// Outputs along a side of a tile: 4 or 2.
override SIZE: i32;

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec2<f32>>;

// With SIZE 2 only the first four count.
struct Six {
    v0: vec2<f32>,
    v1: vec2<f32>,
    v2: vec2<f32>,
    v3: vec2<f32>,
    v4: vec2<f32>,
    v5: vec2<f32>,
}

fn transform(d: Six) -> Six {
    if SIZE == 2 {
        return Six(d.v0 - d.v2, d.v1 + d.v2, d.v2 - d.v1, d.v3 - d.v1, vec2<f32>(), vec2<f32>());
    }
    let even_a = 2.0 * d.v2 - d.v4;
    let odd_a = B * d.v1 - A * d.v3;
    let even_b = 0.5 * d.v4 - 0.25 * d.v2;
    let odd_b = A * d.v3 - (0.5 * A) * d.v1;
    return Six(
        (d.v0 + d.v4) - 2.5 * d.v2,
        even_a + odd_a,
        even_a - odd_a,
        even_b - odd_b,
        even_b + odd_b,
        (d.v1 + d.v5) - 2.5 * d.v3,
    );
}

fn load(half: i32, plane: i32, row: i32, column: i32) -> vec2<f32> {
    if row < 0 || row >= p.h || column < 0 || column >= p.w {
        return vec2<f32>();
    }
    return x[2 * (plane + row * p.w + column) + half];
}

// Inputs of a row, transformed; those that are not needed a compiler leaves out.
fn row(half: i32, plane: i32, r: i32, left: i32) -> Six {
    return transform(Six(
        load(half, plane, r, left),
        load(half, plane, r, left + 1),
        load(half, plane, r, left + 2),
        load(half, plane, r, left + 3),
        load(half, plane, r, left + 4),
        load(half, plane, r, left + 5),
    ));
}

// A column of the tile that is at `at` of each position.
fn store(at: i32, column: i32, values: Six) {
    let position = 2 * p.blocks * p.tiles;
    let first = at + column * position;
    let step = (SIZE + 2) * position;
    v[first] = values.v0;
    v[first + step] = values.v1;
    v[first + 2 * step] = values.v2;
    v[first + 3 * step] = values.v3;
    if SIZE == 4 {
        v[first + 4 * step] = values.v4;
        v[first + 5 * step] = values.v5;
    }
}

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = i32(id.x) / 2;
    let half = i32(id.x) % 2;
    let block = i32(id.y);
    if column >= p.tiles {
        return;
    }
    let tile = p.first + column;
    let n = tile / p.image_tiles;
    let in_image = tile - n * p.image_tiles;
    let tile_row = in_image / p.row_tiles;
    let top = tile_row * SIZE - 1;
    let left = (in_image - tile_row * p.row_tiles) * SIZE - 1;
    let plane = (n * p.blocks + block) * p.h * p.w;
    let r0 = row(half, plane, top, left);
    let r1 = row(half, plane, top + 1, left);
    let r2 = row(half, plane, top + 2, left);
    let r3 = row(half, plane, top + 3, left);
    let r4 = row(half, plane, top + 4, left);
    let r5 = row(half, plane, top + 5, left);
    let at = 2 * (block * p.tiles + column) + half;
    store(at, 0, transform(Six(r0.v0, r1.v0, r2.v0, r3.v0, r4.v0, r5.v0)));
    store(at, 1, transform(Six(r0.v1, r1.v1, r2.v1, r3.v1, r4.v1, r5.v1)));
    store(at, 2, transform(Six(r0.v2, r1.v2, r2.v2, r3.v2, r4.v2, r5.v2)));
    store(at, 3, transform(Six(r0.v3, r1.v3, r2.v3, r3.v3, r4.v3, r5.v3)));
    if SIZE == 4 {
        store(at, 4, transform(Six(r0.v4, r1.v4, r2.v4, r3.v4, r4.v4, r5.v4)));
        store(at, 5, transform(Six(r0.v5, r1.v5, r2.v5, r3.v5, r4.v5, r5.v5)));
    }
}
