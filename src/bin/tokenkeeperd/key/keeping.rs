//! What `init` and `rekey` have to do, decided: a pure function of what was found.
//!
//! A store has one key, which it names by its id. Two places may hold keys: the key file beside
//! it and the sealed credential. A run may end at any point, so everything that such a run leaves
//! behind is a case here, and the next run goes on from it.

use tokenkeeper::section::Mode;
use tokenkeeper::store::custody::Custody;
use tokenkeeper::store::key::Keys;
use tokenkeeper::store::key::StoreKey;
use tokenkeeper::store::refusal::OpenError;

use super::credstore;
use super::kept::manager;

/// How the store was found.
pub(crate) enum Standing {
    /// A daemon has it.
    InUse {
        /// Who, as far as is known.
        pid: Option<u32>,
        /// Whether a key file lies beside it.
        key_file: bool,
    },
    /// Nobody has it.
    Idle {
        /// Id of the key that opens it; `None` if there is no database.
        key_id: Option<String>,
        /// What the key file holds.
        file: Option<Keys>,
    },
}

impl Standing {
    /// Of a store that is in our hands, or of none.
    ///
    /// # Errors
    ///
    /// If the key file is none.
    pub(crate) fn of(custody: Option<&Custody>) -> Result<Self, OpenError> {
        let Some(custody) = custody else { return Ok(Self::Idle { key_id: None, file: None }) };
        Ok(Self::Idle { key_id: custody.key_id().map(str::to_owned), file: custody.key_file()? })
    }
}

/// What `init` has to do.
pub(crate) enum Init {
    /// Make a key and its credential. There is no store yet, and so a key file is of no use.
    Make,
    /// Make a key and its credential, and have the store pass to it from the one of its file.
    Move {
        /// The key of the store.
        from: StoreKey,
    },
    /// Have the store pass to the key of the credential, which an interrupted run has made.
    Finish {
        /// The key of the store.
        from: StoreKey,
        /// What the credential holds.
        keys: Keys,
    },
    /// Remove the key file, which opens nothing any more: the credential holds these.
    Clear(Keys),
    /// Nothing: the credential holds these.
    Done(Keys),
}

/// What `rekey` has to do in the place that holds the store's key.
pub(crate) enum Rekey {
    /// Make a key, and have the store pass to it.
    Begin {
        /// The key of the store.
        from: StoreKey,
    },
    /// Have the store pass to the key that an interrupted run has made.
    Resume {
        /// The key of the store.
        from: StoreKey,
        /// The newer one.
        to: StoreKey,
    },
    /// Forget the old key: an interrupted run has come that far.
    Finish,
}

/// Why nothing is done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// A daemon has the store.
    #[error(
        "the store is in use by {}, and its key cannot change meanwhile. Type: systemctl stop \
         'tokenkeeper*.socket' tokenkeeper; then this again; then: systemctl start tokenkeeper",
        .0.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse(Option<u32>),
    /// The store's key is not where keys are looked for.
    #[error(
        "the store was sealed with store key {wanted}, and neither {} nor a key file beside it \
         holds that one; put it back from its backup or its recovery copy (tokenkeeperd(8), \
         \"The store key\")",
        credstore::PATH
    )]
    Elsewhere {
        /// Id of the key.
        wanted: String,
    },
    /// The service manager keeps what only the store's present key opens.
    #[error(
        "the service manager keeps refresh tokens that the disk did not take (of {}), and they \
         would be lost with the present key. Type: systemctl {manager} start tokenkeeper; and this \
         again when \"tokenctl status\" says of no account that it is not on disk yet. To lose them: \
         systemctl {manager} clean --what=fdstore tokenkeeper",
        listed(accounts)
    )]
    Unsaved {
        /// The accounts of which something may be kept. Not empty.
        accounts: Vec<String>,
        /// The option of systemctl for that service manager.
        manager: &'static str,
    },
    /// There is nothing to seal anew.
    #[error("there is no store yet: the daemon makes it, with a new key, when it first starts")]
    NoStore,
}

/// Accounts that a message names at the most.
const NAMED: usize = 5;

fn listed(accounts: &[String]) -> String {
    let named = accounts.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match accounts.len().checked_sub(NAMED) {
        None | Some(0) => named,
        Some(more) => format!("{named} and {more} more"),
    }
}

