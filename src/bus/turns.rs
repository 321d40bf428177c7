//! Whose question about a unit comes next: users take turns, whoever asks how often.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::ops::Bound;

use crate::attest::Question;
use crate::limits;
use crate::unit::NoUnit;

/// Questions that wait, by user.
#[derive(Default)]
pub(super) struct Turns {
    waiting: BTreeMap<u32, VecDeque<Question>>,
    /// Who had the last turn.
    last: Option<u32>,
}

impl Turns {
    /// Has a question wait, or answers it where as many wait as may.
    pub(super) fn take(&mut self, question: Question) {
        if !self.has_room_for(question.uid) {
            // Who has lost patience leaves room.
            self.waiting.retain(|_, own| {
                own.retain(|earlier| !earlier.reply.is_closed());
                !own.is_empty()
            });
        }
        if self.has_room_for(question.uid) {
            self.waiting.entry(question.uid).or_default().push_back(question);
        } else {
            // Who does not wait any more has hung up.
            let _heard = question.reply.send(Err(NoUnit::Crowded)).is_ok();
        }
    }

    fn has_room_for(&self, uid: u32) -> bool {
        let own = self.waiting.get(&uid).map_or(0, VecDeque::len);
        let all = self.waiting.values().map(VecDeque::len).sum::<usize>();
        own < limits::UNIT_QUESTIONS_PER_UID && all < limits::UNIT_QUESTIONS
    }

    /// The next question that somebody waits for.
    pub(super) fn next(&mut self) -> Option<Question> {
        loop {
            let question = self.front()?;
            if !question.reply.is_closed() {
                return Some(question);
            }
        }
    }

    /// The oldest question of the user after the one who had the last turn.
    fn front(&mut self) -> Option<Question> {
        let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
        let mut users = self.waiting.range((after, Bound::Unbounded)).map(|(uid, _)| *uid);
        let first = || self.waiting.first_key_value().map(|(uid, _)| *uid);
        let uid = users.next().or_else(first)?;
        self.last = Some(uid);
        let own = self.waiting.get_mut(&uid)?;
        let question = own.pop_front();
        if own.is_empty() {
            self.waiting.remove(&uid);
        }
        question
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::attest::Process;

    #[test]
    fn users_take_turns_whoever_asks_how_often() {
        let mut turns = Turns::default();
        let asked = [7, 7, 7, 7, 3, 9, 9];
        let _waiting = asked.map(|uid| ask(&mut turns, uid));
        let order = std::iter::from_fn(|| turns.next().map(|question| question.uid));
        assert_eq!(order.collect::<Vec<_>>(), [3, 7, 9, 7, 9, 7, 7]);
        assert!(turns.waiting.is_empty(), "nobody is remembered who has no question");
    }

    #[test]
    fn a_user_with_too_many_questions_is_told_so_and_nobody_else() {
        let mut turns = Turns::default();
        let most = limits::UNIT_QUESTIONS_PER_UID;
        let mut waiting = (0..most).map(|_| ask(&mut turns, 7)).collect::<Vec<_>>();
        assert_eq!(ask(&mut turns, 7).try_recv(), Ok(Err(NoUnit::Crowded)));
        assert!(ask(&mut turns, 8).try_recv().is_err(), "it waits");
        waiting.pop();
        assert!(ask(&mut turns, 7).try_recv().is_err(), "who left made room");
    }

    #[test]
    fn many_users_together_have_as_many_questions_as_may_wait_at_all() {
        let mut turns = Turns::default();
        let uids = 0..u32::try_from(limits::UNIT_QUESTIONS).unwrap();
        let _waiting = uids.map(|uid| ask(&mut turns, uid)).collect::<Vec<_>>();
        assert_eq!(ask(&mut turns, u32::MAX).try_recv(), Ok(Err(NoUnit::Crowded)));
    }

    #[test]
    fn a_question_that_nobody_waits_for_is_not_asked() {
        let mut turns = Turns::default();
        drop(ask(&mut turns, 7));
        let _waiting = ask(&mut turns, 8);
        assert_eq!(turns.next().map(|question| question.uid), Some(8));
        assert!(turns.next().is_none());
    }

    fn ask(turns: &mut Turns, uid: u32) -> oneshot::Receiver<Result<Box<str>, NoUnit>> {
        let (reply, answer) = oneshot::channel();
        let process = Process::numbered(std::process::id()).unwrap();
        turns.take(Question { process, uid, reply });
        answer
    }
}
