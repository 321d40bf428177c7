//! What is said of the store key: where it lies, and what to lose it means.

use std::path::Path;

use serde::Serialize;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::error::foreign::typed;
use tokenkeeper::section::Mode;
use tokenkeeper::store::key::Keys;
use tokenkeeper::store::reseal::Tally;

use super::binding::Binding;
use super::credstore;
use super::keeping::Init;
use super::keeping::Rekey;

/// What became of the store key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It was made, and there is no store yet.
    Made,
    /// The store passed from its key file to the credential.
    Moved,
    /// A key file that opens nothing was removed.
    Cleared,
    /// It was there already.
    Done,
    /// It was changed.
    Rekeyed,
    /// A change that was interrupted is complete.
    Finished,
    /// What a real run would do.
    Planned,
}

/// What is told of it.
#[derive(Serialize)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    /// Id of the key, which is no secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<String>,
    /// Where it lies, fit for a terminal.
    pub(crate) place: String,
    /// What it is sealed to, if that is a credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sealed_to: Option<Binding>,
    /// Sealed values of the store, if they were sealed anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tally: Option<Tally>,
    /// Where the recovery copy is, if one was made, fit for a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) recovery_copy: Option<String>,
    /// What a real run would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<&'static str>,
}

impl Told {
    /// Of the newest of `keys`, which lie at `place`.
    pub(crate) fn of(outcome: Outcome, keys: &Keys, place: &str) -> Self {
        Self { outcome, key_id: Some(keys.newest().id()), ..Self::nothing(place) }
    }

    fn planned(plan: &'static str, place: &str) -> Self {
        Self { plan: Some(plan), ..Self::nothing(place) }
    }

    fn nothing(place: &str) -> Self {
        Self {
            outcome: Outcome::Planned,
            key_id: None,
            place: shown(place).into_owned(),
            sealed_to: None,
            tally: None,
            recovery_copy: None,
            plan: None,
        }
    }
}

/// What `init` would do.
pub(crate) fn foretold_init(init: &Init) -> Told {
    let plan = match init {
        Init::Make => "a new key would be made and sealed to this machine; there is no store yet",
        Init::Move { .. } => {
            "a new key would be made and sealed to this machine, the store would be sealed anew \
             with it, and its key file would be removed"
        }
        Init::Finish { .. } => {
            "an init was interrupted: the store would be sealed anew with the key that is there, \
             and its key file would be removed"
        }
        Init::Clear(_) => "a key file that opens nothing any more would be removed",
        Init::Done(_) => "nothing would be done: the key is there",
    };
    Told::planned(plan, credstore::PATH)
}

/// What `rekey` would do.
pub(crate) fn foretold_rekey(rekey: &Rekey, place: &str) -> Told {
    let plan = match rekey {
        Rekey::Begin { .. } => {
            "a new key would be made, and the store would be sealed anew with it"
        }
        Rekey::Resume { .. } => {
            "a rekey was interrupted: the store would be sealed anew with the key that it made"
        }
        Rekey::Finish => "a rekey was interrupted: the old key would be forgotten",
    };
    Told::planned(plan, place)
}

/// Whose store it is, as commands that people are told to type say it again.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    /// Whose daemon.
    pub(crate) mode: Mode,
    /// The configuration that was named.
    pub(crate) config: Option<&'a Path>,
}

impl Whose<'_> {
    fn tokenctl(self, verb: &str) -> String {
        let user = match self.mode {
            Mode::System => "",
            Mode::User => "--user ",
        };
        let config = self.config.map(|file| typed(&file.to_string_lossy()));
        let config = config.map(|file| format!(" --config {file}")).unwrap_or_default();
        format!("tokenctl {user}{verb}{config}")
    }

    /// How to start it. What starts one with a configuration of its own is not known here.
    const fn start(self) -> &'static str {
        match (self.config, self.mode) {
            (None, Mode::System) => ": systemctl start tokenkeeper",
            (None, Mode::User) => ": systemctl --user start tokenkeeper",
            (Some(_), _) => ".",
        }
    }
}

