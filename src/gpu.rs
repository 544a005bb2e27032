//! The device: which one, what it can do, what went wrong on it. Only this module and those below it know wgpu.

mod copy_rate;
mod device;
mod error;
mod held;
mod memory;
mod overflow;
mod pipelines;
mod read_back;
mod record;
mod run;
mod scaling;
mod staging;
mod subgroups;
mod texels;
mod timestamps;
mod upload;

use std::sync::{Arc, Mutex};

use serde::Serialize;

pub use device::required_limits;
pub use error::{Fault, GpuError};
use held::Tally;
pub use run::{Phase, Session, StartUp};
pub use timestamps::DispatchTime;

use crate::kernels::{IMAGE_ROW, SUBGROUP_BUFFERS, SUBGROUPS};
use crate::named::named;
use crate::plan::{Broadcast, Costs, Hardware, KernelFamily, Limits, Subgroup, Winograd};

/// An adapter that wgpu reaches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdapterInfo {
    /// The device's own name.
    pub name: String,
    /// `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The driver and its version.
    pub driver: String,
}

impl AdapterInfo {
    fn new(info: &wgpu::AdapterInfo) -> Self {
        Self {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            kind: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => "discrete",
                wgpu::DeviceType::IntegratedGpu => "integrated",
                wgpu::DeviceType::VirtualGpu => "virtual",
                wgpu::DeviceType::Cpu => "cpu",
                wgpu::DeviceType::Other => "other",
            },
            driver: format!("{} {}", info.driver, info.driver_info)
                .trim()
                .into(),
        }
    }
}

impl std::fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}, {}", self.name, self.backend, self.kind)?;
        if !self.driver.is_empty() {
            write!(f, ", {}", self.driver)?;
        }
        write!(f, ")")
    }
}

named! {
    /// Graphics interface.
    pub enum Backend {
        /// Linux, Windows, Android
        Vulkan = "vulkan",
        /// macOS, iOS
        Metal = "metal",
        /// Windows
        Dx12 = "dx12",
    }
}

/// Which adapter to use.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Part of its name, in any case; otherwise the fastest kind there is.
    pub adapter: Option<String>,
    /// Only this backend.
    pub backend: Option<Backend>,
}

/// A device, ready to compute. Cheap to clone: a handle.
#[derive(Clone)]
pub struct Gpu {
    device: wgpu::Device,
    queue: wgpu::Queue,
    info: AdapterInfo,
    limits: wgpu::Limits,
    family: KernelFamily,
    /// Whether its shaders may have WGSL's functions for float16 in words.
    converts_halves: bool,
    winograd: Winograd,
    costs: Arc<Costs>,
    compiled: Arc<Mutex<pipelines::Compiled>>,
    tally: Arc<Tally>,
    /// The first error that the device reported and nobody has taken yet.
    fault: Arc<Mutex<Option<Fault>>>,
}

fn backends(backend: Option<Backend>) -> wgpu::Backends {
    match backend {
        None => wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12,
        Some(Backend::Vulkan) => wgpu::Backends::VULKAN,
        Some(Backend::Metal) => wgpu::Backends::METAL,
        Some(Backend::Dx12) => wgpu::Backends::DX12,
    }
}

/// All adapters, fastest kind first.
fn enumerate(backend: Option<Backend>) -> Vec<wgpu::Adapter> {
    let backends = backends(backend);
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
    adapters.sort_by_key(|adapter| match adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    });
    adapters
}

/// The adapters that there are, at least one, in the order in which they are chosen.
pub fn adapters() -> Result<Vec<AdapterInfo>, GpuError> {
    let infos = |adapter: &wgpu::Adapter| AdapterInfo::new(&adapter.get_info());
    match enumerate(None) {
        none if none.is_empty() => Err(GpuError::NoAdapter {
            backends: error::EVERY_BACKEND,
        }),
        adapters => Ok(adapters.iter().map(infos).collect()),
    }
}

// wgpu tells the kind of a GPU, but neither the number of its cores nor its speed: a typical one of each stands for all.
//
// Two workgroups for each core of a large one. Too many costs a large tile's reuse of what it read, too few leaves cores
// idle.
//
// Multiply-adds a byte: the makers' peaks of float32 arithmetic and of bandwidth give 10 (H100 SXM), 18 (RTX 3060), 33 (RTX
// 3090) and 41 (RTX 4090); 15 (Iris Xe), 19 (M1) and 18 (M3 Max). Of its arithmetic a tiled kernel gets 33 to 45 %, see
// the marks of others' kernels (ggml's convolution on an RTX 3090 and a GTX 1060, WGSL matrix products on an M1).
const DISCRETE: Hardware = Hardware {
    workgroups: 256,
    multiply_adds_a_byte: 12,
};
const INTEGRATED: Hardware = Hardware {
    workgroups: 32,
    multiply_adds_a_byte: 6,
};

