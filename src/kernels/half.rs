//! A kernel whose buffers hold float16 in place of float32, made of the shader as it stands: a pure function over its text.
//!
//! Each load of such a buffer becomes a call of a function that unpacks what it loads, each store a call of one that packs; all
//! arithmetic stays float32. Two float16 lie in a word of 32 bits, so that every adapter can: `unpack2x16float` is the one
//! instruction that a type of its own would come to as well, and the bytes are the same; [`half_words`](super::half_words) stands in
//! where a device lacks it. An image changes its format, and its loads unpack by themselves.
//!
//! Values are rounded to the nearest float16, ties to even, in integers before they are packed: drivers' conversions may round
//! towards zero. A value beyond the largest float16 is told in a word that is bound behind all others, where it can be found: what
//! is stored of it means nothing.
//!
//! Nothing can be missed: a load or store that is left as it was has the wrong type, and `tests/shaders` has naga check every
//! kernel's forms.

use std::fmt::Write as _;
use std::ops::Range;

/// Why a kernel has no such form: a fault of its shader, which the tests find.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HalfError {
    /// The shader declares nothing there.
    #[error("there is no binding {0}")]
    Absent(u32),
    /// Its elements are no float32, or are stored one value at a time: the other half of the word is another invocation's.
    #[error("binding {0} is of a type that is not halved")]
    Type(u32),
    /// A part of an element is stored, or something else has the same name.
    #[error("binding {0} is used in a way that is not halved")]
    Use(u32),
}

/// Bindings of a kernel that hold float16 in place of float32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Halves(u32);

impl Halves {
    /// These, each below 32.
    pub fn of(bindings: impl IntoIterator<Item = u32>) -> Self {
        Self(
            bindings
                .into_iter()
                .fold(0, |all, binding| all | 1 << binding),
        )
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this is one.
    pub fn contains(self, binding: u32) -> bool {
        self.0 >> binding & 1 == 1
    }
}

/// A buffer that is halved.
struct HalfBuffer<'a> {
    binding: u32,
    name: &'a str,
    /// The word in which it is declared, and what stands there now.
    declared: Range<usize>,
    packed: &'static str,
}

/// The shader `source` with float16 in the buffers and images of `halves`; where one of the buffers is written, with the word
/// for values that are too large at binding `overflow`.
///
/// # Errors
/// See [`HalfError`].
pub fn halved(source: &str, halves: Halves, overflow: u32) -> Result<String, HalfError> {
    let mut buffers = vec![];
    let mut functions = String::new();
    let mut is_written = false;
    for binding in (0..u32::BITS).filter(|&binding| halves.contains(binding)) {
        let declaration = Declaration::find(source, binding).ok_or(HalfError::Absent(binding))?;
        let Declaration { name, ty, is_read } = declaration;
        let declared = at(source, ty);
        let (packed, unpack, pack) = match &source[declared.clone()] {
            "texture_storage_2d<rgba32float, read>" => {
                buffers.push(HalfBuffer {
                    binding,
                    // Its loads are as they were.
                    name: "",
                    declared,
                    packed: "texture_storage_2d<rgba16float, read>",
                });
                continue;
            }
            "array<f32>" if is_read => ("array<u32>", ONE, None),
            "array<vec2<f32>>" => ("array<u32>", TWO, Some(STORE_TWO)),
            "array<vec4<f32>>" => ("array<vec2<u32>>", FOUR, Some(STORE_FOUR)),
            "array<mat4x4<f32>>" if is_read => ("array<array<vec2<u32>, 4>>", MATRIX, None),
            _ => return Err(HalfError::Type(binding)),
        };
        functions += &unpack.replace("BUFFER", name);
        if let Some(pack) = pack.filter(|_| !is_read) {
            is_written = true;
            functions += &pack.replace("BUFFER", name);
        }
        buffers.push(HalfBuffer {
            binding,
            name,
            declared,
            packed,
        });
    }
    let mut made = String::with_capacity(2 * source.len());
    let tokens = tokens(source);
    Rewriting {
        source,
        functions: functions_of(source, &tokens),
        tokens,
        buffers: &buffers,
    }
    .write(0..source.len(), &mut made)?;
    made += &functions;
    if is_written {
        made += ROUNDED;
        let _ = writeln!(
            made,
            "@group(0) @binding({overflow}) var<storage, read_write> too_large: atomic<u32>;"
        );
    }
    Ok(made)
}