/// The page for a person who keeps that daemon.
pub(crate) fn page(told: &Told, whose: Whose<'_>) -> String {
    let place = &told.place;
    if let Some(plan) = told.plan {
        return format!("{place}: {plan}.\n");
    }
    let key = told.key_id.as_deref().unwrap_or_default();
    let sealed = told.sealed_to.map(|to| format!(", sealed to {to}")).unwrap_or_default();
    let mut page = match told.outcome {
        Outcome::Done => format!("All is done: store key {key} lies in {place}{sealed}.\n"),
        Outcome::Finished => format!(
            "An interrupted rekey is finished: store key {key} lies in {place}{sealed}, and the \
             old key is forgotten.\n"
        ),
        Outcome::Made | Outcome::Moved | Outcome::Cleared | Outcome::Rekeyed | Outcome::Planned => {
            format!("Store key {key} lies in {place}{sealed}.\n")
        }
    };
    if let Some(Tally { sound, broken }) = told.tally {
        page.push_str(&format!("{} opened with it.\n", counted(sound, "sealed value")));
        if broken > 0 {
            let values = counted(broken, "damaged value");
            page.push_str(&format!("{values} did not open before and stayed as they were.\n"));
        }
    }
    page.push_str(match told.outcome {
        Outcome::Moved => "The key file is removed. ",
        Outcome::Cleared => "A key file that opened nothing any more is removed.\n",
        Outcome::Made => "The daemon seals its store with it when it first starts.\n",
        Outcome::Rekeyed | Outcome::Finished => {
            "Recovery copies of earlier keys open nothing of it any more. "
        }
        Outcome::Done | Outcome::Planned => "",
    });
    if matches!(told.outcome, Outcome::Moved | Outcome::Rekeyed | Outcome::Finished) {
        page.push_str(&format!("Start the daemon{}\n", whose.start()));
    }
    page.push_str(&loss(told, whose));
    page
}

/// What programs read: one line.
pub(crate) fn json(told: &Told) -> String {
    // A struct of strings and numbers always has a JSON form.
    serde_json::to_string(told).map(|text| text + "\n").unwrap_or_default()
}

