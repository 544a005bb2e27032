//! Objects of Python classes with tensors below them: their attributes, as the pickle has them.

use super::StateDictError;
use super::walk::Walk;
use crate::weights::pickled::{Foreign, Id, Object, Value};
use crate::weights::torch_global::Global;
use crate::weights::{self, Setting};

/// Modules that are kept at most, their attributes, and numbers or bytes in one of these: many modules may share one
/// long state.
const MAX_MODULES: usize = 1 << 12;
const MAX_SETTINGS: usize = 32;
const MAX_LIST: usize = 8;
const MAX_TEXT: usize = 32;

impl<'a> Walk<'a> {
    /// Adds the tensors that an object holds under the names of its items and attributes. Arguments have no names: those
    /// of a class are read by their numbers, those of a function not at all.
    pub(super) fn instance(
        &mut self,
        id: Id,
        object: &Object<Global>,
        depth: usize,
    ) -> Result<(), StateDictError> {
        let pickle = self.pickle;
        let args = pickle.tuple(object.args);
        let class = match object.callable {
            Global::Foreign(class) => Some(class),
            // The class is its first argument.
            _ => args.first().and_then(|&class| match pickle[class] {
                Value::Global(Global::Foreign(class)) => Some(class),
                _ => None,
            }),
        };
        let attributes = self.attributes(object);
        let is_function = class.is_some_and(|class| !is_class(self.class_name(class)));
        let is_tensor = |&arg: &Id| match &pickle[arg] {
            Value::Object(object) => matches!(
                object.callable,
                Global::Tensor | Global::TypedTensor | Global::Parameter
            ),
            _ => false,
        };
        if let (Some(class), true) = (class, is_function && args.iter().any(is_tensor)) {
            let made_by = format!("a tensor that {} makes", self.class_name(class));
            return self.skip(made_by, vec![]);
        }
        if let Some(class) = class.filter(|_| !is_function) {
            self.enter(class);
        }
        if let Some(module) = Module::of(self, &attributes) {
            self.record(class, &attributes);
            return self.module(&module, depth);
        }
        if !self.seen.insert(id) {
            return Ok(());
        }
        self.dict(&object.items, depth)?;
        self.list(&object.appended, depth)?;
        if !is_function && !matches!(object.callable, Global::PassedOver) {
            self.list(args, depth)?;
        }
        self.dict(&attributes, depth)
    }

    /// The names and values of an object's state: a dictionary, or a tuple of one and another for `__slots__`.
    fn attributes(&self, object: &Object<Global>) -> Vec<(Id, Id)> {
        let Some(state) = object.state else {
            return vec![];
        };
        let Value::Tuple(parts) = &self.pickle[state] else {
            return self.entries(state).to_vec();
        };
        parts
            .iter()
            .flat_map(|&part| self.entries(part))
            .copied()
            .collect()
    }

    /// The items of a dictionary, ordered or not; nothing for any other value.
    fn entries(&self, id: Id) -> &'a [(Id, Id)] {
        match &self.pickle[id] {
            Value::Dict(items) => items,
            Value::Object(object) if object.callable == Global::Dict => &object.items,
            _ => &[],
        }
    }

    fn class_name(&self, class: Foreign) -> &'a str {
        &self.pickle.foreign[usize::from(class.0)]
    }

    /// Notes what a module is, under the name at hand.
    fn record(&mut self, class: Option<Foreign>, attributes: &[(Id, Id)]) {
        let Some(class) = class.filter(|_| self.found.modules.len() < MAX_MODULES) else {
            return;
        };
        let text = |id| {
            let text = self.pickle.text(self.source, id);
            text.filter(|text| text.len() <= MAX_TEXT)
                .map(str::to_owned)
        };
        let settings = attributes.iter().filter_map(|&(key, value)| {
            let key = text(key).filter(|key| !key.starts_with('_'))?;
            let setting = match &self.pickle[value] {
                Value::Text(_) => Setting::Text(text(value)?),
                Value::Tuple(items) if items.len() <= MAX_LIST => {
                    let numbers = items.iter().map(|&item| self.number(item));
                    Setting::Numbers(numbers.collect::<Option<_>>()?)
                }
                _ => Setting::Numbers(vec![self.number(value)?]),
            };
            Some((key, setting))
        });
        let settings = settings.take(MAX_SETTINGS).collect();
        self.found.modules.push(weights::Module {
            name: self.name.clone(),
            class: self.class_name(class).to_owned(),
            settings,
        });
    }

    fn number(&self, id: Id) -> Option<f64> {
        match self.pickle[id] {
            Value::Bool(value) => Some(value.into()),
            Value::Int(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// Adds what the module's `state_dict()` has, under its names.
    fn module(&mut self, module: &Module<'a>, depth: usize) -> Result<(), StateDictError> {
        let buffers = module.buffers.iter().filter(|&&(key, _)| {
            let name = self.pickle.text(self.source, key);
            !module
                .not_saved
                .iter()
                .any(|&other| name.is_some() && self.pickle.text(self.source, other) == name)
        });
        let buffers: Vec<_> = buffers.copied().collect();
        let parts = module.parameters.iter().chain(&buffers);
        for &(key, value) in parts.chain(module.modules) {
            let is_module = matches!(&self.pickle[value], Value::Object(_));
            if !self.leads(value) && !is_module {
                continue;
            }
            let key = self.pickle.text(self.source, key);
            let key = key.ok_or_else(|| self.long_name())?;
            self.part(key, value, depth)?;
        }
        Ok(())
    }
}

/// Whether a dotted path is that of a class: Python's classes, unlike its functions, begin with a capital.
fn is_class(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default();
    name.trim_start_matches('_')
        .starts_with(|c: char| c.is_ascii_uppercase())
}

/// The attributes of a `torch.nn.Module` that its `state_dict()` is made of.
struct Module<'a> {
    parameters: &'a [(Id, Id)],
    buffers: &'a [(Id, Id)],
    /// Names of buffers that are left out of it.
    not_saved: Vec<Id>,
    modules: &'a [(Id, Id)],
}

impl<'a> Module<'a> {
    /// `None`: these are not the attributes of a module.
    fn of(walk: &Walk<'a>, attributes: &[(Id, Id)]) -> Option<Self> {
        let get = |name: &str| {
            let mut found = attributes.iter();
            let found = found.find(|&&(key, _)| walk.pickle.text(walk.source, key) == Some(name));
            found.map(|&(_, value)| value)
        };
        let not_saved = get("_non_persistent_buffers_set").map(|set| match &walk.pickle[set] {
            Value::List(names) => names.clone(),
            // `set([names])`
            Value::Object(object) => match walk.pickle.tuple(object.args) {
                &[list] => match &walk.pickle[list] {
                    Value::List(names) => names.clone(),
                    _ => vec![],
                },
                _ => vec![],
            },
            _ => vec![],
        });
        Some(Self {
            parameters: walk.entries(get("_parameters")?),
            buffers: walk.entries(get("_buffers")?),
            not_saved: not_saved.unwrap_or_default(),
            modules: walk.entries(get("_modules")?),
        })
    }
}
