//! What calls leave behind on the stack of their thread, overwritten.
//!
//! A secret lies in memory that is wiped when it goes: its own ([`Secret`](crate::token::Secret)),
//! and what libraries copy of it on the heap by the allocator of the daemon, which wipes whatever
//! is given back. On the stack nobody wipes. A cipher works on the last, incomplete block of a
//! text in a place of its own, and the last thing in a stored generation is its refresh token.
//!
//! A thread that handles refresh tokens therefore overwrites what its calls have used, before it
//! waits for more. A call that is under way keeps what it needs: its frames lie above.

use std::hint::black_box;

/// How deep the calls of one piece of work go, in bytes: a whole exchange, TLS included, takes
/// less than half of it. It is a thirty-second part of the stack that a thread is given.
const DEPTH: usize = 64 * 1024;

/// Overwrites the stack below the caller.
#[inline(never)]
pub fn wipe() {
    let mut room = [0_u8; DEPTH];
    // The compiler must not find out that nobody reads it.
    black_box(&mut room);
}
