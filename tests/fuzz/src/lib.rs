//! Fuzzing of the decoders of network input, with proptest: a decoder's corpus is replayed, then mutated at random.
//!
//! `fuzz("cursors", check)` reads the files of `tests/corpora/cursors/`: each line is an entry, and a file `*.bin` is one entry. An input
//! that fails is added to the corpus, so that every later run replays it. `PROPTEST_CASES=100000 cargo test fuzz` runs longer.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "this crate runs in tests only, where a panic is a failure"
)]

use std::fmt;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// Tokens that decoders often mishandle: invalid UTF-8, control characters, separators, and numbers at and beyond the limits of every
/// type.
const TOKENS: [&[u8]; 40] = [
    b"\0",
    b"\\u0000",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n",
    b"\t",
    b" ",
    b"%",
    b"%00",
    b"%2e%2e",
    b"..",
    b"/",
    b"\\",
    b"@",
    b":",
    b";",
    b",",
    b"=",
    b"\"",
    b"[",
    b"]",
    b"{",
    b"}",
    b"null",
    b"true",
    b"</title><script>",
    b"-1",
    b"-0",
    b"0.1",
    b"1e999",
    b"1e-999",
    b"9007199254740993",
    b"18446744073709551615",
    b"340282366920938463463374607431768211456",
    b"\x80\x80\x80\x80\x80\x01",
];

/// Openings of nested values.
const OPENINGS: [&[u8]; 4] = [b"[", b"{\"a\":", b"[{\"", b"{\"post\":"];

/// Deep enough to overflow any stack, if each level is a call.
const MAX_DEPTH: usize = 50_000;
/// The largest input, in bytes: more than any message may have.
const MAX_INPUT: usize = 1 << 18;

