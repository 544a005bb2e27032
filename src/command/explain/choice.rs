//! The classes to explain: those named, or the most likely in each picture.

use super::model::Model;
use crate::command::Error;
use crate::command::network::weights_name;
use crate::explainer::Prediction;
use crate::options::{Classes, DEFAULT_TOP_N, Options};
use crate::score;

/// Which classes to explain in each picture.
pub(super) struct Choice {
    classes: Chosen,
    /// The class that they are compared with, none of them.
    pub(super) versus: Option<usize>,
}

enum Chosen {
    Top(usize),
    These(Vec<usize>),
}

impl Choice {
    pub(super) fn new(options: &Options, model: &Model) -> Result<Self, Error> {
        let Model {
            weights,
            classifier,
            labels,
            ..
        } = model;
        let versus = options.versus.as_deref().map(|text| labels.find(text));
        let versus = versus.transpose()?;
        let there = classifier.network.classes() - usize::from(versus.is_some());
        let classes = match &options.classes {
            Classes::Default => Chosen::Top(DEFAULT_TOP_N.min(there)),
            Classes::Top(count) if count.get() > there && there > 0 => {
                return Err(Error::TooManyClasses {
                    wanted: count.get(),
                    there,
                    versus: versus.is_some(),
                    path: weights_name(weights),
                });
            }
            Classes::Top(count) => Chosen::Top(count.get()),
            Classes::Named(names) => Chosen::These(labels.find_each(names)?),
        };
        if let Some(id) = versus {
            let among = matches!(&classes, Chosen::These(classes) if classes.contains(&id));
            if among || there == 0 {
                let label = labels.get(id).expect("one label a class");
                return Err(Error::VersusItself {
                    id,
                    name: label.printed_name(),
                });
            }
        }
        Ok(Self { classes, versus })
    }

    /// How many classes are explained in each picture.
    pub(super) fn count(&self) -> usize {
        match &self.classes {
            Chosen::Top(count) => *count,
            Chosen::These(classes) => classes.len(),
        }
    }

    /// The classes to explain in one picture.
    pub(super) fn of(&self, prediction: &Prediction) -> Vec<usize> {
        match &self.classes {
            Chosen::Top(count) => {
                let mut classes = score::top(&prediction.logits, prediction.logits.len());
                classes.retain(|&class| Some(class) != self.versus);
                classes.truncate(*count);
                classes
            }
            Chosen::These(classes) => classes.clone(),
        }
    }
}
