// Convolution 3x3, stride 1, one zero on every side, for software adapters whose subgroup is 4, 8 or 16 invocations.
//
//   y[n, o, r, c] = end(sum over i, u, v of w[o, i, u, v] * x[n, i, r + u - 1, c + v - 1])
//
// The input gradient is the same sum with the filters turned by 180 degrees and their channels swapped.
//
// y: N x out_blocks x h x w, each element four channels (NC4HW4). extra: by `epilogue`, the bias (out_blocks) or the
// activations in y's shape, one image's for `sharing` n.
// x and w are read through images of 4096 texels a row, since Mesa's software adapter loads from an image in a quarter
// of the time that it takes from a storage buffer. x: a row of zeros, then N x in_blocks x h x w as they lie in their
// buffer. w: [out / 8][in_blocks][tap][out % 8] texels of four inputs each.
//
// A workgroup is one subgroup and makes an output an invocation of a tile of 4 rows x 7 columns (7 divides every width of VGG); an
// invocation keeps the 28 sums of its own output. It loads its own weights; the tile's 6 x 9 inputs are spread over the
// invocations and handed round by shuffles from literal lanes, one instruction each. No workgroup memory, no barrier.
// Inputs outside x read the zeros; outputs outside y are not written. CPU twin: conv2d in tests/common/twins.rs.

