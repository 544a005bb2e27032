// The gradient of a value of one position that was added to, or multiplied with, each position of a map.
//
//   y[n, b] = sum over positions of x[n, b, i] * (multiplied: other[b, i], else 1)
//
// x: N x blocks x positions, y: N x blocks, four channels an element; other: one image's (blocks x positions) for `sharing` n.
// An invocation makes one element of y. CPU twin: product_sum in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks
    blocks: u32,
    positions: u32,
    multiplied: u32,
    sharing: u32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> other: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// `at` over `by`, rounded down, both below 2^31: software adapters divide whole numbers one invocation after the other, and have no
// instruction that makes floats of numbers without a sign. A quotient of floats is off by a little, that of what it leaves by one at
// most.
fn over(at: u32, by: u32) -> u32 {
    let whole = i32(by);
    let first = i32(f32(i32(at)) / f32(whole));
    let rest = i32(at) - first * whole;
    let more = i32(f32(rest) / f32(whole));
    let left = rest - more * whole;
    return u32(first + more + select(0, 1, left >= whole) - select(0, 1, left < 0));
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
    let n = over(at, p.blocks);
    let first = ((over(n, p.sharing) - n) * p.blocks + at) * p.positions;
    var sum = vec4<f32>();
    for (var i = 0u; i < p.positions; i++) {
        var value = x[at * p.positions + i];
        if p.multiplied != 0u {
            value *= other[first + i];
        }
        sum += value;
    }
    y[at] = sum;
}
