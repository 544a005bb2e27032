// Vector times matrix for software adapters whose subgroup is 4, 8 or 16 invocations: linear_columns.wgsl with the matrix read
// through an image, from which Mesa's software adapter loads in a quarter of the time that a storage buffer takes.
//
//   y[n, c] = end(before + sum over r of x[n, first_row + r] * m[r, c]),  before = y[n, c] if accumulate, else 0
//
// m: an image, a texel is four columns of a row, or eight if HALF; rows padded with zeros to a multiple of 4 and columns
// to a whole texel; a part of the matrix, starting at first_row; the parts accumulate and only the last one ends. x: an
// image of 4096 texels a row: a row of zeros, then N x x_columns in vec4. y: N x columns, in vec4. extra: by `epilogue`,
// the bias (columns) or activations in y's shape, one image's for `sharing` n.
//
// A workgroup is one subgroup and makes SEGMENT columns (vec4) of one n, 16 rows at a time: it walks along them, so that it reads
// much of a row's page of memory before it needs another page, and keeps its sums in workgroup memory. Of rows that lie pages apart,
// a few texels of each at a time, the loads would wait for memory, and of many more rows at once processors do not read ahead, above
// all where a driver calls one function for each load, as Mesa 25 does. The same columns of other n come next on the same core, and
// find them in its cache. MANY: two columns an invocation of up to 10 n, a row after the other. Columns past the last read the last
// and are not written.
// Rows whose x is zero are read all the same: Mesa 22.3 goes through what is behind a condition with all lanes masked.
// CPU twin: linear_columns in tests/common/twins.rs.

struct Params {
    n: u32,
    rows: u32,      // in vec4: four rows each
    columns: u32,   // in vec4
    first_row: u32, // in vec4
    x_columns: u32, // in vec4
    accumulate: u32,
    epilogue: u32,
    sharing: u32, // n of an image
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

// Whether m holds float16.
override HALF: bool = false;
// Whether a workgroup makes fewer columns of more n.
override MANY: bool = false;

// Columns (vec4) of a workgroup that makes one n.
const SEGMENT: i32 = 128;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var m: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Element `i` of x.
fn x_at(i: i32) -> vec4<f32> {
    return textureLoad(x, vec2<i32>(i & 4095, 1 + (i >> 12u)));
}

// Where a mask by such activations lets the gradient pass.
fn passes(act: vec4<f32>) -> vec4<bool> {
    return (act > vec4<f32>(p.low)) & (act < vec4<f32>(p.high));
}

fn end(value: vec4<f32>, at: i32, act: i32) -> vec4<f32> {
    let zero = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS: { return value + extra[at]; }
        case EPILOGUE_BIAS_RELU: { return max(value + extra[at], zero); }
        case EPILOGUE_MASK: { return select(zero, value, passes(extra[act])); }
        case EPILOGUE_MASK_GUIDED: { return select(zero, max(value, zero), passes(extra[act])); }
        case EPILOGUE_MASK_DECONV: { return max(value, zero); }
        default: { return value; }
    }
}

// The first four of eight float16, and the other four.
fn low(v: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.x), unpack2x16float(v.y));
}

fn high(v: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(unpack2x16float(v.z), unpack2x16float(v.w));
}

// Four rows of a texel, which is one column (vec4): a row in each column of the matrix.
fn block(t: i32, top: i32) -> mat4x4<f32> {
    return mat4x4<f32>(
        textureLoad(m, vec2<i32>(t, top)),
        textureLoad(m, vec2<i32>(t, top + 1)),
        textureLoad(m, vec2<i32>(t, top + 2)),
        textureLoad(m, vec2<i32>(t, top + 3)),
    );
}

// The same of a texel of two columns (vec4) in float16.
fn half_blocks(t: i32, top: i32) -> array<mat4x4<f32>, 2> {
    let m0 = bitcast<vec4<u32>>(textureLoad(m, vec2<i32>(t, top)));
    let m1 = bitcast<vec4<u32>>(textureLoad(m, vec2<i32>(t, top + 1)));
    let m2 = bitcast<vec4<u32>>(textureLoad(m, vec2<i32>(t, top + 2)));
    let m3 = bitcast<vec4<u32>>(textureLoad(m, vec2<i32>(t, top + 3)));
    return array<mat4x4<f32>, 2>(
        mat4x4<f32>(low(m0), low(m1), low(m2), low(m3)),
        mat4x4<f32>(high(m0), high(m1), high(m2), high(m3)),
    );
}

