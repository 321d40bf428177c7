//! References to secrets. A secret itself is refused, whatever kind of value it is.

use toml::de::DeValue;

use super::Mode;
use super::SecretRef;
use super::Section;
use super::complaint::Problem;
use super::value::Value;
use crate::limits;

/// Reads a reference. `for_slot` says what to write for the slot of that name.
fn read(value: &Value<'_>, for_slot: &str) -> Option<SecretRef> {
    let mut section = value.section("a table")?;
    let mut found = Vec::new();
    found.extend(section.value("credential").map(|value| credential(&value)));
    found.extend(section.value("file").map(|value| file(&value)));
    found.extend(section.value("command").map(|value| command(&value)));
    if found.len() != 1 {
        let rule = format!(
            "expected exactly one of credential = \"NAME\", file = \"/PATH\" and command = [\"/PROGRAM\"]; \
             or {for_slot} and type: tokenctl secret set {}",
            slot(&value.path)
        );
        section.complain(Problem::Rule(rule.into()));
    }
    section.finish();
    found.pop().flatten()
}

/// The slot that a key means when it is left out: its path below `accounts`, without the
/// table that only gathers secrets.
fn slot(path: &str) -> String {
    path.strip_prefix("accounts.").unwrap_or(path).replacen(".secrets.", ".", 1)
}

/// A name that `tokenkeeper.secret.` can be put before to make a systemd credential.
fn credential(value: &Value<'_>) -> Option<SecretRef> {
    const EXPECTED: &str =
        "the name of a credential: at most 200 of a-z, A-Z, 0-9, '.', '_' and '-'";
    const LONGEST: usize = 200;

    let name = value.text(EXPECTED)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.len() > LONGEST || !name.bytes().all(plain) {
        value.complain(Problem::Value { expected: EXPECTED.into(), nearest: None });
        return None;
    }
    Some(SecretRef::Credential(name.into()))
}

fn file(value: &Value<'_>) -> Option<SecretRef> {
    Some(SecretRef::File(value.path(limits::PATH)?.into()))
}

fn command(value: &Value<'_>) -> Option<SecretRef> {
    match value.scope.mode {
        Mode::User => {}
        Mode::System => {
            let rule = "a command is run by the service of a user only; expected \
                        credential = \"NAME\" or file = \"/PATH\"";
            value.complain(Problem::Rule(rule.into()));
            return None;
        }
    }
    Some(SecretRef::Command(value.argv()?))
}

impl Section<'_> {
    /// A reference to a secret; `None` if there is none, which means the slot of that name.
    pub fn secret(&mut self, key: &'static str) -> Option<SecretRef> {
        self.value(key)?.reference("leave it out")
    }

    /// A reference to a secret that not every account has: `true` means the slot of that name.
    pub fn optional_secret(&mut self, key: &'static str) -> Option<SecretRef> {
        let value = self.value(key)?;
        let for_slot = format!("write {key} = true");
        if let DeValue::Boolean(has) = value.inner.get_ref() {
            return has.then_some(SecretRef::Slot);
        }
        if !value.is_table() {
            let rule = format!(
                "a secret does not belong in the configuration; {for_slot} and type: tokenctl \
                 secret set {}",
                slot(&value.path)
            );
            value.complain(Problem::Rule(rule.into()));
            return None;
        }
        read(&value, &for_slot)
    }
}

impl Value<'_> {
    /// A reference to a secret, in a table that gathers them.
    pub fn secret(&self) -> Option<SecretRef> {
        self.reference("leave it empty")
    }

    fn reference(&self, for_slot: &str) -> Option<SecretRef> {
        if !self.is_table() {
            self.complain(Problem::Literal { slot: slot(&self.path).into() });
            return None;
        }
        read(self, for_slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_called_as_its_key_is_below_the_account() {
        assert_eq!(slot("accounts.ci.client_secret"), "ci.client_secret");
        assert_eq!(slot("accounts.boiler.secrets.password"), "boiler.password");
        assert_eq!(slot("accounts.secrets.password"), "secrets.password");
    }
}
