// Depthwise convolution: each output channel reads the input channel of its own number, by any window.
//
//   y[n, c, r, q] = end(sum over kr, kc of w[c, kr, kc] * x[n, c, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise with q and kc; a tap outside x, or between the rows and columns that `up`
//   spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the filters turned by
//   180 degrees, stride 1 and up = the layer's stride.
//
// x: N x blocks x in_h x in_w, y: N x blocks x out_h x out_w, four channels an element. w: blocks x taps, four channels each.
// extra: by `epilogue`, the bias (blocks) or activations in y's shape, one image's for `sharing` n.
//
// An invocation makes 4 rows of one column. Taps `step` rows apart read rows that follow one another for its 4 outputs, so that it
// loads one row for each tap and hands the others on; step = taps_h where they do not. Neighbours make neighbouring columns.
// CPU twin: conv2d in tests/common/twins.rs.

struct Params {
    count: u32, // invocations: N * blocks * ceil(out_h / 4) * out_w
    blocks: u32,
    in_h: i32,
    in_w: i32,
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
    step: i32,
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
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// The input at a tap's place, or zero. `col` is within x.
fn load(column: i32, spread_row: i32) -> vec4<f32> {
    let row = spread_row / p.up_h;
    let inside = spread_row >= 0 && row < p.in_h && row * p.up_h == spread_row;
    let value = x[column + clamp(row, 0, p.in_h - 1) * p.in_w];
    return select(vec4<f32>(), value, inside);
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
        let image = p.blocks * u32(p.out_h * p.out_w);
        y[n * image + at] = end(value, block, n / p.sharing * image + at);
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (group.y * groups.x + group.x) * 64u + lane;
    if at >= p.count {
        return;
    }
    let col = i32(at % u32(p.out_w));
    let row_groups = u32((p.out_h + ROWS - 1) / ROWS);
    let row = i32(at / u32(p.out_w) % row_groups) * ROWS;
    let plane = at / u32(p.out_w) / row_groups;
    let block = plane % p.blocks;
    let n = plane / p.blocks;
    var acc0 = vec4<f32>();
    var acc1 = vec4<f32>();
    var acc2 = vec4<f32>();
    var acc3 = vec4<f32>();
    let first_row = row * p.stride_h - p.pad_h;
    let first_col = col * p.stride_w - p.pad_w;
    let first_tap = i32(block) * p.taps_h * p.taps_w;
    for (var kc = 0; kc < p.taps_w; kc++) {
        let spread_col = first_col + kc * p.dilation_w;
        let in_col = spread_col / p.up_w;
        if spread_col < 0 || in_col >= p.in_w || in_col * p.up_w != spread_col {
            continue;
        }
        let column = i32(plane) * p.in_h * p.in_w + in_col;
        for (var phase = 0; phase < p.step; phase++) {
            let r = first_row + phase * p.dilation_h;
            var v0 = vec4<f32>();
            var v1 = load(column, r);
            var v2 = load(column, r + p.stride_h);
            var v3 = load(column, r + 2 * p.stride_h);
            for (var kr = phase; kr < p.taps_h; kr += p.step) {
                v0 = v1;
                v1 = v2;
                v2 = v3;
                v3 = load(column, first_row + kr * p.dilation_h + 3 * p.stride_h);
                let weight = w[first_tap + kr * p.taps_w + kc];
                acc0 += weight * v0;
                acc1 += weight * v1;
                acc2 += weight * v2;
                acc3 += weight * v3;
            }
        }
    }
    store(n, block, row, col, acc0);
    store(n, block, row + 1, col, acc1);
    store(n, block, row + 2, col, acc2);
    store(n, block, row + 3, col, acc3);
}
