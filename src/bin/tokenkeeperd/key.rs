//! `--init` and `--rekey`: the store key, in the hands of whoever keeps the host. No daemon runs
//! meanwhile. People type `tokenctl init` and `tokenctl rekey`, which become this.
//!
//! Reading order: `args` (what can be wanted), `keeping` (what is to be done, decided), this file
//! (does it), `store` (to what), `kept` (what forbids it), `credstore` (the key as a sealed
//! credential), `binding` (to which machine), `program` (of systemd), `owner` (root, acting as the
//! store's owner), `page` and `error` (what is said).
//!
//! # Order
//!
//! What is decided in [`keeping`] is done in an order that a kill may cut anywhere:
//! the recovery copy, then the new key into its place, the old one not gone from there or from
//! its own place, then the store, and the old key's end last. The store opens at every step, and
//! the next run ends what this one did not.

pub(crate) mod args;
mod binding;
mod credstore;
pub(crate) mod error;
mod keeping;
mod kept;
mod owner;
mod page;
mod program;
mod store;

use std::path::Path;

use tokenkeeper::daemon::Options;
use tokenkeeper::envelope;
use tokenkeeper::envelope::Recipient;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::limits;
use tokenkeeper::regular;
use tokenkeeper::section::Mode;
use tokenkeeper::store::key::Keys;
use tokenkeeper::store::key::StoreKey;

use self::args::KeyArgs;
use self::args::Work;
use self::error::KeyError;
use self::keeping::Init;
use self::keeping::Refusal;
use self::keeping::Rekey;
use self::keeping::Standing;
use self::page::Outcome;
use self::page::Told;
use self::page::Whose;
use self::store::Safe;
use self::store::Store;

/// Works on the key of the store that a daemon of those options has, and says what was done.
///
/// # Errors
///
/// Any [`KeyError`]. However far it came, the store opens.
pub(crate) fn run(work: Work, options: &Options, args: &KeyArgs) -> Result<String, KeyError> {
    let told = match work {
        Work::Init => init(options, args)?,
        Work::Rekey => rekey(options, args)?,
    };
    let is_sealed = told.plan.is_none() && told.place == credstore::PATH;
    let told = Told { sealed_to: is_sealed.then(credstore::binding), ..told };
    let whose = Whose { mode: mode_of(options), config: options.config.as_deref() };
    Ok(if args.json { page::json(&told) } else { page::page(&told, whose) })
}

const fn mode_of(options: &Options) -> Mode {
    if options.user { Mode::User } else { Mode::System }
}

/// Seals the store key to this machine.
fn init(options: &Options, args: &KeyArgs) -> Result<Told, KeyError> {
    if options.user {
        return Err(KeyError::OfSession);
    }
    if !rustix::process::geteuid().is_root() {
        return Err(KeyError::NotRoot("make"));
    }
    let copy = Copy::wanted(args)?;
    let mut store = Store::find(options)?;
    credstore::available()?;
    let credential = credstore::read()?;
    let init = keeping::init(store.take()?, credential)?;
    if init.passes() {
        store.may_pass(Mode::System)?;
    }
    if args.dry_run {
        return Ok(page::foretold_init(&init));
    }
    Ok(copy.named_in(carry_out(init, &mut store, &copy)?))
}

fn carry_out(init: Init, store: &mut Store, copy: &Copy<'_>) -> Result<Told, KeyError> {
    let (outcome, keys, from) = match init {
        Init::Make => (Outcome::Made, fresh(copy)?, None),
        Init::Move { from } => (Outcome::Moved, fresh(copy)?, Some(from)),
        Init::Finish { from, keys } => (Outcome::Moved, copied(keys, copy)?, Some(from)),
        Init::Clear(keys) => (Outcome::Cleared, copied(keys, copy)?, None),
        Init::Done(keys) => {
            let keys = copied(keys, copy)?;
            return Ok(Told::of(Outcome::Done, &keys, credstore::PATH));
        }
    };
    let tally = match from {
        Some(from) => Some(store.pass(&from, keys.newest())?),
        None => None,
    };
    store.remove_key_file()?;
    Ok(Told { tally, ..Told::of(outcome, &keys, credstore::PATH) })
}

