//! A pickle read as plain data. A pickle is a program for a stack machine that may call any Python
//! function; this machine knows the opcodes that build values, and instead of calling anything it
//! notes the call as an [`Object`]. The caller says which functions and classes may be named at
//! all, and gives the objects their meaning.

use std::collections::HashMap;
use std::ops::Range;

use thiserror::Error;

use super::opcode as op;
use super::pickled::{Id, Object, Pickle, Value};

/// Opcodes that are run at most. A VGG16 takes about a thousand, a checkpoint with its optimiser
/// about fifty a tensor. Each makes at most one value of some 32 bytes, so this bounds memory too.
pub(super) const MAX_OPCODES: usize = 1 << 19;

/// Bytes in a module's or function's name at most.
const MAX_GLOBAL: usize = 256;

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
    /// It names a function or class outside the closed list.
    #[error("the pickle calls {name}: refused, nothing in a file is executed")]
    Refused {
        /// Module and name, with dots; control characters are escaped.
        name: String,
    },
    /// An opcode outside the closed list.
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
    let mut machine = Machine {
        file,
        at: start,
        opcode: 0,
        opcode_at: start,
        dialect,
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..dialect.max_opcodes {
        if let Some(root) = machine.step()? {
            return Ok(Pickle {
                values: machine.values,
                root,
                end: machine.at,
            });
        }
    }
    Err(PickleError::TooLong(dialect.max_opcodes))
}

