//! Random numbers by counter: number `index` of a seed is the same on every machine, in any order of asking.

use std::f64::consts::TAU;

/// 64 random bits: the output of SplitMix64 (Steele, Lea and Flood 2014) number `index` after `seed`.
fn bits(seed: u64, index: u64) -> u64 {
    let step = index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut z = seed.wrapping_add(step);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

/// Uniform in 0..1, 53 bits.
pub fn uniform(seed: u64, index: u64) -> f64 {
    (bits(seed, index) >> 11) as f64 / (1u64 << 53) as f64
}

/// Normal of mean 0 and deviation 1: Box and Muller's cosine of uniform numbers `2 index` and `2 index + 1`.
pub fn normal(seed: u64, index: u64) -> f64 {
    let twice = index.wrapping_mul(2);
    // 1 - u is above 0, where the logarithm is finite.
    let radius = (-2.0 * (1.0 - uniform(seed, twice)).ln()).sqrt();
    radius * (TAU * uniform(seed, twice.wrapping_add(1))).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_are_those_of_splitmix64() {
        assert_eq!(bits(0, 0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(bits(0, 1), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn numbers_have_the_moments_of_their_distribution() {
        let moments = |draw: fn(u64, u64) -> f64| {
            let numbers: Vec<f64> = (0..40_000).map(|i| draw(7, i)).collect();
            let count = numbers.len() as f64;
            let mean = numbers.iter().sum::<f64>() / count;
            let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            (mean, variance)
        };
        let (mean, variance) = moments(uniform);
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 12.0).abs() < 0.002);
        let (mean, variance) = moments(normal);
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03);
    }

    #[test]
    fn another_seed_gives_other_numbers() {
        assert_ne!(uniform(1, 0), uniform(2, 0));
        assert_ne!(normal(1, 5), normal(2, 5));
    }
}
