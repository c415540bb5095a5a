//! Source-tree lints: imports between layers, feature gates, file headers, file length, forbidden calls.

mod layers;
mod paths;

use std::fs;
use std::path::{Path, PathBuf};

use self::layers::{Layer, forbidden};
use self::paths::{code, paths_in};

const MAX_LINES: usize = 400;

/// Files with feature gates. In `lib.rs` they may precede any item, elsewhere only a `mod` declaration.
const GATED_FILES: [&str; 4] = [
    "lib.rs",
    "apps/mod.rs",
    "server/telemetry/mod.rs",
    "wire/text/unicode.rs",
];

#[test]
fn imports_respect_the_layers() {
    assert_none(findings_in_all_files(|file, source| {
        let layer = Layer::of_file(file);
        paths_in(without_tests(file, source), &layers::module(file))
            .into_iter()
            .filter_map(|path| forbidden(&layer, &path))
            .collect()
    }));
}

#[test]
fn every_file_has_a_header() {
    assert_none(findings_in_all_files(|_, source| match source.starts_with("//! ") {
        true => Vec::new(),
        false => vec!["has no `//!` header".to_owned()],
    }));
}

#[test]
fn no_file_is_too_long() {
    assert_none(findings_in_all_files(|file, source| {
        match without_tests(file, source).lines().count() {
            0..=MAX_LINES => Vec::new(),
            lines => vec![format!("has {lines} lines without its tests; the limit is {MAX_LINES}")],
        }
    }));
}

#[test]
fn feature_gates_are_on_mod_declarations_only() {
    assert_none(findings_in_all_files(misplaced_gates));
}

/// Key handlers use `ui/keys.rs`, which ignores keys that an input method handles.
#[test]
fn key_handlers_respect_input_methods() {
    const RAW: [&str; 5] = [".key()", ".code()", ".key_code()", ".is_composing()", ".char_code()"];
    assert_none(findings_in_all_files(|file, source| match file {
        "ui/keys.rs" => Vec::new(),
        _ if source.contains("KeyboardEvent") => lines_with(&code(without_tests(file, source)), &RAW),
        _ if file.contains("/view") && source.contains("on:key") => {
            lines_with(&code(without_tests(file, source)), &RAW)
        }
        _ => Vec::new(),
    }));
}

#[test]
fn no_panicking_call_outside_tests() {
    assert_none(findings_in_all_files(|file, source| match file {
        "main.rs" | "crates/hub/src/testing.rs" => Vec::new(),
        _ if file.starts_with("tests/") || file.contains("/tests/") => Vec::new(),
        _ => lines_with(
            &code(without_tests(file, source)),
            &[".unwrap()", ".expect(", "unwrap_unchecked"],
        ),
    }));
}

/// The wall clock may be set back while a page is open, so pages measure time with `ui/clock.rs`. The listed files need a date or compare
/// with a server timestamp.
#[test]
fn pages_measure_time_with_the_monotonic_clock() {
    const WALL: [&str; 10] = [
        "apps/chat/view/drafts.rs",
        "apps/compare/measure/run.rs",
        "apps/compare/measure/staleness.rs",
        "apps/devices/view/clock.rs",
        "apps/echo/state.rs",
        "apps/notifications/view/inbox_model.rs",
        "crates/leptos/src/runtime/clock.rs",
        "ui/clock.rs",
        "ui/inspector/live.rs",
        "ui/moderation.rs",
    ];
    assert_none(findings_in_all_files(|file, source| match WALL.contains(&file) {
        true => Vec::new(),
        false => lines_with(&code(without_tests(file, source)), &["Date::now"]),
    }));
}

#[test]
fn no_test_sleeps() {
    assert_none(findings_in_all_files(|file, source| {
        let tests = if file.starts_with("tests/") {
            source
        } else {
            &source[without_tests(file, source).len()..]
        };
        lines_with_call(&code(tests), &["sleep", "sleep_until", "interval"])
    }));
}

/// Checked source roots and the prefix of their reported paths. Paths of the app are relative to `src`.
const ROOTS: [(&str, &str); 3] = [("src", ""), ("crates", "crates/"), ("tests/server", "tests/")];

