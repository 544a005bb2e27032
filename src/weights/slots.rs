//! What TensorFlow's optimisers keep beside each variable: `conv1_1/weights/Momentum` is a slot of `conv1_1/weights`.

use std::collections::HashMap;

use super::Contents;

/// Names of slots, as `tf.train` gives them.
const SLOTS: [&str; 16] = [
    "Momentum",
    "Adam",
    "Adam_1",
    "RMSProp",
    "RMSProp_1",
    "RMSProp_2",
    "Adagrad",
    "Adadelta",
    "Adadelta_1",
    "Ftrl",
    "Ftrl_1",
    "LARSOptimizer",
    "LAMBOptimizer",
    "LAMBOptimizer_1",
    "GradientDescent",
    AVERAGE,
];

/// The running average of a variable: evaluation may use it in the variable's place.
const AVERAGE: &str = "ExponentialMovingAverage";

/// Leaves the slots out, and says so. A file of averages alone has them under their variables' names.
pub(super) fn leave_out(contents: &mut Contents) {
    let names: Vec<String> = contents.tensors.keys().cloned().collect();
    let mut left_out: Vec<&str> = vec![];
    let mut averages = 0;
    let mut changes = HashMap::new();
    for name in names {
        let Some((variable, slot)) = slot(&name) else {
            continue;
        };
        match contents.tensors.get(&variable) {
            Some(tensor) if tensor.shape() == contents.tensors[&name].shape() => {
                changes.insert(name, None);
                left_out.push(slot);
            }
            None if slot == AVERAGE => {
                changes.insert(name, Some(variable));
                averages += 1;
            }
            _ => {}
        }
    }
    contents.rename(&changes);
    if averages > 0 {
        let note = format!("{averages} tensors are the running averages of their variables");
        contents.notes.push(note);
    }
    if !left_out.is_empty() {
        let tensors = left_out.len();
        left_out.sort_unstable();
        left_out.dedup();
        let kinds = left_out.join(", ");
        let note = format!("{tensors} tensors of the training are left out: {kinds}");
        contents.notes.push(note);
    }
}

/// The variable that a slot belongs to, and the slot. `:0` may end both names.
fn slot(name: &str) -> Option<(String, &'static str)> {
    let (name, end) = match name.strip_suffix(":0") {
        Some(name) => (name, ":0"),
        None => (name, ""),
    };
    let (variable, last) = name.rsplit_once('/')?;
    let slot = SLOTS.iter().find(|&&slot| slot == last)?;
    Some((format!("{variable}{end}"), slot))
}
