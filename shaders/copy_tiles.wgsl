// Tiles of `base`, one image's, into images that are the same there.
//
//   y[n, tile] = base[tile]
//
// base: blocks x h x w, y: N x blocks x h x w, each element four channels (NC4HW4). tiles: how many there are, and
// the tiles, `side` x `side` each, cut at the edges, counted row by row through all images.
// An invocation copies one tile of one block. CPU twin: conv2d in tests/common/twins.rs, which this and Winograd's stages
// together must equal: tests/reruns.rs holds them against passes without a base.

struct Params {
    blocks: i32,
    h: i32,
    w: i32,
    row_tiles: i32,   // tiles in a row of an image
    image_tiles: i32, // tiles of an image
    side: i32,
}

// Invocations of a workgroup: 4, 8 or 16.
override SUBGROUP: u32;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> base: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> tiles: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(SUBGROUP)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let index = i32(group.x) * i32(SUBGROUP) + i32(local.x);
    if index >= tiles[0] {
        return;
    }
    let tile = tiles[1 + index];
    let n = tile / p.image_tiles;
    let in_image = tile % p.image_tiles;
    let top = in_image / p.row_tiles * p.side;
    let left = in_image % p.row_tiles * p.side;
    let block = i32(group.y);
    let plane = p.h * p.w;
    let height = min(p.side, p.h - top);
    let width = min(p.side, p.w - left);
    for (var r = 0; r < height; r++) {
        for (var c = 0; c < width; c++) {
            let at = block * plane + (top + r) * p.w + left + c;
            y[n * p.blocks * plane + at] = base[at];
        }
    }
}
