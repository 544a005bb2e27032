//! Tensors that a file keeps in parts, as torch's utilities for training do: pruned ones as values and a mask, weight norm
//! as direction and length, spectral norm with its two vectors.
//!
//! They are put together here, before anybody looks at names: this is a way to store one tensor and says nothing of
//! networks, and so every kind of network finds its plain `weight`. The product is taken when elements are read; only
//! norms need to read a tensor before.

use std::collections::HashMap;
use std::ops::Bound;

use thiserror::Error;

use super::Contents;
use super::tensor::Tensor;

/// Elements that are read for norms at most, all tensors together: some times those of the largest classifier.
const MAX_READ: usize = 1 << 30;
/// Rows and columns of a tensor at most that such a norm is taken of.
const MAX_SIDE: usize = 1 << 20;
/// Elements read at once.
const PIECE: usize = 1 << 16;

/// Why a tensor was not put together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InPartsError {
    /// A parametrization that is not known here.
    #[error(
        "{name:?} is computed from {parts} in a way that the file does not tell: in Python, \
         torch.nn.utils.parametrize.remove_parametrizations(module, 'weight') for each such module, then \
         torch.save(model.state_dict(), 'weights.pth')"
    )]
    Unknown {
        /// The tensor that is computed.
        name: String,
        /// Those that it is computed from.
        parts: String,
    },
    /// Parts whose shapes do not fit one another.
    #[error("{name:?} is {what}, but its parts have shapes {first:?} and {second:?}")]
    Shape {
        /// The tensor that is computed.
        name: String,
        /// From what.
        what: &'static str,
        /// Shape of its values.
        first: Vec<usize>,
        /// Shape of the other part.
        second: Vec<usize>,
    },
    /// More elements than any network has.
    #[error("norms over more than {MAX_READ} elements are asked for")]
    TooLarge,
}

/// How a tensor is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Pruned,
    WeightNorm,
    SpectralNorm,
}

impl Kind {
    /// To follow "is".
    fn what(self) -> &'static str {
        match self {
            Self::Pruned => "a tensor times a mask",
            Self::WeightNorm => "a direction times a length",
            Self::SpectralNorm => "a tensor over its spectral norm",
        }
    }

    /// The note about tensors of this kind.
    fn note(self, tensors: usize, first: &str) -> String {
        let (plural, and_others) = match tensors {
            1 => ("tensor was", String::new()),
            _ => ("tensors were", format!(" and {} more", tensors - 1)),
        };
        let how = match self {
            Self::Pruned => "pruned, and the masks that are stored beside are applied",
            Self::WeightNorm => {
                "stored by weight norm, and are computed from direction and length (v * g / |v|)"
            }
            Self::SpectralNorm => {
                "stored by spectral norm, and are divided by the norm that the vectors beside give"
            }
        };
        format!("{tensors} {plural} {how}: {first}{and_others}")
    }
}

/// A tensor in parts, by the names of these.
struct Parts {
    /// The tensor's own name.
    name: String,
    /// The part that has its shape.
    values: String,
    steps: Vec<Step>,
}

/// What is done with the values so far, and the tensors that it takes for that.
type Step = (Kind, Vec<String>);

/// Puts together what is kept in parts, in the place of the parts.
pub(super) fn put_together(contents: &mut Contents) -> Result<(), InPartsError> {
    let names: Vec<String> = contents.tensors.keys().cloned().collect();
    let mut left = MAX_READ;
    let mut done: Vec<(Kind, String)> = vec![];
    let mut changes = HashMap::new();
    for name in names {
        let Some(parts) = parts(contents, &name)? else {
            continue;
        };
        let mut tensor = contents.tensors[&parts.values].clone();
        for (kind, others) in &parts.steps {
            let others: Vec<Tensor> = others.iter().map(|n| contents.tensors[n].clone()).collect();
            tensor = step(*kind, &tensor, &others, &parts.name, &mut left)?;
            done.push((*kind, parts.name.clone()));
        }
        contents.tensors.insert(parts.values.clone(), tensor);
        changes.insert(parts.values, Some(parts.name));
        let others = parts.steps.into_iter().flat_map(|(_, others)| others);
        changes.extend(others.map(|other| (other, None)));
    }
    contents.rename(&changes);
    for kind in [Kind::Pruned, Kind::WeightNorm, Kind::SpectralNorm] {
        let mut names = done.iter().filter(|(of, _)| *of == kind);
        let tensors = names.clone().count();
        if let Some((_, first)) = names.next() {
            contents.notes.push(kind.note(tensors, first));
        }
    }
    Ok(())
}

