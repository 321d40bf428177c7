//! The name of an abstract address, by which the service manager says which credential it wants.
//!
//! Promises: what is taken for a claim is one that systemd could have made, and reads back as the
//! same; what is refused is refused in words that repeat nothing of it; a credential's kind is one
//! of those that there are.

use tokenkeeper::credential::claim::Claim;
use tokenkeeper::credential::wanted::Form;
use tokenkeeper::credential::wanted::Wanted;
use tokenkeeper::limits;
use tokenkeeper::unit;

use super::hygiene;

/// Reads the input as the name of a peer, and as the name of a credential.
pub fn run(input: &[u8]) {
    match Claim::parse(input) {
        Ok(claim) => claimed(input, &claim),
        Err(unfit) => hygiene::fault(&unfit),
    }
    if let Ok(id) = std::str::from_utf8(input) {
        wanted(id);
    }
    units(input);
}

fn claimed(input: &[u8], claim: &Claim) {
    assert!(input.len() <= limits::CREDENTIAL_PEER);
    assert!(unit::is_name(&claim.unit), "{claim:?}");
    assert!(claim.id.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{claim:?}");
    let number = input.iter().position(|byte| *byte == b'/').expect("a number ends before a slash");
    let number = std::str::from_utf8(&input[..number]).expect("its digits are ASCII");
    let written = format!("{number}/unit/{}/{}", claim.unit, claim.id);
    assert_eq!(written.as_bytes(), input, "it says more than was read of it");
    wanted(&claim.id);
}

fn wanted(id: &str) {
    match Wanted::parse(id) {
        Ok(Wanted { account, form }) => {
            let plain = matches!(form, Form::Raw(None));
            assert_eq!(plain, account == id, "{id:?} is {account:?} in {form:?}");
            assert!(id.starts_with(account) && !account.contains('.'), "{account:?} of {id:?}");
        }
        Err(unknown) => {
            assert!(id.contains('.'), "{id:?} has no kind that could be unknown");
            hygiene::fault(&unknown);
        }
    }
}

/// What the kernel and the service manager say of a peer reads as a unit's name or as nothing.
fn units(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for found in [unit::of_object(&text), unit::of_cgroups(&text)].into_iter().flatten() {
        assert!(unit::is_name(&found), "{found:?}");
    }
}
