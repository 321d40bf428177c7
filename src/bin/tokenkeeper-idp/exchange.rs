//! One request at an endpoint of an account from its arrival to the plan of its reply.
//!
//! The order is the contract: arrive (count, pick the fault) → held → delay → decide and commit
//! → delay → held → reply. The commit is one call without an `.await` in it, so a reply is never
//! written before its rotation stands.

use std::time::Duration;

use tokio::time;

use crate::call::Call;
use crate::delivery;
use crate::delivery::Delivery;
use crate::delivery::Place;
use crate::provider::HoldPoint;
use crate::provider::Lost;
use crate::provider::Server;
use crate::reply::Connection;
use crate::reply::Reply;
use crate::summary::Tally;

/// A reply that is ready to be written.
pub(crate) struct Outcome {
    /// How it is written.
    pub(crate) delivery: Delivery,
    /// The ledger entry to be marked when all of it is.
    pub(crate) seq: Option<u64>,
}

/// Carries one request of `account`, which was sent to `path`, through.
pub(crate) async fn exchange(
    server: &Server,
    account: &str,
    call: &Call,
    path: &str,
    connection: Connection,
) -> Outcome {
    let arrival = server.provider.borrow_mut().arrive(account, call, server.clock.now());
    let arrival = match arrival {
        Ok(arrival) => arrival,
        Err(lost) => return nowhere(server, lost, connection),
    };
    held(server, account, HoldPoint::BeforeCommit).await;
    pause(arrival.delay_ms).await;

    let settled = server.provider.borrow_mut().settle(account, call, &arrival, server.clock.now());
    let Some(settled) = settled else {
        return nowhere(server, Lost::Account, connection);
    };
    pause(settled.delay_ms).await;
    held(server, account, HoldPoint::AfterCommit).await;

    let place = Place { path, unix: server.clock.now().unix, connection };
    let fault = arrival.fault().map(|fault| &fault.kind);
    let delivery = delivery::plan(fault, settled.reply, place);
    Outcome { delivery, seq: Some(settled.seq) }
}

fn nowhere(server: &Server, lost: Lost, connection: Connection) -> Outcome {
    let place = Place { path: "", unix: server.clock.now().unix, connection };
    Outcome {
        delivery: Delivery::honest(&Reply::problem(404, &lost.to_string()), place),
        seq: None,
    }
}

async fn pause(ms: u64) {
    if ms > 0 {
        time::sleep(Duration::from_millis(ms)).await;
    }
}

/// Waits as long as requests of `account` are held at `point`.
async fn held(server: &Server, account: &str, point: HoldPoint) {
    let Some(mut changed) = server.provider.borrow().held_at(account, point) else { return };
    server.provider.borrow_mut().count_held(account, Tally::holds);
    loop {
        // A `Notified` sees every `notify_waiters` from its creation on, and nothing else runs
        // between the look at the state and here.
        changed.notified().await;
        match server.provider.borrow().held_at(account, point) {
            Some(next) => changed = next,
            None => break,
        }
    }
    server.provider.borrow_mut().count_held(account, Tally::lets_go);
}