#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = &self.0[..self.0.len().min(2_000)];
        write!(f, "{} bytes: b\"{}\"", self.0.len(), prefix.escape_ascii())
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    Byte(Index, u8),
    Insert(Index, &'static [u8]),
    /// Replaces a run of digits.
    Number(Index, &'static [u8]),
    /// Replaces the text between two quotation marks.
    Text(Index, &'static [u8]),
    Cut(Index, Index),
    Repeat(Index, Index, usize),
    Nest(Index, &'static [u8], usize),
    Truncate(Index),
    /// Replaces the end with the end of another entry.
    Splice(Index, Index, Index),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let token = || select(&TOKENS[..]);
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        3 => (at(), token()).prop_map(|(at, token)| Mutation::Insert(at, token)),
        3 => (at(), token()).prop_map(|(at, token)| Mutation::Number(at, token)),
        3 => (at(), token()).prop_map(|(at, token)| Mutation::Text(at, token)),
        2 => (at(), at()).prop_map(|(from, to)| Mutation::Cut(from, to)),
        1 => (at(), at(), 2..200_usize).prop_map(|(from, to, times)| Mutation::Repeat(from, to, times)),
        1 => (at(), select(&OPENINGS[..]), 100..MAX_DEPTH)
            .prop_map(|(at, opening, depth)| Mutation::Nest(at, opening, depth)),
        1 => at().prop_map(Mutation::Truncate),
        2 => (at(), at(), at()).prop_map(|(entry, from, at)| Mutation::Splice(entry, from, at)),
    ]
}

fn apply(bytes: &mut Vec<u8>, mutation: &Mutation, corpus: &[Vec<u8>]) {
    let position = |index: &Index, length: usize| index.index(length + 1);
    let length = bytes.len();
    match mutation {
        Mutation::Byte(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
        Mutation::Byte(..) => bytes.push(b'x'),
        Mutation::Insert(at, token) => splice(bytes, position(at, length), position(at, length), token),
        Mutation::Number(at, token) => reposition(bytes, at, token, |byte| byte.is_ascii_digit()),
        Mutation::Text(at, token) => reposition(bytes, at, token, |byte| byte != b'"'),
        Mutation::Cut(from, to) | Mutation::Repeat(from, to, _) => {
            let (from, to) = (position(from, length), position(to, length));
            let (from, to) = (from.min(to), from.max(to));
            let times = if let Mutation::Repeat(.., times) = mutation {
                *times
            } else {
                0
            };
            let repeated = bytes[from..to].repeat(times.min(MAX_INPUT / (to - from).max(1)));
            splice(bytes, from, to, &repeated);
        }
        Mutation::Nest(at, opening, depth) => splice(
            bytes,
            position(at, length),
            position(at, length),
            &opening.repeat(*depth),
        ),
        Mutation::Truncate(at) => bytes.truncate(position(at, length)),
        Mutation::Splice(entry, from, at) => {
            let other = &corpus[entry.index(corpus.len())];
            bytes.truncate(position(at, length));
            bytes.extend(&other[position(from, other.len())..]);
        }
    }
    bytes.truncate(MAX_INPUT);
}

fn splice(bytes: &mut Vec<u8>, from: usize, to: usize, token: &[u8]) {
    bytes.splice(from..to, token.iter().copied());
}

/// Replaces one of the runs of bytes for which `within` holds.
fn reposition(bytes: &mut Vec<u8>, which: &Index, token: &[u8], within: impl Fn(u8) -> bool) {
    let mut runs = Vec::new();
    let mut start = None;
    for at in 0..=bytes.len() {
        match (start, bytes.get(at).is_some_and(|byte| within(*byte))) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                runs.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    if !runs.is_empty() {
        let (from, to) = runs[which.index(runs.len())];
        splice(bytes, from, to, token);
    }
}

/// The entries of a decoder's corpus. An empty corpus panics: a test that replays nothing would pass.
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora").join(name);
    let mut files: Vec<_> = match fs::read_dir(&path) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![path.with_extension("txt")],
    };
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let bytes = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if file.extension().is_some_and(|extension| extension == "bin") {
            entries.push(bytes);
        } else {
            entries.extend(
                bytes
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                    .map(<[u8]>::to_vec),
            );
        }
    }
    assert!(!entries.is_empty(), "{name} has no corpus");
    entries
}

/// Mutated entries of a corpus, and sometimes arbitrary bytes.
fn inputs(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Input> {
    let mutated = (any::<Index>(), prop::collection::vec(mutations(), 0..5)).prop_map(move |(entry, mutations)| {
        let mut bytes = corpus[entry.index(corpus.len())].clone();
        for mutation in &mutations {
            apply(&mut bytes, mutation, &corpus);
        }
        Input(bytes)
    });
    prop_oneof![
        8 => mutated,
        1 => prop::collection::vec(any::<u8>(), 0..200).prop_map(Input),
        // Like postcard's output: few and small numbers.
        1 => prop::collection::vec(0_u8..12, 0..60).prop_map(Input),
    ]
}

/// Sequences of 1 to `max_len` - 1 inputs, as a peer sends them.
pub fn sequences(name: &str, max_len: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(inputs(corpus(name)).prop_map(|Input(bytes)| bytes), 1..max_len)
}

/// Few cases per run: they add up to thousands over all decoders, and each run generates others.
fn config() -> Config {
    Config {
        cases: std::env::var("PROPTEST_CASES")
            .ok()
            .and_then(|cases| cases.parse().ok())
            .unwrap_or(64),
        failure_persistence: None,
        ..Config::default()
    }
}

/// Runs `check` on the strategy's values. `check` panics if the decoder fails its property.
pub fn run<S: Strategy>(strategy: S, check: impl Fn(S::Value)) {
    let found = TestRunner::new(config()).run(&strategy, |input| {
        check(input);
        Ok(())
    });
    if let Err(error) = found {
        panic!("{error}");
    }
}

/// Replays the corpus `name`, then runs `check` on mutated entries.
pub fn fuzz(name: &str, check: impl Fn(&[u8])) {
    let corpus = corpus(name);
    for entry in &corpus {
        check(entry);
    }
    run(inputs(corpus), |Input(bytes)| check(&bytes));
}

/// Like [`fuzz`], for decoders of text.
pub fn fuzz_text(name: &str, check: impl Fn(&str)) {
    fuzz(name, |bytes| check(&String::from_utf8_lossy(bytes)));
}

#[cfg(test)]
#[test]
fn mutations_change_the_intended_part() {
    let corpus = vec![br#"{"a":12,"b":"x"}"#.to_vec(), b"other".to_vec()];
    let mut runner = TestRunner::deterministic();
    let first = first_of_two(&mut runner);
    let mut bytes = corpus[0].clone();
    apply(&mut bytes, &Mutation::Number(first, b"1e999"), &corpus);
    assert_eq!(bytes, br#"{"a":1e999,"b":"x"}"#);
    apply(&mut bytes, &Mutation::Nest(first, b"[", 3), &corpus);
    assert!(bytes.windows(3).any(|three| three == b"[[["));
}

/// An index that selects the first of two.
#[cfg(test)]
fn first_of_two(runner: &mut TestRunner) -> Index {
    loop {
        use proptest::strategy::ValueTree as _;
        let index = any::<Index>().new_tree(runner).unwrap().current();
        if index.index(2) == 0 {
            return index;
        }
    }
}
