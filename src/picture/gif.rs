//! GIF: the first frame, laid on its canvas.

use std::io::{self, Cursor};
use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::{DECODER_MEMORY, Decoded, Fault, Size};

/// Decodes the first frame. What it leaves of the canvas has the colour of its transparent number or, without one, of number 0;
/// a frame that is larger than the canvas enlarges it.
pub(super) fn decode(
    bytes: &[u8],
    check: impl Fn(Size) -> Result<(), Fault>,
) -> Result<Decoded, Fault> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(most) = NonZeroU64::new(DECODER_MEMORY) {
        options.set_memory_limit(MemoryLimit::Bytes(most));
    }
    let mut decoder = options.read_info(Cursor::new(bytes))?;
    let screen = (u32::from(decoder.width()), u32::from(decoder.height()));
    // Before anything is read that grows with it.
    if screen.0 > 0 && screen.1 > 0 {
        check(screen)?;
    }
    let frame = decoder.next_frame_info()?;
    let frame = frame.ok_or(Fault::damaged("it has no picture"))?;
    let [left, top, wide, high] =
        [frame.left, frame.top, frame.width, frame.height].map(usize::from);
    let (interlaced, outside) = (frame.interlaced, frame.transparent.unwrap_or(0));
    let size = (
        screen.0.max((left + wide) as u32),
        screen.1.max((top + high) as u32),
    );
    check(size)?;

    // Numbers beyond the palette are shades of grey, for want of anything.
    let mut colours: [[u8; 3]; 256] = std::array::from_fn(|i| [i as u8; 3]);
    for (colour, &given) in colours
        .iter_mut()
        .zip(decoder.palette()?.as_chunks::<3>().0)
    {
        *colour = given;
    }
    let (width, height) = (size.0 as usize, size.1 as usize);
    let mut rgb = colours[usize::from(outside)].repeat(width * height);
    let mut line = vec![0; wide];
    for y in rows(high, interlaced) {
        if !decoder.fill_buffer(&mut line)? {
            return Err(Fault::Truncated);
        }
        let row = &mut rgb[3 * ((top + y) * width + left)..][..3 * wide];
        for (pixel, &number) in row.as_chunks_mut().0.iter_mut().zip(&line) {
            *pixel = colours[usize::from(number)];
        }
    }
    Ok(Decoded {
        size,
        rgb,
        orientation: None,
        notes: vec![],
    })
}

/// The rows of a frame in the order of the file.
fn rows(high: usize, interlaced: bool) -> Box<dyn Iterator<Item = usize>> {
    if interlaced {
        let passes = [(0, 8), (4, 8), (2, 4), (1, 2)];
        Box::new(
            passes
                .into_iter()
                .flat_map(move |(first, step)| (first..high).step_by(step)),
        )
    } else {
        Box::new(0..high)
    }
}

impl From<DecodingError> for Fault {
    fn from(reason: DecodingError) -> Self {
        match reason {
            DecodingError::Io(e) if e.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            DecodingError::OutOfMemory | DecodingError::MemoryLimit => Self::OverLimit,
            reason => Self::Damaged(reason.to_string().into()),
        }
    }
}
