//! How a store is opened: as the disk allows at the start, and again when it allows more.

use crate::record::StoreError;
use crate::store::ballast;
use crate::store::dir::StateDir;
use crate::store::open::Site;
use crate::store::refusal::OpenError;
use crate::store::schema::STEPS;
use crate::store::shelf::Shelved;

use super::Footing;
use super::Place;
use super::Sqlite;
use super::files::Files;
use super::split;

impl Sqlite {
    /// Opens the store, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`OpenError`], whose message says what to do.
    pub fn open(place: &Place) -> Result<Self, OpenError> {
        let (parent, name) = split(&place.database)?;
        let dir = StateDir::open(parent)?;
        if dir.is_read_only() {
            return Self::open_on(dir, name, place, Footing::ReadOnly);
        }
        let is_there = dir.is_there(name)?;
        if is_there && dir.is_full() {
            ballast::give_up(&dir);
        }
        match Self::open_on(dir, name, place, Footing::Sound) {
            Err(refused @ OpenError::Io { .. }) if is_there => {
                let dir = StateDir::open(parent)?;
                if dir.is_full() {
                    Self::open_on(dir, name, place, Footing::Full)
                } else {
                    Err(refused)
                }
            }
            opened => opened,
        }
    }

    pub(super) fn open_on(
        dir: StateDir,
        name: &str,
        place: &Place,
        footing: Footing,
    ) -> Result<Self, OpenError> {
        let credentials = place.credentials.as_deref();
        let site = Site { dir: &dir, name, credentials, steps: STEPS };
        let opened = match footing {
            Footing::Sound => site.open()?,
            Footing::Suspect | Footing::ReadOnly | Footing::Full => site.open_read_only()?,
        };
        if footing == Footing::Sound {
            ballast::restore(&dir);
        }
        let files = Files::of(&dir, name);
        Ok(Self {
            dir,
            name: name.to_owned(),
            lock: opened.lock,
            header: opened.header,
            conn: Some(opened.conn),
            files,
            sealer: opened.sealer,
            boot_id: place.boot_id.clone(),
            epoch: opened.epoch,
            key: opened.key,
            key_file: opened.key_file,
            footing,
            flaws: opened.flaws,
            remade: opened.remade,
            rewrites: 0,
            meddled: 0,
            in_log: 0,
            shelved: Shelved::default(),
        })
    }

    /// Goes on with a database that could not be written when it was opened.
    pub(super) fn open_again(&mut self) -> Result<(), StoreError> {
        let site = Site { dir: &self.dir, name: &self.name, credentials: None, steps: STEPS };
        self.lock.complete(&self.dir)?;
        let (conn, epoch) = match site.open_again(&self.header) {
            Ok(opened) => opened,
            Err(_) if self.dir.is_full() => return Err(StoreError::Full),
            Err(refused) => return Err(refused.into()),
        };
        self.conn = Some(conn);
        self.files = Files::of(&self.dir, &self.name);
        self.epoch = epoch;
        self.footing = Footing::Sound;
        Ok(())
    }
}