/// The parts of the tensor whose values are `values`; `None` where that is a tensor of its own.
fn parts(contents: &Contents, values: &str) -> Result<Option<Parts>, InPartsError> {
    let found = match hooked(contents, values) {
        None => parametrized(contents, values)?,
        found => found,
    };
    Ok(found.map(|(name, steps)| Parts {
        name,
        values: values.to_owned(),
        steps,
    }))
}

/// Where hooks put the tensor together, its name and the steps: `module.weight_orig` of torch.nn.utils.prune and spectral_norm,
/// `module.weight_v` of weight_norm.
fn hooked(contents: &Contents, values: &str) -> Option<(String, Vec<Step>)> {
    let has = |name: &str| contents.tensors.contains_key(name);
    if let Some(name) = values.strip_suffix("_orig").filter(|&name| !has(name)) {
        let [mask, u, v] = ["_mask", "_u", "_v"].map(|part| format!("{name}{part}"));
        let step = if has(&mask) {
            (Kind::Pruned, vec![mask])
        } else if has(&u) && has(&v) {
            (Kind::SpectralNorm, vec![u, v])
        } else {
            return None;
        };
        return Some((name.to_owned(), vec![step]));
    }
    let name = values.strip_suffix("_v").filter(|&name| !has(name))?;
    let [length, original] = ["_g", "_orig"].map(|part| format!("{name}{part}"));
    let is_norm = has(&length) && !has(&original);
    is_norm.then(|| (name.to_owned(), vec![(Kind::WeightNorm, vec![length])]))
}

/// The same of torch.nn.utils.parametrize: `module.parametrizations.weight.original`.
fn parametrized(
    contents: &Contents,
    values: &str,
) -> Result<Option<(String, Vec<Step>)>, InPartsError> {
    const PARAMETRIZATIONS: &str = "parametrizations";
    let Some((module, tensor, part)) = values.rsplit_once('.').and_then(|(path, part)| {
        let (path, tensor) = path.rsplit_once('.')?;
        let module = path.strip_suffix(PARAMETRIZATIONS)?;
        Some((module, tensor, part))
    }) else {
        return Ok(None);
    };
    let name = format!("{module}{tensor}");
    let folder = values.strip_suffix(part).unwrap_or_default();
    let from = (Bound::Included(folder), Bound::Unbounded);
    let from_folder = contents.tensors.range::<str, _>(from);
    let in_folder = from_folder.map_while(|(name, _)| name.strip_prefix(folder));
    let others: Vec<&str> = in_folder.filter(|&other| other != part).collect();
    let steps = match (part, &others[..]) {
        ("original1", ["original0"]) => {
            Some(vec![(Kind::WeightNorm, vec![format!("{folder}original0")])])
        }
        ("original", _) => numbered_steps(folder, &others),
        ("original0", ["original1"]) => return Ok(None),
        (part, _) if part.starts_with("original") => None,
        _ => return Ok(None),
    };
    match steps {
        Some(steps) => Ok(Some((name, steps))),
        None => Err(InPartsError::Unknown {
            name,
            parts: [&[part][..], &others].concat().join(", "),
        }),
    }
}

/// The steps that `others` in `folder` are the tensors of, as `0.mask` or `1._u` and `1._v`; none where there are more.
fn numbered_steps(folder: &str, others: &[&str]) -> Option<Vec<Step>> {
    let has = |part: &String| others.contains(&part.as_str());
    let mut steps = vec![];
    for number in 0..others.len() {
        let [mask, u, v] = ["mask", "_u", "_v"].map(|part| format!("{number}.{part}"));
        let (kind, parts) = if has(&mask) {
            (Kind::Pruned, vec![mask])
        } else if has(&u) && has(&v) {
            (Kind::SpectralNorm, vec![u, v])
        } else {
            continue;
        };
        let full = parts.iter().map(|part| format!("{folder}{part}"));
        steps.push((kind, full.collect()));
    }
    let known: usize = steps.iter().map(|(_, parts): &Step| parts.len()).sum();
    (known == others.len() && known > 0).then_some(steps)
}

