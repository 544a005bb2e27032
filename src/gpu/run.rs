//! Runs a plan: makes its pipelines and buffers, and encodes its passes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::memory::{Memory, allocate};
use super::pipelines::{self, compile};
use super::record::{Call, Work, prepare, record};
use super::scaling::Scaling;
use super::texels::{PITCH, copy_rows, row_bytes};
use super::timestamps::{DispatchTime, Timestamps};
use super::{Gpu, GpuError, upload};
use crate::kernels::IMAGE_ROW;
use crate::layout::{from_blocks, padded_bytes, rounded_to_blocks, to_blocks};
use crate::network::{NodeId, Shape};
use crate::plan::{Buffer, BufferId, Contents, Dispatch, Plan, SUBMISSION, TileLists};

/// Bytes that [`Session::poison`] copies at a time: a row of an image, so that they and their way to the device take less memory than a
/// plan does by itself.
const POISON: usize = IMAGE_ROW * 16;
/// NaN, and so is each half of it in float16.
const POISONED: u32 = 0x7fff_7fff;

/// A plan on a device, with its weights uploaded; runs as often as there are pictures.
pub struct Session {
    gpu: Gpu,
    plan: Plan,
    /// The memory of each of the plan's buffers; those that share a slot share it.
    memory: Vec<Memory>,
    passes: Vec<PassCalls>,
    start_up: StartUp,
    scaling: Mutex<Scaling>,
}

/// Where the time of [`Session::new`] went. Compilation runs beside packing and upload; preparation waits for all three.
#[derive(Clone, Copy, Debug, Default)]
pub struct StartUp {
    /// Compiling the kernels.
    pub pipelines: Duration,
    /// Reading weights from their file, and packing them.
    pub packing: Duration,
    /// Allocating memory and handing the weights over.
    pub upload: Duration,
    /// What the device makes of weights once, see [`Plan::prepare`].
    pub preparation: Duration,
}

/// Work that is run as a whole: a forward pass by its number, or a backward pass by its forward pass's number and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// See [`Session::forward`].
    Forward(usize),
    /// See [`Session::backward`].
    Backward([usize; 2]),
}

/// Most runs that [`Session::time_in_turn`] makes of a phase.
const MOST_RUNS: u32 = 256;

/// A pass of the plan, ready to encode.
struct PassCalls {
    /// Empty where it has no base.
    base: Work,
    forward: Work,
    backs: Vec<Work>,
}

impl Session {
    /// Compiles the plan's kernels, allocates its buffers, uploads its weights and has the device prepare them.
    pub fn new(gpu: &Gpu, plan: Plan) -> Result<Self, GpuError> {
        pipelines::check_bindings(gpu, &plan)?;
        // Compilation is the driver's work and upload is ours: they go side by side.
        let mut start_up = StartUp::default();
        let StartUp {
            pipelines: compiling_took,
            packing,
            upload,
            preparation,
        } = &mut start_up;
        // Before any kernel is compiled, which takes memory and threads of the process: where there is too little for the plan, that is
        // the error.
        let started = Instant::now();
        let mut memory = allocate(gpu, &plan)?;
        let allocating_took = started.elapsed();
        let (compiled, uploaded) = std::thread::scope(|scope| {
            let compiling = scope.spawn(|| {
                let started = Instant::now();
                let compiled = compile(gpu, &plan);
                *compiling_took = started.elapsed();
                compiled
            });
            let started = Instant::now();
            let uploaded = upload::weights(gpu, &plan, &memory).map(|packing_took| {
                *packing = packing_took;
                *upload = allocating_took + started.elapsed().saturating_sub(packing_took);
            });
            (
                compiling
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                uploaded,
            )
        });
        uploaded?;
        gpu.check(|| "compiling the kernels".into())?;
        pipelines::keep(gpu, &plan, &compiled);
        let started = Instant::now();
        prepare(gpu, &plan, &compiled, &mut memory)?;
        *preparation = started.elapsed();
        let record =
            |dispatches: &Vec<Dispatch>| record(gpu, &plan, dispatches, &compiled, &memory);
        let passes = plan.passes.iter().map(|pass| PassCalls {
            base: pass
                .base
                .as_ref()
                .map_or_else(Work::default, |base| record(&base.dispatches)),
            forward: record(&pass.dispatches),
            backs: pass.backs.iter().map(|b| record(&b.dispatches)).collect(),
        });
        let passes = passes.collect();
        gpu.check(|| "recording the plan".into())?;
        let scaling = Mutex::default();
        Ok(Self {
            scaling,
            gpu: gpu.clone(),
            plan,
            memory,
            passes,
            start_up,
        })
    }

