//! Where a key belongs that stands in the wrong place: a level too high (`delay` beside `behavior`) or too low.
//!
//! Read off the schema, which knows every key of every map; only asked when a mistake has been made.

use std::sync::OnceLock;

use serde_json::Value;

use super::schema::schema;

/// The right place of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// In one of these maps, which may stand where it stands.
    Below(Vec<String>),
    /// Beside the map in which it stands, which has this key.
    Above(String),
}

/// The home of `key`, which the map at `steps` does not know; `None` if it has none near by.
pub(super) fn of(steps: &[String], key: &str) -> Option<Home> {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    let root = SCHEMA.get_or_init(schema);
    let here = steps.iter().fold(vec![root], |shapes, step| below(root, &shapes, step));
    let mut keys = Vec::new();
    for (own, shape) in here.iter().flat_map(|shape| properties(root, shape)) {
        let has = shapes(root, shape).iter().any(|shape| shape["properties"].get(key).is_some());
        if has && !keys.contains(own) {
            keys.push(own.clone());
        }
    }
    if !keys.is_empty() {
        return Some(Home::Below(keys));
    }
    let (last, parent) = steps.split_last()?;
    let above = parent.iter().fold(vec![root], |shapes, step| below(root, &shapes, step));
    let known = above.iter().flat_map(|shape| properties(root, shape)).any(|(own, _)| own == key);
    (known && !last.starts_with('[')).then(|| Home::Above(last.clone()))
}

/// The shapes of what stands under a key or an index.
fn below<'s>(root: &'s Value, above: &[&'s Value], step: &str) -> Vec<&'s Value> {
    let inner = |shape: &&'s Value| {
        if step.starts_with('[') {
            return shape.get("items");
        }
        let named = shape.get("properties").and_then(|properties| properties.get(step));
        named.or_else(|| shape.get("additionalProperties").filter(|all| all.is_object()))
    };
    above.iter().flat_map(|shape| shapes(root, shape)).filter_map(|shape| inner(&shape)).collect()
}

/// The keys of a map and their shapes.
fn properties<'s>(root: &'s Value, shape: &'s Value) -> Vec<(&'s String, &'s Value)> {
    let maps = shapes(root, shape).into_iter().filter_map(|shape| shape["properties"].as_object());
    maps.flatten().collect()
}

/// What a shape stands for: itself, or what it names or chooses from.
fn shapes<'s>(root: &'s Value, shape: &'s Value) -> Vec<&'s Value> {
    if let Some(name) = shape["$ref"].as_str() {
        let definition = name.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return definition.map(|definition| shapes(root, definition)).unwrap_or_default();
    }
    let choices = ["allOf", "anyOf", "oneOf"].iter().filter_map(|key| shape[*key].as_array()).flatten();
    let chosen: Vec<&Value> = choices.flat_map(|choice| shapes(root, choice)).collect();
    if chosen.is_empty() { vec![shape] } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_wrong_place_has_a_home() {
        let home = |path: &str, key: &str| of(&path.split('.').map(str::to_owned).collect::<Vec<_>>(), key);
        let below = |keys: &[&str]| Some(Home::Below(keys.iter().map(|key| (*key).to_owned()).collect()));
        assert_eq!(home("groups.g", "delay"), below(&["behavior"]));
        assert_eq!(home("groups.g", "keep_alive"), below(&["connect"]));
        assert_eq!(home("workloads.w", "timeout"), below(&["command"]));
        assert_eq!(home("workloads.w.load", "base_rate"), below(&["rollout"]));
        assert_eq!(home("workloads.w.load", "stages"), below(&["arrival_rate", "concurrency"]));
        assert_eq!(home("groups.g.behavior", "connect"), Some(Home::Above("behavior".to_owned())));
        assert_eq!(home("workloads.w.command", "groups"), Some(Home::Above("command".to_owned())));
        for (path, key) in
            [("groups.g", "nonsense"), ("groups", "delay"), ("workloads.w.load.arrival_rate.stages.[0]", "x")]
        {
            assert_eq!(home(path, key), None, "{path} {key}");
        }
    }
}
