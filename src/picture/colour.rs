//! Colours that formats store, as RGB.

/// JFIF's YCbCr, in 16 bits below the unit, as libjpeg rounds it.
#[inline]
pub(super) fn from_ycc(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    [
        y + ((91881 * cr + HALF) >> 16),
        y + ((-22554 * cb - 46802 * cr + HALF) >> 16),
        y + ((116_130 * cb + HALF) >> 16),
    ]
    .map(|level| level.clamp(0, 255) as u8)
}

/// Inks (0 none, 255 full) over white, seen through black ink, of which `through` is what it lets through.
#[inline]
pub(super) fn under_black(inks: [u8; 3], through: u8) -> [u8; 3] {
    inks.map(|ink| {
        let product = u32::from(ink) * u32::from(through) + 128;
        // Divided by 255 and rounded.
        let taken = ((product >> 8) + product) >> 8;
        through.saturating_sub(taken as u8)
    })
}
