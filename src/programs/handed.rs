//! A secret as a descriptor, for a program that is handed one.

use std::fs::File;
use std::io;
use std::io::Seek as _;
use std::io::Write as _;
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;
use rustix::fs::SealFlags;
use rustix::fs::fcntl_add_seals;
use rustix::fs::memfd_create;

use crate::token::Secret;

/// Memory that holds `secret` and nothing else, from its beginning, and that nobody can change.
///
/// A pipe would do for a short one only: what does not fit has to be written while the program
/// reads, which it need not do.
///
/// # Errors
///
/// The operating system's.
pub fn handed(secret: &Secret) -> io::Result<OwnedFd> {
    let memory = memfd_create("token", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(memory);
    file.write_all(secret.expose().as_bytes())?;
    file.rewind()?;
    fcntl_add_seals(
        &file,
        SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
    )?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn what_is_handed_over_is_read_from_its_beginning_and_cannot_be_changed() {
        let mut file = File::from(handed(&Secret::new("hush")).unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hush");
        assert!(file.write_all(b"x").is_err());
    }
}
