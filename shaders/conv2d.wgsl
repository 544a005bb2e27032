// Convolution (cross-correlation), any window; the plain kernel that every adapter runs.
//
//   y[n, o, r, c] = end(sum over i, kr, kc of w[o, i, kr, kc] * x[n, i, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise; a tap outside x, or between the rows and columns that
//   `up` spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the
//   filters turned by 180 degrees and their channels swapped, stride 1 and up = the layer's stride.
//
// x: N x in_blocks x in_h x in_w, y: N x out_blocks x out_h x out_w, each element four channels (NC4HW4).
// w: out_blocks x span x taps, each a 4 x 4 block: column j holds the four outputs' weights for input j.
//
// Groups: an output reads the `group_inputs` inputs of its own group of `group_outputs`. A block of outputs reads `span`
// blocks of inputs, all that its groups touch; weights between different groups are zero. One group: span = in_blocks.
// extra: by `epilogue`, the bias (out_blocks) or activations in y's shape, one image's for `sharing` n.
//
// A workgroup makes 8 columns x 32 rows of one output block of one image; an invocation 4 rows of one column.
// CPU twin: conv2d in tests/common/twins.rs.

struct Params {
    in_blocks: u32,
    in_h: i32,
    in_w: i32,
    out_blocks: u32,
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
    span: u32,
    group_inputs: u32,
    group_outputs: u32,
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

const ROWS: i32 = 4;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<mat4x4<f32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// The input at a tap's place, or zero.
fn load(plane: u32, spread_row: i32, spread_col: i32) -> vec4<f32> {
    let row = spread_row / p.up_h;
    let col = spread_col / p.up_w;
    let inside = spread_row >= 0 && spread_col >= 0 && row < p.in_h && col < p.in_w
        && row * p.up_h == spread_row && col * p.up_w == spread_col;
    if !inside {
        return vec4<f32>();
    }
    return x[plane + u32(row * p.in_w + col)];
}

// Where a mask by such activations lets the gradient pass.
fn passes(act: vec4<f32>) -> vec4<bool> {
    return (act > vec4<f32>(p.low)) & (act < vec4<f32>(p.high));
}

fn end(value: vec4<f32>, block: u32, act: u32) -> vec4<f32> {
    let zero = vec4<f32>();
    switch p.epilogue {
        case EPILOGUE_BIAS: { return value + extra[block]; }
        case EPILOGUE_BIAS_RELU: { return max(value + extra[block], zero); }
        case EPILOGUE_MASK: { return select(zero, value, passes(extra[act])); }
        case EPILOGUE_MASK_GUIDED: { return select(zero, max(value, zero), passes(extra[act])); }
        case EPILOGUE_MASK_DECONV: { return max(value, zero); }
        default: { return value; }
    }
}

fn store(n: u32, block: u32, row: i32, col: i32, value: vec4<f32>) {
    if row < p.out_h {
        let at = (block * u32(p.out_h) + u32(row)) * u32(p.out_w) + u32(col);
        let image = p.out_blocks * u32(p.out_h * p.out_w);
        y[n * image + at] = end(value, block, n / p.sharing * image + at);
    }
}

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let col = i32(id.x);
    let row = i32(id.y) * ROWS;
    let block = id.z % p.out_blocks;
    let n = id.z / p.out_blocks;
    if col >= p.out_w || row >= p.out_h {
        return;
    }
    var acc0 = vec4<f32>();
    var acc1 = vec4<f32>();
    var acc2 = vec4<f32>();
    var acc3 = vec4<f32>();
    let in_plane = u32(p.in_h * p.in_w);
    let first_row = row * p.stride_h - p.pad_h;
    let first_col = col * p.stride_w - p.pad_w;
    var tap = block * p.span * u32(p.taps_h * p.taps_w);
    let wanted = block * 4u / p.group_outputs * p.group_inputs / 4u;
    let first = min(wanted, p.in_blocks - p.span);
    for (var i = 0u; i < p.span; i++) {
        let plane = (n * p.in_blocks + first + i) * in_plane;
        for (var kr = 0; kr < p.taps_h; kr++) {
            let r = first_row + kr * p.dilation_h;
            for (var kc = 0; kc < p.taps_w; kc++) {
                let c = first_col + kc * p.dilation_w;
                let weight = w[tap];
                acc0 += weight * load(plane, r, c);
                acc1 += weight * load(plane, r + p.stride_h, c);
                acc2 += weight * load(plane, r + 2 * p.stride_h, c);
                acc3 += weight * load(plane, r + 3 * p.stride_h, c);
                tap++;
            }
        }
    }
    store(n, block, row, col, acc0);
    store(n, block, row + 1, col, acc1);
    store(n, block, row + 2, col, acc2);
    store(n, block, row + 3, col, acc3);
}