/// Invocations in each subgroup, where a processor has subgroups that there are kernels for.
fn subgroup_width(device: &wgpu::Device) -> Option<u32> {
    let info = device.adapter_info();
    let width = info.subgroup_min_size;
    let is_known = device.features().contains(wgpu::Features::SUBGROUP)
        && info.subgroup_max_size == width
        && SUBGROUPS.contains(&width)
        && device.limits().max_texture_dimension_2d as usize >= IMAGE_ROW
        && device.limits().max_storage_buffers_per_shader_stage >= SUBGROUP_BUFFERS;
    is_known.then_some(width)
}

/// What suits the adapter. On a CPU workgroup memory is as slow as any, and a barrier stops the whole workgroup; a GPU
/// with subgroups would leave most of itself idle in workgroups of one.
fn kernel_family(device: &wgpu::Device, queue: &wgpu::Queue) -> KernelFamily {
    let info = device.adapter_info();
    match info.device_type {
        wgpu::DeviceType::Cpu => {
            let Some(width) = subgroup_width(device) else {
                return KernelFamily::Plain;
            };
            match subgroups::fastest(device, queue, width) {
                Some(broadcast) => KernelFamily::Subgroup(Subgroup {
                    broadcast,
                    ..Subgroup::new(width, device.limits().max_texture_dimension_2d)
                }),
                None => KernelFamily::Plain,
            }
        }
        wgpu::DeviceType::IntegratedGpu => KernelFamily::Tiled(INTEGRATED),
        // What a driver calls virtual or other is most often a whole card.
        wgpu::DeviceType::DiscreteGpu | wgpu::DeviceType::VirtualGpu | wgpu::DeviceType::Other => {
            KernelFamily::Tiled(DISCRETE)
        }
    }
}

impl Gpu {
    /// Whether kernels read images as sampled textures.
    fn samples(&self) -> bool {
        matches!(
            self.family,
            KernelFamily::Subgroup(Subgroup {
                broadcast: Broadcast::Quads,
                ..
            })
        )
    }

    /// Opens the adapter that `selection` names, or the fastest kind there is.
    pub fn open(selection: &Selection) -> Result<Self, GpuError> {
        let adapters = enumerate(selection.backend);
        if adapters.is_empty() {
            return Err(GpuError::none(selection.backend));
        }
        let wanted = selection.adapter.as_deref().unwrap_or("").to_lowercase();
        let matching =
            |adapter: &&wgpu::Adapter| adapter.get_info().name.to_lowercase().contains(&wanted);
        let Some(adapter) = adapters.iter().find(matching) else {
            return Err(GpuError::NoMatch {
                wanted: selection.adapter.clone().unwrap_or_default(),
                present: adapters
                    .iter()
                    .map(|adapter| AdapterInfo::new(&adapter.get_info()))
                    .collect(),
            });
        };
        Self::of_adapter(adapter)
    }

    /// Opens every adapter of the fastest kind there is, on `backend` or on the one through which the first of them is reached.
    pub fn open_all(backend: Option<Backend>) -> Result<Vec<Self>, GpuError> {
        let adapters = enumerate(backend);
        let Some(first) = adapters.first().map(wgpu::Adapter::get_info) else {
            return Err(GpuError::none(backend));
        };
        // The same card may be reached through two interfaces.
        let is_alike = |adapter: &&wgpu::Adapter| {
            let info = adapter.get_info();
            (info.device_type, info.backend) == (first.device_type, first.backend)
        };
        let alike = adapters.iter().filter(is_alike);
        alike.map(Self::of_adapter).collect()
    }

