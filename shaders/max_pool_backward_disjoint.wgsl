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
    count: i32, // windows: N * blocks * rows * columns
    blocks: i32,
    rows: i32,    // windows that it takes to cover dx
    columns: i32,
    in_h: i32,
    in_w: i32,
    out_h: i32,
    out_w: i32,
    taps_h: i32,
    taps_w: i32,
    epilogue: u32,
    sharing: i32, // n of an image
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

// `at` over `by`, rounded down, `by` above zero: this adapter divides whole numbers one invocation after the other. The quotient of the
// floats is at most one off.
fn over(at: i32, by: i32) -> i32 {
    let quotient = i32(f32(at) / f32(by));
    let rest = at - quotient * by;
    return quotient + select(0, 1, rest >= by) - select(0, 1, rest < 0);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = i32((group.y * groups.x + group.x) * 64u + lane);
    if at >= p.count {
        return;
    }
    let windows = p.rows * p.columns;
    let plane = over(at, windows);
    let in_plane = at - plane * windows;
    let row = over(in_plane, p.columns);
    let column = in_plane - row * p.columns;
    var gradient = vec4<f32>();
    var winner = vec4<u32>();
    if row < p.out_h && column < p.out_w {
        let out_plane = p.out_h * p.out_w;
        let here = row * p.out_w + column;
        let n = over(plane, p.blocks);
        let image_plane = over(n, p.sharing) * p.blocks + plane - n * p.blocks;
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
    let in_w = p.in_w;
    let taps_w = p.taps_w;
    let height = min(p.taps_h, p.in_h - top);
    let width = min(taps_w, in_w - left);
    let first = (plane * p.in_h + top) * in_w + left;
    for (var r = 0; r < height; r++) {
        for (var c = 0; c < width; c++) {
            let tap = vec4<u32>(u32(r * taps_w + c));
            dx[first + r * in_w + c] = select(vec4<f32>(), gradient, winner == tap);
        }
    }
}
