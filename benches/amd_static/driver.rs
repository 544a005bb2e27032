//! RADV, Mesa's driver of AMD GPUs, compiling for a GPU that is not there, and what it says of the code it made.

use std::ffi::{CStr, c_char};

use ash::{khr, vk};
use gradcam::low_level::kernels::KernelInfo;

/// What the driver says of a compiled kernel.
pub(crate) struct Compiled {
    /// Its statistics with their names.
    pub(crate) statistics: Vec<(String, u64)>,
    /// Its instructions, a line each.
    pub(crate) assembly: String,
}

impl Compiled {
    /// The statistic of this name.
    pub(crate) fn statistic(&self, name: &str) -> Result<u64, String> {
        let found = self.statistics.iter().find(|(it, _)| it == name);
        found.map(|&(_, value)| value).ok_or_else(|| {
            let names: Vec<&str> = self.statistics.iter().map(|(it, _)| it.as_str()).collect();
            format!("the driver has no statistic {name:?}, only {names:?}")
        })
    }
}

/// An open device. Whoever opens it has set `RADV_FORCE_FAMILY`, which names the GPU, and `VK_DRIVER_FILES`.
pub(crate) struct Driver {
    /// Of the device: "NAVI21".
    pub(crate) name: String,
    /// Of the driver: "Mesa 22.3.6".
    pub(crate) version: String,
    device: ash::Device,
    executables: khr::pipeline_executable_properties::Device,
    instance: ash::Instance,
    // The library goes last.
    _entry: ash::Entry,
}

fn said(what: &'static str) -> impl Fn(vk::Result) -> String {
    move |error| format!("{what}: {error}")
}

fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> = bytes.iter().map(|&c| c.cast_unsigned()).collect();
    let text = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

