//! Real programs, and a real socket.

use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::net::UnixListener;

use rustix::fs::MemfdFlags;
use rustix::fs::memfd_create;

use super::group::STARTS;
use super::*;

#[tokio::test]
async fn a_program_is_given_its_input_and_its_output_is_taken() {
    let answer = ran("cat; echo told >&2", |program| program.input = input("hush")).await;
    assert_eq!((answer.output.as_slice(), &*answer.report), (&b"hush"[..], "told"));
    assert_eq!(answer.end, Ok(()));
}

#[tokio::test]
async fn an_input_and_an_output_larger_than_a_pipe_do_not_block_each_other() {
    let large = "x".repeat(1024 * 1024);
    let answer = ran("tee /dev/stderr", |program| {
        program.input = input(&large);
        program.longest = large.len();
    })
    .await;
    assert_eq!(answer.end, Ok(()));
    assert!(*answer.output == *large.as_bytes());
}

#[tokio::test]
async fn a_program_that_does_not_read_its_input_is_none_the_worse() {
    let large = "x".repeat(1024 * 1024);
    let answer = ran("exec <&-; echo fine", |program| program.input = input(&large)).await;
    assert_eq!((answer.end, answer.output.as_slice()), (Ok(()), &b"fine\n"[..]));
}

#[tokio::test]
async fn a_program_finds_no_directory_and_no_environment_but_what_it_was_given() {
    let answer = ran("pwd; /usr/bin/env | /usr/bin/sort", |program| {
        program.environment = vec![("TOKENKEEPER_ACCOUNT", "mail".into())];
    })
    .await;
    let text = String::from_utf8(answer.output.to_vec()).unwrap();
    insta::assert_snapshot!(text, @r"
    /
    LANG=C.UTF-8
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    PWD=/
    TOKENKEEPER_ACCOUNT=mail
    ");
}

#[tokio::test]
async fn a_program_has_none_of_our_descriptors_and_our_ignored_signals() {
    const BROKEN_PIPE: u64 = 1 << (13 - 1);

    let ours = std::fs::File::open("/dev/null").unwrap();
    let ours = std::os::fd::AsRawFd::as_raw_fd(&ours).to_string();
    let script = "ls /proc/self/fd; grep SigIgn /proc/self/status";
    let answer = ran(script, |_| {}).await;
    let text = String::from_utf8(answer.output.to_vec()).unwrap();
    let (descriptors, ignored) = text.split_once("SigIgn:").unwrap();
    assert!(descriptors.lines().all(|number| number != ours), "{descriptors}");
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    assert_eq!(ignored & BROKEN_PIPE, 0, "{ignored:x}");
}

#[tokio::test]
async fn a_descriptor_is_inherited_under_its_number() {
    let memory = memfd_create("token", MemfdFlags::CLOEXEC).unwrap();
    rustix::io::pwrite(&memory, b"hush", 0).unwrap();
    let answer = ran("cat /proc/self/fd/3", |program| program.descriptor = Some(memory)).await;
    assert_eq!(&*answer.output, b"hush");
}

#[tokio::test]
async fn an_exit_status_a_signal_and_too_much_output_are_told_apart() {
    let cases = [
        ("exit 3", "exit status: 3"),
        ("kill -KILL $$", "signal: 9 (SIGKILL)"),
        ("echo begun; yes", "larger than 1 KiB"),
    ];
    for (script, expected) in cases {
        let answer = ran(script, |_| {}).await;
        assert_eq!(answer.output.starts_with(b"begun\n"), script.contains("begun"), "{script}");
        assert_eq!(answer.end.unwrap_err().to_string(), expected, "{script}");
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_was_not_asked() {
    for (argv, expected) in [
        (vec![Box::from("/nonexistent")], "/nonexistent: No such file or directory (os error 2)"),
        (vec!["/etc/passwd".into()], "/etc/passwd: Permission denied (os error 13)"),
        (vec![], "the command is empty"),
    ] {
        let error = run(program(&argv)).await.err().unwrap();
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn what_a_program_leaves_behind_ends_with_it() {
    let answer = ran("sleep 1000 & sleep 1000 >/dev/null 2>&1 & echo $$", |_| {}).await;
    assert_eq!(answer.end, Ok(()));
    wait_until_gone(&answer.output);
}

#[tokio::test]
async fn a_program_whose_time_is_over_ends_with_all_that_it_started() {
    let directory = tempfile::tempdir().unwrap();
    let fifo = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    // Open for writing too, it never looks as if all who write had gone.
    let begun =
        tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_receiver(&fifo).unwrap();
    let script = format!(
        "trap '' TERM; sleep 1000 & sleep 1000 & echo $$; echo > '{}'; while :; do sleep 1000; done",
        fifo.display()
    );
    let time = async {
        begun.readable().await.unwrap();
        // It passes as soon as everybody waits.
        tokio::time::pause();
    };
    let (answer, ()) = tokio::join!(ran(&script, |_| {}), time);
    assert_eq!(answer.end, Err(Cut::Endless(LIMIT)));
    wait_until_gone(&answer.output);
}

#[tokio::test]
async fn a_program_dies_before_the_daemon_when_memory_runs_out() {
    // It may have begun before the kernel was told.
    let script = "until [ \"$score\" = 1000 ]; do read score </proc/self/oom_score_adj; done";
    assert_eq!(ran(script, |_| {}).await.end, Ok(()));
}

/// What keeps a program from being started cannot be had without a dead mount, so something
/// else stands where it would.
#[tokio::test]
async fn a_program_that_finds_no_room_or_cannot_be_read_was_not_asked_and_holds_up_no_other() {
    let hung = Path::new("/bin/sh");
    let (release, until_released) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let hanging = STARTS.run(hung, LIMIT, move || {
        begun.send(()).unwrap();
        until_released.recv()
    });
    let meanwhile = async {
        has_begun.await.unwrap();
        let argv = shell("exit 0");
        let mut program = program(&argv);
        program.limit = Duration::from_millis(1);
        let late = run(program).await.err().unwrap();
        assert_eq!(late.to_string(), "/bin/sh: it was not done within 0.001 s");

        let other = ["/usr/bin/env".into(), "true".into()];
        assert_eq!(run(self::program(&other)).await.unwrap().end, Ok(()));
        release.send(()).unwrap();
    };
    let (hung, ()) = tokio::join!(hanging, meanwhile);
    hung.unwrap().unwrap();

    // What other tests run has ended by then.
    let all = u32::try_from(AT_A_TIME).unwrap();
    let room = ROOM.acquire_many(all).await.unwrap();
    let argv = shell("exit 0");
    let mut late = program(&argv);
    late.limit = Duration::from_millis(1);
    let late = run(late).await.err().unwrap();
    let expected = "/bin/sh: 32 programs run already, and none of them has ended";
    assert_eq!(late.to_string(), expected);
    drop(room);
    assert_eq!(run(program(&argv)).await.unwrap().end, Ok(()));
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_the_program() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::UnixListener::from_std(listener).unwrap();
    // The group holds a connection for as long as one of it lives.
    let script = format!(
        "trap '' TERM; exec python3 -c 'import socket, time\n\
         s = socket.socket(socket.AF_UNIX); s.connect(\"{}\"); time.sleep(1000)'",
        socket.display()
    );
    let argv = shell(&script);
    let mut connection = tokio::select! {
        accepted = listener.accept() => accepted.unwrap().0,
        _ = run(program(&argv)) => panic!("it sleeps"),
    };
    let mut rest = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut connection, &mut rest).await.unwrap();
}

#[tokio::test]
async fn a_socket_is_asked_like_a_program() {
    let large = "x".repeat(1025);
    #[rustfmt::skip]
    let cases = [
        ("an answer",          "fine",  Ok(()),                    "fine"),
        ("silence",            "",      Ok(()),                    ""),
        ("too large a one",    &*large, Err(Cut::TooLarge(1024)),  &*large),
    ];
    for (name, reply, end, output) in cases {
        let (answer, heard) = asked(reply).await;
        assert_eq!((answer.end, answer.output.as_slice()), (end, output.as_bytes()), "{name}");
        assert_eq!(heard, "question", "{name}");
    }
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_was_not_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let question = Secret::new("question");
    let absent = ask(&path, &question, 1024, LIMIT).await.err().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    let closed = ask(&path, &question, 1024, LIMIT).await.err().unwrap();
    let path = path.display();
    assert_eq!(absent.to_string(), format!("{path}: No such file or directory (os error 2)"));
    assert_eq!(closed.to_string(), format!("{path}: Connection refused (os error 111)"));
}

#[tokio::test(start_paused = true)]
async fn a_socket_that_does_not_answer_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let _listener = UnixListener::bind(&path).unwrap();
    let answer = ask(&path, &Secret::new("question"), 1024, LIMIT).await.unwrap();
    assert_eq!(answer.end, Err(Cut::Late(LIMIT)));
}

const LIMIT: Duration = Duration::from_secs(60);

async fn ran(script: &str, change: impl FnOnce(&mut Program<'_>)) -> Answer {
    let argv = shell(script);
    let mut program = program(&argv);
    change(&mut program);
    run(program).await.unwrap()
}

fn shell(script: &str) -> Vec<Box<str>> {
    ["/bin/sh", "-c", script].map(Box::from).to_vec()
}

fn program(argv: &[Box<str>]) -> Program<'_> {
    Program {
        argv,
        environment: Vec::new(),
        input: None,
        descriptor: None,
        hidden: Vec::new(),
        longest: 1024,
        limit: LIMIT,
    }
}

fn input(text: &str) -> Option<Secret> {
    Some(Secret::new(text))
}

/// Waits until nobody is left of the group whose leader printed its number: who is killed is
/// gone soon and not at once.
fn wait_until_gone(output: &[u8]) {
    let number = std::str::from_utf8(output).unwrap().trim();
    while std::fs::read_dir("/proc").unwrap().any(|entry| {
        let mut stat = String::new();
        let file = std::fs::File::open(entry.unwrap().path().join("stat"));
        // A process may end while it is looked at.
        let _ended = file.and_then(|mut file| file.read_to_string(&mut stat));
        // proc(5): "pid (comm) state ppid pgrp …". Who is dead and not reaped is a zombie.
        let mut fields = stat.rsplit(") ").next().unwrap().split(' ');
        fields.next() != Some("Z") && fields.nth(1) == Some(number)
    }) {
        std::thread::yield_now();
    }
}

async fn asked(reply: &str) -> (Answer, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let reply = reply.to_owned();
    let service = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        stream.write_all(reply.as_bytes()).unwrap();
        heard
    });
    let answer = ask(&path, &Secret::new("question"), 1024, LIMIT).await.unwrap();
    (answer, service.join().unwrap())
}
