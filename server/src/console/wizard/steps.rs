//! The steps of the deployment wizard, and which fields belong to which.

/// A step, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// What is deployed.
    Updates,
    /// Where its content comes from and how it is installed.
    Content,
    /// To whom.
    Collection,
    /// When.
    Schedule,
    /// Who first.
    Phases,
    /// All of it, before it is done.
    Review,
}

impl Step {
    pub(super) const ALL: [Self; 6] =
        [Self::Updates, Self::Content, Self::Collection, Self::Schedule, Self::Phases, Self::Review];

    /// The step of this word in a form.
    pub(super) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.word() == word)
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Updates => "updates",
            Self::Content => "content",
            Self::Collection => "collection",
            Self::Schedule => "schedule",
            Self::Phases => "phases",
            Self::Review => "review",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Updates => "Updates",
            Self::Content => "Content",
            Self::Collection => "Collection",
            Self::Schedule => "Schedule",
            Self::Phases => "Phases",
            Self::Review => "Review",
        }
    }

    /// What the step asks.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Updates => "What is deployed",
            Self::Content => "Where it comes from, and how it is installed",
            Self::Collection => "To whom",
            Self::Schedule => "When",
            Self::Phases => "Who first",
            Self::Review => "Review",
        }
    }

    pub(super) fn before(self) -> Option<Self> {
        Self::ALL.into_iter().rev().find(|step| *step < self)
    }

    pub(super) fn after(self) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step > self)
    }

    /// The step that shows a field, or the mistake in it. None for what no step shows.
    pub(super) fn of_field(field: &str) -> Option<Self> {
        let (group, _) = field.split_once('.').unwrap_or((field, ""));
        match group {
            "name" | "update" | "template" | "find" => Some(Self::Updates),
            "sources" | "download_ahead" | "roll_back" | "allow_removals" | "max_run_seconds" | "attempts" => {
                Some(Self::Content)
            }
            "collection" => Some(Self::Collection),
            "purpose"
            | "available"
            | "deadline"
            | "clock"
            | "random_delay_seconds"
            | "grace_seconds"
            | "restart"
            | "countdown"
            | "install_any_time"
            | "restart_any_time"
            | "notification" => Some(Self::Schedule),
            "phases" | "phase" => Some(Self::Phases),
            "keep_template" | "form" => Some(Self::Review),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::form::Form;
    use crate::deployment::settings::DeploymentSettings;

    #[test]
    fn every_setting_has_a_step() {
        let mut form = Form::default();
        super::super::settings::write(&DeploymentSettings::default(), &mut form);
        for (field, _) in form.pairs(|_| true) {
            assert!(Step::of_field(field).is_some(), "{field}");
        }
        assert_eq!(Step::of_field("phase.1.collection"), Some(Step::Phases));
        assert_eq!(Step::of_field("deadline.at"), Some(Step::Schedule));
        assert_eq!(Step::of_field("id"), None);
    }

    #[test]
    fn steps_lie_behind_each_other() {
        let mut walked = vec![Step::Updates];
        while let Some(next) = walked.last().and_then(|step| step.after()) {
            assert_eq!(next.before(), walked.last().copied());
            walked.push(next);
        }
        assert_eq!(walked, Step::ALL);
        assert!(Step::ALL.into_iter().all(|step| Step::of_word(step.word()) == Some(step)));
    }
}
