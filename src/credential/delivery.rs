//! How a credential, or a refusal, gets to the service manager, and that it is one.

use std::io;

use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::credential::subject::Stranger;
use crate::limits;

/// What a refusal is made of; the service manager reads it and throws it away.
static FILLER: [u8; 64 * 1024] = [b'\n'; 64 * 1024];

/// Waits for the end of what the peer sends.
///
/// # Errors
///
/// If it sends something, or does not end within [`limits::CREDENTIAL_QUIET`].
pub(super) async fn quiet(stream: &UnixStream) -> Result<(), Stranger> {
    let end = async {
        loop {
            // What cannot be read sends nothing either.
            if stream.readable().await.is_err() {
                return Ok(());
            }
            match stream.try_read(&mut [0]) {
                Ok(0) => return Ok(()),
                Ok(_) => return Err(Stranger::Talks),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Ok(()),
            }
        }
    };
    timeout(limits::CREDENTIAL_QUIET, end).await.unwrap_or(Err(Stranger::Lingers))
}

/// Hands the whole credential over.
///
/// # Errors
///
/// If the peer does not take all of it within [`limits::CREDENTIAL_WRITE`].
pub(super) async fn whole(stream: &UnixStream, text: &[u8]) -> io::Result<()> {
    let writing = write(stream, text);
    timeout(limits::CREDENTIAL_WRITE, writing).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))
}

/// Says no, by one byte more than the service manager takes at least. It closes the connection
/// when it has enough, which is what is wanted.
pub(super) async fn refuse(stream: &UnixStream) {
    let writing = async {
        for _piece in 0..=limits::CREDENTIAL / FILLER.len() {
            write(stream, &FILLER).await?;
        }
        io::Result::Ok(())
    };
    if let Ok(Err(error)) = timeout(limits::CREDENTIAL_WRITE, writing).await {
        tracing::debug!(%error, "a refusal of a credential was read to its end, or not at all");
    }
}

async fn write(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn a_refusal_is_longer_than_the_service_manager_takes() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut read = Vec::new();
        let reading = async { theirs.read_to_end(&mut read).await.unwrap() };
        let refusing = async {
            refuse(&ours).await;
            drop(ours);
        };
        let (length, ()) = tokio::join!(reading, refusing);
        assert!(length > limits::CREDENTIAL, "{length}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        refuse(&ours).await;
        let text = vec![b'x'; 16 * 1024 * 1024];
        assert_eq!(whole(&ours, &text).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_something_or_does_not_end_is_a_stranger() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!(quiet(&ours).await, Err(Stranger::Lingers));
        theirs.write_all(b"GET").await.unwrap();
        assert_eq!(quiet(&ours).await, Err(Stranger::Talks));

        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.shutdown().await.unwrap();
        assert_eq!(quiet(&ours).await, Ok(()));
    }
}
