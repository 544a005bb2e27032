// Winograd F(4x4, 3x3), before any picture: the transform of the filters.
//
//   u[o, i] = G g[o, i] G^T        G = | 1            0    0          |   a = 1 / sqrt 2
//                                      | 2/3     2/3 a     2/3 a^2    |   b = sqrt 2 = 1 / a
//                                      | 2/3    -2/3 a     2/3 a^2    |
//                                      | 1/3    -1/3 b     1/3 b^2    |
//                                      | 1/3     1/3 b     1/3 b^2    |
//                                      | 0            0    1          |
//
// A row of G is a filter's polynomial at one of the points 0, a, -a, -b, b, infinity (Lavin and Gray, arXiv 1509.09308),
// whose rounding error over 256 random channels is a third of that of the points 0, +-1, +-2. The scale of the rows is chosen so that a filter read backwards has the same values in reverse: with
// points closed under 1 / x, x^2 g(1 / x) is at a half of what g is at b, and 2/3 and 1/3 take that up.
//
// w: an image of 4096 texels a row, [out / 8][in_blocks][tap][out % 8] texels of four inputs.
// u: the same, [position][out / 4][in_blocks][out % 4] texels of four inputs; positions row by row.
// An invocation makes the 36 positions of one output and four inputs.
// CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

struct Params {
    in_blocks: i32,
    u_plane: i32, // texels of a position
}

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var u: texture_storage_2d<rgba32float, write>;

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

fn transform(g0: vec4<f32>, g1: vec4<f32>, g2: vec4<f32>) -> Six {
    let even_a = (g0 + 0.5 * g2) * (2.0 / 3.0);
    let odd_a = g1 * (2.0 / 3.0 * A);
    let even_b = (0.5 * g0 + g2) * (2.0 / 3.0);
    let odd_b = g1 * (1.0 / 3.0 * B);
    return Six(g0, even_a + odd_a, even_a - odd_a, even_b - odd_b, even_b + odd_b, g2);
}

// Taps of one row, transformed.
fn row(at: i32) -> Six {
    return transform(
        textureLoad(w, place(at)),
        textureLoad(w, place(at + 8)),
        textureLoad(w, place(at + 16)),
    );
}

fn store(at: i32, column: Six) {
    textureStore(u, place(at), column.v0);
    textureStore(u, place(at + 6 * p.u_plane), column.v1);
    textureStore(u, place(at + 12 * p.u_plane), column.v2);
    textureStore(u, place(at + 18 * p.u_plane), column.v3);
    textureStore(u, place(at + 24 * p.u_plane), column.v4);
    textureStore(u, place(at + 30 * p.u_plane), column.v5);
}

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let block = i32(group.x);
    let eight = i32(group.y);
    let w_at = (eight * p.in_blocks + block) * 72 + lane;
    let u_at = ((eight * 2 + lane / 4) * p.in_blocks + block) * 4 + lane % 4;
    let r0 = row(w_at);
    let r1 = row(w_at + 24);
    let r2 = row(w_at + 48);
    store(u_at, transform(r0.v0, r1.v0, r2.v0));
    store(u_at + p.u_plane, transform(r0.v1, r1.v1, r2.v1));
    store(u_at + 2 * p.u_plane, transform(r0.v2, r1.v2, r2.v2));
    store(u_at + 3 * p.u_plane, transform(r0.v3, r1.v3, r2.v3));
    store(u_at + 4 * p.u_plane, transform(r0.v4, r1.v4, r2.v4));
    store(u_at + 5 * p.u_plane, transform(r0.v5, r1.v5, r2.v5));
}
