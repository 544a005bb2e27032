//! Devices that somebody else made.

use std::sync::{Arc, Mutex};

use super::held::Tally;
use super::pipelines::converts_halves;
use super::{AdapterInfo, Fault, Gpu, GpuError, kernel_family};
use crate::plan::Winograd;

/// The least that a device must allow: what wgpu asks of any adapter that computes, and 16 KiB of workgroup memory.
///
/// More is better: tensors are cut by the largest binding there is, and one that cannot be cut and does not fit is refused
/// as a whole network is planned. No feature is needed; with [`wgpu::Features::SUBGROUP`], and with five storage buffers a
/// shader ([`SUBGROUP_BUFFERS`](crate::kernels::SUBGROUP_BUFFERS)), software adapters are faster, and with [`wgpu::Features::TIMESTAMP_QUERY`] kernels can be timed.
pub fn required_limits() -> wgpu::Limits {
    wgpu::Limits {
        max_compute_workgroup_storage_size: 16 << 10,
        ..wgpu::Limits::downlevel_defaults()
    }
}

impl Gpu {
    /// Computes on a device of the caller's, who goes on using it: [`wgpu::Device`] and [`wgpu::Queue`] are handles, to be
    /// cloned. Its handlers of uncaptured errors and of loss are replaced, since errors are returned from here on by
    /// whatever caused them.
    ///
    /// # Errors
    /// [`GpuError::TooWeak`] for a device of less than [`required_limits`].
    ///
    /// ```
    /// use gradcam::low_level::gpu::{Gpu, required_limits};
    /// use gradcam::wgpu;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    /// let adapter = pollster::block_on(instance.request_adapter(&Default::default()))?;
    /// let descriptor = wgpu::DeviceDescriptor {
    ///     required_limits: required_limits(),
    ///     ..Default::default()
    /// };
    /// let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))?;
    /// let gpu = Gpu::from_device(device.clone(), queue.clone())?;
    /// println!("explaining on {}", gpu.info());
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, GpuError> {
        let info = AdapterInfo::new(&device.adapter_info());
        let limits = device.limits();
        let mut weak = None;
        required_limits().check_limits_with_fail_fn(&limits, true, |limit, needs, has| {
            weak = Some((limit, needs, has));
        });
        if let Some((limit, needs, has)) = weak {
            return Err(GpuError::TooWeak {
                adapter: info.name,
                limit,
                needs,
                has,
            });
        }
        let fault = Arc::new(Mutex::new(None));
        report_to(&fault, &device);
        let family = kernel_family(&device, &queue);
        let converts_halves = converts_halves(&device);
        Ok(Self {
            device,
            queue,
            info,
            limits,
            family,
            converts_halves,
            winograd: Winograd::WhereFaster,
            costs: Arc::default(),
            compiled: Arc::default(),
            tally: Arc::new(Tally::default()),
            fault,
        })
    }
}

/// Has the device leave its first error in `fault`.
fn report_to(fault: &Arc<Mutex<Option<Fault>>>, device: &wgpu::Device) {
    let keep_first = |fault: &Mutex<Option<Fault>>, new: Fault| {
        if let Ok(mut slot) = fault.lock() {
            slot.get_or_insert(new);
        }
    };
    let uncaptured = Arc::clone(fault);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let new = match error {
            wgpu::Error::OutOfMemory { .. } => Fault::OutOfMemory,
            wgpu::Error::Validation { description, .. } => Fault::Validation(description),
            wgpu::Error::Internal { description, .. } => Fault::Internal(description),
        };
        keep_first(&uncaptured, new);
    }));
    let lost = Arc::clone(fault);
    device.set_device_lost_callback(move |reason, message| {
        // Dropping the device is not a fault.
        if reason != wgpu::DeviceLostReason::Destroyed {
            keep_first(&lost, Fault::Lost(message));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(limits: wgpu::Limits) -> (wgpu::Device, wgpu::Queue) {
        let adapter = super::super::enumerate(None).remove(0);
        let descriptor = wgpu::DeviceDescriptor {
            required_limits: limits,
            ..Default::default()
        };
        pollster::block_on(adapter.request_device(&descriptor)).unwrap()
    }

    #[test]
    fn a_device_of_the_least_limits_will_do() {
        let (device, queue) = device(required_limits());
        let gpu = Gpu::from_device(device, queue).unwrap();
        assert_eq!(gpu.limits().binding, 128 << 20);
        // Without subgroups.
        let is_cpu = gpu.device.adapter_info().device_type == wgpu::DeviceType::Cpu;
        let notes = gpu.notes();
        assert_eq!(!notes.is_empty(), is_cpu, "{notes:?}");
        assert!(notes.iter().all(|note| note.contains("plain kernels")));
    }

    #[test]
    fn a_device_that_is_too_weak_is_told_what_it_lacks() {
        let (device, queue) = device(wgpu::Limits {
            max_compute_invocations_per_workgroup: 128,
            ..required_limits()
        });
        let error = Gpu::from_device(device, queue).err().unwrap().to_string();
        assert!(
            error.contains("max_compute_invocations_per_workgroup is 128, the kernels need 256"),
            "{error}"
        );
    }
}
