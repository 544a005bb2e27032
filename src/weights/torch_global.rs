//! The names in a checkpoint's pickle that are known: torch's functions that make tensors, its
//! element types, and values that training scripts save beside the weights.

use super::element::DType;
use super::numpy::{self, OfNumpy};
use super::pickle::{self, Dialect};
use super::pickled::Foreign;

/// An element type, with the class of its storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type {
    /// `float32`.
    pub(super) name: &'static str,
    /// `FloatStorage`; nothing for types that came after these classes.
    storage: &'static str,
    /// Bytes of one element.
    pub(super) size: usize,
    pub(super) kind: Kind,
}

/// What the elements of a type are good for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Weights.
    Float(DType),
    /// Whole numbers: with a scale, those of quantised weights.
    Integer(DType),
    /// Nothing.
    Other,
}

const fn float(name: &'static str, storage: &'static str, size: usize, dtype: DType) -> Type {
    of(name, storage, size, Kind::Float(dtype))
}

const fn integer(name: &'static str, storage: &'static str, size: usize, dtype: DType) -> Type {
    of(name, storage, size, Kind::Integer(dtype))
}

const fn other(name: &'static str, storage: &'static str, size: usize) -> Type {
    of(name, storage, size, Kind::Other)
}

const fn of(name: &'static str, storage: &'static str, size: usize, kind: Kind) -> Type {
    Type {
        name,
        storage,
        size,
        kind,
    }
}

static TYPES: [Type; 24] = [
    float("float32", "FloatStorage", 4, DType::F32),
    float("float16", "HalfStorage", 2, DType::F16),
    float("bfloat16", "BFloat16Storage", 2, DType::BF16),
    float("float64", "DoubleStorage", 8, DType::F64),
    float("float8_e4m3fn", "", 1, DType::F8E4M3),
    float("float8_e5m2", "", 1, DType::F8E5M2),
    other("float8_e4m3fnuz", "", 1),
    other("float8_e5m2fnuz", "", 1),
    integer("int64", "LongStorage", 8, DType::I64),
    integer("int32", "IntStorage", 4, DType::I32),
    other("int16", "ShortStorage", 2),
    integer("int8", "CharStorage", 1, DType::I8),
    integer("uint8", "ByteStorage", 1, DType::U8),
    other("bool", "BoolStorage", 1),
    other("complex64", "ComplexFloatStorage", 8),
    other("complex128", "ComplexDoubleStorage", 16),
    other("uint16", "", 2),
    other("uint32", "", 4),
    other("uint64", "", 8),
    integer("qint8", "QInt8Storage", 1, DType::I8),
    integer("quint8", "QUInt8Storage", 1, DType::U8),
    integer("qint32", "QInt32Storage", 4, DType::I32),
    other("quint4x2", "QUInt4x2Storage", 1),
    // Bytes that a tensor gives their type.
    other("bytes", "UntypedStorage", 1),
];

/// The functions and classes that checkpoints name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    Dict,
    /// `(storage, offset, size, stride, ...)`.
    Tensor,
    /// The same of untyped bytes, with the type as the seventh.
    TypedTensor,
    /// `(storage, offset, size, stride, (scheme, ...), ...)`.
    Quantised,
    PerTensor,
    PerChannel,
    /// `(function, class, arguments, attributes)`: a tensor of that function with attributes of its own.
    Attributed,
    Parameter,
    /// Makes a tensor of a kind that is not read: `sparse`.
    OtherTensor(&'static str),
    Storage(&'static Type),
    DType(&'static Type),
    /// What a persistent id is noted as a call of.
    PersistentId,
    /// `(class, base, state)`: an object of that class.
    Instance,
    /// What makes numpy's arrays.
    Numpy(numpy::Global),
    /// What training scripts save beside the weights: passed over.
    PassedOver,
    /// Anything else: passed over, but for tensors that it holds by name.
    Foreign(Foreign),
}

/// What the pickle of a checkpoint may hold.
pub(super) const DIALECT: Dialect<Global> = Dialect {
    find: Global::find,
    foreign: Some(Global::Foreign),
    persistent_id: Some(Global::PersistentId),
    max_opcodes: pickle::MAX_OPCODES,
};

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        let storage = |t: &&Type| !t.storage.is_empty() && t.storage == name;
        let dtype = |t: &&Type| t.name == name;
        Some(match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => Self::Dict,
            ("torch._utils", _) => match name {
                "_rebuild_tensor" | "_rebuild_tensor_v2" => Self::Tensor,
                "_rebuild_tensor_v3" => Self::TypedTensor,
                "_rebuild_qtensor" => Self::Quantised,
                "_rebuild_parameter" | "_rebuild_parameter_with_state" => Self::Parameter,
                "_rebuild_meta_tensor_no_storage" => Self::OtherTensor("meta, which has no data"),
                "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor" => {
                    Self::OtherTensor("sparse")
                }
                "_rebuild_nested_tensor" => Self::OtherTensor("nested"),
                "_rebuild_device_tensor_from_numpy"
                | "_rebuild_device_tensor_from_cpu_tensor"
                | "_rebuild_xla_tensor" => Self::OtherTensor("of an XLA device"),
                "_rebuild_wrapper_subclass" => Self::OtherTensor("of a class of its own"),
                _ => return None,
            },
            ("torch._tensor" | "torch.tensor", "_rebuild_from_type_v2") => Self::Attributed,
            ("torch.nn.parameter", "Parameter") => Self::Parameter,
            ("torch", "per_tensor_affine") => Self::PerTensor,
            ("torch", "per_channel_affine") => Self::PerChannel,
            ("copyreg" | "copy_reg", "_reconstructor" | "__newobj__" | "__newobj_ex__") => {
                Self::Instance
            }
            ("torch", "Size" | "device" | "Tensor") | ("torch.serialization", "_get_layout") => {
                Self::PassedOver
            }
            ("torch" | "torch.cuda" | "torch.storage", _) => match TYPES.iter().find(storage) {
                Some(class) => Self::Storage(class),
                None => Self::DType(TYPES.iter().find(dtype)?),
            },
            _ => match numpy::Global::find(module, name)? {
                numpy::Global::PassedOver => Self::PassedOver,
                global => Self::Numpy(global),
            },
        })
    }
}

impl OfNumpy for Global {
    fn of_numpy(self) -> Option<numpy::Global> {
        match self {
            Self::Numpy(global) => Some(global),
            _ => None,
        }
    }
}