fn store(sum: vec4<f32>, n: i32, c: i32) {
    if c >= i32(p.columns) || n >= i32(p.n) {
        return;
    }
    let at = n * i32(p.columns) + c;
    var value = sum;
    if p.accumulate != 0u {
        value += y[at];
    }
    y[at] = end(value, c, n / i32(p.sharing) * i32(p.columns) + c);
}

// What a row (vec4) of x adds to the columns of texel `t`, row `row` (vec4) of this part: one vec4, or two if HALF.
fn rows_of(t: i32, row: i32, x: vec4<f32>) -> array<vec4<f32>, 2> {
    let top = min(row, i32(p.rows) - 1) * 4;
    if HALF {
        let two = half_blocks(t, top);
        return array<vec4<f32>, 2>(two[0] * x, two[1] * x);
    }
    return array<vec4<f32>, 2>(block(t, top) * x, vec4<f32>());
}

// Row `row` of x for this part, zeros past the last.
fn x_of(x0: i32, row: i32) -> vec4<f32> {
    return select(vec4<f32>(), x_at(x0 + min(row, i32(p.rows) - 1)), row < i32(p.rows));
}

// The sums of a workgroup's columns.
var<workgroup> sums: array<vec4<f32>, SEGMENT>;

// SEGMENT columns of one n.
fn segment(group: vec3<u32>, lane: i32) {
    let lanes = i32(SUBGROUP);
    let each = select(1, 2, HALF);
    let first = i32(group.y) * SEGMENT;
    let last = (i32(p.columns) + each - 1) / each - 1;
    let steps = (min(SEGMENT, i32(p.columns) - first) + lanes * each - 1) / (lanes * each);
    let n = i32(group.x);
    let x0 = n * i32(p.x_columns) + i32(p.first_row);
    for (var top = 0; top < i32(p.rows); top += 4) {
        let r0 = x_of(x0, top);
        let r1 = x_of(x0, top + 1);
        let r2 = x_of(x0, top + 2);
        let r3 = x_of(x0, top + 3);
        for (var step = 0; step < steps; step++) {
            let here = step * lanes + lane;
            let t = min(first / each + here, last);
            let m0 = rows_of(t, top, r0);
            let m1 = rows_of(t, top + 1, r1);
            let m2 = rows_of(t, top + 2, r2);
            let m3 = rows_of(t, top + 3, r3);
            let sum = m0[0] + m1[0] + m2[0] + m3[0];
            sums[here * each] = sum + select(vec4<f32>(), sums[here * each], top > 0);
            if HALF {
                let sum = m0[1] + m1[1] + m2[1] + m3[1];
                sums[here * 2 + 1] = sum + select(vec4<f32>(), sums[here * 2 + 1], top > 0);
            }
        }
    }
    for (var step = 0; step < steps; step++) {
        let here = (step * lanes + lane) * each;
        store(sums[here], n, first + here);
        if HALF {
            store(sums[here + 1], n, first + here + 1);
        }
    }
}

// Adds what the parts before left, if any, to the sums of column `c`, and stores them.
fn keep(sum: vec4<f32>, n: i32, c: i32) {
    if c >= i32(p.columns) || n >= i32(p.n) {
        return;
    }
    let at = n * i32(p.columns) + c;
    y[at] = sum + select(vec4<f32>(), y[at], p.accumulate != 0u);
}

