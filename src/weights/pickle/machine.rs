//! The stack machine: what each opcode does.

use std::collections::HashMap;
use std::num::IntErrorKind;

use super::input::{Fault, Input};
use super::{Dialect, PickleError};
use crate::weights::opcode as op;
use crate::weights::pickled::{Foreign, Id, Pickle, Value};

pub(super) struct Machine<'a, G> {
    pub(super) input: Input<'a>,
    pub(super) dialect: &'a Dialect<G>,
    pub(super) values: Vec<Value<G>>,
    pub(super) stack: Vec<Id>,
    /// Heights of the stack at each open mark; nothing below the last may be popped.
    pub(super) marks: Vec<usize>,
    pub(super) memo: HashMap<u64, Id>,
    /// Names outside the dialect's list, and their places in it.
    pub(super) foreign: Vec<String>,
    pub(super) foreign_ids: HashMap<String, Foreign>,
}

impl<'a, G: Copy> Machine<'a, G> {
    pub(super) fn new(input: Input<'a>, dialect: &'a Dialect<G>) -> Self {
        Self {
            input,
            dialect,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            foreign: Vec::new(),
            foreign_ids: HashMap::new(),
        }
    }

    /// Place in the file of the next opcode.
    pub(super) fn at(&self) -> usize {
        self.input.at
    }

    /// All values, where `root` is what the pickle stands for.
    pub(super) fn finish(self, root: Id) -> Pickle<G> {
        Pickle {
            values: self.values,
            foreign: self.foreign,
            root,
            end: self.input.at,
        }
    }

    /// Runs one opcode; the pickle's value when it was the last.
    pub(super) fn step(&mut self) -> Result<Option<Id>, Fault> {
        let [opcode] = self.input.array()?;
        match opcode {
            op::PROTO => match self.input.array()? {
                [0..=5] => {}
                [newer] => return Err(Fault::Other(PickleError::Protocol(newer))),
            },
            op::FRAME => {
                // A frame is for buffered readers; here its length tells early that the file is cut
                // off.
                let length = self.input.unsigned(8)?;
                self.input.check_ahead(length)?;
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
            op::PUT => {
                let (key, top) = (self.number()?, self.top()?);
                self.memo.insert(key, top);
            }
            op::MEMOIZE => {
                let (key, top) = (self.memo.len() as u64, self.top()?);
                self.memo.insert(key, top);
            }
            op::BINGET => self.recall(1)?,
            op::LONG_BINGET => self.recall(4)?,
            op::GET => {
                let key = self.number()?;
                self.recall_key(key)?;
            }

            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BININT => {
                let int = i32::from_le_bytes(self.input.array()?);
                self.push(Value::Int(int.into()));
            }
            op::BININT1 => {
                let int = self.input.unsigned(1)?;
                self.push(Value::Int(int as i64));
            }
            op::BININT2 => {
                let int = self.input.unsigned(2)?;
                self.push(Value::Int(int as i64));
            }
            op::LONG1 => self.long(1)?,
            op::LONG4 => self.long(4)?,
            op::INT | op::LONG => {
                let value = match self.input.word()? {
                    "00" => Value::Bool(false),
                    "01" => Value::Bool(true),
                    digits => integer(digits).ok_or(Fault::Damaged)?,
                };
                self.push(value);
            }
            op::FLOAT => {
                let float = self.input.word()?.parse();
                self.push(Value::Float(float.map_err(|_| Fault::Damaged)?));
            }
            op::BINFLOAT => {
                let float = f64::from_be_bytes(self.input.array()?);
                self.push(Value::Float(float));
            }

            op::SHORT_BINSTRING | op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINSTRING | op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.bytes(8)?,
            op::SHORT_BINUNICODE => self.text(1)?,
            op::BINUNICODE => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::STRING => {
                let line = self.input.line()?;
                let quoted = &self.input.file[line.clone()];
                let plain = !quoted.contains(&b'\\') && line.len() >= 2;
                self.push(match plain {
                    true => Value::Bytes(line.start + 1..line.end - 1),
                    false => Value::Other,
                });
            }
            op::UNICODE => {
                let line = self.input.line()?;
                let plain = !self.input.file[line.clone()].contains(&b'\\');
                self.push(match plain {
                    true => Value::Text(line),
                    false => Value::Other,
                });
            }

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
            op::EMPTY_LIST | op::EMPTY_SET => self.push(Value::List(Vec::new())),
            op::LIST | op::FROZENSET => {
                let items = self.pop_mark()?;
                self.push(Value::List(items));
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS | op::ADDITEMS => {
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
                let (module, name) = (self.input.word()?, self.input.word()?);
                let global = self.global(module, name)?;
                self.push(Value::Global(global));
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (module, name) = (self.name(module)?, self.name(name)?);
                let global = self.global(module, name)?;
                self.push(Value::Global(global));
            }
            op::EXT1 => self.extension(1)?,
            op::EXT2 => self.extension(2)?,
            op::EXT4 => self.extension(4)?,
            op::REDUCE | op::NEWOBJ => {
                let (args, callable) = (self.pop()?, self.pop()?);
                let callable = self.callable(callable)?;
                self.call(callable, args)?;
            }
            op::NEWOBJ_EX => {
                let (_keywords, args, callable) = (self.pop()?, self.pop()?, self.pop()?);
                let callable = self.callable(callable)?;
                self.call(callable, args)?;
            }
            op::INST => {
                let (module, name) = (self.input.word()?, self.input.word()?);
                let callable = self.global(module, name)?;
                let args = self.pop_mark()?;
                self.call_with(callable, &args);
            }
            op::OBJ => {
                let items = self.pop_mark()?;
                let (&callable, args) = items.split_first().ok_or(Fault::Damaged)?;
                let callable = self.callable(callable)?;
                self.call_with(callable, args);
            }
            op::BINPERSID => {
                let callable = self.dialect.persistent_id.ok_or(Fault::Unknown)?;
                let id = self.pop()?;
                self.call(callable, id)?;
            }
            op::BUILD => {
                let state = self.pop()?;
                match self.top_mut()? {
                    Value::Object(object) => object.state = Some(state),
                    _ => return Err(Fault::Damaged),
                }
            }
            _ => return Err(Fault::Unknown),
        }
        Ok(None)
    }
}

/// A whole number as Python 2 writes it; `None` for what is no number.
fn integer<G>(text: &str) -> Option<Value<G>> {
    let digits = text.strip_suffix('L').unwrap_or(text);
    match digits.parse() {
        Ok(number) => Some(Value::Int(number)),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Some(Value::Other),
            _ => None,
        },
    }
}
