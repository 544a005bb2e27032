// Depthwise convolution for software adapters, through images: each output channel reads the input channel of its own number.
//
//   y[n, c, r, q] = end(sum over kr, kc of w[c, kr, kc] * x[n, c, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise with q and kc; a tap outside x, or between the rows and columns that `up`
//   spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the filters turned by
//   180 degrees, stride 1 and up = the layer's stride.
//
// y: N x blocks x out_h x out_w, four channels an element. extra: by `epilogue`, the bias (blocks) or activations in y's shape, one
// image's for `sharing` n. x and w are read through images of 4096 texels a row. x: a row of zeros, then N x blocks x in_h x in_w
// as they lie in their buffer; taps outside read the zeros. w: blocks x taps texels of four channels.
//
// A workgroup is one subgroup and makes a column an invocation x 7 rows of a block of one image, `up` apart: to these the same taps give something, every `tap_step`th
// from the first that does, and no others are taken. An invocation makes the 7 rows of a column: maps of 112, 56, 28, 14 and 7 rows
// are whole numbers of these. Taps `step` rows apart read rows that follow one another for its 7 outputs: three of them are taken
// together, which read 9 rows; step = taps_h where they do not. Rows and columns outside y are not written.
// CPU twin: conv2d in tests/common/twins.rs.

