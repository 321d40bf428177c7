//! Carries a provider's call to a program or a socket of the operator's.

use std::path::Path;
use std::time::Duration;

use tracing::warn;

use crate::message::Message;
use crate::programs;
use crate::programs::Answer;
use crate::programs::NotStarted;
use crate::programs::Program;
use crate::provider::call::Call;
use crate::provider::call::Called;
use crate::provider::call::Callee;
use crate::provider::call::MAX_ANSWER;

/// Makes the call, in `left` at the most. What the program had to say is logged here.
pub(super) async fn carry(call: Call, left: Duration) -> Called {
    let limit = call.limit.map_or(left, |limit| limit.min(left));
    let answer = match &call.callee {
        Callee::Program(argv) => {
            let program = Program {
                argv,
                environment: programs::whose(),
                input: Some(call.question),
                descriptor: None,
                hidden: call.hidden,
                longest: MAX_ANSWER,
                limit,
            };
            programs::run(program).await
        }
        Callee::Socket(path) => {
            programs::ask(Path::new(&**path), &call.question, MAX_ANSWER, limit).await
        }
    };
    if let Ok(answer) = &answer
        && !answer.report.is_empty()
    {
        let (account, program) = (&*call.account, call.callee.path());
        let event = Message::ProgramSaid.as_str();
        warn!(account, event, program, "the program says: {}", answer.report);
    }
    called(answer, call.callee.path())
}

fn called(answer: Result<Answer, NotStarted>, path: &str) -> Called {
    match answer {
        Ok(Answer { end: Ok(()), output, .. }) => Called::Answered(output),
        Ok(Answer { end: Err(cut), output, .. }) => {
            Called::Broken { output, why: format!("{path}: {cut}") }
        }
        Err(unasked) if unasked.is_missing() => Called::Missing(unasked.to_string()),
        Err(unasked) => Called::NotStarted(unasked.to_string()),
    }
}
