//! Derives an object's conditions and Events from its state. No I/O, no clock.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use shop_outbox::Trouble;

use super::super::{plan::Plan, problem::Problem};

const READY: &str = "Ready";
const PUBLISHING: &str = "Publishing";
const DEGRADED: &str = "Degraded";
const STARTING: &str = "Starting";
const NO_LEADER: &str = "NoLeader";

/// The state of an object.
pub(super) struct Situation<'a> {
    pub(super) planned: &'a Result<Plan, Problem>,
    /// Its publisher is at work, and reaches database and broker.
    pub(super) publishing: bool,
    pub(super) trouble: Option<&'a Trouble>,
    /// How many messages are dead; `None` until somebody has counted them.
    pub(super) dead: Option<i64>,
}

/// A condition without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    pub(super) holds: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Something to report as an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) warning: bool,
    pub(super) reason: &'static str,
    pub(super) note: String,
}

/// The three conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) ready: Finding,
    pub(super) publishing: Finding,
    pub(super) degraded: Finding,
    dead: i64,
    /// It may be over in a moment, and is only reported if it lasts.
    pub(super) passing: bool,
    /// During a first installation it may resolve itself: the object often exists before what it refers to.
    pub(super) may_be_early: bool,
}

impl Assessment {
    pub(super) fn of(situation: &Situation<'_>) -> Self {
        let (ready, publishing, reason, message) = match (situation.planned, situation.trouble) {
            (Err(problem), _) => (false, false, problem.reason(), problem.to_string()),
            (Ok(plan), _) if plan.paused => {
                (true, false, "Paused", "spec.paused is true: nothing is published".to_owned())
            }
            (Ok(plan), Some(trouble)) => {
                let (reason, message) = explain(plan, trouble);
                (false, false, reason, message)
            }
            (Ok(_), None) if situation.publishing => {
                (true, true, PUBLISHING, "messages are published as they are committed".to_owned())
            }
            (Ok(_), None) => (false, false, STARTING, "the publisher is taking over".to_owned()),
        };
        let dead = situation.dead.unwrap_or_default();
        let finding = |kind, holds| Finding { kind, holds, reason, message: message.clone() };
        Self {
            ready: finding(READY, ready),
            publishing: finding(PUBLISHING, publishing),
            degraded: degraded(dead),
            dead,
            // What the object says is known at once; everything else may be a hand-over, or a restart.
            passing: situation.planned.is_ok() && !ready,
            may_be_early: situation.planned.as_ref().err().is_none_or(Problem::may_pass),
        }
    }

    /// Nothing is wrong, but nothing is published yet.
    pub(super) fn is_starting(&self) -> bool {
        self.ready.reason == STARTING
    }

    pub(super) fn findings(&self) -> [&Finding; 3] {
        [&self.ready, &self.publishing, &self.degraded]
    }

    /// Whether a status or a reason has changed; the wording does not count.
    pub(super) fn differs_from(&self, conditions: &[Condition]) -> bool {
        self.findings().iter().any(|finding| {
            find(conditions, finding.kind).is_none_or(|condition| {
                condition.reason != finding.reason || condition.status != status(finding.holds)
            })
        })
    }

    /// The conditions, with the time of each one's last change kept.
    pub(super) fn conditions(
        &self,
        before: &[Condition],
        generation: Option<i64>,
        now: &Time,
    ) -> Vec<Condition> {
        let condition = |finding: &Finding| {
            let status = status(finding.holds);
            let since = find(before, finding.kind).filter(|before| before.status == status);
            Condition {
                type_: finding.kind.to_owned(),
                status: status.to_owned(),
                reason: finding.reason.to_owned(),
                message: finding.message.clone(),
                observed_generation: generation,
                last_transition_time: since.map_or_else(|| now.clone(), |at| at.last_transition_time.clone()),
            }
        };
        self.findings().map(condition).into()
    }

    /// The Event about what prevents publishing, if anything does.
    pub(super) fn warning(&self) -> Option<Notice> {
        let warning = !self.ready.holds && !self.is_starting();
        warning.then(|| Notice { warning, reason: self.ready.reason, note: self.ready.message.clone() })
    }

    /// What has changed since `before`, when so many messages were dead, and is worth an Event.
    pub(super) fn news(&self, before: &[Condition], dead_before: i64) -> Vec<Notice> {
        let mut news = Vec::new();
        let was = find(before, READY).map(|condition| condition.reason.as_str());
        if was != Some(self.ready.reason) {
            let note = self.ready.message.clone();
            news.extend(self.warning());
            match (self.ready.holds, self.publishing.holds) {
                (true, false) => news.push(Notice { warning: false, reason: self.ready.reason, note }),
                (true, true) if was.is_some_and(|reason| ![STARTING, NO_LEADER].contains(&reason)) => {
                    news.push(Notice { warning: false, reason: "PublishingResumed", note });
                }
                _ => {}
            }
        }
        if self.dead > dead_before {
            news.push(Notice { warning: true, reason: "MessagesDead", note: self.degraded.message.clone() });
        }
        news
    }
}

