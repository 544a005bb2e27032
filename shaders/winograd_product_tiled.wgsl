// Winograd F(4x4, 3x3) and F(2x2, 3x3) in buffers, second of three stages: 36 or 16 matrix products in tiles through
// workgroup memory; for GPUs.
//
//   m[p, o, t] = sum over i of u[p, i, o] * v[p, i, t]            forward
//   m[p, i, t] = sum over o of u[p', i, o] * v[p, o, t]       turned: the input gradient
//
// p is the position in a transformed tile, p' that of turned_position, t the tile. Turning a 3x3 filter by 180 degrees only
// changes the places of its transform's values (winograd_filters_tiled.wgsl), so that both directions
// read the same u.
//
// u: [p][i][o / 4], each element four outputs. v: [p][depth][tiles] and m: [p][blocks][tiles], each element four channels.
//
// A workgroup makes TILE tiles x TILE channels at one position. Each step sums STEP = 256 / TILE blocks of channels: an
// invocation brings four elements of v and one 4 x 4 block of u, which it transposes where the sum runs along u's rows;
// then it multiplies its 8 tiles x 8 channels (TILE = 64) or 4 x 4 (TILE = 32). Past the last tile and the last block made,
// loads repeat the last and nothing is written; past the last block summed both are zero. CPU twin: conv2d in
// tests/common/twins.rs, which the stages together must equal.
//
// Barriers: between the two of a step the invocations write the tiles, each element by one of them (brings: (depth, tile)
// and (depth, input, block) are one to one with an invocation and its four loads), and nobody reads; from the second to
// the next step's first they read and nobody writes. The number of steps is in the uniform, the same for all, so that
// every invocation comes to every barrier. m is written after the sums, each element by one invocation; u and v never.
//
// With TILE = 64, a step of an invocation is 1024 multiply-adds to 64 elements from workgroup memory and 8 from storage,
// as in conv2d_tiled.wgsl, without its arithmetic of windows; with TILE = 32 it is 512 to 64 and 8. What it holds at once, the
// sums and 12 elements, fits 128 registers; what the next step needs, brought meanwhile, would not, and would cost the
// second workgroup that computes while this one waits.

struct Params {
    depth: u32,  // blocks of channels that are summed
    blocks: u32, // blocks of channels that are made
    tiles: u32,
    row: u32,    // elements of u in a row
    plane: u32,  // and at a position
    side: u32,   // positions along a side of a transformed tile: 6 or 4
    turned: u32,
}

// Tiles and channels that a workgroup makes: 64 or 32.
override TILE: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> u: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> v: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> m: array<vec4<f32>>;

// Eight quarters each, cut up so that what an invocation reads or writes lies at constants from one place. A quarter of v_tile is
// 4 x 8 tiles at one depth, of u_tile 4 channels summed x 8 blocks made. TILE = 64 has two quarters a depth, TILE = 32 one.
var<workgroup> v_tile: array<array<array<array<array<vec4<f32>, 8>, 4>, 2>, 2>, 2>;
var<workgroup> u_tile: array<array<array<array<array<vec4<f32>, 8>, 4>, 2>, 2>, 2>;

// The position at which the filters have what they have at `position` when turned. Along rows and columns all points of
// F(4x4) change places, the first with the last and so on; of F(2x2) the outer two do.
fn turned_position(position: u32) -> u32 {
    let at = vec2<u32>(position / p.side, position % p.side);
    let other = p.side - 1u - at;
    let moves = (min(at, other) == vec2<u32>()) | vec2<bool>(p.side == 6u);
    let to = select(at, other, moves);
    return to.x * p.side + to.y;
}

// v of one tile, `at` on a plane of which `depth` is the block.
fn fetch_v(depth: u32, at: u32) -> vec4<f32> {
    if depth >= p.depth {
        return vec4<f32>();
    }
    return v[at + depth * p.tiles];
}

// A column for each of four channels summed, of the four channels made in `block`.
fn fetch_u(depth: u32, block: u32, plane: u32) -> mat4x4<f32> {
    if depth >= p.depth {
        return mat4x4<f32>();
    }
    let turned = p.turned != 0u;
    let at = plane + 4u * select(depth, block, turned) * p.row + select(block, depth, turned);
    let four = mat4x4<f32>(u[at], u[at + p.row], u[at + 2u * p.row], u[at + 3u * p.row]);
    if turned {
        return transpose(four);
    }
    return four;
}

// sum + u * v, one tile a column; each line a chain of multiply-adds, which `sum + u * v` on matrices is not.
fn multiply_add(sum: mat4x4<f32>, u: mat4x4<f32>, v: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4<f32>(
        sum[0] + u[0] * v[0].x + u[1] * v[0].y + u[2] * v[0].z + u[3] * v[0].w,
        sum[1] + u[0] * v[1].x + u[1] * v[1].y + u[2] * v[1].z + u[3] * v[1].w,
        sum[2] + u[0] * v[2].x + u[1] * v[2].y + u[2] * v[2].z + u[3] * v[2].w,
        sum[3] + u[0] * v[3].x + u[1] * v[3].y + u[2] * v[3].z + u[3] * v[3].w,
    );
}

