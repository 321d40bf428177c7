//! What one login goes through: its refresh tokens, their rotation, grace, reuse and end.
//!
//! A *family* is every token that stems from one login. Its refresh tokens are numbered by
//! *generation*, 0 first. [`Family::spend`] is the whole machine: total, without a clock, and the
//! only place where a generation is born.
//!
//! Rules that collide are settled in this order: a dead family refuses everything; a token that
//! was not superseded is good; a superseded one is good inside its grace and reused outside it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Moment;

/// Generations of one family that are remembered. Older ones are treated as reused.
const MOST_GENERATIONS: usize = 16_384;

/// When the refresh token changes, and what a superseded one is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rotation {
    /// It never changes; every generation that a fault brought about stays good.
    None,
    /// It changes with a grant.
    Every(Rule),
}

/// A rotation that does take place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rule {
    /// Grants from one rotation to the next.
    pub(crate) every: NonZeroU32,
    /// How long a superseded token stays good, from the moment that it was first superseded.
    /// `None` is for ever.
    pub(crate) grace: Option<Duration>,
    /// Which superseded tokens have a grace at all.
    pub(crate) scope: Scope,
    /// What a replay gets.
    pub(crate) reuse: Reuse,
}

/// Which superseded tokens have a grace.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scope {
    /// The parent of the newest token, and the other children of that parent.
    Previous,
    /// Every one.
    Any,
}

/// What the replay of a superseded token gets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reuse {
    /// In the grace a new pair, outside it a refusal.
    Refuse,
    /// In the grace a new pair, outside it the end of the family (RFC 9700, 4.14.2).
    KillFamily,
    /// In the grace the very pair of the first time (as WorkOS does), outside it a refusal.
    SamePair,
}

/// One pair of tokens that was handed out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Issue {
    /// Generation of the refresh token.
    pub(crate) generation: u32,
    /// Serial number of the access token within its account.
    pub(crate) serial: u32,
    /// When it was handed out.
    pub(crate) at: Moment,
}

/// What became of one presented refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Spend {
    /// The current token: a new pair.
    Granted(Issue),
    /// A superseded token inside its grace: a pair, new or the same again.
    Replayed(Issue),
    /// A superseded token outside its grace: nothing, and perhaps the end of the family.
    Reused,
    /// The family had ended before.
    Dead,
}

/// The tokens of one login.
#[derive(Debug)]
pub(crate) struct Family {
    /// Generations that are remembered, oldest first; the last one is the newest.
    generations: VecDeque<Generation>,
    /// Number of the first remembered generation.
    first: u32,
    /// Grants since the newest generation was born.
    grants: u32,
    alive: bool,
}

#[derive(Debug)]
struct Generation {
    parent: Option<u32>,
    /// The pair that superseded this one first.
    successor: Option<Issue>,
}

impl Family {
    /// A new login with generation 0.
    pub(crate) fn new() -> Self {
        let first = Generation { parent: None, successor: None };
        Self { generations: VecDeque::from([first]), first: 0, grants: 0, alive: true }
    }

    /// Ends the family: none of its tokens is good any more.
    pub(crate) fn kill(&mut self) {
        self.alive = false;
    }

    /// Whether its tokens are good.
    pub(crate) fn is_alive(&self) -> bool {
        self.alive
    }

    /// The newest generation.
    pub(crate) fn newest(&self) -> u32 {
        let remembered = u32::try_from(self.generations.len()).unwrap_or(u32::MAX);
        self.first.saturating_add(remembered).saturating_sub(1)
    }

    /// Presents `generation` at `now`; a pair that comes of it carries the access token `serial`.
    ///
    /// The family rotated exactly if [`newest`](Self::newest) is another one afterwards.
    pub(crate) fn spend(
        &mut self,
        generation: u32,
        rotation: Rotation,
        serial: u32,
        now: Moment,
    ) -> Spend {
        if !self.alive {
            return Spend::Dead;
        }
        match rotation {
            Rotation::None => Spend::Granted(Issue { generation, serial, at: now }),
            Rotation::Every(rule) if generation == self.newest() => {
                Spend::Granted(self.grant(generation, rule, serial, now))
            }
            Rotation::Every(rule) => self.replay(generation, rule, serial, now),
        }
    }

