//! Nothing that is secret leaves the daemon but to whom it is for, nor stays where it was.
//!
//! # Reading order
//!
//! 1. The search of all that was said, written and kept, here.
//! 2. `canary`: secrets, and every spelling in which they are looked for.
//! 3. `cast`: accounts and their secrets. `life`: what happens to them. `recorder`: where every token of
//!    a provider is taken down. `terminal`: where lines are logged. `traffic`: the message bus. `image`:
//!    the memory.
//! 4. `onlookers`: who may look into the process.

mod canary;
mod cast;
mod image;
mod life;
mod onlookers;
mod recorder;
mod terminal;
mod traffic;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use self::canary::Canaries;
use self::canary::Canary;
use self::canary::Sort;
use self::life::Life;
use self::life::Log;
use self::terminal::Terminal;
use self::traffic::Traffic;
use crate::support::config::Config;
use crate::support::daemon::Daemon;
use crate::support::journal::Journal;
use crate::support::process::let_pass;
use crate::support::skipped;

/// The most copies of a token that the daemon holds which nobody has asked it for since it began: the
/// one in the account's snapshot.
const HELD: usize = 1;

/// The same where programs have asked for it: two more are in the answer that is kept written, as the
/// token and as the header to send.
const SERVED: usize = HELD + 2;

/// After how long without a request nothing of what it was busy with may be left. It is told to nobody
/// that it has come to rest.
const IDLE: Duration = Duration::from_secs(5);

#[test]
fn in_a_whole_life_nothing_secret_is_told_written_or_kept() {
    let life = search(|_| Log::File);
    assert!(life.daemon.log().starts_with('{'), "it logs for programs");
}

#[test]
fn in_a_whole_life_nothing_secret_is_told_on_a_terminal() {
    let mut is_there = false;
    let life = search(|daemon| {
        let terminal = Terminal::open(&daemon.path("log"));
        is_there = terminal.is_some();
        terminal.map_or(Log::File, Log::Terminal)
    });
    let line = |line: &str| line.trim_end().ends_with("info    stopped");
    assert!(!is_there || life.daemon.log().lines().any(line), "it logs for people");
}

#[test]
fn in_a_whole_life_nothing_secret_is_told_to_the_journal() {
    let Some(journal) = Journal::play() else { return };
    let life = search(|_| Log::Journal(journal));
    assert_eq!(life.daemon.log(), "", "it logs to the journal");
    let told = life.told().iter().filter(|told| told.what == "the journal");
    assert!(told.map(|told| told.text.len()).sum::<usize>() > 0, "the journal was told nothing");
}

/// Searches all that comes of a life whose daemon logs there.
fn search(log: impl FnOnce(&Daemon) -> Log) -> Life {
    let traffic = Traffic::begin();
    let mut daemon = Daemon::new(&Config::default());
    if let Some(traffic) = &traffic {
        daemon = daemon.with_bus(&traffic.address());
    }
    let log = log(&daemon);
    let mut life = Life::begin(daemon, log);
    if let Some(traffic) = &traffic {
        traffic.is_followed();
    }
    life.passes();
    if let Some(traffic) = &traffic {
        traffic.passes();
    }
    let overheard = traffic.map(Traffic::end);
    let mut finds = Vec::new();
    for file in ["cmdline", "environ"] {
        let text = fs::read(format!("/proc/{}/{file}", life.daemon.id())).unwrap();
        finds.extend(found(&life.canaries(), file, &text, |_| true));
    }
    if rustix::process::geteuid().is_root() {
        let served = life.served();
        finds.extend(in_memory(&life, "while it runs", &served, SERVED));
        life.begins_again();
        finds.extend(in_memory(&life, "after a restart, when nobody has asked", &served, HELD));
        let served = life.served();
        finds.extend(in_memory(&life, "after a restart", &served, SERVED));
    } else {
        skipped("only root may read the memory of the daemon");
    }
    life.ends();
    // Secrets of the second life are secrets as well.
    let canaries = life.canaries();
    if let Some(overheard) = overheard {
        finds.extend(found(&canaries, "the bus", &overheard, |_| true));
    }
    finds.extend(in_files(&canaries, life.daemon.home()));
    finds.extend(on_the_wire(&canaries, &life));
    for told in life.told() {
        let matters = |it: &Canary| it.sort != Sort::Token || !told.is_token;
        finds.extend(found(&canaries, &told.what, &told.text, matters));
    }
    let sorts = [Sort::RefreshToken, Sort::Token, Sort::AccountSecret, Sort::StoreKey];
    let counts = sorts.map(|sort| format!("{sort:?} {}", canaries.count(sort)));
    let (texts, wire) = (life.told().len(), life.said().count());
    eprintln!("{}; {texts} texts, {wire} at providers", counts.join(", "));
    assert!(canaries.count(Sort::RefreshToken) >= 10, "providers rotated less than they should");
    assert!(finds.is_empty(), "{} finds:\n{}", finds.len(), finds.join("\n"));
    life
}

