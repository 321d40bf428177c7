//! What a write-ahead log says of itself, before SQLite has it.
//!
//! SQLite takes the frames of a log up to the first one that does not belong there, and says nothing
//! of what follows. After a crash that is right. After damage it takes the store back to an earlier
//! state without a word, so [`judge`] tells the two apart, as far as a log can tell ("Database File
//! Format", section 4).
//!
//! # What a crash can leave
//!
//! On a disk that keeps what it has synced, and with `synchronous=FULL`:
//!
//! * a header alone or a part of one: it is synced before the first frame is written behind it;
//! * behind the last frame, frames of an earlier use of the file: their salts are others;
//! * at the end one transaction of which any part is missing: each is synced before the next one
//!   begins. What is left of several such ends does not hang together, because every frame carries
//!   on the checksum of the one before it.
//!
//! So a header that is none, before frames, is damage, and so are two commits that hang together
//! behind a frame that does not fit. A log that was cut short, or damaged in its last transaction, looks
//! as after a crash.

use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The first four bytes; the lowest bit says in which byte order checksums are counted.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// SQLite's smallest and largest page, in bytes.
const PAGES: std::ops::RangeInclusive<u32> = 512..=65_536;

/// What a log is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Log {
    /// There is no frame in it, or no log.
    Nothing,
    /// What SQLite reads of it is all that was made durable, as far as it can be told.
    Sound,
    /// SQLite reads transactions of it, and not those behind a place that was damaged.
    Broken,
    /// There are frames in it, and SQLite reads no transaction.
    Lost,
}

/// Judges a log by its bytes, of which one frame at a time is in memory.
pub(super) fn judge(log: impl Read) -> io::Result<Log> {
    let mut log = BufReader::new(log);
    let mut header = [0; HEADER];
    if !filled(&mut log, &mut header)? {
        return Ok(Log::Nothing);
    }
    let Some(mut chain) = Chain::begin(&header) else {
        return Ok(if log.fill_buf()?.is_empty() { Log::Nothing } else { Log::Lost });
    };
    let mut frame = vec![0; FRAME_HEADER + chain.page];
    let mut frames = false;
    while filled(&mut log, &mut frame)? {
        frames = true;
        chain.take(&frame);
    }
    Ok(match (frames, chain.broken, chain.commits) {
        (false, ..) => Log::Nothing,
        (true, false, _) => Log::Sound,
        (true, true, 0) => Log::Lost,
        (true, true, _) => Log::Broken,
    })
}

