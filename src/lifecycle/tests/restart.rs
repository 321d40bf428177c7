//! What a start makes of a token that the store holds.

use super::sim::Sim;
use super::sim::boot;
use crate::plan::Rotation;

/// The token was issued at 1000, for an hour less 5 s.
#[test]
fn after_a_boot_a_token_of_the_future_is_over_unless_the_clock_was_hardly_set_back() {
    #[rustfmt::skip]
    let cases = [
        // name                        at     end
        ("an hour minus ten minutes",  1_600, 4_595),
        ("over",                       5_000, 5_000),
        ("a minute back is trusted",     940, 940 + 3_595),
        ("more is not",                  939, 939),
    ];
    for (name, at, end) in cases {
        let sim = Sim::resumed(Rotation::Unknown, 1000).restarted(at);
        let held = sim.account.snapshot().held.unwrap();
        assert_eq!(held.expires_boot, boot(end), "{name}:\n{}", sim.log);
    }
}
