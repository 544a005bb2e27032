//! The network that explains: its weights, what is known of its use, and its class names.

use super::{Message, values};
use crate::architectures::{Classifier, Evidence, Overrides};
use crate::cli::Channels;
use crate::command::Error;
use crate::command::network::{recognise, weights_name};
use crate::labels::Labels;
use crate::methods::Method;
use crate::network::{Network, ReluRule};
use crate::options::{Options, Preprocess};
use crate::picture::preprocess::Normalization;
use crate::weights::{self, Weights};

/// Weights, the network that they make, and its class names.
pub(super) struct Model {
    pub(super) weights: Weights,
    pub(super) classifier: Classifier,
    /// One a class.
    pub(super) labels: Labels,
    /// What was left out of the weights and assumed of the network.
    pub(super) notes: Vec<String>,
}

impl Model {
    /// Opens what `options` name, and tells the notes.
    pub(super) fn open(options: &Options, tell: &impl Fn(Message)) -> Result<Self, Error> {
        let tell_each = |notes: &[String]| {
            for note in notes {
                tell(Message::Note(note.clone()));
            }
        };
        let weights = weights::open_or_builtin(options.weights.as_deref())?;
        let classifier = classifier(options, &weights);
        // What was left out of the file may be what is missing.
        let classifier = classifier.inspect_err(|_| tell_each(&weights.notes))?;
        let notes = notes(options, &weights, &classifier);
        tell_each(&notes);
        let labels = Labels::choose(
            options.labels.as_deref(),
            classifier.labels.as_deref(),
            classifier.network.classes(),
            &weights_name(&weights),
        )?;
        Ok(Self {
            weights,
            classifier,
            labels,
            notes,
        })
    }
}

/// The network, with the user's preprocessing where there is one.
fn classifier(options: &Options, weights: &Weights) -> Result<Classifier, Error> {
    let asked = Overrides {
        input_size: options.input_size,
        output: options.graph_output.as_deref(),
        labels: options.labels.as_deref(),
        architecture: options.architecture.as_deref(),
    };
    let mut classifier = recognise(weights, &asked)?;
    if let Some(kind) = options.activation {
        classifier.network.output_kind = kind;
    }
    if let Some(preprocess) = &options.preprocess {
        let channels = classifier.network.input_shape().c;
        classifier.scale_by(normalization(preprocess).of_channels(channels));
    }
    Ok(classifier)
}

/// What was left out of the weights and assumed of the network.
fn notes(options: &Options, weights: &Weights, classifier: &Classifier) -> Vec<String> {
    let scaling = match (&options.preprocess, classifier.normalization_evidence) {
        (None, Evidence::Guess(reason)) => Some(format!(
            "{} does not say how pictures are scaled for it: {} is a guess, since {reason}; --preprocess says otherwise",
            weights_name(weights).display(),
            classifier.normalization,
        )),
        (Some(_), _) if classifier.scales_itself() => Some(format!(
            "{} scales pixels itself, after what --preprocess, --mean or --std say",
            weights_name(weights).display(),
        )),
        (Some(_), _) | (None, Evidence::Metadata | Evidence::Known(_)) => None,
    };
    let said = weights.notes.iter().chain(&classifier.notes).cloned();
    let unguided = unguided(options, &classifier.network);
    said.chain(scaling).chain(unguided).collect()
}

/// Where a method with a rule of its own for ReLUs was asked for, which activations have none.
fn unguided(options: &Options, network: &Network) -> Option<String> {
    let has_rule = |method: &Method| match method {
        Method::Pixel(method) => method.recipe().rule != ReluRule::Plain,
        Method::Cam(_) | Method::Perturbation(_) => false,
    };
    let method = values::methods(options).into_iter().find(has_rule)?;
    let kinds = network.unguided_activations();
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, layers)| format!("{kind} ({layers})"))
        .collect();
    (!kinds.is_empty()).then(|| {
        format!(
            "{method} has a rule for ReLUs alone: through {} the plain gradient goes",
            kinds.join(", ")
        )
    })
}

fn normalization(preprocess: &Preprocess) -> Normalization {
    match *preprocess {
        Preprocess::Named(preprocessing) => preprocessing.normalization(),
        Preprocess::Given {
            mean,
            std,
            channels,
        } => {
            let bgr = channels == Channels::Bgr;
            // Given as red, green, blue; kept in the network's order.
            let ordered = |[r, g, b]: [f32; 3]| if bgr { [b, g, r] } else { [r, g, b] };
            Normalization {
                bgr,
                grey: false,
                scale: 1.0,
                mean: ordered(mean),
                std: ordered(std),
            }
        }
    }
}
