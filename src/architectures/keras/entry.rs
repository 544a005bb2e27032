//! Where the picture enters the network: steps before the first node are its preprocessing, or nodes of their own.

use super::KerasLayer;
use super::build::{Builder, Input};
use super::value::{Change, Map, Picture, PictureStep, Signal};
use crate::architectures::ArchitectureError;
use crate::architectures::prefix::Pixels;
use crate::network::{FilterLayout, Network, Op, Resample, Shape, Window};
use crate::weights::Tensor;

impl Builder<'_> {
    pub(super) fn picture(&mut self, layer: &KerasLayer) -> Result<Signal, ArchitectureError> {
        let Input { shape, axes, .. } = self.input;
        let first = self
            .model
            .layers
            .iter()
            .position(|layer| layer.class == "InputLayer");
        if first != Some(self.signals.len()) {
            return Err(layer.unsupported("a second input is").into());
        }
        Ok(Signal::Picture(Picture {
            pixels: Pixels::new(shape.c),
            axes,
            has_channels: true,
            size: [shape.h, shape.w],
            input: [shape.h, shape.w],
            steps: vec![],
        }))
    }

    /// The picture as the network's input: what was done to it until here is its preprocessing.
    pub(super) fn enter(
        &mut self,
        layer: &KerasLayer,
        picture: Picture,
    ) -> Result<Map, ArchitectureError> {
        if let Some((entered, map)) = &self.entered {
            return match *entered == picture {
                true => Ok(*map),
                false => Err(layer
                    .unsupported("a picture that is scaled in two ways is")
                    .into()),
            };
        }
        if !picture.has_channels {
            return Err(layer
                .unsupported("a picture without an axis of channels is")
                .into());
        }
        let [h, w] = picture.input;
        self.network = Network::new(&*self.model.name, Shape::new(self.input.shape.c, h, w));
        let mut map = Map::new(self.network.output(), picture.axes);
        // Another order, or another number of channels, is made by a convolution.
        let inputs = self.input.shape.c;
        let ordered = picture.pixels.normalization(self.input.bytes).is_some();
        if !ordered || picture.pixels.len() != inputs {
            let (weights, biases) = picture.pixels.matrix(inputs);
            let outputs = biases.len();
            let op = Op::Conv2d {
                weight: Tensor::from_f32(vec![outputs, inputs, 1, 1], &weights),
                bias: Some(Tensor::from_f32(vec![outputs], &biases)),
                layout: FilterLayout::Oihw,
                window: Window::square(1, 1, 0),
                groups: 1,
            };
            self.mixed = true;
            map = self.push("channels", op, &map)?;
        }
        for step in &picture.steps {
            map = self.step(step, &map)?;
        }
        self.entered = Some((picture, map));
        Ok(map)
    }

    /// What a layer does to the places of the picture, as a node.
    fn step(&mut self, step: &PictureStep, map: &Map) -> Result<Map, ArchitectureError> {
        match step.change {
            Change::Cut(sides) => {
                let sides = sides.map(|sides| sides.map(|side| -(side as i32)));
                self.pad(&step.name, map, sides)
            }
            Change::Resize(resize) => {
                self.push(&step.name, Op::Resample(Resample::Resize(resize)), map)
            }
        }
    }
}
