// Values of positions weighed for each position, in heads: attention, with the softmax of scores as weights.
//
//   y[n, h, c, i] = scale * sum over j of w[n, h * keys + j, i] x[n, h, c, j]
//
// Channels of x and y are `heads` equal parts of `depth`. w: N x w_blocks x positions, as single values, since a head may begin
// within an element; x: N x blocks x keys, y: N x blocks x positions, four channels an element; one image's w for `w_sharing` n, and
// one's x for `x_sharing`.
// An element of x and y may belong to several heads: each of these gives its own channels. Channels of y that there are not are zeros.
// An invocation makes one block of y at four positions, so that each value loaded is used four times.
// It is also the gradient of attention_scores.wgsl at the queries. CPU twin: attention_sum in tests/common/twins.rs.

const FOUR: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

struct Params {
    count: u32, // invocations: N * blocks * fours of positions
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
    let fours = (p.positions + 3u) / 4u;
    let first = at % fours * 4u;
    let plane = at / fours;
    let n = plane / p.blocks;
    let block = plane % p.blocks;
    let heads = (block * 4u + FOUR) / p.depth;
    // Positions and keys behind the last are the last once more; the former are not stored, the latter weigh nothing.
    let places = min(first + FOUR, vec4(p.positions - 1u));
    let valued = (n / p.x_sharing * p.blocks + block) * p.keys;
    let weighed = n / p.w_sharing * p.w_blocks;
    var sums: array<vec4<f32>, 4>;
    for (var head = heads.x; head <= min(heads.w, p.heads - 1u); head++) {
        let own = heads == vec4(head);
        for (var j = 0u; j < p.keys; j += 4u) {
            let keys = min(j + FOUR, vec4(p.keys - 1u));
            let inside = j + FOUR < vec4(p.keys);
            let values = mat4x4(x[valued + keys.x], x[valued + keys.y], x[valued + keys.z], x[valued + keys.w]);
            let channels = head * p.keys + keys;
            let rows = (weighed + channels / 4u) * p.positions;
            for (var i = 0u; i < 4u; i++) {
                let of_keys = (rows + places[i]) * 4u + channels % 4u;
                let weights = vec4(w[of_keys.x], w[of_keys.y], w[of_keys.z], w[of_keys.w]);
                sums[i] += select(vec4<f32>(), values * select(vec4<f32>(), weights, inside), own);
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        if first + i < p.positions {
            y[plane * p.positions + first + i] = p.scale * sums[i];
        }
    }
}
