// Winograd F(4x4, 3x3), last of three stages: 4 x 4 outputs of each tile from its 36 products.
//
//   y[t] = end(A^T m[t] A)        A^T = | 1    1      1      1     1    0 |   a = 1 / sqrt 2, b = sqrt 2
//                                       | 0    a     -a     -b     b    0 |
//                                       | 0    a^2    a^2    b^2   b^2  0 |
//                                       | 0    a^3   -a^3   -b^3   b^3  1 |
//
// m: [position][m_blocks][stride], each element four channels, from
// winograd_product_subgroup.wgsl. y: N x blocks x h x w, each element four channels (NC4HW4); outputs past its edges are
// not written. extra: by `epilogue`, the bias (blocks) or activations in y's shape, one image's for `sharing` n.
// tiles: where `listed`, how many there are, and the tiles made, counted through all images.
// An invocation makes one tile of one block. CPU twin: conv2d in tests/common/twins.rs, which the stages together must
// equal.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32,   // tiles in a row of an image
    image_tiles: i32, // tiles of an image
    first: i32,       // the first tile made, counted through all images or in the list
    end: i32,         // the one after the last
    stride: i32,
    m_blocks: i32,
    rows: i32,        // 4; as a constant, the driver would unroll the end and take long to compile
    epilogue: u32,
    sharing: i32,     // n of an image
    listed: u32,
    low: f32,         // bounds between which a mask passes
    high: f32,
}

const EPILOGUE_BIAS: u32 = 1u;
const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

const A: f32 = 0.70710678;
const B: f32 = 1.41421356;

// Invocations of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> tiles: array<i32>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

fn transform(
    m0: vec4<f32>,
    m1: vec4<f32>,
    m2: vec4<f32>,
    m3: vec4<f32>,
    m4: vec4<f32>,
    m5: vec4<f32>,
) -> mat4x4<f32> {
    let even_a = m1 + m2;
    let odd_a = A * (m1 - m2);
    let even_b = m4 + m3;
    let odd_b = B * (m4 - m3);
    return mat4x4<f32>(
        m0 + (even_a + even_b),
        odd_a + odd_b,
        0.5 * even_a + 2.0 * even_b,
        (0.5 * odd_a + 2.0 * odd_b) + m5,
    );
}

// Six products of a row of the tile, transformed.
fn row(at: i32, step: i32) -> mat4x4<f32> {
    return transform(
        m[at],
        m[at + step],
        m[at + 2 * step],
        m[at + 3 * step],
        m[at + 4 * step],
        m[at + 5 * step],
    );
}

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let place_of_tile = i32(group.x) * i32(SUBGROUP) + i32(local.x);
    let index = p.first + place_of_tile;
    // By selection: behind a branch the driver makes the rest of the kernel twice as slow.
    let is_listed = p.listed != 0u;
    let tile = select(index, tiles[1 + index * i32(p.listed)], is_listed);
    let end = select(p.end, min(p.end, tiles[0]), is_listed);
    let inside = index < end;
    let block = i32(group.y);
    let step = p.m_blocks * p.stride;
    let at = block * p.stride + place_of_tile;
    let r0 = row(at, step);
    let r1 = row(at + 6 * step, step);
    let r2 = row(at + 12 * step, step);
    let r3 = row(at + 18 * step, step);
    let r4 = row(at + 24 * step, step);
    let r5 = row(at + 30 * step, step);
    var columns: array<mat4x4<f32>, 4>;
    columns[0] = transform(r0[0], r1[0], r2[0], r3[0], r4[0], r5[0]);
    columns[1] = transform(r0[1], r1[1], r2[1], r3[1], r4[1], r5[1]);
    columns[2] = transform(r0[2], r1[2], r2[2], r3[2], r4[2], r5[2]);
    columns[3] = transform(r0[3], r1[3], r2[3], r3[3], r4[3], r5[3]);

    let n = tile / p.image_tiles;
    let in_image = tile % p.image_tiles;
    let top = in_image / p.row_tiles * 4;
    let left = in_image % p.row_tiles * 4;
    let masked = p.epilogue == EPILOGUE_MASK || p.epilogue == EPILOGUE_MASK_GUIDED;
    let rectified = p.epilogue == EPILOGUE_BIAS_RELU || p.epilogue == EPILOGUE_MASK_GUIDED
        || p.epilogue == EPILOGUE_MASK_DECONV;
    var bias = vec4<f32>();
    if p.epilogue == EPILOGUE_BIAS || p.epilogue == EPILOGUE_BIAS_RELU {
        bias = extra[block];
    }
    let plane = p.h * p.w;
    let height = select(0, min(p.rows, p.h - top), inside);
    let width = min(4, p.w - left);
    let act = n / p.sharing * p.blocks * plane;
    let low = vec4<f32>(p.low);
    let high = vec4<f32>(p.high);
    for (var r = 0; r < height; r++) {
        for (var c = 0; c < width; c++) {
            let to = block * plane + (top + r) * p.w + left + c;
            var value = columns[c][r] + bias;
            if masked {
                let here = extra[act + to];
                value = select(vec4<f32>(), value, (here > low) & (here < high));
            }
            if rectified {
                value = max(value, vec4<f32>());
            }
            y[n * p.blocks * plane + to] = value;
        }
    }
}
