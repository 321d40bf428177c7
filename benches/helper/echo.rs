//! The bare server: what the same bytes cost without HTTP, rules, accounts or tokens. One
//! thread, one runtime, one read and one write a request.

use std::fs::File;
use std::io;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::net::UnixStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

use super::say;
use crate::stage::trouble::Trouble;

/// Answers every request on `socket` with the content of the file `reply`, until it is killed.
pub(super) fn serve(socket: &Path, reply: &Path) -> Result<(), Trouble> {
    const LONGEST: u64 = 64 * 1024;
    let mut bytes = Vec::new();
    File::open(reply)
        .and_then(|file| file.take(LONGEST).read_to_end(&mut bytes))
        .map_err(Trouble::system("cannot read the reply"))?;
    let reply = Arc::<[u8]>::from(bytes);
    let runtime = Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(Trouble::system("cannot make a runtime"))?;
    runtime.block_on(accept(socket, &reply)).map_err(Trouble::system("cannot listen"))
}

async fn accept(socket: &Path, reply: &Arc<[u8]>) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let mut connections = JoinSet::new();
    say("begun");
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(answer(stream, Arc::clone(reply)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// A client that goes ends its connection, and nothing else.
async fn answer(mut stream: UnixStream, reply: Arc<[u8]>) -> io::Result<()> {
    let mut request = [0; 4096];
    while stream.read(&mut request).await? > 0 {
        stream.write_all(&reply).await?;
    }
    Ok(())
}
