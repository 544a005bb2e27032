// Where a picture repeats itself: for each position whether the one that lies some way from it holds the same, as bits.
//
//   bit 4 l + d of alike[n, r, c] = x[n, b, r, c] == x[n, b, r + rows, c + columns] for all blocks b
//   (rows, columns) of d: 0 (0, s.y), 1 (s.x, 0), 2 (s.x, s.y), 3 (s.x, -s.y), where s is shift l
// A position is like none outside of x.
//
// x: N x blocks x h x w, four channels an element; alike: N x h x w, one u32 each.
// An invocation makes one element. CPU twin: max_pool in tests/common/twins.rs, whose places the pools must find with it
// though the layers before them round.

struct Params {
    shifts: array<vec4<i32>, 8>, // rows and columns; none is further than a row or column of zero
    count: u32, // elements of alike: N * h * w
    blocks: i32,
    h: i32,
    w: i32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> alike: array<u32>;

fn is_alike(image: i32, row: i32, column: i32, rows: i32, columns: i32) -> bool {
    let r = row + rows;
    let c = column + columns;
    if r < 0 || r >= p.h || c < 0 || c >= p.w {
        return false;
    }
    var same = true;
    for (var b = 0; b < p.blocks && same; b++) {
        let plane = (image * p.blocks + b) * p.h;
        same = all(x[(plane + row) * p.w + column] == x[(plane + r) * p.w + c]);
    }
    return same;
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
    let image = i32(at) / (p.h * p.w);
    let row = i32(at) / p.w % p.h;
    let column = i32(at) % p.w;
    var bits = 0u;
    for (var l = 0u; l < 8u; l++) {
        let s = p.shifts[l].xy;
        if s.x == 0 {
            break;
        }
        let along = vec4<bool>(
            is_alike(image, row, column, 0, s.y),
            is_alike(image, row, column, s.x, 0),
            is_alike(image, row, column, s.x, s.y),
            is_alike(image, row, column, s.x, -s.y),
        );
        let each = select(vec4<u32>(), vec4<u32>(1u, 2u, 4u, 8u), along);
        bits |= (each.x | each.y | each.z | each.w) << (4u * l);
    }
    alike[at] = bits;
}
