// Some channels of x to other places among y's: one input of a concatenation, or its gradient.
//
//   y[n, c, i] = x[n, c - to + from, i] for c from `to` on, `channels` of them; before them as it was where `keep` is set, else 0;
//   after them 0
//
// x: N x in_blocks x positions, y: N x blocks x positions, four channels an element; x may be there once for `sharing` n. Of y
// the blocks from `first_block` on are written. A block may hold channels of two inputs: they come in
// their order, and each keeps what the one before it wrote.
// An invocation makes one element of y, a layer of workgroups those of one n. CPU twin: copy_channels in tests/common/twins.rs.

struct Params {
    image: u32, // elements made of an image: made_blocks * positions
    in_blocks: u32,
    blocks: u32,
    first_block: u32,
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

// The image that n belongs to, which is below 2^16.
fn image_of(n: u32, sharing: u32) -> u32 {
    return u32(i32((f32(i32(n)) + 0.5) / f32(i32(sharing))));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let made = (group.y * groups.x + group.x) * 64u + lane;
    if made >= p.image {
        return;
    }
    let plane = over(made, p.positions);
    let position = made - plane * p.positions;
    let block = p.first_block + plane;
    let n = group.z;
    let at = (n * p.blocks + block) * p.positions + position;
    let base = image_of(n, p.sharing) * p.in_blocks * p.positions + position;
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
