//! What layers do as they store: the bias and the activation after it on the way there, the mask of a ReLU or a clip on the way back.

use crate::kernels::{ActivationKind, Epilogue};
use crate::network::{Activation, NodeId, Op, ReluRule, Shape};
use crate::plan::builder::Builder;
use crate::plan::schedule::{self, Step};
use crate::plan::{BackwardRequest, BufferId};
use crate::weights::Tensor;

/// What a kernel does as it stores, and the buffers that it needs for that.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) epilogue: Epilogue,
    pub(super) extra: BufferId,
    /// Of [`Epilogue::BiasClip`], or between which a mask passes, or the two numbers of a hard sigmoid.
    pub(super) bounds: [f32; 2],
    /// What is applied after the bias where no epilogue says it.
    pub(super) activation: Option<ActivationKind>,
    /// What is added before that.
    pub(super) added: Option<BufferId>,
}

impl End {
    /// Whether it is a mask by an activation's value.
    pub(super) fn is_mask(&self) -> bool {
        matches!(self.epilogue, Epilogue::Mask | Epilogue::MaskGuided)
    }
}

/// The max-pool that a layer's kernel takes with it.
#[derive(Clone, Copy)]
pub(super) struct Pooled {
    /// Where the maxima were.
    pub(super) argmax: BufferId,
    /// Whether the repeated taps of its windows are there.
    pub(super) known: bool,
    /// Of the pool's output.
    pub(super) shape: Shape,
}

impl Builder<'_> {
    /// The output of a layer's step, and how it ends.
    pub(super) fn layer_output(&mut self, step: &Step, bias: Option<&Tensor>) -> (BufferId, End) {
        let network = self.network;
        // The layer's own name, but for a pool's value.
        let y = self.value_buffer(step.made(), step.pool.unwrap_or(step.node));
        let mut end = self.plain_end();
        end.added = step.sum.map(|sum| self.value(sum.other));
        let Some(bias) = bias else {
            return (y, end);
        };
        end.extra = self.vector(step.node, "biases", bias);
        end.epilogue = Epilogue::Bias;
        let activation = step.activation.map(|id| &network.node(id).op);
        match activation {
            None => {}
            Some(Op::Activate(Activation::Relu)) => end.epilogue = Epilogue::BiasRelu,
            Some(Op::Activate(Activation::Clip { low, high })) => {
                end.epilogue = Epilogue::BiasClip;
                end.bounds = finite([*low, *high]);
            }
            Some(Op::Activate(Activation::Silu)) => end.activation = Some(ActivationKind::Silu),
            Some(Op::Activate(Activation::HardSwish)) => {
                end.activation = Some(ActivationKind::HardSwish);
            }
            Some(Op::Activate(Activation::Sigmoid)) => {
                end.activation = Some(ActivationKind::Sigmoid);
            }
            Some(Op::Activate(Activation::HardSigmoid { alpha, beta })) => {
                end.activation = Some(ActivationKind::HardSigmoid);
                end.bounds = [*alpha, *beta];
            }
            Some(_) => unreachable!("no kernel takes another activation with it"),
        }
        (y, end)
    }

    /// The max-pool that a convolution's kernel takes with it.
    pub(super) fn pooled(&mut self, pool: NodeId) -> Pooled {
        Pooled {
            argmax: self.argmax(pool),
            known: self.pass.repeats.contains_key(&pool),
            shape: self.network.node(pool).shape,
        }
    }

    /// The buffer for the gradient at `input`, or at what is before the ReLU or clip that this is where the kernel that makes the
    /// gradient takes its mask with it. The mask is read of the value of `activation`; `added` is what came back from all other readers,
    /// where the kernel adds it.
    pub(super) fn masked_gradient(
        &mut self,
        input: NodeId,
        activation: NodeId,
        added: Option<BufferId>,
        request: &BackwardRequest,
    ) -> (NodeId, BufferId, End) {
        let node = self.network.node(input);
        let whole = added.is_some();
        let mut end = self.plain_end();
        end.added = added;
        let mut reached = input;
        if let Some((rule, bounds)) = schedule::mask_taken(self.network, input, request, whole) {
            end.epilogue = mask(rule);
            end.bounds = finite(bounds);
            end.extra = self.value(activation);
            reached = node.inputs[0];
        }
        let name = format!("d_{}", self.network.node(reached).name);
        let dx = self
            .buffers
            .tensor(&name, self.gradients(request), node.shape);
        (reached, dx, end)
    }

    /// Stored as it is.
    pub(super) fn plain_end(&self) -> End {
        End {
            epilogue: Epilogue::None,
            extra: self.nothing,
            bounds: [f32::MIN, f32::MAX],
            activation: None,
            added: None,
        }
    }
}

/// Bounds as shaders take them: WGSL may take what is infinite for what never comes.
pub(super) fn finite([low, high]: [f32; 2]) -> [f32; 2] {
    [low.max(f32::MIN), high.min(f32::MAX)]
}

pub(super) fn mask(rule: ReluRule) -> Epilogue {
    match rule {
        ReluRule::Plain => Epilogue::Mask,
        ReluRule::Guided => Epilogue::MaskGuided,
        ReluRule::Deconv => Epilogue::MaskDeconv,
    }
}
