// A linear layer's matrix averaged over the positions of its input, a feature map written out as a vector. Products with the
// average give the means over positions of the layer's input gradient, scaled.
//
//   inputs_in_rows: s[c, o] = scale * sum over positions p of m[c * channel_stride + p * position_stride, o]
//   otherwise:      s[o, c] = scale * sum over positions p of m[o, c * channel_stride + p * position_stride]
//
// One of the strides is 1, the other as many as there are of the other kind; with inputs in columns and channel_stride 1
// there are whole fours of channels. m: rows x columns, an element is four columns of a row, or eight if HALF; rows padded with
// zeros to a multiple of 4 and columns to a whole element; a part of a matrix larger than one binding, starting at
// first_row; parts of the sum accumulate, where the inputs are in rows. s: as m in float32, four columns an element; rows and
// columns past the last are zero.
//
// A workgroup makes 64 elements of a row of s, an invocation one. CPU twin: linear_means in tests/common/twins.rs.

struct Params {
    s_columns: u32,      // in vec4
    rows: u32,           // of the part
    columns: u32,        // in vec4
    first_row: u32,
    first_position: u32, // first_row / position_stride
    end_position: u32,   // (first_row + rows) / position_stride
    channels: u32,
    positions: u32,
    channel_stride: u32,
    position_stride: u32,
    inputs_in_rows: u32,
    scale: f32,
}

// Whether m holds float16.
override HALF: bool = false;

@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> m: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> s: array<vec4<f32>>;

// Columns `4 c` to `4 c + 3` of row `r` of the part.
fn column_of(r: u32, c: u32) -> vec4<f32> {
    if HALF {
        let eight = m[r * ((p.columns + 1u) / 2u) + c / 2u];
        let four = select(eight.xy, eight.zw, c % 2u == 1u);
        return vec4<f32>(unpack2x16float(four.x), unpack2x16float(four.y));
    }
    return bitcast<vec4<f32>>(m[r * p.columns + c]);
}

// The first position whose row for channel `c` is row `r` of the whole matrix or a later one; `r_position` is r divided by
// position_stride.
fn position_from(c: u32, r: u32, r_position: u32) -> u32 {
    if p.channel_stride == 1u {
        return min(r_position + u32(r_position * p.position_stride + c < r), p.positions);
    }
    let first = c * p.channel_stride;
    return min(max(r, first) - first, p.positions);
}

// Four columns of the rows of channel `c` that are in the part.
fn rows_of(c: u32, column: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    if c >= p.channels {
        return sum;
    }
    let end = position_from(c, p.first_row + p.rows, p.end_position);
    for (var i = position_from(c, p.first_row, p.first_position); i < end; i++) {
        sum += column_of(c * p.channel_stride + i * p.position_stride - p.first_row, column);
    }
    return sum;
}

// The columns of four channels from `4 block` on in row `r` of the part.
fn columns_of(r: u32, block: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    if p.channel_stride == 1u {
        for (var i = 0u; i < p.positions; i++) {
            sum += column_of(r, block + i * (p.position_stride / 4u));
        }
        return sum;
    }
    // The four channels' positions, one channel after the other, are as many elements as a channel has positions.
    let first = block * p.positions;
    let end = min(p.positions, p.columns - first);
    for (var i = 0u; i < end; i++) {
        let four = column_of(r, first + i);
        let at = vec4<u32>(i * 4u) + vec4<u32>(0u, 1u, 2u, 3u);
        let past0 = at >= vec4<u32>(p.positions);
        let past1 = at >= vec4<u32>(2u * p.positions);
        let past2 = at >= vec4<u32>(3u * p.positions);
        let ones = vec4<f32>(1.0);
        let zero = vec4<f32>();
        sum += vec4<f32>(
            dot(select(four, zero, past0), ones),
            dot(select(zero, select(four, zero, past1), past0), ones),
            dot(select(zero, select(four, zero, past2), past1), ones),
            dot(select(zero, four, past2), ones),
        );
    }
    return sum;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = group.y;
    let column = group.x * 64u + lane;
    if column >= p.s_columns {
        return;
    }
    if p.inputs_in_rows != 0u {
        let at = row * p.s_columns + column;
        var before = vec4<f32>();
        if p.first_row > 0u {
            before = s[at];
        }
        s[at] = before + p.scale * rows_of(row, column);
    } else {
        s[(p.first_row + row) * p.s_columns + column] = p.scale * columns_of(row, column);
    }
}
