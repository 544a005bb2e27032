//! The closed list of what a checkpoint's pickle may name: torch's functions that make tensors, its
//! element types, and values that training scripts save beside the weights.

use super::element::DType;
use super::numpy;
use super::pickle::{self, Dialect};

/// An element type, with the class of its storages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Type {
    /// `float32`.
    pub(super) name: &'static str,
    /// `FloatStorage`; nothing for types that came after these classes.
    storage: &'static str,
    /// Bytes of one element.
    pub(super) size: usize,
    pub(super) float: Option<DType>,
}

const fn float(name: &'static str, storage: &'static str, size: usize, dtype: DType) -> Type {
    let float = Some(dtype);
    Type {
        name,
        storage,
        size,
        float,
    }
}

const fn other(name: &'static str, storage: &'static str, size: usize) -> Type {
    let float = None;
    Type {
        name,
        storage,
        size,
        float,
    }
}

static TYPES: [Type; 18] = [
    float("float32", "FloatStorage", 4, DType::F32),
    float("float16", "HalfStorage", 2, DType::F16),
    float("bfloat16", "BFloat16Storage", 2, DType::BF16),
    float("float64", "DoubleStorage", 8, DType::F64),
    other("int64", "LongStorage", 8),
    other("int32", "IntStorage", 4),
    other("int16", "ShortStorage", 2),
    other("int8", "CharStorage", 1),
    other("uint8", "ByteStorage", 1),
    other("bool", "BoolStorage", 1),
    other("complex64", "ComplexFloatStorage", 8),
    other("complex128", "ComplexDoubleStorage", 16),
    other("uint16", "", 2),
    other("uint32", "", 4),
    other("uint64", "", 8),
    other("float8_e4m3fn", "", 1),
    other("float8_e5m2", "", 1),
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
    Parameter,
    Storage(&'static Type),
    DType(&'static Type),
    /// What a persistent id is noted as a call of.
    PersistentId,
    /// What training scripts save beside the weights: passed over.
    Beside,
}

/// What the pickle of a checkpoint may hold.
pub(super) const DIALECT: Dialect<Global> = Dialect {
    find: Global::find,
    persistent_id: Some(Global::PersistentId),
    max_opcodes: pickle::MAX_OPCODES,
};

impl Global {
    fn find(module: &str, name: &str) -> Option<Self> {
        let storage = |t: &&Type| !t.storage.is_empty() && t.storage == name;
        let dtype = |t: &&Type| t.name == name;
        Some(match (module, name) {
            ("collections", "OrderedDict" | "defaultdict") => Self::Dict,
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Self::Tensor,
            ("torch._utils", "_rebuild_tensor_v3") => Self::TypedTensor,
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
            | ("torch.nn.parameter", "Parameter") => Self::Parameter,
            ("torch", "Size" | "device")
            | ("argparse", "Namespace")
            | ("collections", "Counter")
            | ("datetime", "datetime" | "date" | "timedelta")
            | ("pathlib" | "pathlib._local", "Path" | "PosixPath" | "WindowsPath")
            | (
                "builtins" | "__builtin__",
                "set" | "frozenset" | "list" | "dict" | "tuple" | "int" | "float" | "bool" | "str"
                | "complex" | "slice" | "range",
            ) => Self::Beside,
            ("torch" | "torch.cuda" | "torch.storage", _) => match TYPES.iter().find(storage) {
                Some(class) => Self::Storage(class),
                None => Self::DType(TYPES.iter().find(dtype)?),
            },
            _ if numpy::Global::find(module, name).is_some() => Self::Beside,
            _ => return None,
        })
    }
}
