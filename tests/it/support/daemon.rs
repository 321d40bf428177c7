//! The daemon, its files and its clients.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::io::BufRead;
use std::io::BufReader;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Output;
use std::process::Stdio;
use std::time::Instant;

use rustix::fs::inotify;
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;
use tokenkeeper::protocol::account::AccountView;
use tokenkeeper::protocol::account::TokenAnswer;
use tokenkeeper::protocol::error::ErrorBody;
use tokenkeeper::protocol::event::EventView;

use super::PATIENCE;
use super::config::Config;
use super::http;
use super::http::Reply;
use super::http::Request;
use super::http::receive;
use super::process::Process;
use super::process::program;
use super::process::run;
use super::process::said;

/// A daemon with a directory of its own. Dropping it ends the process and removes the directory.
pub(crate) struct Daemon {
    process: Option<Process>,
    /// Where the process tells the service manager how it stands.
    manager: Option<UnixDatagram>,
    home: TempDir,
    /// Where it looks for the system's bus.
    bus: String,
}

impl Daemon {
    /// The files of a daemon that does not run yet.
    pub(crate) fn new(config: &Config) -> Self {
        let home = private_directory();
        // The bus of the host is no business of a test.
        let bus = format!("unix:path={}/no-bus", home.path().display());
        let daemon = Self { process: None, manager: None, home, bus };
        daemon.configure(config);
        daemon
    }

    /// With a bus of the test's own, to be said before it begins.
    pub(crate) fn with_bus(self, address: &str) -> Self {
        Self { bus: address.to_owned(), ..self }
    }

    /// A daemon that answers.
    pub(crate) fn start(config: &Config) -> Self {
        let mut daemon = Self::new(config);
        daemon.begin();
        daemon
    }

    /// Writes another configuration; a running daemon does not look by itself.
    pub(crate) fn configure(&self, config: &Config) {
        self.write("config.toml", &config.text(self.home()));
    }

    /// Writes a file beside the configuration, for nobody else to read.
    pub(crate) fn write(&self, name: &str, content: &str) {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;

        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(self.path(name)).unwrap().write_all(content.as_bytes()).unwrap();
    }

    /// Starts the process and returns when it says that it is ready.
    pub(crate) fn begin(&mut self) {
        self.launch();
        self.is_ready();
    }

    /// Starts the process and waits for nothing.
    pub(crate) fn launch(&mut self) {
        let log = File::options().append(true).create(true).open(self.path("log")).unwrap();
        let command = self.command();
        self.launch_as(command, log.into());
    }

    /// Waits until a process that was started says that it is ready.
    pub(crate) fn is_ready(&self) {
        self.tells("READY=1");
    }

    /// As [`begin`](Self::begin), by a command of the test's, which logs somewhere else.
    pub(crate) fn begin_as(&mut self, command: Command, log: OwnedFd) {
        self.launch_as(command, log);
        self.is_ready();
    }

