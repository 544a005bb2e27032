//! The stack machine: what each opcode does.

use std::collections::HashMap;

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
            op::PROTO => self.check_protocol()?,
            op::FRAME => self.check_frame()?,
            op::STOP => return self.pop().map(Some),

            op::MARK => self.marks.push(self.stack.len()),
            op::POP => _ = self.pop()?,
            op::POP_MARK => _ = self.pop_mark()?,
            op::DUP => self.duplicate()?,
            op::BINPUT => self.memoize(1)?,
            op::LONG_BINPUT => self.memoize(4)?,
            op::PUT => self.memo_key().and_then(|key| self.memoize_as(key))?,
            op::MEMOIZE => self.memoize_as(self.memo.len() as u64)?,
            op::BINGET => self.recall(1)?,
            op::LONG_BINGET => self.recall(4)?,
            op::GET => self.memo_key().and_then(|key| self.recall_key(key))?,

            op::NONE => self.push(Value::None),
            op::NEWTRUE => self.push(Value::Bool(true)),
            op::NEWFALSE => self.push(Value::Bool(false)),
            op::BININT => self.int32()?,
            op::BININT1 => self.unsigned(1)?,
            op::BININT2 => self.unsigned(2)?,
            op::LONG1 => self.long(1)?,
            op::LONG4 => self.long(4)?,
            op::INT | op::LONG => self.decimal_integer()?,
            op::FLOAT => self.decimal_float()?,
            op::BINFLOAT => self.float64()?,

            op::SHORT_BINSTRING | op::SHORT_BINBYTES => self.bytes(1)?,
            op::BINSTRING | op::BINBYTES => self.bytes(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.bytes(8)?,
            op::SHORT_BINUNICODE => self.text(1)?,
            op::BINUNICODE => self.text(4)?,
            op::BINUNICODE8 => self.text(8)?,
            op::STRING => self.quoted_line()?,
            op::UNICODE => self.text_line()?,

            op::EMPTY_TUPLE => self.push(Value::Tuple(Box::default())),
            op::TUPLE => self.pop_mark().map(|items| self.push_tuple(&items))?,
            op::TUPLE1 => self.pop_last::<1>().map(|items| self.push_tuple(&items))?,
            op::TUPLE2 => self.pop_last::<2>().map(|items| self.push_tuple(&items))?,
            op::TUPLE3 => self.pop_last::<3>().map(|items| self.push_tuple(&items))?,
            op::EMPTY_LIST | op::EMPTY_SET => self.push(Value::List(Vec::new())),
            op::LIST | op::FROZENSET => self.list()?,
            op::APPEND => self.pop().and_then(|item| self.append(&[item]))?,
            op::APPENDS | op::ADDITEMS => self.pop_mark().and_then(|items| self.append(&items))?,
            op::EMPTY_DICT => self.push(Value::Dict(Vec::new())),
            op::DICT => self.dict()?,
            op::SETITEM => self
                .pop_last::<2>()
                .and_then(|item| self.set_items(&item))?,
            op::SETITEMS => self.pop_mark().and_then(|items| self.set_items(&items))?,

            op::GLOBAL => self.global_of_lines()?,
            op::STACK_GLOBAL => self.global_of_stack()?,
            op::EXT1 => self.extension(1)?,
            op::EXT2 => self.extension(2)?,
            op::EXT4 => self.extension(4)?,
            op::REDUCE | op::NEWOBJ => self
                .pop_last()
                .and_then(|[callable, args]| self.call(callable, args))?,
            op::NEWOBJ_EX => self
                .pop_last()
                .and_then(|[callable, args, _keywords]| self.call(callable, args))?,
            op::INST => self.instance()?,
            op::OBJ => self.object()?,
            op::BINPERSID => self.persistent()?,
            op::BUILD => self.set_state()?,
            _ => return Err(Fault::Unknown),
        }
        Ok(None)
    }

    fn check_protocol(&mut self) -> Result<(), Fault> {
        match self.input.array()? {
            [0..=5] => Ok(()),
            [newer] => Err(Fault::Other(PickleError::Protocol(newer))),
        }
    }

    /// A frame is for buffered readers; here its length tells early that the file is cut off.
    fn check_frame(&mut self) -> Result<(), Fault> {
        let length = self.input.unsigned(8)?;
        self.input.check_ahead(length)
    }
}
