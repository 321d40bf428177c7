//! Who lives in a world: accounts with their plans, and the providers that they belong to.

use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use super::service::Conduct;
use super::service::Service;
use crate::hook::Deed;
use crate::hook::Hook;
use crate::hook::Role;
use crate::name::AccountId;
use crate::notice::EventName;
use crate::plan::Entry;
use crate::plan::FailureAction;
use crate::plan::Plan;
use crate::plan::RefreshBefore;
use crate::plan::Rotation;
use crate::plan::SignIn;
use crate::provider::Exchange;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::provider::Spend;
use crate::provider::Transport;
use crate::record::Lineage;
use crate::supervisor::lineup::Settings;
use crate::token::Kind;

/// How long access tokens are good, in seconds, and how many of 32 accounts have such.
///
/// Faults come by the hour and requests by the token. A year of tokens of a quarter of an hour takes as
/// long to play as four of tokens of an hour and a hundred of tokens of a day, and most of its
/// requests meet the same fault as the one before. So what is short is rare, what lasts for hours is
/// common, and of what lasts for days there is enough for faults that take a long token to show.
const LIFETIMES: &[(u64, usize)] =
    &[(900, 1), (3_600, 6), (7_200, 6), (14_400, 5), (28_800, 4), (86_400, 7), (864_000, 3)];

/// One account.
#[derive(Clone)]
pub(super) struct Part {
    pub(super) id: AccountId,
    plan: Plan,
    conduct: Conduct,
    host: Arc<str>,
    /// Where the configuration sends its credential, and where else it may.
    lineage: Lineage,
    elsewhere: Lineage,
    hooks: Arc<[Arc<Hook>]>,
}

/// Where the configuration sends a credential at first.
const HOME: &str = "0";

impl Part {
    /// One of the accounts of a world, and its provider.
    pub(super) fn drawn(index: u64, chance: &mut Chance) -> (Self, Service) {
        let id = AccountId::parse(&format!("a{index}")).unwrap();
        let conduct = conduct(chance);
        let lifetime = lifetime(chance);
        let has_refresh_token = !chance.happens(0.1);
        let signs_in = has_refresh_token && chance.happens(0.15);
        let (on_refresh_failure, sign_in) = signing_in(signs_in);
        let rotation = rotation(conduct, chance);
        let plan = Plan {
            refresh_before: refresh_before(chance),
            has_refresh_token,
            on_refresh_failure,
            sign_in,
            ..Plan::plain(rotation)
        };
        let host = if chance.happens(0.7) { "one.example" } else { "other.example" };
        let hooks = if chance.happens(0.1) { vec![Arc::new(gate())] } else { Vec::new() };
        (Self::of(id, plan, conduct, host, hooks), Service::new(conduct, lifetime))
    }

    /// One of many that are all alike: an hour at a time, from a provider that rotates and forgives for
    /// a minute.
    pub(super) fn ordinary(index: usize) -> (Self, Service) {
        let grace = Duration::from_secs(60);
        let plan = Plan::plain(Rotation::Grace(grace));
        let id = AccountId::parse(&format!("a{index}")).unwrap();
        let conduct = Conduct::Grace(grace);
        let part = Self::of(id, plan, conduct, "one.example", Vec::new());
        (part, Service::new(conduct, Duration::from_secs(3_600)))
    }

    fn of(id: AccountId, plan: Plan, conduct: Conduct, host: &str, hooks: Vec<Arc<Hook>>) -> Self {
        let place = |name: &str| Lineage(name.into());
        Self {
            id,
            plan,
            conduct,
            host: host.into(),
            lineage: place(HOME),
            elsewhere: place("1"),
            hooks: hooks.into(),
        }
    }

    pub(super) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether a spend of its refresh token has to be announced.
    pub(super) fn announces(&self) -> bool {
        self.plan.has_refresh_token && self.plan.rotation != Rotation::Never
    }

