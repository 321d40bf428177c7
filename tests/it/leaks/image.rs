//! What is in the memory of another process: what a core file of it would hold.

use std::fs;
use std::fs::File;
use std::io;
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
    let maps = || fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let memory = File::open(format!("/proc/{process}/mem")).unwrap();
    let mut regions = Vec::new();
    for line in maps().lines() {
        // The program's own text and constants are no secrets.
        let Some(region) = described(line) else { continue };
        match read(region, &memory) {
            Ok(region) => regions.push(region),
            // A region may be unmapped while it is read; then it is in no core file either.
            Err(error) => {
                assert!(!maps().lines().any(|it| it == line), "not searched, {error}: {line}");
            }
        }
    }
    regions
}

/// What `begin-end perms offset device inode   name` says of a part that may be written to, and its
/// length.
fn described(line: &str) -> Option<(String, usize, usize)> {
    let mut fields = line.split_whitespace();
    let (begin, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let name = fields.nth(3).unwrap_or("anonymous");
    let [begin, end] = [begin, end].map(|it| usize::from_str_radix(it, 16).unwrap());
    permissions.starts_with("rw").then(|| (name.to_owned(), begin, end - begin))
}

fn read((name, begin, length): (String, usize, usize), memory: &File) -> io::Result<Region> {
    let mut bytes = vec![0; length];
    memory.read_exact_at(&mut bytes, begin as u64)?;
    Ok(Region { name, begin, bytes })
}
