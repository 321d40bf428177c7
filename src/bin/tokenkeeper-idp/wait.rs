//! The long poll of the control interface: tests wait for a total instead of sleeping.

use std::time::Duration;

use serde_json::json;
use tokio::time;

use crate::bad_control::BadControl;
use crate::provider::Server;
use crate::query::Query;
use crate::reply::Reply;
use crate::summary::Field;

/// Longest wait, in ms.
const LONGEST_WAIT_MS: u64 = 600_000;
/// The wait without `timeout_ms`.
const USUAL_WAIT_MS: u64 = 10_000;

/// Answers when every condition of `query` holds, or when its time is up.
pub(crate) async fn answer(server: &Server, query: &str) -> Reply {
    wait(server, query).await.unwrap_or_else(|refusal| refusal.reply())
}

async fn wait(server: &Server, query: &str) -> Result<Reply, BadControl> {
    let fields = Field::ALL.map(|(name, _)| name);
    let names = [fields.as_slice(), &["account", "timeout_ms"]].concat();
    let query = Query::parse(query, &names)?;
    let patience = query.number("timeout_ms", LONGEST_WAIT_MS)?.unwrap_or(USUAL_WAIT_MS);
    let mut wanted = Vec::new();
    for (name, field) in Field::ALL {
        if let Some(least) = query.number(name, u64::MAX)? {
            wanted.push((field, least));
        }
    }
    if wanted.is_empty() {
        return Err(BadControl::NoCondition(fields.join(", ")));
    }

    let account = query.one("account");
    let holds = async {
        loop {
            let (totals, changed) = server.provider.borrow().watched(account);
            if wanted.iter().all(|(field, least)| field.of(&totals) >= *least) {
                return totals;
            }
            changed.notified().await;
        }
    };
    match time::timeout(Duration::from_millis(patience), holds).await {
        Ok(totals) => Ok(Reply::json(200, &json!(totals))),
        Err(_elapsed) => {
            let (totals, _) = server.provider.borrow().watched(account);
            Ok(Reply::json(408, &json!(totals)))
        }
    }
}
