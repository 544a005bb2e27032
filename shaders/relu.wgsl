// ReLU and its backward rules where no other kernel's end can take them.
//
//   epilogue BIAS_RELU:    y = max(x, 0)                        (the layer itself; there is no bias here)
//   epilogue MASK:         y = x where act > 0
//   epilogue MASK_GUIDED:  y = x where act > 0 and x > 0        (guided backpropagation, arXiv 1412.6806)
//   epilogue MASK_DECONV:  y = x where x > 0                    (deconvolution, arXiv 1311.2901)
//
// x, y: N x elements, four channels each; act: activations, one image's (elements) for `sharing` n.
// An invocation makes one element of y. CPU twin: relu in tests/common/twins.rs.

struct Params {
    count: u32, // elements of y: N * elements
    elements: u32,
    epilogue: u32,
    sharing: u32, // n of an image
}

const EPILOGUE_BIAS_RELU: u32 = 2u;
const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> act: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// `at` over `by`, rounded down, both below 2^31: software adapters divide whole numbers one invocation after the other. A quotient
// of floats is off by a little, that of what it leaves by one at most.
fn over(at: u32, by: u32) -> u32 {
    let first = u32(f32(at) / f32(by));
    let rest = i32(at - first * by);
    let more = i32(f32(rest) / f32(by));
    let left = rest - more * i32(by);
    return first + u32(more + select(0, 1, left >= i32(by)) - select(0, 1, left < 0));
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
    let zero = vec4<f32>();
    let value = x[at];
    let n = over(at, p.elements);
    let i = (over(n, p.sharing) - n) * p.elements + at;
    switch p.epilogue {
        case EPILOGUE_BIAS_RELU, EPILOGUE_MASK_DECONV: { y[at] = max(value, zero); }
        case EPILOGUE_MASK: { y[at] = select(zero, value, act[i] > zero); }
        case EPILOGUE_MASK_GUIDED: { y[at] = select(zero, max(value, zero), act[i] > zero); }
        default: { y[at] = value; }
    }
}
