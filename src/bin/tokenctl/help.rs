//! The pages of help: the first one by hand, so that the verbs stand by task, and what
//! follows the options on the page of each verb. A test holds that no verb is left out.

/// `tokenctl --help`.
pub(crate) const TOP: &str = "\
tokenctl asks tokenkeeperd, which owns every OAuth refresh token of this host, for
tokens that are good, and tells how its accounts stand.

Usage: tokenctl [OPTIONS] VERB …

Ask for tokens
  get       Print an account's current token and nothing else
  wait      Wait until an account has a token
  refresh   Have an account refreshed now
  report    Say that the provider's API rejected a token
  follow    Keep a file current for a program that reads files
  export    Print a token in the form that a program reads

See how it stands
  list      List the accounts that you may see
  status    Show the daemon and every account, or one
  why       Tell how one account stands, in sentences
  watch     Print what happens as it happens
  whoami    Show how the daemon sees you, and what you may do
  access    Explain what another user may do with an account

Log in, take over and change accounts
  login     Log an account in at its provider
  logout    End the login of an account, at its provider too
  sessions  List or end an account's sessions at its provider
  import    Take over a refresh token that you have
  adopt     Take the login of a program that keeps it in a JSON file
  handover  Give an account up: print its refresh token and freeze it
  secret    Store or forget a secret of an account
  pause     Spend nothing of an account until it is resumed
  resume    End a pause
  retry     Try a failing account again now
  purge     Forget an account that is not configured any more

The daemon
  backup    Seal everything that the daemon knows into a file
  restore   Take accounts over from a backup
  init      Seal the store key to this machine
  rekey     Change the store key
  doctor    Look for problems, here and in the daemon
  config    Check the configuration without applying it
  reload    Apply the configuration

Options
      --json          Print JSON; errors too, on the standard error
      --user          Ask the daemon of this user's session
      --system        Ask the daemon of the host
      --socket PATH   Ask the daemon on this socket (also: TOKENKEEPER_SOCKET)
      --color WHEN    auto, always or never (NO_COLOR is honoured)
  -q, --quiet         Print no confirmations, not even as JSON
  -h, --help          Print this page, or the one of a verb, as \"help VERB\" does
  -V, --version       Print the version

Examples
  tokenctl status
  curl -H \"$(tokenctl get mail --header)\" https://api.example/v1/me
  tokenctl login mail
  tokenctl why mail

Exit status: 0 done; 1 doctor found problems; 2 wrong command line; 3 a person has to act;
4 no such account; 69 no daemon; 70 internal fault; 75 try again later; 77 not allowed;
78 the configuration is wrong. \"tokenctl help VERB\" says more.
";

/// `get`.
pub(crate) const GET: &str = "\
Examples:
  tokenctl get mail
  curl -H \"$(tokenctl get mail --header)\" https://api.example/v1/me
  tokenctl get mail --min-ttl 10m --json

The token is printed with a newline and nothing else. It is never one that has expired.
Without a good token, a refresh that is under way or due is waited for. After a failed one
there is no waiting: its error comes at once, and \"tokenctl wait\" outlasts the retries.

