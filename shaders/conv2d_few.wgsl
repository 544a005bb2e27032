// Convolution (cross-correlation) with few outputs, by any window, for software adapters: the way back into a picture.
//
//   y[n, o, r, c] = end(sum over i, kr, kc of w[o, i, kr, kc] * x[n, i, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise; a tap outside x, or between the rows and columns that
//   `up` spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the
//   filters turned by 180 degrees and their channels swapped, stride 1 and up = the layer's stride.
//
// y: N x out_blocks x out_h x out_w, each element four channels (NC4HW4), 8 blocks at most. extra: by `epilogue`, the bias
// (out_blocks) or the activations in y's shape, one image's for `sharing` n.
// x and w are read through images of 4096 texels a row. x: a row of zeros, then N x in_blocks x in_h x in_w as they lie in their
// buffer; taps outside read the zeros. w: [tap][in_blocks][out % 32] texels of four inputs each.
//
// A workgroup is one subgroup and makes a column an invocation x 7 rows of a block of one image, `up` apart: to these the same taps give something, every `tap_step`th
// from the first that does, and no others are taken. An invocation makes the 7 rows of a column. Outputs outside y are not written.
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
    tap_step_h: i32,
    tap_step_w: i32,
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

const IMAGE_ROW: i32 = 4096;
// Invocations of a subgroup, and of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;
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

// The texel of the first block in a row of x, or that of the zeros.
fn texel(column: i32, inside: bool, row: i32) -> i32 {
    return select(0, column + row * p.in_w, inside && row >= 0 && row < p.in_h);
}

// Where a mask by such activations lets the gradient pass.
fn passes(act: vec4<f32>) -> vec4<bool> {
    return (act > vec4<f32>(p.low)) & (act < vec4<f32>(p.high));
}

fn store(value: vec4<f32>, bias: vec4<f32>, row: i32, here: i32, act: i32) {
    if row >= p.out_h {
        return;
    }
    let zero = vec4<f32>();
    var end = value + bias;
    switch p.epilogue {
        case EPILOGUE_BIAS_RELU, EPILOGUE_MASK_DECONV: { end = max(end, zero); }
        case EPILOGUE_MASK: { end = select(zero, end, passes(extra[act + row * p.out_w])); }
        case EPILOGUE_MASK_GUIDED: {
            end = select(zero, max(end, zero), passes(extra[act + row * p.out_w]));
        }
        default: {}
    }
    y[here + row * p.out_w] = end;
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let column_group = over(i32(group.x), p.up_w);
    let row_group = over(i32(group.y), p.up_h);
    let col = i32(group.x) - column_group * p.up_w + (column_group * i32(SUBGROUP) + i32(local.x)) * p.up_w;
    let row = i32(group.y) - row_group * p.up_h + row_group * ROWS * p.up_h;
    let n = over(i32(group.z), p.out_blocks);
    let block = i32(group.z) - n * p.out_blocks;
    if col >= p.out_w {
        return;
    }
    let first_row = row * p.stride_h - p.pad_h;
    let first_col = col * p.stride_w - p.pad_w;
    let in_plane = p.in_h * p.in_w;
    let first_texel = IMAGE_ROW + n * p.in_blocks * in_plane;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    for (var kr = first_tap(first_row, p.taps_h, p.dilation_h, p.up_h); kr < p.taps_h; kr += p.tap_step_h) {
        let in_row = over(first_row + kr * p.dilation_h, p.up_h);
        for (var kc = first_tap(first_col, p.taps_w, p.dilation_w, p.up_w); kc < p.taps_w; kc += p.tap_step_w) {
            let in_col = over(first_col + kc * p.dilation_w, p.up_w);
            let inside = in_col >= 0 && in_col < p.in_w;
            let column = first_texel + in_col;
            var at0 = texel(column, inside, in_row);
            var at1 = texel(column, inside, in_row + p.stride_h);
            var at2 = texel(column, inside, in_row + 2 * p.stride_h);
            var at3 = texel(column, inside, in_row + 3 * p.stride_h);
            var at4 = texel(column, inside, in_row + 4 * p.stride_h);
            var at5 = texel(column, inside, in_row + 5 * p.stride_h);
            var at6 = texel(column, inside, in_row + 6 * p.stride_h);
            // Outside the same zero for all blocks.
            let step0 = select(in_plane, 0, at0 == 0);
            let step1 = select(in_plane, 0, at1 == 0);
            let step2 = select(in_plane, 0, at2 == 0);
            let step3 = select(in_plane, 0, at3 == 0);
            let step4 = select(in_plane, 0, at4 == 0);
            let step5 = select(in_plane, 0, at5 == 0);
            let step6 = select(in_plane, 0, at6 == 0);
            var w_at = (kr * p.taps_w + kc) * p.in_blocks * 32 + block * 4;
            for (var k = 0; k < p.in_blocks; k++) {
                let weights = mat4x4<f32>(
                    textureLoad(w, place(w_at)),
                    textureLoad(w, place(w_at + 1)),
                    textureLoad(w, place(w_at + 2)),
                    textureLoad(w, place(w_at + 3)),
                );
                s0 += textureLoad(x, place(at0)) * weights;
                s1 += textureLoad(x, place(at1)) * weights;
                s2 += textureLoad(x, place(at2)) * weights;
                s3 += textureLoad(x, place(at3)) * weights;
                s4 += textureLoad(x, place(at4)) * weights;
                s5 += textureLoad(x, place(at5)) * weights;
                s6 += textureLoad(x, place(at6)) * weights;
                w_at += 32;
                at0 += step0;
                at1 += step1;
                at2 += step2;
                at3 += step3;
                at4 += step4;
                at5 += step5;
                at6 += step6;
            }
        }
    }
    let out_plane = p.out_h * p.out_w;
    let here = i32(group.z) * out_plane + col;
    let act = (over(n, p.sharing) * p.out_blocks + block) * out_plane + col;
    var bias = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS, EPILOGUE_BIAS_RELU: { bias = extra[block]; }
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
