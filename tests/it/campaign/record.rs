//! What strace wrote down of a thread, with the options of [`super::blow`].

/// One system call of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Call<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// When it began, in microseconds since 1970.
    pub(super) begun_us: u64,
    /// What it returned and when, in the same microseconds; `None` if the process ended in it.
    pub(super) ended: Option<(i64, u64)>,
}

/// The calls of a record, in their order.
pub(super) fn calls_of(record: &str) -> impl Iterator<Item = Call<'_>> {
    record.lines().filter_map(call)
}

/// `SECONDS NAME(ARGUMENTS) = RESULT … <SECONDS>`; nothing of a line about a signal or an end.
fn call(line: &str) -> Option<Call<'_>> {
    let (begun, said) = line.split_once(' ')?;
    let begun_us = micros(begun)?;
    let (name, said) = said.split_once('(')?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !name.bytes().all(is_plain) {
        return None;
    }
    let ended = said.rsplit_once(" = ").and_then(|(_, end)| {
        let result = end.split(' ').next()?.parse().ok()?;
        let took = end.rsplit_once('<')?.1.strip_suffix('>')?;
        Some((result, begun_us + micros(took)?))
    });
    Some(Call { name, begun_us, ended })
}

/// Seconds with six places.
fn micros(text: &str) -> Option<u64> {
    let (seconds, micros) = text.split_once('.')?;
    let seconds = seconds.parse::<u64>().ok()?;
    let micros = micros.parse::<u64>().ok().filter(|_| micros.len() == 6)?;
    Some(seconds * 1_000_000 + micros)
}

mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_call_by_call_and_what_did_not_return_has_no_end() {
        let record = "1795368168.034338 recvfrom(25, \"a = b(\"..., 8192, 0, NULL, NULL) = 299 <0.000008>\n\
                      1795368168.034700 fsync(11) = -1 EIO (Input/output error) (INJECTED) <0.000010>\n\
                      1795368169.044322 --- SIGTERM {si_signo=SIGTERM, si_code=SI_USER} ---\n\
                      1795368169.051709 pwrite64(11, \"x\", 1, 0)         = ?\n\
                      1795368169.053545 +++ killed by SIGKILL +++\n";
        let calls = calls_of(record).collect::<Vec<_>>();
        let call = |name, begun_us, ended| Call { name, begun_us, ended };
        assert_eq!(
            calls,
            [
                call("recvfrom", 1_795_368_168_034_338, Some((299, 1_795_368_168_034_346))),
                call("fsync", 1_795_368_168_034_700, Some((-1, 1_795_368_168_034_710))),
                call("pwrite64", 1_795_368_169_051_709, None),
            ]
        );
    }
}
