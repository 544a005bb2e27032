// Convolution (cross-correlation), any window, as a matrix product in tiles through workgroup memory; for GPUs.
//
//   y[n, o, r, c] = end(sum over i, kr, kc of w[o, i, kr, kc] * x[n, i, R / up, C / up])
//   R = r * stride - pad + kr * dilation, C likewise; a tap outside x, or between the rows and columns that
//   `up` spreads apart, gives nothing. up = 1 is the layer itself; its input gradient is the same sum with the
//   filters turned by 180 degrees and their channels swapped, stride 1 and up = the layer's stride.
//
// x: N x in_blocks x in_h x in_w, y: N x out_blocks x out_h x out_w, each element four channels (NC4HW4).
// The sum runs over depth = (tap, in block), the taps outermost, in steps of 4; what fills up the last step is zero.
// w: depth x 4 inputs x out_blocks, each element the weights of four outputs for one input.
// extra: by `epilogue`, the bias (out_blocks) or activations in y's shape, one image's for `sharing` n.
// Where one image makes few workgroups, its sums are cut into parts of `part_steps`: y is then as many tensors one after
// the other, each of all images, and split_sum.wgsl adds them and ends.
//
// A workgroup makes TILE positions (in row order) x TILE outputs of one image. Each step brings 4 x TILE elements of x
// and 16 x TILE / 4 of w into workgroup memory, neighbours from neighbours; then an invocation multiplies its 8
// positions x 8 outputs (TILE = 64) or 4 x 4 (TILE = 32). Positions outside y are computed and not written; outputs
// outside y repeat the last block's and are not written. CPU twin: conv2d in tests/common/twins.rs.
//
// With TILE = 64, a step of an invocation is 1024 multiply-adds to 64 elements from workgroup memory and 8 from storage:
// a workgroup reads 8 KiB for 65,536 multiply-adds, 16 operations a byte; with TILE = 32 it is half of that. What it holds
// at once, the sums and 12 elements, fits 128 registers.

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
    images: u32,
    steps: u32,
    part_steps: u32,
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

// Positions and outputs that a workgroup makes: 64 or 32.
override TILE: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> y: array<vec4<f32>>;

// Eight quarters with TILE = 64, four with TILE = 32, cut up so that what an invocation reads or writes lies at constants from
// one place. A quarter of x_tile is 4 x 8 positions at one depth, of w_tile 4 inputs x 8 out blocks. TILE = 64 has two quarters
// a depth, TILE = 32 one.
var<workgroup> x_tile: array<array<array<array<array<vec4<f32>, 8>, 4>, 2>, 2>, TILE / 32u>;
var<workgroup> w_tile: array<array<array<array<array<vec4<f32>, 8>, 4>, 2>, 2>, TILE / 32u>;

// How far an invocation has read x, for one position.
struct Walk {
    block: u32,
    tap: vec2<i32>,
    first: vec2<i32>, // the place of tap (0, 0)
    is_there: bool,   // whether the tap gives anything
    at: u32,          // the tap's element in the first block; within x in any case
}

fn find(walk: ptr<function, Walk>, image: u32) {
    let up = vec2<i32>(p.up_h, p.up_w);
    let size = vec2<i32>(p.in_h, p.in_w);
    let spread = (*walk).first + (*walk).tap * vec2<i32>(p.dilation_h, p.dilation_w);
    let at = spread / up;
    let inside = (*walk).tap.x < p.taps_h && all(spread >= vec2<i32>()) && all(at < size) && all(at * up == spread);
    (*walk).is_there = inside;
    (*walk).at = image + select(0u, u32(at.x * p.in_w + at.y), inside);
}

// Goes on by `blocks` of inputs, then to the next taps.
fn advance(walk: ptr<function, Walk>, image: u32, blocks: u32) {
    (*walk).block += blocks;
    while (*walk).block >= p.in_blocks {
        (*walk).block -= p.in_blocks;
        (*walk).tap.y += 1;
        if (*walk).tap.y == p.taps_w {
            (*walk).tap = vec2<i32>((*walk).tap.x + 1, 0);
        }
        find(walk, image);
    }
}

// sum + w * x, one position a column; each line a chain of multiply-adds, which `sum + w * x` on matrices is not.
fn multiply_add(sum: mat4x4<f32>, w: mat4x4<f32>, x: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        sum[0] + w[0] * x[0].x + w[1] * x[0].y + w[2] * x[0].z + w[3] * x[0].w,
        sum[1] + w[0] * x[1].x + w[1] * x[1].y + w[2] * x[1].z + w[3] * x[1].w,
        sum[2] + w[0] * x[2].x + w[1] * x[2].y + w[2] * x[2].z + w[3] * x[2].w,
        sum[3] + w[0] * x[3].x + w[1] * x[3].y + w[2] * x[3].z + w[3] * x[3].w,
    );
}

fn x_four(pair: u32, second: u32, half: u32, position: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        x_tile[pair][second][half][0][position],
        x_tile[pair][second][half][1][position],
        x_tile[pair][second][half][2][position],
        x_tile[pair][second][half][3][position],
    );
}

fn w_four(pair: u32, second: u32, half: u32, block: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        w_tile[pair][second][half][0][block],
        w_tile[pair][second][half][1][block],
        w_tile[pair][second][half][2][block],
        w_tile[pair][second][half][3][block],
    );
}

// Sums of an invocation, of four positions x one out block each: s<positions><block>. TILE = 32 has the first alone.
struct Sums {
    s00: mat4x4<f32>,
    s01: mat4x4<f32>,
    s10: mat4x4<f32>,
    s11: mat4x4<f32>,
}

