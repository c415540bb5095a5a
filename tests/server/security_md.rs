//! Checks that every test named in SECURITY.md exists.

use std::fs;
use std::path::{Path, PathBuf};

/// The prefix of a paragraph that lists names of tests in backquotes.
const TESTS: &str = "Tests:";

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "node_modules" && name != "target" {
            sources(&path, found);
        } else if ["rs", "ts", "mjs"]
            .iter()
            .any(|kind| path.extension().is_some_and(|extension| extension == *kind))
        {
            found.push(path);
        }
    }
}

/// The names of tests from the first line of a paragraph that begins with [`TESTS`].
fn test_names(text: &str) -> Vec<&str> {
    text.split("\n\n")
        .flat_map(|paragraph| paragraph.split('\n').skip_while(|line| !line.starts_with(TESTS)))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_test_named_in_security_md_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let mut files = Vec::new();
    for dir in ["src", "crates", "tests", "end2end", "tools"] {
        sources(&root.join(dir), &mut files);
    }
    let code: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let names = test_names(&text);
    assert!(names.len() > 20, "too few tests are named: {names:?}");
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !code.contains(&format!("fn {name}(")) && !code.contains(&format!("test(\"{name}\"")))
        .collect();
    assert!(
        missing.is_empty(),
        "SECURITY.md names tests that do not exist: {missing:#?}"
    );
    assert!(text.lines().count() <= 200, "SECURITY.md is too long");
}

#[test]
fn only_names_after_tests_are_collected() {
    let text = "A `word`.\nTests: `one_test`,\n`another_test`.\n\nA `word` again.";
    assert_eq!(test_names(text), ["one_test", "another_test"]);
}
