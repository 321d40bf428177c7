//! Lives of 400 days with the services that the daemon was made for: each one's rules, its real
//! codec and the replies that it gives.
//!
//! Reading order: the lives, here; `keeper` plays the daemon around one account, `service` the
//! three services, and `store` what is on disk.
//!
//! What holds in every life, as long as the service is healthy: there is a valid token at every
//! moment, and AWS credentials where they are kept; no failure is told but those that the life is
//! about; and the budgets are kept, ten requests and five logins in any minute.

mod keeper;
mod service;
mod store;

use self::keeper::Keeper;
use self::service::KasaMonitor;
use self::service::Navien;
use self::service::Quilt;

const DAY: u64 = 86_400;

const KASA_MONITOR: &str = "provider = 'kasa-monitor'\nbase_url = 'http://127.0.0.1:5272'\n\
                            username = 'pat'\ntotp = true\non_refresh_failure = 'sign-in'\n";

/// How long a life is.
const LIFE: u64 = 400 * DAY;

/// Quilt: refresh tokens of 30 days which no refresh prolongs, and a person who logs in when the
/// last day is announced.
#[test]
fn quilt_is_kept_by_refreshes_and_by_a_person_who_heeds_the_last_notice() {
    let keys = "provider = 'quilt'\nemail = 'pat@example.test'\nrefresh_token_lifetime = '30d'\n";
    let mut life = Keeper::new(keys, Quilt::default());
    let mut logins = 0;
    while life.secs() < LIFE {
        let refresh_token = life.service.person_logs_in(life.secs());
        life.import(&refresh_token);
        logins += 1;
        let before = life.told.len();
        life.live_until(|life| life.secs() >= LIFE || life.told.len() == before + 4);
        if life.secs() < LIFE {
            let rungs = life.told[before..].iter().map(|notice| notice.within.as_secs() / DAY);
            assert_eq!(rungs.collect::<Vec<_>>(), [14, 7, 3, 1], "each rung once, in its order");
            // A person takes some hours.
            life.live_for(5 * 3600);
        }
    }
    assert_eq!(logins, 14, "one in 29 days and some hours");
    life.is_well();
    assert!(life.refreshes() >= LIFE / 3600, "{}", life.refreshes());
}

/// Navien without AWS credentials: the reply to a refresh has a new refresh token, or an empty one.
#[test]
fn navien_lives_on_refreshes_alone_although_they_leave_things_out() {
    let keys = "provider = 'navien'\nemail = 'pat@example.test'\n";
    let mut life = Keeper::new(keys, Navien::with_aws_of(3600));
    life.live_for(LIFE);
    life.is_well();
    assert_eq!(life.logins.len(), 1, "the first one");
    assert_eq!(life.told.len(), 0);
    assert!(life.refreshes() >= LIFE / 3600, "{}", life.refreshes());
}

/// Navien with AWS credentials, as long as the tokens, and longer.
#[test]
fn naviens_aws_credentials_are_renewed_by_logins_and_its_tokens_by_whichever_comes_first() {
    for (hours_of_aws, most_refreshes) in [(1, 0), (12, LIFE)] {
        let keys = "provider = 'navien'\nemail = 'pat@example.test'\naws_credentials = true\n";
        let service = Navien::with_aws_of(hours_of_aws * 3600);
        let mut life = Keeper::new(keys, service);
        life.live_for(LIFE);
        life.is_well();
        let logins = life.logins.len() as u64;
        let span = hours_of_aws * 3600;
        let (least, most) = (LIFE / span, LIFE / (span / 2));
        assert!((least..=most).contains(&logins), "{logins} logins");
        assert!(life.refreshes() <= most_refreshes, "{} refreshes", life.refreshes());
    }
}

/// A Kasa Monitor in development replaces its signing key every 90 days, and all tokens die at once.
#[test]
fn kasa_monitor_outlives_its_signing_keys_by_one_login_each() {
    let mut life = Keeper::new(KASA_MONITOR, KasaMonitor::default());
    life.expected_failures = 4;
    life.live_for(LIFE);
    life.is_well();
    assert_eq!(life.logins.len(), 5, "the first one, and one for each of four keys");
    assert_eq!(life.told.len(), 0, "each refresh renews the login for seven days");
    assert!(life.refreshes() >= LIFE / 1800, "{}", life.refreshes());
}

/// A hundred days on each of which the host loses its network for minutes and the daemon is
/// restarted, in the middle of that.
#[test]
fn restarts_and_short_outages_cost_no_token() {
    let navien = "provider = 'navien'\nemail = 'pat@example.test'\naws_credentials = true\n";
    let mut boiler = Keeper::new(navien, Navien::with_aws_of(12 * 3600));
    let mut plugs = Keeper::new(KASA_MONITOR, KasaMonitor::default());
    for day in 0..100 {
        boiler.live_for(DAY);
        plugs.live_for(DAY);
        boiler.outage_of_secs(3 * day);
        plugs.outage_of_secs(3 * day % 240);
        boiler.restart();
        plugs.restart();
    }
    for told in [&boiler.told, &plugs.told] {
        assert_eq!(told.len(), 0);
    }
    assert_eq!(boiler.trouble(), None);
    assert_eq!(plugs.trouble(), None);
}
