// Matrix times vector, one dot product a row of the matrix: a linear layer forward when its file has one row an output,
// backward when it has one row an input.
//
//   y[n, first_row + r] = end(sum over c of m[r, c] * x[n, c])
//
// m: rows x columns, an element is four columns of a row, or eight if HALF; rows padded with zeros to a multiple of 4 and
// columns to a whole element; a part of a matrix larger than one binding, starting at first_row. x: N x columns,
// y: N x y_columns, in vec4. extra: by `epilogue`, the bias (y_columns) or activations in y's shape, one
// image's for `sharing` n.
//
// A workgroup makes 4 rows of up to 4 n: its 64 invocations stride over the columns, then add up in a tree. Workgroups of other
// n of the same rows are its neighbours along x, so that a GPU reads these rows from memory once for all of them.
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

// Whether m holds float16.
override HALF: bool = false;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> m: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Each invocation's four rows, for four n.
var<workgroup> partial: array<mat4x4<f32>, 64>;

// Where a mask by such activations lets the gradient pass.
fn passes(act: vec4<f32>) -> vec4<bool> {
    return (act > vec4<f32>(p.low)) & (act < vec4<f32>(p.high));
}

fn end(value: vec4<f32>, at: u32, act: u32) -> vec4<f32> {
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

// A row of the matrix in each column of `block`: x * block is four dot products, of column `c` (vec4).
fn add(acc: ptr<function, mat4x4<f32>>, block: mat4x4<f32>, first_n: u32, c: u32) {
    let several = p.n - first_n;
    let at = first_n * p.columns + c;
    (*acc)[0] += x[at] * block;
    if several > 1u {
        (*acc)[1] += x[at + p.columns] * block;
    }
    if several > 2u {
        (*acc)[2] += x[at + 2u * p.columns] * block;
    }
    if several > 3u {
        (*acc)[3] += x[at + 3u * p.columns] * block;
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.z * groups.y + group.y;
    let first_n = group.x * 4u;
    let several = p.n - first_n;
    var acc = mat4x4<f32>();
    if row < p.rows {
        let elements = select(p.columns, (p.columns + 1u) / 2u, HALF);
        let top = row * 4u * elements;
        for (var e = lane; e < elements; e += 64u) {
            let m0 = m[top + e];
            let m1 = m[top + elements + e];
            let m2 = m[top + 2u * elements + e];
            let m3 = m[top + 3u * elements + e];
            if HALF {
                add(&acc, mat4x4<f32>(low(m0), low(m1), low(m2), low(m3)), first_n, e * 2u);
                // Past the last column there are zeros in m.
                let c = min(e * 2u + 1u, p.columns - 1u);
                add(&acc, mat4x4<f32>(high(m0), high(m1), high(m2), high(m3)), first_n, c);
            } else {
                let block = mat4x4<f32>(
                    bitcast<vec4<f32>>(m0),
                    bitcast<vec4<f32>>(m1),
                    bitcast<vec4<f32>>(m2),
                    bitcast<vec4<f32>>(m3),
                );
                add(&acc, block, first_n, e);
            }
        }
    }
    partial[lane] = acc;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            partial[lane] += partial[lane + half];
        }
        workgroupBarrier();
    }
    if row < p.rows && lane < min(several, 4u) {
        let at = p.first_row + row;
        let n = first_n + lane;
        y[n * p.y_columns + at] = end(partial[0][lane], at, n / p.sharing * p.y_columns + at);
    }
}
