// Convolution (cross-correlation) by any window, for software adapters whose subgroup is 4, 8 or 16 invocations.
//
//   y[n, o, r, c] = end(sum over i, kr, kc of w[o, i, kr, kc] * x[n, i, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise; a tap outside x, or between the rows and columns that
//   `up` spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the
//   filters turned by 180 degrees and their channels swapped, stride 1 and up = the layer's stride.
//
// y: N x out_blocks x out_h x out_w, each element four channels (NC4HW4). extra: by `epilogue`, the bias (out_blocks) or the
// activations in y's shape, one image's for `sharing` n. other: an image like x, in y's shape.
// NORMED reads max(scale * x + shift, 0), a scale and a shift a channel, in place of x, for a window of one tap that reaches no place
// outside x.
// SCALED reads x * scale, a scale a channel of each image, for the same windows, where a workgroup's positions are all of one image.
// x and w are read through images of 4096 texels a row, since Mesa's software adapter loads from an image in a quarter
// of the time that it takes from a storage buffer. x: a row of zeros, then N x in_blocks x in_h x in_w as they lie in their
// buffer. w: [out / 32][tap][in_blocks][out % 32] texels of four inputs each. norm: of each block of inputs its scales, then its shifts.
// scale: N x in_blocks.
//
// A workgroup is one subgroup and makes BLOCKS blocks of four outputs an invocation of 28 positions, counted through all images, those of
// a row of workgroups after those of the row before.
// SPREAD counts outputs by phase, their row and column modulo `up`: those of a phase meet the same taps, `tap_step` apart, and read x
// as if it were not spread. A workgroup's are all of one phase.
// An invocation loads the 4 x 4 weights of its own blocks; the positions' inputs are spread over the invocations and handed
// round by shuffles from literal lanes. Inputs outside x read the zeros; outputs outside y are not written. Loads are half of the
// inner loop of a kernel of 16 positions and one block; more products a turn than these no longer fit the processor's caches of
// instructions. 28 divides the positions of maps of 14, 28, 56 and 112, and two of them hold the 49 of a map of 7.
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
    tap_step_h: i32, // from one tap of a phase to the next
    tap_step_w: i32,
    count: i32, // positions of all images: N * out_h * out_w, where SPREAD those of a phase, rounded up
    epilogue: u32,
    sharing: i32, // n of an image
    low: f32, // bounds of EPILOGUE_BIAS_CLIP or between which a mask passes, or a and b of ACTIVATION_HARD_SIGMOID
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

const ACTIVATION_SIGMOID: u32 = 2u;
const ACTIVATION_SILU: u32 = 4u;
const ACTIVATION_HARD_SIGMOID: u32 = 5u;
const ACTIVATION_HARD_SWISH: u32 = 6u;
// One of those after the bias, or none of them.
override ACTIVATION: u32;
// Whether `other` is added before that.
override ADDED: u32;
// Whether the epilogue is a mask by `extra`: in a kernel without, none is looked at. This adapter runs both sides of a branch.
override MASKED: u32;
// Blocks that an invocation makes: 1 or 2.
override BLOCKS: i32;
// Whether `up` is above 1.
override SPREAD: bool;
// Whether x is scaled, shifted and goes through a ReLU as it is read.
override NORMED: bool;
// Whether x is multiplied by `scale` as it is read.
override SCALED: bool;

const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var w: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var norm: texture_storage_2d<rgba32float, read>;
@group(0) @binding(4) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(6) var other: texture_storage_2d<rgba32float, read>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4<f32>>;

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

// The outputs that a workgroup's are counted through: all, or those of its phase.
struct Outputs {
    size: vec2<i32>,
    phase: vec2<i32>, // row and column of the first
    tap: vec2<i32>, // the first that gives something to them
    at: vec2<i32>, // the place in x that it reads for the first
    taps: vec2<i32>,
    step: vec2<i32>, // from one tap's place in x to the next one's
}

