//! What the device does at most: the lines that its kernels are held against.

use std::time::{Duration, Instant};

use crate::gpu::{Gpu, GpuError, Session};
use crate::kernels::{Kernel, LANES, MULTIPLY_ADDS_A_ROUND, MultiplyAddParams};
use crate::network::Shape;
use crate::plan::{Buffer, BufferId, Contents, Dispatch, Forward, ForwardRequest, Plan};

/// Workgroups: several times what the largest GPU holds at once.
const WORKGROUPS: u32 = 8192;
/// A dispatch is made longer until it takes so long: far above what a launch costs, far below any watchdog.
const ENOUGH: Duration = Duration::from_millis(20);
/// Runs of each length.
const RUNS: usize = 5;

/// Rates that this device reached on work that is nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ceilings {
    /// Multiplications and additions a second, on registers alone.
    pub flops: f64,
    /// Bytes a second, read and written by a copy.
    pub bytes: f64,
}

impl Ceilings {
    /// Takes a few tenths of a second.
    pub fn measure(gpu: &Gpu) -> Result<Self, GpuError> {
        Ok(Self {
            flops: arithmetic_rate(gpu)?,
            bytes: gpu.copy_rate()?,
        })
    }
}

fn arithmetic_rate(gpu: &Gpu) -> Result<f64, GpuError> {
    let mut rounds = 1;
    loop {
        let session = Session::new(gpu, multiply_adds(WORKGROUPS, rounds))?;
        let run = || {
            session.forward(0, &[0.0], Shape::vector(1))?;
            session.wait()
        };
        // The first run compiles on some drivers; of the others the best counts, as for any ceiling.
        run()?;
        let mut took = Duration::MAX;
        for _ in 0..RUNS {
            let started = Instant::now();
            run()?;
            took = took.min(started.elapsed());
        }
        if took >= ENOUGH {
            let work = session.plan().picture().dispatches[0].multiply_adds;
            return Ok(2.0 * work as f64 / took.as_secs_f64());
        }
        rounds *= 2;
    }
}

/// A plan that runs `multiply_add.wgsl` alone; its result is where a network's logits would be, [`LANES`] vec4 a
/// workgroup.
pub fn multiply_adds(workgroups: u32, rounds: u32) -> Plan {
    let invocations = u64::from(workgroups * LANES);
    let y = BufferId(0);
    let dispatch = Dispatch {
        kernel: Kernel::MultiplyAdd,
        label: "multiply-adds".into(),
        params: bytemuck::bytes_of(&MultiplyAddParams { rounds }).to_vec(),
        listed: None,
        copies: vec![],
        image_texels: 0,
        buffers: vec![y],
        workgroups: [workgroups, 1, 1],
        multiply_adds: invocations * u64::from(rounds * MULTIPLY_ADDS_A_ROUND),
    };
    Plan {
        subgroup: 0,
        buffers: vec![Buffer {
            half: false,
            name: "sums".into(),
            bytes: invocations * 16,
            contents: Contents::Scratch { slot: 0 },
        }],
        slots: vec![invocations * 16],
        prepare: vec![],
        passes: vec![Forward {
            by_host: vec![],
            request: ForwardRequest::default(),
            input: y,
            logits: y,
            kept: vec![],
            base: None,
            dispatches: vec![dispatch],
            backs: vec![],
        }],
    }
}
