//! The journal's own protocol: one datagram for each record, field by field.
//!
//! As <https://systemd.io/JOURNAL_NATIVE_PROTOCOL> has it. A record that is too large for a
//! datagram is handed over as sealed memory.

use std::fs::File;
use std::io;
use std::io::IoSlice;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use rustix::fd::AsFd as _;
use rustix::fs::MemfdFlags;
use rustix::fs::SealFlags;
use rustix::fs::fcntl_add_seals;
use rustix::fs::memfd_create;
use rustix::io::Errno;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::SocketAddrUnix;
use rustix::net::sendmsg_addr;

use super::record::Record;
use super::record::text;

/// Where the journal listens, in a namespace of journals as well (`LogNamespace=`).
const SOCKET: &str = "/run/systemd/journal/socket";

/// Who speaks.
const IDENTIFIER: &str = "tokenkeeperd";

/// What every field of our own begins with.
const PREFIX: &str = "TOKENKEEPER_";

/// The journal's end.
pub(super) struct Journal {
    /// Connected to nothing: the journal may be started again.
    ours: UnixDatagram,
    theirs: PathBuf,
}

impl Journal {
    /// The host's.
    ///
    /// # Errors
    ///
    /// What the kernel says to sockets.
    pub(super) fn find() -> io::Result<Self> {
        Self::at(SOCKET.into())
    }

    fn at(theirs: PathBuf) -> io::Result<Self> {
        Ok(Self { ours: UnixDatagram::unbound()?, theirs })
    }

    /// Hands a record over. It waits while the journal has no room.
    ///
    /// # Errors
    ///
    /// What the kernel says to the datagram; above all, that nobody listens.
    pub(super) fn send(&self, record: &Record) -> io::Result<()> {
        let datagram = encoded(record);
        match self.ours.send_to(&datagram, &self.theirs) {
            Ok(_) => Ok(()),
            Err(error) if is_too_large(&error) => self.hand_over(&datagram),
            Err(error) => Err(error),
        }
    }

    /// Hands a record over as memory that nobody can change any more.
    fn hand_over(&self, datagram: &[u8]) -> io::Result<()> {
        let memory = memfd_create("record", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = File::from(memory);
        file.write_all(datagram)?;
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&file, seals)?;
        let descriptors = [file.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        beside.push(SendAncillaryMessage::ScmRights(&descriptors));
        let to = SocketAddrUnix::new(&self.theirs)?;
        sendmsg_addr(&self.ours, &to, &[IoSlice::new(&[])], &mut beside, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// What the kernel says to a datagram that no buffer holds.
fn is_too_large(error: &io::Error) -> bool {
    let too_large = [Errno::MSGSIZE, Errno::NOBUFS].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|number| too_large.contains(&number))
}

/// A record in the journal's words.
fn encoded(record: &Record) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(512);
    put(&mut datagram, "MESSAGE", &record.message_with_account());
    put(&mut datagram, "PRIORITY", &record.priority.number().to_string());
    put(&mut datagram, "SYSLOG_IDENTIFIER", IDENTIFIER);
    if let Some(kind) = record.kind {
        put(&mut datagram, "MESSAGE_ID", &kind.id());
    }
    for (name, value) in &record.fields {
        put(&mut datagram, &field(name), &text(value));
    }
    datagram
}

/// One field. A value with a newline in it has its length before it, so that it cannot pass for
/// further fields.
fn put(datagram: &mut Vec<u8>, name: &str, value: &str) {
    datagram.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        datagram.push(b'\n');
        datagram.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        datagram.push(b'=');
    }
    datagram.extend_from_slice(value.as_bytes());
    datagram.push(b'\n');
}

/// The journal's name of a field of ours: capitals, digits and underscores.
fn field(name: &str) -> String {
    let letter = |character: char| match character.to_ascii_uppercase() {
        plain @ ('A'..='Z' | '0'..='9') => plain,
        _ => '_',
    };
    PREFIX.chars().chain(name.chars().map(letter)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;
    use std::io::Read as _;
    use std::io::Seek as _;

    use rustix::fs::fcntl_get_seals;
    use rustix::net::RecvAncillaryBuffer;
    use rustix::net::RecvAncillaryMessage;
    use rustix::net::RecvFlags;
    use rustix::net::recvmsg;

    use super::*;
    use crate::message::Message;
    use crate::time::Timestamp;

    #[test]
    fn a_record_has_its_number_its_weight_and_its_fields() {
        let record = Record::of(Message::NeedsLogin, Timestamp::default(), "account needs a login")
            .with("account", "mail")
            .with("generation", 7)
            .with("peer.uid-of", "0");
        insta::assert_snapshot!(String::from_utf8(encoded(&record)).unwrap(), @r"
        MESSAGE=mail: account needs a login
        PRIORITY=2
        SYSLOG_IDENTIFIER=tokenkeeperd
        MESSAGE_ID=2ad4e98b1de64a92856ea21a9d92931e
        TOKENKEEPER_ACCOUNT=mail
        TOKENKEEPER_EVENT=needs_login
        TOKENKEEPER_GENERATION=7
        TOKENKEEPER_PEER_UID_OF=0
        ");
    }

    #[test]
    fn a_value_with_newlines_stays_one_value() {
        let record = Record::of(Message::HookFailed, Timestamp::default(), "a hook failed")
            .with("why", "no\nPRIORITY=0\nMESSAGE=all is well");
        let bytes = encoded(&record);
        let value = "no\nPRIORITY=0\nMESSAGE=all is well";
        let mut wanted = b"TOKENKEEPER_WHY\n".to_vec();
        wanted.extend_from_slice(&(value.len() as u64).to_le_bytes());
        wanted.extend_from_slice(value.as_bytes());
        wanted.push(b'\n');
        assert!(bytes.ends_with(&wanted), "{}", String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn what_no_datagram_holds_arrives_as_memory_that_nobody_can_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let theirs = UnixDatagram::bind(&path).unwrap();
        let journal = Journal::at(path).unwrap();
        let large = Record::of(Message::Panicked, Timestamp::default(), &"x".repeat(1 << 20));
        journal.send(&large).unwrap();

        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut text = [0; 16];
        let mut parts = [IoSliceMut::new(&mut text)];
        let came = recvmsg(&theirs, &mut parts, &mut beside, RecvFlags::empty()).unwrap();
        assert_eq!(came.bytes, 0);
        let Some(RecvAncillaryMessage::ScmRights(mut descriptors)) = beside.drain().next() else {
            panic!("no descriptor came")
        };
        let mut file = File::from(descriptors.next().unwrap());
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        assert!(fcntl_get_seals(&file).unwrap().contains(seals));
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, encoded(&large));
    }

    #[test]
    fn a_journal_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::at(directory.path().join("nobody")).unwrap();
        let record = Record::of(Message::Ready, Timestamp::default(), "ready");
        assert_eq!(journal.send(&record).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn every_length_that_the_kernel_refuses_is_known() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let refused = ours.send(&vec![b'x'; 64 * 1024 * 1024]).unwrap_err();
        assert!(is_too_large(&refused), "{refused}");
        drop(theirs);
        let gone = ours.send(b"x").unwrap_err();
        assert!(!is_too_large(&gone), "{gone}");
    }
}
