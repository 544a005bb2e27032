// ReLU and its backward rules where no other kernel's end can take them.
//
//   epilogue BIAS_RELU:    y = max(x, 0)                        (the layer itself; there is no bias here)
//   epilogue MASK:         y = x where act > 0
//   epilogue MASK_GUIDED:  y = x where act > 0 and x > 0        (guided backpropagation, arXiv 1412.6806)
//   epilogue MASK_DECONV:  y = x where x > 0                    (deconvolution, arXiv 1311.2901)
//
// x, y: N x elements of an image, four channels each; act: activations, one image's for `sharing` n.
// An invocation makes one element of y, a layer of workgroups those of one n. CPU twin: relu in tests/common/twins.rs.

struct Params {
    image: u32, // elements of an image
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
    let i = (group.y * groups.x + group.x) * 64u + lane;
    if i >= p.image {
        return;
    }
    let n = group.z;
    let at = n * p.image + i;
    let zero = vec4<f32>();
    let value = x[at];
    let kept = act[image_of(n, p.sharing) * p.image + i];
    let above = max(value, zero);
    // One store: software adapters go through all branches.
    var end = select(value, above, p.epilogue == EPILOGUE_BIAS_RELU || p.epilogue == EPILOGUE_MASK_DECONV);
    if p.epilogue == EPILOGUE_MASK || p.epilogue == EPILOGUE_MASK_GUIDED {
        end = select(zero, select(value, above, p.epilogue == EPILOGUE_MASK_GUIDED), kept > zero);
    }
    y[at] = end;
}
