//! The world around the supervisor as values: a log, and answers that names ask for.

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::sleep;

use crate::error::RefreshError;
use crate::error::foreign::OauthError;
use crate::hooks::call::Call;
use crate::lifecycle::words::Revocation;
use crate::name::AccountId;
use crate::provider::Outcome;
use crate::provider::Provider;
use crate::provider::Spend;
use crate::record::Lease;
use crate::record::Stake;
use crate::record::StoreError;
use crate::record::Write;
use crate::record::Written;
use crate::supervisor::Ended;
use crate::supervisor::World;
use crate::time::Jitter;
use crate::time::Moment;
use crate::time::Now;
use crate::time::Timestamp;
use crate::token::Generation;
use crate::token::Grant;
use crate::token::Secret;
use crate::token::TokenSet;

/// A world of values. The account called `bomb` panics in its exchange; the one called
/// `discovers` learns an endpoint in each; `refused` and `cut-off` fail, and what `full` brings
/// cannot be written but for once in a while; how `slow` stands takes a second to be written. The secrets of `secretive` take their time.
#[derive(Clone)]
pub(super) struct Values {
    pub(super) began: Instant,
    pub(super) log: Log,
}

#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub(super) fn said(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub(super) fn count(&self, line: &str) -> usize {
        self.said().iter().filter(|said| *said == line).count()
    }
}

impl World for Values {
    fn now(&self) -> Now {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap() + 1000;
        let boot = Moment::from_millis(millis);
        Now { boot, wall: Timestamp::from_millis(i64::try_from(millis).unwrap()) }
    }

    fn jitter(&self) -> Jitter {
        Jitter::new(0.5)
    }

    async fn sleep_until(&self, at: Option<Moment>) {
        match at {
            Some(at) => sleep(at.since(self.now().boot)).await,
            None => std::future::pending().await,
        }
    }

    fn write(
        &self,
        write: Write,
    ) -> impl Future<Output = Result<Written, StoreError>> + Send + 'static {
        let log = self.log.clone();
        async move {
            match write {
                Write::Intent { account, now, .. } => {
                    log.say(match account.as_str() {
                        "secretive" => format!("{account} intent at {}", now.boot.as_millis()),
                        account => format!("{account} intent"),
                    });
                    let refresh_token = Some(Secret::new(account.as_str()));
                    let generation = Generation(1);
                    Ok(Written::Leased(Lease { generation, refresh_token, durable: true }))
                }
                Write::Commit { account, .. } => {
                    log.say(format!("{account} commit"));
                    let commits = log.count(&format!("{account} commit"));
                    if account.as_str() == "full" && commits == 1 {
                        return Err(StoreError::Closed);
                    }
                    Ok(Written::Committed(Generation(1 + u64::try_from(commits).unwrap())))
                }
                Write::Clear { account } => {
                    log.say(format!("{account} clear"));
                    Ok(Written::Done)
                }
                Write::Note { account, .. } if account.as_str() == "slow" => {
                    sleep(Duration::from_secs(1)).await;
                    log.say(format!("{account} note"));
                    Ok(Written::Done)
                }
                Write::Note { .. }
                | Write::Salvage { .. }
                | Write::Settle { .. }
                | Write::Stage { .. }
                | Write::Unstage { .. }
                | Write::Orphan { .. } => Ok(Written::Done),
            }
        }
    }

    fn secrets(
        &self,
        account: &AccountId,
        _: &Arc<dyn Provider>,
        _: Stake,
    ) -> impl Future<Output = Result<Vec<(&'static str, Secret)>, RefreshError>> + Send + 'static
    {
        let (log, account) = (self.log.clone(), account.clone());
        async move {
            if account.as_str() == "secretive" {
                log.say(format!("{account} secrets"));
                sleep(Duration::from_secs(10)).await;
            }
            Ok(Vec::new())
        }
    }

    fn gate(&self, call: Call) -> impl Future<Output = Result<(), RefreshError>> + Send + 'static {
        let log = self.log.clone();
        async move {
            log.say(format!("{} {}", call.account(), call.hook.name));
            sleep(Duration::from_secs(1)).await;
            let (hook, why) = (call.hook.name.to_string(), "exit status: 1".to_owned());
            if hook == "shut" { Err(RefreshError::HookFailed { hook, why }) } else { Ok(()) }
        }
    }

    fn revoke(
        &self,
        _: &Arc<dyn Provider>,
        spend: Spend,
        _: Duration,
    ) -> impl Future<Output = Revocation> + Send + 'static {
        let log = self.log.clone();
        async move {
            let account = spend.refresh_token.unwrap().expose().to_owned();
            log.say(format!("{account} revoke"));
            sleep(Duration::from_secs(2)).await;
            Revocation::Ended
        }
    }

    fn exchange(
        &self,
        _: &Arc<dyn Provider>,
        _: Stake,
        spend: Spend,
        _: Duration,
    ) -> impl Future<Output = Ended> + Send + 'static {
        let log = self.log.clone();
        async move {
            let account = spend.refresh_token.unwrap().expose().to_owned();
            let place = if spend.learned.is_some() { " where it learned to" } else { "" };
            log.say(format!("{account} exchange{place}"));
            sleep(Duration::from_secs(2)).await;
            assert_ne!(account, "bomb", "an exchange that goes wrong");
            let error = match account.as_str() {
                "refused" => {
                    Some(RefreshError::GrantRejected(OauthError::new("invalid_grant", None)))
                }
                "cut-off" => Some(RefreshError::Unreachable("no route".to_owned())),
                _ => None,
            };
            if let Some(error) = error {
                return Ended { outcome: Outcome::Failed(error), learned: None, entry: None };
            }
            let grant = Grant {
                tokens: tokens(),
                refresh_token: Some(Secret::new("r2")),
                lifetime: Duration::from_secs(3600),
                refresh_lifetime: None,
                aws: None,
                subject: None,
            };
            let endpoint = "https://login.example/token".parse().unwrap();
            let learned = (account == "discovers").then_some(endpoint);
            Ended { outcome: Outcome::Granted(Box::new(grant)), learned, entry: None }
        }
    }
}

pub(super) fn tokens() -> Arc<TokenSet> {
    Arc::new(TokenSet {
        access: Secret::new("a"),
        id: None,
        token_type: "Bearer".into(),
        scope: None,
    })
}