// Two columns an invocation of up to 10 n, whose x is spread over the invocations and handed round by shuffles from literal lanes.
fn many(group: vec3<u32>, lane: i32) {
    let lanes = i32(SUBGROUP);
    let first = i32(group.y) * 2 * lanes;
    let t = select(first + lane, first / 2 + lane, HALF);
    let last = select(i32(p.columns), (i32(p.columns) + 1) / 2, HALF) - 1;
    let t0 = min(t, last);
    let t1 = min(t + lanes, last);
    let c = select(t + vec2<i32>(0, lanes), t * 2 + vec2<i32>(0, 1), HALF);
    let n = i32(group.x) * 10;
    let x0 = (n + lane) * i32(p.x_columns) + i32(p.first_row);
    // a<n> of the first column, b<n> of the second
    var a0 = vec4<f32>(); var a1 = vec4<f32>(); var a2 = vec4<f32>(); var a3 = vec4<f32>(); var a4 = vec4<f32>();
    var a5 = vec4<f32>(); var a6 = vec4<f32>(); var a7 = vec4<f32>(); var a8 = vec4<f32>(); var a9 = vec4<f32>();
    var b0 = vec4<f32>(); var b1 = vec4<f32>(); var b2 = vec4<f32>(); var b3 = vec4<f32>(); var b4 = vec4<f32>();
    var b5 = vec4<f32>(); var b6 = vec4<f32>(); var b7 = vec4<f32>(); var b8 = vec4<f32>(); var b9 = vec4<f32>();
    for (var r = 0; r < i32(p.rows); r++) {
        var m0: mat4x4<f32>; var m1: mat4x4<f32>;
        if HALF {
            let two = half_blocks(t0, r * 4);
            m0 = two[0]; m1 = two[1];
        } else {
            m0 = block(t0, r * 4);
            m1 = block(t1, r * 4);
        }
        // That of n k is in element k / SUBGROUP of invocation k % SUBGROUP.
        var x: array<vec4<f32>, 3>;
        x[0] = x_at(x0 + r);
        if SUBGROUP <= 8u {
            x[1] = x_at(x0 + 1 * lanes * i32(p.x_columns) + r);
        }
        if SUBGROUP == 4u {
            x[2] = x_at(x0 + 2 * lanes * i32(p.x_columns) + r);
        }
        let w0 = subgroupShuffle(x[0u / SUBGROUP], 0u % SUBGROUP);
        a0 += m0 * w0; b0 += m1 * w0;
        let w1 = subgroupShuffle(x[1u / SUBGROUP], 1u % SUBGROUP);
        a1 += m0 * w1; b1 += m1 * w1;
        let w2 = subgroupShuffle(x[2u / SUBGROUP], 2u % SUBGROUP);
        a2 += m0 * w2; b2 += m1 * w2;
        let w3 = subgroupShuffle(x[3u / SUBGROUP], 3u % SUBGROUP);
        a3 += m0 * w3; b3 += m1 * w3;
        let w4 = subgroupShuffle(x[4u / SUBGROUP], 4u % SUBGROUP);
        a4 += m0 * w4; b4 += m1 * w4;
        let w5 = subgroupShuffle(x[5u / SUBGROUP], 5u % SUBGROUP);
        a5 += m0 * w5; b5 += m1 * w5;
        let w6 = subgroupShuffle(x[6u / SUBGROUP], 6u % SUBGROUP);
        a6 += m0 * w6; b6 += m1 * w6;
        let w7 = subgroupShuffle(x[7u / SUBGROUP], 7u % SUBGROUP);
        a7 += m0 * w7; b7 += m1 * w7;
        let w8 = subgroupShuffle(x[8u / SUBGROUP], 8u % SUBGROUP);
        a8 += m0 * w8; b8 += m1 * w8;
        let w9 = subgroupShuffle(x[9u / SUBGROUP], 9u % SUBGROUP);
        a9 += m0 * w9; b9 += m1 * w9;
    }
    keep(a0, n + 0, c.x); keep(b0, n + 0, c.y);
    keep(a1, n + 1, c.x); keep(b1, n + 1, c.y);
    keep(a2, n + 2, c.x); keep(b2, n + 2, c.y);
    keep(a3, n + 3, c.x); keep(b3, n + 3, c.y);
    keep(a4, n + 4, c.x); keep(b4, n + 4, c.y);
    keep(a5, n + 5, c.x); keep(b5, n + 5, c.y);
    keep(a6, n + 6, c.x); keep(b6, n + 6, c.y);
    keep(a7, n + 7, c.x); keep(b7, n + 7, c.y);
    keep(a8, n + 8, c.x); keep(b8, n + 8, c.y);
    keep(a9, n + 9, c.x); keep(b9, n + 9, c.y);
    // In a loop, so that the driver compiles the end once.
    for (var k = 0; k < 20; k++) {
        let column = select(c.x, c.y, k >= 10);
        let ended = n + k % 10;
        if column < i32(p.columns) && ended < i32(p.n) {
            let at = ended * i32(p.columns) + column;
            y[at] = end(y[at], column, ended / i32(p.sharing) * i32(p.columns) + column);
        }
    }
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    if MANY {
        many(group, i32(local.x));
    } else {
        segment(group, i32(local.x));
    }
}