fn store(position: u32, block: u32, tile: u32, value: vec4<f32>) {
    if block < p.blocks && tile < p.tiles {
        m[(position * p.blocks + block) * p.tiles + tile] = value;
    }
}

fn v_four(pair: u32, second: u32, half: u32, tile: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        v_tile[pair][second][half][0][tile],
        v_tile[pair][second][half][1][tile],
        v_tile[pair][second][half][2][tile],
        v_tile[pair][second][half][3][tile],
    );
}

fn u_four(pair: u32, second: u32, half: u32, block: u32) -> mat4x4<f32> {
    return mat4x4<f32>(
        u_tile[pair][second][half][0][block],
        u_tile[pair][second][half][1][block],
        u_tile[pair][second][half][2][block],
        u_tile[pair][second][half][3][block],
    );
}

// Sums of an invocation, of four tiles x one block each: s<tiles><block>. TILE = 32 has the first alone.
struct Sums {
    s00: mat4x4<f32>,
    s01: mat4x4<f32>,
    s10: mat4x4<f32>,
    s11: mat4x4<f32>,
}

// Adds what two quarters give: one depth (TILE = 64) or two. Each element that is read waits in registers for few products.
fn add_quarters(sums: Sums, pair: u32, second: u32, tile: u32, block: u32) -> Sums {
    var next = sums;
    let ua = u_four(pair, second, 0u, block);
    let va = v_four(pair, second, 0u, tile);
    next.s00 = multiply_add(next.s00, ua, va);
    let ub = u_four(pair, second, 1u, block);
    if TILE == 64u {
        next.s01 = multiply_add(next.s01, ub, va);
    }
    let vb = v_four(pair, second, 1u, tile);
    if TILE == 64u {
        next.s10 = multiply_add(next.s10, ua, vb);
        next.s11 = multiply_add(next.s11, ub, vb);
    } else {
        next.s00 = multiply_add(next.s00, ub, vb);
    }
    return next;
}

// Four tiles, 8 apart.
fn store_four(position: u32, block: u32, tile: u32, values: mat4x4<f32>) {
    store(position, block, tile, values[0]);
    store(position, block, tile + 8u, values[1]);
    store(position, block, tile + 16u, values[2]);
    store(position, block, tile + 24u, values[3]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let columns = TILE / 4u;
    let step = 256u / TILE;
    let first_tile = group.x * TILE;
    let first_block = group.y * columns;
    let position = group.z;
    let depths = p.depth;

    // What the invocation brings: v for one tile and every 64 / TILE-th depth, u for one depth and one block. Neighbours
    // take what lies side by side in u: blocks, turned depths.
    let v_step = 64u / TILE;
    let v_depth = lane / TILE;
    let v_at = position * depths * p.tiles + min(first_tile + lane % TILE, p.tiles - 1u);
    let turned = p.turned != 0u;
    let u_depth = select(lane / columns, lane % step, turned);
    let u_block = select(lane % columns, lane / step, turned);
    let u_plane = select(position, turned_position(position), turned) * p.plane;
    let from_block = min(first_block + u_block, p.blocks - 1u);

    // Where it goes: v in a pair of quarters, four times, and u in one.
    let half = lane / 32u;
    let four = lane / 8u % 4u;
    let eight = lane % 8u;
    let quarter = u_depth * (TILE / 32u) + u_block / 8u;
    let u_pair = quarter / 4u;
    let u_second = quarter / 2u % 2u;
    let u_half = quarter % 2u;
    let u_eight = u_block % 8u;

    // What it multiplies: tiles 8 apart from one another, and blocks 8 apart.
    let my_block = lane / 8u;

    var sums = Sums();
    for (var first = 0u; first < depths; first += step) {
        let v0 = fetch_v(first + v_depth, v_at);
        let v1 = fetch_v(first + v_depth + v_step, v_at);
        let v2 = fetch_v(first + v_depth + 2u * v_step, v_at);
        let v3 = fetch_v(first + v_depth + 3u * v_step, v_at);
        let four_channels = fetch_u(first + u_depth, from_block, u_plane);
        workgroupBarrier();
        v_tile[0][0][half][four][eight] = v0;
        v_tile[0][1][half][four][eight] = v1;
        v_tile[1][0][half][four][eight] = v2;
        v_tile[1][1][half][four][eight] = v3;
        u_tile[u_pair][u_second][u_half][0][u_eight] = four_channels[0];
        u_tile[u_pair][u_second][u_half][1][u_eight] = four_channels[1];
        u_tile[u_pair][u_second][u_half][2][u_eight] = four_channels[2];
        u_tile[u_pair][u_second][u_half][3][u_eight] = four_channels[3];
        workgroupBarrier();
        for (var pair = 0u; pair < 2u; pair++) {
            sums = add_quarters(sums, pair, 0u, eight, my_block);
            sums = add_quarters(sums, pair, 1u, eight, my_block);
        }
    }
    let to_block = first_block + my_block;
    let to_tile = first_tile + eight;
    store_four(position, to_block, to_tile, sums.s00);
    if TILE == 64u {
        store_four(position, to_block + 8u, to_tile, sums.s01);
        store_four(position, to_block, to_tile + 32u, sums.s10);
        store_four(position, to_block + 8u, to_tile + 32u, sums.s11);
    }
}
