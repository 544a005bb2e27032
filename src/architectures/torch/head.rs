//! The dense layers after a VGG's convolutions, in the order in which they are used.
//!
//! Numbers in a `Sequential` tell it. Among modules with names of their own it is the file's order, where the file has one,
//! as long as each layer reads what the one before it gives; else that in which shapes allow it, if they allow only one.

use super::super::vgg::{Axes, Dense, square};
use super::super::{ADVICE, ArchitectureError, names};
use super::{KNOWN, Module, Modules, Part, Path, unexpected};
use crate::weights::{Tensor, Weights};

/// Parts of a head at most whose every order is tried.
const MAX_PARTS: usize = 7;
/// Readings that an error lists at most.
const LISTED: usize = 4;

/// Names, without their numbers, of dense layers that others come after. Any other may be a head of its own.
const HIDDEN: [&str; 11] = [
    "fc",
    "linear",
    "lin",
    "dense",
    "hidden",
    "layer",
    "ip",
    "fully_connected",
    "mlp",
    "bottleneck",
    "pre_logits",
];

/// The modules that are no convolutions of the container, in the innermost scope that has a dense layer among them,
/// and that scope.
pub(super) fn rest<'m, 'a>(
    modules: &'m Modules<'a>,
    container: &[Part<'a>],
    last: usize,
) -> (Path<'a>, Vec<(&'m Path<'a>, &'m Module<'a>)>) {
    let in_features = |path: &[Part<'_>]| {
        let inside = path.strip_prefix(container);
        inside.is_some_and(|inside| matches!(inside, [Part::Number(number), ..] if *number <= last))
    };
    for depth in (0..=container.len()).rev() {
        let scope = &container[..depth];
        let rest: Vec<(&Path<'_>, &Module<'_>)> = modules
            .iter()
            .filter(|(path, _)| path.starts_with(scope) && !in_features(path))
            .collect();
        if rest.iter().any(|(_, module)| module.rank() == 2) {
            return (scope.to_vec(), rest);
        }
    }
    (vec![], vec![])
}

/// The layers of one `Sequential` in the order of their numbers, or one layer with a name of its own.
struct Block {
    /// Its name without numbers: those of equal ones are in the order of their numbers.
    stem: String,
    name: String,
    /// For files without an order of their own.
    numbers: Vec<usize>,
    place: usize,
    layers: Vec<Dense>,
}

impl Block {
    fn inputs(&self) -> usize {
        self.layers[0].layer.weight.shape()[1]
    }

    fn outputs(&self) -> usize {
        let last = self.layers.last().expect("none is empty");
        last.layer.weight.shape()[0]
    }

    /// Whether its name is that of a layer within a head.
    fn hidden(&self) -> bool {
        let mut parts = self.stem.split('.').filter(|part| !part.is_empty());
        parts.any(|part| HIDDEN.contains(&&*part.trim_end_matches('_').to_ascii_lowercase()))
    }

    /// Whether the VGG authors or timm named it: a ReLU is known to follow all but the last.
    fn named_by_authors(&self) -> bool {
        let last = self.name.rsplit(['.', '/']).next();
        matches!(last, Some("fc6" | "fc7" | "fc8")) || self.name.contains("pre_logits")
    }
}

/// Dense layers in order, the norms after them folded in, and what was taken for granted. They come after a map of so many
/// `channels`; `ordered` says whether the file has an order of its own.
pub(super) fn read(
    rest: &[(&Path<'_>, &Module<'_>)],
    channels: usize,
    ordered: bool,
) -> Result<(Vec<Dense>, Vec<String>), ArchitectureError> {
    let mut blocks = blocks(rest)?;
    // By name and number, then as the file has them.
    blocks.sort_by(|a, b| (&a.stem, &a.numbers).cmp(&(&b.stem, &b.numbers)));
    blocks.sort_by_key(|block| block.place);
    let mut notes = vec![];
    let order = order(&blocks, channels, ordered, &mut notes)?;
    let chosen: Vec<&Block> = order.into_iter().map(|i| &blocks[i]).collect();
    let mut assumed = vec![];
    let mut head: Vec<Dense> = vec![];
    for (i, block) in chosen.iter().enumerate() {
        if let (Some(previous), Some(before)) = (head.last_mut(), i.checked_sub(1)) {
            previous.relu = true;
            let before = chosen[before];
            if !before.named_by_authors() {
                assumed.push(format!("{} and {}", before.name, block.name));
            }
        }
        head.extend(block.layers.iter().cloned());
    }
    if !assumed.is_empty() {
        notes.push(format!(
            "names do not tell what lies between {}: taken as a ReLU{ADVICE}",
            assumed.join(", ")
        ));
    }
    Ok((head, notes))
}

/// The order of a head's blocks.
fn order(
    blocks: &[Block],
    channels: usize,
    ordered: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<usize>, ArchitectureError> {
    let named: Vec<usize> = (0..blocks.len()).collect();
    if blocks.len() == 1 {
        return Ok(named);
    }
    let fits = |order: &[usize]| {
        square(blocks[order[0]].inputs(), channels).is_some()
            && order
                .windows(2)
                .all(|pair| blocks[pair[0]].outputs() == blocks[pair[1]].inputs())
    };
    let mut chains = vec![];
    if blocks.len() <= MAX_PARTS {
        extend(blocks, channels, &mut vec![], &mut chains);
    }
    let whole = chains.iter().filter(|chain| chain.len() == blocks.len());
    let whole: Vec<&Vec<usize>> = whole.collect();
    // Whether an order differs in more than numbers tell.
    let untold = |chain: &[usize]| {
        let swapped = |(i, &a): (usize, &usize)| {
            let mut after = chain[i + 1..].iter();
            after.any(|&b| b < a && blocks[a].stem != blocks[b].stem)
        };
        chain.iter().enumerate().any(swapped)
    };
    let chosen = match &whole[..] {
        _ if fits(&named) => {
            let others = whole.iter().any(|chain| untold(chain));
            if others && !ordered {
                return Err(several(blocks, &whole));
            }
            if others {
                let list: Vec<&str> = blocks.iter().map(|block| &*block.name).collect();
                notes.push(format!(
                    "dense layers are taken in the file's order, {}; their shapes allow another one{ADVICE}",
                    list.join(", ")
                ));
            }
            named
        }
        [only] => (*only).clone(),
        // No layer reads the convolutions: refused with its shape later.
        [] if chains.is_empty() => return Ok(named),
        [] => {
            let longest = chains.iter().filter(|chain| {
                let mut others = chains.iter();
                !others.any(|other| other.len() > chain.len() && other.starts_with(chain))
            });
            return Err(several(blocks, &longest.collect::<Vec<_>>()));
        }
        several_fit => return Err(several(blocks, several_fit)),
    };
    // One that gives as much as it reads may stand beside the next one as well as before it.
    for (i, pair) in chosen.windows(2).enumerate() {
        let before = &blocks[pair[0]];
        if before.inputs() == before.outputs() && !before.hidden() {
            let without = [&chosen[..i], &chosen[i + 1..]].concat();
            let alone = chosen[..=i].to_vec();
            return Err(several(blocks, &[&chosen, &without, &alone]));
        }
    }
    Ok(chosen)
}

/// All chains of blocks that begin with `chain`, each of which reads what the one before it gives.
fn extend(blocks: &[Block], channels: usize, chain: &mut Vec<usize>, chains: &mut Vec<Vec<usize>>) {
    for next in 0..blocks.len() {
        let fits = match chain.last() {
            _ if chain.contains(&next) => false,
            Some(&last) => blocks[last].outputs() == blocks[next].inputs(),
            None => square(blocks[next].inputs(), channels).is_some(),
        };
        if fits {
            chain.push(next);
            chains.push(chain.clone());
            extend(blocks, channels, chain, chains);
            chain.pop();
        }
    }
}

fn several(blocks: &[Block], chains: &[&Vec<usize>]) -> ArchitectureError {
    let reading = |chain: &&Vec<usize>| {
        let names: Vec<&str> = chain.iter().map(|&i| &*blocks[i].name).collect();
        let classes = chain.last().map_or(0, |&last| blocks[last].outputs());
        format!("{} ({classes} classes)", names.join(" then "))
    };
    let mut readings: Vec<String> = chains.iter().take(LISTED).map(reading).collect();
    if chains.len() > LISTED {
        readings.push("and others".into());
    }
    ArchitectureError::Heads { readings }
}

/// The modules by the `Sequential` that they are in.
fn blocks(rest: &[(&Path<'_>, &Module<'_>)]) -> Result<Vec<Block>, ArchitectureError> {
    let mut blocks: Vec<Block> = vec![];
    let mut modules = rest.iter().peekable();
    // The path of the last module so far.
    let mut end: Option<&Path<'_>> = None;
    while let Some((path, module)) = modules.next() {
        if module.tensors.keys().any(|leaf| !KNOWN.contains(leaf)) {
            return Err(unexpected(module));
        }
        if module.is_norm() {
            return Err(ArchitectureError::LoneBatchNorm {
                layer: module.name.into(),
            });
        }
        let dense = module.weight().and_then(|weight| Axes::Torch.dense(weight));
        let Some(weight) = dense else {
            return Err(unexpected(module));
        };
        let before = end.filter(|end| in_one_sequential(end, path));
        let norm = modules.next_if(|(next, norm)| norm.is_norm() && follows(path, next));
        let layer = Dense {
            layer: module.layer(&weight, norm.map(|(_, norm)| *norm))?,
            relu: false,
        };
        match (before, blocks.last_mut()) {
            (Some(before), Some(block)) => {
                let previous = block.layers.last_mut().expect("none is empty");
                previous.relu = !follows(before, path);
                block.layers.push(layer);
                block.place = block.place.min(module.place);
            }
            _ => blocks.push(Block {
                layers: vec![layer],
                ..block(path, module)
            }),
        }
        end = Some(norm.map_or(*path, |(path, _)| path));
    }
    Ok(blocks)
}

/// A block that begins with `module`, without layers.
fn block(path: &[Part<'_>], module: &Module<'_>) -> Block {
    let (mut stem, mut numbers) = (String::new(), vec![]);
    let sequential = match path.split_last() {
        Some((Part::Number(_), parent)) => parent,
        _ => path,
    };
    for part in sequential {
        stem.push('.');
        match part {
            Part::Number(number) => numbers.push(*number),
            Part::Name(name) => {
                let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
                stem.push_str(letters);
                numbers.extend(name[letters.len()..].parse::<usize>().ok());
            }
        }
    }
    let name = match (
        sequential.len() < path.len(),
        module.name.rsplit_once(['.', '/']),
    ) {
        (true, Some((parent, _))) => parent,
        _ => module.name,
    };
    Block {
        stem,
        name: name.into(),
        numbers,
        place: module.place,
        layers: vec![],
    }
}

fn in_one_sequential(path: &[Part<'_>], next: &[Part<'_>]) -> bool {
    match (path.split_last(), next.split_last()) {
        (Some((Part::Number(_), one)), Some((Part::Number(_), other))) => one == other,
        _ => false,
    }
}

/// Whether `next` is the module numbered right after `path`.
fn follows(path: &[Part<'_>], next: &[Part<'_>]) -> bool {
    match (path.last(), next.last()) {
        (Some(Part::Number(a)), Some(Part::Number(b))) => {
            in_one_sequential(path, next) && a.checked_add(1) == Some(*b)
        }
        _ => false,
    }
}

/// torchvision's classifier without its last layer says what no class is.
pub(super) fn complete(weights: &Weights, head: &[Dense]) -> Result<(), ArchitectureError> {
    if let [first, second] = head
        && second.layer.weight.shape() == [4096, 4096]
        && let Some(prefix) = first.layer.name.strip_suffix("classifier.0")
        && second.layer.name == format!("{prefix}classifier.3")
    {
        return Err(ArchitectureError::MissingLayer {
            layer: format!("{prefix}classifier.6"),
            found: names(weights),
        });
    }
    Ok(())
}

/// Refuses a dense layer outside of `scope` that takes what the head gives, and says what else is left out there.
pub(super) fn outside(
    modules: &Modules<'_>,
    scope: &[Part<'_>],
    head: &[Dense],
) -> Result<Option<String>, ArchitectureError> {
    let last = &head.last().expect("at least one").layer;
    let classes = last.weight.shape()[0];
    let takes = |module: &Module<'_>| {
        let shape = module.weight().map(Tensor::shape);
        shape.is_some_and(|shape| matches!(shape, [_, inputs] if *inputs == classes))
    };
    let outside = modules.iter().filter(|(path, _)| !path.starts_with(scope));
    let outside: Vec<&Module<'_>> = outside.map(|(_, module)| module).collect();
    if let Some(module) = outside.iter().find(|module| takes(module)) {
        return Err(ArchitectureError::Stacked {
            layer: module.name.into(),
            last: last.name.clone(),
        });
    }
    let Some(first) = outside.first() else {
        return Ok(None);
    };
    let count = outside.len();
    Ok(Some(format!(
        "{count} other modules are left out: they are no part of the network that ends with {}, {} and so on",
        last.name, first.name
    )))
}
