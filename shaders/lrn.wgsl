// Local response normalisation across channels (AlexNet, GoogLeNet).
//
//   y[n, c, i] = x[n, c, i] s[n, c, i]^-beta
//   s[n, c, i] = bias + scale * sum over k of x[n, k, i]^2, k from c - before to c + after, of the channels that there are
//
// x, y, s: N x blocks x positions, four channels an element; scale is alpha over the size of the sum. s is kept for the way
// back. An invocation makes one element of y and s. CPU twin: lrn in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * blocks * positions
    blocks: u32,
    positions: u32,
    channels: i32,
    before: i32,
    after: i32,
    scale: f32,
    beta: f32,
    bias: f32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> s: array<vec4<f32>>;

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
    let block = at / p.positions % p.blocks;
    // The same position in the first block of the image.
    let base = at - block * p.positions;
    var sum = vec4<f32>();
    for (var k = 0; k < 4; k++) {
        let c = i32(block) * 4 + k;
        for (var other = max(c - p.before, 0); other <= min(c + p.after, p.channels - 1); other++) {
            let value = x[base + u32(other / 4) * p.positions][other % 4];
            sum[k] += value * value;
        }
    }
    let total = p.bias + p.scale * sum;
    s[at] = total;
    y[at] = x[at] * pow(total, vec4<f32>(-p.beta));
}
