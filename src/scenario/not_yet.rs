//! Keys that the scenario format has and this release does not: refused by name, never ignored and
//! never called unknown. To support one is to delete its row and give `raw` a field.

/// A place in a scenario: keys by `.`, `*` for any one key or list item. The last one is the key or
/// the kind that is refused.
const NOT_YET: &[&str] =
    &["target.endpoint.tls", "target.embedded.tls", "target.embedded.limits", "groups.*.tls"];

/// What stands at `steps`, for a message, if it is a row of the table; `is_key` tells a key from a
/// bare value.
pub(super) fn find(steps: &[String], is_key: bool) -> Option<String> {
    let (last, parent) = steps.split_last()?;
    if !keys_of(parent).any(|key| key == last) {
        return None;
    }
    // `connect.auth` says more than `auth`; names that the user chose say nothing.
    let owner = parent.last().filter(|_| steps.len() != 3).filter(|owner| !owner.starts_with('['));
    Some(match owner {
        Some(owner) if is_key => format!("`{owner}.{last}`"),
        Some(owner) => format!("`{owner}: {last}`"),
        None => format!("`{last}`"),
    })
}

/// The refused keys of the map (or kinds of the value) at `parent`.
pub(super) fn keys_of(parent: &[String]) -> impl Iterator<Item = &'static str> {
    let rows = NOT_YET.iter().filter_map(|row| row.rsplit_once('.').or(Some(("", *row))));
    let parent = parent.to_vec();
    rows.filter(move |(place, _)| is_at(&parent, place)).map(|(_, key)| key)
}

fn is_at(steps: &[String], place: &str) -> bool {
    let mut pattern = place.split('.').filter(|step| !step.is_empty());
    steps.iter().all(|step| pattern.next().is_some_and(|p| p == "*" || p == step)) && pattern.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        let steps: Vec<String> = path.split('.').map(str::to_owned).collect();
        assert_eq!(find(&steps, true).as_deref(), expected, "{path}");
    }

    #[test]
    fn a_refused_key_is_named_with_its_owner() {
        check("target.embedded.limits", Some("`limits`"));
        check("groups.a.tls", Some("`tls`"));
    }

    #[test]
    fn other_keys_are_not_in_the_table() {
        for path in [
            "drivers",
            "driver.via",
            "groups.driver",
            "groups.a.b.tls",
            "groups.a.behavior.delay.constant",
            "target",
        ] {
            check(path, None);
        }
    }
}
