//! The service manager's descriptor store, where files in memory outlive the process
//! (`FileDescriptorStoreMax=`, systemd.service(5)).
//!
//! What is put there is sealed against changes. The manager takes it without a word, so that
//! something was sent is all that can be known.
//!
//! # Invariants
//!
//! * Between two messages this process may be killed. At each of these points the manager has the
//!   new file or those that it had, because it takes messages in the order in which they are sent.
//! * Two files under one name are removed together, so one that may lie there already under the
//!   name of the new one goes only while a second copy of the new one, a spare, lies beside it
//!   under a name of its own.

use std::fs::File;
use std::io;
use std::io::IoSlice;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;
use rustix::fs::SealFlags;
use rustix::fs::fcntl_add_seals;
use rustix::fs::memfd_create;
use rustix::net::AddressFamily;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::SocketAddrUnix;
use rustix::net::SocketFlags;
use rustix::net::SocketType;

/// What the store is to take, and what to give up after that.
#[derive(Debug)]
pub(super) struct Exchange {
    put: Option<Put>,
    /// Without the name of what is put.
    gone: Vec<String>,
}

/// What the store is to take.
#[derive(Debug)]
struct Put {
    name: String,
    file: OwnedFd,
    /// The same content again, where something may lie there under that name. A file of its own:
    /// the manager does not take one file twice.
    spare: Option<OwnedFd>,
}

impl Exchange {
    /// The name of what is `put` may be one of `gone`: what lies there under it is replaced.
    ///
    /// # Errors
    ///
    /// If the kernel gives no file: out of memory, or of descriptors.
    pub(super) fn new(put: Option<(&str, &[u8])>, gone: &[String]) -> io::Result<Self> {
        let Some((name, content)) = put else { return Ok(Self { put: None, gone: gone.to_vec() }) };
        let replaces = gone.iter().any(|gone| gone == name);
        let spare = replaces.then(|| sealed(content)).transpose()?;
        let put = Put { name: name.to_owned(), file: sealed(content)?, spare };
        let gone = gone.iter().filter(|gone| *gone != name).cloned().collect();
        Ok(Self { put: Some(put), gone })
    }

    /// Sends it, which waits for a manager that is slow to read.
    pub(super) fn send(&self, manager: &SocketAddrUnix) -> io::Result<()> {
        if let Some(Put { name, file, spare }) = &self.put {
            if let Some(spare) = spare {
                store(manager, &spare_of(name), spare)?;
                remove(manager, name)?;
            }
            store(manager, name, file)?;
            if spare.is_some() {
                remove(manager, &spare_of(name))?;
            }
        }
        for name in &self.gone {
            remove(manager, name)?;
            // An exchange that broke off may have left it.
            remove(manager, &spare_of(name))?;
        }
        Ok(())
    }
}

fn spare_of(name: &str) -> String {
    format!("{name}-spare")
}

fn store(manager: &SocketAddrUnix, name: &str, file: &OwnedFd) -> io::Result<()> {
    let message = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0");
    send(manager, &message, Some(file.as_fd()))
}

fn remove(manager: &SocketAddrUnix, name: &str) -> io::Result<()> {
    send(manager, &format!("FDSTOREREMOVE=1\nFDNAME={name}"), None)
}

