// Winograd F(4x4, 3x3), second of three stages, for software adapters whose subgroup is 4, 8 or 16 invocations: 36 matrix products.
//
//   m[p, o, t] = sum over i of u[p, o, i] * v[p, i, t]            forward
//   m[p, i, t] = sum over o of u[35 - p, o, i] * v[p, o, t]       TURNED: the input gradient
//
// p is the position in a transformed tile, t the tile, counted through all images. Turning a 3x3 filter by 180 degrees
// only reverses the positions of its transform (src/layout/winograd.rs), so that both directions read the same u.
//
// u and v are images of 4096 texels a row. u: [p][o / 4][i / 4][o % 4] texels of four i. v: a row of zeros, then what
// winograd_input.wgsl has made, [p][depth][stride] texels of four channels. m: [p][blocks][stride], for winograd_output.wgsl; blocks rounded up to SUBGROUP and
// stride to 17 (WIDE: 49), so that everything computed has a place.
//
// A workgroup is one subgroup and makes a block of four channels an invocation of 17 tiles for one position. An
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

// Invocations of a subgroup, and of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;
override TURNED: bool;
override WIDE: bool;
// Whether shuffles hand the tiles round; else every invocation loads each of them, which drivers that go through the lanes of a
// shuffle one by one do faster.
override SHUFFLED: bool;

const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var u: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var v: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// Four sums over four channels: w has a row a sum, or TURNED a column a channel. Of `w * x` the driver makes slower code when WIDE.
fn product(w: mat4x4<f32>, x: vec4<f32>) -> vec4<f32> {
    if TURNED {
        return x * transpose(w);
    }
    return x * w;
}

