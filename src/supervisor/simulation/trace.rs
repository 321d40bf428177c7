//! The last steps of a world, for whoever has to find out why it ended.
//!
//! Nothing is written down while all is well: a world that ends badly is played again.

use std::collections::VecDeque;
use std::time::Duration;

/// Steps that are kept, of all accounts.
const KEPT: usize = 5_000;

/// Steps that are told.
const TOLD: usize = 60;

/// The last steps, if anybody wants them.
#[derive(Default)]
pub(super) struct Trace(Option<VecDeque<(Duration, String)>>);

impl Trace {
    /// One that keeps steps.
    pub(super) const fn kept() -> Self {
        Self(Some(VecDeque::new()))
    }

    /// Takes a step down.
    pub(super) fn note(&mut self, at: Duration, step: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            if steps.len() == KEPT {
                steps.pop_front();
            }
            steps.push_back((at, step()));
        }
    }

    /// The last steps that are about an account or about everybody.
    pub(super) fn about(&self, account: &str) -> String {
        let of_another = |step: &str| step.starts_with('a') && !step.starts_with(account);
        let steps = self.0.iter().flatten().rev().filter(|(_, step)| !of_another(step));
        let mut lines = steps.take(TOLD).map(|(at, step)| line(*at, step)).collect::<Vec<_>>();
        lines.reverse();
        lines.concat()
    }
}

fn line(at: Duration, step: &str) -> String {
    let secs = at.as_secs();
    let (days, rest) = (secs / 86_400, secs % 86_400);
    let (hours, minutes, secs) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    let millis = at.subsec_millis();
    format!("{days:>4} d {hours:02}:{minutes:02}:{secs:02}.{millis:03}  {step}\n")
}
