// Winograd F(4x4, 3x3), second of three stages, for software adapters whose subgroup is 8 invocations: 36 matrix products.
//
//   m[p, o, t] = sum over i of u[p, o, i] * v[p, i, t]            forward
//   m[p, i, t] = sum over o of u[35 - p, o, i] * v[p, o, t]       TURNED: the input gradient
//
// p is the position in a transformed tile, t the tile, counted through all images. Turning a 3x3 filter by 180 degrees
// only reverses the positions of its transform (src/layout/winograd.rs), so that both directions read the same u.
//
// All three are images of 4096 texels a row. u: [p][o / 4][i / 4][o % 4] texels of four i. v: [p][depth][stride] texels of
// four channels, from winograd_input.wgsl. m: [p][blocks][stride], for winograd_output.wgsl; blocks rounded up to 8 and
// stride to 17 (WIDE: 49), so that everything computed has a place.
//
// A workgroup is one subgroup and makes 32 channels (a block of four an invocation) of 17 tiles for one position. An
// invocation loads the 4 x 4 weights of its own block; the tiles are spread over the invocations and handed round by
// shuffles from literal lanes. 17 because a map of 28 x 28 has 49 tiles and one of 14 x 14 has 16. WIDE makes 49 of them
// with one load of the weights, and takes the driver three times as long to compile: for many images.
// CPU twin: conv2d in tests/common/twins.rs, which the stages together must equal.

struct Params {
    depth: i32,   // blocks of channels that are summed
    stride: i32,
    u_lane: i32,  // texels of u from one block of made channels to the next
    u_step: i32,  // and from one block of summed channels to the next
    u_plane: i32, // and from one position to the next
    m_blocks: i32,
}

