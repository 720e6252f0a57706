//! The house rules that a compiler does not know: which module may import which, and what has no
//! place in a source file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module and what it may import. A new arrow is a changed row and a reason in the
/// commit; rows go in reading order, so an import of a later row would be a cycle.
const LAYERS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("seed", &[]),
    // `clock` turns durations into whole microseconds with `units::micros`.
    ("clock", &["units"]),
    ("exit", &[]),
    ("dist", &["units", "seed"]),
    ("control", &["units"]),
    ("protocol", &["units"]),
    ("pipe", &["units", "clock"]),
    // One type for TCP and pipe, so that backend, fleet and driver do not each have their own.
    ("transport", &["pipe"]),
    ("mqtt", &["units", "clock"]),
    // `control`: a snapshot says which tempo is in force, in the words in which it was asked for.
    ("stats", &["units", "clock", "control"]),
    ("scenario", &["units", "dist", "protocol", "stats"]),
    ("verdict", &["units", "stats", "scenario"]),
    // `stats`: which span a threshold is about, to say that the planned delays alone break it.
    ("plan", &["units", "seed", "dist", "scenario", "protocol", "stats"]),
    ("ledger", &["units", "clock", "protocol", "stats"]),
    ("backend", &["units", "seed", "clock", "dist", "protocol", "pipe", "transport", "mqtt", "stats"]),
    (
        "fleet",
        &[
            "units",
            "seed",
            "clock",
            "dist",
            "control",
            "protocol",
            "pipe",
            "transport",
            "mqtt",
            "scenario",
            "plan",
            "ledger",
            "stats",
        ],
    ),
    (
        "driver",
        &[
            "units",
            "seed",
            "clock",
            "dist",
            "control",
            "protocol",
            "pipe",
            "transport",
            "scenario",
            "plan",
            "ledger",
            "stats",
            "verdict",
        ],
    ),
    // `seed`: which stretches of two runs are drawn when they are compared.
    ("report", &["units", "seed", "exit", "stats", "scenario", "ledger", "verdict"]),
    (
        "run",
        &[
            "units",
            "seed",
            "clock",
            "exit",
            "dist",
            "control",
            "protocol",
            "pipe",
            "transport",
            "mqtt",
            "stats",
            "scenario",
            "verdict",
            "plan",
            "ledger",
            "backend",
            "fleet",
            "driver",
            "report",
        ],
    ),
    ("tui", &["units", "clock", "control", "stats", "scenario", "verdict", "report"]),
    ("web", &["units", "clock", "control", "stats", "scenario", "verdict", "report"]),
    (
        "cli",
        &[
            "units",
            "seed",
            "clock",
            "exit",
            "dist",
            "control",
            "protocol",
            "pipe",
            "transport",
            "mqtt",
            "stats",
            "scenario",
            "verdict",
            "plan",
            "ledger",
            "backend",
            "fleet",
            "driver",
            "report",
            "run",
            "tui",
            "web",
        ],
    ),
];

/// Words that are work left undone, and what to do instead.
const LEFTOVERS: &[(&str, &str)] = &[
    ("FIXME", "mend it, or say in the closing note what is left"),
    ("XXX", "say in words what is surprising"),
    ("dbg!", "remove it"),
    ("#[ignore", "a test that does not run proves nothing; make it a benchmark or bound it"),
    ("#[should_panic", "check the error value instead"),
    ("#[allow(", "use #[expect(lint, reason = \"…\")], which tells when it is no longer needed"),
];

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The top-level module a source file belongs to; `None` for `lib.rs` and `main.rs`.
fn module_of(path: &Path) -> Option<String> {
    let relative = path.strip_prefix(source_root()).unwrap();
    let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main")).then(|| name.to_owned())
}

/// Modules named after `crate::` in code (comments and doc comments do not count).
fn imports(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let code: String =
        source.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = &group[..group.find('}').unwrap_or(group.len())];
            found.extend(group.split(',').map(|item| leading_identifier(item.trim())));
        } else {
            found.insert(leading_identifier(rest));
        }
    }
    found.remove("");
    found
}

fn leading_identifier(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

#[test]
fn imports_only_point_down_the_table() {
    let table: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in rust_files(&source_root()) {
        let Some(module) = module_of(&path) else { continue };
        let Some(allowed) = table.get(module.as_str()) else {
            wrong.push(format!("{}: module `{module}` has no row in the table", path.display()));
            continue;
        };
        for import in imports(&fs::read_to_string(&path).unwrap()) {
            if import != module && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{}: `{module}` may not import `{import}`", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_cycle() {
    for (row, (module, allowed)) in LAYERS.iter().enumerate() {
        for import in *allowed {
            let place = LAYERS.iter().position(|(name, _)| name == import);
            assert!(
                place.is_some_and(|place| place < row),
                "`{module}` imports `{import}`, which is not above it in the table"
            );
        }
    }
}

#[test]
fn no_file_carries_leftovers() {
    let mut wrong = Vec::new();
    for path in rust_files(&source_root()) {
        for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
            for (word, instead) in LEFTOVERS {
                if line.contains(word) {
                    wrong.push(format!("{}:{}: {word}: {instead}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for() {
    // What a `tests.rs` is for, its folder says.
    for path in rust_files(&source_root()).into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let source = fs::read_to_string(&path).unwrap();
        assert!(source.starts_with("//!"), "{}: opens without `//!`: what is it for?", path.display());
    }
}
