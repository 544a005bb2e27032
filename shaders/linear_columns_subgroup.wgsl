// Vector times matrix for software adapters whose subgroup is 8 invocations: linear_columns.wgsl with the matrix read
// through an image, from which Mesa's software adapter loads in a quarter of the time that a storage buffer takes.
//
//   y[n, c] = end(before + sum over r of x[n, first_row + r] * m[r, c]),  before = y[n, c] if accumulate, else 0
//
// m: an image, a texel is four columns of a row, rows padded with zeros to a multiple of 4; a part of the matrix, starting
// at first_row; the parts accumulate and only the last one ends. x: an image of 4096 texels a row: a row of zeros, then
// N x x_columns in vec4. y: N x columns, in vec4. extra: by `epilogue`, the bias (columns) or one image's activations
// in y's shape, shared by all n.
//
// A workgroup is one subgroup and makes 32 columns (vec4) of up to 2 n: 512 bytes of each row in turn; an invocation keeps
// the sums of every eighth column. Columns past the last read the last and are not written.
// CPU twin: linear_columns in tests/common/twins.rs.

struct Params {
    n: u32,
    rows: u32,      // in vec4: four rows each
    columns: u32,   // in vec4
    first_row: u32, // in vec4
    x_columns: u32, // in vec4
    accumulate: u32,
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

// Four rows of one column (vec4), a row in each column of the matrix.
fn block(c: i32, top: i32) -> mat4x4<f32> {
    return mat4x4<f32>(
        textureLoad(m, vec2<i32>(c, top)),
        textureLoad(m, vec2<i32>(c, top + 1)),
        textureLoad(m, vec2<i32>(c, top + 2)),
        textureLoad(m, vec2<i32>(c, top + 3)),
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
    y[at] = end(value, c);
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let c = i32(group.x * 32u + local.x);
    let last = i32(p.columns) - 1;
    let c0 = min(c, last);
    let c1 = min(c + 8, last);
    let c2 = min(c + 16, last);
    let c3 = min(c + 24, last);
    let n = i32(group.y) * 2;
    let two = n + 1 < i32(p.n);
    let x0 = n * i32(p.x_columns) + i32(p.first_row);
    // s<n><column>
    var s00 = vec4<f32>(); var s01 = vec4<f32>(); var s02 = vec4<f32>(); var s03 = vec4<f32>();
    var s10 = vec4<f32>(); var s11 = vec4<f32>(); var s12 = vec4<f32>(); var s13 = vec4<f32>();
    for (var r = 0; r < i32(p.rows); r++) {
        let b0 = block(c0, r * 4);
        let b1 = block(c1, r * 4);
        let b2 = block(c2, r * 4);
        let b3 = block(c3, r * 4);
        let x = x_at(x0 + r);
        s00 += b0 * x; s01 += b1 * x; s02 += b2 * x; s03 += b3 * x;
        if two {
            let x = x_at(x0 + i32(p.x_columns) + r);
            s10 += b0 * x; s11 += b1 * x; s12 += b2 * x; s13 += b3 * x;
        }
    }
    store(s00, n, c);
    store(s01, n, c + 8);
    store(s02, n, c + 16);
    store(s03, n, c + 24);
    store(s10, n + 1, c);
    store(s11, n + 1, c + 8);
    store(s12, n + 1, c + 16);
    store(s13, n + 1, c + 24);
}
