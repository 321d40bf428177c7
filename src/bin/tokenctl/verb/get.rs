//! `get`: a token, now.

use std::io;
use std::io::IsTerminal as _;
use std::io::Write as _;
use std::time::Duration;

use tokenkeeper::error::foreign::shown;
use tokenkeeper::limits;
use tokenkeeper::time::spoken;
use zeroize::Zeroizing;

use super::Session;
use super::of;
use crate::args::token::GetArgs;
use crate::args::token::TokenFormat;
use crate::client::Request;
use crate::fault::Fault;
use crate::find::Place;
use crate::print::Form;
use crate::usage::Mistake;

/// How long a person waits without being told for what.
const UNTOLD: Duration = Duration::from_secs(3);

/// Prints a token and a newline, or everything that belongs to it.
pub(super) fn get(session: &Session, args: &GetArgs) -> Result<(), Fault> {
    let format = format(args, session.output.form)?;
    let request =
        Request::get(target(args, format)).waiting(args.wait.unwrap_or(limits::DEFAULT_WAIT));
    let reply = session.daemon.ask_telling(&request, UNTOLD, |place, left| {
        let mut terminal = io::stderr();
        if terminal.is_terminal() {
            // Whoever has closed it does not want to know.
            let _told = terminal.write_all(patience(place, left).as_bytes());
        }
    })?;
    if matches!(format, TokenFormat::Json | TokenFormat::Aws) {
        return session.output.reply(&reply);
    }
    let text = one_line(&reply.body).ok_or_else(|| session.daemon.unexpected())?;
    let mut page = Zeroizing::new(String::with_capacity(text.len() + 1));
    page.push_str(text);
    page.push('\n');
    session.output.bytes(page.as_bytes())
}

/// What a person is told who waits: an exchange may be under way, or the daemon hangs.
fn patience(place: &Place, left: Duration) -> String {
    format!(
        "tokenctl: the daemon at {} has not answered yet, perhaps because it refreshes the account; \
         waiting {} more at the most\n",
        shown(&place.path.to_string_lossy()),
        spoken(left)
    )
}

/// The form that was asked for, by one of three options.
fn format(args: &GetArgs, form: Form) -> Result<TokenFormat, Mistake> {
    let (asked, option) = match (args.format, args.header) {
        (_, true) => (Some(TokenFormat::Header), "--header"),
        (Some(TokenFormat::Header), false) => (args.format, "--format header"),
        (Some(TokenFormat::Raw), false) => (args.format, "--format raw"),
        (Some(TokenFormat::Aws), false) if args.kind.is_some() => {
            return Err(Mistake::contradiction("get", "--kind", "--format aws"));
        }
        (Some(TokenFormat::Aws), false) => return Ok(TokenFormat::Aws),
        (Some(TokenFormat::Json) | None, false) => (args.format, "--format json"),
    };
    match (form, asked) {
        (Form::Text, asked) => Ok(asked.unwrap_or(TokenFormat::Raw)),
        (Form::Json, None | Some(TokenFormat::Json)) => Ok(TokenFormat::Json),
        (Form::Json, Some(TokenFormat::Raw | TokenFormat::Header | TokenFormat::Aws)) => {
            Err(Mistake::contradiction("get", "--json", option))
        }
    }
}

/// The one line that `body` is, perhaps with its newline. A token is of visible characters
/// (RFC 6750, section 2.1), and a header has spaces besides: anything else is none.
fn one_line(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body.strip_suffix(b"\n").unwrap_or(body)).ok()?;
    let fits = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (fits && !text.is_empty()).then_some(text)
}

fn target(args: &GetArgs, format: TokenFormat) -> String {
    let format = match format {
        TokenFormat::Raw => "raw",
        TokenFormat::Json => "json",
        TokenFormat::Header => "header",
        TokenFormat::Aws => "json&kind=aws",
    };
    let mut target = of(&args.account, &format!("/token?format={format}"));
    if let Some(kind) = args.kind {
        target.push_str(&format!("&kind={}", kind.as_str()));
    }
    if let Some(min_ttl) = args.min_ttl {
        target.push_str(&format!("&min_ttl={}", min_ttl.as_secs()));
    }
    if let Some(wait) = args.wait {
        target.push_str(&format!("&wait={}", wait.as_secs()));
    }
    target
}

#[cfg(test)]
mod tests {
    use tokenkeeper::name::AccountId;