struct Params {
    in_blocks: i32,
    out_blocks: i32,
    h: i32,
    w: i32,
    columns: i32, // 7; as a constant, the driver would unroll the end and take twice as long to compile
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

const ZERO: i32 = 0;
const IMAGE_ROW: i32 = 4096;

// Invocations of a subgroup, and of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// Where input `k` of a tile lies in its channels, or -1 outside x.
fn place_of(top: i32, left: i32, k: i32) -> i32 {
    let r = top - 1 + k / 9;
    let c = left - 1 + k % 9;
    return select(-1, r * p.w + c, r >= 0 && r < p.h && c >= 0 && c < p.w);
}

fn load(x_at: i32, source: i32) -> vec4<f32> {
    return textureLoad(x, place(select(ZERO, x_at + source, source >= 0)));
}

// Component `k` of `v`, `k` differing between lanes.
fn pick(v: vec4<f32>, k: u32) -> f32 {
    return select(select(v.x, v.y, k == 1u), select(v.z, v.w, k == 3u), k >= 2u);
}

// In: one vec4 a lane (lane = output, component = row). Out: lane = (output / 4, row), component = output % 4.
fn transpose(v: vec4<f32>, lane: u32) -> vec4<f32> {
    let quad = lane & ~3u;
    let k = lane & 3u;
    return vec4<f32>(
        pick(subgroupShuffle(v, quad), k),
        pick(subgroupShuffle(v, quad + 1u), k),
        pick(subgroupShuffle(v, quad + 2u), k),
        pick(subgroupShuffle(v, quad + 3u), k),
    );
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let of_image = (p.out_blocks * 4 + i32(SUBGROUP) - 1) / i32(SUBGROUP);
    let n = i32(group.z) / of_image;
    let first = i32(group.z) % of_image * i32(SUBGROUP);
    let left = i32(group.x) * 7;
    let top = i32(group.y) * 4;
    let plane = p.h * p.w;
    // Outputs past the last eight read that one's weights, and are not written.
    let eight = min((first + lane) / 8, (p.out_blocks + 1) / 2 - 1);
    var w_at = eight * p.in_blocks * 72 + (first + lane) % 8;
    var x_at = IMAGE_ROW + n * p.in_blocks * plane;

    // The tile's 54 inputs, row by row: input k is in element k / SUBGROUP of invocation k % SUBGROUP.
    var source: array<i32, 14>;
    source[0] = place_of(top, left, lane);
    source[1] = place_of(top, left, lane + 1 * i32(SUBGROUP));
    source[2] = place_of(top, left, lane + 2 * i32(SUBGROUP));
    source[3] = place_of(top, left, lane + 3 * i32(SUBGROUP));
    if SUBGROUP <= 8u {
        source[4] = place_of(top, left, lane + 4 * i32(SUBGROUP));
        source[5] = place_of(top, left, lane + 5 * i32(SUBGROUP));
        source[6] = place_of(top, left, lane + 6 * i32(SUBGROUP));
    }
    if SUBGROUP == 4u {
        source[7] = place_of(top, left, lane + 7 * i32(SUBGROUP));
        source[8] = place_of(top, left, lane + 8 * i32(SUBGROUP));
        source[9] = place_of(top, left, lane + 9 * i32(SUBGROUP));
        source[10] = place_of(top, left, lane + 10 * i32(SUBGROUP));
        source[11] = place_of(top, left, lane + 11 * i32(SUBGROUP));
        source[12] = place_of(top, left, lane + 12 * i32(SUBGROUP));
        source[13] = place_of(top, left, lane + 13 * i32(SUBGROUP));
    }

    // Sums: s<row><column>.
    var s00 = 0.0; var s01 = 0.0; var s02 = 0.0; var s03 = 0.0; var s04 = 0.0; var s05 = 0.0; var s06 = 0.0;
    var s10 = 0.0; var s11 = 0.0; var s12 = 0.0; var s13 = 0.0; var s14 = 0.0; var s15 = 0.0; var s16 = 0.0;
    var s20 = 0.0; var s21 = 0.0; var s22 = 0.0; var s23 = 0.0; var s24 = 0.0; var s25 = 0.0; var s26 = 0.0;
    var s30 = 0.0; var s31 = 0.0; var s32 = 0.0; var s33 = 0.0; var s34 = 0.0; var s35 = 0.0; var s36 = 0.0;
    for (var i = 0; i < p.in_blocks; i++) {
        let w0 = textureLoad(w, place(w_at + 0));
        let w1 = textureLoad(w, place(w_at + 8));
        let w2 = textureLoad(w, place(w_at + 16));
        let w3 = textureLoad(w, place(w_at + 24));
        let w4 = textureLoad(w, place(w_at + 32));
        let w5 = textureLoad(w, place(w_at + 40));
        let w6 = textureLoad(w, place(w_at + 48));
        let w7 = textureLoad(w, place(w_at + 56));
        let w8 = textureLoad(w, place(w_at + 64));
        var v: array<vec4<f32>, 14>;
        v[0] = load(x_at, source[0]);
        v[1] = load(x_at, source[1]);
        v[2] = load(x_at, source[2]);
        v[3] = load(x_at, source[3]);
        if SUBGROUP <= 8u {
            v[4] = load(x_at, source[4]);
            v[5] = load(x_at, source[5]);
            v[6] = load(x_at, source[6]);
        }
        if SUBGROUP == 4u {
            v[7] = load(x_at, source[7]);
            v[8] = load(x_at, source[8]);
            v[9] = load(x_at, source[9]);
            v[10] = load(x_at, source[10]);
            v[11] = load(x_at, source[11]);
            v[12] = load(x_at, source[12]);
            v[13] = load(x_at, source[13]);
        }
        let b0 = subgroupShuffle(v[0u / SUBGROUP], 0u % SUBGROUP);
        s00 += dot(b0, w0);
        let b1 = subgroupShuffle(v[1u / SUBGROUP], 1u % SUBGROUP);
        s01 += dot(b1, w0); s00 += dot(b1, w1);
        let b2 = subgroupShuffle(v[2u / SUBGROUP], 2u % SUBGROUP);
        s02 += dot(b2, w0); s01 += dot(b2, w1); s00 += dot(b2, w2);
        let b3 = subgroupShuffle(v[3u / SUBGROUP], 3u % SUBGROUP);
        s03 += dot(b3, w0); s02 += dot(b3, w1); s01 += dot(b3, w2);
        let b4 = subgroupShuffle(v[4u / SUBGROUP], 4u % SUBGROUP);
        s04 += dot(b4, w0); s03 += dot(b4, w1); s02 += dot(b4, w2);
        let b5 = subgroupShuffle(v[5u / SUBGROUP], 5u % SUBGROUP);
        s05 += dot(b5, w0); s04 += dot(b5, w1); s03 += dot(b5, w2);
        let b6 = subgroupShuffle(v[6u / SUBGROUP], 6u % SUBGROUP);
        s06 += dot(b6, w0); s05 += dot(b6, w1); s04 += dot(b6, w2);
        let b7 = subgroupShuffle(v[7u / SUBGROUP], 7u % SUBGROUP);
        s06 += dot(b7, w1); s05 += dot(b7, w2);
        let b8 = subgroupShuffle(v[8u / SUBGROUP], 8u % SUBGROUP);
        s06 += dot(b8, w2);
        let b9 = subgroupShuffle(v[9u / SUBGROUP], 9u % SUBGROUP);
        s10 += dot(b9, w0); s00 += dot(b9, w3);
        let b10 = subgroupShuffle(v[10u / SUBGROUP], 10u % SUBGROUP);
        s11 += dot(b10, w0); s10 += dot(b10, w1); s01 += dot(b10, w3);
        s00 += dot(b10, w4);
        let b11 = subgroupShuffle(v[11u / SUBGROUP], 11u % SUBGROUP);
        s12 += dot(b11, w0); s11 += dot(b11, w1); s10 += dot(b11, w2);
        s02 += dot(b11, w3); s01 += dot(b11, w4); s00 += dot(b11, w5);
        let b12 = subgroupShuffle(v[12u / SUBGROUP], 12u % SUBGROUP);
        s13 += dot(b12, w0); s12 += dot(b12, w1); s11 += dot(b12, w2);
        s03 += dot(b12, w3); s02 += dot(b12, w4); s01 += dot(b12, w5);
        let b13 = subgroupShuffle(v[13u / SUBGROUP], 13u % SUBGROUP);
        s14 += dot(b13, w0); s13 += dot(b13, w1); s12 += dot(b13, w2);
        s04 += dot(b13, w3); s03 += dot(b13, w4); s02 += dot(b13, w5);
        let b14 = subgroupShuffle(v[14u / SUBGROUP], 14u % SUBGROUP);
        s15 += dot(b14, w0); s14 += dot(b14, w1); s13 += dot(b14, w2);
        s05 += dot(b14, w3); s04 += dot(b14, w4); s03 += dot(b14, w5);
        let b15 = subgroupShuffle(v[15u / SUBGROUP], 15u % SUBGROUP);
        s16 += dot(b15, w0); s15 += dot(b15, w1); s14 += dot(b15, w2);
        s06 += dot(b15, w3); s05 += dot(b15, w4); s04 += dot(b15, w5);
        let b16 = subgroupShuffle(v[16u / SUBGROUP], 16u % SUBGROUP);
        s16 += dot(b16, w1); s15 += dot(b16, w2); s06 += dot(b16, w4);
        s05 += dot(b16, w5);
        let b17 = subgroupShuffle(v[17u / SUBGROUP], 17u % SUBGROUP);
        s16 += dot(b17, w2); s06 += dot(b17, w5);
        let b18 = subgroupShuffle(v[18u / SUBGROUP], 18u % SUBGROUP);
        s20 += dot(b18, w0); s10 += dot(b18, w3); s00 += dot(b18, w6);
        let b19 = subgroupShuffle(v[19u / SUBGROUP], 19u % SUBGROUP);
        s21 += dot(b19, w0); s20 += dot(b19, w1); s11 += dot(b19, w3);
        s10 += dot(b19, w4); s01 += dot(b19, w6); s00 += dot(b19, w7);
        let b20 = subgroupShuffle(v[20u / SUBGROUP], 20u % SUBGROUP);
        s22 += dot(b20, w0); s21 += dot(b20, w1); s20 += dot(b20, w2);
        s12 += dot(b20, w3); s11 += dot(b20, w4); s10 += dot(b20, w5);
        s02 += dot(b20, w6); s01 += dot(b20, w7); s00 += dot(b20, w8);
        let b21 = subgroupShuffle(v[21u / SUBGROUP], 21u % SUBGROUP);
        s23 += dot(b21, w0); s22 += dot(b21, w1); s21 += dot(b21, w2);
        s13 += dot(b21, w3); s12 += dot(b21, w4); s11 += dot(b21, w5);
        s03 += dot(b21, w6); s02 += dot(b21, w7); s01 += dot(b21, w8);
        let b22 = subgroupShuffle(v[22u / SUBGROUP], 22u % SUBGROUP);
        s24 += dot(b22, w0); s23 += dot(b22, w1); s22 += dot(b22, w2);
        s14 += dot(b22, w3); s13 += dot(b22, w4); s12 += dot(b22, w5);
        s04 += dot(b22, w6); s03 += dot(b22, w7); s02 += dot(b22, w8);
        let b23 = subgroupShuffle(v[23u / SUBGROUP], 23u % SUBGROUP);
        s25 += dot(b23, w0); s24 += dot(b23, w1); s23 += dot(b23, w2);
        s15 += dot(b23, w3); s14 += dot(b23, w4); s13 += dot(b23, w5);
        s05 += dot(b23, w6); s04 += dot(b23, w7); s03 += dot(b23, w8);
        let b24 = subgroupShuffle(v[24u / SUBGROUP], 24u % SUBGROUP);
        s26 += dot(b24, w0); s25 += dot(b24, w1); s24 += dot(b24, w2);
        s16 += dot(b24, w3); s15 += dot(b24, w4); s14 += dot(b24, w5);
        s06 += dot(b24, w6); s05 += dot(b24, w7); s04 += dot(b24, w8);
        let b25 = subgroupShuffle(v[25u / SUBGROUP], 25u % SUBGROUP);
        s26 += dot(b25, w1); s25 += dot(b25, w2); s16 += dot(b25, w4);
        s15 += dot(b25, w5); s06 += dot(b25, w7); s05 += dot(b25, w8);
        let b26 = subgroupShuffle(v[26u / SUBGROUP], 26u % SUBGROUP);
        s26 += dot(b26, w2); s16 += dot(b26, w5); s06 += dot(b26, w8);
        let b27 = subgroupShuffle(v[27u / SUBGROUP], 27u % SUBGROUP);
        s30 += dot(b27, w0); s20 += dot(b27, w3); s10 += dot(b27, w6);
        let b28 = subgroupShuffle(v[28u / SUBGROUP], 28u % SUBGROUP);
        s31 += dot(b28, w0); s30 += dot(b28, w1); s21 += dot(b28, w3);
        s20 += dot(b28, w4); s11 += dot(b28, w6); s10 += dot(b28, w7);
        let b29 = subgroupShuffle(v[29u / SUBGROUP], 29u % SUBGROUP);
        s32 += dot(b29, w0); s31 += dot(b29, w1); s30 += dot(b29, w2);
        s22 += dot(b29, w3); s21 += dot(b29, w4); s20 += dot(b29, w5);
        s12 += dot(b29, w6); s11 += dot(b29, w7); s10 += dot(b29, w8);
        let b30 = subgroupShuffle(v[30u / SUBGROUP], 30u % SUBGROUP);
        s33 += dot(b30, w0); s32 += dot(b30, w1); s31 += dot(b30, w2);
        s23 += dot(b30, w3); s22 += dot(b30, w4); s21 += dot(b30, w5);
        s13 += dot(b30, w6); s12 += dot(b30, w7); s11 += dot(b30, w8);
        let b31 = subgroupShuffle(v[31u / SUBGROUP], 31u % SUBGROUP);
        s34 += dot(b31, w0); s33 += dot(b31, w1); s32 += dot(b31, w2);
        s24 += dot(b31, w3); s23 += dot(b31, w4); s22 += dot(b31, w5);
        s14 += dot(b31, w6); s13 += dot(b31, w7); s12 += dot(b31, w8);
        let b32 = subgroupShuffle(v[32u / SUBGROUP], 32u % SUBGROUP);
        s35 += dot(b32, w0); s34 += dot(b32, w1); s33 += dot(b32, w2);
        s25 += dot(b32, w3); s24 += dot(b32, w4); s23 += dot(b32, w5);
        s15 += dot(b32, w6); s14 += dot(b32, w7); s13 += dot(b32, w8);
        let b33 = subgroupShuffle(v[33u / SUBGROUP], 33u % SUBGROUP);
        s36 += dot(b33, w0); s35 += dot(b33, w1); s34 += dot(b33, w2);
        s26 += dot(b33, w3); s25 += dot(b33, w4); s24 += dot(b33, w5);
        s16 += dot(b33, w6); s15 += dot(b33, w7); s14 += dot(b33, w8);
        let b34 = subgroupShuffle(v[34u / SUBGROUP], 34u % SUBGROUP);
        s36 += dot(b34, w1); s35 += dot(b34, w2); s26 += dot(b34, w4);
        s25 += dot(b34, w5); s16 += dot(b34, w7); s15 += dot(b34, w8);
        let b35 = subgroupShuffle(v[35u / SUBGROUP], 35u % SUBGROUP);
        s36 += dot(b35, w2); s26 += dot(b35, w5); s16 += dot(b35, w8);
        let b36 = subgroupShuffle(v[36u / SUBGROUP], 36u % SUBGROUP);
        s30 += dot(b36, w3); s20 += dot(b36, w6);
        let b37 = subgroupShuffle(v[37u / SUBGROUP], 37u % SUBGROUP);
        s31 += dot(b37, w3); s30 += dot(b37, w4); s21 += dot(b37, w6);
        s20 += dot(b37, w7);
        let b38 = subgroupShuffle(v[38u / SUBGROUP], 38u % SUBGROUP);
        s32 += dot(b38, w3); s31 += dot(b38, w4); s30 += dot(b38, w5);
        s22 += dot(b38, w6); s21 += dot(b38, w7); s20 += dot(b38, w8);
        let b39 = subgroupShuffle(v[39u / SUBGROUP], 39u % SUBGROUP);
        s33 += dot(b39, w3); s32 += dot(b39, w4); s31 += dot(b39, w5);
        s23 += dot(b39, w6); s22 += dot(b39, w7); s21 += dot(b39, w8);
        let b40 = subgroupShuffle(v[40u / SUBGROUP], 40u % SUBGROUP);
        s34 += dot(b40, w3); s33 += dot(b40, w4); s32 += dot(b40, w5);
        s24 += dot(b40, w6); s23 += dot(b40, w7); s22 += dot(b40, w8);
        let b41 = subgroupShuffle(v[41u / SUBGROUP], 41u % SUBGROUP);
        s35 += dot(b41, w3); s34 += dot(b41, w4); s33 += dot(b41, w5);
        s25 += dot(b41, w6); s24 += dot(b41, w7); s23 += dot(b41, w8);
        let b42 = subgroupShuffle(v[42u / SUBGROUP], 42u % SUBGROUP);
        s36 += dot(b42, w3); s35 += dot(b42, w4); s34 += dot(b42, w5);
        s26 += dot(b42, w6); s25 += dot(b42, w7); s24 += dot(b42, w8);
        let b43 = subgroupShuffle(v[43u / SUBGROUP], 43u % SUBGROUP);
        s36 += dot(b43, w4); s35 += dot(b43, w5); s26 += dot(b43, w7);
        s25 += dot(b43, w8);
        let b44 = subgroupShuffle(v[44u / SUBGROUP], 44u % SUBGROUP);
        s36 += dot(b44, w5); s26 += dot(b44, w8);
        let b45 = subgroupShuffle(v[45u / SUBGROUP], 45u % SUBGROUP);
        s30 += dot(b45, w6);
        let b46 = subgroupShuffle(v[46u / SUBGROUP], 46u % SUBGROUP);
        s31 += dot(b46, w6); s30 += dot(b46, w7);
        let b47 = subgroupShuffle(v[47u / SUBGROUP], 47u % SUBGROUP);
        s32 += dot(b47, w6); s31 += dot(b47, w7); s30 += dot(b47, w8);
        let b48 = subgroupShuffle(v[48u / SUBGROUP], 48u % SUBGROUP);
        s33 += dot(b48, w6); s32 += dot(b48, w7); s31 += dot(b48, w8);
        let b49 = subgroupShuffle(v[49u / SUBGROUP], 49u % SUBGROUP);
        s34 += dot(b49, w6); s33 += dot(b49, w7); s32 += dot(b49, w8);
        let b50 = subgroupShuffle(v[50u / SUBGROUP], 50u % SUBGROUP);
        s35 += dot(b50, w6); s34 += dot(b50, w7); s33 += dot(b50, w8);
        let b51 = subgroupShuffle(v[51u / SUBGROUP], 51u % SUBGROUP);
        s36 += dot(b51, w6); s35 += dot(b51, w7); s34 += dot(b51, w8);
        let b52 = subgroupShuffle(v[52u / SUBGROUP], 52u % SUBGROUP);
        s36 += dot(b52, w7); s35 += dot(b52, w8);
        let b53 = subgroupShuffle(v[53u / SUBGROUP], 53u % SUBGROUP);
        s36 += dot(b53, w8);
        w_at += 72;
        x_at += plane;
    }

    var tile: array<vec4<f32>, 7>;
    tile[0] = transpose(vec4<f32>(s00, s10, s20, s30), local.x);
    tile[1] = transpose(vec4<f32>(s01, s11, s21, s31), local.x);
    tile[2] = transpose(vec4<f32>(s02, s12, s22, s32), local.x);
    tile[3] = transpose(vec4<f32>(s03, s13, s23, s33), local.x);
    tile[4] = transpose(vec4<f32>(s04, s14, s24, s34), local.x);
    tile[5] = transpose(vec4<f32>(s05, s15, s25, s35), local.x);
    tile[6] = transpose(vec4<f32>(s06, s16, s26, s36), local.x);
    let block = first / 4 + (lane >> 2u);
    let row = top + (lane & 3);
    let masked = p.epilogue == EPILOGUE_MASK || p.epilogue == EPILOGUE_MASK_GUIDED;
    let rectified = p.epilogue == EPILOGUE_BIAS_RELU || p.epilogue == EPILOGUE_MASK_GUIDED
        || p.epilogue == EPILOGUE_MASK_DECONV;
    let inside = row < p.h && block < p.out_blocks;
    var bias = vec4<f32>();
    if inside && (p.epilogue == EPILOGUE_BIAS || p.epilogue == EPILOGUE_BIAS_RELU) {
        bias = extra[block];
    }
    let at = block * plane + row * p.w + left;
    let act = n / p.sharing * p.out_blocks * plane + at;
    let columns = select(0, min(p.columns, p.w - left), inside);
    let low = vec4<f32>(p.low);
    let high = vec4<f32>(p.high);
    for (var k = 0; k < columns; k++) {
        var value = tile[k] + bias;
        if masked {
            let passes = (extra[act + k] > low) & (extra[act + k] < high);
            value = select(vec4<f32>(), value, passes);
        }
        if rectified {
            value = max(value, vec4<f32>());
        }
        y[n * p.out_blocks * plane + at + k] = value;
    }
}
