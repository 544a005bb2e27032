//! What is too large for float16, and what is too small.

use gradcam::low_level::gpu::{GpuError, Session};
use gradcam::low_level::network::{FilterLayout, Network, Op, ReluRule, Shape, Window};
use gradcam::low_level::plan::{ForwardRequest, Plan, Request, StoredDtype};
use gradcam::weights::Tensor;

use crate::again_with;
use crate::common::device::{GPU, each_convolution, to_input};
use gradcam::low_level::kernels::half_words::without_builtins;
use gradcam::wgpu;
use wgpu::util::DeviceExt;

/// 1 x 1 convolutions that multiply by these, one after the other, each of one channel.
fn multiplying(factors: &[f32]) -> Network {
    let mut network = Network::new("multiplying", Shape::new(1, 3, 5));
    for (at, &factor) in factors.iter().enumerate() {
        let convolution = Op::Conv2d {
            weight: Tensor::from_f32(vec![1, 1, 1, 1], &[factor]),
            bias: None,
            layout: FilterLayout::Oihw,
            window: Window::square(1, 1, 0),
            groups: 1,
        };
        network.chain(format!("conv{at}"), convolution).unwrap();
    }
    network
}

fn request(images: usize) -> Request {
    let classes = 2;
    Request {
        dtype: StoredDtype::F16,
        ..Request::of(ForwardRequest {
            images,
            backs: vec![to_input(classes, ReluRule::Plain)],
            ..ForwardRequest::default()
        })
    }
}

fn session(network: &Network, images: usize) -> Result<Session, GpuError> {
    let plan = Plan::new(network, &request(images), GPU.limits()).unwrap();
    let session = Session::new(&GPU, plan)?;
    session.poison().unwrap();
    Ok(session)
}

#[test]
fn a_value_beyond_float16_names_the_first_layer_that_meets_it_by_every_kernel() {
    let network = multiplying(&[300.0, 300.0, 1e-3, 1.0]);
    let shape = network.input_shape();
    for limits in each_convolution() {
        let plan = Plan::new(&network, &request(1), limits).unwrap();
        let session = Session::new(&GPU, plan).unwrap();
        session.poison().unwrap();
        let mut x = vec![0.5; shape.len()];
        session.forward(0, &x, shape).unwrap();
        x[7] = -1.0;
        let error = session.forward(0, &x, shape).unwrap_err();
        assert!(
            matches!(&error, GpuError::Overflow { layer, value } if layer == "conv1" && (*value - 90_000.0).abs() < 50.0),
            "{error}"
        );
        // And it is forgotten with the next input.
        x[7] = 0.25;
        session.forward(0, &x, shape).unwrap();
    }
}

#[test]
fn the_largest_float16_is_held_and_what_rounds_beyond_it_is_not() {
    let network = multiplying(&[1.0, 1.0]);
    let shape = network.input_shape();
    let session = session(&network, 1).unwrap();
    let run = |value: f32| {
        session.forward(0, &vec![value; shape.len()], shape)?;
        session.read(session.plan().picture().logits, 1, shape)
    };
    assert_eq!(run(65_504.0).unwrap()[0], 65_504.0);
    assert_eq!(run(65_519.0).unwrap()[0], 65_504.0);
    run(65_520.0).unwrap_err();
    run(f32::INFINITY).unwrap_err();
    // To the nearest, ties to even: neighbours of 2048 are 2 apart.
    for (value, rounded) in [
        (2049.0, 2048.0),
        (2049.5, 2050.0),
        (2051.0, 2052.0),
        (-2049.5, -2050.0),
    ] {
        assert_eq!(run(value).unwrap()[0], rounded);
    }
}

#[test]
fn images_that_are_not_given_are_not_found_too_large() {
    let network = multiplying(&[300.0, 1.0]);
    let shape = network.input_shape();
    let session = session(&network, 3).unwrap();
    let large = vec![1000.0; 3 * shape.len()];
    session.forward(0, &large, shape).unwrap_err();
    session
        .forward(
            0,
            &large[..shape.len()]
                .iter()
                .map(|v| v / 1e3)
                .collect::<Vec<_>>(),
            shape,
        )
        .unwrap();
}

#[test]
fn gradients_too_small_for_float16_come_back_and_each_by_itself() {
    let network = multiplying(&[0.5, 0.25, 3.0]);
    let shape = network.input_shape();
    let session = session(&network, 1).unwrap();
    session.forward(0, &vec![1.0; shape.len()], shape).unwrap();
    let mut seed = vec![1e-30; shape.len()];
    seed.extend(vec![-2.0; shape.len()]);
    session.backward([0, 0], &seed, shape).unwrap();
    let gradient = session.plan().picture().backs[0].gradient;
    let found = session.read(gradient, 2, shape).unwrap();
    for (found, start) in found.iter().zip(&seed) {
        let expected = start * 0.375;
        assert!(
            (found / expected - 1.0).abs() < 2e-3,
            "{found}, not {expected}"
        );
    }
}

/// Layers multiply by 200: from 2^10 a gradient is too large after three.
#[test]
fn gradients_that_grow_start_lower() {
    let network = multiplying(&[200.0, 200.0, 200.0, 200.0, 1e-3]);
    let shape = network.input_shape();
    let session = session(&network, 1).unwrap();
    session.forward(0, &vec![1e-6; shape.len()], shape).unwrap();
    let seed = vec![1.0; 2 * shape.len()];
    for _ in 0..2 {
        session.backward([0, 0], &seed, shape).unwrap();
        let gradient = session.plan().picture().backs[0].gradient;
        let found = session.read(gradient, 2, shape).unwrap();
        assert!((found[0] / 1.6e6 - 1.0).abs() < 2e-3, "{}", found[0]);
    }
    let network = multiplying(&[6e4, 6e4, 6e4, 6e4]);
    let session = self::session(&network, 1).unwrap();
    session.forward(0, &vec![0.0; shape.len()], shape).unwrap();
    let error = session.backward([0, 0], &seed, shape).unwrap_err();
    assert!(
        matches!(&error, GpuError::Overflow { layer, .. } if layer.contains("backward")),
        "{error}"
    );
}

