//! What can go wrong with a device.

use super::{AdapterInfo, Backend, adapters};

/// What can go wrong with a device.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// Nothing to run on.
    #[error(
        "no adapter to compute on: neither a GPU with a driver for {backends} nor a software adapter. Install the GPU's \
         driver, or on Debian and Ubuntu the software adapter: apt-get install mesa-vulkan-drivers"
    )]
    NoAdapter {
        /// What was looked through.
        backends: &'static str,
    },
    /// None on the backend asked for, but some on others.
    #[error(
        "no adapter on {backend}; there are: {}; leave out --backend, or name another",
        list(present)
    )]
    NotOnBackend {
        /// What was looked through.
        backend: &'static str,
        /// What there is on others.
        present: Vec<AdapterInfo>,
    },
    /// The text of `--adapter` matches none.
    #[error("no adapter matches {wanted:?}; there are: {}", list(present))]
    NoMatch {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: Vec<AdapterInfo>,
    },
    /// The adapter gave no device.
    #[error("{adapter} gives no device: {source}")]
    NoDevice {
        /// The adapter.
        adapter: Box<AdapterInfo>,
        /// The driver's reason.
        source: wgpu::RequestDeviceError,
    },
    /// The device allows less than the kernels need.
    #[error(
        "{adapter}: {limit} is {has}, the kernels need {needs}: take another adapter, or ask this one for more"
    )]
    TooWeak {
        /// The adapter.
        adapter: String,
        /// The limit, by its name in wgpu.
        limit: &'static str,
        /// The least that will do.
        needs: u64,
        /// What there is.
        has: u64,
    },
    /// The device reported an error, is lost or ran out of memory.
    #[error("{adapter}: {fault} while {doing}{}", advice(fault))]
    Fault {
        /// The adapter.
        adapter: String,
        /// What happened.
        fault: Fault,
        /// What was being done.
        doing: String,
    },
    /// A weight that is not a number: every result would be one too.
    #[error(
        "{tensor} hold {value} at element {at}: the file is damaged, or the training that made it diverged"
    )]
    NotFinite {
        /// The layer and which of its tensors.
        tensor: String,
        /// Index in the file's order.
        at: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A weight beyond float16's largest number.
    #[error(
        "{tensor} hold {value}, more than float16 can: leave out --dtype f16 and --weights-dtype f16"
    )]
    NotHalf {
        /// The layer and which of its tensors.
        tensor: String,
        /// 65520 or more in magnitude.
        value: f32,
    },
    /// A value that a layer computes, beyond float16's largest number.
    #[error("{layer} reaches {value}, more than float16 can hold (65504): leave out --dtype f16")]
    Overflow {
        /// The layer, as its dispatch is called: with `backward` where it is a gradient.
        layer: String,
        /// Its magnitude, perhaps infinite.
        value: f32,
    },
}

pub(super) const EVERY_BACKEND: &str = "Vulkan, Metal or DX12";

impl GpuError {
    /// There is no adapter on `backend`, or on any.
    pub(super) fn none(backend: Option<Backend>) -> Self {
        let backends = match backend {
            None => EVERY_BACKEND,
            Some(Backend::Vulkan) => "Vulkan",
            Some(Backend::Metal) => "Metal",
            Some(Backend::Dx12) => "DX12",
        };
        match adapters() {
            Ok(present) if backend.is_some() => Self::NotOnBackend {
                backend: backends,
                present,
            },
            _ => Self::NoAdapter { backends },
        }
    }
}

/// An error that a device reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The driver has no memory left.
    #[error("out of memory")]
    OutOfMemory,
    /// The device is gone.
    #[error("the device was lost ({0})")]
    Lost(String),
    /// wgpu refused a call: a fault of this program.
    #[error("wgpu refused a call, a fault of this program: {0}")]
    Validation(String),
    /// The driver failed.
    #[error("the driver failed ({0})")]
    Internal(String),
}

fn advice(fault: &Fault) -> &'static str {
    match fault {
        Fault::OutOfMemory => {
            "; explain fewer classes at once, or choose another adapter with --adapter"
        }
        Fault::Lost(_) | Fault::Internal(_) => {
            "; try again, or choose another adapter with --adapter"
        }
        Fault::Validation(_) => "; please report it",
    }
}

fn list(adapters: &[AdapterInfo]) -> String {
    let names: Vec<String> = adapters.iter().map(ToString::to_string).collect();
    names.join("; ")
}