// Adds what two quarters give: one depth (TILE = 64) or two. Each element that is read waits in registers for few products.
fn add_quarters(sums: Sums, pair: u32, second: u32, position: u32, block: u32) -> Sums {
    var next = sums;
    let wa = w_four(pair, second, 0u, block);
    let xa = x_four(pair, second, 0u, position);
    next.s00 = multiply_add(next.s00, wa, xa);
    let wb = w_four(pair, second, 1u, block);
    if TILE == 64u {
        next.s01 = multiply_add(next.s01, wb, xa);
    }
    let xb = x_four(pair, second, 1u, position);
    if TILE == 64u {
        next.s10 = multiply_add(next.s10, wa, xb);
        next.s11 = multiply_add(next.s11, wb, xb);
    } else {
        next.s00 = multiply_add(next.s00, wb, xb);
    }
    return next;
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

// `to` counts images through all parts.
fn store(to: u32, block: u32, position: u32, value: vec4<f32>) {
    let plane = u32(p.out_h * p.out_w);
    if position < plane && block < p.out_blocks {
        let at = block * plane + position;
        let image = p.out_blocks * plane;
        y[to * image + at] = end(value, block, to / p.sharing * image + at);
    }
}

// Four positions, 8 apart.
fn store_four(to: u32, block: u32, position: u32, values: mat4x4<f32>) {
    store(to, block, position, values[0]);
    store(to, block, position + 8u, values[1]);
    store(to, block, position + 16u, values[2]);
    store(to, block, position + 24u, values[3]);
}

@compute @workgroup_size(8, 4, 2)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let columns = TILE / 4u;
    let across = (p.out_blocks + columns - 1u) / columns;
    let to = group.z / across;
    let part = to / p.images;
    let n = to - part * p.images;
    let first_step = part * p.part_steps;
    let steps = min(p.part_steps, p.steps - first_step);
    let first_block = group.z % across * columns;
    let first_position = (group.y * groups.x + group.x) * TILE;

    // Where what the invocation brings goes in a pair of quarters.
    let half = local.z;
    let four = local.y;
    let eight = local.x;

    // What it multiplies: positions 8 apart from one another, from `eight` on, and out blocks 8 apart.
    let my_block = half * 4u + four;

    // What it brings: x for one position, w for one block, of every depth (TILE = 64) or every second (TILE = 32).
    let stride = 64u / TILE;
    let own_depth = select(half, 0u, TILE == 64u);
    let position = i32(first_position + lane % TILE);
    let row = position / p.out_w;
    let col = position - row * p.out_w;
    let plane = u32(p.in_h * p.in_w);
    let image = n * p.in_blocks * plane;
    var walk: Walk;
    walk.first = vec2<i32>(row * p.stride_h - p.pad_h, col * p.stride_w - p.pad_w);
    find(&walk, image);
    advance(&walk, image, first_step * 4u + own_depth);
    let w_stride = 4u * stride * p.out_blocks;
    let w_block = first_block + select(0u, half * 8u, TILE == 64u) + eight;
    var w_at = ((first_step * 4u + own_depth) * 4u + four) * p.out_blocks + min(w_block, p.out_blocks - 1u);

    let last_pair = TILE / 32u - 1u;
    var sums = Sums();
    for (var step = 0u; step < steps; step++) {
        // All loads are under way before the first is waited for: what is not there becomes zero after them.
        let x0 = x[walk.at + walk.block * plane];
        let there0 = walk.is_there;
        advance(&walk, image, stride);
        let x1 = x[walk.at + walk.block * plane];
        let there1 = walk.is_there;
        advance(&walk, image, stride);
        let w0 = w[w_at];
        let w1 = w[w_at + w_stride];
        w_at += 2u * w_stride;
        var x2: vec4<f32>;
        var x3: vec4<f32>;
        var w2: vec4<f32>;
        var w3: vec4<f32>;
        var there2: bool;
        var there3: bool;
        if TILE == 64u {
            x2 = x[walk.at + walk.block * plane];
            there2 = walk.is_there;
            advance(&walk, image, stride);
            x3 = x[walk.at + walk.block * plane];
            there3 = walk.is_there;
            advance(&walk, image, stride);
            w2 = w[w_at];
            w3 = w[w_at + w_stride];
            w_at += 2u * w_stride;
        }
        workgroupBarrier();
        x_tile[0][0][half][four][eight] = select(vec4<f32>(), x0, there0);
        x_tile[0][1][half][four][eight] = select(vec4<f32>(), x1, there1);
        w_tile[0][0][half][four][eight] = w0;
        w_tile[0][1][half][four][eight] = w1;
        if TILE == 64u {
            x_tile[last_pair][0][half][four][eight] = select(vec4<f32>(), x2, there2);
            x_tile[last_pair][1][half][four][eight] = select(vec4<f32>(), x3, there3);
            w_tile[last_pair][0][half][four][eight] = w2;
            w_tile[last_pair][1][half][four][eight] = w3;
        }
        workgroupBarrier();
        if TILE == 32u {
            sums = add_quarters(sums, 0u, 0u, eight, my_block);
            sums = add_quarters(sums, 0u, 1u, eight, my_block);
        } else {
            for (var pair = 0u; pair < 2u; pair++) {
                sums = add_quarters(sums, pair, 0u, eight, my_block);
                sums = add_quarters(sums, pair, 1u, eight, my_block);
            }
        }
    }
    let to_block = first_block + my_block;
    let to_position = first_position + eight;
    store_four(to, to_block, to_position, sums.s00);
    if TILE == 64u {
        store_four(to, to_block + 8u, to_position, sums.s01);
        store_four(to, to_block, to_position + 32u, sums.s10);
        store_four(to, to_block + 8u, to_position + 32u, sums.s11);
    }
}
