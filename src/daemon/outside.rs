//! The supervisor's world, and what logins and hooks reach: clock, chance, store, providers and
//! programs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock;
use crate::clock::Clock;
use crate::error::RefreshError;
use crate::hooks::Runner;
use crate::hooks::call::Call;
use crate::http;
use crate::lifecycle::words::Revocation;
use crate::logins::Reach;
use crate::name::AccountId;
use crate::provider;
use crate::provider::Outcome;
use crate::provider::Profile;
use crate::provider::Provider;
use crate::provider::Request;
use crate::provider::Response;
use crate::provider::Spend;
use crate::provider::Step;
use crate::provider::Transport;
use crate::provider::call::Called;
use crate::provider::deed::Deed;
use crate::random;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::secret;
use crate::section::SecretRef;
use crate::store::Store;
use crate::supervisor::Ended;
use crate::supervisor::World;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::token::Secret;
use crate::token::hex;

use super::call;
use super::hook;

/// The real world.
#[derive(Clone)]
pub(super) struct Outside {
    http: Arc<http::Client>,
    store: Store,
    clock: Clock,
    credentials: Option<Arc<PathBuf>>,
}

impl Outside {
    pub(super) fn new(store: Store, clock: Clock, credentials: Option<PathBuf>) -> Self {
        let http = Arc::new(http::Client::default());
        Self { http, store, clock, credentials: credentials.map(Arc::new) }
    }

    async fn secret(
        &self,
        account: &AccountId,
        slot: &'static str,
        reference: &SecretRef,
    ) -> Result<Secret, RefreshError> {
        let stored = self.store.secret(format!("{account}.{slot}"));
        let directory = self.credentials.as_deref().map(PathBuf::as_path);
        secret::resolve(account, slot, reference, directory, stored).await
    }
}

impl World for Outside {
    fn now(&self) -> Now {
        clock::now()
    }

    fn jitter(&self) -> Jitter {
        random::jitter()
    }

    async fn sleep_until(&self, at: Option<Moment>) {
        self.clock.sleep_until(at).await;
    }

    fn write(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send + 'static {
        let store = self.store.clone();
        async move { store.write(write).await }
    }

    fn secrets(
        &self,
        account: &AccountId,
        provider: &Arc<dyn Provider>,
        stake: Stake,
    ) -> impl Future<Output = Result<Vec<(&'static str, Secret)>, RefreshError>> + Send + 'static
    {
        let outside = self.clone();
        let account = account.clone();
        let provider = Arc::clone(provider);
        async move {
            let profile = provider.profile();
            let of_sign_in = match stake {
                Stake::Current | Stake::Staged => None,
                Stake::SignIn => profile.sign_in.as_ref(),
            };
            let mut found = Vec::new();
            for (slot, reference) in profile.secrets.iter().chain(of_sign_in.into_iter().flatten())
            {
                found.push((*slot, outside.secret(&account, slot, reference).await?));
            }
            Ok(found)
        }
    }

    fn gate(&self, call: Call) -> impl Future<Output = Result<(), RefreshError>> + Send + 'static {
        hook::ask(call)
    }

    fn revoke(
        &self,
        provider: &Arc<dyn Provider>,
        spend: Spend,
        timeout: Duration,
    ) -> impl Future<Output = Revocation> + Send + 'static {
        let http = Arc::clone(&self.http);
        let provider = Arc::clone(provider);
        async move {
            let hidden = spend.hidden();
            let Some(deed) = provider.revoke(spend) else { return Revocation::Impossible };
            match end_login(&http, provider.profile(), deed, timeout).await {
                Ok(()) => Revocation::Ended,
                Err(error) => Revocation::Failed(error.hiding(&hidden)),
            }
        }
    }

    fn exchange(
        &self,
        provider: &Arc<dyn Provider>,
        stake: Stake,
        spend: Spend,
        timeout: Duration,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let http = Arc::clone(&self.http);
        let provider = Arc::clone(provider);
        async move {
            let hidden = spend.hidden();
            let ended = converse(&http, &*provider, stake, spend, timeout).await;
            Ended { outcome: ended.outcome.hiding(&hidden), ..ended }
        }
    }
}