impl Init {
    /// Whether the store passes from one key to another.
    pub(crate) const fn passes(&self) -> bool {
        match self {
            Self::Move { .. } | Self::Finish { .. } => true,
            Self::Make | Self::Clear(_) | Self::Done(_) => false,
        }
    }
}

impl Rekey {
    /// Whether the store passes from one key to another.
    pub(crate) const fn passes(&self) -> bool {
        match self {
            Self::Begin { .. } | Self::Resume { .. } => true,
            Self::Finish => false,
        }
    }
}

/// Decides whether a store may pass to another key, of which an exchange of the accounts
/// `under_way` has no end on disk, where the service manager keeps that many files.
///
/// # Errors
///
/// [`Refusal::Unsaved`].
pub(crate) fn may_pass(under_way: Vec<String>, kept: u64, mode: Mode) -> Result<(), Refusal> {
    if under_way.is_empty() || kept == 0 {
        return Ok(());
    }
    Err(Refusal::Unsaved { accounts: under_way, manager: manager(mode) })
}

/// Decides for `init`, with what the credential holds.
///
/// # Errors
///
/// Any [`Refusal`].
pub(crate) fn init(standing: Standing, credential: Option<Keys>) -> Result<Init, Refusal> {
    let (key_id, file) = match (standing, &credential) {
        // What has the store open is none of ours to prove; without a key file it can only be
        // the credential.
        (Standing::InUse { key_file: false, .. }, Some(keys)) => {
            return Ok(Init::Done(keys.clone()));
        }
        (Standing::InUse { pid, .. }, _) => return Err(Refusal::InUse(pid)),
        (Standing::Idle { key_id, file }, _) => (key_id, file),
    };
    let Some(wanted) = key_id else {
        return Ok(match credential {
            Some(keys) => at_rest(keys, file.as_ref()),
            None => Init::Make,
        });
    };
    match credential {
        Some(keys) if keys.get(&wanted).is_some() => Ok(at_rest(keys, file.as_ref())),
        credential => {
            let from = file.and_then(|keys| keys.get(&wanted).cloned());
            let from = from.ok_or(Refusal::Elsewhere { wanted })?;
            Ok(match credential {
                Some(keys) => Init::Finish { from, keys },
                None => Init::Move { from },
            })
        }
    }
}

/// What is left to do where the credential holds the key of the store, or is there before it.
fn at_rest(keys: Keys, file: Option<&Keys>) -> Init {
    if file.is_some() { Init::Clear(keys) } else { Init::Done(keys) }
}

