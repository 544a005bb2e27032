// Convolution (cross-correlation) by any window, for software adapters whose subgroup is 4, 8 or 16 invocations.
//
//   y[n, o, r, c] = end(sum over i, kr, kc of w[o, i, kr, kc] * x[n, i, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise; a tap outside x, or between the rows and columns that
//   `up` spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the
//   filters turned by 180 degrees and their channels swapped, stride 1 and up = the layer's stride.
//
// y: N x out_blocks x out_h x out_w, each element four channels (NC4HW4). extra: by `epilogue`, the bias (out_blocks) or the
// activations in y's shape, one image's for `sharing` n. other: in y's shape.
// x and w are read through images of 4096 texels a row, since Mesa's software adapter loads from an image in a quarter
// of the time that it takes from a storage buffer. x: a row of zeros, then N x in_blocks x in_h x in_w as they lie in their
// buffer. w: [out / 32][tap][in_blocks][out % 32] texels of four inputs each.
//
// A workgroup is one subgroup and makes a block of four outputs an invocation of 16 positions, counted through all images.
// An invocation loads the 4 x 4 weights of its own block; the positions' inputs are spread over the invocations and handed
// round by shuffles from literal lanes. Inputs outside x read the zeros; outputs outside y are not written.
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
    low: f32, // bounds of EPILOGUE_BIAS_CLIP
    high: f32,
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;
const EPILOGUE_BIAS_CLIP: u32 = 6u;

// Invocations of a subgroup, and of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

const ACTIVATION_SILU: u32 = 4u;
const ACTIVATION_HARD_SWISH: u32 = 6u;
// One of those after the bias, or none of them.
override ACTIVATION: u32;
// Whether `other` is added before that.
override ADDED: u32;
// Whether the epilogue is a mask by `extra`: in a kernel without, none is looked at. This adapter runs both sides of a branch.
override MASKED: u32;

const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<f32>>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// `at` over `by`, rounded down, both above zero: this adapter divides whole numbers one invocation after the other. The quotient of
// the floats is at most one off.
fn over(at: i32, by: i32) -> i32 {
    let quotient = i32(f32(at) / f32(by));
    let rest = at - quotient * by;
    return quotient + select(0, 1, rest >= by) - select(0, 1, rest < 0);
}

// A position: its image, and row and column of its first tap.
struct Position {
    n: i32,
    tap: vec2<i32>,
}

// Position `q` of all, or the last.
fn position(q: i32) -> Position {
    let plane = p.out_h * p.out_w;
    let n = over(min(q, p.count - 1), plane);
    let at = min(q, p.count - 1) - n * plane;
    let row = over(at, p.out_w);
    let steps = vec2<i32>(p.stride_h, p.stride_w);
    return Position(n, vec2<i32>(row, at - row * p.out_w) * steps - vec2<i32>(p.pad_h, p.pad_w));
}

// The first block's texel at the place of a tap, `tap` away from a position's first, or that of the zeros.
fn texel(position: Position, tap: vec2<i32>) -> i32 {
    let up = vec2<i32>(p.up_h, p.up_w);
    let spread = position.tap + tap;
    // By way of floats, as above; exact below 2^20, rounded down below zero.
    let at = vec2<i32>(floor((vec2<f32>(spread) + 0.5) / vec2<f32>(up)));
    let inside = spread.x >= 0 && spread.y >= 0 && at.x < p.in_h && at.y < p.in_w && all(at * up == spread);
    return select(0, IMAGE_ROW + (position.n * p.in_blocks * p.in_h + at.x) * p.in_w + at.y, inside);
}

// Where the next output of an invocation goes, image and place there, which are counted on, and what all of them have in common.
var<private> next_n: i32;
var<private> next_at: i32;
var<private> bias: vec4<f32>;

// Before the first of an invocation's outputs, those from `first` on, is stored.
fn begin(first: i32, block: i32) {
    let plane = p.out_h * p.out_w;
    next_n = over(first, plane);
    next_at = first - next_n * plane;
    bias = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS, EPILOGUE_BIAS_RELU, EPILOGUE_BIAS_CLIP: { bias = extra[min(block, p.out_blocks - 1)]; }
        default: {}
    }
}