    fn of_adapter(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let info = AdapterInfo::new(&adapter.get_info());
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gradcam"),
            required_features: adapter.features()
                & (wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY),
            required_limits: adapter.limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) =
            pollster::block_on(adapter.request_device(&descriptor)).map_err(|source| {
                GpuError::NoDevice {
                    adapter: Box::new(info.clone()),
                    source,
                }
            })?;
        Self::from_device(device, queue)
    }

    /// The adapter behind the device.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// Whether it writes timestamps around its work.
    pub fn has_timestamps(&self) -> bool {
        let features = self.device.features();
        features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }

    /// What a user should know of it.
    pub fn notes(&self) -> Vec<String> {
        let is_cpu = self.device.adapter_info().device_type == wgpu::DeviceType::Cpu;
        let is_slow = is_cpu && self.family == KernelFamily::Plain;
        let why = match subgroup_width(&self.device) {
            None => "is a processor without subgroups of 4, 8 or 16 invocations".to_owned(),
            Some(width) => format!("gives wrong values in subgroups of {width} invocations"),
        };
        let slow = is_slow.then(|| {
            format!(
                "{} {why}: only the plain kernels run there, some hundred times slower than others; `gradcam adapters` lists what else \
                 there is",
                self.info.name
            )
        });
        slow.into_iter().collect()
    }

    /// The same device, on which plans take Winograd's algorithm for these convolutions; unless told, [`Winograd::WhereFaster`].
    #[must_use]
    pub fn with_winograd(self, winograd: Winograd) -> Self {
        Self { winograd, ..self }
    }

    /// The same device, of which plans know what layers were measured to take on it; unless told, nothing.
    #[must_use]
    pub fn with_costs(self, costs: Costs) -> Self {
        let costs = Arc::new(costs);
        Self { costs, ..self }
    }

    /// The same device, on which plans take the kernels of this family: tests run so what a device takes that is not at hand.
    #[must_use]
    pub fn with_family(self, family: KernelFamily) -> Self {
        Self { family, ..self }
    }

    /// What plans depend on.
    pub fn limits(&self) -> Limits<'_> {
        Limits {
            binding: self.limits.max_storage_buffer_binding_size,
            buffer: self.limits.max_buffer_size,
            workgroups: self.limits.max_compute_workgroups_per_dimension,
            family: self.family,
            winograd: self.winograd,
            costs: &self.costs,
        }
    }

    /// The first error that the device reported since the last call, as the result of `doing`.
    fn check(&self, doing: impl FnOnce() -> String) -> Result<(), GpuError> {
        let fault = self.fault.lock().ok().and_then(|mut slot| slot.take());
        match fault {
            None => Ok(()),
            Some(fault) => Err(GpuError::Fault {
                adapter: self.info.name.clone(),
                fault,
                doing: doing(),
            }),
        }
    }

    /// Waits until the device has done all that was submitted.
    fn wait(&self, doing: impl Fn() -> String) -> Result<(), GpuError> {
        self.wait_for(None, doing)
    }

    /// Waits until the device has done a submission and those before it; without one, all.
    fn wait_for(
        &self,
        submission_index: Option<wgpu::SubmissionIndex>,
        doing: impl Fn() -> String,
    ) -> Result<(), GpuError> {
        // What is queued meanwhile, by others, is not among what the device is done with afterwards.
        let queued = match submission_index {
            None => self.tally.queued(),
            Some(_) => 0,
        };
        let polled = self.device.poll(wgpu::PollType::Wait {
            submission_index,
            timeout: None,
        });
        self.tally.take(queued);
        self.check(&doing)?;
        polled.map(drop).map_err(|error| GpuError::Fault {
            adapter: self.info.name.clone(),
            fault: Fault::Lost(error.to_string()),
            doing: doing(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Network, Op, Shape};
    use crate::plan::{Plan, Request};

    fn gpu() -> Gpu {
        Gpu::open(&Selection::default())
            .unwrap_or_else(|error| panic!("the tests need an adapter: {error}"))
    }

    #[test]
    fn plans_take_winograds_algorithm_as_told() {
        let gpu = gpu();
        assert_eq!(gpu.limits().winograd, Winograd::WhereFaster);
        let never = gpu.with_winograd(Winograd::Never);
        assert_eq!(never.limits().winograd, Winograd::Never);
    }

    #[test]
    fn a_fault_is_told_once_with_the_adapter_what_was_being_done_and_what_to_do() {
        let gpu = gpu();
        for (fault, parts) in [
            (
                Fault::OutOfMemory,
                ["out of memory", "explain fewer classes"],
            ),
            (
                Fault::Lost("unplugged".into()),
                ["the device was lost (unplugged)", "--adapter"],
            ),
            (
                Fault::Internal("error -4".into()),
                ["the driver failed (error -4)", "try again"],
            ),
            (
                Fault::Validation("no such buffer".into()),
                ["no such buffer", "please report it"],
            ),
        ] {
            *gpu.fault.lock().unwrap() = Some(fault);
            let message = gpu.check(|| "running it".into()).unwrap_err().to_string();
            let adapter = gpu.info.name.as_str();
            for part in [adapter, " while running it; ", parts[0], parts[1]] {
                assert!(message.contains(part), "`{part}` is missing in: {message}");
            }
            assert!(gpu.check(|| unreachable!()).is_ok());
        }
    }

    #[test]
    fn what_wgpu_refuses_is_kept_until_somebody_asks() {
        let gpu = gpu();
        let _ = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("too large"),
            size: gpu.limits.max_buffer_size + 16,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let error = gpu.wait(|| "allocating".into()).unwrap_err();
        assert!(
            matches!(
                &error,
                GpuError::Fault { fault: Fault::Validation(text), doing, .. }
                    if text.contains("too large") && doing == "allocating"
            ),
            "{error}"
        );
    }

    #[test]
    fn a_device_lost_in_the_middle_is_an_error_and_no_panic_or_endless_wait() {
        let gpu = gpu();
        let mut network = Network::new("mean", Shape::new(3, 8, 8));
        network.chain("mean", Op::GlobalMean).unwrap();
        let plan = Plan::new(&network, &Request::default(), gpu.limits()).unwrap();
        let session = Session::new(&gpu, plan).unwrap();
        gpu.device.destroy();
        let run = || {
            session.forward(0, &[0.5; 3 * 8 * 8], network.input_shape())?;
            session.read(session.plan().picture().logits, 1, Shape::vector(3))
        };
        let error = run().unwrap_err();
        assert!(
            matches!(&error, GpuError::Fault { doing, .. } if doing.contains("reading")),
            "{error}"
        );
    }
}
