// The device's own ceiling of arithmetic, for `gradcam bench`: multiply-adds that touch nothing but registers.
//
//   y[i, k] = f applied 8 * rounds times to the start of element i, component k,  f(s) = s * a + b
//
// with a = 1/2, b = 1, and start(i, k) = i mod 64 + k. y: 64 elements (vec4) a workgroup.
//
// An invocation runs three such sums side by side, 12 chains that do not wait for each other and fit 16 vector
// registers, and stores their mean; written as the other kernels write a multiply-add, so that a driver fuses both or
// neither. CPU twin: multiply_add in tests/common/twins.rs.

struct Params {
    rounds: u32,
}

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let a = vec4<f32>(0.5);
    let b = vec4<f32>(1.0);
    let start = f32(lane) + vec4<f32>(0.0, 1.0, 2.0, 3.0);
    // Different starts, or a compiler would make one sum of the three; their mean is `start`'s, f being affine.
    var s = start - 1.0;
    var t = start;
    var u = start + 1.0;
    for (var i = 0u; i < p.rounds; i++) {
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
        s = s * a + b; t = t * a + b; u = u * a + b;
    }
    y[id.x] = (s + t + u) / 3.0;
}
