//! The first principal component of a layer's channels.

/// Steps after which an undecided iteration stops: components that close together are equal to any eye.
const STEPS: usize = 3000;

/// Change of a unit vector in one step at which the iteration has arrived.
const ARRIVED: f64 = 1e-10;

/// Projection of each position's channels, centred over positions, on their first principal component.
///
/// `channels` holds C rows of `positions` values; the result has one value a position. The sign, which the
/// decomposition leaves open, is the one that correlates with the mean over channels.
pub(super) fn projection(channels: &[f64], positions: usize) -> Vec<f64> {
    if channels.is_empty() {
        return vec![0.0; positions];
    }
    let mut centred = channels.to_vec();
    for row in centred.chunks_exact_mut(positions) {
        let mean = row.iter().sum::<f64>() / positions as f64;
        for value in row {
            *value -= mean;
        }
    }
    // With X the centred rows, v the first eigenvector of X X^T and u that of X^T X, of eigenvalue s^2, the projection
    // is X^T v = s u: whichever product is smaller.
    let mut projection = if positions <= centred.len() / positions {
        let (u, square) = first_eigenvector(&gram(&transposed(&centred, positions), positions));
        u.iter().map(|u| u * square.sqrt()).collect()
    } else {
        let (v, _) = first_eigenvector(&gram(&centred, centred.len() / positions));
        sum(&centred, positions, |row| v[row])
    };
    let mean = sum(&centred, positions, |_| 1.0);
    if dot(&mean, &projection) < 0.0 {
        for value in &mut projection {
            *value = -*value;
        }
    }
    projection
}

/// The sum of rows of `columns` values, each times its weight.
fn sum(matrix: &[f64], columns: usize, weight: impl Fn(usize) -> f64) -> Vec<f64> {
    let mut sum = vec![0.0; columns];
    for (i, row) in matrix.chunks_exact(columns).enumerate() {
        let weight = weight(i);
        sum.iter_mut().zip(row).for_each(|(s, v)| *s += weight * v);
    }
    sum
}

fn transposed(matrix: &[f64], columns: usize) -> Vec<f64> {
    let rows = matrix.len() / columns;
    let at = |i: usize| matrix[i % rows * columns + i / rows];
    (0..matrix.len()).map(at).collect()
}

/// Inner products of all pairs of `rows` rows.
fn gram(matrix: &[f64], rows: usize) -> Vec<f64> {
    let columns = matrix.len() / rows;
    let row = |i: usize| &matrix[i * columns..(i + 1) * columns];
    let mut products = vec![0.0; rows * rows];
    for i in 0..rows {
        for j in 0..=i {
            let product = dot(row(i), row(j));
            products[i * rows + j] = product;
            products[j * rows + i] = product;
        }
    }
    products
}

/// The unit eigenvector of a symmetric matrix without negative eigenvalues that has the largest, and that, by power
/// iteration; zero for the zero matrix.
fn first_eigenvector(matrix: &[f64]) -> (Vec<f64>, f64) {
    let n = matrix.len().isqrt();
    // The largest column has a share in the first eigenvector, where a fixed vector might have none.
    let diagonal = |i: &usize| matrix[i * n + i];
    let largest = (0..n).max_by(|a, b| diagonal(a).total_cmp(&diagonal(b)));
    let start = largest.unwrap_or(0) * n;
    let mut vector = matrix[start..start + n].to_vec();
    let mut value = normalize(&mut vector);
    for _ in 0..STEPS {
        let mut next: Vec<f64> = matrix
            .chunks_exact(n)
            .map(|row| dot(row, &vector))
            .collect();
        value = normalize(&mut next);
        let change = vector.iter().zip(&next).map(|(a, b)| (a - b).abs());
        let change = change.fold(0.0, f64::max);
        vector = next;
        // NaN, which no step mends, ends it too.
        if change.is_nan() || change < ARRIVED {
            break;
        }
    }
    (vector, value)
}

/// Scales to length 1, unless it is zero; the length it had.
fn normalize(vector: &mut [f64]) -> f64 {
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        for value in vector {
            *value /= length;
        }
    }
    length
}

/// Four sums side by side, which the compiler turns into vectors; one would be a chain.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a4, a_rest) = a.as_chunks::<4>();
    let (b4, b_rest) = b.as_chunks::<4>();
    let mut sums = [0.0; 4];
    for (a, b) in a4.iter().zip(b4) {
        for i in 0..4 {
            sums[i] += a[i] * b[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().zip(expected) {
            assert!((g - e).abs() < 1e-9, "{got:?}, expected {expected:?}");
        }
    }

    #[test]
    fn channels_that_are_multiples_of_one_have_it_as_their_component() {
        // Two channels, (1, 2) times the centred (-3, 1, 2): projections of length sqrt 5 times those.
        let channels = [0.0, 4.0, 5.0, 1.0, 9.0, 11.0];
        let root = 5f64.sqrt();
        let expected = [-3.0 * root, root, 2.0 * root];
        assert_close(&projection(&channels, 3), &expected);
        // More channels than positions: the other product.
        let many: Vec<f64> = channels.repeat(3);
        assert_close(&projection(&many, 3), &expected.map(|v| v * 3f64.sqrt()));
    }

    #[test]
    fn both_products_give_the_same_projection() {
        let drawn = |i| crate::methods::noise::uniform(3, i);
        let square: Vec<f64> = (0..36).map(drawn).collect();
        // A seventh channel that is zero changes nothing but which product is taken.
        let mut narrow = square[..30].to_vec();
        let wide = projection(&narrow, 6);
        narrow.extend([0.0; 12]);
        assert_close(&wide, &projection(&narrow, 6));
    }

    #[test]
    fn the_projection_rises_with_the_mean_activation() {
        let map = projection(&[5.0, 1.0, 0.0, 8.0, 2.0, 0.0, -1.0, 0.0, 0.0], 3);
        assert!(map[0] > 0.0 && map[2] < 0.0, "{map:?}");
    }

    #[test]
    fn constant_channels_and_nan_end() {
        assert_eq!(projection(&[3.0; 8], 4), [0.0; 4]);
        assert!(projection(&[f64::NAN; 4], 2).iter().all(|v| v.is_nan()));
    }
}
