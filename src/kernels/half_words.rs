//! float16 out of words and back where a device has no instruction for it: a pure function over a kernel's text.
//!
//! WGSL has `unpack2x16float` and `pack2x16float` everywhere, but Mesa's software adapter compiles them to an instruction of the
//! processor. Where that is missing, on ARM with Mesa 22.3, and on x86 without F16C, as many virtual machines are, wgpu refuses a
//! shader that has one of the two, used or not.

/// The two functions, and what stands for each.
const BUILTINS: [(&str, &str); 2] = [
    ("unpack2x16float(", "float16_from_word("),
    ("pack2x16float(", "float16_to_word("),
];

/// Both are in integers but for numbers below the least normal float16, which are whole multiples of 2^-24: such a driver may take
/// what is below the least normal float32 for zero. `float16_to_word` rounds to the nearest, ties to even.
const FUNCTIONS: &str = "
fn float16_from_word(word: u32) -> vec2<f32> {
    let bits = vec2(word & 0xffffu, word >> 16u);
    let size = bits & vec2(0x7fffu);
    let normal = (size << vec2(13u)) + vec2(0x38000000u);
    let infinite = (size << vec2(13u)) | vec2(0x7f800000u);
    let small = bitcast<vec2<u32>>(vec2<f32>(size) * 5.9604644775390625e-8);
    let finite = select(normal, small, size < vec2(0x400u));
    let value = select(finite, infinite, size >= vec2(0x7c00u));
    return bitcast<vec2<f32>>(value | ((bits & vec2(0x8000u)) << vec2(16u)));
}
fn float16_to_word(value: vec2<f32>) -> u32 {
    let bits = bitcast<vec2<u32>>(value);
    let size = bits & vec2(0x7fffffffu);
    let odd = (size >> vec2(13u)) & vec2(1u);
    let normal = min((size - vec2(0x38000000u) + vec2(0xfffu) + odd) >> vec2(13u), vec2(0x7c00u));
    let small = vec2<u32>(round(min(bitcast<vec2<f32>>(size), vec2(1.0)) * 16777216.0));
    let finite = select(normal, small, size < vec2(0x38800000u));
    let rounded = select(finite, vec2(0x7e00u), size > vec2(0x7f800000u));
    let signed = rounded | ((bits >> vec2(16u)) & vec2(0x8000u));
    return signed.x | (signed.y << 16u);
}
";

/// The shader `source` with functions of its own in place of both; as it stands where it has neither.
pub fn without_builtins(source: &str) -> String {
    let mut made = source.to_owned();
    for (builtin, own) in BUILTINS {
        made = made.replace(builtin, own);
    }
    if made != source {
        made += FUNCTIONS;
    }
    made
}
