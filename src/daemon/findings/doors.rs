//! What an administrator should know of the doors: whether the bus serves, and which rules by unit
//! do not let in what they name.

use super::Steward;
use crate::bus::presence::Away;
use crate::bus::presence::Presence;
use crate::config::daemon::Bus;
use crate::protocol::daemon::Finding;
use crate::protocol::daemon::Severity;

impl Steward {
    /// Adds what there is to know.
    pub(super) fn door_findings(&self, findings: &mut Vec<Finding>) {
        let Presence { found, proof } = self.presence.borrow().clone();
        if let Some(Err(away)) = found {
            findings.extend(absence(self.opened.dbus, &away));
        }
        let weak = self.cast.weak_rules(proof);
        findings.extend(weak.iter().map(|rule| Finding {
            severity: Severity::Weakness,
            account: None,
            message: rule.to_string(),
            advice: rule.advice(),
        }));
    }
}

/// That programs do not find the daemon on its bus. A host without one works, and may never want
/// one.
fn absence(bus: Bus, away: &Away) -> Option<Finding> {
    let (which, user) = match bus {
        Bus::System => ("system's", ""),
        Bus::Session => ("session's", " --user"),
        Bus::Off => return None,
    };
    let severity = match away {
        Away::NoBus => Severity::Weakness,
        Away::Unreachable(_) | Away::Forbidden | Away::Taken | Away::Unanswered(_) => {
            Severity::Problem
        }
    };
    let advice = match away {
        Away::NoBus => "start a message bus, or set dbus = \"off\" in [daemon]".to_owned(),
        Away::Forbidden => {
            format!("have the bus read its policies again: systemctl{user} reload dbus")
        }
        Away::Taken => {
            format!("find that program by busctl{user} status org.tokenkeeper1, and end it")
        }
        Away::Unreachable(_) | Away::Unanswered(_) => {
            format!("look at the bus: systemctl{user} status dbus")
        }
    };
    let message = format!("programs do not find the daemon on the {which} bus: {away}");
    Some(Finding { severity, account: None, message, advice })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bus_that_does_not_serve_is_told_with_the_reason_and_what_to_type() {
        let told = |bus, away| {
            let Finding { severity, message, advice, .. } = absence(bus, &away).unwrap();
            format!("{severity:?}: {message}\n  {advice}\n")
        };
        let page = [
            told(Bus::System, Away::NoBus),
            told(Bus::System, Away::Forbidden),
            told(Bus::Session, Away::Taken),
            told(Bus::System, Away::Unreachable("it does not answer".to_owned())),
        ];
        insta::assert_snapshot!(page.concat(), @r#"
        Weakness: programs do not find the daemon on the system's bus: there is no bus
          start a message bus, or set dbus = "off" in [daemon]
        Problem: programs do not find the daemon on the system's bus: its policy does not give the daemon the name org.tokenkeeper1
          have the bus read its policies again: systemctl reload dbus
        Problem: programs do not find the daemon on the session's bus: another program has the name org.tokenkeeper1
          find that program by busctl --user status org.tokenkeeper1, and end it
        Problem: programs do not find the daemon on the system's bus: there is no connection to it: it does not answer
          look at the bus: systemctl status dbus
        "#);
        assert!(absence(Bus::Off, &Away::NoBus).is_none(), "nobody wants to be found");
    }
}
