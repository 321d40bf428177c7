//! Backups, and secrets that come out of one.

use serde_json::json;

use super::world::KEEPER;
use super::world::OPERATOR;
use super::world::World;
use super::world::alone;
use super::world::fresh;
use crate::error::code::Code;
use crate::keeper::Errand;
use crate::keeper::Over;
use crate::protocol::daemon::BackupView;
use crate::snapshot::Refusal;
use crate::snapshot::Snapshot;

#[test]
fn a_backup_is_sealed_to_the_recipients_that_were_named() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let sealing = async {
            let Errand::Backup { recipients, reply } = world.next_errand().await else {
                panic!("another errand");
            };
            assert_eq!(recipients, ["age1one", "age1two"]);
            reply.send(Ok(view())).unwrap();
        };
        let body = r#"{"recipients":["age1one","age1two"]}"#;
        let (reply, ()) = tokio::join!(world.ask_with(OPERATOR, "POST /v1/backup", body), sealing);
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json(), serde_json::to_value(view()).unwrap());
    });
}

#[test]
fn a_wrong_recipient_is_a_wrong_request() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let refusing = async {
            let Errand::Backup { reply, .. } = world.next_errand().await else {
                panic!("another errand");
            };
            let refusal = Refusal::new(Code::BadRequest, "recipient 1: no");
            reply.send(Err(refusal)).unwrap();
        };
        let body = r#"{"recipients":["age1one"]}"#;
        let (reply, ()) = tokio::join!(world.ask_with(OPERATOR, "POST /v1/backup", body), refusing);
        assert_eq!((reply.status, reply.code().as_str()), (400, "BAD_REQUEST"));
    });
}

#[test]
fn a_secret_for_an_empty_slot_leaves_another_as_it_is_and_says_so() {
    alone(async {
        let world = World::new(fresh(7, 600));
        let looking = async {
            let Errand::PutSecret { over: Over::Nothing, reply, .. } = world.next_errand().await
            else {
                panic!("another errand");
            };
            reply.send(Ok(false)).unwrap();
        };
        let head = "POST /v1/accounts/mail/secret";
        let body = r#"{"slot":"client_secret","value":"canary","if_empty":true}"#;
        let (reply, ()) = tokio::join!(world.ask_with(KEEPER, head, body), looking);
        assert_eq!(
            reply.json(),
            json!({
                "account": "mail",
                "changed": false,
                "message": "account mail: the slot is not empty, so it stays as it is",
            })
        );
        assert!(world.is_quiet(), "an account whose secret stays has nothing to try again");
    });
}

/// Where a credential belongs, and what it takes besides, is told to those who may replace it.
#[test]
fn only_administrators_of_an_account_see_its_lineage_and_secrets_and_what_was_taken_over() {
    alone(async {
        let taken_over = Some("00c0ffee".into());
        let world = World::new(Snapshot { taken_over, ..fresh(7, 600) });
        let head = "GET /v1/accounts/mail";
        assert!(world.ask(KEEPER, head).await.json()["lineage"].is_string());
        assert!(world.ask(KEEPER, head).await.json()["secrets"].is_array());
        assert_eq!(world.ask(KEEPER, head).await.json()["taken_over"], "00c0ffee");
        let reader = world.ask(super::world::READER, head).await.json();
        assert_eq!((reader.get("lineage"), reader.get("secrets")), (None, None));
        assert_eq!(reader.get("taken_over"), None);
    });
}

fn view() -> BackupView {
    BackupView {
        sealed: "YWdl".into(),
        made_at: "2023-11-14T22:13:20Z".into(),
        accounts: Vec::new(),
        damage: Vec::new(),
    }
}
