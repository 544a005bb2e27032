// attention_sum.wgsl the other way: what all positions gave to each, by the weights that they gave it.
//
//   y[n, h, c, j] = scale * sum over i of w[n, h * keys + j, i] x[n, h, c, i]
//
// Shapes as there, but that x has the positions and y the keys: x: N x blocks x positions, y: N x blocks x keys.
// An element of x and y may belong to several heads: each of these gives its own channels. Channels of y that there are not are zeros.
// An invocation makes one block of y at four keys, so that each value loaded is used four times.
// The gradient of attention_sum.wgsl at its values, and of attention_scores.wgsl at the keys. CPU twin: attention_sum_transposed in
// tests/common/twins.rs.

const FOUR: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

struct Params {
    count: u32, // invocations: N * blocks * fours of keys
    blocks: u32,
    positions: u32,
    keys: u32,
    heads: u32,
    depth: u32,
    w_blocks: u32,
    w_sharing: u32, // n of an image
    x_sharing: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

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
    let fours = (p.keys + 3u) / 4u;
    let first = at % fours * 4u;
    let plane = at / fours;
    let n = plane / p.blocks;
    let block = plane % p.blocks;
    let heads = (block * 4u + FOUR) / p.depth;
    // Keys behind the last are the last once more, and not stored.
    let keys = min(first + FOUR, vec4(p.keys - 1u));
    let valued = (n / p.x_sharing * p.blocks + block) * p.positions;
    let weighed = n / p.w_sharing * p.w_blocks;
    var sums: array<vec4<f32>, 4>;
    for (var head = heads.x; head <= min(heads.w, p.heads - 1u); head++) {
        let own = heads == vec4(head);
        let channels = head * p.keys + keys;
        let rows = (weighed + channels / 4u) * p.positions * 4u + channels % 4u;
        for (var i = 0u; i < p.positions; i++) {
            let value = select(vec4<f32>(), x[valued + i], own);
            let of_keys = rows + i * 4u;
            sums[0] += w[of_keys.x] * value;
            sums[1] += w[of_keys.y] * value;
            sums[2] += w[of_keys.z] * value;
            sums[3] += w[of_keys.w] * value;
        }
    }
    for (var j = 0u; j < 4u; j++) {
        if first + j < p.keys {
            y[plane * p.keys + first + j] = p.scale * sums[j];
        }
    }
}