Exit status:
  0   printed
  2   the command line is wrong: BAD_REQUEST
  3   not before somebody acts (\"tokenctl why mail\"): NEEDS_LOGIN, TOKEN_MISSING,
      SESSION_EXPIRED, GRANT_REJECTED, LOGIN_REJECTED, CLIENT_REJECTED, FOREIGN_WRITER;
      or not in this way: LIFETIME_TOO_SHORT, NOT_SUPPORTED (no such token, or a pause)
  4   no such account: ACCOUNT_UNKNOWN
  69  no daemon
  70  a fault of the daemon, or an answer that is not its own: INTERNAL
  74  the output cannot be written
  75  not just now, ask again: PROVIDER_UNREACHABLE, PROVIDER_UNAVAILABLE,
      PROVIDER_MALFORMED, IN_DOUBT, TOKEN_EXPIRED, REFRESH_PENDING, RATE_LIMIT_EXCEEDED,
      STORE_UNAVAILABLE, HOOK_FAILED, STOPPING
  77  not allowed: INSUFFICIENT_PERMISSIONS
  78  the configuration is wrong, or a secret cannot be read: CONFIG_INVALID,
      SECRET_UNAVAILABLE";

/// `wait`.
pub(crate) const WAIT: &str = "\
Example:
  tokenctl wait mail --timeout 2m && backup-mail

Nothing is polled: the daemon is asked again after each event of the account. A daemon
that is not there yet is waited for as well.

Exit status: 0 there is a token; 2 wrong command line; 3 it can never come (--min-ttl is
more than the provider grants); 4 no such account; 75 the timeout passed; 77 not allowed.";

/// `refresh`.
pub(crate) const REFRESH: &str = "\
Example:
  tokenctl refresh mail

The daemon refreshes by itself in time; this is for those who know better. Requests that
come together share one refresh.

Exit status: 0 refreshed; 3 a person has to act, or the account is paused; 4 no such
account; 69 no daemon; 75 not just now; 77 not allowed; 78 a secret cannot be read.";

/// `report`.
pub(crate) const REPORT: &str = "\
Examples:
  tokenctl report mail --generation 7
  printf %s \"$token\" | tokenctl report mail --token-stdin

The account is refreshed only if that token is still the current one. The token itself is
never sent and never an argument, where every process of the host could read it.

Exit status: 0 the account has another token by now; 3 a person has to act, or the account
is paused; 4 no such account; 69 no daemon; 75 not just now; 77 not allowed; 78 a secret
cannot be read.";

/// `follow`.
pub(crate) const FOLLOW: &str = "\
Examples:
  tokenctl follow mail --file ~/.cache/mail-token --format raw
  tokenctl follow heatpump --file ~/.config/quilt-hp/tokens.json --format quilt-hp \\
      --email pat@example.org
  tokenctl follow ai --file ~/.ai/auth.json --format json --at /tokens/refresh_token \\
      --access-at /tokens/access_token --expires-at /tokens/expires

Run it as the file's owner. The file is replaced as a whole after each change, and never
holds the refresh token: where a form has a place for it, that is empty. When the program of
the file logs in by itself, that login is handed to the daemon, which takes an
administrator; another person's login is reported and left alone. A daemon that restarts is
waited for. SIGTERM and SIGINT end it.

Exit status: 0 ended by a signal, or written once; 2 the command line or the file is wrong;
3 another person logged in there, or with --once there is no token before somebody acts;
4 no such account; 69 no daemon at the start; 74 the file cannot be written; 75 with --once,
not just now; 77 not allowed.";

/// `list`.
pub(crate) const LIST: &str = "\
Example:
  for account in $(tokenctl list); do tokenctl why \"$account\"; done

Exit status: 0 listed, even if there are none; 69 no daemon.";

/// `status`.
pub(crate) const STATUS: &str = "\
Examples:
  tokenctl status
  tokenctl status mail --json

Exit status: 0 shown, whatever it says; 4 no such account; 69 no daemon; 77 not allowed.";

/// `why`.
pub(crate) const WHY: &str = "\
Example:
  tokenctl why mail

Exit status: 0 told, whatever it says; 4 no such account; 69 no daemon; 77 not allowed.";

/// `watch`.
pub(crate) const WATCH: &str = "\
Examples:
  tokenctl watch
  tokenctl watch mail --json | jq .event

One line per event, until it is interrupted. When the daemon restarts, watch says so on the
standard error and goes on; what happened in between is in the journal.

Exit status: 130 interrupted, as for every program that SIGINT ends; 4 no such account;
69 no daemon at the start; 77 not allowed.";

/// `whoami`.
pub(crate) const WHOAMI: &str = "\
Example:
  tokenctl whoami

Exit status: 0 shown; 69 no daemon.";

/// `access`.
pub(crate) const ACCESS: &str = "\
Examples:
  tokenctl access mail --user alice
  tokenctl access mail --uid 1000 --group adm
  tokenctl access ci --user ci --unit deploy.service
  tokenctl access ci --unit deploy.service

The last one asks whether the unit gets what its LoadCredential= asks for: it needs the
right read, by a rule that names the unit alone.
A user's groups are looked up here, as the user's own processes have them after login.
To ask the daemon of this session, write \"tokenctl --user access …\".

Exit status: 0 explained, whatever the verdict; 2 no such user or group; 4 no such account;
69 no daemon; 77 you are no administrator of the account.";

/// `login`.
pub(crate) const LOGIN: &str = "\
Examples:
  tokenctl login mail
  pass show boiler | tokenctl login boiler --password-stdin

What the provider wants is asked for on the terminal, passwords without echo. Where it
wants a browser, open the address that is shown; nothing is opened by itself. A program
with login = true logs in alone. What comes of it is proven by one refresh before it
replaces anything. Ctrl-C cancels at every step. A password that is given to
--password-stdin is used even where another one is stored.

Exit status: 0 logged in; 2 nothing usable was given, or there is no terminal; 3 the
provider refuses it, or has no login; 4 no such account; 69 no daemon; 75 not just now;
77 not allowed; 130 cancelled.";

/// `logout`.
pub(crate) const LOGOUT: &str = "\
Examples:
  tokenctl logout mail
  tokenctl logout mail --local

The provider is asked to end the login, and only then it is forgotten here. If the provider
cannot do that, nothing is forgotten unless you say --local.

Exit status: 0 logged out; 3 the provider cannot, or refuses it; 4 no such account; 69 no
daemon; 75 not just now; 77 not allowed.";

/// `sessions`.
pub(crate) const SESSIONS: &str = "\
Examples:
  tokenctl sessions plugs
  tokenctl sessions plugs --terminate 7c2e

The star stands at the daemon's own session. To end that one ends the login.

Exit status: 0 listed, or ended; 3 the provider shows no sessions; 4 no such account; 69 no
daemon; 75 not just now; 77 not allowed.";

/// `import`.
pub(crate) const IMPORT: &str = "\
Examples:
  tokenctl import mail --refresh-token-file old-token.txt
  tokenctl import heatpump --from quilt-hp ~/.config/quilt-hp/tokens.json
  tokenctl import ai --from json ~/.ai/auth.json --at /tokens/refresh_token

The daemon proves the token by one refresh before it replaces anything. From then on the
daemon alone may use it: remove it from wherever it came from. A token is never an
argument, where every process of the host could read it.

Exit status: 0 taken over; 2 nothing usable was given; 3 the provider refuses it, or the
account is paused or takes none; 4 no such account; 69 no daemon; 75 not just now; 77 not
allowed; 78 a secret cannot be read.";

/// `adopt`.
pub(crate) const ADOPT: &str = "\
Examples:
  tokenctl adopt ai --file ~/.ai/auth.json --at /tokens/refresh_token
  tokenctl adopt ai --file ~/.ai/auth.json --at /tokens/refresh_token \\
      --access-at /tokens/access_token --expires-at /tokens/expires --follow

The daemon proves the token by one refresh, and only then it is taken out of the file, whose
other bytes, owner and mode stay. If that is cut short, repeat it. From then on the daemon
alone refreshes; its program finds access token and expiry in the file as long as \"follow\"
keeps them there.

Exit status: 0 adopted; 2 the command line or the file is wrong; 3 the provider refuses the
token, or it is another person's; 4 no such account; 69 no daemon; 74 the file cannot be
written; 75 not just now; 77 not allowed; 78 a secret cannot be read.";

/// `export`.
pub(crate) const EXPORT: &str = "\
Examples:
  tokenctl export mail --format env --output mail.env
  tokenctl export boiler --format nwp500 --email pat@example.org --output tokens.json

What is written is good until the token expires; \"tokenctl follow\" keeps it current. The
refresh token is not in it, except with --release: see \"tokenctl handover --help\".

Exit status: 0 written; 2 the command line or the file is wrong; 3 not before somebody acts;
4 no such account; 69 no daemon; 74 the file cannot be written; 75 not just now; 77 not
allowed.";

/// `handover`.
pub(crate) const HANDOVER: &str = "\
Example:
  tokenctl handover mail --output mail-refresh-token

The account is frozen before its refresh token is printed, and whoever has the token owns it
from then on; asked again, it is printed again. Import the owner's newest token to take the
account back. \"tokenctl resume\" goes on with this one, for when nobody has used it.

Exit status: 0 printed; 3 there is no refresh token; 4 no such account; 69 no daemon; 74 the
file cannot be written; 75 not just now; 77 not allowed.";

/// `secret set`.
pub(crate) const SECRET_SET: &str = "\
Examples:
  tokenctl secret set mail.client_secret
  tokenctl secret set mail.client_secret --file secret.txt

One newline at the end does not belong to the secret. A secret is never an argument, where
every process of the host could read it.

Exit status: 0 stored; 2 nothing usable was given, or no such slot; 4 no such account;
69 no daemon; 75 the store cannot be written just now; 77 not allowed.";

/// `secret forget`.
pub(crate) const SECRET_FORGET: &str = "\
Example:
  tokenctl secret forget mail.client_secret

Exit status: 0 forgotten, or the slot was empty; 2 the account has no such slot; 4 no such
account; 69 no daemon; 75 the store cannot be written just now; 77 not allowed.";

/// `pause`.
pub(crate) const PAUSE: &str = "\
Example:
  tokenctl pause mail

The token that is there is served until it expires.

Exit status: 0 paused, perhaps by somebody before; 4 no such account; 69 no daemon; 75 the
store cannot be written just now; 77 not allowed.";

/// `resume`.
pub(crate) const RESUME: &str = "\
Example:
  tokenctl resume mail

Exit status: 0 resumed, or it was not paused; 4 no such account; 69 no daemon; 75 the store
cannot be written just now; 77 not allowed.";

/// `retry`.
pub(crate) const RETRY: &str = "\
Example:
  tokenctl retry mail

Exit status: 0 tried, or there was nothing to try again; 3 a person has to act first; 4 no
such account; 69 no daemon; 75 not just now; 77 not allowed; 78 a secret cannot be read.";

/// `purge`.
pub(crate) const PURGE: &str = "\
Example:
  tokenctl purge old-mail

The store keeps the credential and the secrets of an account that is taken out of the
configuration, and doctor tells of them. This forgets them for good; the provider is not
told, so that the refresh token stays good there until it expires or is revoked.

Exit status: 0 forgotten; 3 it is configured; 4 the store holds nothing of it; 69 no daemon;
75 not just now; 77 not allowed.";

/// `backup`.
pub(crate) const BACKUP: &str = "\
Examples:
  tokenctl backup --recipient age1… --output tokens.age
  tokenctl backup --recipient age1… | ssh vault 'cat > tokens.age'

The daemon seals every refresh token and every secret of its store, so that whoever has the
identity of a recipient can open the file, and nobody else. \"age-keygen\" makes a pair of
keys; keep the identity away from this host.

A backup ages. A refresh token that rotates is good only until the next refresh: make a
backup when you mean to need it, right before a move, with the daemon stopped after it.

Exit status: 0 written; 2 a recipient is none, or the file is no file; 3 the state is larger
than a backup can be; 69 no daemon; 74 the file cannot be written; 75 the store cannot be
read just now; 77 you are no administrator of the daemon.";

/// `restore`.
pub(crate) const RESTORE: &str = "\
Examples:
  tokenctl restore --identity key.txt tokens.age --dry-run
  tokenctl restore --identity key.txt tokens.age
  tokenctl restore --identity key.txt tokens.age --account mail --force

Each account is proven by one refresh before anything of it is replaced. The one that can
lose least goes first; if it fails, no other is touched. Left alone are accounts that are
not configured, that lead to another issuer, client or user, and whose credential here is
of a later date, or the very one of the backup. Secrets go into empty slots. --force tries
those, too, but none that is not configured, is paused or was taken over already.

It can be interrupted and repeated: what is done is known here, and left alone. The host
that the backup is of must not refresh these accounts any more.

Exit status: 0 every account is restored or left alone; 2 wrong file, wrong identity or a
damaged backup; otherwise that of the first account that failed, as \"tokenctl import\" has
it; 69 no daemon.";

/// `init`.
pub(crate) const INIT: &str = "\
Examples:
  systemctl stop 'tokenkeeper*.socket' tokenkeeper && tokenctl init &&
    systemctl start tokenkeeper
  tokenctl init --recovery-recipient age1… --recovery-output key.age

A new store key is made and sealed by systemd-creds, to the TPM where there is one and to
this machine otherwise, which is said, and lies where the unit finds it. A store that had
its key in a file beside it is sealed anew, and the file goes last: an init that is
interrupted leaves a store that opens, and the next one finishes it. Once all is done it
says so, and makes the recovery copy that is asked for. The daemon must not run while its
store is sealed anew, and its sockets would start it.

Exit status: 0 done; 2 a recipient is none; 71 systemd-creds cannot be run, or refuses; 74
the disk refuses; 75 a daemon has the store; 77 you are not root; 78 the configuration or
the state directory is wrong, or the key of the store is somewhere else.";

/// `rekey`.
pub(crate) const REKEY: &str = "\
Examples:
  systemctl stop 'tokenkeeper*.socket' tokenkeeper && tokenctl rekey &&
    systemctl start tokenkeeper
  tokenctl --user rekey

Every value of the store is sealed anew under a new key, which takes the old one's place in
the sealed credential or in the key file. Whoever has the old key, and old copies of the
store, opens nothing that is written from then on; what was in those copies stays readable.
A rekey that is interrupted leaves a store that opens, and the next one finishes it. The
daemon must not run meanwhile, nor its sockets, which would start it. A recovery copy of
the old key is of no use afterwards.

Exit status: 0 done; 2 a recipient is none, or there is no store; 71 systemd-creds cannot be
run, or refuses; 74 the disk refuses; 75 a daemon has the store; 77 you are neither root nor
the owner of the store; 78 the configuration or the state directory is wrong, or the key of
the store is somewhere else.";

/// `doctor`.
pub(crate) const DOCTOR: &str = "\
Example:
  tokenctl doctor

A problem is something that does not work; a weakness works and could be safer. A failure
beside a token that is still good is noted, and is a problem only once it is an alarm.
The store, the keys and the configuration are shown to administrators of the daemon only.

Exit status: 0 no problem; 1 problems.";

/// `config check`.
pub(crate) const CONFIG_CHECK: &str = "\
Example:
  tokenctl config check && tokenctl reload

The daemon is asked, which alone sees its credentials.

Exit status: 0 it is good; 69 no daemon; 77 not allowed; 78 it is not, with every error.";

/// `reload`.
pub(crate) const RELOAD: &str = "\
Example:
  tokenctl reload

All or nothing: with an error in it, the old configuration stays.

Exit status: 0 applied; 69 no daemon; 77 not allowed; 78 it has errors, each of them shown.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use tokenkeeper::error::code::Code;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn the_first_page_names_every_verb_and_what_it_says_of_itself() {
        let command = Cli::command();
        let mut expected = command
            .get_subcommands()
            .map(|verb| (verb.get_name().into(), verb.get_about().unwrap().to_string()))
            .collect::<Vec<(String, String)>>();
        let mut listed = TOP
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once("  "))
            .map(|(verb, about)| (verb.to_owned(), about.trim().to_owned()))
            .filter(|(verb, _)| {
                verb.bytes().all(|byte| byte.is_ascii_lowercase()) && !verb.is_empty()
            })
            .collect::<Vec<_>>();
        expected.sort();
        listed.sort();
        assert_eq!(listed, expected);
    }

    #[test]
    fn every_page_has_an_example_and_tells_its_exit_statuses() {
        for verb in leaves(Cli::command()) {
            let page = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(page.contains("Example"), "{}", verb.get_name());
            assert!(page.contains("Exit status:"), "{}", verb.get_name());
        }
    }

    #[test]
    fn the_page_of_get_tells_every_code_with_its_exit_status() {
        let (_, list) = GET.split_once("Exit status:\n").unwrap();
        let mut status = 0;
        let mut told = Vec::new();
        for line in list.lines() {
            let (number, text) = line.split_at(6);
            status = number.trim().parse().unwrap_or(status);
            let words = text.split(|it: char| !it.is_ascii_uppercase() && it != '_');
            told.extend(words.filter(|it| it.contains(|it| it != '_')).map(|it| (it, status)));
        }
        let mut expected =
            Code::ALL.iter().map(|code| (code.as_str(), code.exit_status())).collect::<Vec<_>>();
        told.sort_unstable();
        expected.sort_unstable();
        assert_eq!(told, expected);
    }

    #[test]
    fn no_line_of_the_pages_is_wider_than_a_terminal() {
        let pages = leaves(Cli::command())
            .into_iter()
            .filter_map(|verb| verb.get_after_help().map(ToString::to_string))
            .chain([TOP.to_owned()]);
        for line in pages.flat_map(|page| page.lines().map(str::to_owned).collect::<Vec<_>>()) {
            assert!(line.chars().count() <= 92, "{line}");
        }
    }

    fn leaves(command: clap::Command) -> Vec<clap::Command> {
        command
            .get_subcommands()
            .flat_map(|verb| {
                if verb.has_subcommands() { leaves(verb.clone()) } else { vec![verb.clone()] }
            })
            .collect()
    }
}