/// The conditions after a leader has left: whether they still hold is unknown.
pub(super) fn nobody_leads(before: &[Condition], now: &Time) -> Vec<Condition> {
    let unknown = |condition: &Condition| match condition.type_.as_str() {
        READY | PUBLISHING => Condition {
            status: "Unknown".to_owned(),
            reason: NO_LEADER.to_owned(),
            message: "its leader has stopped, and no other has reported yet".to_owned(),
            last_transition_time: now.clone(),
            ..condition.clone()
        },
        _ => condition.clone(),
    };
    before.iter().map(unknown).collect()
}

/// What prevents publishing, and what can be done about it.
fn explain(plan: &Plan, trouble: &Trouble) -> (&'static str, String) {
    match trouble {
        Trouble::NoOutbox(error) => no_outbox(plan, error),
        Trouble::Database(error) => (
            "DatabaseUnreachable",
            format!(
                "the database {:?} cannot be used: {error}; see whether it runs, and whether the Secret of \
                 spec.database.secretRef fits it",
                plan.database
            ),
        ),
        Trouble::Broker(error) => (
            "BrokerUnreachable",
            format!(
                "the broker {:?} cannot be used: {error}; see whether it runs, and whether the Secret of \
                 spec.broker.secretRef fits it",
                plan.broker
            ),
        ),
        Trouble::QueuesMissing(queues) => (
            "QueuesMissing",
            format!(
                "nothing is published before these queues of spec.requiredQueues exist at the broker {:?}: {}; a consuming service \
                 declares its queues when it starts, and with `migrate`",
                plan.broker,
                queues.join(", ")
            ),
        ),
        Trouble::Predecessor(error) => (STARTING, error.clone()),
        Trouble::Rival(error) => {
            ("AnotherPublisher", format!("{error}; an outbox is published by one object or process alone"))
        }
    }
}

fn no_outbox(plan: &Plan, error: &str) -> (&'static str, String) {
    (
        "OutboxNotFound",
        format!(
            "the database {:?} has no outbox in the schema {:?}: is spec.database.schema right, and has the service that writes \
             it brought the schema up to date? ({error})",
            plan.database, plan.schema
        ),
    )
}

fn degraded(dead: i64) -> Finding {
    let (reason, message) = match dead {
        0 => ("AsExpected", "no message is dead".to_owned()),
        dead => (
            "MessagesDead",
            format!(
                "{dead} dead, each holding back what follows in its aggregate: `outbox-controller list` shows why; have them \
                 tried again with the annotation {}",
                crate::object::REDRIVE
            ),
        ),
    };
    Finding { kind: DEGRADED, holds: dead > 0, reason, message }
}

fn status(holds: bool) -> &'static str {
    if holds { "True" } else { "False" }
}

fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// A length of time as kubectl writes it, coarser with its length, so that it seldom changes: `4s`, `5m`, `3h`, `2d`.
pub(super) fn age(seconds: f64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX).as_secs();
    match seconds {
        ..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / MINUTE),
        7_200..172_800 => format!("{}h", seconds / HOUR),
        _ => format!("{}d", seconds / DAY),
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::kubernetes::plan::tests::a_plan;

    fn assess(
        planned: &Result<Plan, Problem>,
        publishing: bool,
        trouble: Option<&Trouble>,
        dead: i64,
    ) -> Assessment {
        Assessment::of(&Situation { planned, publishing, trouble, dead: Some(dead) })
    }

    fn at(second: i64) -> Time {
        Time(Timestamp::from_second(second).unwrap())
    }

    fn reasons(assessment: &Assessment) -> [(bool, &'static str); 3] {
        assessment.findings().map(|finding| (finding.holds, finding.reason))
    }

    fn news(assessment: &Assessment, before: &[Condition]) -> Vec<(bool, &'static str)> {
        assessment
            .news(before, assessment.dead)
            .iter()
            .map(|notice| (notice.warning, notice.reason))
            .collect()
    }

    #[test]
    fn each_situation_has_its_conditions() {
        let (plan, paused) = (Ok(a_plan(false)), Ok(a_plan(true)));
        let working = assess(&plan, true, None, 0);
        assert_eq!(reasons(&working), [(true, "Publishing"), (true, "Publishing"), (false, "AsExpected")]);
        assert!(!working.passing);
        let idle = assess(&paused, false, None, 3);
        assert_eq!(reasons(&idle), [(true, "Paused"), (false, "Paused"), (true, "MessagesDead")]);
        let starting = assess(&plan, false, None, 0);
        assert_eq!(reasons(&starting), [(false, "Starting"), (false, "Starting"), (false, "AsExpected")]);
        assert!(starting.passing);
        for (trouble, reason) in [
            (Trouble::Database("connection refused".to_owned()), "DatabaseUnreachable"),
            (Trouble::NoOutbox("relation \"outbox_publishers\" does not exist".to_owned()), "OutboxNotFound"),
            (Trouble::NoOutbox("there is no schema \"ordres\"".to_owned()), "OutboxNotFound"),
            (Trouble::Broker("the broker is away".to_owned()), "BrokerUnreachable"),
            (Trouble::QueuesMissing(vec!["stock".to_owned()]), "QueuesMissing"),
            (Trouble::Rival("another publisher is connected".to_owned()), "AnotherPublisher"),
            (Trouble::Predecessor("the broker keeps a connection".to_owned()), "Starting"),
        ] {
            let troubled = assess(&plan, false, Some(&trouble), 0);
            assert_eq!(reasons(&troubled)[..2], [(false, reason), (false, reason)]);
            assert!(troubled.passing && !troubled.ready.message.contains("s3cret"));
        }
        let problem = Err(Problem::NoSecret { field: "spec.database.secretRef", secret: "db".to_owned() });
        let nowhere = assess(&problem, false, None, 0);
        assert_eq!(reasons(&nowhere)[..2], [(false, "SecretNotFound"), (false, "SecretNotFound")]);
        assert!(!nowhere.passing, "an object that cannot work is reported at once");
        assert!(nowhere.may_be_early, "the Secret may come");
        let wrong = Err(Problem::Spec { field: "batchSize", rule: "from 2 to 2000".to_owned() });
        assert!(!assess(&wrong, false, None, 0).may_be_early, "it does not mend itself");
    }

    #[test]
    fn the_time_of_a_condition_is_that_of_its_last_change_of_status() {
        let plan = Ok(a_plan(false));
        let trouble = Trouble::Broker("the broker is away".to_owned());
        let first = assess(&plan, true, None, 0).conditions(&[], Some(1), &at(1));
        let second = assess(&plan, true, Some(&trouble), 0).conditions(&first, Some(1), &at(2));
        let third = assess(&plan, true, Some(&Trouble::Database("away".to_owned())), 0);
        let third = third.conditions(&second, Some(2), &at(3));
        let times = |conditions: &[Condition]| -> Vec<i64> {
            conditions.iter().map(|condition| condition.last_transition_time.0.as_second()).collect()
        };
        assert_eq!(
            (times(&first), times(&second), times(&third)),
            (vec![1; 3], vec![2, 2, 1], vec![2, 2, 1])
        );
        assert!(third.iter().all(|condition| condition.observed_generation == Some(2)));
    }

    #[test]
    fn a_leader_that_leaves_takes_back_what_only_it_knew() {
        let plan = Ok(a_plan(false));
        let before = assess(&plan, true, None, 2).conditions(&[], Some(1), &at(1));
        let after = nobody_leads(&before, &at(2));
        let reported: Vec<_> =
            after.iter().map(|condition| (condition.status.as_str(), condition.reason.as_str())).collect();
        assert_eq!(reported, [("Unknown", "NoLeader"), ("Unknown", "NoLeader"), ("True", "MessagesDead")]);
        assert_eq!(news(&assess(&plan, true, None, 2), &after), [], "the next leader's election is the news");
    }

    #[test]
    fn only_what_has_changed_is_news() {
        let plan = Ok(a_plan(false));
        let trouble = Trouble::Broker("the broker is away".to_owned());
        let (working, troubled) = (assess(&plan, true, None, 0), assess(&plan, true, Some(&trouble), 0));
        assert_eq!(news(&working, &[]), [], "the election was reported");
        let before = working.conditions(&[], None, &at(1));
        assert!(!working.differs_from(&before) && troubled.differs_from(&before));
        assert_eq!(news(&troubled, &before), [(true, "BrokerUnreachable")]);
        let after_itself = Trouble::Predecessor("the broker keeps a connection".to_owned());
        assert_eq!(news(&assess(&plan, false, Some(&after_itself), 0), &before), []);
        let before = troubled.conditions(&before, None, &at(2));
        assert_eq!(news(&troubled, &before), []);
        assert_eq!(news(&working, &before), [(false, "PublishingResumed")]);
        assert_eq!(news(&assess(&Ok(a_plan(true)), false, None, 0), &before), [(false, "Paused")]);
    }

    #[test]
    fn each_more_dead_message_is_news_and_fewer_are_none() {
        let plan = Ok(a_plan(false));
        let before = assess(&plan, true, None, 0).conditions(&[], None, &at(1));
        for (was, is, expected) in [(0, 0, false), (0, 1, true), (1, 1, false), (1, 3, true), (3, 2, false)] {
            let news = assess(&plan, true, None, is).news(&before, was);
            assert_eq!(news.iter().any(|notice| notice.reason == "MessagesDead"), expected, "{was} to {is}");
        }
    }

    #[test]
    fn ages_are_as_kubectl_writes_them() {
        let ages = [0.0, 4.9, 119.0, 120.0, 7_199.0, 7_200.0, 172_799.0, 172_800.0, -1.0, f64::INFINITY];
        let written = ages.map(age);
        assert_eq!(written[..9], ["0s", "4s", "119s", "2m", "119m", "2h", "47h", "2d", "0s"]);
    }
}
