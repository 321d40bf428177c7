//! Lives told by their logs: reviewing a change of behaviour means reading a diff of these tables.

mod ahead;
mod alarm;
mod aws;
mod chance;
mod doubt;
mod duties;
mod imports;
mod leaving;
mod lives;
mod moved;
mod orders;
mod refreshing;
mod release;
mod restart;
mod saving;
mod signing_in;
mod sim;
mod turn;
