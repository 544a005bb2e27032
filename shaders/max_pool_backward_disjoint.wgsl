// Max-pool backward where windows lie side by side: each gradient goes to the element that was its window's maximum, all
// others are zero. With the mask of the ReLU or clip before the pool, whose activation there is the maximum itself.
//
//   dx[n, b, r, c] = end(dy[n, b, R, C]) where the argmax of (R, C) is (r, c), else 0, per channel; R = r / taps_h, C alike
//   end by `epilogue`, with the pool's output in `extra`
//
// dx: N x blocks x in_h x in_w, dy: N x blocks x out_h x out_w, four channels an element; argmax, extra: one image's,
// blocks x out_h x out_w, for `sharing` n (the classes of that image). Elements past the last window are zero.
// An invocation makes the elements of one window. CPU twin: max_pool_backward in tests/common/twins.rs.

struct Params {
    count: u32, // windows: N * blocks * rows * columns
    blocks: u32,
    rows: u32,    // windows that it takes to cover dx
    columns: u32,
    in_h: u32,
    in_w: u32,
    out_h: u32,
    out_w: u32,
    taps_h: u32,
    taps_w: u32,
    epilogue: u32,
    sharing: u32, // n of an image
    low: f32, // bounds between which a mask passes
    high: f32,
}

const EPILOGUE_MASK: u32 = 3u;
const EPILOGUE_MASK_GUIDED: u32 = 4u;
const EPILOGUE_MASK_DECONV: u32 = 5u;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> argmax: array<u32>;
@group(0) @binding(3) var<storage, read> extra: array<vec4<f32>>;
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
    let plane = at / (p.rows * p.columns);
    let row = at / p.columns % p.rows;
    let column = at % p.columns;
    var gradient = vec4<f32>();
    var winner = vec4<u32>();
    if row < p.out_h && column < p.out_w {
        let out_plane = p.out_h * p.out_w;
        let here = row * p.out_w + column;
        let image_plane = plane / p.blocks / p.sharing * p.blocks + plane % p.blocks;
        let image_here = image_plane * out_plane + here;
        let packed = argmax[image_here];
        winner = vec4<u32>(packed, packed >> 8u, packed >> 16u, packed >> 24u) & vec4<u32>(255u);
        gradient = dy[plane * out_plane + here];
        if p.epilogue == EPILOGUE_MASK || p.epilogue == EPILOGUE_MASK_GUIDED {
            let act = extra[image_here];
            let passes = (act > vec4<f32>(p.low)) & (act < vec4<f32>(p.high));
            gradient = select(vec4<f32>(), gradient, passes);
        }
        if p.epilogue == EPILOGUE_MASK_GUIDED || p.epilogue == EPILOGUE_MASK_DECONV {
            gradient = max(gradient, vec4<f32>());
        }
    }
    let top = row * p.taps_h;
    let left = column * p.taps_w;
    let height = min(p.taps_h, p.in_h - top);
    let width = min(p.taps_w, p.in_w - left);
    for (var r = 0u; r < height; r++) {
        for (var c = 0u; c < width; c++) {
            let tap = vec4<u32>(r * p.taps_w + c);
            dx[(plane * p.in_h + top + r) * p.in_w + left + c] = select(vec4<f32>(), gradient, winner == tap);
        }
    }
}