impl Reach for Outside {
    fn now(&self) -> Now {
        clock::now()
    }

    fn nonce(&self) -> Secret {
        let mut chance = Zeroizing::new([0; 32]);
        random::fill(&mut *chance);
        Secret::new(hex(&*chance))
    }

    async fn secrets(
        &self,
        account: &AccountId,
        provider: &Arc<dyn Provider>,
    ) -> Vec<(&'static str, Secret)> {
        let profile = provider.profile();
        let mut found = Vec::new();
        for (slot, reference) in profile.secrets.iter().chain(profile.sign_in.iter().flatten()) {
            // A codec says what it misses, or asks the person for it.
            if let Ok(secret) = self.secret(account, slot, reference).await {
                found.push((*slot, secret));
            }
        }
        found
    }

    async fn send(
        &self,
        request: Request,
        transport: &Transport,
        limit: Duration,
    ) -> Result<Response, RefreshError> {
        let sent = self.http.send(request, transport, limit, clock::now().wall).await;
        // What a login sends spends no refresh token.
        sent.map_err(|error| error.into_error(false))
    }

    fn call(
        &self,
        call: provider::call::Call,
        limit: Duration,
    ) -> impl Future<Output = Called> + Send {
        call::carry(call, limit)
    }
}

impl Runner for Outside {
    type Error = hook::Flaw;

    fn now(&self) -> Now {
        clock::now()
    }

    fn make(
        &self,
        call: Arc<Call>,
    ) -> impl Future<Output = Result<(), hook::Flaw>> + Send + 'static {
        hook::make(call)
    }
}

/// Ends a login at its provider, in `timeout` at the most.
async fn end_login(
    http: &http::Client,
    profile: &Profile,
    mut deed: Box<dyn Deed<()>>,
    timeout: Duration,
) -> Result<(), RefreshError> {
    let deadline = clock::now().boot + timeout;
    let mut response = None;
    for _ in 0..=profile.requests {
        let request = match deed.next(response.take()) {
            Step::Ask(request) => request,
            Step::Done(outcome) => return outcome,
            Step::Call(_) => break,
        };
        let now = clock::now();
        let left = deadline.since(now.boot);
        let sent = http.send(request, &profile.transport, left, now.wall).await;
        response = Some(sent.map_err(|error| error.into_error(false))?);
    }
    Err(RefreshError::Internal("a logout asked for more than it may".into()))
}

/// Carries one conversation with a provider to its end, in `timeout` at the most.
async fn converse(
    http: &http::Client,
    provider: &dyn Provider,
    stake: Stake,
    spend: Spend,
    timeout: Duration,
) -> Ended {
    let deadline = clock::now().boot + timeout;
    let profile = provider.profile();
    let spent = spend.refresh_token.clone();
    let begun = match stake {
        Stake::Current | Stake::Staged => Some(provider.exchange(spend)),
        Stake::SignIn => provider.sign_in(spend),
    };
    let Some(mut exchange) = begun else {
        let error = RefreshError::Internal("this account cannot sign in by itself".into());
        return Ended { outcome: Outcome::Failed(error), learned: None, entry: None };
    };
    let mut step = exchange.next(None);
    for _ in 0..profile.requests {
        let left = || deadline.since(clock::now().boot);
        step = match step {
            Step::Ask(request) => {
                let spends = request.spends;
                let wall = clock::now().wall;
                match http.send(request, &profile.transport, left(), wall).await {
                    Ok(answer) => exchange.next(Some(answer)),
                    Err(error) => {
                        let outcome = Outcome::Failed(error.into_error(spends));
                        return Ended {
                            outcome,
                            learned: exchange.learned(),
                            entry: exchange.entry(),
                        };
                    }
                }
            }
            Step::Call(call) => exchange.called(call::carry(call, left()).await),
            Step::Done(_) => break,
        };
    }
    if let Step::Done(outcome) = step {
        let outcome = outcome.unless_repeated(spent.as_ref());
        return Ended { outcome, learned: exchange.learned(), entry: exchange.entry() };
    }
    let error = RefreshError::Internal("an exchange asked for more requests than it may".into());
    Ended { outcome: Outcome::Failed(error), learned: None, entry: None }
}
