//! Every limit on what comes in over a local socket, and on paths, in one table.
//!
//! A limit that the service unit sets as well (descriptors, memory) is named here so
//! that a test can hold the two together.

use std::time::Duration;

/// Connections that are open at once, all sockets together. Further ones wait in the
/// backlog until one is closed.
pub const CONNECTIONS: usize = 12_000;

/// Connections of one user: half of all, so that nobody can take the socket away from
/// everybody else.
pub const CONNECTIONS_PER_UID: usize = CONNECTIONS / 2;

/// File descriptors of the process: [`CONNECTIONS`], 256 to providers, and its own.
pub const FILE_DESCRIPTORS: u64 = 16_384;

/// Memory of the process, in bytes. An idle connection takes 12 kB: all
/// [`CONNECTIONS`] take a quarter of it.
pub const MEMORY_MAX: u64 = 512 * 1024 * 1024;

/// Threads of the daemon: the six that its composition names, eight of the runtime's that names
/// are resolved on and backups sealed, twelve that wait for files and programs, and some more.
pub const OWN_TASKS: usize = 32;

/// Processes and threads of one program that it runs: a shell with a pipe has four, and what
/// runs on node a dozen.
pub const TASKS_OF_A_PROGRAM: usize = 16;

/// A file that the service manager kept, in bytes: the longest set of unsaved tokens that is
/// handed over, and the seal around it.
pub const KEPT_FILE: u64 = 9 << 20;

/// Files that the service manager keeps at most, those of other stores included. Three are there
/// while one takes the place of others.
pub const KEPT_FILES: usize = 16;

/// Head of a request, in bytes. The longest that a known client sends is below 1 KiB.
pub const HEAD: usize = 8 * 1024;

/// Body of a request, in bytes. The largest is an imported refresh token; Microsoft's are
/// below 2 KiB.
pub const BODY: usize = 64 * 1024;

/// From accepting a connection to the first byte on it: a client connects because it has
/// something to ask.
pub const FIRST_BYTE: Duration = Duration::from_secs(1);

/// From the first byte of a head to its last: it is written in one piece.
pub const WHOLE_HEAD: Duration = Duration::from_secs(1);

/// From the head to the last byte of the body. `curl` waits a second for a
/// `100 Continue` before it sends a large one.
pub const WHOLE_BODY: Duration = Duration::from_secs(5);

/// A write that the peer does not take. What is sent fits a socket's buffer, so this one
/// does not read at all.
pub const BLOCKED_WRITE: Duration = Duration::from_secs(2);

/// A kept connection on which nothing happens is closed after this to twice this.
pub const IDLE: Duration = Duration::from_secs(30);

/// `wait` of a request that names none.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(20);

/// Longest `min_ttl`, in seconds: a year is more than any provider grants.
pub const LONGEST_MIN_TTL: u64 = 366 * 86_400;

/// Refreshes and reports of one user in a second, together: each may reach a provider.
pub const REFRESHES_PER_SECOND: u32 = 10;

/// Logins, logouts and questions about sessions of one user in a minute: each reaches a
/// provider, and providers lock out an address that asks for more.
pub const LOGINS_PER_MINUTE: u32 = 5;

/// Where a login's browser is sent back to, in bytes: loopback, a port and a short path.
pub const REDIRECT: usize = 128;

/// Id of a session at a provider, in bytes.
pub const SESSION_ID: usize = 512;

/// What an order or an errand may take until it is answered: twice the longest exchange.
pub const ORDER: Duration = Duration::from_secs(120);

/// Between two records that the service manager tells no units: one that answers some questions
/// and not others would have one for each change.
pub const UNITS_UNKNOWN: Duration = Duration::from_secs(600);

/// Until the daemon as a whole must have answered a question about itself, for `status`.
pub const QUESTION: Duration = Duration::from_secs(1);

/// Name of a secret's slot, in bytes.
pub const SLOT: usize = 40;

/// Users whose pace is remembered. Beyond that the ones that have rested longest are
/// forgotten, which costs nothing but memory to remember.
pub const PACED_USERS: usize = 4_096;

/// Path of a file, in bytes: `PATH_MAX` of Linux less its final zero.
pub const PATH: usize = 4_095;

/// Path of a socket, in bytes: `sun_path` of unix(7) less its final zero.
pub const SOCKET_PATH: usize = 107;

/// Name under which a socket is made before it is moved to its place, in bytes: a dot and
/// the seven digits of the largest process id, proc(5).
pub const SOCKET_BESIDE: usize = 8;

/// Mode of a socket that says none: everybody may connect, because the rules decide and not
/// the file.
pub const SOCKET_MODE: u32 = 0o666;

/// Connections that a start which fails turns away, of those that wait at a socket of the API: as
/// many as its backlog has. Whoever comes after them is met by the next start.
pub const TURNED_AWAY: usize = 4_096;

/// The same at a socket for credentials. Each may take [`BLOCKED_WRITE`] in all, and all of them
/// together less than the service manager waits for a start.
pub const CREDENTIALS_TURNED_AWAY: usize = 24;

/// Kinds of refusals that have a record in one minute. Beyond that a kind has none.
pub const REFUSALS: usize = 4_096;

/// Connections of the service manager for credentials that are open at once. Each is a unit that
/// is starting; a further one waits in the backlog.
pub const CREDENTIALS: usize = 256;

/// The most that the service manager takes for one credential, in bytes. What is longer fails the
/// unit (systemd's `CREDENTIAL_SIZE_MAX`), which is the only way to say no: an end without any
/// byte starts it with an empty credential.
pub const CREDENTIAL: usize = 1024 * 1024;

