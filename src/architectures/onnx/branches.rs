//! Operators that bring several layers together.

use crate::network::{Activation, MAX_SIDE, NodeId, Op};

use super::attributes::axis;
use super::layers::Call;
use super::shapes::Axis;
use super::{GraphError, Import, Value, View};

impl Import<'_> {
    /// The sum, difference or product of layers of one shape, or of maps and vectors that are spread over them.
    pub(super) fn combined(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut layers = vec![];
        for input in &call.inputs {
            match input {
                Some(Value::Layer(layer)) => layers.push(layer.clone()),
                _ => return Err(call.unsupported("of layers and constants")),
            }
        }
        if call.node.op_type == "Sub"
            && let Some(second) = layers.get_mut(1)
        {
            *second = self.negative(call, second)?;
        }
        let op = match call.node.op_type.as_str() {
            "Mul" | "Div" => Op::Mul,
            _ => Op::Add,
        };
        let mut layers = layers.into_iter();
        let mut all = layers.next().ok_or_else(|| call.unusable("input"))?;
        for layer in layers {
            all = self.pair(call, op.clone(), &all, &layer)?;
        }
        if call.node.op_type == "Mean" {
            let channels = self.shape_of(&all).c;
            let share = 1.0 / call.inputs.len() as f32;
            return self.affine(call, &all, &vec![share; channels], &vec![0.0; channels]);
        }
        Ok(all)
    }

    /// At each place the larger of two layers.
    pub(super) fn larger_of_two(
        &mut self,
        call: &Call<'_>,
        a: &View,
        b: &View,
    ) -> Result<View, GraphError> {
        self.pair(call, Op::Max, a, b)
    }

    /// At each place the smaller of two layers: the larger of both with their signs turned.
    pub(super) fn smaller_of_two(
        &mut self,
        call: &Call<'_>,
        a: &View,
        b: &View,
    ) -> Result<View, GraphError> {
        let (a, b) = (self.negative(call, a)?, self.negative(call, b)?);
        let larger = self.larger_of_two(call, &a, &b)?;
        self.negative(call, &larger)
    }

    fn negative(&mut self, call: &Call<'_>, layer: &View) -> Result<View, GraphError> {
        let channels = self.shape_of(layer).c;
        self.affine(call, layer, &vec![-1.0; channels], &vec![0.0; channels])
    }

    fn pair(&mut self, call: &Call<'_>, op: Op, a: &View, b: &View) -> Result<View, GraphError> {
        let (a, b) = &(self.upright(call, a)?, self.upright(call, b)?);
        let (lengths, others) = (self.dimensions(a), self.dimensions(b));
        // Dimensions stand over one another from the last on.
        let aligned = a.axes.iter().zip(&lengths).rev();
        let mut aligned = aligned.zip(b.axes.iter().zip(&others).rev());
        let fits = aligned.all(|((x, &n), (y, &m))| x == y && n == m || n == 1 || m == 1);
        let lead = |axes: &[Axis], lengths: &[usize], other: usize| {
            let more = axes.len().saturating_sub(other);
            let of_batch = |axis: &Axis| matches!(axis, Axis::N | Axis::One);
            axes[..more].iter().all(of_batch) || lengths[..more].iter().all(|&n| n == 1)
        };
        if !fits || !lead(&a.axes, &lengths, b.axes.len()) || !lead(&b.axes, &others, a.axes.len())
        {
            return Err(call.unsupported("of two layers of different shapes"));
        }
        if a.node == b.node {
            return Err(call.unsupported("of a layer and itself"));
        }
        let (mut a, mut b) = (a.clone(), b.clone());
        match [&a, &b].map(|layer| self.shape_of(layer).c) {
            [1, channels] if channels > 1 => {
                a = self.spread_over_channels(call, &a, channels)?;
            }
            [channels, 1] if channels > 1 => {
                b = self.spread_over_channels(call, &b, channels)?;
            }
            _ => {}
        }
        let [one, other] = [&a, &b].map(|layer| self.shape_of(layer));
        let size = [one.h.max(other.h), one.w.max(other.w)];
        for (layer, shape) in [(&mut a, one), (&mut b, other)] {
            // A single position is spread by what reads it, sums and products.
            let is_spread = shape.h * shape.w == 1 && !matches!(op, Op::Max);
            if [shape.h, shape.w] != size && !is_spread {
                *layer = self.spread_over_positions(call, layer, size)?;
            }
        }
        let node = self.push_of(call.node, None, op, vec![a.node, b.node])?;
        let shape = self.network.node(node).shape;
        let larger = match self.shape_of(&a) == shape && a.axes.len() >= b.axes.len() {
            true => a,
            false => b,
        };
        Ok(View::new(node, larger.axes))
    }

    /// The channels of layers, one after the other.
    pub(super) fn concatenated(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let mut upright = call.clone();
        for input in &mut upright.inputs {
            if let Some(Value::Layer(layer)) = input {
                *layer = self.upright(call, layer)?;
            }
        }
        let call = &upright;
        let first = call.layer()?.clone();
        let along = axis(call.node.int("axis").unwrap_or(1), first.axes.len());
        let along = along.ok_or_else(|| call.unusable("axis"))?;
        if matches!(first.axes[along], Axis::H | Axis::W) {
            return self.side_by_side(call, along);
        }
        let mut nodes: Vec<NodeId> = vec![];
        let mut single = true;
        for input in &call.inputs {
            match input {
                Some(Value::Layer(layer)) if layer.axes == first.axes => {
                    single &= self.shape_of(layer).c == 1;
                    nodes.push(layer.node);
                }
                _ => return Err(call.unsupported("of layers and something else")),
            }
        }
        let mut axes = first.axes.clone();
        match axes[along] {
            Axis::C => {}
            // Channels that were taken one by one: their own dimension went, and another of length 1 came.
            Axis::One if single && !axes.contains(&Axis::C) => axes[along] = Axis::C,
            Axis::One if nodes.len() > 1 => return self.stacked(call, &first, along, nodes),
            _ => return Err(call.unsupported("along other than channels")),
        }
        if let [_] = nodes[..] {
            return Ok(first);
        }
        let node = self.push_of(call.node, None, Op::Concat, nodes)?;
        Ok(View::new(node, axes))
    }

    /// Maps below one another or side by side: each with zeros where the others are, added up.
    fn side_by_side(&mut self, call: &Call<'_>, along: usize) -> Result<View, GraphError> {
        let unsupported = || call.unsupported("of maps of different shapes");
        let first = call.layer()?.clone();
        let axis = usize::from(first.axes[along] == Axis::W);
        let mut parts = vec![];
        for input in &call.inputs {
            match input {
                Some(Value::Layer(layer)) if layer.axes == first.axes => parts.push(layer.clone()),
                _ => return Err(call.unsupported("of layers and something else")),
            }
        }
        let length = |import: &Self, layer: &View| import.dimensions(layer)[along];
        let whole = parts.iter().map(|part| length(self, part)).sum::<usize>();
        if whole > MAX_SIDE {
            return Err(unsupported());
        }
        let mut before = 0;
        let mut sum: Option<View> = None;
        for part in parts {
            let own = length(self, &part);
            let mut sides = [[0; 2]; 2];
            sides[axis] = [before as i32, (whole - before - own) as i32];
            before += own;
            let part = self.pad_by(call.node, part, sides, 0.0)?;
            sum = Some(match sum {
                None => part,
                Some(sum) if self.shape_of(&sum) == self.shape_of(&part) => {
                    let inputs = vec![sum.node, part.node];
                    let node = self.push_of(call.node, None, Op::Add, inputs)?;
                    View { node, ..sum }
                }
                Some(_) => return Err(unsupported()),
            });
        }
        sum.ok_or_else(|| call.unusable("input"))
    }

    /// A `Celu`, which is an ELU between two factors.
    pub(super) fn celu(&mut self, call: &Call<'_>) -> Result<View, GraphError> {
        let alpha = call.node.float("alpha").unwrap_or(1.0);
        let layer = call.layer()?.clone();
        if alpha == 1.0 {
            return self.plain(call, Op::Activate(Activation::Elu { alpha }));
        }
        if !(alpha.is_finite() && alpha > 0.0) {
            return Err(call.unusable("alpha"));
        }
        let channels = self.shape_of(&layer).c;
        let none = vec![0.0; channels];
        let inner = self.affine(call, &layer, &vec![1.0 / alpha; channels], &none)?;
        let op = Op::Activate(Activation::Elu { alpha: 1.0 });
        let node = self.push(call.node, None, op, inner.node)?;
        let activated = View { node, ..inner };
        self.affine(call, &activated, &vec![alpha; channels], &none)
    }
}