/// A new key, sealed where the unit looks for it.
fn fresh(copy: &Copy<'_>) -> Result<Keys, KeyError> {
    let keys = copied(Keys::one(StoreKey::draw()), copy)?;
    credstore::install(&keys)?;
    Ok(keys)
}

/// The same keys, when their recovery copy is made.
fn copied(keys: Keys, copy: &Copy<'_>) -> Result<Keys, KeyError> {
    copy.keep(&keys)?;
    Ok(keys)
}

/// Changes the store key, wherever it lies.
fn rekey(options: &Options, args: &KeyArgs) -> Result<Told, KeyError> {
    let copy = Copy::wanted(args)?;
    let mut store = Store::find(options)?;
    let (wanted, file) = match store.take()? {
        Standing::InUse { pid, .. } => return Err(Refusal::InUse(pid).into()),
        Standing::Idle { key_id: None, .. } => return Err(Refusal::NoStore.into()),
        Standing::Idle { key_id: Some(wanted), file } => (wanted, file),
    };
    let (safe, rekey) = match file.and_then(|keys| keeping::rekey(&wanted, &keys)) {
        Some(rekey) => (Safe::File, rekey),
        None => (Safe::Credential, of_credential(wanted)?),
    };
    if rekey.passes() {
        store.may_pass(mode_of(options))?;
    }
    let place = safe.path(&store);
    if args.dry_run {
        return Ok(page::foretold_rekey(&rekey, &place));
    }
    let told = match rekey {
        Rekey::Finish => {
            let keys = store.newest_of(safe)?;
            copy.keep(&keys)?;
            safe.put(&store, &keys)?;
            Told::of(Outcome::Finished, &keys, &place)
        }
        Rekey::Begin { from } => exchange(&mut store, safe, &copy, from, StoreKey::draw())?,
        Rekey::Resume { from, to } => exchange(&mut store, safe, &copy, from, to)?,
    };
    Ok(copy.named_in(told))
}

fn of_credential(wanted: String) -> Result<Rekey, KeyError> {
    if !rustix::process::geteuid().is_root() {
        return Err(KeyError::NotRoot("change"));
    }
    let keys = credstore::read()?;
    let rekey = keys.and_then(|keys| keeping::rekey(&wanted, &keys));
    Ok(rekey.ok_or(Refusal::Elsewhere { wanted })?)
}

/// Has the store pass from one key to the other, both of which lie in the safe meanwhile.
fn exchange(
    store: &mut Store,
    safe: Safe,
    copy: &Copy<'_>,
    from: StoreKey,
    to: StoreKey,
) -> Result<Told, KeyError> {
    let both = Keys::passing(to.clone(), from.clone());
    // Both: whenever this ends, the copy opens the store.
    copy.keep(&both)?;
    safe.put(store, &both)?;
    let tally = store.pass(&from, &to)?;
    let keys = Keys::one(to);
    safe.put(store, &keys)?;
    let place = safe.path(store);
    Ok(Told { tally: Some(tally), ..Told::of(Outcome::Rekeyed, &keys, &place) })
}

/// The recovery copy that is wished for, if there are recipients.
struct Copy<'a> {
    recipients: Vec<Recipient>,
    path: &'a Path,
}

impl<'a> Copy<'a> {
    fn wanted(args: &'a KeyArgs) -> Result<Self, KeyError> {
        if args.recipients.len() > limits::RECIPIENTS {
            return Err(KeyError::Recipients);
        }
        let parsed = args.recipients.iter().enumerate().map(|(index, text)| {
            Recipient::parse(text).map_err(|why| KeyError::Recipient { number: index + 1, why })
        });
        Ok(Self { recipients: parsed.collect::<Result<_, _>>()?, path: &args.recovery })
    }

    /// Seals the text of a key file to the recipients.
    fn keep(&self, keys: &Keys) -> Result<(), KeyError> {
        if self.recipients.is_empty() {
            return Ok(());
        }
        let sealed = envelope::seal(keys.text().expose().as_bytes(), &self.recipients)?;
        regular::replace(self.path, &sealed)
            .map_err(|why| KeyError::Unwritten { path: self.path.to_owned(), why })
    }

    fn named_in(&self, told: Told) -> Told {
        let path =
            (!self.recipients.is_empty()).then(|| shown(&self.path.to_string_lossy()).into_owned());
        Told { recovery_copy: path, ..told }
    }
}