    use super::*;
    use crate::args::token::TokenKind;
    use crate::find::Origin;

    #[test]
    fn who_waits_is_told_where_and_for_how_much_longer() {
        let place = Place { path: "/s\u{1b}".into(), origin: Origin::System };
        assert_eq!(
            patience(&place, Duration::from_secs(32)),
            "tokenctl: the daemon at /s\\u{1b} has not answered yet, perhaps because it refreshes \
             the account; waiting 32 s more at the most\n"
        );
    }

    #[test]
    fn only_a_line_of_visible_characters_is_printed_as_a_token() {
        #[rustfmt::skip]
        let cases: [(&[u8], Option<&str>); 8] = [
            (b"ya29.a0-_~+/=",              Some("ya29.a0-_~+/=")),
            (b"ya29\n",                     Some("ya29")),
            (b"authorization: Bearer ya29", Some("authorization: Bearer ya29")),
            (b"",                           None),
            (b"\n",                         None),
            (b"ya29\x1b[2J",                None),
            (b"ya29\nX-Other: 1",           None),
            (b"ya\xff",                     None),
        ];
        for (body, expected) in cases {
            assert_eq!(one_line(body), expected, "{body:?}");
        }
    }

    #[test]
    fn one_form_is_printed_and_a_second_one_is_refused() {
        #[rustfmt::skip]
        let cases = [
            // --json      --format                    --header  outcome
            (Form::Text,  None,                       false,    Ok(TokenFormat::Raw)),
            (Form::Text,  Some(TokenFormat::Raw),     false,    Ok(TokenFormat::Raw)),
            (Form::Text,  Some(TokenFormat::Json),    false,    Ok(TokenFormat::Json)),
            (Form::Text,  Some(TokenFormat::Header),  false,    Ok(TokenFormat::Header)),
            (Form::Text,  None,                       true,     Ok(TokenFormat::Header)),
            (Form::Json,  None,                       false,    Ok(TokenFormat::Json)),
            (Form::Json,  Some(TokenFormat::Json),    false,    Ok(TokenFormat::Json)),
            (Form::Json,  Some(TokenFormat::Raw),     false,    Err("--json and --format raw")),
            (Form::Json,  Some(TokenFormat::Header),  false,    Err("--json and --format header")),
            (Form::Json,  None,                       true,     Err("--json and --header")),
            (Form::Text,  Some(TokenFormat::Aws),     false,    Ok(TokenFormat::Aws)),
            (Form::Json,  Some(TokenFormat::Aws),     false,    Ok(TokenFormat::Aws)),
        ];
        for (form, format, header, expected) in cases {
            let args = GetArgs { format, header, ..plain() };
            let got = super::format(&args, form).map_err(|mistake| mistake.to_string());
            let end = " exclude each other; see \"tokenctl get --help\"";
            assert_eq!(got, expected.map_err(|pair| format!("{pair}{end}")), "{args:?}");
        }
    }

    #[test]
    fn the_daemon_is_asked_for_what_was_asked_for() {
        assert_eq!(target(&plain(), TokenFormat::Raw), "/v1/accounts/mail/token?format=raw");
        let full = GetArgs {
            kind: Some(TokenKind::Id),
            min_ttl: Some(Duration::from_secs(300)),
            wait: Some(Duration::ZERO),
            ..plain()
        };
        assert_eq!(
            target(&full, TokenFormat::Header),
            "/v1/accounts/mail/token?format=header&kind=id&min_ttl=300&wait=0"
        );
    }

    #[test]
    fn aws_credentials_are_a_kind_of_their_own() {
        let aws = GetArgs { format: Some(TokenFormat::Aws), ..plain() };
        assert_eq!(target(&aws, TokenFormat::Aws), "/v1/accounts/mail/token?format=json&kind=aws");
        let both = GetArgs { kind: Some(TokenKind::Id), ..aws };
        let mistake = format(&both, Form::Text).map_err(|mistake| mistake.to_string());
        let end = "see \"tokenctl get --help\"";
        assert_eq!(mistake, Err(format!("--kind and --format aws exclude each other; {end}")));
    }

    fn plain() -> GetArgs {
        GetArgs {
            account: AccountId::parse("mail").unwrap(),
            kind: None,
            min_ttl: None,
            wait: None,
            format: None,
            header: false,
        }
    }
}
