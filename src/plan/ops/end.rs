//! What layers do as they store: the bias and the ReLU after it on the way there, the mask of a ReLU on the way back.

use crate::kernels::Epilogue;
use crate::layout::blocks;
use crate::network::{Activation, NodeId, Op, ReluRule, Shape};
use crate::plan::builder::Builder;
use crate::plan::{BackwardRequest, BufferId, Packing};
use crate::weights::Tensor;

/// What a kernel does as it stores, and the buffer that it needs for that.
#[derive(Clone, Copy)]
pub(super) struct End {
    pub(super) epilogue: Epilogue,
    pub(super) extra: BufferId,
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
    /// The output of a layer that ends with a bias, and with the ReLU after it where there is one; whose value it is.
    pub(super) fn layer_output(
        &mut self,
        id: NodeId,
        bias: Option<&Tensor>,
    ) -> (NodeId, BufferId, End) {
        let node = self.network.node(id);
        let y = self.tensor(&node.name, self.images, node.shape);
        // A ReLU after a layer without a bias takes a kernel of its own: rare, and one epilogue fewer.
        let relu = self.network.fused_relu(id).filter(|_| bias.is_some());
        let made = relu.unwrap_or(id);
        self.values[made.0] = Some(y);
        let Some(bias) = bias else {
            return (made, y, self.plain_end());
        };
        let extra = self.biases(&node.name, bias);
        let epilogue = match relu {
            Some(_) => Epilogue::BiasRelu,
            None => Epilogue::Bias,
        };
        (made, y, End { epilogue, extra })
    }

    /// The output of a layer that ends with a bias, a ReLU and the max-pool after it.
    pub(super) fn pooled_output(
        &mut self,
        id: NodeId,
        pool: NodeId,
        bias: &Tensor,
    ) -> (BufferId, End, Pooled) {
        let node = self.network.node(pool);
        let y = self.tensor(&node.name, self.images, node.shape);
        self.values[pool.0] = Some(y);
        let end = End {
            epilogue: Epilogue::BiasRelu,
            extra: self.biases(&self.network.node(id).name, bias),
        };
        let pooled = Pooled {
            argmax: self.argmax(pool),
            known: self.repeats[pool.0].is_some(),
            shape: node.shape,
        };
        (y, end, pooled)
    }

    fn biases(&mut self, layer: &str, bias: &Tensor) -> BufferId {
        let values = blocks(bias.len()) * 4;
        self.weights(format!("{layer} biases"), values, bias, Packing::Vector)
    }

    /// The buffer for the gradient at `input`. When that is a ReLU on the way to the target whose own gradient nobody
    /// asked for, the kernel that makes the gradient applies its mask, and what it makes is the gradient at the ReLU's
    /// own input. The mask is read of the value of `activation`.
    pub(super) fn masked_gradient(
        &mut self,
        input: NodeId,
        activation: NodeId,
        request: &BackwardRequest,
    ) -> (NodeId, BufferId, End) {
        let node = self.network.node(input);
        let alone = self.network.consumers(input).nth(1).is_none();
        let wanted = input == request.to || request.keep.contains(&input);
        let masked = matches!(node.op, Op::Activate(Activation::Relu)) && !wanted && alone;
        let (reached, end) = if masked {
            let end = End {
                epilogue: mask(request.rule),
                extra: self.value(activation),
            };
            (node.inputs[0], end)
        } else {
            (input, self.plain_end())
        };
        let name = format!("d_{}", self.network.node(reached).name);
        let dx = self.tensor(&name, self.gradients(request), node.shape);
        (reached, dx, end)
    }

    /// Stored as it is.
    pub(super) fn plain_end(&self) -> End {
        End {
            epilogue: Epilogue::None,
            extra: self.nothing,
        }
    }
}

pub(super) fn mask(rule: ReluRule) -> Epilogue {
    match rule {
        ReluRule::Plain => Epilogue::Mask,
        ReluRule::Guided => Epilogue::MaskGuided,
        ReluRule::Deconv => Epilogue::MaskDeconv,
    }
}
