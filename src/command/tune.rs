//! `gradcam tune`: measures what computes a network's convolutions on this device, and how many pictures at once take least
//! time, and keeps it for the runs after it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::Tune;
use crate::command::Error;
use crate::command::network::{overrides, recognise, weights_name};
use crate::gpu::{AdapterInfo, Gpu, Selection};
use crate::network::{Network, Shape};
use crate::output::{self, ProtectedFiles};
use crate::plan::Costs;
use crate::tuning::{Batches, Clock, TimedBy, Tuning, layers, measure, there_and_back};
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
    by: TimedBy,
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
        adapter: flags.device.adapter.clone(),
        backend: flags.device.backend,
    })?;
    let path = match place_of(gpu.info()) {
        kept::Place::Off => return Err(TuneError::Off.into()),
        kept::Place::Nowhere => return Err(TuneError::NoFolder.into()),
        kept::Place::Folder(path) | kept::Place::Named(path) => path,
    };
    output::check_file(&path, &ProtectedFiles::new(flags.weights.as_deref()))?;
    let weights = weights::open_or_builtin(flags.weights.as_deref())?;
    let network = &recognise(&weights, &overrides(&flags.network))?.network;
    let mut notes = gpu.notes();
    let mut tuning = kept_or_new(&path, &gpu, &mut notes);
    let began = Instant::now();
    let Measured {
        layers: measured,
        left_out,
    } = measure_layers(&gpu, network, &mut tuning.costs)?;
    let gpu = gpu.with_costs(tuning.costs.clone());
    let batches = batches::measure(&gpu, network, Clock::new(MOST_PICTURES));
    let batches = batches.map_err(|source| Error::Explain {
        path: weights_name(&weights),
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

/// What is kept of this device, to which more is added; nothing where the file cannot be used, which goes to `notes`.
fn kept_or_new(path: &Path, gpu: &Gpu, notes: &mut Vec<String>) -> Tuning {
    let known = kept::read(path, gpu.info()).unwrap_or_else(|error| {
        notes.push(format!("{} {error}: it is written anew", path.display()));
        None
    });
    let (costs, batches) =
        known.map_or_else(Default::default, |known| (known.costs, known.batches));
    Tuning {
        adapter: gpu.info().clone(),
        by: match gpu.has_timestamps() {
            true => TimedBy::Timestamps,
            false => TimedBy::Clock,
        },
        costs,
        batches,
    }
}

/// How far the measurement of layers came.
struct Measured {
    /// Shapes of layers measured.
    layers: usize,
    /// Layers for which there was no time.
    left_out: Vec<String>,
}

/// Adds the times of the network's convolutions to `costs`, as many as there is time for.
fn measure_layers(gpu: &Gpu, network: &Network, costs: &mut Costs) -> Result<Measured, Error> {
    let clock = Clock::new(MOST);
    let layers = layers(network);
    let mut measured = Measured {
        layers: 0,
        left_out: vec![],
    };
    for (at, layer) in layers.iter().enumerate() {
        if clock.is_over() {
            measured.left_out.extend(layer.names.clone());
        } else if let Some(times) = measure(gpu, layer, layers.len() - at, clock)? {
            costs.insert(times);
            measured.layers += 1;
        }
    }
    Ok(measured)
}
