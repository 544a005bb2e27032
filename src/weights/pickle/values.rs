//! The machine's stack and memo, and its values but for calls.

use std::num::IntErrorKind;

use super::input::{Fault, little_endian};
use super::machine::Machine;
use crate::weights::pickled::{Id, Value};

impl<G: Copy> Machine<'_, G> {
    pub(super) fn value(&self, id: Id) -> &Value<G> {
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

    pub(super) fn int32(&mut self) -> Result<(), Fault> {
        let int = i32::from_le_bytes(self.input.array()?);
        self.push(Value::Int(int.into()));
        Ok(())
    }

    /// A whole number of `width` bytes, fewer than 8.
    pub(super) fn unsigned(&mut self, width: u64) -> Result<(), Fault> {
        let int = self.input.unsigned(width)?;
        self.push(Value::Int(int as i64));
        Ok(())
    }

    pub(super) fn float64(&mut self) -> Result<(), Fault> {
        let float = f64::from_be_bytes(self.input.array()?);
        self.push(Value::Float(float));
        Ok(())
    }

    pub(super) fn long(&mut self, width: u64) -> Result<(), Fault> {
        let bytes = self.input.counted(width)?;
        let int = little_endian(&self.input.file[bytes]);
        self.push(int.map_or(Value::Other, Value::Int));
        Ok(())
    }

    /// A whole number as text, or a truth value, which protocol 0 writes as one.
    pub(super) fn decimal_integer(&mut self) -> Result<(), Fault> {
        let value = match self.input.word()? {
            "00" => Value::Bool(false),
            "01" => Value::Bool(true),
            digits => integer(digits).ok_or(Fault::Damaged)?,
        };
        self.push(value);
        Ok(())
    }

    pub(super) fn decimal_float(&mut self) -> Result<(), Fault> {
        let float = self.input.word()?.parse();
        self.push(Value::Float(float.map_err(|_| Fault::Damaged)?));
        Ok(())
    }

    /// Bytes in quotes, up to the line's end.
    pub(super) fn quoted_line(&mut self) -> Result<(), Fault> {
        let line = self.input.line()?;
        let has_escapes = self.input.file[line.clone()].contains(&b'\\');
        self.push(match has_escapes || line.len() < 2 {
            true => Value::Other,
            false => Value::Bytes(line.start + 1..line.end - 1),
        });
        Ok(())
    }

    /// Text up to the line's end.
    pub(super) fn text_line(&mut self) -> Result<(), Fault> {
        let line = self.input.line()?;
        let has_escapes = self.input.file[line.clone()].contains(&b'\\');
        self.push(match has_escapes {
            true => Value::Other,
            false => Value::Text(line),
        });
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

    /// The last `N` values, lowest first.
    pub(super) fn pop_last<const N: usize>(&mut self) -> Result<[Id; N], Fault> {
        let mut last = [Id(0); N];
        for id in last.iter_mut().rev() {
            *id = self.pop()?;
        }
        Ok(last)
    }

    /// All values above the last mark, lowest first.
    pub(super) fn pop_mark(&mut self) -> Result<Vec<Id>, Fault> {
        let mark = self.marks.pop().ok_or(Fault::Damaged)?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn duplicate(&mut self) -> Result<(), Fault> {
        let top = self.top()?;
        self.stack.push(top);
        Ok(())
    }

    pub(super) fn memoize(&mut self, width: u64) -> Result<(), Fault> {
        let key = self.input.unsigned(width)?;
        self.memoize_as(key)
    }

    /// Keeps the topmost value in the memo.
    pub(super) fn memoize_as(&mut self, key: u64) -> Result<(), Fault> {
        let top = self.top()?;
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
    pub(super) fn memo_key(&mut self) -> Result<u64, Fault> {
        self.input.word()?.parse().map_err(|_| Fault::Damaged)
    }

    pub(super) fn push_tuple(&mut self, items: &[Id]) {
        self.push(Value::Tuple(items.into()));
    }

    /// A list of the values above the last mark.
    pub(super) fn list(&mut self) -> Result<(), Fault> {
        let items = self.pop_mark()?;
        self.push(Value::List(items));
        Ok(())
    }

    /// A dictionary of the keys and values above the last mark.
    pub(super) fn dict(&mut self) -> Result<(), Fault> {
        let items = self.pop_mark()?;
        self.push(Value::Dict(Vec::new()));
        self.set_items(&items)
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

    /// Gives the object below it the topmost value as its state.
    pub(super) fn set_state(&mut self) -> Result<(), Fault> {
        let state = self.pop()?;
        match self.top_mut()? {
            Value::Object(object) => object.state = Some(state),
            _ => return Err(Fault::Damaged),
        }
        Ok(())
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
