//! What is in the memory of another process: what a core file of it would hold.

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// A part of a memory.
pub(super) struct Region {
    /// As `/proc/PID/maps` calls it.
    pub(super) name: String,
    /// Where it begins.
    pub(super) begin: usize,
    /// What is in it.
    pub(super) bytes: Vec<u8>,
}

/// Everything that a process has written to or may write to, which root may read.
pub(super) fn of(process: u32) -> Vec<Region> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    maps.lines().filter_map(|line| read(line, &memory)).collect()
}

fn read(line: &str, memory: &File) -> Option<Region> {
    // "begin-end perms offset device inode   name".
    let mut fields = line.split_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let name = fields.nth(3).unwrap_or("anonymous");
    // The program's own text and constants are no secrets.
    if !permissions.starts_with("rw") {
        return None;
    }
    let [begin, end] = [begin, end].map(|it| usize::from_str_radix(it, 16).unwrap());
    let mut bytes = vec![0; end - begin];
    // A region may be unmapped while it is read; then it is in no core file either.
    memory.read_exact_at(&mut bytes, begin as u64).ok()?;
    Some(Region { name: name.to_owned(), begin, bytes })
}
