//! Extracts paths from Rust source (`use` trees and expressions) with a minimal tokenizer.

/// The source without comments and string contents.
pub fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(next) = rest.chars().next() {
        let skipped = comment_len(rest)
            .or_else(|| string_literal_len(rest))
            .or_else(|| char_literal_len(rest));
        match skipped {
            Some(length) => {
                code.push(' ');
                code.extend(rest[..length].chars().filter(|c| *c == '\n'));
                rest = &rest[length..];
            }
            None => {
                code.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    code
}

fn comment_len(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    rest.starts_with("/*")
        .then(|| rest.find("*/").map_or(rest.len(), |end| end + 2))
}

fn string_literal_len(rest: &str) -> Option<usize> {
    if let Some(raw) = rest.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let body = raw[hashes..].strip_prefix('"')?;
        return Some(1 + hashes + 1 + body.find(&end).map_or(body.len(), |at| at + end.len()));
    }
    let body = rest.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(end.map_or(rest.len(), |at| at + 2))
}

/// The length of a character literal; `None` for a lifetime.
fn char_literal_len(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        return Some(
            3 + escape
                .char_indices()
                .skip(1)
                .find(|(_, c)| *c == '\'')
                .map_or(0, |(at, _)| at),
        );
    }
    let mut chars = body.chars();
    let c = chars.next()?;
    (chars.next() == Some('\'')).then(|| 2 + c.len_utf8())
}

/// Every path of the source, starting with `crate` or with another crate's name.
pub fn paths_in(source: &str, module: &[&str]) -> Vec<Vec<String>> {
    let tokens = tokens(&code(source));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = is_name(&tokens[at])
            && (at == 0 || tokens[at - 1] != "::")
            && tokens.get(at + 1).is_some_and(|t| t == "::");
        if starts {
            at = parse_use_tree(&tokens, at, &[], &mut found)
        } else {
            at += 1
        }
    }
    found.into_iter().filter_map(|path| resolve(&path, module)).collect()
}

fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if first.is_alphanumeric() || first == '_' {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Parses a path or a `use` tree; returns the position after it.
fn parse_use_tree(tokens: &[String], mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = before.to_vec();
    while let Some(token) = tokens.get(at) {
        if token == "{" && !path.is_empty() && tokens[at - 1] == "::" {
            return parse_group(tokens, at + 1, &path, found);
        }
        if !is_name(token) {
            break;
        }
        path.push(token.clone());
        at += 1;
        if tokens.get(at).is_none_or(|token| token != "::") {
            break;
        }
        at += 1;
    }
    found.push(path);
    at
}

fn parse_group(tokens: &[String], mut at: usize, before: &[String], found: &mut Vec<Vec<String>>) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "}" => return at + 1,
            "as" => at += 2,
            name if is_name(name) => at = parse_use_tree(tokens, at, before, found),
            _ => at += 1,
        }
    }
    at
}

/// Resolves `self` and `super` by the file's module; `None` if the path starts with neither `crate` nor a crate name.
fn resolve(path: &[String], module: &[&str]) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    let (base, rest) = match path.first()?.as_str() {
        "crate" | "duplex" => (&module[..0], &path[1..]),
        "self" => (module, &path[1..]),
        "super" => (&module[..module.len().saturating_sub(supers)], &path[supers..]),
        other if other.starts_with(|c: char| c.is_lowercase()) => return Some(path.to_vec()),
        _ => return None,
    };
    let own = ["crate"].iter().chain(base).map(|segment| (*segment).to_owned());
    Some(own.chain(rest.iter().cloned()).collect())
}

#[test]
fn use_trees_are_expanded() {
    let found = |source: &str| -> Vec<String> {
        paths_in(source, &["server", "hub", "ring"])
            .iter()
            .map(|path| path.join("::"))
            .collect()
    };
    assert_eq!(
        found("use crate::{apps, wire::code::{self, Side}};"),
        ["crate::apps", "crate::wire::code::self", "crate::wire::code::Side"]
    );
    assert_eq!(
        found("use super::super::state::State as S;"),
        ["crate::server::state::State"]
    );
    assert_eq!(
        found("use self::inner::{A as B, c::D};"),
        [
            "crate::server::hub::ring::inner::A",
            "crate::server::hub::ring::inner::c::D"
        ]
    );
    assert_eq!(found("fn f() -> axum::Router { Side::Client }"), ["axum::Router"]);
    assert_eq!(
        found("// crate::apps::x\nlet s = \"crate::apps\"; /* crate::ui::y */ let r = r#\"crate::a\"b\"#;"),
        Vec::<String>::new()
    );
    assert_eq!(
        found("fn f<'a>(x: &'a str) { '\\'' ; crate::wire::x() ; '\"' }"),
        ["crate::wire::x"]
    );
}
