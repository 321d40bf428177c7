//! A message bus of the test's own, and a client of it.

use std::collections::HashMap;
use std::fs;
use std::fs::Permissions;
use std::io::BufRead;
use std::io::BufReader;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use serde::Serialize;
use tempfile::TempDir;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use zbus::Connection;
use zbus::DynamicType;
use zbus::Message;
use zbus::MessageStream;
use zbus::OwnedVariant;
use zbus::Variant;
use zbus::connection;
use zbus::export::futures_core::Stream;
use zbus::message::Type;

use super::PATIENCE;
use super::process::Process;
use super::process::run;

/// The daemon's name, its object and its interface.
pub(crate) const NAME: &str = "org.tokenkeeper1";
pub(crate) const ROOT: &str = "/org/tokenkeeper1";
pub(crate) const MANAGER: &str = "org.tokenkeeper1.Manager";

/// A bus. Dropping it ends it.
pub(crate) struct Bus {
    process: Option<Process>,
    home: TempDir,
}

impl Bus {
    /// A bus on which everybody may do everything; `None` where dbus-daemon is not installed.
    pub(crate) fn start() -> Option<Self> {
        let there = Command::new("dbus-daemon").arg("--version").stdout(Stdio::null()).status();
        if there.is_err() {
            super::skipped("dbus-daemon is not installed");
            return None;
        }
        let mode = Permissions::from_mode(0o755);
        let home = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
        let mut bus = Self { process: None, home };
        let policy =
            "<allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/>";
        bus.allow(policy);
        bus.begin();
        Some(bus)
    }

    /// Writes the policy for everybody, in force when the bus begins.
    pub(crate) fn allow(&self, policy: &str) {
        let text = format!(
            "<busconfig><type>system</type><listen>{}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow user=\"*\"/>{policy}</policy></busconfig>",
            self.address(),
        );
        fs::write(self.home.path().join("bus.conf"), text).unwrap();
    }

    /// Begins it (again), and returns when it can be reached.
    pub(crate) fn begin(&mut self) {
        // The one of an earlier life is in the way.
        drop(fs::remove_file(self.home.path().join("socket")));
        let (reader, writer) = std::io::pipe().unwrap();
        let mut command = Command::new("dbus-daemon");
        let config = self.home.path().join("bus.conf");
        command.arg(format!("--config-file={}", config.display()));
        command.args(["--nofork", "--nopidfile", "--print-address=1"]);
        // It says that it may not raise its limit of descriptors, which nobody here needs.
        command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
        self.process = Some(Process::start(&mut command));
        drop(command);
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).unwrap();
        assert!(line.starts_with("unix:"), "{line:?}");
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::KILL);
        process.ended();
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> String {
        format!("unix:path={}/socket", self.home.path().display())
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let address = self.address();
        let connection = runtime.block_on(async move {
            let builder = connection::Builder::address(address.as_str());
            builder.method_timeout(PATIENCE).build().await.unwrap()
        });
        Client { runtime, connection }
    }

    /// Puts a polkit on it that lets everybody do what a person may be asked about, and nothing
    /// else; while the person thinks, it answers nothing about that. It tells of each question
    /// before it answers it, and of each that is withdrawn.
    pub(crate) fn polkit(&self, person: Person) -> Polkit {
        let Client { runtime, connection } = self.client();
        let mut calls = MessageStream::from(&connection);
        let client = Client { runtime, connection };
        client.take_name("org.freedesktop.PolicyKit1");
        let (asked, questions) = mpsc::channel();
        let (took_back, withdrawn) = mpsc::channel();
        thread::spawn(move || {
            client.runtime.block_on(async {
                while let Some(Ok(message)) =
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut calls).poll_next(cx)).await
                {
                    if message.message_type() != Type::MethodCall {
                        continue;
                    }
                    let header = message.header();
                    let member = header.member().map(|member| member.as_str());
                    let reply = if member == Some("CancelCheckAuthorization") {
                        // Who does not want to know of it has dropped the other end.
                        let _gone = took_back.send(message.body().deserialize().unwrap());
                        Message::method_return(&header).build(&())
                    } else {
                        let question = Question::of(&message);
                        let is_asked = question.flags == 1;
                        let _gone = asked.send(question);
                        if is_asked && person == Person::Thinks {
                            continue;
                        }
                        let answer = ((is_asked, !is_asked, no_details()),);
                        Message::method_return(&header).build(&answer)
                    };
                    client.connection.send(&reply.unwrap()).await.unwrap();
                }
            });
        });
        Polkit { questions, withdrawn }
    }

    /// Puts a service manager on it that says of every process what it is told to say. It tells of
    /// each question before it answers it.
    pub(crate) fn manager(&self) -> Manager {
        let Client { runtime, connection } = self.client();
        let mut calls = MessageStream::from(&connection);
        let client = Client { runtime, connection };
        client.take_name("org.freedesktop.systemd1");
        let says = Arc::new(Mutex::new(Says::Outside));
        let (asked, questions) = mpsc::channel();
        let saying = Arc::clone(&says);
        thread::spawn(move || {
            client.runtime.block_on(async {
                while let Some(Ok(message)) =
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut calls).poll_next(cx)).await
                {
                    if message.message_type() == Type::MethodCall {
                        let says = *saying.lock().unwrap();
                        // Who does not want to know of it has dropped the other end.
                        let _gone = asked.send(());
                        if let Some(reply) = says.of(&message) {
                            client.connection.send(&reply).await.unwrap();
                        }
                    }
                }
            });
        });
        Manager { says, questions }
    }

    /// Runs `busctl` as another user; `None` where it is not installed.
    pub(crate) fn busctl(&self, uid: u32, arguments: &[&str]) -> Option<Output> {
        Some(run(&mut self.busctl_command(uid, arguments)?, None))
    }

    /// The same, not begun yet.
    pub(crate) fn busctl_command(&self, uid: u32, arguments: &[&str]) -> Option<Command> {
        use std::os::unix::process::CommandExt as _;

        let there = Command::new("busctl").arg("--version").stdout(Stdio::null()).status();
        if there.is_err() {
            super::skipped("busctl is not installed");
            return None;
        }
        let mut command = Command::new("busctl");
        command.arg(format!("--address={}", self.address())).args(arguments);
        command.current_dir("/").uid(uid).gid(uid);
        Some(command)
    }
}

