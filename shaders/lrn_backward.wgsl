// The input gradient of lrn.wgsl.
//
//   dx[n, c, i] = dy[n, c, i] s[c, i]^-beta - factor * x[c, i] * sum over k of dy[n, k, i] x[k, i] s[k, i]^(-beta - 1)
//
// over the channels k that read c: from c - after to c + before, of those that there are; factor = 2 alpha beta / size.
// dy, dx: N x blocks x positions, four channels an element; x and s: one image's (blocks x positions) for `sharing` n.
// An invocation makes one element of dx. CPU twin: lrn_backward in tests/common/twins.rs.

struct Params {
    count: u32, // elements of dx: N * blocks * positions
    blocks: u32,
    positions: u32,
    channels: i32,
    before: i32,
    after: i32,
    factor: f32,
    beta: f32,
    sharing: u32, // n of an image
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> s: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> dx: array<vec4<f32>>;

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
    let base = at - block * p.positions;
    let image = p.blocks * p.positions;
    // The same place of the image that the gradient is of.
    let kept = at / image / p.sharing * image + at % image;
    let kept_base = kept - block * p.positions;
    var sum = vec4<f32>();
    for (var k = 0; k < 4; k++) {
        let c = i32(block) * 4 + k;
        for (var other = max(c - p.after, 0); other <= min(c + p.before, p.channels - 1); other++) {
            let offset = u32(other / 4) * p.positions;
            let total = s[kept_base + offset][other % 4];
            let value = x[kept_base + offset][other % 4];
            sum[k] += dy[base + offset][other % 4] * value * pow(total, -p.beta - 1.0);
        }
    }
    dx[at] = dy[at] * pow(s[kept], vec4<f32>(-p.beta)) - p.factor * x[kept] * sum;
}