const ONE: &str = "
fn load_BUFFER(at: u32) -> f32 {
    return unpack2x16float(BUFFER[at >> 1u])[at & 1u];
}
";
const TWO: &str = "
fn load_BUFFER(at: u32) -> vec2<f32> {
    return unpack2x16float(BUFFER[at]);
}
";
const FOUR: &str = "
fn load_BUFFER(at: u32) -> vec4<f32> {
    let words = BUFFER[at];
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}
";
const MATRIX: &str = "
fn column_of_BUFFER(words: vec2<u32>) -> vec4<f32> {
    return vec4(unpack2x16float(words.x), unpack2x16float(words.y));
}
fn load_BUFFER(at: u32) -> mat4x4<f32> {
    return mat4x4(
        column_of_BUFFER(BUFFER[at][0]),
        column_of_BUFFER(BUFFER[at][1]),
        column_of_BUFFER(BUFFER[at][2]),
        column_of_BUFFER(BUFFER[at][3]),
    );
}
";
const STORE_TWO: &str = "
fn store_BUFFER(at: u32, value: vec2<f32>) {
    BUFFER[at] = pack2x16float(rounded_to_half(vec4(value, 0.0, 0.0)).xy);
}
";
const STORE_FOUR: &str = "
fn store_BUFFER(at: u32, value: vec4<f32>) {
    let rounded = rounded_to_half(value);
    BUFFER[at] = vec2(pack2x16float(rounded.xy), pack2x16float(rounded.zw));
}
";
/// Ten of the 23 binary digits after the point stay. Half of what is cut off is added, less one where the last digit that stays is
/// even: what is cut off then rounds, ties to even. The bits of positive float32 are ordered as their values are.
const ROUNDED: &str = "
fn rounded_to_half(value: vec4<f32>) -> vec4<f32> {
    let bits = bitcast<vec4<u32>>(value);
    let odd = (bits >> vec4(13u)) & vec4(1u);
    let rounded = bitcast<vec4<f32>>((bits + vec4(0xfffu) + odd) & vec4(0xffffe000u));
    let size = abs(rounded);
    let largest = max(max(size.x, size.y), max(size.z, size.w));
    if largest > 65504.0 {
        atomicMax(&too_large, bitcast<u32>(largest));
    }
    return rounded;
}
";

/// How a shader declares a binding.
struct Declaration<'a> {
    name: &'a str,
    ty: &'a str,
    is_read: bool,
}

impl<'a> Declaration<'a> {
    /// Each stands on a line of its own: `@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;`.
    fn find(source: &'a str, binding: u32) -> Option<Self> {
        let begin = format!("@group(0) @binding({binding}) var");
        let line = source.lines().find_map(|line| line.strip_prefix(&begin))?;
        let (space, rest) = match line.strip_prefix('<') {
            Some(rest) => rest.split_once('>')?,
            None => ("", line),
        };
        let (name, ty) = rest.trim_end_matches(';').split_once(':')?;
        Some(Self {
            name: name.trim(),
            ty: ty.trim(),
            is_read: space == "storage, read",
        })
    }
}

/// Where a part of `source` stands in it.
fn at(source: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - source.as_ptr() as usize;
    start..start + part.len()
}

/// The names and signs of a shader, without its comments: where each begins and ends.
fn tokens(source: &str) -> Vec<Range<usize>> {
    let bytes = source.as_bytes();
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut tokens = vec![];
    let mut start = 0;
    while start < bytes.len() {
        let rest = &bytes[start..];
        let len = match rest {
            [b'/', b'/', ..] => rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len()),
            [first, ..] if is_word(*first) => {
                let len = rest
                    .iter()
                    .position(|&byte| !is_word(byte))
                    .unwrap_or(rest.len());
                tokens.push(start..start + len);
                len
            }
            [first, ..] => {
                if !first.is_ascii_whitespace() {
                    tokens.push(start..start + 1);
                }
                1
            }
            [] => 1,
        };
        start += len;
    }
    tokens
}

/// A function: its tokens from its parameters on, and these by name.
struct Function<'a> {
    tokens: Range<usize>,
    parameters: Vec<&'a str>,
}

