//! Where to cut a file that shall be refused for it.

/// Lengths below `len`: each near both ends, where headers and directories are, and some four thousand between. Each takes time by
/// the file's size.
pub(crate) fn cuts(len: usize) -> impl Iterator<Item = usize> {
    const NEAR: usize = 1000;
    let step = len.div_ceil(4000);
    (0..len).filter(move |&at| at < NEAR || len - at <= NEAR || at.is_multiple_of(step))
}