/// Whether there were as many bytes as `buffer` takes.
fn filled(log: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The frames of a log, one after the other.
struct Chain {
    order: Order,
    /// Bytes of a page.
    page: usize,
    /// Of the present use of the file.
    salts: [u8; 8],
    /// What the next frame carries on; `None` behind a frame of another use.
    sums: Option<[u32; 2]>,
    /// Whether every frame so far is one that SQLite takes.
    whole: bool,
    /// Transactions that SQLite takes.
    commits: u64,
    /// Commits behind the first frame that SQLite does not take, of which each hangs together with
    /// the one before it.
    run: u64,
    /// Whether there was a run of more than one.
    broken: bool,
}

/// In which byte order checksums are counted.
#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// What stands before the page of a frame.
struct Frame {
    page: u32,
    commits: bool,
    salts: [u8; 8],
    sums: [u32; 2],
}

impl Chain {
    /// From the header of a log; `None` if it is none.
    fn begin(header: &[u8; HEADER]) -> Option<Self> {
        let mut rest = header.as_slice();
        let magic = number(&mut rest)?;
        let version = number(&mut rest)?;
        let page = number(&mut rest)?;
        let _checkpoints = number(&mut rest)?;
        let salts = bytes(&mut rest)?;
        let stored = [number(&mut rest)?, number(&mut rest)?];

        let order = if magic & 1 == 0 { Order::Little } else { Order::Big };
        let sums = order.sum([0, 0], header.get(..HEADER - 8)?);
        let is_one = magic & !1 == MAGIC
            && version == VERSION
            && PAGES.contains(&page)
            && page.is_power_of_two()
            && sums == stored;
        is_one.then_some(Self {
            order,
            page: usize::try_from(page).ok()?,
            salts,
            sums: Some(sums),
            whole: true,
            commits: 0,
            run: 0,
            broken: false,
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        let Some(frame) = Frame::parse(bytes).filter(|frame| frame.salts == self.salts) else {
            self.whole = false;
            self.sums = None;
            return;
        };
        let fits = self.sums.is_some_and(|sums| self.order.of_frame(sums, bytes) == frame.sums);
        self.sums = Some(frame.sums);
        self.whole &= fits && frame.page != 0;
        if self.whole {
            self.commits += u64::from(frame.commits);
            return;
        }
        if !fits {
            self.run = 0;
        }
        self.run += u64::from(frame.commits);
        self.broken |= self.run > 1;
    }
}

impl Order {
    /// Carries `sums` on over `bytes`, of which there are a multiple of eight.
    fn sum(self, sums: [u32; 2], bytes: &[u8]) -> [u32; 2] {
        let (words, _) = bytes.as_chunks::<4>();
        let (pairs, _) = words.as_chunks::<2>();
        pairs.iter().fold(sums, |[first, second], pair| {
            let [even, odd] = pair.map(|word| match self {
                Self::Little => u32::from_le_bytes(word),
                Self::Big => u32::from_be_bytes(word),
            });
            let first = first.wrapping_add(even).wrapping_add(second);
            [first, second.wrapping_add(odd).wrapping_add(first)]
        })
    }

    /// The same over what a frame's checksum covers: page number, size and page.
    fn of_frame(self, sums: [u32; 2], frame: &[u8]) -> [u32; 2] {
        let lead = frame.get(..8).unwrap_or_default();
        let page = frame.get(FRAME_HEADER..).unwrap_or_default();
        self.sum(self.sum(sums, lead), page)
    }
}

impl Frame {
    fn parse(mut rest: &[u8]) -> Option<Self> {
        Some(Self {
            page: number(&mut rest)?,
            commits: number(&mut rest)? != 0,
            salts: bytes(&mut rest)?,
            sums: [number(&mut rest)?, number(&mut rest)?],
        })
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    bytes(rest).map(u32::from_be_bytes)
}

fn bytes<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*first)
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::ops::Range;
    use std::path::Path;

    use rusqlite::Connection;
    use rusqlite::params;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_log_is_sound_after_each_of_its_transactions_and_after_a_crash_in_any() {
        let log = Written::new(6);
        assert_eq!(judged(&log.bytes), Log::Sound);
        for end in (0..log.bytes.len()).step_by(61) {
            let expected = if end < HEADER + log.frame { Log::Nothing } else { Log::Sound };
            assert_eq!(judged(&log.bytes[..end]), expected, "cut to {end}");
        }
        // Of the last transaction any part may be missing, its header included.
        let last = log.transactions.last().unwrap();
        for at in last.clone().step_by(log.frame) {
            for hole in [at..at + FRAME_HEADER, at + FRAME_HEADER..at + log.frame] {
                let mut torn = log.bytes.clone();
                torn[hole].fill(0);
                assert_eq!(judged(&torn), Log::Sound);
            }
        }
    }

    #[test]
    fn no_header_before_frames_is_damage_and_without_any_is_nothing() {
        let log = Written::new(2);
        for byte in 0..HEADER {
            let mut hurt = log.bytes.clone();
            hurt[byte] ^= 1;
            assert_eq!(judged(&hurt), Log::Lost, "byte {byte}");
            assert_eq!(judged(&hurt[..HEADER]), Log::Nothing, "byte {byte}");
        }
        assert_eq!(judged(&[0xa5; 10_000]), Log::Lost);
        assert_eq!(judged(&[0; 10_000]), Log::Lost);
        assert_eq!(judged(&[]), Log::Nothing);
    }

    #[test]
    fn damage_before_the_last_transaction_is_told_from_a_crash_wherever_it_is() {
        let log = Written::new(5);
        let (last, before) = log.transactions.split_last().unwrap();
        assert!(before.len() > 3);
        for (number, transaction) in before.iter().enumerate() {
            for at in transaction.clone().step_by(509) {
                let mut hurt = log.bytes.clone();
                hurt[at] ^= 1;
                let expected = if number == 0 { Log::Lost } else { Log::Broken };
                // A commit whose own header is damaged does not say that it is one.
                let behind = log.transactions.len() - number;
                let names_itself = (at - HEADER) % log.frame >= FRAME_HEADER;
                if behind > 2 || names_itself {
                    assert_eq!(judged(&hurt), expected, "byte {at} of transaction {number}");
                }
            }
        }
        let mut hurt = log.bytes.clone();
        hurt[last.start] ^= 1;
        assert_eq!(judged(&hurt), Log::Sound);
    }

    #[test]
    fn what_an_earlier_use_of_the_file_left_behind_is_no_damage() {
        let database = Database::new();
        (0..6).for_each(|n| database.write(n));
        let long = database.log().len();
        database.checkpoint();
        database.write(6);
        let log = database.log();
        assert_eq!(log.len(), long);
        assert_eq!(judged(&log), Log::Sound);
    }

    /// What is left of a last transaction stays there, and the next process writes over its beginning.
    #[test]
    fn what_two_crashes_left_behind_each_other_does_not_hang_together() {
        let log = Written::new(6);
        let [.., one, two] = log.transactions.as_slice() else { panic!("too few") };
        let mut torn = log.bytes.clone();
        torn[one.start] ^= 1;
        torn[two.start + 16] ^= 1;
        assert_eq!(judged(&torn), Log::Sound);
    }

    /// A log that SQLite wrote, and where its transactions are in it.
    pub(in crate::store) struct Written {
        pub(in crate::store) bytes: Vec<u8>,
        pub(in crate::store) frame: usize,
        pub(in crate::store) transactions: Vec<Range<usize>>,
    }

    impl Written {
        fn new(writes: u8) -> Self {
            let database = Database::new();
            (0..writes).for_each(|n| database.write(n));
            Self::of(database.log())
        }

        pub(in crate::store) fn of(bytes: Vec<u8>) -> Self {
            let page = u32::from_be_bytes(*bytes[8..].first_chunk().unwrap());
            let frame = FRAME_HEADER + usize::try_from(page).unwrap();
            let mut transactions = Vec::new();
            let mut begin = HEADER;
            for at in (HEADER..bytes.len()).step_by(frame) {
                if Frame::parse(&bytes[at..]).unwrap().commits {
                    transactions.push(begin..at + frame);
                    begin = at + frame;
                }
            }
            Self { bytes, frame, transactions }
        }
    }

    struct Database {
        at: TempDir,
        conn: Connection,
    }

    impl Database {
        fn new() -> Self {
            let at = tempfile::tempdir().unwrap();
            let conn = Connection::open(at.path().join("db")).unwrap();
            conn.execute_batch(
                "PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                 CREATE TABLE t (n INTEGER PRIMARY KEY, body BLOB);",
            )
            .unwrap();
            Self { at, conn }
        }

        fn write(&self, n: u8) {
            let row = params![n, vec![n; 1500]];
            self.conn.execute("INSERT INTO t VALUES (?, ?)", row).unwrap();
        }

        fn checkpoint(&self) {
            self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())).unwrap();
        }

        fn log(&self) -> Vec<u8> {
            content_of(&self.at.path().join("db-wal"))
        }
    }

    #[allow(clippy::disallowed_methods, reason = "a small file that the test made")]
    fn content_of(path: &Path) -> Vec<u8> {
        fs::read(path).unwrap()
    }

    fn judged(log: &[u8]) -> Log {
        judge(log).unwrap()
    }
}
