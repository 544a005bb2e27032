// Some channels of x to other places among y's: one input of a concatenation, or its gradient.
//
//   y[n, c, i] = x[n, c - to + from, i] for c from `to` on, `channels` of them; before them as it was where `keep` is set, else 0;
//   after them 0
//
// x: N x in_blocks x positions, y: N x blocks x positions, four channels an element; x may be there once for `sharing` n. Of y
// the blocks from `first_block` on are written, `made_blocks` of them. A block may hold channels of two inputs: they come in
// their order, and each keeps what the one before it wrote.
// An invocation makes one element of y. CPU twin: copy_channels in tests/common/twins.rs.

struct Params {
    count: u32, // elements made: N * made_blocks * positions
    in_blocks: u32,
    blocks: u32,
    first_block: u32,
    made_blocks: u32,
    positions: u32,
    from_channel: u32,
    to: u32,
    channels: u32,
    keep: u32,
    sharing: u32, // n of an image of x
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let made = (group.y * groups.x + group.x) * 64u + lane;
    if made >= p.count {
        return;
    }
    let position = made % p.positions;
    let block = p.first_block + made / p.positions % p.made_blocks;
    let n = made / p.positions / p.made_blocks;
    let at = (n * p.blocks + block) * p.positions + position;
    let base = n / p.sharing * p.in_blocks * p.positions + position;
    let c = block * 4u;
    let aligned = p.to % 4u == p.from_channel % 4u;
    if aligned && c >= p.to && c + 4u <= p.to + p.channels {
        y[at] = x[base + (c - p.to + p.from_channel) / 4u * p.positions];
        return;
    }
    var value = vec4<f32>();
    if p.keep != 0u && c < p.to {
        value = y[at];
    }
    for (var k = 0u; k < 4u; k++) {
        let channel = c + k;
        if channel >= p.to {
            value[k] = 0.0;
            if channel < p.to + p.channels {
                let source = channel - p.to + p.from_channel;
                value[k] = x[base + source / 4u * p.positions][source % 4u];
            }
        }
    }
    y[at] = value;
}