/// What an account and its provider said to each other and must not have: what is another's, and
/// anything at all in the line of a request, which servers log.
fn on_the_wire(canaries: &Canaries, life: &Life) -> Vec<String> {
    let mut finds = Vec::new();
    for (account, said) in life.said() {
        let of_another = |it: &Canary| !it.is_of(account);
        finds.extend(found(canaries, &format!("at {account}'s provider"), &said, of_another));
        let line = said.split(|byte| *byte == b'\r').next().unwrap_or_default();
        finds.extend(found(canaries, &format!("the first line for {account}"), line, |_| true));
    }
    finds
}

/// What stands in a text and must not.
fn found(
    canaries: &Canaries,
    what: &str,
    text: &[u8],
    matters: impl Fn(&Canary) -> bool,
) -> Vec<String> {
    let found = canaries.found_in(text).into_iter().filter(|find| matters(find.canary));
    found.map(|find| format!("{what}: {find}")).collect()
}

/// What stands in a file and must not. Of what the daemon wrote, all are searched; the operator's own
/// are those that hold the secrets.
fn in_files(canaries: &Canaries, directory: &Path) -> Vec<String> {
    let mut finds = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            finds.extend(in_files(canaries, &path));
        } else if path.is_file() && !name.starts_with("secret.") && name != "meter.sh" {
            let text = fs::read(&path).unwrap();
            let is_key = name == "store.key";
            finds
                .extend(found(canaries, &name, &text, |it| !(is_key && it.sort == Sort::StoreKey)));
        }
    }
    finds
}

/// What is in the memory of the daemon and must not be, when nobody has wanted anything for a while.
fn in_memory(life: &Life, when: &str, served: &BTreeSet<String>, copies: usize) -> Vec<String> {
    let_pass(IDLE);
    let seen = Seen::in_memory(&life.canaries(), served, copies, life.daemon.id());
    eprintln!("{when}: {} tokens, {} copies at the most", seen.tokens, seen.most);
    // What finds nothing at all searches in the wrong place.
    assert!(seen.tokens > 0, "{when}: no token is there, not even one that is served");
    seen.finds.into_iter().map(|find| format!("{when}: {find}")).collect()
}

/// What one look into a memory shows.
struct Seen {
    /// What must not be there.
    finds: Vec<String>,
    /// How many of the tokens that are served are there, and of how many copies the most has.
    tokens: usize,
    most: usize,
}

impl Seen {
    fn in_memory(
        canaries: &Canaries,
        served: &BTreeSet<String>,
        most_copies: usize,
        process: u32,
    ) -> Self {
        let mut finds = Vec::new();
        let mut copies = BTreeMap::<&Canary, Vec<String>>::new();
        for region in image::of(process) {
            for find in canaries.found_in(&region.bytes) {
                let place = format!("{} {:x}: {find}", region.name, region.begin + find.at);
                let is_served = served.iter().any(|it| find.canary.is(it));
                if !is_served {
                    finds.push(place);
                } else if find.is_end {
                    copies.entry(find.canary).or_default().push(place);
                }
            }
        }
        let (tokens, most) =
            (copies.len(), copies.values().map(Vec::len).max().unwrap_or_default());
        finds.extend(copies.into_values().filter(|places| places.len() > most_copies).flatten());
        Self { finds, tokens, most }
    }
}
