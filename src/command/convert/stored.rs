//! A tensor on its way into a file: its axes in the order in which they are written, piece by piece.

use crate::network::Shape;
use crate::weights::Tensor;

/// Elements read at once.
const PIECE: usize = 4 << 20;
/// Elements of a transposed matrix that are gathered at once: the whole matrix is read once for each so many.
const GATHERED: usize = 16 << 20;

/// How the elements change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrangement {
    /// Not at all.
    AsItIs,
    /// H W I O to O I H W.
    Filters,
    /// Input by output to output by input.
    Transposed,
    /// The same, and the inputs, a map of this shape written out as H W C, to C H W.
    TransposedRows(Shape),
    /// Output by input, the inputs from H W C to C H W.
    Columns(Shape),
}

/// A tensor and how it is written.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) name: String,
    tensor: &'a Tensor,
    arrangement: Arrangement,
}

impl<'a> Stored<'a> {
    pub(super) fn new(name: String, tensor: &'a Tensor, arrangement: Arrangement) -> Self {
        Self {
            name,
            tensor,
            arrangement,
        }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.tensor.len()
    }

    /// As written.
    pub(super) fn shape(&self) -> Vec<usize> {
        match (self.arrangement, self.tensor.shape()) {
            (Arrangement::Filters, &[h, w, i, o]) => vec![o, i, h, w],
            (Arrangement::Transposed | Arrangement::TransposedRows(_), &[i, o]) => vec![o, i],
            (_, shape) => shape.to_vec(),
        }
    }

    /// Passes the elements on in the order in which they are written, each piece with the number of its first.
    pub(super) fn for_each_piece<E>(
        &self,
        mut write: impl FnMut(usize, &[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let tensor = self.tensor;
        match (self.arrangement, tensor.shape()) {
            (Arrangement::Filters, &[h, w, i, o]) => {
                // The taps are the rows of a map as every other: channels last before, first after.
                transposed(tensor, [h * w * i, o], Some(Shape::new(i, h, w)), write)
            }
            (Arrangement::Transposed, &[i, o]) => transposed(tensor, [i, o], None, write),
            (Arrangement::TransposedRows(map), &[i, o]) => {
                transposed(tensor, [i, o], Some(map), write)
            }
            (Arrangement::Columns(map), &[_, columns]) => {
                let mut turned = vec![0.0; columns];
                in_rows(tensor, columns, |start, rows| {
                    for (row, values) in rows.chunks_exact(columns).enumerate() {
                        for (i, &value) in values.iter().enumerate() {
                            turned[channels_first(i, Some(map))] = value;
                        }
                        write(start + row * columns, &turned)?;
                    }
                    Ok(())
                })
            }
            _ => in_rows(tensor, 1, &mut write),
        }
    }
}

/// Reads a tensor in pieces of whole rows.
fn in_rows<E>(
    tensor: &Tensor,
    row: usize,
    mut each: impl FnMut(usize, &[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let step = (PIECE / row).max(1) * row;
    let mut values = vec![0.0; step.min(tensor.len())];
    for start in (0..tensor.len()).step_by(step) {
        let values = &mut values[..step.min(tensor.len() - start)];
        tensor.read(start, values);
        tensor.release(start, values.len());
        each(start, values)?;
    }
    Ok(())
}

/// A matrix of `inputs` rows with its columns as rows, so many of them at a time.
fn transposed<E>(
    tensor: &Tensor,
    [inputs, outputs]: [usize; 2],
    map: Option<Shape>,
    mut write: impl FnMut(usize, &[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let at_once = (GATHERED / inputs).clamp(1, outputs);
    let mut gathered = vec![0.0; at_once * inputs];
    for first in (0..outputs).step_by(at_once) {
        let columns = at_once.min(outputs - first);
        in_rows(tensor, outputs, |start, rows| {
            for (row, values) in (start / outputs..).zip(rows.chunks_exact(outputs)) {
                let place = channels_first(row, map);
                let chosen = &values[first..first + columns];
                for (column, &value) in chosen.iter().enumerate() {
                    gathered[column * inputs + place] = value;
                }
            }
            Ok(())
        })?;
        write(first * inputs, &gathered[..columns * inputs])?;
    }
    Ok(())
}

/// Where element `i` of a map written out as H W C lies in C H W.
fn channels_first(i: usize, map: Option<Shape>) -> usize {
    match map {
        Some(Shape { c, h, w }) => i % c * (h * w) + i / c,
        None => i,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(tensor: &Tensor, arrangement: Arrangement) -> (Vec<usize>, Vec<f32>) {
        let stored = Stored::new("w".into(), tensor, arrangement);
        let mut values = vec![];
        let piece = |start: usize, piece: &[f32]| {
            assert_eq!(start, values.len());
            values.extend_from_slice(piece);
            Ok::<_, ()>(())
        };
        stored.for_each_piece(piece).unwrap();
        (stored.shape(), values)
    }

    fn numbered(shape: &[usize]) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|i: usize| i as f32)
            .collect();
        Tensor::from_f32(shape.to_vec(), &values)
    }

    #[test]
    fn filters_come_out_with_the_outputs_first() {
        let (shape, values) = written(&numbered(&[2, 3, 4, 5]), Arrangement::Filters);
        assert_eq!(shape, [5, 4, 2, 3]);
        let expected = (0..5).flat_map(|o| {
            (0..4).flat_map(move |i| (0..6).map(move |tap| ((tap * 4 + i) * 5 + o) as f32))
        });
        assert!(expected.eq(values));
    }

    #[test]
    fn a_matrix_over_a_map_is_turned_and_its_inputs_are_reordered() {
        let map = Shape::new(2, 1, 3);
        let matrix = numbered(&[6, 2]);
        assert_eq!(
            written(&matrix, Arrangement::Transposed),
            (
                vec![2, 6],
                vec![0., 2., 4., 6., 8., 10., 1., 3., 5., 7., 9., 11.]
            )
        );
        assert_eq!(
            written(&matrix, Arrangement::TransposedRows(map)),
            (
                vec![2, 6],
                vec![0., 4., 8., 2., 6., 10., 1., 5., 9., 3., 7., 11.]
            )
        );
        let turned = numbered(&[1, 6]);
        assert_eq!(
            written(&turned, Arrangement::Columns(map)),
            (vec![1, 6], vec![0., 2., 4., 1., 3., 5.])
        );
    }
}
