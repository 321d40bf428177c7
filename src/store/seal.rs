//! Sealing: XChaCha20-Poly1305 under a random data key that the store key wraps.
//!
//! # Invariants
//!
//! * Nonces are 24 random bytes: there is no counter that a restored backup or a cloned
//!   machine could set back (draft-irtf-cfrg-xchacha section 2.1).
//! * The associated data says which store, which version of this layout, which sort of
//!   record, whose and which generation: a body that was moved, exchanged or put back
//!   does not open.
//! * ChaCha20-Poly1305 does not commit to its key, so the header carries a hash of both
//!   keys: a header that was made to open under two keys is refused.
//! * Plaintext lives in buffers that are wiped, and ciphertext replaces it in place.
//!
//! A sealed body is `nonce (24) ‖ ciphertext ‖ tag (16)`.

use chacha20poly1305::Tag;
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::XNonce;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::aead::KeyInit;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::random;
use crate::token::Generation;

/// Version of this layout, bound into every seal. It is not the format of the tables,
/// which may change without sealing anything anew.
const LAYOUT: u8 = 1;

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// Random bytes that name one store.
pub(super) type StoreId = [u8; 16];

/// What a sealed body is. The numbers are part of the layout.
#[derive(Clone, Copy)]
pub(super) enum Sort {
    /// The wrapped data key.
    DataKey = 0,
    /// One generation of an account.
    Generation = 1,
    /// A refresh token that waits to be proven.
    Staged = 2,
    /// A grant kept aside.
    Orphan = 3,
    /// An account secret.
    AccountSecret = 4,
    /// Generations that the disk did not take.
    Unsaved = 5,
    /// The store key, in memory alone.
    StoreKey = 6,
}

/// What a sealed body is bound to.
#[derive(Clone, Copy)]
pub(super) struct Label<'a> {
    /// What it is.
    pub(super) sort: Sort,
    /// Name of the account or slot.
    pub(super) owner: &'a str,
    /// Its generation; 0 where it has none.
    pub(super) generation: Generation,
}

/// A sealed body that does not open: it is not the one that was sealed there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Broken;

/// The data key at work.
pub(super) struct Sealer {
    cipher: XChaCha20Poly1305,
    store: StoreId,
}

impl Sealer {
    /// A sealer with a new data key, and that key wrapped under `store_key`.
    pub(super) fn create(store: StoreId, store_key: &[u8; KEY_LEN]) -> (Self, Wrapped) {
        let mut data_key = Zeroizing::new([0; KEY_LEN]);
        random::fill(data_key.as_mut());
        let sealed = Self::new(store, store_key).seal(WRAPPING, data_key.as_slice());
        let commitment = commitment(store, store_key, &data_key);
        (Self::new(store, &data_key), Wrapped { sealed, commitment })
    }

    /// A sealer with the data key that `wrapped` holds.
    pub(super) fn unwrap(
        store: StoreId,
        store_key: &[u8; KEY_LEN],
        wrapped: &Wrapped,
    ) -> Result<Self, Broken> {
        let plain = Self::new(store, store_key).open(WRAPPING, &wrapped.sealed)?;
        let data_key = <&[u8; KEY_LEN]>::try_from(plain.as_slice()).map_err(|_| Broken)?;
        let expected = commitment(store, store_key, data_key);
        if bool::from(expected.ct_eq(&wrapped.commitment)) {
            Ok(Self::new(store, data_key))
        } else {
            Err(Broken)
        }
    }

