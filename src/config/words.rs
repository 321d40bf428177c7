//! What a plan means, in words, for `tokenkeeperd --check`.

use std::time::Duration;

use super::Account;
use crate::plan::Plan;
use crate::plan::Rotation;
use crate::schedule;
use crate::schedule::Spread;
use crate::time::Jitter;
use crate::time::spoken;

/// The lifetime that the words are about: the configuration does not know the provider's.
const EXAMPLE: Duration = Duration::from_secs(3_600);

/// An account's plan in one line, for tokens that live an hour.
pub fn plan_in_words(account: &Account) -> String {
    let plan = &account.plan;
    format!(
        "refreshes {} before the expiry of a token that lives {}; {}; {}",
        margin(plan),
        spoken(EXAMPLE),
        rotation(plan),
        alarm(plan),
    )
}

/// `12 to 21 min`: between the latest and the earliest moment of a refresh.
fn margin(plan: &Plan) -> String {
    let left = |share| {
        let spread = Spread::fixed(Jitter::new(share));
        EXAMPLE.saturating_sub(schedule::refresh_after(EXAMPLE, plan.refresh_before, spread))
    };
    let (shortest, longest) = (left(0.0), left(1.0));
    let minutes = |span: Duration| span.as_secs() / 60;
    if minutes(shortest) < 2 {
        format!("{} to {} s", shortest.as_secs(), longest.as_secs())
    } else if minutes(shortest) == minutes(longest) {
        format!("{} min", minutes(shortest))
    } else {
        format!("{} to {} min", minutes(shortest), minutes(longest))
    }
}

fn rotation(plan: &Plan) -> String {
    if !plan.has_refresh_token {
        return "there is no refresh token to lose".to_owned();
    }
    match plan.rotation {
        Rotation::Unknown => format!(
            "a lost reply is asked for again within {}, because the provider may rotate",
            spoken(Rotation::ASSUMED_GRACE)
        ),
        Rotation::Never => "a lost reply costs nothing".to_owned(),
        Rotation::Grace(span) => format!("a lost reply is asked for again within {}", spoken(span)),
        Rotation::Strict => {
            "after a lost reply the refresh token rests until the token is nearly spent".to_owned()
        }
    }
}

fn alarm(plan: &Plan) -> String {
    format!("a failure that lasts into the last {} is an alarm", spoken(plan.alarm_before))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::Defaults;
    use crate::config::File;
    use crate::section::Mode;

    use super::plan_in_words;

    #[test]
    fn a_plan_is_told_as_it_will_happen() {
        #[rustfmt::skip]
        let cases = [
            ("",
             "refreshes 12 to 21 min before the expiry of a token that lives 1 h; a lost reply is \
              asked for again within 10 s, because the provider may rotate; a failure that lasts \
              into the last 10 min is an alarm"),
            ("refresh_before = '5m'\nrotation = '30s'\nalarm_before = '2m'",
             "refreshes 5 to 6 min before the expiry of a token that lives 1 h; a lost reply is \
              asked for again within 30 s; a failure that lasts into the last 2 min is an alarm"),
            ("refresh_before = '25%'\nrotation = 'none'",
             "refreshes 15 to 18 min before the expiry of a token that lives 1 h; a lost reply \
              costs nothing; a failure that lasts into the last 10 min is an alarm"),
            ("refresh_before = '30s'\nrotation = 'strict'",
             "refreshes 35 to 41 s before the expiry of a token that lives 1 h; after a lost reply \
              the refresh token rests until the token is nearly spent; a failure that lasts into \
              the last 10 min is an alarm"),
            ("grant = 'client_credentials'",
             "refreshes 12 to 21 min before the expiry of a token that lives 1 h; there is no \
              refresh token to lose; a failure that lasts into the last 10 min is an alarm"),
        ];
        for (keys, words) in cases {
            let text =
                format!("[accounts.a]\nissuer = 'https://idp.example'\nclient_id = 'x'\n{keys}");
            let file = File { name: "config.toml".into(), text };
            let config = Config::parse(&[file], Mode::System, Defaults::system()).ok().unwrap();
            assert_eq!(plan_in_words(&config.accounts["a"]), words, "{keys}");
        }
    }
}
