//! The page of `doctor`: what does not work, what could be safer, and what was not looked at.

use serde::Serialize;
use tokenkeeper::error::foreign::shown;
use tokenkeeper::protocol::daemon::Finding;
use tokenkeeper::protocol::daemon::Severity;

use crate::print::Hue;
use crate::print::Style;
use crate::print::status::counted;

/// What an examination showed; with `--json` as it is.
#[derive(Serialize)]
pub(crate) struct Examination {
    /// Problems and weaknesses.
    pub(crate) findings: Vec<Finding>,
    /// What is as it is and nobody has to see to.
    pub(crate) notes: Vec<String>,
    /// What the caller may not look at, and who may; none if that was everything.
    pub(crate) unseen: Option<String>,
}

/// What was found, problems first.
pub(crate) fn page(seen: &Examination, style: Style) -> String {
    let Examination { findings, notes, unseen } = seen;
    let mut sorted = findings.iter().collect::<Vec<_>>();
    sorted.sort_by(|a, b| (a.severity, &a.account).cmp(&(b.severity, &b.account)));
    let mut page = String::new();
    for finding in sorted {
        let (word, hue) = match finding.severity {
            Severity::Problem => ("problem", Hue::Bad),
            Severity::Weakness => ("weakness", Hue::Middling),
        };
        page.push_str(&style.in_hue(hue, word));
        if let Some(account) = &finding.account {
            page.push_str(&format!(" of {}", shown(account)));
        }
        page.push_str(&format!(": {}\n  {}\n", shown(&finding.message), shown(&finding.advice)));
    }
    for note in notes {
        page.push_str(&format!("{}\n", shown(note)));
    }
    page.push_str(&format!("{}\n", verdict(findings, unseen.is_none())));
    if let Some(unseen) = unseen {
        page.push_str(&format!("{}\n", shown(unseen)));
    }
    page
}

fn verdict(findings: &[Finding], saw_all: bool) -> String {
    let problems = findings.iter().filter(|it| it.severity == Severity::Problem).count();
    let (problems, all) = (problems as u64, findings.len() as u64);
    match (all, saw_all) {
        (0, true) => "Nothing is wrong.".into(),
        (0, false) => "Nothing is wrong with what you may see.".into(),
        (all, _) => {
            let weaknesses = match all - problems {
                1 => "1 weakness".to_owned(),
                many => format!("{many} weaknesses"),
            };
            format!("{}, {weaknesses}.", counted(problems, "problem"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::print::sample::PLAIN;

    #[test]
    fn problems_come_first() {
        let findings = vec![
            finding(Severity::Weakness, None, "the store key is a file"),
            finding(Severity::Problem, Some("mail"), "it needs a login"),
        ];
        let notes = vec!["ci fails and is no problem yet".into()];
        insta::assert_snapshot!(page(&Examination { findings, notes, unseen: None }, PLAIN), @"
        problem of mail: it needs a login
          do something
        weakness: the store key is a file
          do something
        ci fails and is no problem yet
        1 problem, 1 weakness.
        ");
    }

    #[test]
    fn nothing_is_wrong_only_if_everything_was_looked_at() {
        let nothing = |unseen| Examination { findings: Vec::new(), notes: Vec::new(), unseen };
        insta::assert_snapshot!(page(&nothing(None), PLAIN), @"Nothing is wrong.");
        let unseen = Some("Not looked at: the store.".to_owned());
        insta::assert_snapshot!(page(&nothing(unseen), PLAIN), @"
        Nothing is wrong with what you may see.
        Not looked at: the store.
        ");
    }

    fn finding(severity: Severity, account: Option<&str>, message: &str) -> Finding {
        Finding {
            severity,
            account: account.map(Into::into),
            message: message.into(),
            advice: "do something".into(),
        }
    }
}
