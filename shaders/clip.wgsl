// Values held between two bounds (ReLU6: 0 and 6), and the backward rules.
//
//   epilogue NONE:         y = min(max(x, low), high)              (the layer itself)
//   epilogue MASK:         y = x where low < act < high            (at a bound no gradient passes, as in PyTorch's relu6)
//   epilogue MASK_GUIDED:  y = x where low < act < high and x > 0  (guided backpropagation, arXiv 1412.6806)
//   epilogue MASK_DECONV:  y = x where x > 0                       (deconvolution, arXiv 1311.2901)
//
// x, y: N x elements of an image, four channels each; act: clipped values, one image's for `sharing` n.
// An invocation makes one element of y, a layer of workgroups those of one n. CPU twin: clip in tests/common/twins.rs.

struct Params {
    image: u32, // elements of an image
    low: f32,
    high: f32,
    epilogue: u32,
    sharing: u32, // n of an image
}

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
    let low = vec4<f32>(p.low);
    let high = vec4<f32>(p.high);
    let value = x[at];
    let kept = act[image_of(n, p.sharing) * p.image + i];
    let above = max(value, zero);
    // One store: software adapters go through all branches.
    var end = min(max(value, low), high);
    switch p.epilogue {
        case EPILOGUE_MASK: { end = select(zero, value, (kept > low) & (kept < high)); }
        case EPILOGUE_MASK_GUIDED: { end = select(zero, above, (kept > low) & (kept < high)); }
        case EPILOGUE_MASK_DECONV: { end = above; }
        default: {}
    }
    y[at] = end;
}