fn send(manager: &SocketAddrUnix, message: &str, file: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    let files = file.map(|file| [file]);
    if let Some(files) = &files {
        // There is room for one.
        let _fits = rights.push(SendAncillaryMessage::ScmRights(files));
    }
    let parts = [IoSlice::new(message.as_bytes())];
    rustix::net::sendmsg_addr(&socket, manager, &parts, &mut rights, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The manager's socket, as its variable names it: a path, or a name of the abstract namespace
/// after `@`.
pub(super) fn address(variable: &[u8]) -> io::Result<SocketAddrUnix> {
    Ok(match variable.strip_prefix(b"@") {
        Some(name) => SocketAddrUnix::new_abstract_name(name)?,
        None => SocketAddrUnix::new(variable)?,
    })
}

/// A file in memory with that content, which nobody can change any more.
fn sealed(content: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("tokenkeeper-unsaved", flags)?);
    file.write_all(content)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    fcntl_add_seals(&file, seals)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use std::io::IoSliceMut;
    use std::io::Read as _;
    use std::io::Seek as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::UnixDatagram;

    use rustix::net::RecvAncillaryBuffer;
    use rustix::net::RecvAncillaryMessage;
    use rustix::net::RecvFlags;
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_new_file_is_sent_before_the_old_one_is_given_up() {
        let manager = Heard::new();
        let put = Some(("unsaved-2", b"sealed".as_slice()));
        Exchange::new(put, &["unsaved-1".to_owned()]).unwrap().send(&manager.address()).unwrap();

        let [(first, Some(file)), (second, None), (third, None)] = manager.hear() else {
            panic!("one file")
        };
        assert_eq!(first, "FDSTORE=1\nFDNAME=unsaved-2\nFDPOLL=0");
        assert_eq!(second, "FDSTOREREMOVE=1\nFDNAME=unsaved-1");
        assert_eq!(third, "FDSTOREREMOVE=1\nFDNAME=unsaved-1-spare");
        let mut file = File::from(file);
        let mut content = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "sealed");
        assert!(file.write_all(b"x").is_err(), "nobody can change it");
    }

    /// An earlier attempt may have arrived late, and taken away all but itself.
    #[test]
    fn a_file_under_the_name_of_the_new_one_is_replaced_without_a_moment_with_neither() {
        let heard = Heard::new();
        let put = Some(("unsaved-2", b"newer".as_slice()));
        let gone = ["unsaved-1", "unsaved-2"].map(str::to_owned);
        Exchange::new(put, &gone).unwrap().send(&heard.address()).unwrap();

        let mut kept = vec!["unsaved-2".to_owned()];
        let messages: [_; 6] = heard.hear();
        for (message, file) in messages {
            let name = message.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap();
            if file.is_some() {
                kept.push(name.to_owned());
            } else {
                kept.retain(|kept| kept != name);
            }
            assert!(!kept.is_empty(), "after {message}");
        }
        assert_eq!(kept, ["unsaved-2"]);
    }

    #[test]
    fn a_manager_that_is_not_there_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("notify");
        let manager = address(gone.as_os_str().as_bytes()).unwrap();
        let exchange = Exchange::new(Some(("unsaved-1", b"sealed")), &[]).unwrap();
        assert!(exchange.send(&manager).is_err());
    }

    #[test]
    fn a_name_of_the_abstract_namespace_is_one() {
        assert!(address(b"@name").unwrap().abstract_name().is_some());
        assert!(address(b"/run/notify").unwrap().path().is_some());
    }

    /// A manager that has heard something.
    struct Heard {
        directory: TempDir,
        socket: UnixDatagram,
    }

    impl Heard {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
            Self { directory, socket }
        }

        fn address(&self) -> SocketAddrUnix {
            address(self.directory.path().join("notify").as_os_str().as_bytes()).unwrap()
        }

        /// The messages with their files, which must be as many, and no others.
        fn hear<const COUNT: usize>(&self) -> [(String, Option<OwnedFd>); COUNT] {
            let messages = [(); COUNT].map(|()| hear(&self.socket));
            self.socket.set_nonblocking(true).unwrap();
            assert!(self.socket.recv(&mut [0]).is_err(), "there is one more");
            messages
        }
    }

    fn hear(socket: &UnixDatagram) -> (String, Option<OwnedFd>) {
        let mut message = [0; 256];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut message)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let heard = rustix::net::recvmsg(socket, &mut parts, &mut rights, flags).unwrap();
        let mut files = rights.drain().filter_map(|message| {
            if let RecvAncillaryMessage::ScmRights(files) = message { Some(files) } else { None }
        });
        let file = files.next().and_then(|mut files| files.next());
        (String::from_utf8_lossy(&message[..heard.bytes]).into_owned(), file)
    }
}
