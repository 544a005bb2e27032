// Winograd F(4x4, 3x3) and F(2x2, 3x3) in buffers, before any picture: the transform of the filters; for GPUs.
//
//   u[i, o] = G g[i, o] G^T        G of F(4x4), and why its rows have this scale: src/layout/winograd.rs
//
//                                  G of F(2x2) = |  1     0    0  |   points 0, 1, -1, infinity (Lavin and Gray,
//                                                | 1/2   1/2  1/2 |   arXiv 1509.09308)
//                                                | 1/2  -1/2  1/2 |
//                                                |  0     0    1  |
//
// A filter read backwards has the same values at 1 and at -1, and those at 0 and infinity change places.
// w: 9 matrices, one a tap, u: 36 or 16, one a position, both row by row: an input a row, four outputs an element. That is
// what winograd_product_tiled.wgsl reads along its rows for the layer itself and along its columns for the input gradient.
// Elements are read and written in halves, two outputs each: an invocation makes all positions of one half, neighbours read and
// write neighbours. What it holds at once fits half as many registers as whole elements would.
// CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

struct Params {
    plane: u32, // elements of a matrix
}

// Outputs along a side of a tile: 4 or 2.
override SIZE: u32;

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<vec2<f32>>;
@group(0) @binding(2) var<storage, read_write> u: array<vec2<f32>>;

// With SIZE 2 only the first four count.
struct Six {
    v0: vec2<f32>,
    v1: vec2<f32>,
    v2: vec2<f32>,
    v3: vec2<f32>,
    v4: vec2<f32>,
    v5: vec2<f32>,
}

fn transform(g0: vec2<f32>, g1: vec2<f32>, g2: vec2<f32>) -> Six {
    if SIZE == 2u {
        let even = 0.5 * (g0 + g2);
        let odd = 0.5 * g1;
        return Six(g0, even + odd, even - odd, g2, vec2<f32>(), vec2<f32>());
    }
    let even_a = (g0 + 0.5 * g2) * (2.0 / 3.0);
    let odd_a = g1 * (2.0 / 3.0 * A);
    let even_b = (0.5 * g0 + g2) * (2.0 / 3.0);
    let odd_b = g1 * (1.0 / 3.0 * B);
    return Six(g0, even_a + odd_a, even_a - odd_a, even_b - odd_b, even_b + odd_b, g2);
}

// Halves of a matrix.
fn plane() -> u32 {
    return 2u * p.plane;
}

// Taps of one row, transformed.
fn row(at: u32) -> Six {
    return transform(w[at], w[at + plane()], w[at + 2u * plane()]);
}

// A column of the half at `at`.
fn store(at: u32, column: u32, values: Six) {
    let first = at + column * plane();
    let step = (SIZE + 2u) * plane();
    u[first] = values.v0;
    u[first + step] = values.v1;
    u[first + 2u * step] = values.v2;
    u[first + 3u * step] = values.v3;
    if SIZE == 4u {
        u[first + 4u * step] = values.v4;
        u[first + 5u * step] = values.v5;
    }
}

@compute @workgroup_size(128)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let at = id.y * groups.x * 128u + id.x;
    if at >= plane() {
        return;
    }
    let r0 = row(at);
    let r1 = row(at + 3u * plane());
    let r2 = row(at + 6u * plane());
    store(at, 0u, transform(r0.v0, r1.v0, r2.v0));
    store(at, 1u, transform(r0.v1, r1.v1, r2.v1));
    store(at, 2u, transform(r0.v2, r1.v2, r2.v2));
    store(at, 3u, transform(r0.v3, r1.v3, r2.v3));
    if SIZE == 4u {
        store(at, 4u, transform(r0.v4, r1.v4, r2.v4));
        store(at, 5u, transform(r0.v5, r1.v5, r2.v5));
    }
}
