//! Fuzzing of the decoders that meet the network, with proptest: the corpus of a decoder is replayed, then mutated at random.
//!
//! `fuzz("cursors", check)` reads the files of `tests/corpora/cursors/`: each line is an entry, and a file `*.bin` is one as a whole. An
//! input that failed is added to the corpus, so that it is replayed for ever. `PROPTEST_CASES=100000 cargo test fuzz` searches longer.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "it runs in tests, and a test that cannot go on has failed"
)]

use std::fmt;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, TestRunner};

/// What decoders stumble over: bytes that are no UTF-8, controls and separators, numbers at and beyond every type's ends.
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

/// Of values that hold others.
const OPENINGS: [&[u8]; 4] = [b"[", b"{\"a\":", b"[{\"", b"{\"post\":"];

/// Deeper than any stack is, if each level is a call.
const MAX_DEPTH: usize = 50_000;
/// An input may grow to this many bytes: more than any message may have.
const MAX_INPUT: usize = 1 << 18;

#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(2_000)];
        write!(f, "{} bytes: b\"{}\"", self.0.len(), shown.escape_ascii())
    }
}

#[derive(Debug, Clone)]
enum Mutation {
    Byte(Index, u8),
    Insert(Index, &'static [u8]),
    /// A run of digits becomes another number.
    Number(Index, &'static [u8]),
    /// What stands between two quotation marks becomes something else.
    Text(Index, &'static [u8]),
    Cut(Index, Index),
    Repeat(Index, Index, usize),
    Nest(Index, &'static [u8], usize),
    Truncate(Index),
    /// The end becomes the end of another entry.
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
    let place = |index: &Index, length: usize| index.index(length + 1);
    let length = bytes.len();
    match mutation {
        Mutation::Byte(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
        Mutation::Byte(..) => bytes.push(b'x'),
        Mutation::Insert(at, token) => splice(bytes, place(at, length), place(at, length), token),
        Mutation::Number(at, token) => replace(bytes, at, token, |byte| byte.is_ascii_digit()),
        Mutation::Text(at, token) => replace(bytes, at, token, |byte| byte != b'"'),
        Mutation::Cut(from, to) | Mutation::Repeat(from, to, _) => {
            let (from, to) = (place(from, length), place(to, length));
            let (from, to) = (from.min(to), from.max(to));
            let times = if let Mutation::Repeat(.., times) = mutation {
                *times
            } else {
                0
            };
            let repeated = bytes[from..to].repeat(times.min(MAX_INPUT / (to - from).max(1)));
            splice(bytes, from, to, &repeated);
        }
        Mutation::Nest(at, opening, depth) => {
            splice(bytes, place(at, length), place(at, length), &opening.repeat(*depth))
        }
        Mutation::Truncate(at) => bytes.truncate(place(at, length)),
        Mutation::Splice(entry, from, at) => {
            let other = &corpus[entry.index(corpus.len())];
            bytes.truncate(place(at, length));
            bytes.extend(&other[place(from, other.len())..]);
        }
    }
    bytes.truncate(MAX_INPUT);
}

fn splice(bytes: &mut Vec<u8>, from: usize, to: usize, token: &[u8]) {
    bytes.splice(from..to, token.iter().copied());
}

/// Replaces one of the longest runs of such bytes.
fn replace(bytes: &mut Vec<u8>, which: &Index, token: &[u8], within: impl Fn(u8) -> bool) {
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

/// The entries of a decoder's corpus. None is an error: a test that replays nothing would pass.
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpora").join(name);
    let mut files: Vec<_> = match fs::read_dir(&at) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(_) => vec![at.with_extension("txt")],
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

/// Entries of a corpus as they are mutated, and now and then any bytes.
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
        // As postcard writes: small numbers, and few of them.
        1 => prop::collection::vec(0_u8..12, 0..60).prop_map(Input),
    ]
}

/// Inputs in sequence, as a peer sends them.
pub fn sequences(name: &str, most: usize) -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(inputs(corpus(name)).prop_map(|Input(bytes)| bytes), 1..most)
}

/// Few inputs at each run of the tests: they come to thousands over all decoders, and other ones at each run.
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

/// Runs `check` on what the strategy makes: it panics where the decoder does not do what it should.
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

/// The same for what is text when it reaches the decoder.
pub fn fuzz_text(name: &str, check: impl Fn(&str)) {
    fuzz(name, |bytes| check(&String::from_utf8_lossy(bytes)));
}

#[cfg(test)]
#[test]
fn mutations_change_the_intended_part() {
    let corpus = vec![br#"{"a":12,"b":"x"}"#.to_vec(), b"other".to_vec()];
    let mut runner = TestRunner::deterministic();
    let first = search_index(&mut runner);
    let mut bytes = corpus[0].clone();
    apply(&mut bytes, &Mutation::Number(first, b"1e999"), &corpus);
    assert_eq!(bytes, br#"{"a":1e999,"b":"x"}"#);
    apply(&mut bytes, &Mutation::Nest(first, b"[", 3), &corpus);
    assert!(bytes.windows(3).any(|three| three == b"[[["));
}

/// An index that is the first of two.
#[cfg(test)]
fn search_index(runner: &mut TestRunner) -> Index {
    loop {
        use proptest::strategy::ValueTree as _;
        let index = any::<Index>().new_tree(runner).unwrap().current();
        if index.index(2) == 0 {
            return index;
        }
    }
}
