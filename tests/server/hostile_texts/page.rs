//! A parsed page for the injection tests: its elements and attributes, separate from its texts.

use html5ever::tendril::TendrilSink as _;
use html5ever::{ParseOpts, parse_document};
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use serde_json::Value;

/// The structure of a page and, separately, its texts.
#[derive(Debug, Default)]
pub struct Page {
    /// Every element with its depth and the names of its attributes.
    pub tree: Vec<String>,
    pub title: String,
    /// Every text, and every value of an attribute.
    pub texts: Vec<String>,
    pub scripts: Vec<String>,
}

/// Attributes whose values are code or URLs; they must not contain untrusted text.
const ACTIVE: [&str; 7] = ["href", "src", "action", "formaction", "http-equiv", "style", "srcdoc"];

impl Page {
    pub fn read(html: &str) -> Self {
        let dom = parse_document(RcDom::default(), ParseOpts::default()).one(html);
        let mut page = Self::default();
        page.walk(&dom.document, 0, "");
        page
    }

    fn walk(&mut self, node: &Handle, depth: usize, parent: &str) {
        let mut name_of_parent = String::new();
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                name_of_parent = name.local.to_string();
                let attributes = attrs.borrow();
                let mut names: Vec<_> = attributes
                    .iter()
                    .map(|attribute| attribute.name.local.to_string())
                    .collect();
                names.sort();
                self.tree.push(format!("{depth} {name_of_parent} {}", names.join(" ")));
                for attribute in attributes.iter() {
                    let (name, value) = (attribute.name.local.to_string(), attribute.value.to_string());
                    let scheme: String = value.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
                    let is_code = ["javascript:", "data:", "vbscript:", "//"]
                        .iter()
                        .any(|prefix| scheme.starts_with(prefix));
                    assert!(
                        !(is_code && ACTIVE.contains(&&*name)),
                        "{name_of_parent} {name}={value}"
                    );
                    assert!(!name.starts_with("on"), "{name_of_parent} {name}={value}");
                    self.texts.push(value);
                }
            }
            NodeData::Text { contents } => match parent {
                "script" => self.scripts.push(contents.borrow().to_string()),
                "title" => self.title.push_str(&contents.borrow()),
                _ => self.texts.push(contents.borrow().to_string()),
            },
            // The framework writes comments between dynamic parts.
            NodeData::Comment { .. } => self.tree.push(format!("{depth} comment")),
            _ => {}
        }
        for child in node.children.borrow().iter() {
            self.walk(child, depth + 1, &name_of_parent);
        }
    }

    pub fn shows(&self, text: &str) -> bool {
        self.texts.iter().any(|shown| shown.contains(text))
    }

    /// The values of the page's serialised resources, as its scripts read them.
    pub fn resources(&self) -> Vec<Value> {
        let lists = self
            .scripts
            .iter()
            .filter(|script| script.contains("__RESOLVED_RESOURCES["));
        lists
            .flat_map(|script| script.split("__RESOLVED_RESOURCES[").skip(1))
            .filter_map(|assigned| {
                let literal = assigned.split_once("] = \"")?.1.rsplit_once("\";")?.0;
                Some(serde_json::from_str(&unescaped(literal)).unwrap())
            })
            .collect()
    }
}

/// The value of a JavaScript string literal.
fn unescaped(literal: &str) -> String {
    let mut text = String::new();
    let mut rest = literal.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            assert!(
                !matches!(c, '"' | '\n' | '\u{2028}' | '\u{2029}'),
                "the literal ends at {c:?}"
            );
            text.push(c);
            continue;
        }
        match rest.next().unwrap() {
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => {
                let digits: String = match rest.clone().next() {
                    Some('{') => rest.by_ref().skip(1).take_while(|c| *c != '}').collect(),
                    _ => rest.by_ref().take(4).collect(),
                };
                text.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
            }
            other => text.push(other),
        }
    }
    text
}
