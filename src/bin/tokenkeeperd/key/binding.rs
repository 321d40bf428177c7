//! What opens a sealed credential besides systemd: the TPM, a secret of the host, or both.
//!
//! systemd-creds(1) is asked for the best there is, and takes less without failing: where the
//! libraries that talk to the TPM are not installed, `has-tpm2` says yes and the credential is
//! sealed to the host's secret alone. So what came out of it is looked at. A credential begins
//! with the id of the way in which it is sealed (systemd, `src/shared/creds-util.h`), which stays
//! as it is for as long as credentials that lie on disks are to be opened.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// Length of the id, in bytes.
const ID_LEN: usize = 16;

/// Characters of base64 in which the id lies, and two bytes after it.
pub(crate) const HEAD_LEN: usize = 24;

/// Ids by systemd's own names. A newer systemd has others, of credentials for one user
/// (`_SCOPED`) and for machines without a TPM; neither is asked for.
#[rustfmt::skip]
const IDS: &[(u128, Binding)] = &[
    (0x5a1c_6a86_df9d_4096_b1d5_a65e_0862_f19a, Binding::Host), // BY_HOST
    (0x0c7c_c07b_1176_4591_9c4b_0bea_08bc_20fe, Binding::Tpm),  // BY_TPM2_HMAC
    (0xfaf7_eb93_41e3_412c_a1a4_36f9_5a29_362f, Binding::Tpm),  // BY_TPM2_HMAC_WITH_PK
    (0x93a8_9409_4874_4490_90ca_f2fc_93ca_b553, Binding::Both), // BY_HOST_AND_TPM2_HMAC
    (0xaf49_50a8_4913_4eb1_a738_4630_4ff3_0c05, Binding::Both), // BY_HOST_AND_TPM2_HMAC_WITH_PK
];

/// What a credential takes to be opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Binding {
    /// The file `/var/lib/systemd/credential.secret`, and no TPM.
    #[serde(rename = "host")]
    Host,
    /// The TPM.
    #[serde(rename = "tpm2")]
    Tpm,
    /// The TPM and that file.
    #[serde(rename = "host+tpm2")]
    Both,
    /// Something that this program does not know.
    #[serde(rename = "unknown")]
    Unknown,
}

impl Binding {
    /// Of the text of a sealed credential.
    pub(crate) fn of(sealed: &[u8]) -> Self {
        let id = sealed.get(..HEAD_LEN).and_then(|head| STANDARD.decode(head).ok());
        let id = id.and_then(|bytes| <[u8; ID_LEN]>::try_from(bytes.get(..ID_LEN)?).ok());
        let known = IDS.iter().find(|(known, _)| id.map(u128::from_be_bytes) == Some(*known));
        known.map_or(Self::Unknown, |(_, binding)| *binding)
    }

    /// What it takes to open it, for people.
    pub(crate) const fn needs(self) -> &'static str {
        match self {
            Self::Host => "the /var/lib/systemd/credential.secret that it was sealed to",
            Self::Tpm => "the TPM that it was sealed to",
            Self::Both => {
                "the TPM and the /var/lib/systemd/credential.secret that it was sealed to"
            }
            Self::Unknown => "what it was sealed to",
        }
    }
}

/// What it is sealed to, for people.
impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "this machine without a TPM",
            Self::Tpm | Self::Both => "the TPM of this machine",
            Self::Unknown => "this machine",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What systemd-creds 252 prints for each `--with-key`, of which each first line is as long.
    #[test]
    fn what_a_credential_is_sealed_to_is_read_from_its_first_bytes() {
        for (sealed, binding) in [
            ("Whxqht+dQJax1aZeCGLxmiAAAAABAAAADAAAABAA", Binding::Host),
            ("DHzAexF2RZGcSwvqCLwg/iAAAAABAAAADAAAABAA", Binding::Tpm),
            ("k6iUCUh0RJCQyvL8k8q1UyAAAAABAAAADAAAABAA", Binding::Both),
        ] {
            assert_eq!(Binding::of(sealed.as_bytes()), binding);
        }
    }

    #[test]
    fn what_is_no_credential_is_bound_to_nothing_that_is_known() {
        for text in ["", "Whxqht+dQJax1aZeCGLxmi", "no key\n", "????????????????????????", "\u{e9}"]
        {
            assert_eq!(Binding::of(text.as_bytes()), Binding::Unknown, "{text:?}");
        }
        let absent = STANDARD.encode(0x0584_69da_f6f5_4324_8005_49da_0f8e_a2fb_u128.to_be_bytes());
        assert_eq!(Binding::of(absent.as_bytes()), Binding::Unknown, "sealed to nothing");
    }
}
