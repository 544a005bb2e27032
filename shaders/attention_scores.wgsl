// Scores of attention between positions: how much each position's query is like each position's key, in heads.
//
//   y[n, h * keys + j, i] = scale * sum over d of q[n, h, d, i] k[n, h, d, j]
//
// Channels of q and k are `heads` equal parts of `depth`. q: N x in_blocks x positions, k: N x in_blocks x keys, y: N x blocks x
// positions, four channels an element; one image's q for `q_sharing` n, and one's k for `k_sharing`.
// An element of y may belong to several heads, and so may one of q and k: what is of another head counts for nothing. Channels of y
// that there are not are zeros.
// An invocation makes one block of y at four positions, so that each value loaded is used four times.
// It is also the gradient of attention_sum.wgsl at its weights. CPU twin: attention_scores in tests/common/twins.rs.

const FOUR: vec4<u32> = vec4<u32>(0u, 1u, 2u, 3u);

struct Params {
    count: u32, // invocations: N * blocks * fours of positions
    blocks: u32,
    positions: u32,
    keys: u32,
    heads: u32,
    depth: u32,
    in_blocks: u32,
    q_sharing: u32, // n of an image
    k_sharing: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
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
    let channels = plane % p.blocks * 4u + FOUR;
    let heads = channels / p.keys;
    let keys = channels - heads * p.keys;
    // Positions behind the last are the last once more, and not stored.
    let places = min(first + FOUR, vec4(p.positions - 1u));
    var sums: array<vec4<f32>, 4>;
    for (var head = heads.x; head <= min(heads.w, p.heads - 1u); head++) {
        let own = heads == vec4(head);
        let begin = head * p.depth;
        let end = begin + p.depth;
        for (var block = begin / 4u; block * 4u < end; block++) {
            let of_block = block * 4u + FOUR;
            let inside = (of_block >= vec4(begin)) & (of_block < vec4(end));
            let keyed = (n / p.k_sharing * p.in_blocks + block) * p.keys;
            let queried = (n / p.q_sharing * p.in_blocks + block) * p.positions;
            let of_keys = mat4x4(k[keyed + keys.x], k[keyed + keys.y], k[keyed + keys.z], k[keyed + keys.w]);
            for (var i = 0u; i < 4u; i++) {
                let query = select(vec4<f32>(), q[queried + places[i]], inside);
                sums[i] += select(vec4<f32>(), query * of_keys, own);
            }
        }
    }
    for (var i = 0u; i < 4u; i++) {
        if first + i < p.positions {
            y[plane * p.positions + first + i] = p.scale * sums[i];
        }
    }
}