// The tile at `at` of v, which is what invocation `lane` has loaded as `loaded`.
fn hand(loaded: vec4<f32>, lane: u32, at: i32) -> vec4<f32> {
    if SHUFFLED {
        return subgroupShuffle(loaded, lane);
    }
    return textureLoad(v, place(at));
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let tile = i32(group.x) * select(17, 49, WIDE);
    let block = i32(group.y) * i32(SUBGROUP) + lane;
    let position = i32(group.z);
    let u_position = select(position, 35 - position, TURNED);
    var u_at = u_position * p.u_plane + block * p.u_lane;
    var v_at = IMAGE_ROW + position * p.depth * p.stride + tile;
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
        // Tile k of the workgroup's is in element k / SUBGROUP of invocation k % SUBGROUP.
        var x: array<vec4<f32>, 13>;
        x[0] = textureLoad(v, place(v_at + lane));
        x[1] = textureLoad(v, place(v_at + lane + 1 * i32(SUBGROUP)));
        if SUBGROUP <= 8u {
            x[2] = textureLoad(v, place(v_at + lane + 2 * i32(SUBGROUP)));
        }
        if SUBGROUP == 4u {
            x[3] = textureLoad(v, place(v_at + lane + 3 * i32(SUBGROUP)));
            x[4] = textureLoad(v, place(v_at + lane + 4 * i32(SUBGROUP)));
        }
        s0 += product(w, hand(x[0u / SUBGROUP], 0u % SUBGROUP, v_at + 0));
        s1 += product(w, hand(x[1u / SUBGROUP], 1u % SUBGROUP, v_at + 1));
        s2 += product(w, hand(x[2u / SUBGROUP], 2u % SUBGROUP, v_at + 2));
        s3 += product(w, hand(x[3u / SUBGROUP], 3u % SUBGROUP, v_at + 3));
        s4 += product(w, hand(x[4u / SUBGROUP], 4u % SUBGROUP, v_at + 4));
        s5 += product(w, hand(x[5u / SUBGROUP], 5u % SUBGROUP, v_at + 5));
        s6 += product(w, hand(x[6u / SUBGROUP], 6u % SUBGROUP, v_at + 6));
        s7 += product(w, hand(x[7u / SUBGROUP], 7u % SUBGROUP, v_at + 7));
        s8 += product(w, hand(x[8u / SUBGROUP], 8u % SUBGROUP, v_at + 8));
        s9 += product(w, hand(x[9u / SUBGROUP], 9u % SUBGROUP, v_at + 9));
        s10 += product(w, hand(x[10u / SUBGROUP], 10u % SUBGROUP, v_at + 10));
        s11 += product(w, hand(x[11u / SUBGROUP], 11u % SUBGROUP, v_at + 11));
        s12 += product(w, hand(x[12u / SUBGROUP], 12u % SUBGROUP, v_at + 12));
        s13 += product(w, hand(x[13u / SUBGROUP], 13u % SUBGROUP, v_at + 13));
        s14 += product(w, hand(x[14u / SUBGROUP], 14u % SUBGROUP, v_at + 14));
        s15 += product(w, hand(x[15u / SUBGROUP], 15u % SUBGROUP, v_at + 15));
        s16 += product(w, hand(x[16u / SUBGROUP], 16u % SUBGROUP, v_at + 16));
        if WIDE {
            if SUBGROUP >= 8u {
                x[3] = textureLoad(v, place(v_at + lane + 3 * i32(SUBGROUP)));
            }
            if SUBGROUP == 16u {
                x[2] = textureLoad(v, place(v_at + lane + 2 * i32(SUBGROUP)));
            }
            if SUBGROUP == 8u {
                x[4] = textureLoad(v, place(v_at + lane + 4 * i32(SUBGROUP)));
            }
            if SUBGROUP <= 8u {
                x[5] = textureLoad(v, place(v_at + lane + 5 * i32(SUBGROUP)));
                x[6] = textureLoad(v, place(v_at + lane + 6 * i32(SUBGROUP)));
            }
            if SUBGROUP == 4u {
                x[7] = textureLoad(v, place(v_at + lane + 7 * i32(SUBGROUP)));
                x[8] = textureLoad(v, place(v_at + lane + 8 * i32(SUBGROUP)));
                x[9] = textureLoad(v, place(v_at + lane + 9 * i32(SUBGROUP)));
                x[10] = textureLoad(v, place(v_at + lane + 10 * i32(SUBGROUP)));
                x[11] = textureLoad(v, place(v_at + lane + 11 * i32(SUBGROUP)));
                x[12] = textureLoad(v, place(v_at + lane + 12 * i32(SUBGROUP)));
            }
            s17 += product(w, hand(x[17u / SUBGROUP], 17u % SUBGROUP, v_at + 17));
            s18 += product(w, hand(x[18u / SUBGROUP], 18u % SUBGROUP, v_at + 18));
            s19 += product(w, hand(x[19u / SUBGROUP], 19u % SUBGROUP, v_at + 19));
            s20 += product(w, hand(x[20u / SUBGROUP], 20u % SUBGROUP, v_at + 20));
            s21 += product(w, hand(x[21u / SUBGROUP], 21u % SUBGROUP, v_at + 21));
            s22 += product(w, hand(x[22u / SUBGROUP], 22u % SUBGROUP, v_at + 22));
            s23 += product(w, hand(x[23u / SUBGROUP], 23u % SUBGROUP, v_at + 23));
            s24 += product(w, hand(x[24u / SUBGROUP], 24u % SUBGROUP, v_at + 24));
            s25 += product(w, hand(x[25u / SUBGROUP], 25u % SUBGROUP, v_at + 25));
            s26 += product(w, hand(x[26u / SUBGROUP], 26u % SUBGROUP, v_at + 26));
            s27 += product(w, hand(x[27u / SUBGROUP], 27u % SUBGROUP, v_at + 27));
            s28 += product(w, hand(x[28u / SUBGROUP], 28u % SUBGROUP, v_at + 28));
            s29 += product(w, hand(x[29u / SUBGROUP], 29u % SUBGROUP, v_at + 29));
            s30 += product(w, hand(x[30u / SUBGROUP], 30u % SUBGROUP, v_at + 30));
            s31 += product(w, hand(x[31u / SUBGROUP], 31u % SUBGROUP, v_at + 31));
            s32 += product(w, hand(x[32u / SUBGROUP], 32u % SUBGROUP, v_at + 32));
            s33 += product(w, hand(x[33u / SUBGROUP], 33u % SUBGROUP, v_at + 33));
            s34 += product(w, hand(x[34u / SUBGROUP], 34u % SUBGROUP, v_at + 34));
            s35 += product(w, hand(x[35u / SUBGROUP], 35u % SUBGROUP, v_at + 35));
            s36 += product(w, hand(x[36u / SUBGROUP], 36u % SUBGROUP, v_at + 36));
            s37 += product(w, hand(x[37u / SUBGROUP], 37u % SUBGROUP, v_at + 37));
            s38 += product(w, hand(x[38u / SUBGROUP], 38u % SUBGROUP, v_at + 38));
            s39 += product(w, hand(x[39u / SUBGROUP], 39u % SUBGROUP, v_at + 39));
            s40 += product(w, hand(x[40u / SUBGROUP], 40u % SUBGROUP, v_at + 40));
            s41 += product(w, hand(x[41u / SUBGROUP], 41u % SUBGROUP, v_at + 41));
            s42 += product(w, hand(x[42u / SUBGROUP], 42u % SUBGROUP, v_at + 42));
            s43 += product(w, hand(x[43u / SUBGROUP], 43u % SUBGROUP, v_at + 43));
            s44 += product(w, hand(x[44u / SUBGROUP], 44u % SUBGROUP, v_at + 44));
            s45 += product(w, hand(x[45u / SUBGROUP], 45u % SUBGROUP, v_at + 45));
            s46 += product(w, hand(x[46u / SUBGROUP], 46u % SUBGROUP, v_at + 46));
            s47 += product(w, hand(x[47u / SUBGROUP], 47u % SUBGROUP, v_at + 47));
            s48 += product(w, hand(x[48u / SUBGROUP], 48u % SUBGROUP, v_at + 48));
        }
        u_at += p.u_step;
        v_at += p.stride;
    }
    let at = (position * p.m_blocks + block) * p.stride + tile;
    m[at + 0] = s0;
    m[at + 1] = s1;
    m[at + 2] = s2;
    m[at + 3] = s3;
    m[at + 4] = s4;
    m[at + 5] = s5;
    m[at + 6] = s6;
    m[at + 7] = s7;
    m[at + 8] = s8;
    m[at + 9] = s9;
    m[at + 10] = s10;
    m[at + 11] = s11;
    m[at + 12] = s12;
    m[at + 13] = s13;
    m[at + 14] = s14;
    m[at + 15] = s15;
    m[at + 16] = s16;
    if WIDE {
        m[at + 17] = s17;
        m[at + 18] = s18;
        m[at + 19] = s19;
        m[at + 20] = s20;
        m[at + 21] = s21;
        m[at + 22] = s22;
        m[at + 23] = s23;
        m[at + 24] = s24;
        m[at + 25] = s25;
        m[at + 26] = s26;
        m[at + 27] = s27;
        m[at + 28] = s28;
        m[at + 29] = s29;
        m[at + 30] = s30;
        m[at + 31] = s31;
        m[at + 32] = s32;
        m[at + 33] = s33;
        m[at + 34] = s34;
        m[at + 35] = s35;
        m[at + 36] = s36;
        m[at + 37] = s37;
        m[at + 38] = s38;
        m[at + 39] = s39;
        m[at + 40] = s40;
        m[at + 41] = s41;
        m[at + 42] = s42;
        m[at + 43] = s43;
        m[at + 44] = s44;
        m[at + 45] = s45;
        m[at + 46] = s46;
        m[at + 47] = s47;
        m[at + 48] = s48;
    }
}
