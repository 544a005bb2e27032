//! The machine's stack and memo, its values, and calls, which are noted and not made.

use super::PickleError;
use super::attack::is_attack;
use super::input::{Fault, MAX_WORD, little_endian};
use super::machine::Machine;
use crate::weights::pickled::{Foreign, Id, Object, Value};

/// Names of unknown functions and classes that are kept at most; a checkpoint has a few dozen.
const MAX_FOREIGN: usize = 1 << 12;

impl<'a, G: Copy> Machine<'a, G> {
    fn value(&self, id: Id) -> &Value<G> {
        &self.values[id.0 as usize]
    }

    pub(super) fn push(&mut self, value: Value<G>) {
        self.stack.push(Id(self.values.len() as u32));
        self.values.push(value);
    }

    pub(super) fn bytes(&mut self, width: u64) -> Result<(), Fault> {
        let span = self.input.counted(width)?;
        self.push(Value::Bytes(span));
        Ok(())
    }

    pub(super) fn text(&mut self, width: u64) -> Result<(), Fault> {
        let span = self.input.counted(width)?;
        self.push(Value::Text(span));
        Ok(())
    }

    pub(super) fn long(&mut self, width: u64) -> Result<(), Fault> {
        let bytes = self.input.counted(width)?;
        let int = little_endian(&self.input.file[bytes]);
        self.push(int.map_or(Value::Other, Value::Int));
        Ok(())
    }

    /// The topmost value above the last mark.
    pub(super) fn top(&self) -> Result<Id, Fault> {
        let floor = self.marks.last().copied().unwrap_or(0);
        self.stack[floor..].last().copied().ok_or(Fault::Damaged)
    }

    pub(super) fn top_mut(&mut self) -> Result<&mut Value<G>, Fault> {
        let top = self.top()?;
        Ok(&mut self.values[top.0 as usize])
    }

    pub(super) fn pop(&mut self) -> Result<Id, Fault> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    /// All values above the last mark, lowest first.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop().ok_or(Fault::Damaged)?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn memoize(&mut self, width: u64) -> Result<(), Fault> {
        let (key, top) = (self.input.unsigned(width)?, self.top()?);
        self.memo.insert(key, top);
        Ok(())
    }

    pub(super) fn recall(&mut self, width: u64) -> Result<(), Fault> {
        let key = self.input.unsigned(width)?;
        self.recall_key(key)
    }

    pub(super) fn recall_key(&mut self, key: u64) -> Result<(), Fault> {
        let id = *self.memo.get(&key).ok_or(Fault::Damaged)?;
        self.stack.push(id);
        Ok(())
    }

    /// A place in the memo that is written as text.
    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        self.input.word()?.parse().map_err(|_| Fault::Damaged)
    }

    pub(super) fn append(&mut self, new: &[Id]) -> Result<(), Fault> {
        match self.top_mut()? {
            Value::List(items) => items.extend(new),
            Value::Object(object) => object.appended.extend(new),
            _ => return Err(Fault::Damaged),
        }
        Ok(())
    }

    pub(super) fn set_items(&mut self, new: &[Id]) -> Result<(), Fault> {
        let (pairs, []) = new.as_chunks::<2>() else {
            return Err(Fault::Damaged);
        };
        let pairs = pairs.iter().map(|&[key, value]| (key, value));
        match self.top_mut()? {
            Value::Dict(items) => items.extend(pairs),
            Value::Object(object) => object.items.extend(pairs),
            _ => return Err(Fault::Damaged),
        }
        Ok(())
    }

    // Functions and classes

    /// The text of a module's or function's name.
    pub(super) fn name(&self, id: Id) -> Result<&'a str, Fault> {
        match self.value(id) {
            Value::Text(span) | Value::Bytes(span) if span.len() <= MAX_WORD => {
                let file: &'a [u8] = self.input.file;
                std::str::from_utf8(&file[span.clone()]).map_err(|_| Fault::Damaged)
            }
            _ => Err(Fault::Damaged),
        }
    }

    pub(super) fn global(&mut self, module: &str, name: &str) -> Result<G, Fault> {
        if let Some(global) = (self.dialect.find)(module, name) {
            return Ok(global);
        }
        let full = format!("{module}.{name}").escape_debug().to_string();
        if is_attack(module, name) {
            return Err(Fault::Other(PickleError::Refused { name: full }));
        }
        self.foreign(full)
    }

    /// A function or class outside the list.
    pub(super) fn foreign(&mut self, name: String) -> Result<G, Fault> {
        let Some(foreign) = self.dialect.foreign else {
            return Err(Fault::Other(PickleError::Refused { name }));
        };
        if let Some(&known) = self.foreign_ids.get(&name) {
            return Ok(foreign(known));
        }
        // The last one stands for all that come after it.
        let id = Foreign(self.foreign.len().min(MAX_FOREIGN - 1) as u16);
        if self.foreign.len() < MAX_FOREIGN {
            self.foreign.push(name.clone());
            self.foreign_ids.insert(name, id);
        }
        Ok(foreign(id))
    }

    /// A class that the process which wrote the file had given a number.
    pub(super) fn extension(&mut self, width: u64) -> Result<(), Fault> {
        let code = self.input.unsigned(width)?;
        let global = self.foreign(format!("extension code {code}"))?;
        self.push(Value::Global(global));
        Ok(())
    }

    /// What is called. A function that the pickle makes by a call, such as `getattr(Class, 'method')`, goes by the first
    /// name in that call's arguments.
    pub(super) fn callable(&self, id: Id) -> Result<G, Fault> {
        match self.value(id) {
            Value::Global(global) => Ok(*global),
            Value::Object(object) => {
                let Value::Tuple(args) = self.value(object.args) else {
                    return Err(Fault::Damaged);
                };
                let global = args.iter().find_map(|&arg| match self.value(arg) {
                    Value::Global(global) => Some(*global),
                    _ => None,
                });
                Ok(global.unwrap_or(object.callable))
            }
            _ => Err(Fault::Damaged),
        }
    }

    /// Notes a call, and calls nothing.
    pub(super) fn call(&mut self, callable: G, args: Id) -> Result<(), Fault> {
        if !matches!(self.value(args), Value::Tuple(_)) {
            return Err(Fault::Damaged);
        }
        self.push(Value::Object(Box::new(Object {
            callable,
            args,
            state: None,
            items: Vec::new(),
            appended: Vec::new(),
        })));
        Ok(())
    }

    pub(super) fn call_with(&mut self, callable: G, args: &[Id]) {
        let id = Id(self.values.len() as u32);
        self.values.push(Value::Tuple(args.into()));
        self.call(callable, id).ok().expect("a tuple");
    }
}
