//! What a call is about, as far as rules matter to it.

use std::collections::HashMap;

use zbus::Message;
use zbus::Variant;

use crate::access::Right;
use crate::asking::Asker;
use crate::asking::matter::Matter;
use crate::keeper::Directory;

use super::dispatch::meant;
use super::method::Method;
use super::object::Object;

/// Whether the answer to a call may depend on the caller's unit, which nobody has looked up yet.
/// What cannot be read is refused whoever sent it.
pub(super) fn lacks_unit(asker: Asker<'_>, directory: &Directory, call: &Message) -> bool {
    let Ok((object, method)) = meant(call) else { return false };
    let body = call.body();
    let named = || {
        let read = body.deserialize::<(&str, HashMap<&str, Variant<'_>>)>();
        read.map_or("", |(name, _)| name)
    };
    let matter = match method {
        Method::GetToken | Method::OpenToken => Matter::Right(named(), Right::Read),
        Method::Refresh => Matter::Right(named(), Right::Refresh),
        Method::Report => Matter::Right(named(), Right::Report),
        Method::Pause | Method::Resume | Method::Retry => Matter::Account(named()),
        Method::Reload | Method::Set => Matter::Daemon,
        Method::ListAccounts | Method::GetManagedObjects => Matter::Everything,
        Method::WhoAmI => Matter::Itself,
        Method::Introspect | Method::Get | Method::GetAll => match &object {
            Object::Account(account) => Matter::Account(account.as_str()),
            Object::Accounts => Matter::Everything,
            Object::Manager | Object::Log | Object::Way(_) => Matter::Nothing,
        },
        Method::Ping | Method::GetMachineId => Matter::Nothing,
    };
    asker.lacks_unit(directory, matter)
}
