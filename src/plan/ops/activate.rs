//! Activations by kernels of their own: where no other kernel's end takes them.

use super::Call;
use super::end::{finite, mask};
use crate::kernels::{
    ActivateBackwardParams, ActivateParams, ActivationKind, ClipParams, Epilogue, Kernel,
    ReluParams,
};
use crate::layout::Direction;
use crate::network::{Activation, NodeId, ReluRule, SELU, SavedValue};
use crate::plan::BufferId;
use crate::plan::builder::Builder;

impl Builder<'_> {
    /// An activation, or the gradient at its input; `rule` is for that of a ReLU or a clip.
    pub(super) fn activate(
        &mut self,
        id: NodeId,
        call: &Call<'_>,
        activation: &Activation,
        rule: ReluRule,
    ) {
        let input = self.network.node(id).inputs[0];
        let kept = match (call.direction, activation.saved_value()) {
            (Direction::Forward, _) => None,
            (Direction::Backward, SavedValue::Output) => Some(self.value(id)),
            (Direction::Backward, SavedValue::Input) => Some(self.value(input)),
        };
        let rule = activation.rule(rule);
        match activation {
            Activation::Relu => self.relu(call, rule, kept),
            Activation::Clip { low, high } => self.clip(call, [*low, *high], rule, kept),
            _ => self.smooth(id, call, activation, kept),
        }
    }

    /// A ReLU, or its mask by the values kept.
    fn relu(&mut self, call: &Call<'_>, rule: ReluRule, kept: Option<BufferId>) {
        let epilogue = kept.map_or(Epilogue::BiasRelu, |_| mask(rule));
        let images = call.images();
        let params = ReluParams {
            image: images[1] as u32,
            epilogue: epilogue as u32,
            sharing: self.pass.sharing as u32,
        };
        let buffers = vec![call.x, kept.unwrap_or(self.nothing), call.y];
        self.each_image(Kernel::Relu, call.label, images, &params, buffers);
    }

    /// The same between bounds.
    fn clip(&mut self, call: &Call<'_>, bounds: [f32; 2], rule: ReluRule, kept: Option<BufferId>) {
        let epilogue = kept.map_or(Epilogue::None, |_| mask(rule));
        let [low, high] = finite(bounds);
        let images = call.images();
        let params = ClipParams {
            image: images[1] as u32,
            low,
            high,
            epilogue: epilogue as u32,
            sharing: self.pass.sharing as u32,
        };
        let buffers = vec![call.x, kept.unwrap_or(self.nothing), call.y];
        self.each_image(Kernel::Clip, call.label, images, &params, buffers);
    }

    /// The others, which no rule but the plain one is for.
    fn smooth(
        &mut self,
        id: NodeId,
        call: &Call<'_>,
        activation: &Activation,
        kept: Option<BufferId>,
    ) {
        let shape = call.made();
        let (kind, [a, b]) = kind(activation);
        let (slopes, slope_count) = match activation {
            Activation::PRelu { slope } => (self.vector(id, "slopes", slope), slope.len() as u32),
            _ => (self.nothing, 0),
        };
        let images = call.images();
        let image = images[1] as u32;
        let positions = (shape.h * shape.w) as u32;
        let [there, back] = kind.kernels();
        let Some(kept) = kept else {
            let params = ActivateParams {
                image,
                positions,
                slopes: slope_count,
                a,
                b,
            };
            let buffers = vec![call.x, slopes, call.y];
            return self.each_image(there, call.label, images, &params, buffers);
        };
        let params = ActivateBackwardParams {
            image,
            positions,
            slopes: slope_count,
            a,
            b,
            sharing: self.pass.sharing as u32,
        };
        let buffers = vec![call.x, kept, slopes, call.y];
        self.each_image(back, call.label, images, &params, buffers);
    }
}

/// What `activate.wgsl` calls an activation, and the numbers a and b there.
fn kind(activation: &Activation) -> (ActivationKind, [f32; 2]) {
    let settings = activation.settings();
    match activation {
        Activation::Relu | Activation::Clip { .. } => {
            unreachable!("they have kernels of their own")
        }
        Activation::LeakyRelu { .. } | Activation::PRelu { .. } => {
            (ActivationKind::Leaky, settings)
        }
        Activation::Elu { alpha } => (ActivationKind::Elu, [*alpha, 1.0]),
        Activation::Selu => {
            let [scale, alpha] = SELU;
            (ActivationKind::Elu, [scale * alpha, scale])
        }
        Activation::Sigmoid => (ActivationKind::Sigmoid, settings),
        Activation::Tanh => (ActivationKind::Tanh, settings),
        Activation::Silu => (ActivationKind::Silu, settings),
        Activation::HardSigmoid { .. } => (ActivationKind::HardSigmoid, settings),
        Activation::HardSwish => (ActivationKind::HardSwish, settings),
        Activation::Gelu => (ActivationKind::Gelu, settings),
        Activation::GeluTanh => (ActivationKind::GeluTanh, settings),
        Activation::Softplus => (ActivationKind::Softplus, settings),
        Activation::Mish => (ActivationKind::Mish, settings),
        Activation::Square => (ActivationKind::Square, settings),
        Activation::Sqrt => (ActivationKind::Sqrt, settings),
        Activation::Reciprocal => (ActivationKind::Reciprocal, settings),
        Activation::Abs => (ActivationKind::Abs, settings),
        Activation::Exp => (ActivationKind::Exp, settings),
        Activation::Log => (ActivationKind::Log, settings),
        Activation::Power { .. } => (ActivationKind::Power, settings),
    }
}
