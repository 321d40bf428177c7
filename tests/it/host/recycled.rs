//! A connection outlives the process that made it, whose number another process has by now.

use super::on_each;
use super::who::MOVE;
use super::who::prepared;
use super::who::run_in;

#[test]
fn a_process_that_has_the_number_of_an_earlier_peer_lends_it_no_unit() {
    on_each(|machine, package| {
        let _scene = prepared(machine, package);
        machine.does(&["systemd-run", "--quiet", "--unit=who-a", "sleep", "infinity"]);
        machine.write("/usr/local/lib/move", MOVE);
        machine.write("/usr/local/lib/hand-on", HAND_ON);
        let told = run_in(machine, "who-c.service", &[], "exec perl /usr/local/lib/hand-on");
        let (recycled, answer) = told.split_once('\n').unwrap();
        assert_eq!(recycled, "given", "the new process of that number is in the unit");
        assert!(answer.contains("HTTP/1.1 403"), "{answer}");
        assert!(answer.contains("its process has ended"), "{answer}");
    });
}

/// As root: a process of bob's connects, makes a request that asks for no unit, and ends; a child of
/// it has the connection. Then that number is given to a process in who-a.service, which may have the
/// token and says so. When it has, the child asks for the same, and what it is answered follows.
const HAND_ON: &str = r#"
use strict;
use Socket;

my ($uid, $gid) = (getpwnam('bob'))[2, 3];
pipe(my $turn, my $begin) or die $!;
pipe(my $answer, my $answering) or die $!;
pipe(my $asked, my $asking) or die $!;
my $number = fork() // die $!;
if ($number == 0) {
    ($(, $)) = ($gid, "$gid $gid");
    ($<, $>) = ($uid, $uid);
    socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die $!;
    connect($socket, pack_sockaddr_un('/run/tokenkeeper/api.sock')) or die $!;
    syswrite($socket, "GET /v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    sysread($socket, my $nothing, 65536);
    my $heir = fork() // die $!;
    exit if $heir;
    close $begin;
    sysread($turn, my $go, 1);
    my $close = "Host: localhost\r\nConnection: close\r\n\r\n";
    syswrite($socket, "GET /v1/accounts/unit/token HTTP/1.1\r\n$close");
    while (sysread($socket, my $part, 65536)) { syswrite($answering, $part) }
    exit;
}
waitpid($number, 0);

# /proc/sys of a container is closed, but not to its root.
mkdir '/run/numbers';
system('mount', '-t', 'proc', 'proc', '/run/numbers') == 0 or die;
my $ask = 'tokenctl get unit >/dev/null && echo given || echo refused; exec sleep infinity';
my $move = '. /usr/local/lib/move; exec setpriv --reuid bob --clear-groups sh -c "$ASK"';
my $recycled = 0;
while ($recycled != $number) {
    waitpid($recycled, 0) if $recycled;
    open(my $last, '>', '/run/numbers/sys/kernel/ns_last_pid') or die $!;
    syswrite($last, $number - 1) or die $!;
    close $last;
    $recycled = fork() // die $!;
    next if $recycled;
    exit if $$ != $number;
    open(STDOUT, '>&', $asking);
    exec 'env', "ASK=$ask", 'sh', '-c', $move;
}
sysread($asked, my $given, 100);
print $given;
close $answering;
syswrite($begin, 'x');
while (sysread($answer, my $part, 65536)) { print $part }
kill 'KILL', $recycled;
"#;