fn store(q: i32, block: i32, value: vec4<f32>) {
    let plane = p.out_h * p.out_w;
    let image = p.out_blocks * plane;
    let n = next_n;
    let at = block * plane + next_at;
    let wraps = next_at + 1 == plane;
    next_at = select(next_at + 1, 0, wraps);
    next_n += select(0, 1, wraps);
    if q >= p.count || block >= p.out_blocks {
        return;
    }
    let zero = vec4<f32>();
    let here = n * image + at;
    var end = value + bias;
    if ADDED != 0u {
        end += other[here];
    }
    if ACTIVATION == ACTIVATION_SILU {
        let e = exp(-abs(end));
        end *= select(e, vec4<f32>(1.0), end > zero) / (1.0 + e);
    }
    if ACTIVATION == ACTIVATION_HARD_SWISH {
        end *= clamp(end / 6.0 + 0.5, zero, vec4<f32>(1.0));
    }
    switch p.epilogue {
        case EPILOGUE_BIAS_RELU, EPILOGUE_MASK_DECONV, EPILOGUE_MASK_GUIDED: { end = max(end, zero); }
        case EPILOGUE_BIAS_CLIP: { end = clamp(end, vec4<f32>(p.low), vec4<f32>(p.high)); }
        default: {}
    }
    if MASKED != 0u {
        end = select(zero, end, extra[over(n, p.sharing) * image + at] > zero);
    }
    y[here] = end;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = i32(local.x);
    let first = i32(group.x) * 16;
    let block = i32(group.y) * i32(SUBGROUP) + lane;
    let in_plane = p.in_h * p.in_w;
    // The positions whose inputs this invocation loads: position k of the workgroup's is element k / SUBGROUP of invocation
    // k % SUBGROUP.
    var positions: array<Position, 4>;
    positions[0] = position(first + lane);
    if SUBGROUP <= 8u {
        positions[1] = position(first + lane + 1 * i32(SUBGROUP));
    }
    if SUBGROUP == 4u {
        positions[2] = position(first + lane + 2 * i32(SUBGROUP));
        positions[3] = position(first + lane + 3 * i32(SUBGROUP));
    }
    // Blocks past the last eight read that one's weights, and are not written.
    let eight = min(block / 8, (p.out_blocks + 7) / 8 - 1);
    var w_at = (eight * p.taps_h * p.taps_w * p.in_blocks * 8 + block % 8) * 4;
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
    // One loop over rows and columns of taps: what a loop keeps, this adapter stores and loads each time round.
    var kr = 0;
    var kc = 0;
    while kr < p.taps_h {
        let tap = vec2<i32>(kr * p.dilation_h, kc * p.dilation_w);
        let wraps = kc + 1 == p.taps_w;
        kr += select(0, 1, wraps);
        kc = select(kc + 1, 0, wraps);
        // Outside the same zero for all blocks.
        var at: array<i32, 4>;
        var step: array<i32, 4>;
        at[0] = texel(positions[0], tap);
        step[0] = select(in_plane, 0, at[0] == 0);
        if SUBGROUP <= 8u {
            at[1] = texel(positions[1], tap);
            step[1] = select(in_plane, 0, at[1] == 0);
        }
        if SUBGROUP == 4u {
            at[2] = texel(positions[2], tap);
            step[2] = select(in_plane, 0, at[2] == 0);
            at[3] = texel(positions[3], tap);
            step[3] = select(in_plane, 0, at[3] == 0);
        }
        for (var k = 0; k < p.in_blocks; k++) {
            let weights = mat4x4<f32>(
                textureLoad(w, place(w_at)),
                textureLoad(w, place(w_at + 1)),
                textureLoad(w, place(w_at + 2)),
                textureLoad(w, place(w_at + 3)),
            );
            var v: array<vec4<f32>, 4>;
            v[0] = textureLoad(x, place(at[0]));
            at[0] += step[0];
            if SUBGROUP <= 8u {
                v[1] = textureLoad(x, place(at[1]));
                at[1] += step[1];
            }
            if SUBGROUP == 4u {
                v[2] = textureLoad(x, place(at[2]));
                at[2] += step[2];
                v[3] = textureLoad(x, place(at[3]));
                at[3] += step[3];
            }
            s0 += subgroupShuffle(v[0u / SUBGROUP], 0u % SUBGROUP) * weights;
            s1 += subgroupShuffle(v[1u / SUBGROUP], 1u % SUBGROUP) * weights;
            s2 += subgroupShuffle(v[2u / SUBGROUP], 2u % SUBGROUP) * weights;
            s3 += subgroupShuffle(v[3u / SUBGROUP], 3u % SUBGROUP) * weights;
            s4 += subgroupShuffle(v[4u / SUBGROUP], 4u % SUBGROUP) * weights;
            s5 += subgroupShuffle(v[5u / SUBGROUP], 5u % SUBGROUP) * weights;
            s6 += subgroupShuffle(v[6u / SUBGROUP], 6u % SUBGROUP) * weights;
            s7 += subgroupShuffle(v[7u / SUBGROUP], 7u % SUBGROUP) * weights;
            s8 += subgroupShuffle(v[8u / SUBGROUP], 8u % SUBGROUP) * weights;
            s9 += subgroupShuffle(v[9u / SUBGROUP], 9u % SUBGROUP) * weights;
            s10 += subgroupShuffle(v[10u / SUBGROUP], 10u % SUBGROUP) * weights;
            s11 += subgroupShuffle(v[11u / SUBGROUP], 11u % SUBGROUP) * weights;
            s12 += subgroupShuffle(v[12u / SUBGROUP], 12u % SUBGROUP) * weights;
            s13 += subgroupShuffle(v[13u / SUBGROUP], 13u % SUBGROUP) * weights;
            s14 += subgroupShuffle(v[14u / SUBGROUP], 14u % SUBGROUP) * weights;
            s15 += subgroupShuffle(v[15u / SUBGROUP], 15u % SUBGROUP) * weights;
            w_at += 32;
        }
    }
    begin(first, block);
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