    fn grant(&mut self, generation: u32, rule: Rule, serial: u32, now: Moment) -> Issue {
        self.grants += 1;
        if self.grants < rule.every.get() {
            return Issue { generation, serial, at: now };
        }
        self.rotate(generation, serial, now)
    }

    fn replay(&mut self, generation: u32, rule: Rule, serial: u32, now: Moment) -> Spend {
        match (self.within_grace(generation, rule, now), rule.reuse) {
            (Some(first), Reuse::SamePair) => Spend::Replayed(first),
            (Some(_), Reuse::Refuse | Reuse::KillFamily) => {
                Spend::Replayed(self.rotate(generation, serial, now))
            }
            (None, Reuse::Refuse | Reuse::SamePair) => Spend::Reused,
            (None, Reuse::KillFamily) => {
                self.kill();
                Spend::Reused
            }
        }
    }

    /// The pair that superseded `generation`, if that is not too long ago.
    fn within_grace(&self, generation: u32, rule: Rule, now: Moment) -> Option<Issue> {
        let presented = self.remembered(generation)?;
        // A sibling of the newest has no successor of its own: it shares the grace of its parent.
        let superseded_by = presented.successor.or_else(|| self.successor_of_parent(generation))?;
        let parent = self.remembered(self.newest()).and_then(|newest| newest.parent);
        let in_scope = match rule.scope {
            Scope::Any => true,
            Scope::Previous => parent == Some(generation) || parent == presented.parent,
        };
        let age = now.since_start.saturating_sub(superseded_by.at.since_start);
        let in_time = rule.grace.is_none_or(|grace| age < grace);
        (in_scope && in_time).then_some(superseded_by)
    }

    fn successor_of_parent(&self, generation: u32) -> Option<Issue> {
        let parent = self.remembered(generation)?.parent?;
        self.remembered(parent)?.successor
    }

    fn rotate(&mut self, parent: u32, serial: u32, now: Moment) -> Issue {
        let issue = Issue { generation: self.newest().saturating_add(1), serial, at: now };
        let offset = parent.checked_sub(self.first).and_then(|offset| usize::try_from(offset).ok());
        if let Some(presented) = offset.and_then(|offset| self.generations.get_mut(offset)) {
            presented.successor.get_or_insert(issue);
        }
        self.generations.push_back(Generation { parent: Some(parent), successor: None });
        if self.generations.len() > MOST_GENERATIONS {
            self.generations.pop_front();
            self.first += 1;
        }
        self.grants = 0;
        issue
    }

