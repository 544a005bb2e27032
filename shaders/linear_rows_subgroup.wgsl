// Matrix times vector for software adapters whose subgroup is 8 invocations: linear_rows.wgsl with the matrix read through
// an image, from which Mesa's software adapter loads in a quarter of the time that a storage buffer takes.
//
//   y[n, first_row + r] = end(sum over c of m[r, c] * x[n, c])
//
// m: an image, a texel is four columns of a row, rows padded with zeros to a multiple of 4; a part of the matrix, starting
// at first_row. x: an image of 4096 texels a row: a row of zeros, then N x columns in vec4. y: N x y_columns, in vec4.
// extra: by `epilogue`, the bias (y_columns) or one image's activations in y's shape, shared by all n.
//
// A workgroup is one subgroup and makes 4 rows of up to 4 n: its 8 invocations stride over the columns, then add up.
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

const IMAGE_ROW: i32 = 4096;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var x: texture_storage_2d<rgba32float, read>;
@group(0) @binding(2) var m: texture_storage_2d<rgba32float, read>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Element `i` of x.
fn x_at(i: i32) -> vec4<f32> {
    return textureLoad(x, vec2<i32>(i & 4095, 1 + (i >> 12u)));
}

fn end(value: vec4<f32>, at: i32) -> vec4<f32> {
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

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let lane = i32(local.x);
    let row = i32(group.y * groups.x + group.x);
    let columns = i32(p.columns);
    let first_n = i32(group.z) * 4;
    let several = i32(p.n) - first_n;
    if row >= i32(p.rows) {
        return;
    }
    let x0 = first_n * columns;
    let top = row * 4;
    var acc = mat4x4<f32>();
    for (var c = lane; c < columns; c += 8) {
        // A row of the matrix in each column of `block`: x * block is four dot products.
        let block = mat4x4<f32>(
            textureLoad(m, vec2<i32>(c, top)),
            textureLoad(m, vec2<i32>(c, top + 1)),
            textureLoad(m, vec2<i32>(c, top + 2)),
            textureLoad(m, vec2<i32>(c, top + 3)),
        );
        acc[0] += x_at(x0 + c) * block;
        if several > 1 {
            acc[1] += x_at(x0 + columns + c) * block;
        }
        if several > 2 {
            acc[2] += x_at(x0 + 2 * columns + c) * block;
        }
        if several > 3 {
            acc[3] += x_at(x0 + 3 * columns + c) * block;
        }
    }
    let sum0 = subgroupAdd(acc[0]);
    let sum1 = subgroupAdd(acc[1]);
    let sum2 = subgroupAdd(acc[2]);
    let sum3 = subgroupAdd(acc[3]);
    if lane < min(several, 4) {
        let at = i32(p.first_row) + row;
        let sum = select(select(sum0, sum1, lane == 1), select(sum2, sum3, lane == 3), lane >= 2);
        y[(first_n + lane) * i32(p.y_columns) + at] = end(sum, at);
    }
}
