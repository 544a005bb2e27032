//! A pickle read as plain data. A pickle is a program for a stack machine that may call any Python
//! function; this machine knows the opcodes that build values, and instead of calling anything it
//! notes the call as an [`Object`]. The caller says which functions and classes it knows, and gives
//! the objects their meaning; all others are kept by their names alone.

mod attack;
mod calls;
mod input;
mod machine;
mod values;

use thiserror::Error;

use super::pickled::{Foreign, Pickle};
use input::Input;
use machine::Machine;

/// Opcodes that are run at most. A VGG16 takes about a thousand, a checkpoint with its optimiser
/// about fifty a tensor. Each makes at most one value of some 32 bytes, so this bounds memory too.
pub(super) const MAX_OPCODES: usize = 1 << 19;

/// Why a pickle was not read. Positions count bytes from the beginning of the file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PickleError {
    /// The file ends before the pickle does.
    #[error(
        "the file is cut off: at least {missing} more bytes belong to it, copy or download it again"
    )]
    Truncated {
        /// Bytes that the value being read lacks; more may follow it.
        missing: u64,
    },
    /// It names a function that attacks are made of, or any where none is expected.
    #[error("the pickle calls {name}: refused, nothing in a file is executed")]
    Refused {
        /// Module and name, with dots; control characters are escaped.
        name: String,
    },
    /// An opcode that there is not, or one for data beside the file.
    #[error(
        "opcode 0x{opcode:02x} of the pickle, at byte {at}, is not one that weights are written with"
    )]
    Opcode {
        /// The byte found.
        opcode: u8,
        /// Where.
        at: usize,
    },
    /// A protocol newer than this reader.
    #[error("pickle protocol {0} is not known: save the file with protocol 2 to 5")]
    Protocol(u8),
    /// An opcode that finds nothing, or a value of the wrong kind, to work on.
    #[error(
        "the pickle is damaged: opcode 0x{opcode:02x} at byte {at} finds nothing it can work on"
    )]
    Damaged {
        /// The opcode.
        opcode: u8,
        /// Where it stands.
        at: usize,
    },
    /// More opcodes than any weights need.
    #[error("the pickle goes on for more than {0} opcodes")]
    TooLong(usize),
}

/// What a format allows in its pickles.
pub(super) struct Dialect<G> {
    /// The closed list: from module and name to the caller's own.
    pub(super) find: fn(module: &str, name: &str) -> Option<G>,
    /// What stands for a function or class outside the list; refused where there is none.
    pub(super) foreign: Option<fn(Foreign) -> G>,
    /// A persistent id, which means something outside the pickle, is noted as a call of this;
    /// refused where there is none.
    pub(super) persistent_id: Option<G>,
    /// Opcodes that are run at most.
    pub(super) max_opcodes: usize,
}

/// Reads the pickle that begins at `start` of `file`.
pub(super) fn load<G: Copy>(
    file: &[u8],
    start: usize,
    dialect: &Dialect<G>,
) -> Result<Pickle<G>, PickleError> {
    let mut machine = Machine::new(Input { file, at: start }, dialect);
    for _ in 0..dialect.max_opcodes {
        let at = machine.at();
        let step = machine.step();
        let opcode = file.get(at).copied().unwrap_or_default();
        if let Some(root) = step.map_err(|fault| fault.of(opcode, at))? {
            return Ok(machine.finish(root));
        }
    }
    Err(PickleError::TooLong(dialect.max_opcodes))
}
