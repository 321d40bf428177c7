//! The service manager's descriptor store, where files in memory outlive the process
//! (`FileDescriptorStoreMax=`, systemd.service(5)).
//!
//! What is put there is sealed against changes. The manager takes it without a word, so that
//! something was sent is all that can be known.

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
    put: Option<(String, OwnedFd)>,
    gone: Vec<String>,
}

impl Exchange {
    /// # Errors
    ///
    /// If the kernel gives no file: out of memory, or of descriptors.
    pub(super) fn new(put: Option<(&str, &[u8])>, gone: &[String]) -> io::Result<Self> {
        let put =
            put.map(|(name, content)| Ok::<_, io::Error>((name.to_owned(), sealed(content)?)));
        Ok(Self { put: put.transpose()?, gone: gone.to_vec() })
    }

    /// Sends it, which waits for a manager that is slow to read.
    pub(super) fn send(&self, manager: &SocketAddrUnix) -> io::Result<()> {
        if let Some((name, file)) = &self.put {
            // One that an earlier attempt left under that name would stay beside this one.
            send(manager, &removal(name), None)?;
            let message = format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0");
            send(manager, &message, Some(file.as_fd()))?;
        }
        self.gone.iter().try_for_each(|name| send(manager, &removal(name), None))
    }
}

fn removal(name: &str) -> String {
    format!("FDSTOREREMOVE=1\nFDNAME={name}")
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

    use super::*;

    #[test]
    fn the_new_file_is_sent_before_the_old_one_is_given_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let manager = address(path.as_os_str().as_bytes()).unwrap();
        let put = Some(("unsaved-2", b"sealed".as_slice()));

        let exchange = Exchange::new(put, &["unsaved-1".to_owned()]).unwrap();
        exchange.send(&manager).unwrap();

        let told = [(); 3].map(|()| hear(&socket));
        assert_eq!(told[0].0, "FDSTOREREMOVE=1\nFDNAME=unsaved-2");
        assert_eq!(told[1].0, "FDSTORE=1\nFDNAME=unsaved-2\nFDPOLL=0");
        assert_eq!(told[2].0, "FDSTOREREMOVE=1\nFDNAME=unsaved-1");
        let [(_, None), (_, Some(file)), (_, None)] = told else { panic!("one file") };
        let mut file = File::from(file);
        let mut content = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut content).unwrap();
        assert_eq!(content, "sealed");
        assert!(file.write_all(b"x").is_err(), "nobody can change it");
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