    fn launch_as(&mut self, mut command: Command, log: OwnedFd) {
        let ready = self.path("notify");
        // The one of an earlier process is in the way.
        drop(fs::remove_file(&ready));
        let manager = UnixDatagram::bind(&ready).unwrap();
        let process = Process::start(
            command
                .env("NOTIFY_SOCKET", &ready)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log),
        );
        self.process = Some(process);
        self.manager = Some(manager);
    }

    /// Takes over a process that something else started in its directory.
    pub(crate) fn runs_as(&mut self, process: Process) {
        self.process = Some(process);
    }

    /// Waits until `other` can be read; false if the process ended first.
    pub(crate) fn lives_until(&self, other: BorrowedFd<'_>) -> bool {
        self.process.as_ref().unwrap().lives_until(other)
    }

    /// Has it read its configuration again as the service manager would, and waits until it did.
    pub(crate) fn reload_by_signal(&self) {
        // What it told before is about other reloads.
        self.is_heard();
        self.signal(Signal::HUP);
        self.tells("RELOADING=1");
        self.tells("READY=1");
    }

    /// Reads what it told the service manager so far, for which it would wait at some time.
    pub(crate) fn is_heard(&self) {
        let manager = self.manager.as_ref().unwrap();
        manager.set_nonblocking(true).unwrap();
        while manager.recv(&mut [0; 4096]).is_ok() {}
        manager.set_nonblocking(false).unwrap();
    }

    /// Waits until the process tells the service manager this.
    pub(crate) fn tells(&self, state: &str) {
        self.tells_such(state, |line| line == state);
    }

    fn tells_such(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let (process, manager) = (self.process.as_ref().unwrap(), self.manager.as_ref().unwrap());
        let mut message = [0; 4096];
        loop {
            assert!(process.lives_until(manager.as_fd()), "no {what}:\n{}", self.log());
            let length = manager.recv(&mut message).unwrap();
            if String::from_utf8_lossy(&message[..length]).lines().any(&wanted) {
                return;
            }
        }
    }

    /// Waits until the line for `systemctl status` has that in it.
    pub(crate) fn shows(&self, part: &str) {
        self.tells_such("a status with it", |line| {
            line.strip_prefix("STATUS=").is_some_and(|status| status.contains(part))
        });
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(program("tokenkeeperd"));
        command.arg("--config").arg(self.path("config.toml")).env_remove("CREDENTIALS_DIRECTORY");
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus);
        command
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.as_ref().unwrap().signal(signal);
    }

    /// Waits for the process to end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.process.take().unwrap().ended()
    }

    /// Ends it as the service manager would.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.ended();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// Ends it as a power cut would. Tells how it ended, since it may have been about to by itself.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::KILL);
        self.ended()
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// The directory of its files.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A file in that directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Everything that it logged so far, in all its lives. It logs beside its other work:
    /// [`logs`](Self::logs) waits for what must come.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(self.path("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until it has logged this.
    pub(crate) fn logs(&self, what: &str) {
        self.logs_times(what, 1);
    }

    /// Waits until it has logged this so many times, in all its lives.
    pub(crate) fn logs_times(&self, what: &str, times: usize) {
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&changes, self.path("log"), inotify::WatchFlags::MODIFY).unwrap();
        while self.log().matches(what).count() < times {
            let lives = self.process.as_ref().unwrap().lives_until(changes.as_fd());
            assert!(lives, "never logged {what}:\n{}", self.log());
            rustix::io::read(&changes, &mut [0; 4096]).unwrap();
        }
    }

    /// Runs `tokenctl`.
    pub(crate) fn tokenctl(&self, arguments: &[&str]) -> Output {
        run(&mut self.tokenctl_command(arguments), None)
    }

    /// Runs `tokenctl`, which must succeed, and returns what it printed.
    pub(crate) fn tokenctl_does(&self, arguments: &[&str], input: Option<&str>) -> String {
        let output = run(&mut self.tokenctl_command(arguments), input);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", said(&output), self.log());
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs `tokenctl` with `input` on its standard input.
    pub(crate) fn tokenctl_given(&self, arguments: &[&str], input: &str) -> Output {
        run(&mut self.tokenctl_command(arguments), Some(input))
    }

    fn tokenctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenctl"));
        command.arg("--socket").arg(self.path("api.sock")).args(arguments);
        command
    }

    /// Asks on its socket.
    pub(crate) fn ask(&self, request: Request<'_>) -> Reply {
        let reply = request.on_socket(&self.path("api.sock"));
        reply.unwrap_or_else(|error| panic!("{}: {error}\n{}", request.path, self.log()))
    }

    /// Hands in a refresh token, and returns when it is proven.
    pub(crate) fn import(&self, account: &str, refresh_token: &str) {
        let path = format!("/v1/accounts/{account}/import");
        let body = json!({ "refresh_token": refresh_token }).to_string();
        let reply = self.ask(Request::with("POST", &path, &body));
        assert_eq!(reply.status, 200, "{account}: {}\n{}", reply.body, self.log());
    }

    /// Orders `verb` for an account: `retry`, `pause`, …
    pub(crate) fn order(&self, account: &str, verb: &str) -> Reply {
        let path = format!("/v1/accounts/{account}/{verb}");
        self.ask(Request { method: "POST", ..Request::get(&path) })
    }

    /// How an account stands.
    pub(crate) fn account(&self, account: &str) -> AccountView {
        self.ask(Request::get(&format!("/v1/accounts/{account}"))).success()
    }

    /// Begins a request, and leaves its answer unread on the connection.
    pub(crate) fn begin_to(&self, request: Request<'_>) -> UnixStream {
        let mut stream = http::connect(&self.path("api.sock")).unwrap();
        request.send(&mut stream).unwrap();
        stream
    }

    /// Has an account refreshed, and waits for nothing.
    pub(crate) fn begin_refresh(&self, account: &str) -> UnixStream {
        let path = format!("/v1/accounts/{account}/refresh?wait=60");
        self.begin_to(Request { method: "POST", ..Request::get(&path) })
    }

    /// Asks for an account's token; a failure is the error of the answer.
    pub(crate) fn token(&self, account: &str, query: &str) -> Result<TokenAnswer, Box<ErrorBody>> {
        let reply = self.ask(Request::get(&format!("/v1/accounts/{account}/token{query}")));
        if reply.status == 200 { Ok(reply.json()) } else { Err(reply.json()) }
    }

    /// Waits until an account's token is another one than that of `generation`.
    pub(crate) fn token_after(&self, account: &str, generation: u64) -> TokenAnswer {
        let reply = receive(self.begin_poll(account, generation)).unwrap();
        assert_eq!(reply.status, 200, "{account}: {}\n{}", reply.body, self.log());
        reply.json()
    }

    /// Begins a long poll for another token than that of `generation`.
    pub(crate) fn begin_poll(&self, account: &str, generation: u64) -> UnixStream {
        let tag = format!("\"access-{generation}\"");
        let path = format!("/v1/accounts/{account}/token?wait=60");
        let headers = [("if-none-match", tag.as_str())];
        self.begin_to(Request { headers: &headers, ..Request::get(&path) })
    }

    /// Waits until an account stands as `wanted` says, which `what` says in words.
    pub(crate) fn until(
        &self,
        account: &str,
        what: &str,
        wanted: impl Fn(&AccountView) -> bool,
    ) -> AccountView {
        let view = self.comes_to(account, wanted);
        view.unwrap_or_else(|view| panic!("{account} is not {what}: {view:#?}\n{}", self.log()))
    }

    /// The same; how it stands instead is the failure.
    pub(crate) fn comes_to(
        &self,
        account: &str,
        wanted: impl Fn(&AccountView) -> bool,
    ) -> Result<AccountView, Box<AccountView>> {
        // Following begins before looking, so that no change is missed.
        let mut events = self.events();
        loop {
            let view = self.account(account);
            if wanted(&view) {
                return Ok(view);
            }
            if events.next().is_none() {
                return Err(Box::new(view));
            }
        }
    }

    /// Follows what happens to all accounts.
    pub(crate) fn events(&self) -> Events {
        let stream = self.begin_to(Request::get("/v1/events"));
        let until = Instant::now() + PATIENCE * 2;
        let mut events = Events { lines: BufReader::new(stream), until };
        // The greeting says that the following has begun.
        while events.line().is_some_and(|line| !line.starts_with(": ")) {}
        events
    }
}

/// A temporary directory for nobody else, whatever the umask is.
fn private_directory() -> TempDir {
    let mode = Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(mode).tempdir().unwrap()
}

/// A stream of events.
pub(crate) struct Events {
    lines: BufReader<UnixStream>,
    /// Keep-alives come for ever, so patience is not a matter of single reads.
    until: Instant,
}

/// What a stream brings.
pub(crate) enum Event {
    /// Something happened to an account.
    Of(Box<EventView>),
    /// Nothing did for a while.
    Silence,
}

impl Events {
    /// Waits for the next event; `None` if the stream has ended, or patience has.
    pub(crate) fn next(&mut self) -> Option<Event> {
        loop {
            let line = self.line()?;
            if let Some(data) = line.strip_prefix("data:") {
                return Some(Event::Of(serde_json::from_str(data).unwrap()));
            }
            if line.starts_with(':') {
                return Some(Event::Silence);
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.lines.read_line(&mut line) {
            Ok(length) if length > 0 && Instant::now() < self.until => Some(line),
            Ok(_) | Err(_) => None,
        }
    }
}