    /// Where the time of making this went.
    pub fn start_up(&self) -> StartUp {
        self.start_up
    }

    /// Waits until the device has done all that was submitted.
    pub fn wait(&self) -> Result<(), GpuError> {
        self.gpu.wait(|| "running a plan".into())
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Fills everything that dispatches write with NaN. Tests show with it that nothing is read before it is written.
    pub fn poison(&self) -> Result<(), GpuError> {
        // Copied from time and again, so that it takes little memory.
        let values = vec![POISONED; POISON / 4];
        let from = self.gpu.buffer(&wgpu::BufferDescriptor {
            label: Some("poison"),
            size: POISON as u64,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        self.gpu.write(&from, bytemuck::cast_slice(&values));
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        for (buffer, memory) in self.plan.buffers.iter().zip(&self.memory) {
            match (&buffer.contents, memory) {
                (Contents::Scratch { .. }, Memory::Buffer(to)) => {
                    let bytes = buffer.bytes.next_multiple_of(4);
                    for at in (0..bytes).step_by(POISON) {
                        let len = (bytes - at).min(POISON as u64);
                        encoder.copy_buffer_to_buffer(&from, 0, to, at, len);
                    }
                }
                // The first row of an image stays zero, see `plan::CopyToImage`.
                (Contents::Image, Memory::Image(to)) => {
                    let rows = to.height() as usize;
                    let most = POISON / row_bytes(to).next_multiple_of(PITCH);
                    for row in (1..rows).step_by(most) {
                        copy_rows(&mut encoder, (&from, 0), (to, row), (rows - row).min(most));
                    }
                }
                _ => {}
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.wait(|| "poisoning".into())
    }

    /// Runs forward pass number `pass` on values of its node, C x H x W of `shape` each; of fewer than it was planned for, what comes
    /// of the others means nothing.
    pub fn forward(&self, pass: usize, values: &[f32], shape: Shape) -> Result<(), GpuError> {
        self.forward_beside_base(pass, values, shape, &[])
    }

    /// [`Session::forward`] of a pass that may have a base, which was run before: `lists` are those of the values, one a layer of
    /// [`crate::plan::Base::layers`].
    pub fn forward_beside_base(
        &self,
        pass: usize,
        values: &[f32],
        shape: Shape,
        lists: &[TileLists],
    ) -> Result<(), GpuError> {
        self.write_values(pass, values, shape);
        let base = self.plan.passes[pass].base.as_ref();
        let layers = base.map_or(&[][..], |base| &base.layers);
        assert_eq!(layers.len(), lists.len(), "one a layer");
        for (layer, lists) in layers.iter().zip(lists) {
            self.write_list(layer.computed, &lists.computed);
            self.write_list(layer.copied, &lists.copied);
        }
        let dispatches = &self.plan.passes[pass].dispatches;
        self.run(
            &self.passes[pass].forward,
            dispatches,
            lists,
            "a forward pass",
        )
    }

    /// [`Session::forward`], with the time of each dispatch; `None` where the adapter has no timestamps.
    pub fn time_forward(
        &self,
        pass: usize,
        values: &[f32],
        shape: Shape,
    ) -> Result<Option<Vec<DispatchTime>>, GpuError> {
        self.write_values(pass, values, shape);
        self.submit_timed(&self.passes[pass].forward.calls, "a forward pass")
    }

    /// Runs the base of pass number `pass`, where it has one, on a value of its node, C x H x W of `shape`.
    pub fn base(&self, pass: usize, value: &[f32], shape: Shape) -> Result<(), GpuError> {
        let Some(base) = &self.plan.passes[pass].base else {
            return Ok(());
        };
        self.write(base.input, &to_blocks(value, 1, shape));
        self.run(
            &self.passes[pass].base,
            &base.dispatches,
            &[],
            "the pass of a base",
        )
    }

    /// Runs way back number `back` of pass number `pass`, from gradients at the logits, `shape.c` a class, the classes of each image
    /// one after the other.
    ///
    /// Where gradients are stored in float16 it starts from powers of two of them, see `Scaling`, and again from smaller ones where a
    /// gradient became too large.
    pub fn backward(
        &self,
        [pass, back]: [usize; 2],
        seed: &[f32],
        shape: Shape,
    ) -> Result<(), GpuError> {
        let work = &self.passes[pass].backs[back];
        let dispatches = &self.plan.passes[pass].backs[back].dispatches;
        loop {
            self.write_seed([pass, back], seed, shape);
            match self.run(work, dispatches, &[], "a backward pass") {
                Err(GpuError::Overflow { .. }) if self.scaling().lower([pass, back]) => {}
                other => return other,
            }
        }
    }

    /// [`Session::backward`], with the time of each dispatch; `None` where the adapter has no timestamps.
    pub fn time_backward(
        &self,
        [pass, back]: [usize; 2],
        seed: &[f32],
        shape: Shape,
    ) -> Result<Option<Vec<DispatchTime>>, GpuError> {
        self.write_seed([pass, back], seed, shape);
        self.submit_timed(&self.passes[pass].backs[back].calls, "a backward pass")
    }

    fn write_values(&self, pass: usize, values: &[f32], shape: Shape) {
        let pass = &self.plan.passes[pass];
        let images = values.len() / shape.len();
        assert!(images <= pass.request.images, "as many as were planned");
        let mut values = to_blocks(values, images, shape);
        if self.plan.has_halves() {
            // What comes of the others means nothing, and is not to be found too large.
            values.resize(values.len() / images * pass.request.images, 0.0);
        }
        self.write(pass.input, &values);
    }

    /// Writes what the host computed of a node of [`crate::plan::Forward::by_host`] for image number `image` of pass number
    /// `pass`, before that pass is run: its values, C x H x W of `shape`, and of a max-pool the taps of its maxima. What the host
    /// computed of other nodes is nobody's.
    pub fn write_by_host(
        &self,
        [pass, image]: [usize; 2],
        node: NodeId,
        shape: Shape,
        values: &[f64],
        maxima: Option<&[u8]>,
    ) {
        let nodes = &self.plan.passes[pass].by_host;
        let Some(to) = nodes.iter().find(|to| to.node == node) else {
            return;
        };
        let before = image as u64 * padded_bytes(1, shape);
        let write = |id: BufferId, before: u64, bytes: &[u8]| {
            let offset = self.plan.buffer(id).offset() + before;
            self.gpu.write_at(self.memory[id.0].buffer(), offset, bytes);
        };
        let values = rounded_to_blocks(values, shape);
        write(to.value, before, bytemuck::cast_slice(&values));
        if let Some((id, maxima)) = to.maxima.zip(maxima) {
            write(id, before / 4, &to_blocks(maxima, 1, shape));
        }
    }

    fn write_seed(&self, [way, number]: [usize; 2], seed: &[f32], shape: Shape) {
        let pass = &self.plan.passes[way];
        let back = &pass.backs[number];
        let gradients = pass.request.gradients(&back.request);
        if !self.plan.has_halves() {
            return self.write(back.seed, &to_blocks(seed, gradients, shape));
        }
        let read = [&[back.gradient], &back.kept[..]].concat();
        let scaled = self
            .scaling()
            .scaled([way, number], seed, shape.len(), &read);
        self.write(back.seed, &to_blocks(&scaled, gradients, shape));
    }

    fn scaling(&self) -> MutexGuard<'_, Scaling> {
        self.scaling.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a list of tiles, its length before it.
    fn write_list(&self, id: BufferId, tiles: &[u32]) {
        let list = [&[tiles.len() as u32], tiles].concat();
        let memory = self.memory[id.0].buffer();
        let bytes = bytemuck::cast_slice(&list);
        self.gpu.write(memory, bytes);
    }

    /// Reads `n` tensors of `shape` back from a buffer, as N x C x H x W.
    pub fn read(&self, id: BufferId, n: usize, shape: Shape) -> Result<Vec<f32>, GpuError> {
        let buffer @ Buffer { name, bytes, .. } = self.plan.buffer(id);
        let doing = || format!("reading {name} back");
        let values: Vec<f32> =
            self.gpu
                .read_back((self.memory[id.0].buffer(), buffer.offset()), *bytes, doing)?;
        let mut values = from_blocks(&values, n, shape);
        self.scaling().undo(id, &mut values, n);
        Ok(values)
    }

    fn write(&self, id: BufferId, values: &[f32]) {
        let bytes = bytemuck::cast_slice(values);
        self.gpu.write(self.memory[id.0].buffer(), bytes);
    }

    /// Submits a phase, and where it stores float16 waits for it and looks for values that are too large.
    fn run(
        &self,
        work: &Work,
        dispatches: &[Dispatch],
        lists: &[TileLists],
        doing: &str,
    ) -> Result<(), GpuError> {
        let Some(overflow) = &work.overflow else {
            return self.submit(&work.calls, lists, doing);
        };
        overflow.clear(&self.gpu);
        self.submit(&work.calls, lists, doing)?;
        overflow.check(&self.gpu, dispatches)
    }

    /// Submits a phase; `lists` for the calls that take parts of them.
    fn submit(&self, calls: &[Call], lists: &[TileLists], doing: &str) -> Result<(), GpuError> {
        let mut rest = calls;
        while !rest.is_empty() {
            let mut work = 0;
            let count = rest
                .iter()
                .take_while(|call| {
                    work += call.multiply_adds;
                    work <= SUBMISSION
                })
                .count()
                .max(1);
            let (now, later) = rest.split_at(count);
            self.gpu.queue.submit([self.encode(now, lists, None)]);
            rest = later;
        }
        self.gpu.check(|| format!("running {doing}"))
    }

    /// Calls in as few passes as their copies allow; `end` writes the time at which the last is over.
    fn encode(
        &self,
        calls: &[Call],
        lists: &[TileLists],
        end: Option<&wgpu::ComputePassTimestampWrites<'_>>,
    ) -> wgpu::CommandBuffer {
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        let mut now = calls;
        while let Some(first) = now.first() {
            for copy in &first.copies {
                copy.encode(&mut encoder);
            }
            // A pass lasts until a copy must come between two dispatches.
            let until = now[1..].iter().position(|call| !call.copies.is_empty());
            let (together, later) = now.split_at(until.map_or(now.len(), |at| at + 1));
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: None,
                timestamp_writes: end.filter(|_| later.is_empty()).cloned(),
            });
            for call in together {
                call.encode(&mut pass, lists);
            }
            now = later;
        }
        encoder.finish()
    }

    /// What a phase takes on the device with all that is between its dispatches, of `runs` that follow each other the mean: from
    /// the end of one run before them to their own, by timestamps or, where the adapter has none, by the clock. It computes
    /// on what lies there.
    pub fn time_in_turn(&self, phase: Phase, runs: u32) -> Result<Duration, GpuError> {
        let calls = match phase {
            Phase::Forward(pass) => &self.passes[pass].forward.calls,
            Phase::Backward([pass, back]) => &self.passes[pass].backs[back].calls,
        };
        let runs = runs.clamp(1, MOST_RUNS);
        let doing = || "timing kernels".into();
        self.gpu.wait(doing)?;
        let Some(timestamps) = Timestamps::new(&self.gpu) else {
            self.submit(calls, &[], "kernels that are timed")?;
            self.gpu.wait(doing)?;
            let started = Instant::now();
            for _ in 0..runs {
                self.submit(calls, &[], "kernels that are timed")?;
            }
            self.gpu.wait(doing)?;
            return Ok(started.elapsed() / runs);
        };
        let encoded: Vec<wgpu::CommandBuffer> = (0..=runs)
            .map(|run| self.encode(calls, &[], Some(&timestamps.after(run as usize))))
            .collect();
        // Together as far as a submission may be long, so that no run waits for the host.
        let work: u64 = calls.iter().map(|call| call.multiply_adds).sum();
        let together = (SUBMISSION / work.max(1)).max(1) as usize;
        let mut encoded = encoded.into_iter().peekable();
        while encoded.peek().is_some() {
            self.gpu.queue.submit(encoded.by_ref().take(together));
        }
        let whole = timestamps.between_ends(runs as usize, "kernels that are timed")?;
        Ok(whole / runs)
    }

    /// One pass and one submission a dispatch, so that each has its own times.
    fn submit_timed(
        &self,
        calls: &[Call],
        doing: &str,
    ) -> Result<Option<Vec<DispatchTime>>, GpuError> {
        let Some(timestamps) = Timestamps::new(&self.gpu) else {
            self.submit(calls, &[], doing)?;
            return Ok(None);
        };
        let mut times = vec![];
        for calls in calls.chunks(Timestamps::PASSES) {
            for (index, call) in calls.iter().enumerate() {
                let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
                for copy in &call.copies {
                    copy.encode(&mut encoder);
                }
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(timestamps.around(index)),
                });
                call.encode(&mut pass, &[]);
                drop(pass);
                self.gpu.queue.submit([encoder.finish()]);
            }
            times.extend(timestamps.read(calls.len(), doing)?);
        }
        Ok(Some(times))
    }
}
