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
// An invocation makes all positions of one tile and block with SIZE 2, half of their columns with SIZE 4: neighbours read the
// next columns of x and write next to one another, and the other half's invocation reads the same meanwhile. All 36 would
// fill more than 128 registers. CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

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
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;

fn load(plane: i32, row: i32, column: i32) -> vec4<f32> {
    if row < 0 || row >= p.h || column < 0 || column >= p.w {
        return vec4<f32>();
    }
    return x[plane + row * p.w + column];
}

// A row of the tile, transformed: all its columns with SIZE 2; with SIZE 4 the first three counted from the left (side = 0) or the
// right (side = 1), where other points but the same sums stand.
fn row(plane: i32, r: i32, left: i32, side: i32) -> mat4x4<f32> {
    if SIZE == 2 {
        let d1 = load(plane, r, left + 1);
        let d2 = load(plane, r, left + 2);
        return mat4x4<f32>(load(plane, r, left) - d2, d1 + d2, d2 - d1, load(plane, r, left + 3) - d1);
    }
    let d0 = load(plane, r, left + side);
    let d1 = load(plane, r, left + side + 1);
    let d2 = load(plane, r, left + side + 2);
    let d3 = load(plane, r, left + side + 3);
    let d4 = load(plane, r, left + side + 4);
    let is_right = side != 0;
    let even = select(2.0, A, is_right) * d2 - select(1.0, 0.5 * A, is_right) * select(d4, d0, is_right);
    let odd = select(B, -0.25, is_right) * d1 - select(A, -0.5, is_right) * d3;
    return mat4x4<f32>((d0 + d4) - 2.5 * d2, even + odd, select(1.0, -1.0, is_right) * (even - odd), vec4<f32>());
}

// Writes a column of the tile whose first position is at `first`, from what the rows have there; with SIZE 2 of the first four.
fn store(
    first: i32,
    d0: vec4<f32>,
    d1: vec4<f32>,
    d2: vec4<f32>,
    d3: vec4<f32>,
    d4: vec4<f32>,
    d5: vec4<f32>,
) {
    let step = (SIZE + 2) * p.blocks * p.tiles;
    if SIZE == 2 {
        v[first] = d0 - d2;
        v[first + step] = d1 + d2;
        v[first + 2 * step] = d2 - d1;
        v[first + 3 * step] = d3 - d1;
        return;
    }
    let even_a = 2.0 * d2 - d4;
    let odd_a = B * d1 - A * d3;
    let even_b = 0.5 * d4 - 0.25 * d2;
    let odd_b = A * d3 - (0.5 * A) * d1;
    v[first] = (d0 + d4) - 2.5 * d2;
    v[first + step] = even_a + odd_a;
    v[first + 2 * step] = even_a - odd_a;
    v[first + 3 * step] = even_b - odd_b;
    v[first + 4 * step] = even_b + odd_b;
    v[first + 5 * step] = (d1 + d5) - 2.5 * d3;
}

@compute @workgroup_size(64, SIZE / 2)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let column = i32(group.x * 64u + local.x);
    let block = i32(group.y);
    let side = i32(local.y);
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
    let r0 = row(plane, top, left, side);
    let r1 = row(plane, top + 1, left, side);
    let r2 = row(plane, top + 2, left, side);
    let r3 = row(plane, top + 3, left, side);
    var r4: mat4x4<f32>;
    var r5: mat4x4<f32>;
    if SIZE == 4 {
        r4 = row(plane, top + 4, left, side);
        r5 = row(plane, top + 5, left, side);
    }
    let position = p.blocks * p.tiles;
    let first = block * p.tiles + column + side * 5 * position;
    let next = select(position, -position, side != 0);
    store(first, r0[0], r1[0], r2[0], r3[0], r4[0], r5[0]);
    store(first + next, r0[1], r1[1], r2[1], r3[1], r4[1], r5[1]);
    store(first + 2 * next, r0[2], r1[2], r2[2], r3[2], r4[2], r5[2]);
    if SIZE == 2 {
        store(first + 3 * next, r0[3], r1[3], r2[3], r3[3], r4[3], r5[3]);
    }
}
