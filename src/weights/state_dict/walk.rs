//! The way through dictionaries, lists and objects to the tensors.

use std::collections::HashSet;
use std::sync::Arc;

use super::StateDictError;
use crate::weights::numpy::{self, Array, ArrayError, Arrays, OfNumpy};
use crate::weights::pickled::{
    Foreign, Id, MAX_DEPTH, MAX_NAME, MAX_TENSORS, MAX_VISITS, Object, Pickle, Value,
};
use crate::weights::source::Source;
use crate::weights::tensor::Tensor;
use crate::weights::torch::Storages;
use crate::weights::torch_global::Global;
use crate::weights::{Contents, Skipped};

fn is_tensor(value: &Value<Global>) -> bool {
    match value {
        Value::Object(object) => matches!(
            object.callable,
            Global::Tensor
                | Global::TypedTensor
                | Global::Quantised
                | Global::Attributed
                | Global::OtherTensor(_)
        ),
        _ => false,
    }
}

fn is_array(value: &Value<Global>) -> bool {
    let (makes, makes_of_bytes) = (numpy::Global::Reconstruct, numpy::Global::FromBuffer);
    match value {
        Value::Object(object) => {
            let numpy = object.callable.of_numpy();
            numpy == Some(makes) || numpy == Some(makes_of_bytes)
        }
        _ => false,
    }
}