override TURNED: bool;
override WIDE: bool;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var u: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var m: texture_storage_2d<rgba32float, write>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// Four sums over four channels: w has a row a sum, or TURNED a column a channel.
fn product(w: mat4x4<f32>, x: vec4<f32>) -> vec4<f32> {
    if TURNED {
        return w * x;
    }
    return x * w;
}

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let tile = i32(group.x) * select(17, 49, WIDE);
    let block = i32(group.y) * 8 + lane;
    let position = i32(group.z);
    let u_position = select(position, 35 - position, TURNED);
    var u_at = u_position * p.u_plane + block * p.u_lane;
    var v_at = position * p.depth * p.stride + tile + lane;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    var s8 = vec4<f32>();
    var s9 = vec4<f32>();
    var s10 = vec4<f32>();
    var s11 = vec4<f32>();
    var s12 = vec4<f32>();
    var s13 = vec4<f32>();
    var s14 = vec4<f32>();
    var s15 = vec4<f32>();
    var s16 = vec4<f32>();
    var s17 = vec4<f32>();
    var s18 = vec4<f32>();
    var s19 = vec4<f32>();
    var s20 = vec4<f32>();
    var s21 = vec4<f32>();
    var s22 = vec4<f32>();
    var s23 = vec4<f32>();
    var s24 = vec4<f32>();
    var s25 = vec4<f32>();
    var s26 = vec4<f32>();
    var s27 = vec4<f32>();
    var s28 = vec4<f32>();
    var s29 = vec4<f32>();
    var s30 = vec4<f32>();
    var s31 = vec4<f32>();
    var s32 = vec4<f32>();
    var s33 = vec4<f32>();
    var s34 = vec4<f32>();
    var s35 = vec4<f32>();
    var s36 = vec4<f32>();
    var s37 = vec4<f32>();
    var s38 = vec4<f32>();
    var s39 = vec4<f32>();
    var s40 = vec4<f32>();
    var s41 = vec4<f32>();
    var s42 = vec4<f32>();
    var s43 = vec4<f32>();
    var s44 = vec4<f32>();
    var s45 = vec4<f32>();
    var s46 = vec4<f32>();
    var s47 = vec4<f32>();
    var s48 = vec4<f32>();
    for (var k = 0; k < p.depth; k++) {
        let w = mat4x4<f32>(
            textureLoad(u, place(u_at)),
            textureLoad(u, place(u_at + 1)),
            textureLoad(u, place(u_at + 2)),
            textureLoad(u, place(u_at + 3)),
        );
        let v0 = textureLoad(v, place(v_at));
        let v1 = textureLoad(v, place(v_at + 8));
        let v2 = textureLoad(v, place(v_at + 16));
        s0 += product(w, subgroupShuffle(v0, 0u));
        s1 += product(w, subgroupShuffle(v0, 1u));
        s2 += product(w, subgroupShuffle(v0, 2u));
        s3 += product(w, subgroupShuffle(v0, 3u));
        s4 += product(w, subgroupShuffle(v0, 4u));
        s5 += product(w, subgroupShuffle(v0, 5u));
        s6 += product(w, subgroupShuffle(v0, 6u));
        s7 += product(w, subgroupShuffle(v0, 7u));
        s8 += product(w, subgroupShuffle(v1, 0u));
        s9 += product(w, subgroupShuffle(v1, 1u));
        s10 += product(w, subgroupShuffle(v1, 2u));
        s11 += product(w, subgroupShuffle(v1, 3u));
        s12 += product(w, subgroupShuffle(v1, 4u));
        s13 += product(w, subgroupShuffle(v1, 5u));
        s14 += product(w, subgroupShuffle(v1, 6u));
        s15 += product(w, subgroupShuffle(v1, 7u));
        s16 += product(w, subgroupShuffle(v2, 0u));
        if WIDE {
            let v3 = textureLoad(v, place(v_at + 24));
            let v4 = textureLoad(v, place(v_at + 32));
            let v5 = textureLoad(v, place(v_at + 40));
            let v6 = textureLoad(v, place(v_at + 48));
            s17 += product(w, subgroupShuffle(v2, 1u));
            s18 += product(w, subgroupShuffle(v2, 2u));
            s19 += product(w, subgroupShuffle(v2, 3u));
            s20 += product(w, subgroupShuffle(v2, 4u));
            s21 += product(w, subgroupShuffle(v2, 5u));
            s22 += product(w, subgroupShuffle(v2, 6u));
            s23 += product(w, subgroupShuffle(v2, 7u));
            s24 += product(w, subgroupShuffle(v3, 0u));
            s25 += product(w, subgroupShuffle(v3, 1u));
            s26 += product(w, subgroupShuffle(v3, 2u));
            s27 += product(w, subgroupShuffle(v3, 3u));
            s28 += product(w, subgroupShuffle(v3, 4u));
            s29 += product(w, subgroupShuffle(v3, 5u));
            s30 += product(w, subgroupShuffle(v3, 6u));
            s31 += product(w, subgroupShuffle(v3, 7u));
            s32 += product(w, subgroupShuffle(v4, 0u));
            s33 += product(w, subgroupShuffle(v4, 1u));
            s34 += product(w, subgroupShuffle(v4, 2u));
            s35 += product(w, subgroupShuffle(v4, 3u));
            s36 += product(w, subgroupShuffle(v4, 4u));
            s37 += product(w, subgroupShuffle(v4, 5u));
            s38 += product(w, subgroupShuffle(v4, 6u));
            s39 += product(w, subgroupShuffle(v4, 7u));
            s40 += product(w, subgroupShuffle(v5, 0u));
            s41 += product(w, subgroupShuffle(v5, 1u));
            s42 += product(w, subgroupShuffle(v5, 2u));
            s43 += product(w, subgroupShuffle(v5, 3u));
            s44 += product(w, subgroupShuffle(v5, 4u));
            s45 += product(w, subgroupShuffle(v5, 5u));
            s46 += product(w, subgroupShuffle(v5, 6u));
            s47 += product(w, subgroupShuffle(v5, 7u));
            s48 += product(w, subgroupShuffle(v6, 0u));
        }
        u_at += p.u_step;
        v_at += p.stride;
    }
    let at = (position * p.m_blocks + block) * p.stride + tile;
    textureStore(m, place(at + 0), s0);
    textureStore(m, place(at + 1), s1);
    textureStore(m, place(at + 2), s2);
    textureStore(m, place(at + 3), s3);
    textureStore(m, place(at + 4), s4);
    textureStore(m, place(at + 5), s5);
    textureStore(m, place(at + 6), s6);
    textureStore(m, place(at + 7), s7);
    textureStore(m, place(at + 8), s8);
    textureStore(m, place(at + 9), s9);
    textureStore(m, place(at + 10), s10);
    textureStore(m, place(at + 11), s11);
    textureStore(m, place(at + 12), s12);
    textureStore(m, place(at + 13), s13);
    textureStore(m, place(at + 14), s14);
    textureStore(m, place(at + 15), s15);
    textureStore(m, place(at + 16), s16);
    if WIDE {
        textureStore(m, place(at + 17), s17);
        textureStore(m, place(at + 18), s18);
        textureStore(m, place(at + 19), s19);
        textureStore(m, place(at + 20), s20);
        textureStore(m, place(at + 21), s21);
        textureStore(m, place(at + 22), s22);
        textureStore(m, place(at + 23), s23);
        textureStore(m, place(at + 24), s24);
        textureStore(m, place(at + 25), s25);
        textureStore(m, place(at + 26), s26);
        textureStore(m, place(at + 27), s27);
        textureStore(m, place(at + 28), s28);
        textureStore(m, place(at + 29), s29);
        textureStore(m, place(at + 30), s30);
        textureStore(m, place(at + 31), s31);
        textureStore(m, place(at + 32), s32);
        textureStore(m, place(at + 33), s33);
        textureStore(m, place(at + 34), s34);
        textureStore(m, place(at + 35), s35);
        textureStore(m, place(at + 36), s36);
        textureStore(m, place(at + 37), s37);
        textureStore(m, place(at + 38), s38);
        textureStore(m, place(at + 39), s39);
        textureStore(m, place(at + 40), s40);
        textureStore(m, place(at + 41), s41);
        textureStore(m, place(at + 42), s42);
        textureStore(m, place(at + 43), s43);
        textureStore(m, place(at + 44), s44);
        textureStore(m, place(at + 45), s45);
        textureStore(m, place(at + 46), s46);
        textureStore(m, place(at + 47), s47);
        textureStore(m, place(at + 48), s48);
    }
}