fn functions_of<'a>(source: &'a str, tokens: &[Range<usize>]) -> Vec<Function<'a>> {
    let text = |token: usize| tokens.get(token).map_or("", |range| &source[range.clone()]);
    let begins = (0..tokens.len()).filter(|&token| text(token) == "fn");
    let function = |begin: usize| {
        let open = (begin..tokens.len()).find(|&token| text(token) == "{")?;
        let mut depth = 0;
        let close = (open..tokens.len()).find(|&token| {
            match text(token) {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            depth == 0
        })?;
        let parameters = (begin..open).filter(|&token| text(token + 1) == ":");
        Some(Function {
            tokens: begin..close,
            parameters: parameters.map(text).collect(),
        })
    };
    begins.filter_map(function).collect()
}

struct Rewriting<'a> {
    source: &'a str,
    functions: Vec<Function<'a>>,
    tokens: Vec<Range<usize>>,
    buffers: &'a [HalfBuffer<'a>],
}

impl Rewriting<'_> {
    fn text(&self, token: usize) -> &str {
        self.tokens
            .get(token)
            .map_or("", |range| &self.source[range.clone()])
    }

    /// Writes a part of the shader as it is to be.
    fn write(&self, part: Range<usize>, made: &mut String) -> Result<(), HalfError> {
        let mut from = part.start;
        let mut token = self
            .tokens
            .partition_point(|range| range.start < part.start);
        while self
            .tokens
            .get(token)
            .is_some_and(|range| range.end <= part.end)
        {
            let begins = self.tokens[token].start;
            if let Some(buffer) = self.buffers.iter().find(|it| it.declared.start == begins) {
                *made += &self.source[from..begins];
                *made += buffer.packed;
                from = buffer.declared.end;
                token = self.tokens.partition_point(|range| range.start < from);
                continue;
            }
            let Some(buffer) = self.named(token) else {
                token += 1;
                continue;
            };
            *made += &self.source[from..begins];
            (token, from) = self.write_use(buffer, token, made)?;
        }
        *made += &self.source[from..part.end];
        Ok(())
    }

    /// The buffer whose name stands at a token; none where it is a member's or a parameter's, or where the buffer is declared.
    fn named(&self, token: usize) -> Option<&HalfBuffer<'_>> {
        let is_member = token > 0 && self.text(token - 1) == ".";
        let declares = self.text(token + 1) == ":";
        let name = self.text(token);
        let mut functions = self.functions.iter();
        let is_parameter =
            functions.any(|it| it.tokens.contains(&token) && it.parameters.contains(&name));
        let mut buffers = self.buffers.iter();
        buffers.find(|it| it.name == name && !is_member && !declares && !is_parameter)
    }

    /// Writes a load, or a store with its value, of a buffer whose name stands at a token; returns what comes after it.
    fn write_use(
        &self,
        buffer: &HalfBuffer<'_>,
        token: usize,
        made: &mut String,
    ) -> Result<(usize, usize), HalfError> {
        let not_halved = HalfError::Use(buffer.binding);
        if self.text(token + 1) != "[" {
            return Err(not_halved);
        }
        let closed = self.closing(token + 1).ok_or(not_halved.clone())?;
        let index = self.tokens[token + 1].end..self.tokens[closed].start;
        // Of a part, `[1]` or `.x`, only a load is possible.
        let mut after = closed + 1;
        loop {
            match self.text(after) {
                "[" => after = self.closing(after).ok_or(not_halved.clone())? + 1,
                "." => after += 2,
                _ => break,
            }
        }
        let assigns = |at: usize| {
            let is_next = self.text(at + 1) == "=";
            match self.text(at) {
                "=" => !is_next,
                "+" | "-" | "*" | "/" | "%" | "&" | "|" | "^" => is_next,
                _ => false,
            }
        };
        if assigns(after) {
            if after != closed + 1 || self.text(after) != "=" {
                return Err(not_halved);
            }
            let ends = (after..self.tokens.len()).find(|&at| self.text(at) == ";");
            let ends = ends.ok_or(not_halved)?;
            let _ = write!(made, "store_{}(u32(", buffer.name);
            self.write(index, made)?;
            *made += "),";
            self.write(self.tokens[after].end..self.tokens[ends].start, made)?;
            *made += ")";
            return Ok((ends, self.tokens[ends].start));
        }
        let _ = write!(made, "load_{}(u32(", buffer.name);
        self.write(index, made)?;
        *made += "))";
        Ok((closed + 1, self.tokens[closed].end))
    }

    /// The token that closes the bracket at a token.
    fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0;
        (open..self.tokens.len()).find(|&token| {
            match self.text(token) {
                "[" => depth += 1,
                "]" => depth -= 1,
                _ => {}
            }
            depth == 0
        })
    }
}