    /// Seals `plain` for the place that `label` names.
    ///
    /// # Panics
    ///
    /// If `plain` is longer than the 256 GiB that one nonce allows, which nothing that
    /// fits into memory here is.
    #[allow(clippy::expect_used, reason = "the only failure is a length that cannot occur")]
    pub(super) fn seal(&self, label: Label<'_>, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce);

        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let (_, body) = sealed.split_at_mut(NONCE_LEN);
        let tag = self
            .cipher
            .encrypt_inout_detached(&XNonce::from(nonce), &self.bound_to(label), body.into())
            .expect("a body is shorter than 256 GiB");
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens what was sealed for the place that `label` names.
    pub(super) fn open(
        &self,
        label: Label<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Broken> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Broken)?;
        let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(Broken)?;
        let mut plain = Zeroizing::new(body.to_vec());
        self.cipher
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                &self.bound_to(label),
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| Broken)?;
        Ok(plain)
    }

    /// The store that it seals for.
    pub(super) const fn store(&self) -> &StoreId {
        &self.store
    }

    fn new(store: StoreId, key: &[u8; KEY_LEN]) -> Self {
        Self { cipher: XChaCha20Poly1305::new(key.into()), store }
    }

    /// The associated data. Everything but the owner has a fixed length and the owner
    /// comes last, so no two labels have the same.
    fn bound_to(&self, label: Label<'_>) -> Vec<u8> {
        let Label { sort, owner, generation } = label;
        let mut bound = Vec::with_capacity(64);
        bound.extend_from_slice(b"tokenkeeper");
        bound.extend_from_slice(&[LAYOUT, sort as u8]);
        bound.extend_from_slice(&self.store);
        bound.extend_from_slice(&generation.0.to_be_bytes());
        bound.extend_from_slice(owner.as_bytes());
        bound
    }
}

/// The data key as the header holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wrapped {
    /// The data key, sealed under the store key.
    pub(super) sealed: Vec<u8>,
    /// Hash of both keys.
    pub(super) commitment: [u8; 32],
}

const WRAPPING: Label<'_> = Label { sort: Sort::DataKey, owner: "", generation: Generation(0) };

fn commitment(store: StoreId, store_key: &[u8; KEY_LEN], data_key: &[u8; KEY_LEN]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"tokenkeeper key commitment\0");
    hash.update(store);
    hash.update(store_key);
    hash.update(data_key);
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: Label<'_> =
        Label { sort: Sort::Generation, owner: "mail", generation: Generation(7) };

    #[test]
    fn what_was_sealed_opens_only_where_it_was_sealed() {
        let (sealer, wrapped) = Sealer::create([1; 16], &[2; 32]);
        let sealed = sealer.seal(LABEL, b"token");
        let again = Sealer::unwrap([1; 16], &[2; 32], &wrapped).unwrap();
        assert_eq!(again.open(LABEL, &sealed).unwrap().as_slice(), b"token");

        let elsewhere = [
            Label { sort: Sort::Staged, ..LABEL },
            Label { owner: "mail2", ..LABEL },
            Label { owner: "", ..LABEL },
            Label { generation: Generation(8), ..LABEL },
        ];
        for label in elsewhere {
            assert!(again.open(label, &sealed).is_err());
        }
        let other_store = Sealer { store: [3; 16], ..again };
        assert!(other_store.open(LABEL, &sealed).is_err());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (sealer, _) = Sealer::create([1; 16], &[2; 32]);
        let sealed = sealer.seal(LABEL, b"token");
        for position in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[position / 8] ^= 1 << (position % 8);
            assert!(sealer.open(LABEL, &flipped).is_err(), "bit {position}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(LABEL, &sealed[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn a_data_key_unwraps_only_under_its_store_key_and_in_its_store() {
        let (_, wrapped) = Sealer::create([1; 16], &[2; 32]);
        let mut committed_to_another = wrapped.clone();
        committed_to_another.commitment[0] ^= 1;

        assert!(Sealer::unwrap([1; 16], &[2; 32], &wrapped).is_ok());
        assert!(Sealer::unwrap([1; 16], &[3; 32], &wrapped).is_err());
        assert!(Sealer::unwrap([9; 16], &[2; 32], &wrapped).is_err());
        assert!(Sealer::unwrap([1; 16], &[2; 32], &committed_to_another).is_err());
    }

    #[test]
    fn the_same_text_never_seals_to_the_same_bytes() {
        let (sealer, _) = Sealer::create([1; 16], &[2; 32]);
        assert_ne!(sealer.seal(LABEL, b"token"), sealer.seal(LABEL, b"token"));
    }
}