fn step(
    kind: Kind,
    values: &Tensor,
    others: &[Tensor],
    name: &str,
    left: &mut usize,
) -> Result<Tensor, InPartsError> {
    let computed = match (kind, others) {
        (Kind::Pruned, [mask]) => values.masked(mask),
        (Kind::WeightNorm, [length]) => {
            take(left, values)?;
            weight_norm(values, length)
        }
        (Kind::SpectralNorm, [u, v]) => {
            take(left, values)?;
            spectral_norm(values, u, v)
        }
        _ => unreachable!("each kind has its parts"),
    };
    computed.ok_or_else(|| InPartsError::Shape {
        name: name.to_owned(),
        what: kind.what(),
        first: values.shape().to_vec(),
        second: others[0].shape().to_vec(),
    })
}

fn take(left: &mut usize, tensor: &Tensor) -> Result<(), InPartsError> {
    *left = left
        .checked_sub(tensor.len())
        .ok_or(InPartsError::TooLarge)?;
    Ok(())
}

/// `direction * length / |direction|`, where the norm goes over all axes but the one along which the lengths differ; over
/// all of them where there is one length without a shape. `None`: the shapes do not fit.
fn weight_norm(direction: &Tensor, length: &Tensor) -> Option<Tensor> {
    let shape = direction.shape();
    let axis = match length.shape() {
        [] => None,
        lengths if lengths.len() == shape.len() => {
            let axis = lengths.iter().position(|&n| n != 1).unwrap_or(0);
            let mut expected = vec![1; shape.len()];
            expected[axis] = shape[axis];
            Some(axis).filter(|_| lengths == expected).map(Some)?
        }
        _ => return None,
    };
    let (axis, channels) = match axis {
        Some(axis) => (axis, shape[axis]),
        None => (0, 1),
    };
    let rows = *shape.first()?;
    if channels.max(rows) > MAX_SIDE {
        return None;
    }
    let inner: usize = shape[axis + 1..].iter().product();
    let mut squares = vec![0.0; channels];
    each(direction, |i, value| {
        squares[i / inner % channels] += f64::from(value).powi(2);
    });
    let lengths = length.to_vec();
    let mut factors: Vec<f64> = squares
        .iter()
        .zip(&lengths)
        .map(|(square, length)| f64::from(*length) / square.sqrt())
        .collect();
    if length.shape().is_empty() {
        factors.resize(rows, factors[0]);
    }
    Some(direction.scaled(axis, factors))
}

/// `values / (u' values v)`, the values as a matrix with a row for each place along the first axis. `None`: the shapes do
/// not fit.
fn spectral_norm(values: &Tensor, u: &Tensor, v: &Tensor) -> Option<Tensor> {
    let (&rows, columns) = values.shape().split_first()?;
    let columns: usize = columns.iter().product();
    let fits = u.shape() == [rows] && v.shape() == [columns];
    if !fits || rows.max(columns) > MAX_SIDE {
        return None;
    }
    let (u, v) = (u.to_vec(), v.to_vec());
    let mut sigma = 0.0;
    each(values, |i, value| {
        sigma += f64::from(u[i / columns]) * f64::from(value) * f64::from(v[i % columns]);
    });
    Some(values.scaled(0, vec![1.0 / sigma; rows]))
}

/// Calls `with` with each element in C order.
fn each(tensor: &Tensor, mut with: impl FnMut(usize, f32)) {
    let mut piece = vec![0.0; PIECE.min(tensor.len())];
    for start in (0..tensor.len()).step_by(PIECE) {
        let piece = &mut piece[..PIECE.min(tensor.len() - start)];
        tensor.read(start, piece);
        for (i, &value) in piece.iter().enumerate() {
            with(start + i, value);
        }
        tensor.release(start, piece.len());
    }
}
