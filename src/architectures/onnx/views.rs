//! The same elements under another shape or order, and parts of them: what these operators take from attributes and inputs.

use super::GraphError;
use super::array::Span;
use super::attributes::axis;
use super::layers::Call;
use super::shapes::{permutation, squeezed, target, unsqueezed};

impl Call<'_> {
    /// The dimension that `Split` cuts, and the lengths of its parts.
    pub(super) fn split(&self, shape: &[usize]) -> Result<(usize, Vec<usize>), GraphError> {
        let unusable = || self.unusable("split");
        let along = axis(self.node.int("axis").unwrap_or(0), shape.len());
        let along = along.ok_or_else(unusable)?;
        let length = shape[along];
        let sizes: Option<Vec<usize>> = if let Some(sizes) = self.ints("split", 1) {
            let sizes = sizes.iter().map(|&size| usize::try_from(size).ok());
            sizes.collect()
        } else {
            let parts = self.node.outputs.len().max(1);
            let size = length.div_ceil(parts);
            let taken = |i: usize| (i * size).min(length);
            Some((0..parts).map(|i| taken(i + 1) - taken(i)).collect())
        };
        let sizes = sizes.ok_or_else(unusable)?;
        let all = sizes.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n));
        (all == Some(length) && sizes.len() == self.node.outputs.len())
            .then_some((along, sizes))
            .ok_or_else(unusable)
    }
}

/// How `Transpose` orders dimensions.
pub(super) fn order(call: &Call<'_>, rank: usize) -> Result<Vec<usize>, GraphError> {
    let reversed: Vec<i64> = (0..rank as i64).rev().collect();
    let order = call.node.ints("perm").unwrap_or(&reversed);
    permutation(order, rank).ok_or_else(|| call.unusable("perm"))
}

/// What `Slice` takes of each dimension; attributes before opset 10, inputs since.
pub(super) fn spans(call: &Call<'_>, shape: &[usize]) -> Result<Vec<Span>, GraphError> {
    let unusable = || call.unusable("slice");
    let starts = call.ints("starts", 1).ok_or_else(unusable)?;
    let ends = call.ints("ends", 2).ok_or_else(unusable)?;
    let given = |name: &str, input: usize| {
        call.input(input).is_some() || call.node.attributes.contains_key(name)
    };
    let axes = match given("axes", 3) {
        true => call.ints("axes", 3).ok_or_else(unusable)?,
        false => (0..starts.len() as i64).collect(),
    };
    let steps = match given("steps", 4) {
        true => call.ints("steps", 4).ok_or_else(unusable)?,
        false => vec![1; starts.len()],
    };
    let all = [ends.len(), axes.len(), steps.len()];
    if all != [starts.len(); 3] {
        return Err(unusable());
    }
    let mut spans: Vec<Span> = shape.iter().map(|&n| Span::whole(n)).collect();
    for i in 0..starts.len() {
        let along = axis(axes[i], shape.len()).ok_or_else(unusable)?;
        let span = Span::of_slice(starts[i], ends[i], steps[i], shape[along]);
        spans[along] = span.ok_or_else(unusable)?;
    }
    Ok(spans)
}

/// The shape that an operator gives to elements that it leaves in place.
pub(super) fn view(call: &Call<'_>, old: &[usize]) -> Result<Vec<usize>, GraphError> {
    let shape = match call.node.op_type.as_str() {
        "Squeeze" => squeezed(old, call.ints("axes", 1).as_deref()),
        "Unsqueeze" => call.ints("axes", 1).and_then(|axes| unsqueezed(old, &axes)),
        "Flatten" => {
            let at = call.node.int("axis").unwrap_or(1);
            let rank = old.len();
            let at = if at == rank as i64 {
                Some(rank)
            } else {
                axis(at, rank)
            };
            at.map(|at| {
                let (rows, columns) = old.split_at(at);
                vec![rows.iter().product(), columns.iter().product()]
            })
        }
        _ => {
            let zeros = call.node.int("allowzero").unwrap_or(0) != 0;
            call.ints("shape", 1)
                .and_then(|asked| target(&asked, old, zeros))
        }
    };
    shape.ok_or_else(|| call.unusable("shape"))
}
