//! `gradcam tune`: measures what computes a network's convolutions on this device, and how many pictures at once take least
//! time, and keeps it for the runs after it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::architectures::{self, Overrides};
use crate::cli::Tune;
use crate::command::Error;
use crate::gpu::{AdapterInfo, Gpu, Selection};
use crate::network::Shape;
use crate::output::{self, Kept};
use crate::plan::Costs;
use crate::tuning::{Batches, By, Clock, Tuning, layers, measure, there_and_back};
use crate::weights;

mod batches;
mod kept;
mod report;
mod rows;

pub(crate) use kept::{Tuned, place_of, tuned};
pub(crate) use rows::{Row, rows, table};

/// Layers are measured no longer, and pictures at once. With opening the device and compiling, which some drivers take seconds
/// for, less than a minute in all.
const MOST: Duration = Duration::from_secs(35);
const MOST_PICTURES: Duration = Duration::from_secs(12);

/// Why nothing is measured.
#[derive(Debug, thiserror::Error)]
pub enum TuneError {
    /// Its result is not wanted.
    #[error("GRADCAM_TUNING=off: what is measured would not be kept; unset it, or name a file")]
    Off,
    /// No place to keep it.
    #[error(
        "neither XDG_CACHE_HOME nor HOME says where the folder for caches is; name a file with GRADCAM_TUNING"
    )]
    NoFolder,
}

/// What was measured.
#[derive(Debug)]
pub struct Report {
    adapter: AdapterInfo,
    /// `None`: the built-in network.
    weights: Option<PathBuf>,
    architecture: String,
    input: Shape,
    by: By,
    took: Duration,
    /// Shapes of layers measured.
    measured: usize,
    /// Layers for which there was no time.
    left_out: Vec<String>,
    /// Where the times are kept; none where there was nothing to choose.
    file: Option<PathBuf>,
    rows: Vec<Row>,
    batches: Batches,
    /// What a user should know beside.
    pub notes: Vec<String>,
}

/// Measures the convolutions of the built-in network, or that of `flags.weights`, and its pictures at once, and keeps the times.
pub fn run(flags: &Tune) -> Result<Report, Error> {
    let gpu = Gpu::open(&Selection {
        adapter: flags.adapter.clone(),
        backend: flags.backend,
    })?;
    let path = match place_of(gpu.info()) {
        kept::Place::Off => return Err(TuneError::Off.into()),
        kept::Place::Nowhere => return Err(TuneError::NoFolder.into()),
        kept::Place::Folder(path) | kept::Place::Named(path) => path,
    };
    output::check_file(&path, &Kept::new(flags.weights.as_deref()))?;
    let weights = weights::open_or_builtin(flags.weights.as_deref())?;
    let asked = Overrides {
        input_size: flags.input_size.map(usize::from),
        output: flags.graph_output.as_deref(),
        labels: None,
        architecture: flags.architecture.as_deref(),
    };
    let recognised = architectures::recognise_as(&weights, &asked);
    let network = &recognised
        .map_err(|source| Error::Architecture {
            path: super::explain::weights_name(&weights),
            source,
        })?
        .network;
    let mut notes = gpu.notes();
    let known = match kept::read(&path, gpu.info()) {
        Ok(known) => known,
        Err(error) => {
            notes.push(format!("{} {error}: it is written anew", path.display()));
            None
        }
    };
    let mut tuning = Tuning {
        adapter: gpu.info().clone(),
        by: match gpu.has_timestamps() {
            true => By::Timestamps,
            false => By::Clock,
        },
        costs: Costs::default(),
        batches: vec![],
    };
    if let Some(known) = known {
        (tuning.costs, tuning.batches) = (known.costs, known.batches);
    }

    let (began, clock) = (Instant::now(), Clock::new(MOST));
    let layers = layers(network);
    let (mut measured, mut left_out) = (0, vec![]);
    for (at, layer) in layers.iter().enumerate() {
        if clock.is_over() {
            left_out.extend(layer.names.clone());
        } else if let Some(times) = measure(&gpu, layer, layers.len() - at, clock)? {
            tuning.costs.insert(times);
            measured += 1;
        }
    }
    let gpu = gpu.with_costs(tuning.costs.clone());
    let batches = batches::measure(&gpu, network, Clock::new(MOST_PICTURES));
    let batches = batches.map_err(|source| Error::Explain {
        path: super::explain::weights_name(&weights),
        source,
    })?;
    let took = began.elapsed();
    let is_kept = measured > 0 || batches.best().is_some();
    if batches.best().is_some() {
        tuning.insert(batches.clone());
    }
    if is_kept {
        output::write(&path, tuning.to_json().as_bytes())?;
    }
    let (adapter, by) = (gpu.info().clone(), tuning.by);
    Ok(Report {
        adapter,
        by,
        weights: weights.path.clone(),
        architecture: network.architecture.clone(),
        input: network.input_shape(),
        took,
        measured,
        left_out,
        file: is_kept.then_some(path),
        rows: rows(network, &there_and_back(), gpu.limits()),
        batches,
        notes,
    })
}