    fn remembered(&self, generation: u32) -> Option<&Generation> {
        let offset = usize::try_from(generation.checked_sub(self.first)?).ok()?;
        self.generations.get(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One presentation: at which second, which generation, and what must come of it.
    type Step = (u64, u32, &'static str);

    #[test]
    fn a_life_follows_its_rotation_rule() {
        #[rustfmt::skip]
        let lives: &[(&str, Rotation, &[Step])] = &[
            ("without rotation the first token stays good", Rotation::None, &[
                (0, 0, "granted 0"), (9999, 0, "granted 0"),
            ]),
            ("strict: the second use ends the family", rule(1, Some(0), Reuse::KillFamily), &[
                (0, 0, "granted 1"), (1, 1, "granted 2"), (2, 1, "reused"), (3, 2, "dead"),
            ]),
            ("refuse: the second use costs nothing else", rule(1, Some(0), Reuse::Refuse), &[
                (0, 0, "granted 1"), (0, 0, "reused"), (1, 1, "granted 2"),
            ]),
            ("inside the grace a replay continues the family", rule(1, Some(30), Reuse::KillFamily), &[
                (0, 0, "granted 1"), (29, 0, "replayed 2"), (31, 2, "granted 3"),
            ]),
            ("the grace counts from the first use", rule(1, Some(30), Reuse::KillFamily), &[
                (0, 0, "granted 1"), (20, 0, "replayed 2"), (30, 0, "reused"), (31, 2, "dead"),
            ]),
            ("replays inside the grace may repeat", rule(1, Some(30), Reuse::KillFamily), &[
                (0, 0, "granted 1"), (1, 0, "replayed 2"), (2, 0, "replayed 3"), (3, 3, "granted 4"),
            ]),
            ("a late first reply is good inside the grace", rule(1, Some(30), Reuse::KillFamily), &[
                (0, 0, "granted 1"), (1, 0, "replayed 2"), (2, 1, "replayed 3"), (3, 3, "granted 4"),
            ]),
            ("the grandparent has no grace", rule(1, Some(30), Reuse::KillFamily), &[
                (0, 0, "granted 1"), (1, 1, "granted 2"), (2, 0, "reused"), (2, 2, "dead"),
            ]),
            ("unless the scope is any", any_scope(Some(30)), &[
                (0, 0, "granted 1"), (1, 1, "granted 2"), (2, 0, "replayed 3"), (30, 0, "reused"),
            ]),
            ("the same pair again", rule(1, Some(30), Reuse::SamePair), &[
                (0, 0, "granted 1"), (9, 0, "replayed 1"), (30, 0, "reused"), (31, 1, "granted 2"),
            ]),
            ("an infinite grace never ends", rule(1, None, Reuse::KillFamily), &[
                (0, 0, "granted 1"), (1_000_000, 0, "replayed 2"),
            ]),
            ("every third grant rotates", rule(3, Some(0), Reuse::KillFamily), &[
                (0, 0, "granted 0"), (1, 0, "granted 0"), (2, 0, "granted 1"), (3, 1, "granted 1"),
                (4, 0, "reused"), (5, 1, "dead"),
            ]),
            ("a generation that never was is reused", rule(1, None, Reuse::Refuse), &[
                (0, 7, "reused"), (0, 0, "granted 1"),
            ]),
        ];

        for (name, rotation, steps) in lives {
            let mut family = Family::new();
            for (at, generation, expected) in *steps {
                let got = told(family.spend(*generation, *rotation, 0, second(*at)));
                assert_eq!(got, *expected, "{name}: generation {generation} at {at} s");
            }
        }
    }

    #[test]
    fn the_same_pair_carries_the_first_access_token() {
        let mut family = Family::new();
        let rule = rule(1, Some(30), Reuse::SamePair);
        let Spend::Granted(first) = family.spend(0, rule, 1, second(0)) else { panic!() };
        assert_eq!(family.spend(0, rule, 2, second(1)), Spend::Replayed(first));
    }

    #[test]
    fn a_forgotten_generation_counts_as_reused() {
        let mut family = Family::new();
        let rule = any_scope(None);
        let most = u32::try_from(MOST_GENERATIONS).unwrap();
        for generation in 0..most {
            assert_eq!(
                told(family.spend(generation, rule, 0, second(0))),
                format!("granted {}", generation + 1)
            );
        }
        assert_eq!(told(family.spend(0, rule, 0, second(0))), "reused");
    }

    fn told(spend: Spend) -> String {
        match spend {
            Spend::Granted(issue) => format!("granted {}", issue.generation),
            Spend::Replayed(issue) => format!("replayed {}", issue.generation),
            Spend::Reused => "reused".to_owned(),
            Spend::Dead => "dead".to_owned(),
        }
    }

    fn rule(every: u32, grace_secs: Option<u64>, reuse: Reuse) -> Rotation {
        Rotation::Every(Rule {
            every: NonZeroU32::new(every).unwrap(),
            grace: grace_secs.map(Duration::from_secs),
            scope: Scope::Previous,
            reuse,
        })
    }

    fn any_scope(grace_secs: Option<u64>) -> Rotation {
        Rotation::Every(Rule {
            every: NonZeroU32::MIN,
            grace: grace_secs.map(Duration::from_secs),
            scope: Scope::Any,
            reuse: Reuse::KillFamily,
        })
    }

    fn second(at: u64) -> Moment {
        Moment { since_start: Duration::from_secs(at), unix: Duration::from_secs(at) }
    }
}
