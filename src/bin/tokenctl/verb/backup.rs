//! `backup`: what the daemon sealed, into a file.

use std::io;
use std::io::IsTerminal as _;

use data_encoding::BASE64;
use tokenkeeper::envelope::Recipient;
use tokenkeeper::protocol::daemon::BackupRequest;
use tokenkeeper::protocol::daemon::BackupView;

use super::Session;
use super::change::json;
use crate::args::admin::BackupArgs;
use crate::client::Request;
use crate::fault::Fault;
use crate::print;
use crate::print::Stream;
use crate::sealed;
use crate::sealed::SealedError;

/// Takes a backup.
pub(super) fn backup(session: &Session, args: &BackupArgs) -> Result<(), Fault> {
    if args.output.is_none() && io::stdout().is_terminal() {
        return Err(SealedError::Terminal.into());
    }
    for (index, text) in args.recipients.iter().enumerate() {
        // Looked at here, so that a key that opens is not sent anywhere by mistake.
        Recipient::parse(text).map_err(|why| SealedError::Recipient { number: index + 1, why })?;
    }
    let length = args.recipients.iter().map(|text| text.len() + 3).sum();
    let body = json(&BackupRequest { recipients: args.recipients.clone() }, length);
    let request = Request::post("/v1/backup").json(body);
    let (view, _) = session.daemon.fetch::<BackupView>(&request)?;
    let sealed = BASE64.decode(view.sealed.as_bytes()).map_err(|_| session.daemon.unexpected())?;
    let to = match &args.output {
        Some(path) => {
            sealed::write(path, &sealed)?;
            Stream::Output
        }
        None => {
            session.output.bytes(&sealed)?;
            Stream::Aside
        }
    };
    for sentence in &view.damage {
        session.output.warn(&format!("not in the backup: {sentence}"));
    }
    // The file itself is where it was wanted; what is said of it does not repeat it.
    let view = BackupView { sealed: String::new(), ..view };
    let page = print::backup::page(&view);
    session.output.confirm(to, &page, &print::backup::Contents::of(&view))
}