/// The findings of a check in all files, each with its path.
fn findings_in_all_files(check: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut findings = Vec::new();
    for (dir, prefix) in ROOTS {
        let root = manifest_dir.join(dir);
        let files = rust_files(&root);
        assert!(files.len() > 10, "too few files in {dir}; was it moved?");
        for path in files {
            let file = format!("{prefix}{}", path.strip_prefix(&root).unwrap().display());
            let found = check(&file, &fs::read_to_string(&path).unwrap());
            findings.extend(found.into_iter().map(|finding| format!("{dir}: {file} {finding}")));
        }
    }
    findings
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

fn assert_none(findings: Vec<String>) {
    assert!(findings.is_empty(), "\n{}\n", findings.join("\n"));
}

/// The source before its unit tests, which are at the end of a file or a file of their own. The gate of a `mod tests;` ends nothing.
fn without_tests<'a>(file: &str, source: &'a str) -> &'a str {
    let is_in_tests = file.starts_with("crates/") && file.contains("/tests/");
    if is_in_tests || file.ends_with("/tests.rs") || file.ends_with("_tests.rs") || source.contains("\n#![cfg(test)]") {
        return "";
    }
    let opens_block = |at: &usize| source[*at..].lines().nth(2).is_none_or(|line| !line.ends_with(';'));
    let mut gates = source.match_indices("\n#[cfg(test)]").map(|(at, _)| at);
    gates.find(opens_block).map_or(source, |at| &source[..=at])
}

fn lines_with(code: &str, patterns: &[&str]) -> Vec<String> {
    code.lines()
        .filter(|line| patterns.iter().any(|pattern| line.contains(pattern)))
        .map(|line| format!("has `{}`", line.trim()))
        .collect()
}

/// The lines that call one of these functions; a longer identifier with the same ending is not a match.
fn lines_with_call(code: &str, functions: &[&str]) -> Vec<String> {
    let calls = |line: &str, function: &str| {
        line.match_indices(&format!("{function}("))
            .any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
    };
    code.lines()
        .filter(|line| functions.iter().any(|function| calls(line, function)))
        .map(|line| format!("has `{}`", line.trim()))
        .collect()
}

fn misplaced_gates(file: &str, source: &str) -> Vec<String> {
    let gated = GATED_FILES.contains(&file)
        || file.starts_with("crates/")
        || file
            .strip_prefix("apps/")
            .is_some_and(|rest| rest.split('/').count() == 2 && rest.ends_with("/mod.rs"));
    let source = code(source);
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    let is_gate = |line: &str| {
        ["cfg(feature", "cfg!(feature", "cfg_attr(feature"]
            .iter()
            .any(|gate| line.contains(gate))
    };
    let precedes_module = |at: usize| {
        file == "lib.rs"
            || lines[at + 1..]
                .iter()
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| is_module(line))
    };
    (0..lines.len())
        .filter(|at| is_gate(lines[*at]) && !(gated && precedes_module(*at)))
        .map(|at| format!("has a misplaced feature gate: `{}`", lines[at]))
        .collect()
}

fn is_module(line: &str) -> bool {
    ["mod ", "pub mod ", "pub(crate) mod "]
        .iter()
        .any(|module| line.starts_with(module))
}

#[test]
fn a_misplaced_feature_gate_is_reported() {
    let gate = concat!("#[", "cfg(feature = \"ssr\")]\n");
    assert_eq!(
        misplaced_gates("apps/chat/mod.rs", &format!("{gate}pub mod server;")).len(),
        0
    );
    assert_eq!(
        misplaced_gates("apps/chat/mod.rs", &format!("{gate}fn gated() {{}}")).len(),
        1
    );
    assert_eq!(
        misplaced_gates("ui/card.rs", &format!("{gate}pub mod server;")).len(),
        1
    );
}

#[test]
fn panicking_calls_are_found_in_code_and_not_in_comments() {
    let source = "fn f() { x.unwrap(); }\n// y.unwrap()\n#[cfg(test)]\nmod tests { fn t() { z.unwrap() } }";
    assert_eq!(
        lines_with(&code(without_tests("ui/card.rs", source)), &[".unwrap()"]),
        ["has `fn f() { x.unwrap(); }`"]
    );
}
