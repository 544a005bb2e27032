// Matrix times vector, one dot product a row of the matrix: a linear layer forward when its file has one row an output,
// backward when it has one row an input.
//
//   y[n, first_row + r] = end(sum over c of m[r, c] * x[n, c])
//
// m: rows x columns, columns in vec4 and rows padded with zeros to a multiple of 4; a part of a matrix larger than one
// binding, starting at first_row. x: N x columns, y: N x y_columns, in vec4. extra: by `epilogue`, the bias
// (y_columns) or one image's activations in y's shape, shared by all n.
//
// A workgroup makes 4 rows of up to 4 n: its 64 invocations stride over the columns, then add up in a tree.
// CPU twin: linear_rows in tests/common/twins.rs.

struct Params {
    n: u32,
    rows: u32,      // in vec4: four rows each
    columns: u32,   // in vec4
    first_row: u32, // in vec4
    y_columns: u32, // in vec4
    epilogue: u32,
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Each invocation's four rows, for four n.
var<workgroup> partial: array<mat4x4<f32>, 64>;

fn end(value: vec4<f32>, at: u32) -> vec4<f32> {
    let zero = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS: { return value + extra[at]; }
        case EPILOGUE_BIAS_RELU: { return max(value + extra[at], zero); }
        case EPILOGUE_MASK: { return select(zero, value, extra[at] > zero); }
        case EPILOGUE_MASK_GUIDED: { return select(zero, max(value, zero), extra[at] > zero); }
        case EPILOGUE_MASK_DECONV: { return max(value, zero); }
        default: { return value; }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y * groups.x + group.x;
    let first_n = group.z * 4u;
    let several = p.n - first_n;
    var acc = mat4x4<f32>();
    if row < p.rows {
        let m0 = row * 4u * p.columns;
        let m1 = m0 + p.columns;
        let m2 = m1 + p.columns;
        let m3 = m2 + p.columns;
        let x0 = first_n * p.columns;
        for (var c = lane; c < p.columns; c += 64u) {
            // A row of the matrix in each column of `block`: x * block is four dot products.
            let block = mat4x4<f32>(m[m0 + c], m[m1 + c], m[m2 + c], m[m3 + c]);
            acc[0] += x[x0 + c] * block;
            if several > 1u {
                acc[1] += x[x0 + p.columns + c] * block;
            }
            if several > 2u {
                acc[2] += x[x0 + 2u * p.columns + c] * block;
            }
            if several > 3u {
                acc[3] += x[x0 + 3u * p.columns + c] * block;
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
        y[(first_n + lane) * p.y_columns + at] = end(partial[0][lane], at);
    }
}
