//! The devices that share the work.

use std::time::Instant;

use super::milliseconds;
use crate::command::Error;
use crate::command::tune::{Tuned, tuned};
use crate::gpu::{Gpu, Selection};
use crate::network::Network;
use crate::options::Options;
use crate::tuning::Batches;

/// The name that stands for every adapter of the fastest kind.
const ALL: &str = "all";

/// The devices that share the work, with the times that are kept for them.
pub(super) struct Devices {
    /// At least one, and no more than pictures.
    pub(super) gpus: Vec<Gpu>,
    /// What is kept for the first one.
    tuned: Tuned,
    /// Those of one kind have the same to say, once.
    pub(super) notes: Vec<String>,
    /// What opening them took.
    pub(super) milliseconds: f64,
}

impl Devices {
    pub(super) fn open(options: &Options, pictures: usize) -> Result<Self, Error> {
        let started = Instant::now();
        let mut opened = match options.adapter.as_deref() {
            Some(ALL) => Gpu::open_all(options.backend)?,
            adapter => vec![Gpu::open(&Selection {
                adapter: adapter.map(str::to_owned),
                backend: options.backend,
            })?],
        };
        opened.truncate(pictures.max(1));
        let (mut of_tuning, mut of_first) = (vec![], None);
        let gpus = opened.into_iter().map(|gpu| {
            let (gpu, tuned) = tuned(gpu, &mut of_tuning);
            of_first.get_or_insert(tuned);
            gpu.with_winograd(options.convolution.into())
        });
        let gpus: Vec<Gpu> = gpus.collect();
        of_tuning.dedup();
        let mut notes = gpus[0].notes();
        notes.append(&mut of_tuning);
        Ok(Self {
            gpus,
            tuned: of_first.unwrap_or_default(),
            notes,
            milliseconds: milliseconds(started),
        })
    }

    /// The one whose limits and measurements speak for all.
    pub(super) fn first(&self) -> &Gpu {
        &self.gpus[0]
    }

    /// Pictures that are to go through the network at once, by what was measured of it on the first device.
    pub(super) fn measured_at_once(&self, network: &Network) -> Option<usize> {
        self.tuned.batches(network).and_then(Batches::best)
    }
}
