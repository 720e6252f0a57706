//! A tree of values as the text of a YAML file that says the same.
//!
//! Written by ourselves, because what is read back has to be the same tree: texts that could be taken for
//! something else are quoted as JSON quotes them, which YAML reads alike.

use std::fmt::Write as _;

use serde_json::Value;

/// `value` as YAML, in blocks, with a final newline.
pub fn yaml_text(value: &Value) -> String {
    let mut text = String::new();
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                write!(text, "{:indent$}{}:", "", scalar(key)).expect("writing to a String cannot fail");
                entry(value, indent, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let mut inner = String::new();
                block(item, indent + 2, &mut inner);
                // The first line begins with the dash.
                writeln!(text, "{:indent$}- {}", "", inner.trim_start_matches(' ').trim_end_matches('\n'))
                    .expect("writing to a String cannot fail");
            }
        }
        flat => writeln!(text, "{:indent$}{}", "", inline(flat)).expect("writing to a String cannot fail"),
    }
}

/// What stands behind a key.
fn entry(value: &Value, indent: usize, text: &mut String) {
    let is_block = match value {
        Value::Object(entries) => !entries.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_block {
        text.push('\n');
        block(value, indent + 2, text);
    } else {
        writeln!(text, " {}", inline(value)).expect("writing to a String cannot fail");
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// A text, quoted unless nobody could read it as anything else.
fn scalar(text: &str) -> String {
    if is_plain(text) {
        return text.to_owned();
    }
    let mut quoted = String::new();
    for c in Value::from(text).to_string().chars() {
        // JSON lets them stand; in YAML they are not printable or end a line.
        match c {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                write!(quoted, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            _ => quoted.push(c),
        }
    }
    quoted
}

/// Words, and figures with their unit.
fn is_plain(text: &str) -> bool {
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./ ".contains(c))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"]
            .contains(&text.to_ascii_lowercase().as_str());
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let has_figure = text.starts_with(|c: char| c.is_ascii_digit());
    let is_figure =
        has_figure && ["us", "ms", "s", "m", "h", "d", "%", "/s", "/min", "/h", "/d"].contains(&unit);
    is_word || is_figure
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        serde_yaml::from_str_with_options(text, serde_yaml::options! { strict_booleans: true }).unwrap()
    }

    #[test]
    fn blocks_read_well() {
        let value = json!({
            "version": 1, "name": "x", "labels": {}, "thresholds": [{ "expect": "p99(latency) < 1s", "info": false }],
            "rates": ["200/s", "no", "4.2", ""], "deep": [[1, 2], [{ "a": { "b": null } }]],
        });
        let text = yaml_text(&value);
        assert_eq!(read(&text), value);
        insta::assert_snapshot!(text);
    }

    fn any_value() -> impl proptest::strategy::Strategy<Value = Value> {
        use proptest::prelude::*;
        let text = prop_oneof![
            "(?s).{0,12}",
            "[a-z0-9#:~ .-]{0,6}",
            Just("null".to_owned()),
            Just("1e3".to_owned()),
            Just("0x1f".to_owned()),
            Just("250ms".to_owned()),
            Just("~".to_owned()),
            Just("<<".to_owned()),
        ];
        let leaf = prop_oneof![
            text.clone().prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z0-9 _#:-]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_back(value in any_value()) {
            let value = json!({ "it": value });
            proptest::prop_assert_eq!(read(&yaml_text(&value)), value);
        }
    }
}