/// A walk through all values, with what it has found.
pub(super) struct Walk<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) pickle: &'a Pickle<Global>,
    pub(super) storages: &'a Storages<'a>,
    arrays: Arrays<'a, Global>,
    /// Whether there are tensors below a value: nothing else is looked at.
    leads: Vec<bool>,
    /// Path to the value at hand.
    pub(super) name: String,
    /// Whether that value is a part of a `torch.nn.Module`, whose names have dots.
    in_module: bool,
    visits: usize,
    /// Objects whose attributes were looked at: they often hold each other.
    pub(super) seen: HashSet<Id>,
    /// Objects of unknown classes with tensors below them.
    pub(super) entered: Vec<(String, Foreign)>,
    /// Elements of quantised tensors so far.
    pub(super) computed: usize,
    pub(super) found: Contents,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        source: &'a Arc<Source>,
        pickle: &'a Pickle<Global>,
        storages: &'a Storages<'a>,
    ) -> Self {
        // Arrays beside torch's tensors are statistics, class names and the like: they are the weights where there is nothing else.
        let is_wanted = match pickle.values.iter().any(is_tensor) {
            true => is_tensor,
            false => is_array,
        };
        Self {
            source,
            pickle,
            storages,
            leads: pickle.leads_to(is_wanted),
            arrays: Arrays::new(source, pickle),
            name: String::new(),
            in_module: false,
            visits: 0,
            seen: HashSet::new(),
            entered: vec![],
            computed: 0,
            found: Contents::default(),
        }
    }

    pub(super) fn leads(&self, id: Id) -> bool {
        self.leads[id.0 as usize]
    }

    /// Adds the tensors in `id`. Numbers, text and the like beside them are passed over.
    pub(super) fn visit(&mut self, id: Id, depth: usize) -> Result<(), StateDictError> {
        // A module without tensors tells what the network computes.
        if !self.leads(id) && !self.in_module {
            return Ok(());
        }
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err(StateDictError::TooMany);
        }
        if depth > MAX_DEPTH {
            return Err(StateDictError::TooDeep);
        }
        let pickle = self.pickle;
        match &pickle[id] {
            Value::Dict(items) => self.dict(items, depth),
            Value::List(items) => self.list(items, depth),
            Value::Tuple(items) => self.list(items, depth),
            Value::Object(object) => self.object(id, object, depth),
            _ => Ok(()),
        }
    }

    fn object(
        &mut self,
        id: Id,
        object: &Object<Global>,
        depth: usize,
    ) -> Result<(), StateDictError> {
        let pickle = self.pickle;
        let args = pickle.tuple(object.args);
        match object.callable {
            Global::Dict => {
                self.dict(&object.items, depth)?;
                self.pairs(object.args, depth)
            }
            Global::Parameter => {
                let state = object.state.map_or(&[][..], |state| pickle.tuple(state));
                for &part in args.first().into_iter().chain(state.first()) {
                    self.visit(part, depth + 1)?;
                }
                Ok(())
            }
            Global::Tensor | Global::TypedTensor => self.tensor(object),
            Global::Quantised => self.quantised(object),
            Global::Attributed => {
                let &[function, class, args, ..] = args else {
                    return Err(self.damaged("a tensor"));
                };
                if let Value::Global(Global::Foreign(class)) = pickle[class] {
                    self.enter(class);
                }
                let Value::Global(callable) = pickle[function] else {
                    return Err(self.damaged("a tensor"));
                };
                let plain = Object {
                    callable,
                    args,
                    state: None,
                    items: vec![],
                    appended: vec![],
                };
                match callable {
                    // It would hold itself.
                    Global::Attributed => Err(self.damaged("a tensor")),
                    _ => self.object(id, &plain, depth),
                }
            }
            Global::OtherTensor(kind) => self.skip(format!("a tensor that is {kind}"), vec![]),
            Global::Numpy(_) => match self.arrays.array(object) {
                Ok(Some(array)) => self.array(array),
                Ok(None) => Ok(()),
                Err(error) => Err(self.wrong_array(error)),
            },
            Global::Instance | Global::PassedOver | Global::Foreign(_) => {
                self.instance(id, object, depth)
            }
            Global::PerTensor
            | Global::PerChannel
            | Global::Storage(_)
            | Global::DType(_)
            | Global::PersistentId => Ok(()),
        }
    }

    /// Adds one of numpy's arrays.
    fn array(&mut self, array: Array) -> Result<(), StateDictError> {
        match &array.kind {
            &numpy::Kind::Float(element) => {
                let tensor = self.arrays.tensor(array, element);
                let tensor = tensor.map_err(|error| self.wrong_array(error))?;
                self.add(tensor)
            }
            numpy::Kind::Object => self.skip("an array of Python objects".into(), array.shape),
            numpy::Kind::Other(code) => self.skip(code.clone(), array.shape),
        }
    }

    fn wrong_array(&self, error: ArrayError) -> StateDictError {
        let name = self.name.clone();
        match error {
            ArrayError::Damaged(part) => StateDictError::DamagedArray { name, part },
            ArrayError::Tensor(error) => StateDictError::Tensor { name, error },
        }
    }

    pub(super) fn dict(&mut self, items: &[(Id, Id)], depth: usize) -> Result<(), StateDictError> {
        for &(key, value) in items {
            if !self.leads(value) {
                continue;
            }
            match &self.pickle[key] {
                Value::Int(number) => self.child(&number.to_string(), value, depth)?,
                Value::Text(_) | Value::Bytes(_) => {
                    let key = self
                        .pickle
                        .text(self.source, key)
                        .ok_or_else(|| self.long_name())?;
                    self.child(key, value, depth)?;
                }
                // No name, and so none of the network's.
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn list(&mut self, items: &[Id], depth: usize) -> Result<(), StateDictError> {
        for (i, &item) in items.iter().enumerate() {
            if self.leads(item) {
                self.child(&i.to_string(), item, depth)?;
            }
        }
        Ok(())
    }

    /// Python 2 gives the items of an `OrderedDict` as its argument: a list of lists of two.
    fn pairs(&mut self, args: Id, depth: usize) -> Result<(), StateDictError> {
        if let [list] = *self.pickle.tuple(args)
            && let Value::List(pairs) = &self.pickle[list]
        {
            for &pair in pairs {
                match &self.pickle[pair] {
                    Value::List(pair) if pair.len() == 2 => {
                        self.dict(&[(pair[0], pair[1])], depth)?;
                    }
                    _ => return Err(self.damaged("an ordered dictionary")),
                }
            }
        }
        Ok(())
    }

    fn child(&mut self, key: &str, value: Id, depth: usize) -> Result<(), StateDictError> {
        let length = self.name.len();
        if length > 0 {
            self.name.push(if self.in_module { '.' } else { '/' });
        }
        self.name.push_str(key);
        if self.name.len() > MAX_NAME {
            self.name.truncate(length);
            return Err(self.long_name());
        }
        self.visit(value, depth + 1)?;
        self.name.truncate(length);
        Ok(())
    }

    /// Adds a part of the module at hand: what lies below it has names with dots.
    pub(super) fn part(
        &mut self,
        key: &str,
        value: Id,
        depth: usize,
    ) -> Result<(), StateDictError> {
        let length = self.name.len();
        let outer = self.in_module;
        if length > 0 {
            self.name.push(if outer { '.' } else { '/' });
        }
        self.name.push_str(key);
        if self.name.len() > MAX_NAME {
            self.name.truncate(length);
            return Err(self.long_name());
        }
        self.in_module = true;
        self.visit(value, depth + 1)?;
        self.in_module = outer;
        self.name.truncate(length);
        Ok(())
    }

    /// Remembers the class of the object at hand, which tensors are read from.
    pub(super) fn enter(&mut self, class: Foreign) {
        if self.entered.len() < MAX_TENSORS {
            self.entered.push((self.name.clone(), class));
        }
    }

    /// Adds a tensor under the name at hand.
    pub(super) fn add(&mut self, tensor: Tensor) -> Result<(), StateDictError> {
        self.check_name()?;
        self.found.push(self.name.clone(), tensor);
        Ok(())
    }

    /// Notes a tensor that is no weights under the name at hand.
    pub(super) fn skip(&mut self, dtype: String, shape: Vec<usize>) -> Result<(), StateDictError> {
        self.check_name()?;
        let skipped = Skipped { dtype, shape };
        self.found.skipped.insert(self.name.clone(), skipped);
        Ok(())
    }

    fn check_name(&self) -> Result<(), StateDictError> {
        let Contents {
            tensors, skipped, ..
        } = &self.found;
        if tensors.len() + skipped.len() >= MAX_TENSORS {
            return Err(StateDictError::TooMany);
        }
        if tensors.contains_key(&self.name) || skipped.contains_key(&self.name) {
            return Err(StateDictError::Duplicate {
                name: self.name.clone(),
            });
        }
        Ok(())
    }

    pub(super) fn long_name(&self) -> StateDictError {
        StateDictError::Name {
            name: self.name.clone(),
        }
    }

    pub(super) fn damaged(&self, part: &'static str) -> StateDictError {
        StateDictError::Damaged {
            name: self.name.clone(),
            part,
        }
    }
}
