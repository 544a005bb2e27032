//! Whole gradients: against PyTorch on small networks, against finite differences, and by the adjoint identity.

#[path = "../common"]
mod common {
    pub(crate) mod device;
}

mod adjoint;
mod passes;
mod pytorch;
mod small;

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(&a, &b)| f64::from(a) * f64::from(b))
        .sum()
}
