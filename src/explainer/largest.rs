//! The largest picture that an adapter takes.

use super::{Wanted, request};
use crate::network::Network;
use crate::plan::{Limits, Plan};

/// Sizes below one that a network may not take until it takes one: five pools of two.
const STEP: usize = 32;

/// The most rows and columns below `too_large` with which a network fits; `None` where there are none. `network_at` gives
/// the network over pictures of a size, where it takes that.
pub fn largest_input(
    too_large: usize,
    network_at: impl Fn(usize) -> Option<Network>,
    fits: impl Fn(&Network) -> bool,
) -> Option<usize> {
    // The next smaller size that the network takes.
    let taken = |size: usize| {
        let sizes = (size.saturating_sub(STEP - 1).max(1)..=size).rev();
        sizes
            .map(|size| (size, network_at(size)))
            .find_map(|(size, network)| Some((size, network?)))
    };
    let (mut largest, mut small, mut large) = (None, 0, too_large);
    while small + 1 < large {
        let middle = usize::midpoint(small, large);
        match taken(middle) {
            Some((size, network)) if fits(&network) => {
                largest = Some(size);
                small = middle;
            }
            Some((size, _)) => large = size.max(small + 1).min(middle),
            // Smaller than any that the network takes.
            None => small = middle,
        }
    }
    largest
}

/// Whether what is `wanted` of `network` fits an adapter of `limits`.
pub fn fits(network: &Network, wanted: &Wanted, limits: Limits<'_>) -> bool {
    let request = request(network, wanted, limits);
    request.is_ok_and(|(_, request)| Plan::new(network, &request, limits).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architectures;
    use crate::plan::{Costs, KernelFamily, Winograd};
    use crate::weights;

    fn limits(binding: u64) -> Limits<'static> {
        Limits {
            binding,
            buffer: 1 << 40,
            workgroups: 65_535,
            family: KernelFamily::Plain,
            winograd: Winograd::Never,
            costs: Costs::model(),
        }
    }

    #[test]
    fn the_largest_input_fits_and_the_next_does_not() {
        let weights = weights::builtin();
        let network_at = |size| {
            let classifier = architectures::recognise_at(&weights, Some(size)).ok()?;
            Some(classifier.network)
        };
        let wanted = Wanted::default();
        let largest =
            |limits| largest_input(4096, network_at, |network| fits(network, &wanted, limits));
        // 64 channels of float32 at each pixel after the first convolution; the filters take less.
        for side in [224, 448, 1000] {
            let limits = limits(64 * 4 * side * side);
            let largest = largest(limits).unwrap();
            let next = (largest + 1..=4096).find(|&size| network_at(size).is_some());
            let fits = |size| fits(&network_at(size).unwrap(), &wanted, limits);
            assert!(largest as u64 <= side, "{largest} for {side}");
            assert!(
                fits(largest) && !fits(next.unwrap()),
                "{largest} for {side}"
            );
        }
        assert_eq!(largest(limits(1000)), None);
    }

    #[test]
    fn a_network_of_one_size_has_no_other() {
        let weights = weights::builtin();
        let network_at = |size| {
            let classifier = architectures::recognise_at(&weights, Some(size)).ok()?;
            (size == 224).then_some(classifier.network)
        };
        assert_eq!(largest_input(224, network_at, |_| true), None);
        assert_eq!(largest_input(225, network_at, |_| true), Some(224));
    }
}
