// Winograd F(4x4, 3x3), second of three stages, for subgroups of 4 invocations on drivers where values that stay in memory, loads
// through sampled textures and swaps within a quad are fast, and everything else is not: 36 matrix products.
//
//   m[p, o, t] = sum over i of u[p, o, i] * v[p, i, t]            forward
//   m[p, i, t] = sum over o of u[35 - p, o, i] * v[p, o, t]       TURNED: the input gradient
//
// The images, the sums and the uniform are those of winograd_product_subgroup.wgsl, and so are the tiles of a workgroup: 17.
// Invocation l makes a block of four channels. Of four tiles it loads tile l; in step d it multiplies what invocation l ^ d has
// loaded, so that its sum number d is that of tile l ^ d. Nothing is broadcast: a swap is one instruction.
// Filters, tiles and sums are arrays with an index that is not constant somewhere, which keeps a compiler from making values of
// them: with 16 registers each use of a value would be a load and a store more.
// CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

struct Params {
    depth: i32,   // blocks of channels that are summed
    stride: i32,
    u_lane: i32,  // texels of u from one block of made channels to the next
    u_step: i32,  // and from one block of summed channels to the next
    u_plane: i32, // and from one position to the next
    m_blocks: i32,
}

const TILES: i32 = 17;

// Invocations of a subgroup, and of a workgroup: 4.
override SUBGROUP: u32;
override TURNED: bool;

const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var u: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// Four sums over four channels: w has a row a sum, or TURNED a column a channel. Each number is read where it is used.
fn product(w: ptr<function, array<vec4<f32>, 4>>, x: vec4<f32>) -> vec4<f32> {
    if TURNED {
        return vec4<f32>(
            (*w)[0].x * x.x + (*w)[1].x * x.y + (*w)[2].x * x.z + (*w)[3].x * x.w,
            (*w)[0].y * x.x + (*w)[1].y * x.y + (*w)[2].y * x.z + (*w)[3].y * x.w,
            (*w)[0].z * x.x + (*w)[1].z * x.y + (*w)[2].z * x.z + (*w)[3].z * x.w,
            (*w)[0].w * x.x + (*w)[1].w * x.y + (*w)[2].w * x.z + (*w)[3].w * x.w,
        );
    }
    return vec4<f32>(
        (*w)[0].x * x.x + (*w)[0].y * x.y + (*w)[0].z * x.z + (*w)[0].w * x.w,
        (*w)[1].x * x.x + (*w)[1].y * x.y + (*w)[1].z * x.z + (*w)[1].w * x.w,
        (*w)[2].x * x.x + (*w)[2].y * x.y + (*w)[2].z * x.z + (*w)[2].w * x.w,
        (*w)[3].x * x.x + (*w)[3].y * x.y + (*w)[3].z * x.z + (*w)[3].w * x.w,
    );
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let tile = i32(group.x) * TILES;
    let block = i32(group.y) * i32(SUBGROUP) + lane;
    let position = i32(group.z);
    let u_position = select(position, 35 - position, TURNED);
    var u_at = u_position * p.u_plane + block * p.u_lane;
    var v_at = IMAGE_ROW + position * p.depth * p.stride + tile;
    var s: array<vec4<f32>, 17>;
    var w: array<vec4<f32>, 4>;
    var x: array<vec4<f32>, 5>;
    w[lane] = vec4<f32>();
    x[lane] = vec4<f32>();
    for (var k = 0; k < p.depth; k++) {
        w[0] = textureLoad(u, place(u_at));
        w[1] = textureLoad(u, place(u_at + 1));
        w[2] = textureLoad(u, place(u_at + 2));
        w[3] = textureLoad(u, place(u_at + 3));
        x[0] = textureLoad(v, place(v_at + lane));
        x[1] = textureLoad(v, place(v_at + lane + 4));
        x[2] = textureLoad(v, place(v_at + lane + 8));
        x[3] = textureLoad(v, place(v_at + lane + 12));
        x[4] = textureLoad(v, place(v_at + 16));
        s[0] = product(&w, x[0]) + s[0];
        s[1] = product(&w, quadSwapX(x[0])) + s[1];
        s[2] = product(&w, quadSwapY(x[0])) + s[2];
        s[3] = product(&w, quadSwapDiagonal(x[0])) + s[3];
        s[4] = product(&w, x[1]) + s[4];
        s[5] = product(&w, quadSwapX(x[1])) + s[5];
        s[6] = product(&w, quadSwapY(x[1])) + s[6];
        s[7] = product(&w, quadSwapDiagonal(x[1])) + s[7];
        s[8] = product(&w, x[2]) + s[8];
        s[9] = product(&w, quadSwapX(x[2])) + s[9];
        s[10] = product(&w, quadSwapY(x[2])) + s[10];
        s[11] = product(&w, quadSwapDiagonal(x[2])) + s[11];
        s[12] = product(&w, x[3]) + s[12];
        s[13] = product(&w, quadSwapX(x[3])) + s[13];
        s[14] = product(&w, quadSwapY(x[3])) + s[14];
        s[15] = product(&w, quadSwapDiagonal(x[3])) + s[15];
        s[16] = product(&w, x[4]) + s[16];
        u_at += p.u_step;
        v_at += p.stride;
    }
    let at = (position * p.m_blocks + block) * p.stride + tile;
    for (var t = 0; t < TILES; t++) {
        let made = select(t ^ lane, t, t == TILES - 1);
        m[at + made] = s[t];
    }
}
