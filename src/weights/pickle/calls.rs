//! Functions and classes, and calls, which are noted and not made.

use super::PickleError;
use super::attack::is_attack;
use super::input::{Fault, MAX_WORD};
use super::machine::Machine;
use crate::weights::pickled::{Foreign, Id, Object, Value};

/// Names of unknown functions and classes that are kept at most; a checkpoint has a few dozen.
const MAX_FOREIGN: usize = 1 << 12;

impl<'a, G: Copy> Machine<'a, G> {
    /// The text of a module's or function's name.
    fn name(&self, id: Id) -> Result<&'a str, Fault> {
        match self.value(id) {
            Value::Text(span) | Value::Bytes(span) if span.len() <= MAX_WORD => {
                let file: &'a [u8] = self.input.file;
                std::str::from_utf8(&file[span.clone()]).map_err(|_| Fault::Damaged)
            }
            _ => Err(Fault::Damaged),
        }
    }

    pub(super) fn global_of_lines(&mut self) -> Result<(), Fault> {
        let (module, name) = (self.input.word()?, self.input.word()?);
        let global = self.global(module, name)?;
        self.push(Value::Global(global));
        Ok(())
    }

    pub(super) fn global_of_stack(&mut self) -> Result<(), Fault> {
        let [module, name] = self.pop_last()?;
        let (module, name) = (self.name(module)?, self.name(name)?);
        let global = self.global(module, name)?;
        self.push(Value::Global(global));
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<G, Fault> {
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
    fn foreign(&mut self, name: String) -> Result<G, Fault> {
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
    fn callable(&self, id: Id) -> Result<G, Fault> {
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

    /// Notes a call of a value of the stack, and calls nothing.
    pub(super) fn call(&mut self, callable: Id, args: Id) -> Result<(), Fault> {
        let callable = self.callable(callable)?;
        self.note_call(callable, args)
    }

    fn note_call(&mut self, callable: G, args: Id) -> Result<(), Fault> {
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

    /// An instance of the class of two lines, by the arguments above the last mark.
    pub(super) fn instance(&mut self) -> Result<(), Fault> {
        let (module, name) = (self.input.word()?, self.input.word()?);
        let class = self.global(module, name)?;
        let args = self.pop_mark()?;
        self.note_call_with(class, &args)
    }

    /// The same, where the class stands first above the last mark.
    pub(super) fn object(&mut self) -> Result<(), Fault> {
        let items = self.pop_mark()?;
        let (&class, args) = items.split_first().ok_or(Fault::Damaged)?;
        let class = self.callable(class)?;
        self.note_call_with(class, args)
    }

    fn note_call_with(&mut self, callable: G, args: &[Id]) -> Result<(), Fault> {
        let id = Id(self.values.len() as u32);
        self.values.push(Value::Tuple(args.into()));
        self.note_call(callable, id)
    }

    /// What the topmost value stands for outside the pickle.
    pub(super) fn persistent(&mut self) -> Result<(), Fault> {
        let callable = self.dialect.persistent_id.ok_or(Fault::Unknown)?;
        let id = self.pop()?;
        self.note_call(callable, id)
    }
}