struct Machine<'a, G> {
    file: &'a [u8],
    at: usize,
    /// The opcode at work and its place, for errors.
    opcode: u8,
    opcode_at: usize,
    dialect: &'a Dialect<G>,
    values: Vec<Value<G>>,
    stack: Vec<Id>,
    /// Heights of the stack at each open mark; nothing below the last may be popped.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a, G: Copy> Machine<'a, G> {
    /// Runs one opcode; the pickle's value when it was the last.
    fn step(&mut self) -> Result<Option<Id>, PickleError> {
        self.opcode_at = self.at;
        self.opcode = self.array::<1>()?[0];
        match self.opcode {
            op::PROTO => match self.array()? {
                [0..=5] => {}
                [newer] => return Err(PickleError::Protocol(newer)),
            },
            op::FRAME => {
                // A frame is for buffered readers; here its length tells early that the file is cut
                // off.
                let length = self.unsigned(8)?;
                self.check_ahead(length)?;
            }
            op::STOP => return self.pop().map(Some),

            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                self.pop()?;
            }
            op::POP_MARK => {
                self.pop_mark()?;
            }
            op::DUP => {
                let top = self.top()?;
                self.stack.push(top);
            }
            op::BINPUT => self.memoize(1)?,
            op::LONG_BINPUT => self.memoize(4)?,
            op::MEMOIZE => {
                let (key, top) = (self.memo.len() as u64, self.top()?);
                self.memo.insert(key, top);
            }
            op::BINGET => self.recall(1)?,
            op::LONG_BINGET => self.recall(4)?,

            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BININT => {
                let int = i32::from_le_bytes(self.array()?);
                self.push(Value::Int(int.into()));
            }
            op::BININT1 => {
                let int = self.unsigned(1)?;
                self.push(Value::Int(int as i64));
            }
            op::BININT2 => {
                let int = self.unsigned(2)?;
                self.push(Value::Int(int as i64));
            }
            op::LONG1 => {
                let bytes = self.counted(1)?;
                let int = little_endian(&self.file[bytes]);
                self.push(int.map_or(Value::Huge, Value::Int));
            }
            op::INT => {
                let value = match self.line()? {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    digits => Value::Int(digits.parse().map_err(|_| self.damaged())?),
                };
                self.push(value);
            }
            op::BINFLOAT => {
                let float = f64::from_be_bytes(self.array()?);
                self.push(Value::Float(float));
            }

            op::SHORT_BINSTRING | op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINSTRING | op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.bytes(8)?,
            op::SHORT_BINUNICODE => self.text(1)?,
            op::BINUNICODE => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,

            op::EMPTY_TUPLE => self.push(Value::Tuple(Box::default())),
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push(Value::Tuple(items.into()));
            }
            op::TUPLE1 => {
                let items = [self.pop()?];
                self.push(Value::Tuple(items.into()));
            }
            op::TUPLE2 => {
                let (b, a) = (self.pop()?, self.pop()?);
                self.push(Value::Tuple([a, b].into()));
            }
            op::TUPLE3 => {
                let (c, b, a) = (self.pop()?, self.pop()?, self.pop()?);
                self.push(Value::Tuple([a, b, c].into()));
            }
            op::EMPTY_LIST => self.push(Value::List(Vec::new())),
            op::LIST => {
                let items = self.pop_mark()?;
                self.push(Value::List(items));
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new())),
            op::DICT => {
                let items = self.pop_mark()?;
                self.push(Value::Dict(Vec::new()));
                self.set_items(&items)?;
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }

            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.name(module)?, self.name(name)?);
                self.global(module, name)?;
            }
            op::REDUCE | op::NEWOBJ => {
                let (args, callable) = (self.pop()?, self.pop()?);
                let Value::Global(callable) = *self.value(callable) else {
                    return Err(self.damaged());
                };
                self.call(callable, args)?;
            }
            op::BINPERSID => {
                let callable = self.dialect.persistent_id.ok_or_else(|| self.refused())?;
                let id = self.pop()?;
                self.call(callable, id)?;
            }
            op::BUILD => {
                let state = self.pop()?;
                match self.top_mut()? {
                    Value::Object(object) => object.state = Some(state),
                    _ => return Err(self.damaged()),
                }
            }
            _ => return Err(self.refused()),
        }
        Ok(None)
    }

    fn damaged(&self) -> PickleError {
        PickleError::Damaged {
            opcode: self.opcode,
            at: self.opcode_at,
        }
    }

    fn refused(&self) -> PickleError {
        PickleError::Opcode {
            opcode: self.opcode,
            at: self.opcode_at,
        }
    }

    // The file

    fn check_ahead(&self, length: u64) -> Result<(), PickleError> {
        let left = (self.file.len() - self.at) as u64;
        if length > left {
            Err(PickleError::Truncated {
                missing: length - left,
            })
        } else {
            Ok(())
        }
    }

    /// Passes over `length` bytes and says where they are.
    fn span(&mut self, length: u64) -> Result<Range<usize>, PickleError> {
        self.check_ahead(length)?;
        let start = self.at;
        self.at += length as usize;
        Ok(start..self.at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let span = self.span(N as u64)?;
        Ok(self.file[span].try_into().expect("the span has N bytes"))
    }

    /// A little-endian number of `width` bytes, at most 8.
    fn unsigned(&mut self, width: u64) -> Result<u64, PickleError> {
        let span = self.span(width)?;
        Ok(self.file[span]
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// Passes over bytes that their length, a number of `width` bytes, goes before.
    fn counted(&mut self, width: u64) -> Result<Range<usize>, PickleError> {
        let length = self.unsigned(width)?;
        self.span(length)
    }

    /// An argument that ends with the line.
    fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = &self.file[self.at..];
        let near = &rest[..rest.len().min(MAX_GLOBAL)];
        let Some(length) = near.iter().position(|&byte| byte == b'\n') else {
            return Err(if near.len() < MAX_GLOBAL {
                PickleError::Truncated { missing: 1 }
            } else {
                self.damaged()
            });
        };
        let line = std::str::from_utf8(&near[..length]).map_err(|_| self.damaged())?;
        self.at += length + 1;
        Ok(line)
    }

    // Values and the stack

    fn value(&self, id: Id) -> &Value<G> {
        &self.values[id.0 as usize]
    }

    fn push(&mut self, value: Value<G>) {
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
    }

    fn bytes(&mut self, width: u64) -> Result<(), PickleError> {
        let span = self.counted(width)?;
        self.push(Value::Bytes(span));
        Ok(())
    }

    fn text(&mut self, width: u64) -> Result<(), PickleError> {
        let span = self.counted(width)?;
        self.push(Value::Text(span));
        Ok(())
    }

    /// The topmost value above the last mark.
    fn top(&self) -> Result<Id, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack[floor..]
            .last()
            .copied()
            .ok_or_else(|| self.damaged())
    }

    fn top_mut(&mut self) -> Result<&mut Value<G>, PickleError> {
        let top = self.top()?;
        Ok(&mut self.values[top.0 as usize])
    }

    fn pop(&mut self) -> Result<Id, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// All values above the last mark, lowest first.
    fn pop_mark(&mut self) -> Result<Vec<Id>, PickleError> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged())?;
        Ok(self.stack.split_off(mark))
    }

    fn memoize(&mut self, width: u64) -> Result<(), PickleError> {
        let (key, top) = (self.unsigned(width)?, self.top()?);
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, width: u64) -> Result<(), PickleError> {
        let key = self.unsigned(width)?;
        let id = *self.memo.get(&key).ok_or_else(|| self.damaged())?;
        self.stack.push(id);
        Ok(())
    }

    fn append(&mut self, new: &[Id]) -> Result<(), PickleError> {
        match self.top_mut()? {
            Value::List(items) => items.extend(new),
            _ => return Err(self.damaged()),
        }
        Ok(())
    }

    fn set_items(&mut self, new: &[Id]) -> Result<(), PickleError> {
        let (pairs, []) = new.as_chunks::<2>() else {
            return Err(self.damaged());
        };
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match self.top_mut()? {
            Value::Dict(items) => items.extend(pairs),
            Value::Object(object) => object.items.extend(pairs),
            _ => return Err(self.damaged()),
        }
        Ok(())
    }

    // Functions and classes

    /// The text of a module's or function's name.
    fn name(&self, id: Id) -> Result<&'a str, PickleError> {
        match self.value(id) {
            Value::Text(span) if span.len() <= MAX_GLOBAL => {
                std::str::from_utf8(&self.file[span.clone()]).map_err(|_| self.damaged())
            }
            _ => Err(self.damaged()),
        }
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let Some(global) = (self.dialect.find)(module, name) else {
            return Err(PickleError::Refused {
                name: format!("{module}.{name}").escape_debug().to_string(),
            });
        };
        self.push(Value::Global(global));
        Ok(())
    }

    /// Notes a call, and calls nothing.
    fn call(&mut self, callable: G, args: Id) -> Result<(), PickleError> {
        if !matches!(self.value(args), Value::Tuple(_)) {
            return Err(self.damaged());
        }
        let object = Object {
            callable,
            args,
            state: None,
            items: Vec::new(),
        };
        self.push(Value::Object(Box::new(object)));
        Ok(())
    }
}

/// A signed integer of any length in two's complement; `None` when it does not fit.
fn little_endian(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut wide = [if negative { 0xFF } else { 0 }; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide))
}
