//! Where branches meet: sums, products and concatenations. A gradient that reaches a node a second time is added to the first by
//! the kernel of sums.

use crate::kernels::{
    CombineKind, CombineParams, CopyChannelsParams, Epilogue, Kernel, ProductSumParams,
};
use crate::layout::{blocks, padded_bytes, padded_len};
use crate::network::{Node, NodeId, Shape};
use crate::plan::BufferId;
use crate::plan::builder::Builder;
use crate::plan::schedule::Step;

/// A value that a kernel reads: one for all images of the pass, one for each, or one for so many of what the pass carries.
#[derive(Clone, Copy)]
pub(super) struct Operand {
    pub(super) buffer: BufferId,
    pub(super) shape: Shape,
    pub(super) sharing: usize,
}

impl Operand {
    /// A value for each of what the pass carries.
    pub(super) fn each(buffer: BufferId, shape: Shape) -> Self {
        Self {
            buffer,
            shape,
            sharing: 1,
        }
    }
}

/// Some channels of `x` that become channels of `y`.
struct Copied<'a> {
    label: &'a str,
    n: usize,
    x: Operand,
    y: BufferId,
    y_shape: Shape,
    from: usize,
    to: usize,
    channels: usize,
    /// Whether channels before `to` are there already.
    keep: bool,
}

