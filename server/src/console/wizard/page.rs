//! What the wizard's templates show.

use super::super::form::Form;
use super::super::frame::{Frame, Section};
use super::super::parameters::Choice;
use super::super::problem::Problem;
use super::super::{State, filters, spans};
use super::steps::Step;
use super::{settings, update_ids};
use crate::database::DeploymentTemplate;
use crate::database::views::{CollectionRow, PickedUpdate, UpdateFilter, UpdateRow};
use crate::deployment::settings::{ContentSource, Purpose, RestartBehaviour};
use crate::deployment::{NewDeployment, Review};
use askama::Template;

#[derive(Template)]
#[template(path = "wizard.html")]
pub(super) struct WizardPage {
    frame: Frame,
    form: Form,
    step: Step,
    picked: Vec<PickedUpdate>,
    /// What a search for more updates found.
    found: Option<Vec<UpdateRow>>,
    collections: Vec<CollectionRow>,
    templates: Vec<DeploymentTemplate>,
    review: Option<(NewDeployment, Review)>,
}

/// The files of all picked updates.
struct Size {
    files: i64,
    bytes: i64,
}

impl WizardPage {
    pub(super) async fn new(
        state: &State,
        mut form: Form,
        step: Step,
        review: Option<(NewDeployment, Review)>,
    ) -> Result<Self, Problem> {
        let database = state.database();
        let picked = database.picked_updates(&update_ids(&mut form)).await?;
        let found = match (step, form.get("find")) {
            (Step::Updates, search) if !search.is_empty() => {
                let filter = UpdateFilter { search: search.to_owned(), ..UpdateFilter::default() };
                let mut found = database.update_rows(&filter).await?.items;
                found.retain(|update| !picked.iter().any(|picked| picked.id == update.id));
                Some(found)
            }
            _ => None,
        };
        Ok(Self {
            frame: Frame::new(state, Section::Deployments),
            step,
            picked,
            found,
            collections: database.collection_rows().await?,
            templates: database.templates().await?,
            review,
            form,
        })
    }

    /// The fields of the other steps, which this one carries along.
    fn kept(&self) -> Vec<(&str, &str)> {
        let is_others = |field: &str| Step::of_field(field).is_some_and(|step| step != self.step);
        let mut kept = self.form.pairs(|field| field == "id" || is_others(field));
        kept.push(("found", self.form.get("find")));
        kept
    }

    fn trail_class(&self, step: Step) -> &'static str {
        if step == self.step && !self.form.is_right() {
            "bad"
        } else if step < self.step {
            "done"
        } else {
            ""
        }
    }

    fn collection_name(&self) -> Option<&str> {
        let chosen = |collection: &&CollectionRow| self.form.has("collection", collection.id);
        self.collections.iter().find(chosen).map(|collection| collection.name.as_str())
    }

    fn collection_choices(&self) -> Vec<Choice> {
        collection_choices(&self.collections)
    }

    fn clocks(&self) -> [Choice; 2] {
        clocks()
    }

    fn phase_count(&self) -> usize {
        settings::phase_count(&self.form)
    }

    fn phase(&self, index: &usize, name: &str) -> String {
        format!("phase.{index}.{name}")
    }

    fn size(&self) -> Size {
        let sum = |of: fn(&PickedUpdate) -> i64| self.picked.iter().map(of).sum();
        Size { files: sum(|update| update.files), bytes: sum(|update| update.bytes) }
    }
}

/// The collections that a phase can be made of.
pub(in super::super) fn collection_choices(collections: &[CollectionRow]) -> Vec<Choice> {
    let choice = |collection: &CollectionRow| Choice {
        word: collection.id.to_string(),
        label: format!("{} ({})", collection.name, filters::grouped(collection.members)),
        chosen: false,
    };
    collections.iter().map(choice).collect()
}

/// Whose clocks times can be on.
pub(in super::super) fn clocks() -> [Choice; 2] {
    [("client", "each client's own clock"), ("utc", "a clock in UTC")].map(|(word, label)| Choice {
        word: word.to_owned(),
        label: label.to_owned(),
        chosen: false,
    })
}

/// What somebody would call a deployment of these updates today.
pub(super) fn proposed_name(updates: &[PickedUpdate], now: i64) -> String {
    let date = filters::formatted(now, "%Y-%m-%d");
    match updates {
        [] => String::new(),
        [one] => one.title.clone(),
        [first, rest @ ..] => {
            let are_alike = rest.iter().all(|update| update.classification == first.classification);
            let what = if are_alike { first.classification.as_str() } else { "Updates" };
            format!("{what} {date}")
        }
    }
}

/// Sources of content in words.
pub(in super::super) fn sources_in_words(sources: &[ContentSource]) -> &'static str {
    match sources {
        [ContentSource::Upstream] => "upstream mirror",
        [ContentSource::Upstream, ..] => "upstream mirror, then distribution point",
        [_] => "distribution point",
        _ => "distribution point, then upstream mirror",
    }
}

/// A restart behaviour in words.
pub(in super::super) fn restart_in_words(restart: RestartBehaviour) -> String {
    match restart {
        RestartBehaviour::Suppress => "waits for somebody else's".to_owned(),
        RestartBehaviour::Ask => "users are asked".to_owned(),
        RestartBehaviour::Force { countdown_seconds: 0 } => "at once".to_owned(),
        RestartBehaviour::Force { countdown_seconds } => {
            format!("after a countdown of {}", spans::words(countdown_seconds.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Classification;
    use farrier_protocol::UpdateId;

    #[test]
    fn a_name_is_proposed_that_says_what_is_deployed() {
        let update = |title: &str, classification| PickedUpdate {
            id: UpdateId([0; 16]),
            title: title.to_owned(),
            suite: String::new(),
            classification,
            superseded: false,
            expired: false,
            required: 0,
            files: 0,
            bytes: 0,
        };
        let security = update("openssl 3.0.17", Classification::SecurityUpdates);
        let ordinary = update("bash 5.2", Classification::Updates);
        let now = 1_800_000_000;
        assert_eq!(proposed_name(&[], now), "");
        assert_eq!(proposed_name(std::slice::from_ref(&security), now), "openssl 3.0.17");
        assert_eq!(proposed_name(&[security.clone(), security.clone()], now), "Security Updates 2027-01-15");
        assert_eq!(proposed_name(&[security, ordinary], now), "Updates 2027-01-15");
    }
}