/// Name that the service manager connects from, in bytes: `sun_path` of unix(7) less the zero that
/// makes it abstract.
pub const CREDENTIAL_PEER: usize = SOCKET_PATH;

/// Name of a credential, in bytes (systemd's `FDNAME_MAX`).
pub const CREDENTIAL_ID: usize = 255;

/// From accepting a connection for a credential to the end of what its peer sends, which is
/// nothing: the service manager ends its half at once, and is slow only while the host starts.
pub const CREDENTIAL_QUIET: Duration = Duration::from_secs(10);

/// Until a credential, or more than one may be long, has been read.
pub const CREDENTIAL_WRITE: Duration = Duration::from_secs(5);

/// Pause before it is asked again for which unit a credential is wanted, while nobody can say.
pub const CREDENTIAL_PROOF: Duration = Duration::from_millis(500);

/// `credential_wait` of a configuration that says none: below the 90 s that systemd gives a start.
pub const CREDENTIAL_WAIT: Duration = Duration::from_secs(60);

/// `credential_min_ttl` of a configuration that says none: time to start and to log in somewhere.
pub const CREDENTIAL_MIN_TTL: Duration = Duration::from_secs(60);

/// Longest `credential_wait`: units of which a start may take longer are rare.
pub const CREDENTIAL_LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Mode of the socket for credentials: the service manager is root.
pub const CREDENTIAL_MODE: u32 = 0o600;

/// Accounts whose written answers are kept. One more takes the place of another, whose next
/// answer is written again, which takes a microsecond and a copy of its token.
pub const SHEETS: usize = 64;

/// Pause of the comments that keep an event stream open: below every usual idle limit,
/// [`IDLE`] included.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Requests in flight get this long when the daemon stops.
pub const GRACE: Duration = Duration::from_secs(5);

/// Pause after the process ran out of descriptors, before the next connection is accepted.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Calls of one connection to the bus that wait, for a refresh or to learn who calls.
pub const BUS_CALLS_PER_SENDER: usize = 64;

/// Calls over the bus that wait, of all connections of one user: a quarter of all.
pub const BUS_CALLS_PER_UID: usize = BUS_CALLS / 4;

/// Calls over the bus that wait, all together. A further one is refused at once.
pub const BUS_CALLS: usize = 1_024;

/// Messages from the bus that are read ahead. The bus keeps the rest.
pub const BUS_QUEUE: usize = 16;

/// Connections to the bus of which it is remembered who they are. Of one more the bus is
/// asked again.
pub const BUS_PEERS: usize = 1_024;

/// What the bus itself may take to answer, and to take a message.
pub const BUS_PATIENCE: Duration = Duration::from_secs(10);

/// What it may take to learn the unit of a peer, from the question to the answer: a manager that
/// takes longer is busy with more than questions, and who asks for a token waits for this.
pub const UNIT: Duration = Duration::from_secs(2);

/// Units that systemd is asked for at once.
pub const UNITS_AT_ONCE: usize = 64;

/// Units that may wait to be asked for, and as many that the thread which asks has not taken up.
/// Of a further peer none is known.
pub const UNIT_QUESTIONS: usize = 384;

/// Those of one user: a third of all, so that no user has all of them.
pub const UNIT_QUESTIONS_PER_UID: usize = UNIT_QUESTIONS / 3;

/// Processes of connections that are held until their unit is asked for, on a kernel that does not
/// hand them over when they are: what descriptors there are beside [`CONNECTIONS`] allows it.
pub const HELD_PROCESSES: usize = 2_048;

/// Those of one user: a quarter of all.
pub const HELD_PROCESSES_PER_UID: usize = HELD_PROCESSES / 4;

/// What polkit may take to answer, and with it the person whom it asks.
pub const BUS_CONSENT: Duration = Duration::from_secs(120);

/// Fields of a body's object. The largest known has five.
pub const FIELDS: usize = 16;

/// Items of a list in a body. The only list there is names [`RECIPIENTS`], and one item more is
/// read so that too many are told from enough.
pub const ITEMS: usize = RECIPIENTS + 1;

/// Supplementary groups of a peer. Linux allows 65,536.
pub const GROUPS: usize = 65_536;

/// Whom a backup can be sealed to, and the identities of a file that opens one.
pub const RECIPIENTS: usize = 16;

/// What is sealed in a backup, in bytes: some 10,000 accounts with refresh tokens of the
/// longest kind.
pub const BACKUP: usize = 16 * 1024 * 1024;

/// Accounts in a backup.
pub const BACKUP_ACCOUNTS: usize = 50_000;

/// A path or a name of which a nearest spelling is looked for, in bytes: the search is quadratic.
pub const SPELLED: usize = 128;

/// Notices that can be configured of the end of one login.
pub const RUNGS: usize = 16;

/// Hooks of one account, those of all accounts included.
pub const HOOKS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_last_for_every_connection_and_the_providers() {
        let connections = u64::try_from(CONNECTIONS).unwrap();
        let processes = HELD_PROCESSES + 2 * UNIT_QUESTIONS + UNITS_AT_ONCE;
        let processes = u64::try_from(processes).unwrap();
        assert!(connections + processes + 256 + 1_024 <= FILE_DESCRIPTORS);
    }

    #[test]
    fn a_wait_for_a_credential_ends_before_the_start_of_a_unit_does() {
        // systemd's DefaultTimeoutStartSec=.
        let start = Duration::from_secs(90);
        assert!(CREDENTIAL_WAIT + CREDENTIAL_QUIET + CREDENTIAL_WRITE < start);
    }

    #[test]
    fn an_event_stream_is_never_idle() {
        assert!(KEEP_ALIVE < IDLE);
    }
}
