//! What the name of a peer claims: for which unit it asks, and for which credential.
//!
//! systemd binds an abstract address before it connects: a random number in lower-case
//! hexadecimal digits without zeros before it, `/unit/`, the name of the unit as `systemctl`
//! shows it, `/`, and the name of the credential (`LoadCredential=` in systemd.exec(5)). Anybody
//! can bind such an address, so this is a claim and no proof. Pure and total.

use crate::limits;
use crate::unit;

/// What somebody says that it asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The unit, with its suffix.
    pub unit: Box<str>,
    /// The credential: printable ASCII.
    pub id: Box<str>,
}

/// Why a name is none of systemd's.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// It has none.
    #[error("it has no name")]
    Nameless,
    /// It is longer than an address can be.
    #[error("its name is too long")]
    TooLong,
    /// It has other parts.
    #[error("its name is not of the form NUMBER/unit/UNIT/CREDENTIAL")]
    Shape,
    /// Its first part is no random number.
    #[error("its name does not begin with 1 to 16 hexadecimal digits")]
    Number,
    /// Its unit has no name that one can have.
    #[error("its name has no unit in it that could ask")]
    Unit,
    /// Its credential has no name that one can have.
    #[error("its name has no credential in it that could be asked for")]
    Credential,
}

impl Claim {
    /// Reads the name of an abstract address, without the zero that it begins with.
    ///
    /// # Errors
    ///
    /// Why systemd would have no such name.
    pub fn parse(name: &[u8]) -> Result<Self, Unfit> {
        if name.is_empty() {
            return Err(Unfit::Nameless);
        }
        if name.len() > limits::CREDENTIAL_PEER {
            return Err(Unfit::TooLong);
        }
        let name = std::str::from_utf8(name).map_err(|_| Unfit::Shape)?;
        let (number, rest) = name.split_once("/unit/").ok_or(Unfit::Shape)?;
        let (unit, id) = rest.split_once('/').ok_or(Unfit::Shape)?;
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if !(1..=16).contains(&number.len()) || !number.bytes().all(digit) {
            return Err(Unfit::Number);
        }
        if !unit::is_name(unit) {
            return Err(Unfit::Unit);
        }
        if !is_credential(id) {
            return Err(Unfit::Credential);
        }
        Ok(Self { unit: unit.into(), id: id.into() })
    }
}

/// Whether systemd takes it for the name of a credential: that of a file, and of a descriptor
/// (sd_listen_fds(3)).
fn is_credential(id: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b':' && byte != b'/';
    (1..=limits::CREDENTIAL_ID).contains(&id.len())
        && id.bytes().all(plain)
        && id != "."
        && id != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_binds_is_read() {
        #[rustfmt::skip]
        let cases = [
            ("bf7434952bdd425d/unit/consumer.service/token",       "consumer.service",          "token"),
            ("0/unit/a.service/b",                                 "a.service",                 "b"),
            ("d19a8170863dbbc5/unit/inst@foo\\x2dbar.service/tok", "inst@foo\\x2dbar.service",  "tok"),
            ("5df57615ab5863f4/unit/unit/unit.service/x",          "",                          ""),
            ("1/unit/a.service/mail.header",                       "a.service",                 "mail.header"),
            ("1/unit/a.service/two words",                         "a.service",                 "two words"),
            ("1/unit/door.socket/mail",                            "door.socket",               "mail"),
        ];
        for (name, unit, id) in cases {
            let expected = Claim { unit: unit.into(), id: id.into() };
            let expected = if unit.is_empty() { Err(Unfit::Unit) } else { Ok(expected) };
            assert_eq!(Claim::parse(name.as_bytes()), expected, "{name}");
        }
    }

    #[test]
    fn what_systemd_would_not_bind_is_refused() {
        let long_name = format!("1/unit/{}.service/mail", "a".repeat(limits::CREDENTIAL_PEER));
        #[rustfmt::skip]
        let cases: [(&[u8], Unfit); 24] = [
            (b"",                                         Unfit::Nameless),
            (long_name.as_bytes(),                        Unfit::TooLong),
            (b"1/unit/a.service/ma\xffil",                Unfit::Shape),
            (b"\xff/unit/a.service/mail",                 Unfit::Shape),
            (b"1",                                        Unfit::Shape),
            (b"/run/tokenkeeper/client",                  Unfit::Shape),
            (b"1/unit/a.service",                         Unfit::Shape),
            (b"1/Unit/a.service/mail",                    Unfit::Shape),
            (b"unit/a.service/mail",                      Unfit::Shape),
            (b"/unit/a.service/mail",                     Unfit::Number),
            (b"00000000000000001/unit/a.service/mail",    Unfit::Number),
            (b"BF/unit/a.service/mail",                   Unfit::Number),
            (b"0x1/unit/a.service/mail",                  Unfit::Number),
            (b"-1/unit/a.service/mail",                   Unfit::Number),
            (b"1\0/unit/a.service/mail",                  Unfit::Number),
            (b"1/unit//mail",                             Unfit::Unit),
            (b"1/unit/a/mail",                            Unfit::Unit),
            (b"1/unit/../mail",                           Unfit::Unit),
            (b"1/unit/a b.service/mail",                  Unfit::Unit),
            (b"1/unit/a.service\0/mail",                  Unfit::Unit),
            (b"1/unit/a.service/",                        Unfit::Credential),
            (b"1/unit/a.service/mail/x",                  Unfit::Credential),
            (b"1/unit/a.service/ma\nil",                  Unfit::Credential),
            (b"1/unit/a.service/..",                      Unfit::Credential),
        ];
        for (name, why) in cases {
            assert_eq!(Claim::parse(name), Err(why), "{}", name.escape_ascii());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_name_is_read_or_refused(name: Vec<u8>) {
            if let Ok(claim) = Claim::parse(&name) {
                let text = String::from_utf8(name).unwrap();
                let end = format!("/unit/{}/{}", claim.unit, claim.id);
                assert!(text.ends_with(&end));
            }
        }
    }
}