    /// The configuration says something else of it: of how its provider rotates no more than does no
    /// harm.
    pub(super) fn change(&mut self, chance: &mut Chance) {
        self.plan.rotation = rotation(self.conduct, chance);
        if self.plan.has_refresh_token && chance.happens(0.2) {
            let signs_in = self.plan.sign_in == SignIn::Never;
            (self.plan.on_refresh_failure, self.plan.sign_in) = signing_in(signs_in);
        }
        self.plan.refresh_before = refresh_before(chance);
        self.plan.alarm_before = Duration::from_secs(60 * (1 + chance.below(30)));
    }

    /// The configuration sends its credential somewhere else, or back.
    pub(super) const fn move_to_and_fro(&mut self) {
        std::mem::swap(&mut self.lineage, &mut self.elsewhere);
    }

    /// The configuration sends its credential where it always did. Says whether that was elsewhere.
    pub(super) fn move_back(&mut self) -> bool {
        let away = *self.lineage.0 != *HOME;
        if away {
            self.move_to_and_fro();
        }
        away
    }

    /// Where the configuration sends its credential.
    pub(super) const fn lineage(&self) -> &Lineage {
        &self.lineage
    }

    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::new(Settings {
            provider: Arc::new(Scripted(Profile {
                name: "oauth2",
                host: Arc::clone(&self.host),
                client: "c".into(),
                lineage: self.lineage.clone(),
                has_refresh_token: self.plan.has_refresh_token,
                email: Some(self.id.as_str().into()),
                default_kind: Kind::Access,
                header: None,
                secrets: Vec::new(),
                sign_in: (self.plan.sign_in != SignIn::Never).then(Vec::new),
                entry: Entry::Login,
                aws: false,
                requests: 1,
                lifetime: None,
                transport: Transport::default(),
                rotation: self.plan.rotation,
            })),
            plan: Arc::new(self.plan.clone()),
            rules: Vec::new().into(),
            hooks: Arc::clone(&self.hooks),
        })
    }
}

fn lifetime(chance: &mut Chance) -> Duration {
    let each = |(secs, count): &(u64, usize)| std::iter::repeat_n(*secs, *count);
    let lifetimes = LIFETIMES.iter().flat_map(each).collect::<Vec<_>>();
    Duration::from_secs(*chance.pick(&lifetimes))
}

fn conduct(chance: &mut Chance) -> Conduct {
    let grace = |secs| Conduct::Grace(Duration::from_secs(secs));
    *chance.pick(&[
        Conduct::Keeps,
        Conduct::Multiplies,
        grace(10),
        grace(30),
        grace(60),
        grace(600),
        Conduct::Strict,
    ])
}

/// What the configuration says of it: nothing, where what it says by itself does no harm.
fn rotation(conduct: Conduct, chance: &mut Chance) -> Rotation {
    let unsaid = chance.happens(0.3);
    match conduct {
        Conduct::Keeps if unsaid => Rotation::Unknown,
        Conduct::Keeps => Rotation::Never,
        Conduct::Multiplies => Rotation::Unknown,
        Conduct::Grace(grace) if unsaid && grace >= Duration::from_secs(60) => Rotation::Unknown,
        Conduct::Grace(grace) => Rotation::Grace(grace),
        Conduct::Strict => Rotation::Strict,
    }
}

const fn signing_in(signs_in: bool) -> (FailureAction, SignIn) {
    if signs_in {
        (FailureAction::SignIn, SignIn::Possible)
    } else {
        (FailureAction::Raise, SignIn::Never)
    }
}

fn refresh_before(chance: &mut Chance) -> Option<RefreshBefore> {
    *chance.pick(&[
        None,
        None,
        None,
        Some(RefreshBefore::Span(Duration::from_secs(300))),
        Some(RefreshBefore::Percent(25)),
    ])
}

fn gate() -> Hook {
    Hook {
        name: "gate".into(),
        on: [EventName::RefreshStarted].into(),
        deed: Deed::Run {
            argv: ["/bin/true".into()].into(),
            timeout: Duration::from_secs(5),
            role: Role::Gate,
        },
    }
}

/// A provider that has a profile and nothing to say: the world answers in its place.
struct Scripted(Profile);

impl Provider for Scripted {
    fn profile(&self) -> &Profile {
        &self.0
    }

    fn exchange(&self, _: Spend) -> Box<dyn Exchange> {
        unreachable!("the world answers in its place")
    }
}
