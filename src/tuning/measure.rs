//! Measuring: each distinct convolution of a network in a plan of its own, by each of its kernels in turn.

use std::time::{Duration, Instant};

use crate::gpu::{Gpu, GpuError, Phase, Session};
use crate::layout::Direction;
use crate::named::named;
use crate::network::{Network, NodeId, Op, ReluRule};
use crate::plan::{
    BackwardRequest, Choice, Costs, ForwardRequest, LayerShape, Limits, Means, Measured, Plan,
    Request, Times, Variant, choices,
};
use crate::weights::Tensor;

named! {
    /// What times are read from.
    pub enum TimedBy {
        /// Timestamps that the device writes
        Timestamps = "timestamps",
        /// The host's clock
        Clock = "clock",
    }
}

/// The layers of one shape in a network.
#[derive(Clone, Debug)]
pub struct LayersOfShape {
    /// Their names, in the network's order.
    pub names: Vec<String>,
    /// Their shape.
    pub shape: LayerShape,
    /// One of them by itself, with other weights.
    network: Network,
    /// Of all of them.
    multiply_adds: u64,
}

/// The shapes of a network's convolutions, those with most work first.
pub fn layers(network: &Network) -> Vec<LayersOfShape> {
    let mut layers: Vec<LayersOfShape> = vec![];
    for id in (0..network.nodes.len()).map(NodeId) {
        let Some(shape) = LayerShape::of(network, id) else {
            continue;
        };
        let name = network.layer_name(id).to_owned();
        let alone = alone(network, id);
        let multiply_adds = multiply_adds(&alone);
        match layers.iter_mut().find(|layer| layer.shape == shape) {
            Some(layer) => {
                layer.names.push(name);
                layer.multiply_adds += multiply_adds;
            }
            None => layers.push(LayersOfShape {
                names: vec![name],
                shape,
                network: alone,
                multiply_adds,
            }),
        }
    }
    layers.sort_by_key(|layer| std::cmp::Reverse(layer.multiply_adds));
    layers
}

/// A convolution with a ReLU after it.
fn alone(network: &Network, id: NodeId) -> Network {
    let node = network.node(id);
    let mut op = node.op.clone();
    if let Op::Conv2d { weight, bias, .. } = &mut op {
        // None too small, so that no sum is slow on a processor for being next to nothing.
        *weight = Tensor::repeated(weight.shape().to_vec(), 0.01);
        *bias = Some(Tensor::repeated(vec![node.shape.c], 0.5));
    }
    let mut alone = Network::new("a layer", network.node(node.inputs[0]).shape);
    let chained = alone.chain("layer", op);
    chained.expect("it was a layer of another network");
    alone
        .chain("relu", Op::RELU)
        .expect("a ReLU takes any value");
    alone
}

fn multiply_adds(alone: &Network) -> u64 {
    let Op::Conv2d { weight, .. } = &alone.nodes[1].op else {
        return 0;
    };
    let out = alone.nodes[1].shape;
    (out.h as u64 * out.w as u64).saturating_mul(weight.len() as u64)
}

/// How long measuring may go on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    end: Instant,
}

impl Clock {
    /// From now on so long.
    pub fn new(long: Duration) -> Self {
        Self {
            end: Instant::now() + long,
        }
    }

    /// Whether time is over.
    pub fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// A part of what is left.
    #[must_use]
    pub fn part(&self, of: u32) -> Self {
        let now = Instant::now();
        Self {
            end: now + self.end.saturating_duration_since(now) / of.max(1),
        }
    }
}

/// Rounds of the variants in turn; the least time of each counts, since others may use the machine meanwhile.
const ROUNDS: usize = 5;
/// A variant so many times as slow as the fastest has no more rounds. More after the first times, since something else may have
/// come between.
const SLOW: f64 = 1.5;
const SLOW_AT_FIRST: f64 = 5.0;
/// Runs of a variant in a round take about so long, or it is one.
const ROUND: Duration = Duration::from_millis(5);
const WAYS: [Direction; 2] = [Direction::Forward, Direction::Backward];
/// Runs that what is made once counts for in a plan that is measured: enough for all that is possible.
const RUNS: usize = 1000;

/// [`measure_within`] the device's own limits.
pub fn measure(
    gpu: &Gpu,
    layer: &LayersOfShape,
    left: usize,
    clock: Clock,
) -> Result<Option<Measured>, GpuError> {
    measure_within(gpu, gpu.limits(), layer, left, clock)
}

