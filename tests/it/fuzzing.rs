//! The fuzz targets, without a fuzzer: every input of their corpora, and what a mutator makes of
//! those.
//!
//! `fuzz/run` looks for new inputs; each that breaks a promise is mended and stays in the corpus, so
//! that it is tried here from then on. The mutator is small and always does the same: what
//! it finds is found again, and a failure names what has to be kept.
//!
//! With a number in `TOKENKEEPER_TEST_MUTATIONS` each target has so many mutations tried.

// What fuzz programs call is public there, and here nobody else's.
#[allow(unreachable_pub, reason = "it is the library of another package")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::panic;
use std::path::Path;
use std::path::PathBuf;

use self::targets::TARGETS;
use crate::support::chance::Chance;
use crate::support::number_from_environment;

/// Mutations of each corpus, where nobody says how many.
const MUTATIONS: u64 = 500;

/// Largest corpus of all targets, in files and bytes: it is read, not only kept.
const MOST_FILES: usize = 300;
const MOST_BYTES: usize = 1024 * 1024;

#[test]
fn every_target_keeps_its_promises_for_its_whole_corpus() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        for (path, input) in corpus(name) {
            if panic::catch_unwind(|| target(&input)).is_err() {
                broken.push(path.display().to_string());
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_keeps_its_promises_for_what_a_mutator_makes_of_its_corpus() {
    let mutations = number_from_environment("TOKENKEEPER_TEST_MUTATIONS", MUTATIONS);
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let corpus = corpus(name).into_iter().map(|(_, input)| input).collect::<Vec<_>>();
        for seed in 0..mutations {
            let input = Mutator::new(seed).mutation(&corpus);
            if panic::catch_unwind(|| target(&input)).is_err() {
                broken.push(format!("{name} number {seed}: {}", input.escape_ascii()));
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_target_has_a_program_and_a_corpus_that_a_person_can_look_through() {
    let named = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    assert!(named.is_sorted(), "{named:?}");
    let stems = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        let name = |entry: fs::DirEntry| entry.path().file_stem().unwrap().to_owned();
        let mut stems =
            entries.map(|entry| name(entry.unwrap()).into_string().unwrap()).collect::<Vec<_>>();
        stems.sort();
        stems
    };
    assert_eq!(stems("fuzz_targets"), named);
    assert_eq!(stems("corpus"), named);
    let files = named.iter().flat_map(|name| corpus(name)).collect::<Vec<_>>();
    let bytes = files.iter().map(|(_, input)| input.len()).sum::<usize>();
    assert!(files.len() <= MOST_FILES && bytes <= MOST_BYTES, "{} files, {bytes} B", files.len());
}

/// The inputs of a target, by their paths. There are some.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(root().join("corpus").join(target)).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    paths.sort();
    assert!(!paths.is_empty(), "{target} has no corpus");
    let read = |path: PathBuf| {
        let input = fs::read(&path).unwrap();
        (path, input)
    };
    paths.into_iter().map(read).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// Makes inputs of others. Of one seed it always makes the same.
struct Mutator(Chance);

/// What parsers are known to stumble over.
#[rustfmt::skip]
const AWKWARD: &[&[u8]] = &[
    b"\0", b"\xff", b"\r\n", b"%%\n", b"\"", b"\\", b"{", b"[", b"}", b"-1", b"1e309", b"0x", b"%00",
    b"null", b"\xf0\x9f\x94\x91", b"\xe2\x80\xae", b"9223372036854775808", b"18446744073709551616",
    b"../", b"'''", b"\x1b[2J", b"NaN", b"canary-4f9aKq0ZtYxLm3Pq7Rw2",
];

impl Mutator {
    fn new(seed: u64) -> Self {
        Self(Chance(seed))
    }

    /// One input, changed in one to six places.
    fn mutation(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.0.index(corpus.len())].clone();
        for _ in 0..=self.0.index(6) {
            self.change(&mut input, corpus);
        }
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let from = self.0.index(input.len() + 1);
        let to = (from + self.0.index(24)).min(input.len());
        match self.0.index(6) {
            0 if from < input.len() => input[from] ^= 1 << self.0.index(8),
            1 => drop(input.drain(from..to)),
            2 => {
                let piece = input[from..to].to_vec();
                let at = self.0.index(input.len() + 1);
                drop(input.splice(at..at, piece));
            }
            3 => {
                let other = &corpus[self.0.index(corpus.len())];
                let begin = self.0.index(other.len() + 1);
                drop(input.splice(from.., other[begin..].iter().copied()));
            }
            4 => drop(input.splice(from..to, AWKWARD[self.0.index(AWKWARD.len())].iter().copied())),
            _ => {
                drop(input.splice(from..from, AWKWARD[self.0.index(AWKWARD.len())].iter().copied()))
            }
        }
    }
}
