//! How much memory of the device is held, and the most that ever was.
//!
//! Counted is what this program asks of wgpu, whatever memory the driver takes it from: what the host writes and reads through
//! lies in the host's memory on some GPUs. What wgpu adds for itself, some hundred KiB, is not.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Gpu;
use super::texels::texel_bytes;

/// Bytes held of a device.
#[derive(Debug, Default)]
pub(super) struct Tally {
    now: AtomicU64,
    most: AtomicU64,
    /// Those of `now` that the queue keeps until the device has copied them.
    queued: AtomicU64,
}

impl Tally {
    fn add(&self, bytes: u64) {
        let now = self.now.fetch_add(bytes, Relaxed) + bytes;
        self.most.fetch_max(now, Relaxed);
    }

    pub(super) fn take(&self, bytes: u64) {
        self.now.fetch_sub(bytes, Relaxed);
    }

    /// What the queue keeps, once: to be taken off when the device is done with it.
    pub(super) fn queued(&self) -> u64 {
        self.queued.swap(0, Relaxed)
    }
}

/// A buffer or an image, counted until its last handle is gone.
#[derive(Clone, Debug)]
pub(super) struct Held<T> {
    memory: T,
    _share: Arc<Share>,
}

/// What one of them counts for.
#[derive(Debug)]
struct Share {
    tally: Arc<Tally>,
    bytes: u64,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.tally.take(self.bytes);
    }
}

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.memory
    }
}

impl Gpu {
    /// The most memory of the device that was held at once so far, bytes: by sessions, and by what they are written and
    /// read through. All clones of this handle count together.
    pub fn peak_bytes(&self) -> u64 {
        self.tally.most.load(Relaxed)
    }

    /// A new buffer.
    pub(super) fn buffer(&self, descriptor: &wgpu::BufferDescriptor<'_>) -> Held<wgpu::Buffer> {
        self.hold(self.device.create_buffer(descriptor), descriptor.size)
    }

    /// A new image.
    pub(super) fn image(&self, descriptor: &wgpu::TextureDescriptor<'_>) -> Held<wgpu::Texture> {
        let wgpu::Extent3d { width, height, .. } = descriptor.size;
        let bytes =
            u64::from(width) * u64::from(height) * u64::from(texel_bytes(descriptor.format));
        self.hold(self.device.create_texture(descriptor), bytes)
    }

    /// Counts memory that was made elsewhere.
    pub(super) fn hold<T>(&self, memory: T, bytes: u64) -> Held<T> {
        self.tally.add(bytes);
        let tally = Arc::clone(&self.tally);
        Held {
            memory,
            _share: Arc::new(Share { tally, bytes }),
        }
    }

    /// Has the queue write the beginning of a buffer, through memory that it keeps until the device is waited for.
    pub(super) fn write(&self, buffer: &wgpu::Buffer, bytes: &[u8]) {
        self.write_at(buffer, 0, bytes);
    }

    /// The same from byte `offset` on.
    pub(super) fn write_at(&self, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) {
        let len = bytes.len() as u64;
        self.tally.add(len);
        self.tally.queued.fetch_add(len, Relaxed);
        self.queue.write_buffer(buffer, offset, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{Selection, Session};
    use crate::network::{FilterLayout, Network, Op, Shape, Window};
    use crate::plan::{ForwardRequest, Plan, Request};
    use crate::weights::Tensor;

    fn gpu() -> Gpu {
        Gpu::open(&Selection::default()).unwrap()
    }

    #[test]
    fn memory_counts_until_its_last_handle_is_gone() {
        let gpu = gpu();
        let held = || gpu.tally.now.load(Relaxed);
        let first = gpu.hold((), 100);
        let again = first.clone();
        let second = gpu.hold((), 20);
        assert_eq!((held(), gpu.peak_bytes()), (120, 120));
        drop(first);
        assert_eq!(held(), 120);
        drop(again);
        assert_eq!((held(), gpu.clone().peak_bytes()), (20, 120));
        drop(second);
        assert_eq!((held(), gpu.peak_bytes()), (0, 120));
    }

    #[test]
    fn what_the_queue_keeps_counts_until_the_device_was_waited_for() {
        let gpu = gpu();
        let buffer = gpu.buffer(&wgpu::BufferDescriptor {
            label: Some("counted"),
            size: 1 << 20,
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        gpu.write(&buffer, &[7; 1000]);
        let bytes: Vec<u8> = gpu
            .read_back((&buffer, 0), 500, || "testing".into())
            .unwrap();
        assert_eq!(bytes, [7; 500]);
        assert_eq!(gpu.peak_bytes(), (1 << 20) + 1000 + 500);
        assert_eq!(gpu.tally.now.load(Relaxed), 1 << 20);
    }

    /// wgpu's own account, where the backend keeps one, is of all that it took for us and for itself.
    #[test]
    fn what_a_session_holds_is_what_wgpu_says() {
        let gpu = gpu();
        let report = || gpu.device.generate_allocator_report();
        let Some(before) = report() else {
            eprintln!("not tested: this backend has no account of its memory");
            return;
        };
        let mut network = Network::new("convolution", Shape::new(64, 128, 128));
        let convolution = Op::Conv2d {
            weight: Tensor::from_f32(vec![64, 64, 3, 3], &vec![0.01; 64 * 64 * 9]),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(3, 1, 1),
            groups: 1,
        };
        network.chain("convolution", convolution).unwrap();
        let request = Request::of(ForwardRequest {
            images: 2,
            ..ForwardRequest::default()
        });
        let plan = Plan::new(&network, &request, gpu.limits()).unwrap();
        let session = Session::new(&gpu, plan).unwrap();
        session.wait().unwrap();
        let says = report().unwrap().total_allocated_bytes - before.total_allocated_bytes;
        let counted = gpu.tally.now.load(Relaxed);
        assert!(counted > 10 << 20, "{counted}");
        let apart = says.abs_diff(counted);
        assert!(apart <= 1 << 20, "{says} by wgpu, {counted} by us");
        drop(session);
    }
}
