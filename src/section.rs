//! Reading a table of the configuration, all of its errors at once.

/// Where a secret comes from. Never the secret itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SecretRef {
    /// The account's slot of that name in the store: what a reference that is left out means.
    Slot,
    /// `{ credential = "NAME" }`: the file `tokenkeeper.secret.NAME` in `$CREDENTIALS_DIRECTORY`.
    Credential(Box<str>),
    /// `{ file = "PATH" }`
    File(Box<str>),
    /// `{ command = ["PROGRAM", …] }`, in user mode only.
    Command(Vec<Box<str>>),
}

/// One table of the configuration.
pub struct Section<'a>(std::marker::PhantomData<&'a ()>);
