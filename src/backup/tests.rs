//! Backups written and read back, and texts that are none.

use super::*;

#[test]
fn a_backup_reads_back_as_it_was_written() {
    let rotations = [Rotation::Unknown, Rotation::Never, Rotation::Grace(GRACE), Rotation::Strict];
    for rotation in rotations {
        let kept = Kept { rotation, ..mail() };
        let bytes = write(&Backup { made_at: MADE_AT, accounts: vec![kept] }).unwrap();
        let read = read(&bytes).ok().unwrap();

        assert_eq!(read.made_at, MADE_AT);
        let [kept] = read.accounts.as_slice() else { panic!("one account") };
        assert_eq!(kept.account.as_str(), "mail");
        assert_eq!(kept.lineage, mail().lineage);
        assert_eq!((kept.rotation, kept.generation), (rotation, Generation(7)));
        assert_eq!((kept.issued_at, kept.subject.as_deref()), (Some(MADE_AT), Some("pat")));
        assert_eq!(kept.condition, Condition::Suspect { probes: 1 });
        assert_eq!((kept.hold, kept.under_way), (Hold::Paused, true));
        assert_eq!(kept.refresh_token.as_ref().map(Secret::expose), Some("rt-\"1\"\n"));
        let secrets = kept.secrets.iter().map(|(slot, secret)| (slot.as_str(), secret.expose()));
        assert_eq!(secrets.collect::<Vec<_>>(), [("client_secret", "hush")]);
    }
}

/// A person may have to read it without this program: the names are part of the format.
#[test]
fn the_text_is_the_documented_one() {
    let bytes = write(&Backup { made_at: MADE_AT, accounts: vec![mail()] }).unwrap();
    insta::assert_snapshot!(std::str::from_utf8(&bytes).unwrap(), @r#"{"format":"tokenkeeper-backup","version":1,"made_at":"2023-11-14T22:13:20Z","accounts":[{"account":"mail","lineage":"00ff","rotation":{"grace_secs":30},"generation":7,"issued_at":"2023-11-14T22:13:20Z","subject":"pat","condition":{"suspect":{"probes":1}},"paused":true,"under_way":true,"refresh_token":"rt-\"1\"\n","secrets":{"client_secret":"hush"}}]}"#);
}

#[test]
fn writing_never_grows_the_room_that_is_wiped() {
    let bytes = write(&Backup { made_at: MADE_AT, accounts: vec![mail(), mail()] }).unwrap();
    assert_eq!(bytes.len(), bytes.capacity());
}

#[test]
fn what_is_no_backup_is_told_from_what_is_damaged_and_from_what_is_newer() {
    let good = text(&[mail()]);
    let twice = text(&[mail(), mail()]);
    let misnamed = good.replace("\"mail\"", "\"Mail\"");
    let typed = good.replace("\"rt-\\\"1\\\"\\n\"", "7");
    let untimely = good.replace("22:13:20Z\",\"accounts", "25:13:20Z\",\"accounts");
    let newer = good.replace("\"version\":1", "\"version\":2").replace("\"accounts\"", "\"rows\"");
    let added = good.replace("\"paused\"", "\"colour\":\"red\",\"paused\"");
    let cut = good.split_at(good.len() / 2).0;
    #[rustfmt::skip]
    let cases = [
        ("as it was written",        good.as_str(),           Ok(1)),
        ("with a field more",        &added,                  Ok(1)),
        ("nothing",                  "",                      Err("what is sealed in it is no backup of tokenkeeper")),
        ("another text",             "dear diary",            Err("what is sealed in it is no backup of tokenkeeper")),
        ("another JSON",             "{\"version\":1}",       Err("what is sealed in it is no backup of tokenkeeper")),
        ("of something else",        "{\"format\":\"x\",\"version\":9}", Err("what is sealed in it is no backup of tokenkeeper")),
        ("a half of it",             cut,                     Err("what is sealed in it is no backup of tokenkeeper")),
        ("of a later version",       &newer,                  Err("it is a backup of version 2, and this tokenctl reads up to 1; use the tokenctl of the host that made it, or a newer one")),
        ("a number for a token",     &typed,                  Err("the backup is damaged at line 1, column 303")),
        ("an impossible time",       &untimely,               Err("the backup is damaged at line 1, column 75")),
        ("an impossible name",       &misnamed,               Err("the backup is damaged: its account number 1 has no name of its own")),
        ("an account twice",         &twice,                  Err("the backup is damaged: its account number 2 has no name of its own")),
    ];
    for (name, text, expected) in cases {
        let read = read(text.as_bytes()).map(|backup| backup.accounts.len());
        let read = read.map_err(|error| error.to_string());
        assert_eq!(read, expected.map_err(str::to_owned), "{name}");
    }
}

#[test]
fn no_message_holds_what_stands_in_the_text() {
    const CANARY: &str = "canary_in_plain_words";
    let good = text(&[mail()]);
    for wrong in [
        good.replace("\"paused\":true", &format!("\"paused\":\"{CANARY}\"")),
        good.replace("\"generation\":7", &format!("\"generation\":\"{CANARY}\"")),
        good.replace("{\"grace_secs\":30}", &format!("\"{CANARY}\"")),
        good.replace("\"mail\"", &format!("\"{CANARY}!\"")),
        CANARY.to_owned(),
    ] {
        let message = read(wrong.as_bytes()).err().unwrap().to_string();
        assert!(!message.contains("canary"), "{message}");
    }
}

#[test]
fn a_state_that_is_too_large_is_no_backup_in_either_direction() {
    let long = Kept { refresh_token: Some(Secret::new("x".repeat(limits::BACKUP))), ..mail() };
    assert_eq!(write(&Backup { made_at: MADE_AT, accounts: vec![long] }), Err(TooLarge));
    let many = (0..=limits::BACKUP_ACCOUNTS).map(|_| Kept::new(mail().account)).collect();
    assert_eq!(write(&Backup { made_at: MADE_AT, accounts: many }), Err(TooLarge));
    let blank = vec![b' '; limits::BACKUP + 1];
    assert_eq!(read(&blank).err(), Some(Unreadable::TooLarge));
}

const MADE_AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);

const GRACE: Duration = Duration::from_secs(30);

fn text(accounts: &[Kept]) -> String {
    let rows = accounts.iter().map(Row::of).collect();
    let format = FORMAT.into();
    let text = Text { format, version: VERSION, made_at: When(MADE_AT), accounts: rows };
    serde_json::to_string(&text).unwrap()
}

fn mail() -> Kept {
    Kept {
        lineage: Lineage("00ff".into()),
        rotation: Rotation::Grace(GRACE),
        generation: Generation(7),
        issued_at: Some(MADE_AT),
        subject: Some("pat".into()),
        condition: Condition::Suspect { probes: 1 },
        hold: Hold::Paused,
        under_way: true,
        refresh_token: Some(Secret::new("rt-\"1\"\n")),
        secrets: [("client_secret".to_owned(), Secret::new("hush"))].into(),
        ..Kept::new(AccountId::parse("mail").unwrap())
    }
}
