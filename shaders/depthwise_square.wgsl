// Depthwise convolution by windows of 3 x 3 or 5 x 5 taps, for software adapters, through images: each output channel reads the input
// channel of its own number.
//
//   y[n, c, r, q] = end(sum over kr, kc of w[c, kr, kc] * x[n, c, r * STRIDE - pad + kr, q * STRIDE - pad + kc]), zero outside x
//
// With the filters turned by 180 degrees it is the input gradient of a layer of stride 1 as well.
//
// y: N x blocks x out_h x out_w, four channels an element. extra: by `epilogue`, the bias (blocks) or activations in y's shape, one
// image's for `sharing` n. x and w are read through images of 4096 texels a row. x: a row of zeros, then N x blocks x in_h x in_w
// as they lie in their buffer; taps outside read the zeros. w: blocks x taps texels of four channels.
//
// A workgroup is one subgroup and makes 4 columns x 14 rows of a block for each invocation, row after row: a load takes as long as
// twenty products, so each input is loaded once and given to all outputs of its columns, whose sums wait for the rows below. Rows,
// columns and blocks outside y are not written. CPU twin: conv2d in tests/common/twins.rs.

struct Params {
    blocks: i32,
    in_h: i32,
    in_w: i32,
    out_h: i32,
    out_w: i32,
    pad_h: i32,
    pad_w: i32,
    epilogue: u32,
    sharing: i32, // n of an image
    low: f32, // bounds of EPILOGUE_BIAS_CLIP, or between which a mask passes
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
// Whether the epilogue is a mask by `extra`: in a kernel without, none is looked at. This adapter runs both sides of a branch.
override MASKED: u32;
// Rows and columns of taps: 3 or 5.
override TAPS: i32;
// 1 or 2.
override STRIDE: i32;

const IMAGE_ROW: i32 = 4096;
const ROWS: i32 = 14;
const COLUMNS: i32 = 4;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Where texel `i` lies in an image.
fn place(i: i32) -> vec2<i32> {
    return vec2<i32>(i & 4095, i >> 12u);
}

// `at` over `by`, rounded down, `by` above zero: this adapter divides whole numbers one invocation after the other. The quotient of the
// floats is at most one off.
fn over(at: i32, by: i32) -> i32 {
    let quotient = i32(f32(at) / f32(by));
    let rest = at - quotient * by;
    return quotient + select(0, 1, rest >= by) - select(0, 1, rest < 0);
}

// A row of the inputs that the columns read, as many as there are: 3 and TAPS, or 6 and TAPS.
struct Row {
    c0: vec4<f32>,
    c1: vec4<f32>,
    c2: vec4<f32>,
    c3: vec4<f32>,
    c4: vec4<f32>,
    c5: vec4<f32>,
    c6: vec4<f32>,
    c7: vec4<f32>,
    c8: vec4<f32>,
    c9: vec4<f32>,
    c10: vec4<f32>,
}

// The input in a column of the row that begins with texel `start`, or zero; `inside` says whether the row is within x.
fn load(start: i32, inside: bool, col: i32, in_w: i32) -> vec4<f32> {
    // What is below zero is above all as a number without sign.
    let there = inside && u32(col) < u32(in_w);
    return textureLoad(x, place(select(0, start + col, there)));
}

fn row(plane: i32, at: i32, col: i32, in_size: vec2<i32>) -> Row {
    let inside = u32(at) < u32(in_size.x);
    let start = plane + at * in_size.y;
    var row: Row;
    row.c0 = load(start, inside, col, in_size.y);
    row.c1 = load(start, inside, col + 1, in_size.y);
    row.c2 = load(start, inside, col + 2, in_size.y);
    row.c3 = load(start, inside, col + 3, in_size.y);
    row.c4 = load(start, inside, col + 4, in_size.y);
    row.c5 = load(start, inside, col + 5, in_size.y);
    if TAPS == 5 || STRIDE == 2 {
        row.c6 = load(start, inside, col + 6, in_size.y);
        row.c7 = load(start, inside, col + 7, in_size.y);
    }
    if STRIDE == 2 {
        row.c8 = load(start, inside, col + 8, in_size.y);
    }
    if TAPS == 5 && STRIDE == 2 {
        row.c9 = load(start, inside, col + 9, in_size.y);
        row.c10 = load(start, inside, col + 10, in_size.y);
    }
    return row;
}

// What a row gives to the four columns by the row of taps that begins with `k`.
fn across(v: Row, k: i32) -> mat4x4<f32> {
    let k0 = taps[k];
    let k1 = taps[k + 1];
    let k2 = taps[k + 2];
    var sums = mat4x4<f32>(
        k0 * v.c0 + k1 * v.c1 + k2 * v.c2,
        k0 * v.c1 + k1 * v.c2 + k2 * v.c3,
        k0 * v.c2 + k1 * v.c3 + k2 * v.c4,
        k0 * v.c3 + k1 * v.c4 + k2 * v.c5,
    );
    if STRIDE == 2 {
        sums = mat4x4<f32>(
            k0 * v.c0 + k1 * v.c1 + k2 * v.c2,
            k0 * v.c2 + k1 * v.c3 + k2 * v.c4,
            k0 * v.c4 + k1 * v.c5 + k2 * v.c6,
            k0 * v.c6 + k1 * v.c7 + k2 * v.c8,
        );
    }
    if TAPS == 5 {
        let k3 = taps[k + 3];
        let k4 = taps[k + 4];
        if STRIDE == 1 {
            sums += mat4x4<f32>(
                k3 * v.c3 + k4 * v.c4,
                k3 * v.c4 + k4 * v.c5,
                k3 * v.c5 + k4 * v.c6,
                k3 * v.c6 + k4 * v.c7,
            );
        } else {
            sums += mat4x4<f32>(
                k3 * v.c3 + k4 * v.c4,
                k3 * v.c5 + k4 * v.c6,
                k3 * v.c7 + k4 * v.c8,
                k3 * v.c9 + k4 * v.c10,
            );
        }
    }
    return sums;
}

// The weights of an invocation's block, and what its outputs have in common.
var<private> taps: array<vec4<f32>, 25>;
var<private> bias: vec4<f32>;
var<private> bounds: vec2<f32>;
var<private> epilogue: u32;

// An output of block `plane` of all images, ended and stored; `act` is the element of a mask. The bias is zero where there is none.
fn store(value: vec4<f32>, here: i32, act: i32, is_there: bool) {
    if !is_there {
        return;
    }
    let zero = vec4<f32>();
    var end = value + bias;
    if ACTIVATION == ACTIVATION_SILU {
        let e = exp(-abs(end));
        end *= select(e, vec4<f32>(1.0), end > zero) / (1.0 + e);
    }
    if ACTIVATION == ACTIVATION_HARD_SWISH {
        end *= clamp(end / 6.0 + 0.5, zero, vec4<f32>(1.0));
    }
    let is_above = epilogue == EPILOGUE_BIAS_RELU || epilogue == EPILOGUE_MASK_DECONV || epilogue == EPILOGUE_MASK_GUIDED;
    end = select(end, max(end, zero), is_above);
    end = select(end, clamp(end, vec4<f32>(bounds.x), vec4<f32>(bounds.y)), epilogue == EPILOGUE_BIAS_CLIP);
    if MASKED != 0u {
        end = select(zero, end, (extra[act] > vec4<f32>(bounds.x)) & (extra[act] < vec4<f32>(bounds.y)));
    }
    y[here] = end;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let first_col = i32(group.x) * COLUMNS;
    let first_row = i32(group.y) * ROWS;
    let in_size = vec2<i32>(p.in_h, p.in_w);
    let out_size = vec2<i32>(p.out_h, p.out_w);
    let block_groups = (p.blocks + i32(SUBGROUP) - 1) / i32(SUBGROUP);
    let n = over(i32(group.z), block_groups);
    let own_block = (i32(group.z) - n * block_groups) * i32(SUBGROUP) + i32(local.x);
    // Blocks past the last read that one's, and are not written.
    let block = min(own_block, p.blocks - 1);
    let plane = n * p.blocks + block;
    let first_texel = IMAGE_ROW + plane * in_size.x * in_size.y;
    let in_row = first_row * STRIDE - p.pad_h;
    let in_col = first_col * STRIDE - p.pad_w;
    let out_plane = out_size.x * out_size.y;
    let here = plane * out_plane + first_col;
    let act = (over(n, p.sharing) * p.blocks + block) * out_plane + first_col;
    epilogue = p.epilogue;
    bounds = vec2<f32>(p.low, p.high);
    let is_bias = epilogue == EPILOGUE_BIAS || epilogue == EPILOGUE_BIAS_RELU || epilogue == EPILOGUE_BIAS_CLIP;
    bias = select(vec4<f32>(), extra[select(0, block, is_bias)], is_bias);
    let k = block * TAPS * TAPS;
    taps[0] = textureLoad(w, place(k + 0));
    taps[1] = textureLoad(w, place(k + 1));
    taps[2] = textureLoad(w, place(k + 2));
    taps[3] = textureLoad(w, place(k + 3));
    taps[4] = textureLoad(w, place(k + 4));
    taps[5] = textureLoad(w, place(k + 5));
    taps[6] = textureLoad(w, place(k + 6));
    taps[7] = textureLoad(w, place(k + 7));
    taps[8] = textureLoad(w, place(k + 8));
    if TAPS == 5 {
        taps[9] = textureLoad(w, place(k + 9));
        taps[10] = textureLoad(w, place(k + 10));
        taps[11] = textureLoad(w, place(k + 11));
        taps[12] = textureLoad(w, place(k + 12));
        taps[13] = textureLoad(w, place(k + 13));
        taps[14] = textureLoad(w, place(k + 14));
        taps[15] = textureLoad(w, place(k + 15));
        taps[16] = textureLoad(w, place(k + 16));
        taps[17] = textureLoad(w, place(k + 17));
        taps[18] = textureLoad(w, place(k + 18));
        taps[19] = textureLoad(w, place(k + 19));
        taps[20] = textureLoad(w, place(k + 20));
        taps[21] = textureLoad(w, place(k + 21));
        taps[22] = textureLoad(w, place(k + 22));
        taps[23] = textureLoad(w, place(k + 23));
        taps[24] = textureLoad(w, place(k + 24));
    }
    // Each turn ends a row of outputs: the first ones those above the first, which are not written. a to d: the sums of the next.
    var a = mat4x4<f32>();
    var b = mat4x4<f32>();
    var c = mat4x4<f32>();
    var d = mat4x4<f32>();
    let before = (TAPS - 1) / STRIDE;
    let rows = min(out_size.x - first_row, ROWS);
    for (var turn = 0; turn < rows + before; turn++) {
        let v = row(first_texel, in_row + turn * STRIDE, in_col, in_size);
        var made = a + across(v, TAPS * (TAPS - 1));
        if STRIDE == 1 {
            a = b + across(v, TAPS * (TAPS - 2));
            if TAPS == 3 {
                b = across(v, 0);
            } else {
                b = c + across(v, 10);
                c = d + across(v, 5);
                d = across(v, 0);
            }
        } else {
            let next = row(first_texel, in_row + turn * STRIDE + 1, in_col, in_size);
            if TAPS == 3 {
                a = across(v, 0) + across(next, 3);
            } else {
                a = b + across(v, 10) + across(next, 15);
                b = across(v, 0) + across(next, 5);
            }
        }
        let at = first_row + turn - before;
        let is_there = turn >= before && own_block < p.blocks;
        let to = at * out_size.y;
        store(made[0], here + to, act + to, is_there);
        store(made[1], here + to + 1, act + to + 1, is_there && first_col + 1 < out_size.y);
        store(made[2], here + to + 2, act + to + 2, is_there && first_col + 2 < out_size.y);
        store(made[3], here + to + 3, act + to + 3, is_there && first_col + 3 < out_size.y);
    }
}
