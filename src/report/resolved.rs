//! `scenario.resolved.yaml`: the scenario as it was run, with every default and the seed.

use serde_json::Value;

use super::result::RunResult;
use crate::scenario::yaml_text;

/// The file: itself a scenario, which repeats the run.
pub fn resolved_scenario(result: &RunResult) -> String {
    let mut resolved = result.scenario.resolved.clone();
    if let Some(all) = resolved.as_object_mut() {
        all.insert("seed".to_owned(), result.run.seed.into());
    }
    format!(
        "# As it was run, with every default and the seed. Files that it names below its folder lie beside\n# it; passwords are not in it.\n{}",
        yaml_text(&resolved)
    )
}

/// The files that a resolved scenario names, by their paths from it.
pub fn named_files(resolved: &Value) -> Vec<String> {
    let mut names = Vec::new();
    collect(resolved, &mut names);
    names.sort();
    names.dedup();
    names
}

fn collect(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                let file = match key.as_str() {
                    "payload_file" => Some(value),
                    "empirical" => value.get("file"),
                    // What a command holds is the user's: its keys mean nothing here.
                    "payload" => continue,
                    _ => None,
                };
                names.extend(file.and_then(Value::as_str).map(str::to_owned));
                collect(value, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn files_are_found_where_a_scenario_names_them() {
        let resolved = json!({
            "groups": { "g": { "behavior": { "delay": { "mix": [{ "of": { "empirical": { "file": "a.csv" } } }] } } } },
            "workloads": { "w": { "command": { "payload_file": "b/c.json", "payload": { "payload_file": "no" } } },
                           "v": { "command": { "payload_file": "b/c.json" } } },
        });
        assert_eq!(named_files(&resolved), ["a.csv", "b/c.json"]);
    }
}
