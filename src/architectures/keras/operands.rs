//! What a layer reads: values of other layers and constants.

use serde_json::Value;

use super::build::Builder;
use super::links::Argument;
use super::value::{Map, Signal};
use super::{KerasLayer, KerasModelError, Source};
use crate::architectures::ArchitectureError;
use crate::network::{Op, OutputKind};

/// What an operation works on.
pub(super) enum Operand<'a> {
    Signal(Signal),
    Constant(&'a Value),
}

impl Builder<'_> {
    /// What a layer reads, be it values or constants, in order; lists are part of it.
    pub(super) fn operands<'a>(
        &self,
        argument: &'a Argument<Source>,
        into: &mut Vec<Operand<'a>>,
    ) -> Result<(), KerasModelError> {
        match argument {
            Argument::List(list) => {
                for argument in list {
                    self.operands(argument, into)?;
                }
            }
            Argument::Constant(value) => into.push(Operand::Constant(value)),
            Argument::Value(source) => {
                let signal = self.signals[source.layer].get(source.output);
                let missing = KerasModelError::Config("a link to a value that is not there");
                into.push(Operand::Signal(signal.ok_or(missing)?.clone()));
            }
        }
        Ok(())
    }

    /// The one value that a layer reads.
    pub(super) fn reads(&self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let mut operands = vec![];
        for (_, argument) in &layer.arguments {
            self.operands(argument, &mut operands)?;
        }
        let signals = operands.into_iter().filter_map(|operand| match operand {
            Operand::Signal(signal) => Some(signal),
            Operand::Constant(_) => None,
        });
        let signals: Vec<Signal> = signals.collect();
        match <[Signal; 1]>::try_from(signals) {
            Ok([signal]) => Ok(signal),
            Err(signals) => {
                let what = format!("reading {} values is", signals.len());
                Err(layer.unsupported(what).into())
            }
        }
    }

    /// The same as a node's value.
    pub(super) fn map(&mut self, layer: &KerasLayer) -> Result<Map, ArchitectureError> {
        let signal = self.reads(layer)?;
        self.as_map(layer, signal)
    }

    /// A value as a node's, for `layer`.
    pub(super) fn as_map(
        &mut self,
        layer: &KerasLayer,
        signal: Signal,
    ) -> Result<Map, ArchitectureError> {
        match signal {
            Signal::Picture(picture) => self.enter(layer, picture),
            Signal::Map(map) => Ok(map),
            Signal::Scores {
                kind: OutputKind::Sigmoid,
                name,
                map,
            } => {
                let op = Op::Activate(crate::network::Activation::Sigmoid);
                self.push(&name, op, &map)
            }
            Signal::Scores { .. } => Err(layer
                .unsupported("a layer after the probabilities is")
                .into()),
        }
    }
}