/// A service manager.
pub(crate) struct Manager {
    says: Arc<Mutex<Says>>,
    questions: mpsc::Receiver<()>,
}

impl Manager {
    /// Has it say that from now on.
    pub(crate) fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// Waits until it is asked something.
    pub(crate) fn is_asked(&self) {
        self.questions.recv_timeout(PATIENCE).unwrap();
    }

    /// Whether nobody asked it anything since it was last looked.
    pub(crate) fn was_left_alone(&self) -> bool {
        self.questions.try_iter().count() == 0
    }
}

/// What a service manager says of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Says {
    /// It belongs to this unit.
    Unit(&'static str),
    /// The same, to who asks by its number: a manager before systemd 253.
    Older(&'static str),
    /// It belongs to none.
    Outside,
    /// Nothing at all.
    Nothing,
}

impl Says {
    fn of(self, call: &Message) -> Option<Message> {
        const REFUSED: &str = "org.freedesktop.DBus.Error.AccessDenied";
        const OUTSIDE: &str = "org.freedesktop.systemd1.NoUnitForPID";

        let header = call.header();
        let by_process = header.member().is_some_and(|name| name.as_str() == "GetUnitByPIDFD");
        let object = |unit: &str| {
            let label = unit.replace('.', "_2e");
            zbus::ObjectPath::try_from(format!("/org/freedesktop/systemd1/unit/{label}")).unwrap()
        };
        let reply = match self {
            Self::Nothing => return None,
            Self::Outside => Message::error(&header, OUTSIDE).build(&"it is in no unit"),
            Self::Older(_) if by_process => {
                Message::error(&header, REFUSED).build(&"no such method")
            }
            Self::Unit(unit) if by_process => {
                Message::method_return(&header).build(&(object(unit), unit, vec![0_u8; 16]))
            }
            Self::Unit(unit) | Self::Older(unit) => {
                Message::method_return(&header).build(&object(unit))
            }
        };
        Some(reply.unwrap())
    }
}

/// A polkit.
pub(crate) struct Polkit {
    /// What it was asked.
    pub(crate) questions: mpsc::Receiver<Question>,
    /// The [`Question::id`] of those that were withdrawn.
    pub(crate) withdrawn: mpsc::Receiver<String>,
}

/// What a person does who is asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Person {
    /// Lets the caller do it.
    Agrees,
    /// Has the dialog open.
    Thinks,
}

/// What polkit was asked.
pub(crate) struct Question {
    /// The connection of the caller.
    pub(crate) sender: String,
    /// What it wants to do.
    pub(crate) action: String,
    /// 1 if a person may be asked.
    pub(crate) flags: u32,
    /// By what it can be withdrawn.
    pub(crate) id: String,
}

impl Question {
    fn of(message: &Message) -> Self {
        type Subject = (String, HashMap<String, OwnedVariant>);

        let body = message.body();
        let ((sort, subject), action, _, flags, id) =
            body.deserialize::<(Subject, String, HashMap<String, String>, u32, String)>().unwrap();
        assert_eq!(sort, "system-bus-name");
        let Variant::Str(sender) = &*subject["name"] else { panic!("no name of a connection") };
        Self { sender: sender.as_str().to_owned(), action, flags, id }
    }
}

