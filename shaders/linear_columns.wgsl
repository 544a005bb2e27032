// Vector times matrix, a weighted sum of the matrix's rows: a linear layer forward when its file has one row an input,
// backward when it has one row an output.
//
//   y[n, c] = end(before + sum over r of x[n, first_row + r] * m[r, c]),  before = y[n, c] if accumulate, else 0
//
// m: rows x columns, an element is four columns of a row, or eight if HALF; rows padded with zeros to a multiple of 4 and
// columns to a whole element; a part of a matrix larger than one binding, starting at first_row; the parts accumulate and
// only the last one ends. x: N x x_columns, y: N x columns, in vec4. extra: by `epilogue`, the bias (columns) or
// activations in y's shape, one image's for `sharing` n.
//
// Four rows whose x is zero in all n of a workgroup are not read: after a ReLU that is often so.
// A workgroup makes 16 columns (vec4) of up to 4 n: 16 x 16 invocations, 16 of them sharing a column's rows, which add
// up at the end; if HALF, two neighbours read the same elements. Workgroups of other n of the same columns are its neighbours
// along x, so that a GPU reads these columns from memory once for all of them. CPU twin: linear_columns in tests/common/twins.rs.

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

// Whether m holds float16.
override HALF: bool = false;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> m: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// [slice][column] of each n; 16 KiB, the least that an adapter may offer.
var<workgroup> partial: array<mat4x4<f32>, 256>;

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

// Column `c` (vec4) of the row that starts at element `row`.
fn column_of(row: u32, c: u32) -> vec4<f32> {
    if HALF {
        let eight = m[row + c / 2u];
        let four = select(eight.xy, eight.zw, c % 2u == 1u);
        return vec4<f32>(unpack2x16float(four.x), unpack2x16float(four.y));
    }
    return bitcast<vec4<f32>>(m[row + c]);
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let column = group.y * 16u + local.x;
    let first_n = group.x * 4u;
    let several = p.n - first_n;
    var acc = mat4x4<f32>();
    if column < p.columns {
        let elements = select(p.columns, (p.columns + 1u) / 2u, HALF);
        let x0 = first_n * p.x_columns + p.first_row;
        for (var r = local.y; r < p.rows; r += 16u) {
            var v = mat4x4<f32>();
            v[0] = x[x0 + r];
            if several > 1u {
                v[1] = x[x0 + p.x_columns + r];
            }
            if several > 2u {
                v[2] = x[x0 + 2u * p.x_columns + r];
            }
            if several > 3u {
                v[3] = x[x0 + 3u * p.x_columns + r];
            }
            let zero = vec4<f32>();
            if all(v[0] == zero) && all(v[1] == zero) && all(v[2] == zero) && all(v[3] == zero) {
                continue;
            }
            let top = r * 4u * elements;
            let block = mat4x4<f32>(
                column_of(top, column),
                column_of(top + elements, column),
                column_of(top + 2u * elements, column),
                column_of(top + 3u * elements, column),
            );
            acc[0] += block * v[0];
            if several > 1u {
                acc[1] += block * v[1];
            }
            if several > 2u {
                acc[2] += block * v[2];
            }
            if several > 3u {
                acc[3] += block * v[3];
            }
        }
    }
    let slot = local.y * 16u + local.x;
    partial[slot] = acc;
    workgroupBarrier();
    for (var half = 8u; half > 0u; half /= 2u) {
        if local.y < half {
            partial[slot] += partial[slot + half * 16u];
        }
        workgroupBarrier();
    }
    if column < p.columns && local.y < min(several, 4u) {
        let n = first_n + local.y;
        let at = n * p.columns + column;
        var sum = partial[local.x][local.y];
        if p.accumulate != 0u {
            sum += y[at];
        }
        y[at] = end(sum, column, n / p.sharing * p.columns + column);
    }
}