#[test]
fn a_filter_beyond_float16_is_refused_by_its_name() {
    let error = session(&multiplying(&[1.0, 7e4]), 1).err().unwrap();
    let text = error.to_string();
    assert!(
        text.contains("conv1 weights") && text.contains("--dtype f16"),
        "{text}"
    );
}

/// What `float16_from_word` and `float16_to_word` make of `words` there: two values for each word, and
/// the words of `values`.
fn converted(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    words: &[u32],
    values: &[f32],
) -> (Vec<f32>, Vec<u32>) {
    let source = "
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> values: array<vec2<f32>>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let value = unpack2x16float(words[id.x]);
    words[id.x] = pack2x16float(values[id.x]);
    values[id.x] = value;
}";
    let made = without_builtins(source);
    assert!(!made.contains("pack2x16float"), "{made}");
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(made.into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let buffer = |contents: &[u8]| {
        device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: None,
            contents,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        })
    };
    let buffers = [
        buffer(bytemuck::cast_slice(words)),
        buffer(bytemuck::cast_slice(values)),
    ];
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[0, 1].map(|at| wgpu::BindGroupEntry {
            binding: at as u32,
            resource: buffers[at].as_entire_binding(),
        }),
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &bindings, &[]);
    pass.dispatch_workgroups(words.len() as u32 / 64, 1, 1);
    drop(pass);
    queue.submit([encoder.finish()]);
    let [words, values] = buffers.map(|buffer| {
        let (sender, receiver) = std::sync::mpsc::channel();
        wgpu::util::DownloadBuffer::read_buffer(device, queue, &buffer.slice(..), move |found| {
            sender.send(found.unwrap().to_vec()).unwrap();
        });
        device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
        receiver.recv().unwrap()
    });
    (
        bytemuck::pod_collect_to_vec(&values),
        bytemuck::pod_collect_to_vec(&words),
    )
}

#[test]
fn own_functions_read_every_float16_and_round_to_the_nearest() {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).unwrap();
    let words: Vec<u32> = (0..1 << 16)
        .map(|bits| bits << 16 | (bits ^ 0x8000))
        .collect();
    // Each float16, what lies half of the way to the next, and that with another last digit on both sides.
    let halfway = |bits: u32| {
        let here = half::f16::from_bits(bits as u16).to_f32();
        let next = half::f16::from_bits(bits as u16 + 1).to_f32();
        let middle = f64::midpoint(here.into(), next.into()) as f32;
        [here, middle, middle.next_up(), middle.next_down()]
    };
    // Up to the largest, from which on the middle is infinite, and what is beyond it.
    let mut values: Vec<f32> = (0..0x7bff).flat_map(halfway).collect();
    let beyond = [65_504.0, 65_519.0, 65_520.0, 1e30, f32::INFINITY, f32::NAN];
    values.extend(beyond);
    values.extend(values.clone().iter().map(|value| -value));
    values.resize(values.len().next_multiple_of(2 * words.len()), 0.0);
    let mut read = vec![];
    let mut written = vec![];
    for values in values.chunks(2 * words.len()) {
        let (found, made) = converted(&device, &queue, &words, values);
        read = found;
        written.extend(made);
    }
    let bits = |words: &[u32]| -> Vec<u16> { bytemuck::pod_collect_to_vec(words) };
    let same = |found: f32, expected: f32| {
        found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
    };
    for (bits, found) in bits(&words).into_iter().zip(read) {
        let expected = half::f16::from_bits(bits).to_f32();
        assert!(same(found, expected), "{bits:#x}: {found}, not {expected}");
    }
    for (value, found) in values.iter().zip(bits(&written)) {
        let expected = half::f16::from_f32(*value);
        let found = half::f16::from_bits(found);
        assert!(
            same(found.to_f32(), expected.to_f32()),
            "{value:e}: {found:e}, not {expected:e}"
        );
    }
}

/// Set where Mesa's software adapter is told to leave most instructions of its processor alone.
const WITHOUT_FLOAT16: &str = "GRADCAM_TEST_WITHOUT_FLOAT16";

/// A processor without instructions for float16 has an adapter whose shaders may not have WGSL's functions for it.
#[test]
fn processors_without_float16_compute_the_same() {
    if !GPU.info().driver.contains("llvmpipe") {
        return;
    }
    let tests = [
        "halves::this_processor_has_no_float16",
        "halves::the_largest_float16_is_held_and_what_rounds_beyond_it_is_not",
        "halves::gradients_too_small_for_float16_come_back_and_each_by_itself",
        "halves::own_functions_read_every_float16_and_round_to_the_nearest",
        "linear::linear_layers_of_odd_sizes_in_both_file_orders_and_both_types_are_the_twins",
        "means::means_by_sums_are_those_of_the_whole_gradient",
    ];
    let set = [
        ("GALLIUM_OVERRIDE_CPU_CAPS", "sse2"),
        (WITHOUT_FLOAT16, "1"),
    ];
    again_with(&set, &tests);
}

#[test]
fn this_processor_has_no_float16() {
    if std::env::var_os(WITHOUT_FLOAT16).is_none() {
        return;
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&Default::default())).unwrap();
    let flags = adapter.get_downlevel_capabilities().flags;
    assert!(!flags.contains(wgpu::DownlevelFlags::SHADER_F16_IN_F32));
}