/// A connection to a bus.
pub(crate) struct Client {
    runtime: Runtime,
    connection: Connection,
}

impl Client {
    /// Waits until the daemon has its name.
    pub(crate) fn until_served(&self) {
        // A signal that comes between asking and waiting is heard: following begins first.
        let mut owners = self.follow("type='signal',member='NameOwnerChanged'");
        if !self.is_served() {
            self.until(&mut owners, |message| {
                let body = message.body();
                let (name, _, new) = body.deserialize::<(&str, &str, &str)>().unwrap();
                name == NAME && !new.is_empty()
            });
        }
    }

    /// Whether the daemon has its name.
    pub(crate) fn is_served(&self) -> bool {
        self.ask_bus("NameHasOwner", &NAME).unwrap().body().deserialize().unwrap()
    }

    /// Waits until the process of that id is on the bus.
    pub(crate) fn until_connected(&self, id: u32) {
        let mut owners = self.follow("type='signal',member='NameOwnerChanged'");
        let is_it = |name: &str| {
            let reply = self.ask_bus("GetConnectionUnixProcessID", &name);
            reply.is_ok_and(|reply| reply.body().deserialize::<u32>().unwrap() == id)
        };
        let names = self.ask_bus("ListNames", &()).unwrap();
        let mut there =
            names.body().deserialize::<Vec<String>>().unwrap().iter().any(|it| is_it(it));
        while !there {
            let message = self.until(&mut owners, |_| true);
            let body = message.body();
            let (name, _, _) = body.deserialize::<(&str, &str, &str)>().unwrap();
            there = is_it(name);
        }
    }

    /// Takes a name that nobody has, for as long as the connection is there.
    pub(crate) fn take_name(&self, name: &str) {
        let reply = self.ask_bus("RequestName", &(name, 0_u32)).unwrap();
        assert_eq!(reply.body().deserialize::<u32>(), Ok(1));
    }

    fn ask_bus(
        &self,
        method: &str,
        body: &(impl Serialize + DynamicType),
    ) -> zbus::Result<Message> {
        let bus = "org.freedesktop.DBus";
        let path = "/org/freedesktop/DBus";
        let call = self.connection.call_method(Some(bus), path, Some(bus), method, body);
        self.runtime.block_on(call)
    }

    /// Calls a method of the manager; an error is its name and its message.
    pub(crate) fn call(
        &self,
        method: &str,
        body: &(impl Serialize + DynamicType),
    ) -> Result<Message, (String, String)> {
        self.call_at(ROOT, MANAGER, method, body)
    }

    /// Calls a method of an object.
    pub(crate) fn call_at(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &(impl Serialize + DynamicType),
    ) -> Result<Message, (String, String)> {
        let call = self.connection.call_method(Some(NAME), path, Some(interface), method, body);
        match self.runtime.block_on(call) {
            Ok(message) => Ok(message),
            Err(zbus::Error::MethodError(name, text, _)) => {
                Err((name.to_string(), text.unwrap_or_default()))
            }
            Err(other) => Err((other.to_string(), String::new())),
        }
    }

    /// All properties of an interface of an object.
    pub(crate) fn properties(&self, path: &str, interface: &str) -> HashMap<String, OwnedVariant> {
        let reply = self.call_at(path, "org.freedesktop.DBus.Properties", "GetAll", &interface);
        reply.unwrap().body().deserialize().unwrap()
    }

    /// Follows the messages of a rule from now on.
    pub(crate) fn follow(&self, rule: &str) -> MessageStream {
        let following = MessageStream::for_match_rule(rule, &self.connection, None);
        self.runtime.block_on(following).unwrap()
    }

    /// Waits for a message.
    pub(crate) fn until(
        &self,
        messages: &mut MessageStream,
        wanted: impl Fn(&Message) -> bool,
    ) -> Arc<Message> {
        let next = async {
            loop {
                let next =
                    std::future::poll_fn(|cx| std::pin::Pin::new(&mut *messages).poll_next(cx));
                let message = next.await.expect("the bus lives").unwrap();
                if wanted(&message) {
                    return Arc::new(message);
                }
            }
        };
        let waited = async { tokio::time::timeout(PATIENCE, next).await };
        self.runtime.block_on(waited).expect("the message comes")
    }
}

fn no_details() -> HashMap<&'static str, &'static str> {
    HashMap::new()
}

/// No options.
pub(crate) fn no_options() -> HashMap<&'static str, Variant<'static>> {
    HashMap::new()
}