impl Builder<'_> {
    /// What becomes of two values, with the ReLU after it where there is one.
    pub(super) fn combined(&mut self, step: &Step, kind: CombineKind) {
        let node = self.network.node(step.node);
        let y = self.value_buffer(step.made(), step.node);
        let epilogue = step
            .activation
            .map_or(Epilogue::None, |_| Epilogue::BiasRelu);
        let operands = [node.inputs[0], node.inputs[1]].map(|input| self.operand(input));
        self.combine(&node.name, kind, self.pass.images, operands, y, epilogue);
    }

    /// The gradient at input `at` of a sum: the sum's own, or that summed over positions.
    pub(super) fn sum_backward(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        n: usize,
    ) -> BufferId {
        let network = self.network;
        let node = network.node(id);
        let shape = network.node(node.inputs[at]).shape;
        match shape == node.shape {
            true => dy,
            false => self.product_sum(id, at, dy, n, None),
        }
    }

    /// The gradient at input `at` of a product: the product's own times the other input.
    pub(super) fn product_backward(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        n: usize,
    ) -> BufferId {
        let network = self.network;
        let node = network.node(id);
        let (input, other) = (node.inputs[at], node.inputs[1 - at]);
        let shape = network.node(input).shape;
        let other = self.backward_operand(other);
        if shape != node.shape {
            return self.product_sum(id, at, dy, n, Some(other));
        }
        let dx = self
            .buffers
            .tensor(&format!("d_{}", network.node(input).name), n, shape);
        let dy = Operand::each(dy, node.shape);
        let label = format!("{} backward", node.name);
        self.combine(&label, CombineKind::Mul, n, [dy, other], dx, Epilogue::None);
        dx
    }

    /// The gradient at input `at` of the larger of two: the larger one's own where that is this input, of equal ones the first.
    pub(super) fn larger_backward(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        n: usize,
    ) -> BufferId {
        let node = self.network.node(id);
        let (name, shape) = (&self.network.node(node.inputs[at]).name, node.shape);
        let operands =
            [node.inputs[at], node.inputs[1 - at]].map(|input| self.backward_operand(input));
        let kind = [CombineKind::AtLeast, CombineKind::Above][at];
        let label = format!("{} backward", node.name);
        let is_taken = self.buffers.tensor(&format!("{label} {at}"), n, shape);
        self.combine(&label, kind, n, operands, is_taken, Epilogue::None);
        let dx = self.buffers.tensor(&format!("d_{name}"), n, shape);
        let operands = [dy, is_taken].map(|buffer| Operand::each(buffer, shape));
        self.combine(&label, CombineKind::Mul, n, operands, dx, Epilogue::None);
        dx
    }

    /// A value of the forward pass beside gradients, as many of which go back through each image as the pass says.
    pub(super) fn backward_operand(&self, id: NodeId) -> Operand {
        Operand {
            sharing: self.pass.sharing,
            ..self.operand(id)
        }
    }

    /// Two gradients of one node as one.
    pub(in crate::plan) fn sum_of_gradients(
        &mut self,
        id: NodeId,
        gradients: [BufferId; 2],
        n: usize,
    ) -> BufferId {
        let node = self.network.node(id);
        let name = format!("d_{}", node.name);
        let sum = self.buffers.tensor(&name, n, node.shape);
        let operands = gradients.map(|gradient| Operand::each(gradient, node.shape));
        self.combine(&name, CombineKind::Add, n, operands, sum, Epilogue::None);
        sum
    }

    /// The value of a node as an operand of this pass.
    pub(super) fn operand(&self, id: NodeId) -> Operand {
        let (buffer, sharing) = self.value_for(id);
        Operand {
            buffer,
            shape: self.network.node(id).shape,
            sharing,
        }
    }

    fn combine(
        &mut self,
        label: &str,
        kind: CombineKind,
        n: usize,
        [one, other]: [Operand; 2],
        y: BufferId,
        epilogue: Epilogue,
    ) {
        let positions = |shape: Shape| shape.h * shape.w;
        // Sums and products, which alone spread positions, are the same the other way round.
        let [one, other] = match positions(one.shape) < positions(other.shape) {
            true => [other, one],
            false => [one, other],
        };
        let params = CombineParams {
            image: (padded_len(1, one.shape) / 4) as u32,
            positions: positions(one.shape) as u32,
            kind: kind as u32,
            one_sharing: one.sharing as u32,
            other_sharing: other.sharing as u32,
            spread: u32::from(other.shape != one.shape),
            epilogue: epilogue as u32,
        };
        let buffers = vec![one.buffer, other.buffer, y];
        let is_each = [one, other].iter().all(|it| it.sharing == 1) && params.spread == 0;
        let kernel = match is_each {
            true => Kernel::CombineEach,
            false => Kernel::Combine,
        };
        self.each_image(kernel, label, [n, params.image as usize], &params, buffers);
    }

    /// The gradient at an input of one position: the sum over positions of `dy`, times `other` where it is given.
    fn product_sum(
        &mut self,
        id: NodeId,
        at: usize,
        dy: BufferId,
        n: usize,
        other: Option<Operand>,
    ) -> BufferId {
        let network = self.network;
        let node = network.node(id);
        let input = network.node(node.inputs[at]);
        let dx = self
            .buffers
            .tensor(&format!("d_{}", input.name), n, input.shape);
        let params = ProductSumParams {
            count: (n * blocks(node.shape.c)) as u32,
            blocks: blocks(node.shape.c) as u32,
            positions: (node.shape.h * node.shape.w) as u32,
            multiplied: u32::from(other.is_some()),
            sharing: other.map_or(1, |other| other.sharing) as u32,
        };
        let other = other.map_or(self.nothing, |other| other.buffer);
        let label = format!("{} backward", node.name);
        let buffers = vec![dy, other, dx];
        self.each(Kernel::ProductSum, &label, params.count, &params, buffers);
        dx
    }

    /// The channels of all inputs, one input after the other: of those that are not there already.
    pub(super) fn concatenated(&mut self, id: NodeId) {
        let network = self.network;
        let node = network.node(id);
        let whole = self.pass.concats.whole.get(&id).copied().unwrap_or(id);
        let y = self.whole_buffer(whole);
        let bytes = padded_bytes(self.pass.images, node.shape);
        let value = match whole == id {
            true => y,
            false => self.buffers.part(&node.name, y, 0, bytes),
        };
        self.pass.values.insert(id, value);
        let operands = self.pass.concats.operands.get(&id);
        let operands = operands.unwrap_or(&node.inputs).clone();
        let mut to = 0;
        for (at, input) in operands.iter().enumerate() {
            let x = self.operand(*input);
            let concats = &mut self.pass.concats;
            let home = concats.homes.get(input);
            let is_home = home.is_some_and(|home| home.0 == whole);
            if !is_home && concats.copied.insert((whole, at)) {
                self.copy_channels(&Copied {
                    label: &node.name,
                    n: self.pass.images,
                    x,
                    y,
                    y_shape: network.node(whole).shape,
                    from: 0,
                    to,
                    channels: x.shape.c,
                    keep: true,
                });
            }
            to += x.shape.c;
        }
    }

    /// Of a gradient of concatenation `concat` the channels of node `id`, after `before` others.
    pub(in crate::plan) fn channels_of_gradient(
        &mut self,
        id: NodeId,
        concat: &Node,
        gradient: BufferId,
        before: usize,
        n: usize,
    ) -> BufferId {
        let node = self.network.node(id);
        let dx = self
            .buffers
            .tensor(&format!("d_{}", node.name), n, node.shape);
        self.copy_channels(&Copied {
            label: &format!("{} backward", concat.name),
            n,
            x: Operand::each(gradient, concat.shape),
            y: dx,
            y_shape: node.shape,
            from: before,
            to: 0,
            channels: node.shape.c,
            keep: false,
        });
        dx
    }

    fn copy_channels(&mut self, it: &Copied<'_>) {
        let positions = it.y_shape.h * it.y_shape.w;
        let first = it.to / 4;
        let made = blocks(it.to + it.channels) - first;
        let params = CopyChannelsParams {
            image: (made * positions) as u32,
            in_blocks: blocks(it.x.shape.c) as u32,
            blocks: blocks(it.y_shape.c) as u32,
            first_block: first as u32,
            positions: positions as u32,
            from_channel: it.from as u32,
            to: it.to as u32,
            channels: it.channels as u32,
            keep: u32::from(it.keep),
            sharing: it.x.sharing as u32,
        };
        let buffers = vec![it.x.buffer, it.y];
        let images = [it.n, made * positions];
        self.each_image(Kernel::CopyChannels, it.label, images, &params, buffers);
    }
}