struct Params {
    blocks: i32,
    in_h: i32,
    in_w: i32,
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
    tap_step_h: i32,
    tap_step_w: i32,
    step: i32,
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

const IMAGE_ROW: i32 = 4096;
const ROWS: i32 = 7;

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

// The first tap that gives something to an output whose first tap lies at `at`: the place of its row or column, spread, is one of x.
// Their number where none does.
fn first_tap(at: i32, taps: i32, dilation: i32, up: i32) -> i32 {
    var tap = 0;
    for (; tap < taps; tap++) {
        let spread = at + tap * dilation;
        if over(spread, up) * up == spread {
            break;
        }
    }
    return tap;
}

// The input in a row of a column that begins with texel `column`, or zero; `inside` says whether the column is within x.
fn load(column: i32, inside: bool, row: i32) -> vec4<f32> {
    let there = inside && row >= 0 && row < p.in_h;
    return textureLoad(x, place(select(0, column + row * p.in_w, there)));
}

// The weights of a tap in a column of them, or zero past the last.
fn weight(column: i32, kr: i32) -> vec4<f32> {
    let value = textureLoad(w, place(column + min(kr, p.taps_h - 1) * p.taps_w));
    return select(vec4<f32>(), value, kr < p.taps_h);
}

// Sums and their gradients, ended and stored. The bias is zero where there is none.
fn store(value: vec4<f32>, bias: vec4<f32>, row: i32, here: i32, act: i32) {
    if row >= p.out_h {
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
    switch p.epilogue {
        case EPILOGUE_BIAS_RELU, EPILOGUE_MASK_DECONV, EPILOGUE_MASK_GUIDED: { end = max(end, zero); }
        case EPILOGUE_BIAS_CLIP: { end = clamp(end, vec4<f32>(p.low), vec4<f32>(p.high)); }
        default: {}
    }
    if MASKED != 0u {
        let value_there = extra[act + row * p.out_w];
        end = select(zero, end, (value_there > vec4<f32>(p.low)) & (value_there < vec4<f32>(p.high)));
    }
    y[here + row * p.out_w] = end;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let column_group = over(i32(group.x), p.up_w);
    let row_group = over(i32(group.y), p.up_h);
    let col = i32(group.x) - column_group * p.up_w + (column_group * i32(SUBGROUP) + i32(local.x)) * p.up_w;
    let row = i32(group.y) - row_group * p.up_h + row_group * ROWS * p.up_h;
    let plane = i32(group.z);
    let n = over(plane, p.blocks);
    let block = plane - n * p.blocks;
    if col >= p.out_w {
        return;
    }
    let first_row = row * p.stride_h - p.pad_h;
    let first_col = col * p.stride_w - p.pad_w;
    let weights = block * p.taps_h * p.taps_w;
    let first_texel = IMAGE_ROW + plane * p.in_h * p.in_w;
    let first_kr = first_tap(first_row, p.taps_h, p.dilation_h, p.up_h);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    let first_kc = first_tap(first_col, p.taps_w, p.dilation_w, p.up_w);
    let end_phase = min(first_kr + p.step, p.taps_h);
    let top_row = over(first_row + first_kr * p.dilation_h, p.up_h);
    let phase_step = over(p.tap_step_h * p.dilation_h, p.up_h);
    let col_step = over(p.tap_step_w * p.dilation_w, p.up_w);
    // Columns of taps, in each the rows of taps `step` apart from each of the first few, by threes: one loop over all, since what a
    // loop keeps this adapter stores and loads each time round. in_row and in_col: the place in x of the first output's tap.
    var kc = first_kc;
    var phase = first_kr;
    var kr = first_kr;
    var phase_row = top_row;
    var in_row = top_row;
    var in_col = over(first_col + kc * p.dilation_w, p.up_w);
    while kc < p.taps_w && kr < p.taps_h {
        let inside = in_col >= 0 && in_col < p.in_w;
        let column = first_texel + in_col;
        let v0 = load(column, inside, in_row);
        let v1 = load(column, inside, in_row + p.stride_h);
        let v2 = load(column, inside, in_row + 2 * p.stride_h);
        let v3 = load(column, inside, in_row + 3 * p.stride_h);
        let v4 = load(column, inside, in_row + 4 * p.stride_h);
        let v5 = load(column, inside, in_row + 5 * p.stride_h);
        let v6 = load(column, inside, in_row + 6 * p.stride_h);
        let v7 = load(column, inside, in_row + 7 * p.stride_h);
        let v8 = load(column, inside, in_row + 8 * p.stride_h);
        let w0 = weight(weights + kc, kr);
        let w1 = weight(weights + kc, kr + p.step);
        let w2 = weight(weights + kc, kr + 2 * p.step);
        s0 += w0 * v0 + w1 * v1 + w2 * v2;
        s1 += w0 * v1 + w1 * v2 + w2 * v3;
        s2 += w0 * v2 + w1 * v3 + w2 * v4;
        s3 += w0 * v3 + w1 * v4 + w2 * v5;
        s4 += w0 * v4 + w1 * v5 + w2 * v6;
        s5 += w0 * v5 + w1 * v6 + w2 * v7;
        s6 += w0 * v6 + w1 * v7 + w2 * v8;
        kr += 3 * p.step;
        in_row += 3 * p.stride_h;
        let next_phase = kr >= p.taps_h;
        phase = select(phase, phase + p.tap_step_h, next_phase);
        phase_row = select(phase_row, phase_row + phase_step, next_phase);
        kr = select(kr, phase, next_phase);
        in_row = select(in_row, phase_row, next_phase);
        let next_col = next_phase && phase >= end_phase;
        kc = select(kc, kc + p.tap_step_w, next_col);
        in_col = select(in_col, in_col + col_step, next_col);
        phase = select(phase, first_kr, next_col);
        phase_row = select(phase_row, top_row, next_col);
        kr = select(kr, first_kr, next_col);
        in_row = select(in_row, top_row, next_col);
    }
    let out_plane = p.out_h * p.out_w;
    let here = plane * out_plane + col;
    let act = (over(n, p.sharing) * p.blocks + block) * out_plane + col;
    var bias = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS, EPILOGUE_BIAS_RELU, EPILOGUE_BIAS_CLIP: { bias = extra[block]; }
        default: {}
    }
    store(s0, bias, row, here, act);
    store(s1, bias, row + p.up_h, here, act);
    store(s2, bias, row + 2 * p.up_h, here, act);
    store(s3, bias, row + 3 * p.up_h, here, act);
    store(s4, bias, row + 4 * p.up_h, here, act);
    store(s5, bias, row + 5 * p.up_h, here, act);
    store(s6, bias, row + 6 * p.up_h, here, act);
}
