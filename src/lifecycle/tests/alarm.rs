//! From when on a failure is an alarm.

use super::sim::Sim;
use super::sim::boot;
use super::sim::secs;
use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::plan::Rotation;

/// The token of this account is good until 4595.
#[test]
fn a_failure_is_an_alarm_when_it_lasts_or_must_last_into_the_end_of_the_token() {
    #[rustfmt::skip]
    let cases = [
        // name                                                failed  patience     alarm
        ("ten minutes before the end",                           3550, None,        3995),
        ("the provider is asked again before the end",           3550, Some(120),   3995),
        ("the provider is asked again at the end",               3550, Some(1_045), 3995),
        ("the provider must not be asked before the end",        3550, Some(1_046), 3550),
        ("so close to the end that it is one at once",           4100, None,        4100),
        ("the token was over: a minute for the network to come", 4595, None,        4655),
        ("the token was over for long",                          9000, None,        9060),
    ];
    for (name, failed, patience, alarm) in cases {
        let mut sim = Sim::resumed(Rotation::Unknown, 1000);
        sim.fly(failed);
        let (answer, retry_after) = (OauthError::status(503), patience.map(secs));
        let maybe_rotated = false;
        sim.fails_at(failed, RefreshError::Unavailable { answer, retry_after, maybe_rotated });
        assert_eq!(sim.account.snapshot().alarm, Some(boot(alarm)), "{name}:\n{}", sim.log);
    }
}
