//! What lies on disk, once it is unsealed: generations, standings, keys, backups.
//!
//! The first line of an input says which it is. Promises: what is read is written back byte for
//! byte where there is one way to write it, and reads as the same where there are more; what is
//! refused is refused in words that repeat nothing of it.

use tokenkeeper::backup;
use tokenkeeper::record::Standing;
use tokenkeeper::store::body;
use tokenkeeper::store::body::Body;
use tokenkeeper::store::body::Parts;
use tokenkeeper::store::key::Keys;

use super::hygiene;
use super::input;

/// What can be read; each takes the rest of the input.
#[allow(clippy::type_complexity, reason = "said once; an alias would only hide it")]
const SORTS: &[(&str, fn(&[u8]))] =
    &[("generation", generation), ("standing", standing), ("keys", keys), ("backup", backup)];

/// Reads the input as what its first line says.
pub fn run(input: &[u8]) {
    let (word, rest) = input::line(input);
    input::choice(SORTS, &word)(rest);
}

fn generation(plain: &[u8]) {
    let Some(Body { dates, tokens, aws, refresh_token }) = body::decode(plain) else { return };
    let parts = Parts {
        dates: &dates,
        tokens: tokens.as_ref(),
        aws: aws.as_ref(),
        refresh_token: refresh_token.as_ref(),
    };
    assert_eq!(*body::encode(parts), plain, "it is written in another way than it was read");
}

fn standing(text: &[u8]) {
    let Ok(standing) = serde_json::from_slice::<Standing>(text) else { return };
    let written = serde_json::to_string(&standing).expect("a standing can be written");
    let read = serde_json::from_str::<Standing>(&written).expect("what was written is read");
    assert_eq!(read, standing);
}

fn keys(text: &[u8]) {
    match Keys::parse(text) {
        Ok(keys) => {
            let again = Keys::parse(keys.text().expose().as_bytes());
            assert!(again.is_ok_and(|again| again.same_as(&keys)), "they read back as others");
        }
        Err(why) => hygiene::message(why),
    }
}

fn backup(text: &[u8]) {
    match backup::read(text) {
        Ok(read) => {
            let written = backup::write(&read).expect("what fitted once fits again");
            let again = backup::read(&written).expect("what was written is read");
            let again = backup::write(&again).expect("what fitted once fits again");
            assert_eq!(*written, *again, "it is written in another way the second time");
        }
        Err(unreadable) => hygiene::fault(&unreadable),
    }
}