fn outputs_of(number: i32) -> Outputs {
    let size = vec2<i32>(p.out_h, p.out_w);
    let pad = vec2<i32>(p.pad_h, p.pad_w);
    let taps = vec2<i32>(p.taps_h, p.taps_w);
    let dilation = vec2<i32>(p.dilation_h, p.dilation_w);
    if !SPREAD {
        return Outputs(size, vec2<i32>(), vec2<i32>(), -pad, taps, dilation);
    }
    let up = vec2<i32>(p.up_h, p.up_w);
    let tap_step = vec2<i32>(p.tap_step_h, p.tap_step_w);
    let row = over(number, up.y);
    let phase = vec2<i32>(row, number - row * up.y);
    let first = vec2<i32>(
        first_tap(phase.x - pad.x, taps.x, dilation.x, up.x),
        first_tap(phase.y - pad.y, taps.y, dilation.y, up.y),
    );
    return Outputs(
        vec2<i32>(over(size.x + up.x - 1, up.x), over(size.y + up.y - 1, up.y)),
        phase,
        first,
        vec2<i32>(
            over(phase.x - pad.x + first.x * dilation.x, up.x),
            over(phase.y - pad.y + first.y * dilation.y, up.y),
        ),
        vec2<i32>(
            over(taps.x - first.x + tap_step.x - 1, tap_step.x),
            over(taps.y - first.y + tap_step.y - 1, tap_step.y),
        ),
        vec2<i32>(over(tap_step.x * dilation.x, up.x), over(tap_step.y * dilation.y, up.y)),
    );
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

// Where a position's taps begin.
struct Position {
    texel: i32, // of the first block at the first tap's place, as if x went on outside
    row: i32, // of the first tap
    col: i32,
}

// Position `q` of all, or the last.
fn position(q: i32, outputs: Outputs) -> Position {
    let plane = outputs.size.x * outputs.size.y;
    let n = over(min(q, p.count - 1), plane);
    let at = min(q, p.count - 1) - n * plane;
    let out_row = over(at, outputs.size.y);
    let row = out_row * p.stride_h + outputs.at.x;
    let col = (at - out_row * outputs.size.y) * p.stride_w + outputs.at.y;
    let image = IMAGE_ROW + n * p.in_blocks * p.in_h * p.in_w;
    return Position(image + row * p.in_w + col, row, col);
}

// The texel at the place of a tap, `tap` away from a position's first, or that of the zeros. `offset`: texels from the first tap
// in the first block.
fn texel(position: Position, tap: vec2<i32>, offset: i32, in_size: vec2<i32>) -> i32 {
    let place = vec2<i32>(position.row, position.col) + tap;
    // What is below zero is above all as a number without sign.
    let inside = all(vec2<u32>(place) < vec2<u32>(in_size));
    return select(0, position.texel + offset, inside);
}

// Where the next output of an invocation goes, image and place there, where SPREAD row and column of its phase there, which are counted
// on, and what all of them have in common.
var<private> next_n: i32;
var<private> next_at: i32;
var<private> next_row: i32;
var<private> next_col: i32;
var<private> phase_size: vec2<i32>;
var<private> phase: vec2<i32>;
var<private> bias: vec4<f32>;
var<private> bounds: vec2<f32>;
var<private> epilogue: u32;

// Before the first of a block's outputs, those from `first` on, is stored.
fn begin(first: i32, block: i32) {
    let plane = phase_size.x * phase_size.y;
    next_n = over(first, plane);
    next_at = first - next_n * plane;
    if SPREAD {
        next_row = over(next_at, phase_size.y);
        next_col = next_at - next_row * phase_size.y;
    }
    bias = vec4<f32>();
    bounds = vec2<f32>(p.low, p.high);
    switch epilogue {
        case EPILOGUE_BIAS, EPILOGUE_BIAS_RELU, EPILOGUE_BIAS_CLIP: { bias = extra[min(block, p.out_blocks - 1)]; }
        default: {}
    }
}

fn store(q: i32, block: i32, value: vec4<f32>) {
    let plane = p.out_h * p.out_w;
    let image = p.out_blocks * plane;
    let n = next_n;
    var at = block * plane + next_at;
    var inside = q < p.count && block < p.out_blocks;
    if SPREAD {
        let row = next_row * p.up_h + phase.x;
        let col = next_col * p.up_w + phase.y;
        at = block * plane + row * p.out_w + col;
        inside = inside && row < p.out_h && col < p.out_w;
        let is_row = next_col + 1 == phase_size.y;
        let is_image = is_row && next_row + 1 == phase_size.x;
        next_col = select(next_col + 1, 0, is_row);
        next_row = select(next_row + select(0, 1, is_row), 0, is_image);
        next_n += select(0, 1, is_image);
    } else {
        let wraps = next_at + 1 == plane;
        next_at = select(next_at + 1, 0, wraps);
        next_n += select(0, 1, wraps);
    }
    if !inside {
        return;
    }
    let zero = vec4<f32>();
    let here = n * image + at;
    var end = value + bias;
    if ADDED != 0u {
        end += textureLoad(other, place(IMAGE_ROW + here));
    }
    if ACTIVATION == ACTIVATION_SIGMOID {
        let e = exp(-abs(end));
        end = select(e, vec4<f32>(1.0), end > zero) / (1.0 + e);
    }
    if ACTIVATION == ACTIVATION_HARD_SIGMOID {
        end = clamp(bounds.x * end + bounds.y, zero, vec4<f32>(1.0));
    }
    if ACTIVATION == ACTIVATION_SILU {
        let e = exp(-abs(end));
        end *= select(e, vec4<f32>(1.0), end > zero) / (1.0 + e);
    }
    if ACTIVATION == ACTIVATION_HARD_SWISH {
        end *= clamp(end / 6.0 + 0.5, zero, vec4<f32>(1.0));
    }
    switch epilogue {
        case EPILOGUE_BIAS_RELU, EPILOGUE_MASK_DECONV, EPILOGUE_MASK_GUIDED: { end = max(end, zero); }
        case EPILOGUE_BIAS_CLIP: { end = clamp(end, vec4<f32>(bounds.x), vec4<f32>(bounds.y)); }
        default: {}
    }
    if MASKED != 0u {
        let act = extra[over(n, p.sharing) * image + at];
        end = select(zero, end, (act > vec4<f32>(bounds.x)) & (act < vec4<f32>(bounds.y)));
    }
    y[here] = end;
}

@compute @workgroup_size(SUBGROUP)
fn main(
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let lane = i32(local.x);
    let number = i32(group.z * groups.x + group.x);
    let of_phase = (p.count + 27) / 28;
    let phase_number = select(0, over(number, of_phase), SPREAD);
    let outputs = outputs_of(phase_number);
    let first = (number - phase_number * of_phase) * 28;
    phase = outputs.phase;
    phase_size = outputs.size;
    let block = i32(group.y) * i32(SUBGROUP) * BLOCKS + lane;
    // What loops read stays out of the uniform, which this adapter would read invocation by invocation.
    let in_size = vec2<i32>(p.in_h, p.in_w);
    let in_plane = in_size.x * in_size.y;
    let in_blocks = p.in_blocks;
    let step = outputs.step;
    let taps_w = outputs.taps.y;
    // Where a branch or a loop's end is known from the uniform alone and much of a kernel then falls away, this adapter's driver puts
    // the numbers in as constants, and compiles the kernel anew for each dispatch. This is zero, which the driver cannot know.
    let zero = select(0u, 1u, group.x >= groups.x);
    let turns = outputs.taps.x * taps_w * in_blocks + i32(zero);
    epilogue = p.epilogue + zero;
    // The positions whose inputs this invocation loads: position k of the workgroup's is element k / SUBGROUP of invocation
    // k % SUBGROUP.
    var positions: array<Position, 7>;
    positions[0] = position(first + lane, outputs);
    positions[1] = position(first + lane + 1 * i32(SUBGROUP), outputs);
    if SUBGROUP <= 8u {
        positions[2] = position(first + lane + 2 * i32(SUBGROUP), outputs);
        positions[3] = position(first + lane + 3 * i32(SUBGROUP), outputs);
    }
    if SUBGROUP == 4u {
        positions[4] = position(first + lane + 4 * i32(SUBGROUP), outputs);
        positions[5] = position(first + lane + 5 * i32(SUBGROUP), outputs);
        positions[6] = position(first + lane + 6 * i32(SUBGROUP), outputs);
    }
    // Blocks past the last eight read that one's weights, and are not written.
    let last_eight = (p.out_blocks + 7) / 8 - 1;
    let of_eight = p.taps_h * p.taps_w * in_blocks * 8;
    let next = block + i32(SUBGROUP);
    var w_at = (min(block / 8, last_eight) * of_eight + block % 8) * 4;
    let to_next = (min(next / 8, last_eight) * of_eight + next % 8) * 4 - w_at;
    // Weights of the taps between one of a phase and the next, and between the last of a row and the first of the next row.
    let past_tap = (p.tap_step_w - 1) * in_blocks * 32;
    let past_row = (p.tap_step_h * p.taps_w - taps_w * p.tap_step_w) * in_blocks * 32;
    if SPREAD {
        w_at += (outputs.tap.x * p.taps_w + outputs.tap.y) * in_blocks * 32;
    }
    let scales = over(first, p.out_h * p.out_w) * in_blocks;
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
    var t0 = vec4<f32>();
    var t1 = vec4<f32>();
    var t2 = vec4<f32>();
    var t3 = vec4<f32>();
    var t4 = vec4<f32>();
    var t5 = vec4<f32>();
    var t6 = vec4<f32>();
    var t7 = vec4<f32>();
    var t8 = vec4<f32>();
    var t9 = vec4<f32>();
    var t10 = vec4<f32>();
    var t11 = vec4<f32>();
    var t12 = vec4<f32>();
    var t13 = vec4<f32>();
    var t14 = vec4<f32>();
    var t15 = vec4<f32>();
    var t16 = vec4<f32>();
    var t17 = vec4<f32>();
    var t18 = vec4<f32>();
    var t19 = vec4<f32>();
    var t20 = vec4<f32>();
    var t21 = vec4<f32>();
    var t22 = vec4<f32>();
    var t23 = vec4<f32>();
    var t24 = vec4<f32>();
    var t25 = vec4<f32>();
    var t26 = vec4<f32>();
    var t27 = vec4<f32>();
    // One loop over taps and blocks: what a loop keeps, this adapter stores and loads each time round. Where it goes next is
    // known a turn before, so that loads need not wait for it.
    var k = 0;
    var kc = 0;
    var plane = 0;
    var next_tap = vec2<i32>();
    var next_offset = 0;
    for (var turn = 0; turn < turns; turn++) {
        let tap = next_tap;
        let offset = next_offset;
        let next_is_tap = k + 1 == in_blocks;
        k = select(k + 1, 0, next_is_tap);
        plane = select(plane + in_plane, 0, next_is_tap);
        let next_is_row = next_is_tap && kc + 1 == taps_w;
        kc = select(kc + select(0, 1, next_is_tap), 0, next_is_row);
        next_tap.x += select(0, step.x, next_is_row);
        next_tap.y = select(next_tap.y + select(0, step.y, next_is_tap), 0, next_is_row);
        next_offset = plane + next_tap.x * in_size.y + next_tap.y;
        let w_place = place(w_at);
        let weights = mat4x4<f32>(
            textureLoad(w, w_place),
            textureLoad(w, w_place + vec2<i32>(1, 0)),
            textureLoad(w, w_place + vec2<i32>(2, 0)),
            textureLoad(w, w_place + vec2<i32>(3, 0)),
        );
        var v: array<vec4<f32>, 7>;
        v[0] = textureLoad(x, place(texel(positions[0], tap, offset, in_size)));
        v[1] = textureLoad(x, place(texel(positions[1], tap, offset, in_size)));
        if SUBGROUP <= 8u {
            v[2] = textureLoad(x, place(texel(positions[2], tap, offset, in_size)));
            v[3] = textureLoad(x, place(texel(positions[3], tap, offset, in_size)));
        }
        if SUBGROUP == 4u {
            v[4] = textureLoad(x, place(texel(positions[4], tap, offset, in_size)));
            v[5] = textureLoad(x, place(texel(positions[5], tap, offset, in_size)));
            v[6] = textureLoad(x, place(texel(positions[6], tap, offset, in_size)));
        }
        if NORMED {
            let factor = textureLoad(norm, place(2 * turn));
            let shift = textureLoad(norm, place(2 * turn + 1));
            v[0] = max(v[0] * factor + shift, vec4<f32>());
            v[1] = max(v[1] * factor + shift, vec4<f32>());
            if SUBGROUP <= 8u {
                v[2] = max(v[2] * factor + shift, vec4<f32>());
                v[3] = max(v[3] * factor + shift, vec4<f32>());
            }
            if SUBGROUP == 4u {
                v[4] = max(v[4] * factor + shift, vec4<f32>());
                v[5] = max(v[5] * factor + shift, vec4<f32>());
                v[6] = max(v[6] * factor + shift, vec4<f32>());
            }
        }
        if SCALED {
            let factor = scale[scales + turn];
            v[0] *= factor;
            v[1] *= factor;
            if SUBGROUP <= 8u {
                v[2] *= factor;
                v[3] *= factor;
            }
            if SUBGROUP == 4u {
                v[4] *= factor;
                v[5] *= factor;
                v[6] *= factor;
            }
        }
        let v0 = subgroupShuffle(v[0u / SUBGROUP], 0u % SUBGROUP);
        let v1 = subgroupShuffle(v[1u / SUBGROUP], 1u % SUBGROUP);
        let v2 = subgroupShuffle(v[2u / SUBGROUP], 2u % SUBGROUP);
        let v3 = subgroupShuffle(v[3u / SUBGROUP], 3u % SUBGROUP);
        let v4 = subgroupShuffle(v[4u / SUBGROUP], 4u % SUBGROUP);
        let v5 = subgroupShuffle(v[5u / SUBGROUP], 5u % SUBGROUP);
        let v6 = subgroupShuffle(v[6u / SUBGROUP], 6u % SUBGROUP);
        let v7 = subgroupShuffle(v[7u / SUBGROUP], 7u % SUBGROUP);
        let v8 = subgroupShuffle(v[8u / SUBGROUP], 8u % SUBGROUP);
        let v9 = subgroupShuffle(v[9u / SUBGROUP], 9u % SUBGROUP);
        let v10 = subgroupShuffle(v[10u / SUBGROUP], 10u % SUBGROUP);
        let v11 = subgroupShuffle(v[11u / SUBGROUP], 11u % SUBGROUP);
        let v12 = subgroupShuffle(v[12u / SUBGROUP], 12u % SUBGROUP);
        let v13 = subgroupShuffle(v[13u / SUBGROUP], 13u % SUBGROUP);
        let v14 = subgroupShuffle(v[14u / SUBGROUP], 14u % SUBGROUP);
        let v15 = subgroupShuffle(v[15u / SUBGROUP], 15u % SUBGROUP);
        let v16 = subgroupShuffle(v[16u / SUBGROUP], 16u % SUBGROUP);
        let v17 = subgroupShuffle(v[17u / SUBGROUP], 17u % SUBGROUP);
        let v18 = subgroupShuffle(v[18u / SUBGROUP], 18u % SUBGROUP);
        let v19 = subgroupShuffle(v[19u / SUBGROUP], 19u % SUBGROUP);
        let v20 = subgroupShuffle(v[20u / SUBGROUP], 20u % SUBGROUP);
        let v21 = subgroupShuffle(v[21u / SUBGROUP], 21u % SUBGROUP);
        let v22 = subgroupShuffle(v[22u / SUBGROUP], 22u % SUBGROUP);
        let v23 = subgroupShuffle(v[23u / SUBGROUP], 23u % SUBGROUP);
        let v24 = subgroupShuffle(v[24u / SUBGROUP], 24u % SUBGROUP);
        let v25 = subgroupShuffle(v[25u / SUBGROUP], 25u % SUBGROUP);
        let v26 = subgroupShuffle(v[26u / SUBGROUP], 26u % SUBGROUP);
        let v27 = subgroupShuffle(v[27u / SUBGROUP], 27u % SUBGROUP);
        s0 += v0 * weights;
        s1 += v1 * weights;
        s2 += v2 * weights;
        s3 += v3 * weights;
        s4 += v4 * weights;
        s5 += v5 * weights;
        s6 += v6 * weights;
        s7 += v7 * weights;
        s8 += v8 * weights;
        s9 += v9 * weights;
        s10 += v10 * weights;
        s11 += v11 * weights;
        s12 += v12 * weights;
        s13 += v13 * weights;
        s14 += v14 * weights;
        s15 += v15 * weights;
        s16 += v16 * weights;
        s17 += v17 * weights;
        s18 += v18 * weights;
        s19 += v19 * weights;
        s20 += v20 * weights;
        s21 += v21 * weights;
        s22 += v22 * weights;
        s23 += v23 * weights;
        s24 += v24 * weights;
        s25 += v25 * weights;
        s26 += v26 * weights;
        s27 += v27 * weights;
        if BLOCKS == 2 {
            let next_place = place(w_at + to_next);
            let next_weights = mat4x4<f32>(
                textureLoad(w, next_place),
                textureLoad(w, next_place + vec2<i32>(1, 0)),
                textureLoad(w, next_place + vec2<i32>(2, 0)),
                textureLoad(w, next_place + vec2<i32>(3, 0)),
            );
            t0 += v0 * next_weights;
            t1 += v1 * next_weights;
            t2 += v2 * next_weights;
            t3 += v3 * next_weights;
            t4 += v4 * next_weights;
            t5 += v5 * next_weights;
            t6 += v6 * next_weights;
            t7 += v7 * next_weights;
            t8 += v8 * next_weights;
            t9 += v9 * next_weights;
            t10 += v10 * next_weights;
            t11 += v11 * next_weights;
            t12 += v12 * next_weights;
            t13 += v13 * next_weights;
            t14 += v14 * next_weights;
            t15 += v15 * next_weights;
            t16 += v16 * next_weights;
            t17 += v17 * next_weights;
            t18 += v18 * next_weights;
            t19 += v19 * next_weights;
            t20 += v20 * next_weights;
            t21 += v21 * next_weights;
            t22 += v22 * next_weights;
            t23 += v23 * next_weights;
            t24 += v24 * next_weights;
            t25 += v25 * next_weights;
            t26 += v26 * next_weights;
            t27 += v27 * next_weights;
        }
        w_at += 32;
        if SPREAD {
            w_at += select(0, past_tap, next_is_tap) + select(0, past_row, next_is_row);
        }
    }
    // Half of a block's positions at a time, so that the end is there for 14 of all sums, and compiled once: a loop whose end is known
    // would be unrolled.
    for (var part = 0; part < 2 * BLOCKS + i32(zero); part++) {
        let is_next = part >= 2;
        let is_half = (part & 1) == 1;
        let made = select(block, next, is_next);
        let q = select(first, first + 14, is_half);
        begin(q, made);
        store(q + 0, made, select(select(s0, s14, is_half), select(t0, t14, is_half), is_next));
        store(q + 1, made, select(select(s1, s15, is_half), select(t1, t15, is_half), is_next));
        store(q + 2, made, select(select(s2, s16, is_half), select(t2, t16, is_half), is_next));
        store(q + 3, made, select(select(s3, s17, is_half), select(t3, t17, is_half), is_next));
        store(q + 4, made, select(select(s4, s18, is_half), select(t4, t18, is_half), is_next));
        store(q + 5, made, select(select(s5, s19, is_half), select(t5, t19, is_half), is_next));
        store(q + 6, made, select(select(s6, s20, is_half), select(t6, t20, is_half), is_next));
        store(q + 7, made, select(select(s7, s21, is_half), select(t7, t21, is_half), is_next));
        store(q + 8, made, select(select(s8, s22, is_half), select(t8, t22, is_half), is_next));
        store(q + 9, made, select(select(s9, s23, is_half), select(t9, t23, is_half), is_next));
        store(q + 10, made, select(select(s10, s24, is_half), select(t10, t24, is_half), is_next));
        store(q + 11, made, select(select(s11, s25, is_half), select(t11, t25, is_half), is_next));
        store(q + 12, made, select(select(s12, s26, is_half), select(t12, t26, is_half), is_next));
        store(q + 13, made, select(select(s13, s27, is_half), select(t13, t27, is_half), is_next));
    }
}
