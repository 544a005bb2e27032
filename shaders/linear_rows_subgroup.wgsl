// Matrix times vector for software adapters whose subgroup is 4, 8 or 16 invocations: linear_rows.wgsl with the matrix read through
// an image, from which Mesa's software adapter loads in a quarter of the time that a storage buffer takes.
//
//   y[n, first_row + r] = end(sum over c of m[r, c] * x[n, c])
//
// m: an image, a texel is four columns of a row, or eight if HALF; rows padded with zeros to a multiple of 4 and columns
// to a whole texel; a part of the matrix, starting at first_row. x: an image of 4096 texels a row: a row of zeros, then
// N x columns in vec4. y: N x y_columns, in vec4. extra: by `epilogue`, the bias (y_columns) or activations in y's
// shape, one image's for `sharing` n.
//
// A workgroup is one subgroup and makes 4 rows of up to 4 n, MANY: of up to 10: its invocations stride over the
// columns, then add up. The same rows of other n come next on the same core, and find them in its cache.
// CPU twin: linear_rows in tests/common/twins.rs.

struct Params {
    n: u32,
    rows: u32,      // in vec4: four rows each
    columns: u32,   // in vec4
    first_row: u32, // in vec4
    y_columns: u32, // in vec4
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
// Whether a workgroup makes more n.
override MANY: bool = false;

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

// A row of the matrix in each column of `block`: x * block is four dot products, of column `c` (vec4).
fn add(acc: ptr<function, mat4x4<f32>>, block: mat4x4<f32>, first_n: i32, c: i32) {
    let columns = i32(p.columns);
    let several = i32(p.n) - first_n;
    let at = first_n * columns + c;
    (*acc)[0] += x_at(at) * block;
    if several > 1 {
        (*acc)[1] += x_at(at + columns) * block;
    }
    if several > 2 {
        (*acc)[2] += x_at(at + 2 * columns) * block;
    }
    if several > 3 {
        (*acc)[3] += x_at(at + 3 * columns) * block;
    }
}

// Stores the sums of four rows, `row` (vec4).
fn store(sum: vec4<f32>, n: i32, row: i32) {
    let at = i32(p.first_row) + row;
    let y_columns = i32(p.y_columns);
    y[n * y_columns + at] = end(sum, at, n / i32(p.sharing) * y_columns + at);
}

// 4 n.
fn few(row: i32, first_n: i32, lane: i32) {
    let columns = i32(p.columns);
    let several = i32(p.n) - first_n;
    let top = row * 4;
    let texels = select(columns, (columns + 1) / 2, HALF);
    var acc = mat4x4<f32>();
    for (var t = lane; t < texels; t += i32(SUBGROUP)) {
        if HALF {
            let two = half_blocks(t, top);
            add(&acc, two[0], first_n, t * 2);
            // Past the last column there are zeros in m.
            add(&acc, two[1], first_n, min(t * 2 + 1, columns - 1));
        } else {
            add(&acc, block(t, top), first_n, t);
        }
    }
    let sum0 = subgroupAdd(acc[0]);
    let sum1 = subgroupAdd(acc[1]);
    let sum2 = subgroupAdd(acc[2]);
    let sum3 = subgroupAdd(acc[3]);
    if lane < min(several, 4) {
        let sum = select(select(sum0, sum1, lane == 1), select(sum2, sum3, lane == 3), lane >= 2);
        store(sum, first_n + lane, row);
    }
}

// `add` for ten n; what is past the last is read and not stored.
fn add_many(acc: ptr<function, array<vec4<f32>, 10>>, block: mat4x4<f32>, first_n: i32, c: i32) {
    let columns = i32(p.columns);
    let at = first_n * columns + c;
    (*acc)[0] += x_at(at + 0 * columns) * block;
    (*acc)[1] += x_at(at + 1 * columns) * block;
    (*acc)[2] += x_at(at + 2 * columns) * block;
    (*acc)[3] += x_at(at + 3 * columns) * block;
    (*acc)[4] += x_at(at + 4 * columns) * block;
    (*acc)[5] += x_at(at + 5 * columns) * block;
    (*acc)[6] += x_at(at + 6 * columns) * block;
    (*acc)[7] += x_at(at + 7 * columns) * block;
    (*acc)[8] += x_at(at + 8 * columns) * block;
    (*acc)[9] += x_at(at + 9 * columns) * block;
}

// The sum over four invocations.
fn quad(v: vec4<f32>, first: u32) -> vec4<f32> {
    let v01 = subgroupShuffle(v, first) + subgroupShuffle(v, first + 1u);
    let v23 = subgroupShuffle(v, first + 2u) + subgroupShuffle(v, first + 3u);
    return v01 + v23;
}

// The sum over the invocations.
fn total(v: vec4<f32>) -> vec4<f32> {
    var sum = quad(v, 0u);
    if SUBGROUP >= 8u {
        sum += quad(v, 4u);
    }
    if SUBGROUP == 16u {
        sum += quad(v, 8u) + quad(v, 12u);
    }
    return sum;
}

// 10 n.
fn many(row: i32, first_n: i32, lane: i32) {
    let columns = i32(p.columns);
    let several = i32(p.n) - first_n;
    let top = row * 4;
    let texels = select(columns, (columns + 1) / 2, HALF);
    var acc = array<vec4<f32>, 10>();
    for (var t = lane; t < texels; t += i32(SUBGROUP)) {
        if HALF {
            let two = half_blocks(t, top);
            add_many(&acc, two[0], first_n, t * 2);
            add_many(&acc, two[1], first_n, min(t * 2 + 1, columns - 1));
        } else {
            add_many(&acc, block(t, top), first_n, t);
        }
    }
    let t0 = total(acc[0]);
    let t1 = total(acc[1]);
    let t2 = total(acc[2]);
    let t3 = total(acc[3]);
    let t4 = total(acc[4]);
    let t5 = total(acc[5]);
    let t6 = total(acc[6]);
    let t7 = total(acc[7]);
    let t8 = total(acc[8]);
    let t9 = total(acc[9]);
    for (var first = 0; first < min(several, 10); first += i32(SUBGROUP)) {
        let n = first + lane;
        // By selection: an array's element that differs between invocations is slow.
        var sum = t0;
        sum = select(sum, t1, n == 1);
        sum = select(sum, t2, n == 2);
        sum = select(sum, t3, n == 3);
        sum = select(sum, t4, n == 4);
        sum = select(sum, t5, n == 5);
        sum = select(sum, t6, n == 6);
        sum = select(sum, t7, n == 7);
        sum = select(sum, t8, n == 8);
        sum = select(sum, t9, n == 9);
        if n < min(several, 10) {
            store(sum, first_n + n, row);
        }
    }
}

@compute @workgroup_size(SUBGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let row = i32(group.z * groups.y + group.y);
    if row >= i32(p.rows) {
        return;
    }
    if MANY {
        many(row, i32(group.x) * 10, i32(local.x));
    } else {
        few(row, i32(group.x) * 4, i32(local.x));
    }
}
