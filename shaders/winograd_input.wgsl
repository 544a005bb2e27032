// Winograd F(4x4, 3x3), first of three stages: each 6 x 6 tile of the input at the six points, along rows and columns.
//
//   v[t] = B^T d[t] B        B^T = | 1       0   -5/2      0    1    0 |   a = 1 / sqrt 2, b = sqrt 2
//                                  | 0       b    2       -a   -1    0 |
//                                  | 0      -b    2        a   -1    0 |
//                                  | 0     a/2   -1/4     -a  1/2    0 |
//                                  | 0    -a/2   -1/4      a  1/2    0 |
//                                  | 0       1    0     -5/2    0    1 |
//
// Tiles make 4 x 4 outputs each and overlap by two; d is zero outside x. The points: src/layout/winograd.rs.
// x: an image of 4096 texels a row, a row of zeros, then N x blocks x h x w texels of four channels.
// tiles: where `listed`, how many there are, and the tiles made, counted through all images.
// v: [position][blocks][stride], each element four channels: tiles from `first` on, row by row, filled up to `stride`.
// An invocation makes the 36 positions of one tile and block. CPU twin: conv2d in tests/common/twins.rs, which the stages
// together must equal.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32, // tiles in a row of an image
    first: i32,     // the first tile made, counted through all images or in the list
    end: i32,       // the one after the last
    stride: i32,
    listed: u32,
    // B^T: six coefficients a row, padded to eight.
    transform: array<vec4<f32>, 12>,
}

const ZERO: i32 = 0;
const IMAGE_ROW: i32 = 4096;
const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

// Invocations of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var<storage, read> tiles: array<i32>;
@group(0) @binding(3) var<storage, read_write> v: array<vec4<f32>>;

struct Six {
    v0: vec4<f32>,
    v1: vec4<f32>,
    v2: vec4<f32>,
    v3: vec4<f32>,
    v4: vec4<f32>,
    v5: vec4<f32>,
}

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

fn transform(d: Six) -> Six {
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

fn load(plane: i32, row: i32, column: i32) -> vec4<f32> {
    // Negative ones are large as u32; without branches, of which there would be a hundred.
    let inside = (u32(row) < u32(p.h)) & (u32(column) < u32(p.w));
    return textureLoad(x, place(select(ZERO, plane + row * p.w + column, inside)));
}

// Six inputs of a row.
fn row(plane: i32, r: i32, left: i32) -> Six {
    return Six(
        load(plane, r, left),
        load(plane, r, left + 1),
        load(plane, r, left + 2),
        load(plane, r, left + 3),
        load(plane, r, left + 4),
        load(plane, r, left + 5),
    );
}

// One element of the transform of a row: the coefficients of v0 to v3, and of v4 and v5.
fn element(d: Six, k: vec4<f32>, l: vec4<f32>) -> vec4<f32> {
    return (d.v0 * k.x + d.v1 * k.y) + (d.v2 * k.z + d.v3 * k.w) + (d.v4 * l.x + d.v5 * l.y);
}

fn store(at: i32, step: i32, column: Six) {
    v[at] = column.v0;
    v[at + step] = column.v1;
    v[at + 2 * step] = column.v2;
    v[at + 3 * step] = column.v3;
    v[at + 4 * step] = column.v4;
    v[at + 5 * step] = column.v5;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let place_of_tile = i32(group.x) * i32(SUBGROUP) + i32(local.x);
    let index = p.first + place_of_tile;
    // By selection: behind a branch the driver makes the rest of the kernel twice as slow.
    let is_listed = p.listed != 0u;
    let tile = select(index, tiles[1 + index * i32(p.listed)], is_listed);
    let end = select(p.end, min(p.end, tiles[0]), is_listed);
    let block = i32(group.y);
    if index >= end {
        return;
    }
    let image_tiles = p.row_tiles * ((p.h + 3) / 4);
    let n = tile / image_tiles;
    let in_image = tile % image_tiles;
    let top = in_image / p.row_tiles * 4 - 1;
    let left = in_image % p.row_tiles * 4 - 1;
    let plane = IMAGE_ROW + (n * p.blocks + block) * p.h * p.w;
    let r0 = row(plane, top, left);
    let r1 = row(plane, top + 1, left);
    let r2 = row(plane, top + 2, left);
    let r3 = row(plane, top + 3, left);
    let r4 = row(plane, top + 4, left);
    let r5 = row(plane, top + 5, left);
    let position = p.blocks * p.stride;
    let step = 6 * position;
    let at = block * p.stride + place_of_tile;
    // A loop, so that the driver compiles six stores and not thirty-six, in a third of the time.
    for (var c = 0; c < 6; c++) {
        let k = p.transform[2 * c];
        let l = p.transform[2 * c + 1];
        let column = Six(
            element(r0, k, l),
            element(r1, k, l),
            element(r2, k, l),
            element(r3, k, l),
            element(r4, k, l),
            element(r5, k, l),
        );
        store(at + c * position, step, transform(column));
    }
}