/// What to lose the key means, and the way back.
fn loss(told: &Told, whose: Whose<'_>) -> String {
    let place = &told.place;
    let mut text = String::from(
        "\nNothing else opens the store: without this key every account is to be logged in anew.\n",
    );
    text.push_str(match told.sealed_to {
        None => "",
        Some(Binding::Host) => {
            "It is lost with /var/lib/systemd/credential.secret, and whoever has this disk has \
             both. No TPM\ntook part: tokenkeeperd(8), \"The store key\", says what that takes.\n"
        }
        Some(Binding::Tpm) => {
            "It is lost with the TPM, when the TPM is cleared or the disk moves to another machine, \
             and may be\nwhen Secure Boot is turned on or off or its keys change.\n"
        }
        Some(Binding::Both) => {
            "It is lost with the TPM, with /var/lib/systemd/credential.secret, when the TPM is \
             cleared or the\ndisk moves to another machine, and may be when Secure Boot is turned \
             on or off or its keys change.\n"
        }
        Some(Binding::Unknown) => "It is lost when the disk moves to another machine.\n",
    });
    let Some(copy) = &told.recovery_copy else {
        let verb = if told.sealed_to.is_some() { "init" } else { "rekey" };
        let order = whose.tokenctl(verb);
        text.push_str(&format!(
            "No recovery copy was made. To make one, for a key of age that is kept elsewhere:\n  \
             {order} --recovery-recipient age1…\n"
        ));
        return text;
    };
    text.push_str(&format!(
        "The recovery copy is {copy}. Keep it off this machine, and its identity too. The way back:\n"
    ));
    text.push_str(&if told.sealed_to.is_some() {
        format!(
            "  age --decrypt --identity KEY {copy} |\n    systemd-creds encrypt \
             --name=tokenkeeper.store-key - {place}\n"
        )
    } else {
        format!("  age --decrypt --identity KEY {copy} >{place}\n")
    });
    text
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use tokenkeeper::store::key::StoreKey;

    use super::*;

    #[test]
    fn who_made_a_recovery_copy_is_told_the_way_back_and_who_made_none_how_to_make_one() {
        let keys = Keys::one(StoreKey::draw());
        let bare = sealed(Outcome::Done, &keys, Binding::Both);
        assert!(
            page(&bare, SYSTEM)
                .starts_with(&format!("All is done: store key {}", keys.newest().id()))
        );
        assert!(page(&bare, SYSTEM).contains("tokenctl init --recovery-recipient age1"));
        let copied = Told { recovery_copy: Some("key.age".into()), ..bare };
        let text = page(&copied, SYSTEM);
        assert!(text.contains("age --decrypt --identity KEY key.age |\n"), "{text}");
        assert!(
            text.contains("--name=tokenkeeper.store-key - /etc/credstore.encrypted/"),
            "{text}"
        );
        assert!(!text.contains("No recovery copy"), "{text}");

        let file = Told::of(Outcome::Rekeyed, &keys, "/srv/store.key");
        let said = page(&file, SYSTEM);
        assert!(said.contains("tokenctl rekey --recovery-recipient age1"), "{said}");
        assert!(!said.contains("TPM"), "{said}");
        let said = page(&file, Whose { mode: Mode::User, ..SYSTEM });
        assert!(said.contains("tokenctl --user rekey --recovery-recipient age1"), "{said}");
        let another = Whose { config: Some(Path::new("/srv/my config.toml")), ..SYSTEM };
        assert!(said.contains("Start the daemon: systemctl --user start tokenkeeper\n"), "{said}");
        let said = page(&file, another);
        assert!(said.contains("Start the daemon.\n"), "{said}");
        let order = "tokenctl rekey --config '/srv/my config.toml' --recovery-recipient age1";
        assert!(said.contains(order), "{said}");
        let copied = Told { recovery_copy: Some("key.age".into()), ..file };
        assert!(page(&copied, SYSTEM).contains("KEY key.age >/srv/store.key"));
    }

    #[test]
    fn no_key_is_ever_printed_and_values_that_did_not_open_are_counted() {
        let key = StoreKey::draw();
        let keys = Keys::one(key);
        let tally = Some(Tally { sound: 3, broken: 1 });
        let told = Told { tally, ..sealed(Outcome::Moved, &keys, Binding::Both) };
        let text = page(&told, SYSTEM) + &json(&told);
        assert!(!text.contains(keys.text().expose().trim_end()), "{text}");
        assert!(text.contains("3 sealed values opened with it."), "{text}");
        assert!(text.contains("1 damaged value did not open before"), "{text}");
        assert!(text.contains(r#""tally":{"sound":3,"broken":1}"#), "{text}");
    }

    #[test]
    fn what_the_key_is_sealed_to_decides_what_loses_it() {
        let keys = Keys::one(StoreKey::draw());
        let said = |binding| page(&sealed(Outcome::Made, &keys, binding), SYSTEM);
        assert!(said(Binding::Both).contains("sealed to the TPM of this machine.\n"));
        assert!(said(Binding::Tpm).contains("It is lost with the TPM, when the TPM is cleared"));
        let host = said(Binding::Host);
        assert!(host.contains("sealed to this machine without a TPM.\n"), "{host}");
        assert!(!host.contains("lost with the TPM"), "{host}");
        let told = json(&sealed(Outcome::Made, &keys, Binding::Both));
        assert!(told.contains(r#""sealed_to":"host+tpm2""#), "{told}");
    }

    #[test]
    fn a_plan_says_nothing_of_keys() {
        let text = page(&foretold_init(&Init::Make), SYSTEM);
        assert!(text.starts_with("/etc/credstore.encrypted/tokenkeeper.store-key: a new key"));
        assert!(!text.contains("Nothing else opens"), "{text}");
    }

    fn sealed(outcome: Outcome, keys: &Keys, binding: Binding) -> Told {
        Told { sealed_to: Some(binding), ..Told::of(outcome, keys, credstore::PATH) }
    }
    /// The host's daemon, with its usual configuration.
    const SYSTEM: Whose<'_> = Whose { mode: Mode::System, config: None };
}