/// Decides for `rekey` of a store whose key has that id, in a place that holds `keys`. `None` if
/// the key is not there.
pub(crate) fn rekey(wanted: &str, keys: &Keys) -> Option<Rekey> {
    let from = keys.get(wanted)?.clone();
    Some(match keys.before() {
        None => Rekey::Begin { from },
        Some(before) if before.id() == wanted => Rekey::Resume { from, to: keys.newest().clone() },
        Some(_) => Rekey::Finish,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_goes_on_from_wherever_an_earlier_run_ended() {
        let [ours, new, other] = [(); 3].map(|()| StoreKey::draw());
        let one = |key: &StoreKey| Some(Keys::one(key.clone()));
        let both = |to: &StoreKey, from: &StoreKey| Some(Keys::passing(to.clone(), from.clone()));
        #[rustfmt::skip]
        let cases = [
            // name                               store        key file          credential        what is done
            ("nothing is there",                  None,        None,             None,             "make"),
            ("a first start was cut short",       None,        one(&ours),       None,             "make"),
            ("a credential and no store",         None,        None,             one(&new),        "done"),
            ("a credential, a start cut short",   None,        one(&ours),       one(&new),        "clear"),
            ("a key file",                        Some(&ours), one(&ours),       None,             "move ours"),
            ("a rekey of the file cut short",     Some(&ours), both(&new, &ours), None,            "move ours"),
            ("cut short before the store passed", Some(&ours), one(&ours),       one(&new),        "finish ours new"),
            ("cut short after it",                Some(&new),  one(&ours),       one(&new),        "clear"),
            ("all is done",                       Some(&new),  None,             one(&new),        "done"),
            ("a rekey of it cut short",           Some(&ours), None,             both(&new, &ours), "done"),
            ("a key of another store",            Some(&ours), None,             one(&other),      "elsewhere ours"),
            ("another file",                      Some(&ours), one(&other),      None,             "elsewhere ours"),
            ("the key is gone",                   Some(&ours), None,             None,             "elsewhere ours"),
        ];
        for (name, store, file, credential, expected) in cases {
            let standing = Standing::Idle { key_id: store.map(StoreKey::id), file };
            let mut told = match init(standing, credential) {
                Ok(Init::Make) => "make".to_owned(),
                Ok(Init::Move { from }) => format!("move {}", from.id()),
                Ok(Init::Finish { from, keys }) => {
                    format!("finish {} {}", from.id(), keys.newest().id())
                }
                Ok(Init::Clear(_)) => "clear".to_owned(),
                Ok(Init::Done(_)) => "done".to_owned(),
                Err(Refusal::Elsewhere { wanted }) => format!("elsewhere {wanted}"),
                Err(refusal) => refusal.to_string(),
            };
            for (key, name) in [(&ours, "ours"), (&new, "new"), (&other, "other")] {
                told = told.replace(&key.id(), name);
            }
            assert_eq!(told, expected, "{name}");
        }
    }

    #[test]
    fn init_of_a_store_in_use_is_done_or_refused_with_what_to_type() {
        let keys = Keys::one(StoreKey::draw());
        let in_use = |key_file| Standing::InUse { pid: Some(7), key_file };
        assert!(matches!(init(in_use(false), Some(keys.clone())), Ok(Init::Done(_))));
        for (key_file, credential) in [(true, Some(keys)), (true, None), (false, None)] {
            let refused = init(in_use(key_file), credential).map(drop).unwrap_err().to_string();
            assert!(refused.contains("process 7"), "{refused}");
            let stop = "systemctl stop 'tokenkeeper*.socket' tokenkeeper;";
            assert!(refused.contains(stop), "{refused}");
        }
    }

    #[test]
    fn a_key_stays_while_the_service_manager_keeps_what_it_sealed() {
        let accounts = |count: usize| (1..=count).map(|it| format!("a{it}")).collect::<Vec<_>>();
        #[rustfmt::skip]
        let cases = [
            // under way  kept  whose         accounts that are named
            (0,           1,    Mode::System, None),
            (1,           0,    Mode::System, None),
            (1,           1,    Mode::System, Some("(of a1)")),
            (5,           2,    Mode::User,   Some("(of a1, a2, a3, a4, a5)")),
            (7,           1,    Mode::System, Some("(of a1, a2, a3, a4, a5 and 2 more)")),
        ];
        for (under_way, kept, mode, named) in cases {
            let refused = may_pass(accounts(under_way), kept, mode).err();
            let told = refused.map(|refused| refused.to_string());
            assert_eq!(told.is_some(), named.is_some(), "{under_way} {kept}");
            if let (Some(told), Some(named)) = (told, named) {
                assert!(told.contains(named), "{told}");
                assert_eq!(told.contains("systemctl --user start"), mode == Mode::User, "{told}");
            }
        }
        let passing = [Init::Make.passes(), Rekey::Finish.passes()];
        assert_eq!(passing, [false; 2]);
        let from = StoreKey::draw;
        assert!(Init::Move { from: from() }.passes() && Rekey::Begin { from: from() }.passes());
    }

    #[test]
    fn rekey_goes_on_from_wherever_an_earlier_run_ended() {
        let [old, new, other] = [(); 3].map(|()| StoreKey::draw());
        let both = Keys::passing(new.clone(), old.clone());
        let begun = rekey(&old.id(), &Keys::one(old.clone())).unwrap();
        assert!(matches!(begun, Rekey::Begin { from } if from.id() == old.id()));
        let resumed = rekey(&old.id(), &both).unwrap();
        let is_resumed = matches!(resumed, Rekey::Resume { from, to } if from.id() == old.id() && to.id() == new.id());
        assert!(is_resumed);
        assert!(matches!(rekey(&new.id(), &both), Some(Rekey::Finish)));
        assert!(rekey(&other.id(), &both).is_none());
    }
}