#[expect(
    unsafe_code,
    reason = "Vulkan's functions are; what each asks for is beside it"
)]
impl Driver {
    pub(crate) fn open() -> Result<Self, String> {
        // SAFETY: the system's Vulkan loader is what it says.
        let entry = unsafe { ash::Entry::load() }.map_err(|e| format!("no Vulkan loader: {e}"))?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let create = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: what `create` points to lives until after the call, here and below.
        let instance = unsafe { entry.create_instance(&create, None) }.map_err(said("instance"))?;
        // SAFETY: the instance is alive.
        let devices = unsafe { instance.enumerate_physical_devices() };
        let devices = devices.map_err(said("devices"))?;
        let physical = *devices.first().ok_or("the driver shows no device")?;
        let mut driver = vk::PhysicalDeviceDriverProperties::default();
        let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut driver);
        // SAFETY: `physical` is of this instance; both structures are Vulkan 1.2's.
        unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
        let name = text(&properties.properties.device_name);
        let version = text(&driver.driver_info);
        // What wgpu switches on, as far as it changes the code, and what makes the driver tell.
        let extensions = [
            khr::pipeline_executable_properties::NAME.as_ptr(),
            ash::ext::robustness2::NAME.as_ptr(),
        ];
        let mut robust =
            vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
        let mut tells = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
        let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
        let create = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&extensions)
            .enabled_features(&features)
            .push_next(&mut robust)
            .push_next(&mut tells);
        // SAFETY: RADV has the extensions and features, or refuses; queue family 0 is every device's.
        let device = unsafe { instance.create_device(physical, &create, None) };
        let device = device.map_err(said("device"))?;
        Ok(Self {
            name,
            version,
            executables: khr::pipeline_executable_properties::Device::new(&instance, &device),
            device,
            instance,
            _entry: entry,
        })
    }

    /// Compiles the kernel that `words` are in SPIR-V.
    pub(crate) fn compile(&self, kernel: &KernelInfo, words: &[u32]) -> Result<Compiled, String> {
        let storage = (1..=kernel.bindings.len() as u32)
            .map(|binding| (binding, vk::DescriptorType::STORAGE_BUFFER));
        let bindings: Vec<_> = std::iter::once((0, vk::DescriptorType::UNIFORM_BUFFER))
            .chain(storage)
            .map(|(binding, ty)| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(ty)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: for this and what follows, handles are of this device and destroyed once, after their last use, and what
        // the structures point to outlives the calls. Where a call fails, what was made before it goes with the process.
        unsafe {
            let set = self.device.create_descriptor_set_layout(&create, None);
            let sets = [set.map_err(said("descriptor set layout"))?];
            let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
            let layout = self.device.create_pipeline_layout(&create, None);
            let layout = layout.map_err(said("pipeline layout"))?;
            let create = vk::ShaderModuleCreateInfo::default().code(words);
            let module = self.device.create_shader_module(&create, None);
            let module = module.map_err(said("shader module"))?;
            let stage = vk::PipelineShaderStageCreateInfo::default()
                .stage(vk::ShaderStageFlags::COMPUTE)
                .module(module)
                .name(c"main");
            let create = [vk::ComputePipelineCreateInfo::default()
                .flags(
                    vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                        | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
                )
                .stage(stage)
                .layout(layout)];
            let cache = vk::PipelineCache::null();
            let pipelines = self.device.create_compute_pipelines(cache, &create, None);
            let pipeline = pipelines.map_err(|(_, error)| said("pipeline")(error))?[0];
            let compiled = self.told(pipeline);
            self.device.destroy_pipeline(pipeline, None);
            self.device.destroy_shader_module(module, None);
            self.device.destroy_pipeline_layout(layout, None);
            self.device.destroy_descriptor_set_layout(sets[0], None);
            compiled
        }
    }

    fn told(&self, pipeline: vk::Pipeline) -> Result<Compiled, String> {
        let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        // SAFETY: the pipeline is alive, has one executable, and was made to tell both.
        let statistics = unsafe { self.executables.get_pipeline_executable_statistics(&info) };
        let statistics = statistics.map_err(said("statistics"))?;
        let statistics = statistics
            .iter()
            .map(|it| {
                // SAFETY: `format` says which member it is; the others are not asked for.
                let value = unsafe {
                    match it.format {
                        vk::PipelineExecutableStatisticFormatKHR::UINT64 => it.value.u64,
                        vk::PipelineExecutableStatisticFormatKHR::INT64 => it.value.i64 as u64,
                        _ => 0,
                    }
                };
                (text(&it.name), value)
            })
            .collect();
        Ok(Compiled {
            statistics,
            assembly: self.assembly(&info)?,
        })
    }

    fn assembly(&self, info: &vk::PipelineExecutableInfoKHR<'_>) -> Result<String, String> {
        let get = self
            .executables
            .fp()
            .get_pipeline_executable_internal_representations_khr;
        let device = self.device.handle();
        let mut count = 0;
        // SAFETY: without a place to write to, the number of representations alone is written.
        let result = unsafe { get(device, info, &raw mut count, std::ptr::null_mut()) };
        result.result().map_err(said("representations"))?;
        let mut all =
            vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        // SAFETY: there is room for `count`; without places for their text, sizes and names are written.
        let result = unsafe { get(device, info, &raw mut count, all.as_mut_ptr()) };
        result.result().map_err(said("representations"))?;
        let mut texts: Vec<Vec<u8>> = all.iter().map(|it| vec![0; it.data_size]).collect();
        for (it, text) in all.iter_mut().zip(&mut texts) {
            it.p_data = text.as_mut_ptr().cast();
        }
        // SAFETY: each has a place of the size that the driver said.
        let result = unsafe { get(device, info, &raw mut count, all.as_mut_ptr()) };
        result.result().map_err(said("representations"))?;
        let named = all.iter().zip(texts);
        let mut assembly = named.filter(|(it, _)| text(&it.name) == "Assembly");
        let (_, bytes) = assembly.next().ok_or("the driver shows no assembly")?;
        Ok(String::from_utf8_lossy(&bytes)
            .trim_end_matches('\0')
            .to_owned())
    }
}

#[expect(unsafe_code, reason = "Vulkan's functions are")]
impl Drop for Driver {
    fn drop(&mut self) {
        // SAFETY: everything made of the device is gone, and nobody uses either after this.
        unsafe {
            self.device.destroy_device(None);
            self.instance.destroy_instance(None);
        }
    }
}
