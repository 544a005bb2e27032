// Convolution 3x3, stride 1, one zero on every side, for software adapters whose subgroup is 8 invocations.
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
// A workgroup is one subgroup and makes 8 outputs of a tile of 4 rows x 7 columns (7 divides every width of VGG); an
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
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

const ZERO: i32 = 0;
const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// Component `k` of `v`, `k` differing between lanes.
fn pick(v: vec4<f32>, k: u32) -> f32 {
    return select(select(v.x, v.y, k == 1u), select(v.z, v.w, k == 3u), k >= 2u);
}

// In: one vec4 a lane (lane = output, component = row). Out: lane = (output / 4, row), component = output % 4.
fn transpose(v: vec4<f32>, lane: u32) -> vec4<f32> {
    let quad = lane & 4u;
    let k = lane & 3u;
    return vec4<f32>(
        pick(subgroupShuffle(v, quad), k),
        pick(subgroupShuffle(v, quad + 1u), k),
        pick(subgroupShuffle(v, quad + 2u), k),
        pick(subgroupShuffle(v, quad + 3u), k),
    );
}

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let eights = (p.out_blocks + 1) / 2;
    let n = i32(group.z) / eights;
    let eight = i32(group.z) % eights;
    let left = i32(group.x) * 7;
    let top = i32(group.y) * 4;
    let plane = p.h * p.w;
    var w_at = eight * p.in_blocks * 72 + lane;
    var x_at = IMAGE_ROW + n * p.in_blocks * plane;

    // The tile's 54 inputs, row by row: load j brings inputs 8 j to 8 j + 7, one a lane.
    let r0 = top - 1 + lane / 9;
    let c0 = left - 1 + lane % 9;
    let in0 = r0 >= 0 && r0 < p.h && c0 >= 0 && c0 < p.w;
    let p0 = r0 * p.w + c0;
    let r1 = top - 1 + (lane + 8) / 9;
    let c1 = left - 1 + (lane + 8) % 9;
    let in1 = r1 >= 0 && r1 < p.h && c1 >= 0 && c1 < p.w;
    let p1 = r1 * p.w + c1;
    let r2 = top - 1 + (lane + 16) / 9;
    let c2 = left - 1 + (lane + 16) % 9;
    let in2 = r2 >= 0 && r2 < p.h && c2 >= 0 && c2 < p.w;
    let p2 = r2 * p.w + c2;
    let r3 = top - 1 + (lane + 24) / 9;
    let c3 = left - 1 + (lane + 24) % 9;
    let in3 = r3 >= 0 && r3 < p.h && c3 >= 0 && c3 < p.w;
    let p3 = r3 * p.w + c3;
    let r4 = top - 1 + (lane + 32) / 9;
    let c4 = left - 1 + (lane + 32) % 9;
    let in4 = r4 >= 0 && r4 < p.h && c4 >= 0 && c4 < p.w;
    let p4 = r4 * p.w + c4;
    let r5 = top - 1 + (lane + 40) / 9;
    let c5 = left - 1 + (lane + 40) % 9;
    let in5 = r5 >= 0 && r5 < p.h && c5 >= 0 && c5 < p.w;
    let p5 = r5 * p.w + c5;
    let r6 = top - 1 + (lane + 48) / 9;
    let c6 = left - 1 + (lane + 48) % 9;
    let in6 = r6 >= 0 && r6 < p.h && c6 >= 0 && c6 < p.w;
    let p6 = r6 * p.w + c6;

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
        let x0 = textureLoad(x, place(select(ZERO, x_at + p0, in0)));
        let x1 = textureLoad(x, place(select(ZERO, x_at + p1, in1)));
        let x2 = textureLoad(x, place(select(ZERO, x_at + p2, in2)));
        let x3 = textureLoad(x, place(select(ZERO, x_at + p3, in3)));
        let x4 = textureLoad(x, place(select(ZERO, x_at + p4, in4)));
        let x5 = textureLoad(x, place(select(ZERO, x_at + p5, in5)));
        let x6 = textureLoad(x, place(select(ZERO, x_at + p6, in6)));
        let b0 = subgroupShuffle(x0, 0u);
        s00 += dot(b0, w0);
        let b1 = subgroupShuffle(x0, 1u);
        s01 += dot(b1, w0); s00 += dot(b1, w1);
        let b2 = subgroupShuffle(x0, 2u);
        s02 += dot(b2, w0); s01 += dot(b2, w1); s00 += dot(b2, w2);
        let b3 = subgroupShuffle(x0, 3u);
        s03 += dot(b3, w0); s02 += dot(b3, w1); s01 += dot(b3, w2);
        let b4 = subgroupShuffle(x0, 4u);
        s04 += dot(b4, w0); s03 += dot(b4, w1); s02 += dot(b4, w2);
        let b5 = subgroupShuffle(x0, 5u);
        s05 += dot(b5, w0); s04 += dot(b5, w1); s03 += dot(b5, w2);
        let b6 = subgroupShuffle(x0, 6u);
        s06 += dot(b6, w0); s05 += dot(b6, w1); s04 += dot(b6, w2);
        let b7 = subgroupShuffle(x0, 7u);
        s06 += dot(b7, w1); s05 += dot(b7, w2);
        let b8 = subgroupShuffle(x1, 0u);
        s06 += dot(b8, w2);
        let b9 = subgroupShuffle(x1, 1u);
        s10 += dot(b9, w0); s00 += dot(b9, w3);
        let b10 = subgroupShuffle(x1, 2u);
        s11 += dot(b10, w0); s10 += dot(b10, w1); s01 += dot(b10, w3);
        s00 += dot(b10, w4);
        let b11 = subgroupShuffle(x1, 3u);
        s12 += dot(b11, w0); s11 += dot(b11, w1); s10 += dot(b11, w2);
        s02 += dot(b11, w3); s01 += dot(b11, w4); s00 += dot(b11, w5);
        let b12 = subgroupShuffle(x1, 4u);
        s13 += dot(b12, w0); s12 += dot(b12, w1); s11 += dot(b12, w2);
        s03 += dot(b12, w3); s02 += dot(b12, w4); s01 += dot(b12, w5);
        let b13 = subgroupShuffle(x1, 5u);
        s14 += dot(b13, w0); s13 += dot(b13, w1); s12 += dot(b13, w2);
        s04 += dot(b13, w3); s03 += dot(b13, w4); s02 += dot(b13, w5);
        let b14 = subgroupShuffle(x1, 6u);
        s15 += dot(b14, w0); s14 += dot(b14, w1); s13 += dot(b14, w2);
        s05 += dot(b14, w3); s04 += dot(b14, w4); s03 += dot(b14, w5);
        let b15 = subgroupShuffle(x1, 7u);
        s16 += dot(b15, w0); s15 += dot(b15, w1); s14 += dot(b15, w2);
        s06 += dot(b15, w3); s05 += dot(b15, w4); s04 += dot(b15, w5);
        let b16 = subgroupShuffle(x2, 0u);
        s16 += dot(b16, w1); s15 += dot(b16, w2); s06 += dot(b16, w4);
        s05 += dot(b16, w5);
        let b17 = subgroupShuffle(x2, 1u);
        s16 += dot(b17, w2); s06 += dot(b17, w5);
        let b18 = subgroupShuffle(x2, 2u);
        s20 += dot(b18, w0); s10 += dot(b18, w3); s00 += dot(b18, w6);
        let b19 = subgroupShuffle(x2, 3u);
        s21 += dot(b19, w0); s20 += dot(b19, w1); s11 += dot(b19, w3);
        s10 += dot(b19, w4); s01 += dot(b19, w6); s00 += dot(b19, w7);
        let b20 = subgroupShuffle(x2, 4u);
        s22 += dot(b20, w0); s21 += dot(b20, w1); s20 += dot(b20, w2);
        s12 += dot(b20, w3); s11 += dot(b20, w4); s10 += dot(b20, w5);
        s02 += dot(b20, w6); s01 += dot(b20, w7); s00 += dot(b20, w8);
        let b21 = subgroupShuffle(x2, 5u);
        s23 += dot(b21, w0); s22 += dot(b21, w1); s21 += dot(b21, w2);
        s13 += dot(b21, w3); s12 += dot(b21, w4); s11 += dot(b21, w5);
        s03 += dot(b21, w6); s02 += dot(b21, w7); s01 += dot(b21, w8);
        let b22 = subgroupShuffle(x2, 6u);
        s24 += dot(b22, w0); s23 += dot(b22, w1); s22 += dot(b22, w2);
        s14 += dot(b22, w3); s13 += dot(b22, w4); s12 += dot(b22, w5);
        s04 += dot(b22, w6); s03 += dot(b22, w7); s02 += dot(b22, w8);
        let b23 = subgroupShuffle(x2, 7u);
        s25 += dot(b23, w0); s24 += dot(b23, w1); s23 += dot(b23, w2);
        s15 += dot(b23, w3); s14 += dot(b23, w4); s13 += dot(b23, w5);
        s05 += dot(b23, w6); s04 += dot(b23, w7); s03 += dot(b23, w8);
        let b24 = subgroupShuffle(x3, 0u);
        s26 += dot(b24, w0); s25 += dot(b24, w1); s24 += dot(b24, w2);
        s16 += dot(b24, w3); s15 += dot(b24, w4); s14 += dot(b24, w5);
        s06 += dot(b24, w6); s05 += dot(b24, w7); s04 += dot(b24, w8);
        let b25 = subgroupShuffle(x3, 1u);
        s26 += dot(b25, w1); s25 += dot(b25, w2); s16 += dot(b25, w4);
        s15 += dot(b25, w5); s06 += dot(b25, w7); s05 += dot(b25, w8);
        let b26 = subgroupShuffle(x3, 2u);
        s26 += dot(b26, w2); s16 += dot(b26, w5); s06 += dot(b26, w8);
        let b27 = subgroupShuffle(x3, 3u);
        s30 += dot(b27, w0); s20 += dot(b27, w3); s10 += dot(b27, w6);
        let b28 = subgroupShuffle(x3, 4u);
        s31 += dot(b28, w0); s30 += dot(b28, w1); s21 += dot(b28, w3);
        s20 += dot(b28, w4); s11 += dot(b28, w6); s10 += dot(b28, w7);
        let b29 = subgroupShuffle(x3, 5u);
        s32 += dot(b29, w0); s31 += dot(b29, w1); s30 += dot(b29, w2);
        s22 += dot(b29, w3); s21 += dot(b29, w4); s20 += dot(b29, w5);
        s12 += dot(b29, w6); s11 += dot(b29, w7); s10 += dot(b29, w8);
        let b30 = subgroupShuffle(x3, 6u);
        s33 += dot(b30, w0); s32 += dot(b30, w1); s31 += dot(b30, w2);
        s23 += dot(b30, w3); s22 += dot(b30, w4); s21 += dot(b30, w5);
        s13 += dot(b30, w6); s12 += dot(b30, w7); s11 += dot(b30, w8);
        let b31 = subgroupShuffle(x3, 7u);
        s34 += dot(b31, w0); s33 += dot(b31, w1); s32 += dot(b31, w2);
        s24 += dot(b31, w3); s23 += dot(b31, w4); s22 += dot(b31, w5);
        s14 += dot(b31, w6); s13 += dot(b31, w7); s12 += dot(b31, w8);
        let b32 = subgroupShuffle(x4, 0u);
        s35 += dot(b32, w0); s34 += dot(b32, w1); s33 += dot(b32, w2);
        s25 += dot(b32, w3); s24 += dot(b32, w4); s23 += dot(b32, w5);
        s15 += dot(b32, w6); s14 += dot(b32, w7); s13 += dot(b32, w8);
        let b33 = subgroupShuffle(x4, 1u);
        s36 += dot(b33, w0); s35 += dot(b33, w1); s34 += dot(b33, w2);
        s26 += dot(b33, w3); s25 += dot(b33, w4); s24 += dot(b33, w5);
        s16 += dot(b33, w6); s15 += dot(b33, w7); s14 += dot(b33, w8);
        let b34 = subgroupShuffle(x4, 2u);
        s36 += dot(b34, w1); s35 += dot(b34, w2); s26 += dot(b34, w4);
        s25 += dot(b34, w5); s16 += dot(b34, w7); s15 += dot(b34, w8);
        let b35 = subgroupShuffle(x4, 3u);
        s36 += dot(b35, w2); s26 += dot(b35, w5); s16 += dot(b35, w8);
        let b36 = subgroupShuffle(x4, 4u);
        s30 += dot(b36, w3); s20 += dot(b36, w6);
        let b37 = subgroupShuffle(x4, 5u);
        s31 += dot(b37, w3); s30 += dot(b37, w4); s21 += dot(b37, w6);
        s20 += dot(b37, w7);
        let b38 = subgroupShuffle(x4, 6u);
        s32 += dot(b38, w3); s31 += dot(b38, w4); s30 += dot(b38, w5);
        s22 += dot(b38, w6); s21 += dot(b38, w7); s20 += dot(b38, w8);
        let b39 = subgroupShuffle(x4, 7u);
        s33 += dot(b39, w3); s32 += dot(b39, w4); s31 += dot(b39, w5);
        s23 += dot(b39, w6); s22 += dot(b39, w7); s21 += dot(b39, w8);
        let b40 = subgroupShuffle(x5, 0u);
        s34 += dot(b40, w3); s33 += dot(b40, w4); s32 += dot(b40, w5);
        s24 += dot(b40, w6); s23 += dot(b40, w7); s22 += dot(b40, w8);
        let b41 = subgroupShuffle(x5, 1u);
        s35 += dot(b41, w3); s34 += dot(b41, w4); s33 += dot(b41, w5);
        s25 += dot(b41, w6); s24 += dot(b41, w7); s23 += dot(b41, w8);
        let b42 = subgroupShuffle(x5, 2u);
        s36 += dot(b42, w3); s35 += dot(b42, w4); s34 += dot(b42, w5);
        s26 += dot(b42, w6); s25 += dot(b42, w7); s24 += dot(b42, w8);
        let b43 = subgroupShuffle(x5, 3u);
        s36 += dot(b43, w4); s35 += dot(b43, w5); s26 += dot(b43, w7);
        s25 += dot(b43, w8);
        let b44 = subgroupShuffle(x5, 4u);
        s36 += dot(b44, w5); s26 += dot(b44, w8);
        let b45 = subgroupShuffle(x5, 5u);
        s30 += dot(b45, w6);
        let b46 = subgroupShuffle(x5, 6u);
        s31 += dot(b46, w6); s30 += dot(b46, w7);
        let b47 = subgroupShuffle(x5, 7u);
        s32 += dot(b47, w6); s31 += dot(b47, w7); s30 += dot(b47, w8);
        let b48 = subgroupShuffle(x6, 0u);
        s33 += dot(b48, w6); s32 += dot(b48, w7); s31 += dot(b48, w8);
        let b49 = subgroupShuffle(x6, 1u);
        s34 += dot(b49, w6); s33 += dot(b49, w7); s32 += dot(b49, w8);
        let b50 = subgroupShuffle(x6, 2u);
        s35 += dot(b50, w6); s34 += dot(b50, w7); s33 += dot(b50, w8);
        let b51 = subgroupShuffle(x6, 3u);
        s36 += dot(b51, w6); s35 += dot(b51, w7); s34 += dot(b51, w8);
        let b52 = subgroupShuffle(x6, 4u);
        s36 += dot(b52, w7); s35 += dot(b52, w8);
        let b53 = subgroupShuffle(x6, 5u);
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
    let block = eight * 2 + (lane >> 2u);
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
    for (var k = 0; k < columns; k++) {
        var value = tile[k] + bias;
        if masked {
            value = select(vec4<f32>(), value, extra[act + k] > vec4<f32>());
        }
        if rectified {
            value = max(value, vec4<f32>());
        }
        y[n * p.out_blocks * plane + at + k] = value;
    }
}