/// Measures a layer of one image, there and back, by all that computes it within `limits`; `left` layers share what is left of the
/// time. `None` where there is no choice, time for none, or no plan.
pub fn measure_within(
    gpu: &Gpu,
    limits: Limits<'_>,
    layer: &LayersOfShape,
    left: usize,
    clock: Clock,
) -> Result<Option<Measured>, GpuError> {
    let request = there_and_back();
    let choices = choices(&layer.network, &request, limits);
    let variants = in_order(&choices);
    if variants.len() < 2 || clock.is_over() {
        return Ok(None);
    }
    // The layers with most work come first, and may take more than their share.
    let clock = clock.part(left.div_ceil(3) as u32);
    let mut runners: Vec<Runner> = vec![];
    for &variant in &variants {
        let costs = Costs::forcing(layer.shape, variant);
        let limits = Limits {
            costs: &costs,
            ..limits
        };
        // What does not fit computes nothing here.
        let Ok(plan) = Plan::new(&layer.network, &request, limits) else {
            continue;
        };
        let is_for = |way| {
            let mut of_way = choices.iter().filter(|choice| choice.way == way);
            of_way.any(|choice| choice.variants.contains(&variant))
        };
        runners.push(Runner::new(gpu, plan, variant, layer, is_for)?);
        if clock.is_over() {
            break;
        }
    }
    for round in 0..ROUNDS {
        let slow = if round == 0 { SLOW_AT_FIRST } else { SLOW };
        for way in WAYS {
            let fastest = runners.iter().filter_map(|runner| runner.least(way)).min();
            let Some(fastest) = fastest else { continue };
            for runner in &mut runners {
                let is_near = |least: Duration| least <= fastest.mul_f64(slow);
                if runner.least(way).is_some_and(is_near) && !clock.is_over() {
                    runner.run(way)?;
                }
            }
        }
    }
    let variants = runners
        .iter()
        .map(|runner| (runner.variant, runner.times()));
    Ok(Some(Measured {
        layer: layer.shape,
        images: 1,
        variants: variants.collect(),
    }))
}

/// One picture, and a gradient at its pixels, so often that what is made once counts for little.
pub fn there_and_back() -> Request {
    let back = BackwardRequest {
        to: NodeId(0),
        keep: vec![],
        classes: 1,
        rule: ReluRule::Plain,
        means: Means::Never,
    };
    Request {
        runs: RUNS,
        ..Request::of(ForwardRequest {
            backs: vec![back],
            ..ForwardRequest::default()
        })
    }
}

/// All variants of the choices, each once, the model's first: without that no other would be taken.
fn in_order(choices: &[Choice]) -> Vec<Variant> {
    let models = choices.iter().map(|choice| choice.model);
    let all = choices.iter().flat_map(|choice| choice.variants.clone());
    let mut variants = vec![];
    for variant in models.chain(all) {
        if !variants.contains(&variant) {
            variants.push(variant);
        }
    }
    variants
}

/// What a layer's own plan has that way.
fn phase(way: Direction) -> Phase {
    match way {
        Direction::Forward => Phase::Forward(0),
        Direction::Backward => Phase::Backward([0, 0]),
    }
}

/// A layer that goes by one variant.
struct Runner {
    variant: Variant,
    session: Session,
    /// The least times there and back; none where the variant is not for that way.
    least: [Option<Duration>; 2],
    once: Duration,
}

impl Runner {
    /// With a first time of each way, once all is compiled.
    fn new(
        gpu: &Gpu,
        plan: Plan,
        variant: Variant,
        layer: &LayersOfShape,
        is_for: impl Fn(Direction) -> bool,
    ) -> Result<Self, GpuError> {
        let session = Session::new(gpu, plan)?;
        let start_up = session.start_up();
        let (input, output) = (layer.network.input_shape(), layer.network.nodes[2].shape);
        session.forward(0, &vec![0.5; input.len()], input)?;
        session.backward([0, 0], &vec![0.5; output.len()], output)?;
        session.wait()?;
        let mut runner = Self {
            variant,
            session,
            least: [None; 2],
            once: start_up.packing + start_up.preparation,
        };
        for way in WAYS {
            if is_for(way) {
                let first = runner.session.time_in_turn(phase(way), 1)?;
                runner.least[way as usize] = Some(first);
            }
        }
        Ok(runner)
    }

    fn least(&self, way: Direction) -> Option<Duration> {
        self.least[way as usize]
    }

    fn run(&mut self, way: Direction) -> Result<(), GpuError> {
        let Some(least) = &mut self.least[way as usize] else {
            return Ok(());
        };
        let runs = ROUND.as_nanos() / least.as_nanos().max(1);
        let runs = u32::try_from(runs).unwrap_or(u32::MAX).max(1);
        *least = self.session.time_in_turn(phase(way), runs)?.min(*least);
        Ok(())
    }

    fn times(&self) -> Times {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let [forward, backward] = self.least.map(|least| least.map(nanoseconds));
        Times {
            forward,
            backward,
            once: nanoseconds(self.once),
        }
    }
}
