// Convolution (cross-correlation) by any window, for software adapters whose subgroup is 8 invocations.
//
//   y[n, o, r, c] = end(sum over i, kr, kc of w[o, i, kr, kc] * x[n, i, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise; a tap outside x, or between the rows and columns that
//   `up` spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the
//   filters turned by 180 degrees and their channels swapped, stride 1 and up = the layer's stride.
//
// y: N x out_blocks x out_h x out_w, each element four channels (NC4HW4). extra: by `epilogue`, the bias (out_blocks) or the
// activations in y's shape, one image's for `sharing` n.
// x and w are read through images of 4096 texels a row, since Mesa's software adapter loads from an image in a quarter
// of the time that it takes from a storage buffer. x: a row of zeros, then N x in_blocks x in_h x in_w as they lie in their
// buffer. w: [out / 32][tap][in_blocks][out % 32] texels of four inputs each.
//
// A workgroup is one subgroup and makes 32 outputs (a block of four an invocation) of 16 positions, counted through all images.
// An invocation loads the 4 x 4 weights of its own block; the positions' inputs are spread over the invocations, two each, and
// handed round by shuffles from literal lanes. Inputs outside x read the zeros; outputs outside y are not written.
// CPU twin: conv2d in tests/common/twins.rs.

struct Params {
    in_blocks: i32,
    in_h: i32,
    in_w: i32,
    out_blocks: i32,
    out_h: i32,
    out_w: i32,
    taps_h: i32,
    taps_w: i32,
    stride_h: i32,
    stride_w: i32,
    pad_h: i32,
    pad_w: i32,
    dilation_h: i32,
    dilation_w: i32,
    up_h: i32,
    up_w: i32,
    count: i32, // positions of all images: N * out_h * out_w
    epilogue: u32,
    sharing: i32, // n of an image
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

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

// Row and column of the first tap for a position of an image.
fn first_tap(position: i32) -> vec2<i32> {
    let row = position / p.out_w;
    return vec2<i32>(row, position - row * p.out_w) * vec2<i32>(p.stride_h, p.stride_w) - vec2<i32>(p.pad_h, p.pad_w);
}

// The first block's texel at a tap's place in image n, or -1 where there is nothing.
fn texel(n: i32, tap: vec2<i32>) -> i32 {
    let up = vec2<i32>(p.up_h, p.up_w);
    let at = tap / up;
    let inside = tap.x >= 0 && tap.y >= 0 && at.x < p.in_h && at.y < p.in_w && all(at * up == tap);
    return select(-1, IMAGE_ROW + (n * p.in_blocks * p.in_h + at.x) * p.in_w + at.y, inside);
}

fn store(q: i32, block: i32, value: vec4<f32>) {
    if q >= p.count || block >= p.out_blocks {
        return;
    }
    let zero = vec4<f32>();
    let plane = p.out_h * p.out_w;
    let n = q / plane;
    let at = block * plane + q - n * plane;
    let image = p.out_blocks * plane;
    let act = n / p.sharing * image + at;
    var end = value;
    switch p.epilogue {
        case EPILOGUE_BIAS: { end = value + extra[block]; }
        case EPILOGUE_BIAS_RELU: { end = max(value + extra[block], zero); }
        case EPILOGUE_MASK: { end = select(zero, value, extra[act] > zero); }
        case EPILOGUE_MASK_GUIDED: { end = select(zero, max(value, zero), extra[act] > zero); }
        case EPILOGUE_MASK_DECONV: { end = max(value, zero); }
        default: {}
    }
    y[n * image + at] = end;
}

@compute @workgroup_size(8)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let first = i32(group.x) * 16;
    let block = i32(group.y) * 8 + lane;
    let in_plane = p.in_h * p.in_w;
    let out_plane = p.out_h * p.out_w;
    // The positions whose inputs this invocation loads.
    let q0 = min(first + lane, p.count - 1);
    let q1 = min(first + 8 + lane, p.count - 1);
    let n0 = q0 / out_plane;
    let n1 = q1 / out_plane;
    let tap0 = first_tap(q0 - n0 * out_plane);
    let tap1 = first_tap(q1 - n1 * out_plane);
    var w_at = i32(group.y) * p.taps_h * p.taps_w * p.in_blocks * 32 + lane * 4;
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
    for (var kr = 0; kr < p.taps_h; kr++) {
        for (var kc = 0; kc < p.taps_w; kc++) {
            let tap = vec2<i32>(kr * p.dilation_h, kc * p.dilation_w);
            let texel0 = texel(n0, tap0 + tap);
            let texel1 = texel(n1, tap1 + tap);
            var at0 = max(texel0, 0);
            var at1 = max(texel1, 0);
            // Outside the same zero for all blocks.
            let step0 = select(in_plane, 0, texel0 < 0);
            let step1 = select(in_plane, 0, texel1 < 0);
            for (var k = 0; k < p.in_blocks; k++) {
                let weights = mat4x4<f32>(
                    textureLoad(w, place(w_at)),
                    textureLoad(w, place(w_at + 1)),
                    textureLoad(w, place(w_at + 2)),
                    textureLoad(w, place(w_at + 3)),
                );
                let v0 = textureLoad(x, place(at0));
                let v1 = textureLoad(x, place(at1));
                s0 += subgroupShuffle(v0, 0u) * weights;
                s1 += subgroupShuffle(v0, 1u) * weights;
                s2 += subgroupShuffle(v0, 2u) * weights;
                s3 += subgroupShuffle(v0, 3u) * weights;
                s4 += subgroupShuffle(v0, 4u) * weights;
                s5 += subgroupShuffle(v0, 5u) * weights;
                s6 += subgroupShuffle(v0, 6u) * weights;
                s7 += subgroupShuffle(v0, 7u) * weights;
                s8 += subgroupShuffle(v1, 0u) * weights;
                s9 += subgroupShuffle(v1, 1u) * weights;
                s10 += subgroupShuffle(v1, 2u) * weights;
                s11 += subgroupShuffle(v1, 3u) * weights;
                s12 += subgroupShuffle(v1, 4u) * weights;
                s13 += subgroupShuffle(v1, 5u) * weights;
                s14 += subgroupShuffle(v1, 6u) * weights;
                s15 += subgroupShuffle(v1, 7u) * weights;
                w_at += 32;
                at0 += step0;
                at1 += step1;
            }
        }
    }
    store(first + 0, block, s0);
    store(first + 1, block, s1);
    store(first + 2, block, s2);
    store(first + 3, block, s3);
    store(first + 4, block, s4);
    store(first + 5, block, s5);
    store(first + 6, block, s6);
    store(first + 7, block, s7);
    store(first + 8, block, s8);
    store(first + 9, block, s9);
    store(first + 10, block, s10);
    store(first + 11, block, s11);
    store(first + 12, block, s12);
    store(first + 13, block, s13);
    store(first + 14, block, s14);
    store(first + 15, block, s15);
}
