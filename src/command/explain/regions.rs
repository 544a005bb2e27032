//! The hot regions of a map, on the picture and at the size that is drawn.

use std::slice;

use super::scene::Scene;
use crate::cli::{Boxes, Size};
use crate::methods::known::{self, KnownBox};
use crate::methods::map::Map;
use crate::methods::region::{self, Region};
use crate::methods::verdict::Verdict;
use crate::options::Regions;
use crate::output::report::{self, InBox};

/// Adds to a `map`'s report what was asked for of its regions and of a known box, and gives the regions as they are drawn.
/// `values` are its values for a class, before they are cut at zero, of any size.
pub(super) fn look(
    scene: &Scene<'_>,
    class: usize,
    values: &Map,
    map: &mut report::Map,
) -> Vec<Region> {
    let options = scene.options;
    if options.regions.is_none() && scene.known_boxes.is_empty() {
        return vec![];
    }
    let placed = values.place(scene.geometry).heat();
    let of_class = scene.known_boxes.iter();
    let of_class = of_class.filter(|known| known.class.is_none_or(|id| id == class));
    let boxes: Vec<KnownBox> = of_class.map(|known| known.place).collect();
    if !boxes.is_empty() {
        map.energy_in_box = known::energy(&boxes, &placed);
        map.pointing_hit = known::is_hit(&boxes, &placed);
    }
    if scene.known_boxes.len() > 1 {
        map.each_box = boxes
            .iter()
            .filter_map(|one| in_box(one, &placed))
            .collect();
    }
    let Some(rule) = options.regions else {
        return vec![];
    };
    // What shows no place has no region either.
    if map.verdict != Verdict::Ok {
        map.regions = Some(vec![]);
        map.regions_note = Some(format!("the map is {}", map.verdict));
        return vec![];
    }
    let regions = counted(&placed, rule);
    if regions.is_empty() {
        map.regions_note = Some(match rule.which {
            Boxes::Largest => "its heat lies outside of the picture".into(),
            Boxes::All => format!(
                "none takes {} of the picture, see --box-area",
                rule.least_area
            ),
        });
    }
    let on_picture = regions
        .iter()
        .map(|region| report::Region::new(region, scene.geometry, scene.seen.dimensions()));
    map.regions = Some(on_picture.collect());
    match options.size {
        Size::Original => regions,
        Size::Model => counted(&scene.resized(values).heat(), rule),
    }
}

/// `None` where there is no heat.
fn in_box(known: &KnownBox, heat: &Map) -> Option<InBox> {
    let one = slice::from_ref(known);
    Some(InBox {
        rectangle: known.numbers(),
        energy: known::energy(one, heat)?,
        hit: known::is_hit(one, heat)?,
    })
}

/// The regions of a heat that the rule counts, the largest first.
fn counted(heat: &Map, rule: Regions) -> Vec<Region> {
    let mut regions = region::regions(heat, rule.threshold);
    match rule.which {
        Boxes::Largest => regions.truncate(1),
        Boxes::All => {
            let least = rule.least_area * heat.values.len() as f64;
            regions.retain(|region| region.area as f64 >= least);
        }
    }
    regions
}
