//! `/plugins/{name}`: one plugin with its versions, what they ask for, how they fare, and its clients.

use super::super::frame::{Frame, Section, html};
use super::super::parameters::{Address, Choice, Parameters};
use super::super::problem::Problem;
use super::super::{State, filters};
use super::{address, unknown};
use crate::database::views::{
    CollectionRow, Page, PluginClientFilter, PluginClientRow, PluginDetail, PluginRow, PluginVersionRow, TopDifference,
    VersionClients,
};
use crate::database::{Trial, TrialFigures};
use crate::plugins::{FARRIER, GrantStanding, has_shown};
use askama::Template;
use axum::extract::{Path, State as Shared};
use axum::response::Html;
use farrier_runtime::World;

/// Updates with differences that are shown.
const SHOWN_DIFFERENCES: usize = 6;
/// Bytes of a version in an address, at most.
const MAX_VERSION_BYTES: usize = 200;

#[derive(Template)]
#[template(path = "plugin.html")]
struct PluginPage {
    frame: Frame,
    plugin: PluginDetail,
    versions: Vec<VersionCard>,
    /// What is approved and the newest version does not ask for, with its access.
    others: Vec<String>,
    collections: Vec<CollectionRow>,
    filter: PluginClientFilter,
    list: Page<PluginClientRow>,
}

/// A version with what may be done with it.
struct VersionCard {
    row: PluginVersionRow,
    figures: TrialFigures,
    may_be_canary: bool,
    may_be_shadow: bool,
    may_be_promoted: bool,
    /// Neither shadow nor canary has shown anything of it.
    is_untried: bool,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    let filter = parse(parameters)?;
    let database = state.database();
    let plugin = database.plugin(&name).await?.ok_or_else(|| unknown(&name))?;
    let figures = database.plugin_trial_figures(&name).await?;
    let card = |row: &PluginVersionRow| {
        VersionCard::of(&plugin.row, row.clone(), figures.get(&row.version).copied().unwrap_or_default())
    };
    let versions = plugin.version_rows.iter().map(card).collect();
    let others = state.plugins().approval(&name, None).await?.others;
    let collections = database.collection_rows().await?;
    let list = database.plugin_clients(&name, &filter).await?;
    let frame = Frame::new(&state, Section::Plugins);
    html(&PluginPage { frame, plugin, versions, others, collections, filter, list })
}

fn parse(mut parameters: Parameters) -> Result<PluginClientFilter, Problem> {
    let version = parameters.text("version")?;
    if version.as_ref().is_some_and(|version| version.len() > MAX_VERSION_BYTES || version.contains('\0')) {
        return Err(Problem::bad_request("version is no version of a plugin.".to_owned()));
    }
    let filter = PluginClientFilter {
        search: parameters.search()?,
        version,
        failed: parameters.flag("failed")?,
        page: parameters.page()?,
    };
    parameters.finish()?;
    Ok(filter)
}

impl VersionCard {
    fn of(plugin: &PluginRow, row: PluginVersionRow, figures: TrialFigures) -> Self {
        let is = |role: &str| row.roles.contains(&role);
        let (is_decided, counts) = (row.undecided == 0, is("current"));
        let may_be_tried = is_decided && !counts;
        let world = if plugin.world == World::Installer.as_str() { World::Installer } else { World::Applicability };
        let has_shown = |trial: Trial| is(trial.as_str()) && has_shown(trial, world, &figures);
        let was_seen = has_shown(Trial::Canary) || has_shown(Trial::Shadow) || is("previous");
        Self {
            may_be_canary: may_be_tried,
            may_be_shadow: may_be_tried && world == World::Applicability && plugin.current.is_some(),
            may_be_promoted: may_be_tried,
            is_untried: !was_seen && plugin.current.is_some(),
            row,
            figures,
        }
    }

    fn is(&self, role: &str) -> bool {
        self.row.roles.contains(&role)
    }

    /// Whether it is open when the page is: what is in use, and what waits for a decision.
    fn is_open(&self) -> bool {
        !self.row.roles.is_empty() || self.row.undecided > 0
    }

    fn is_in_box(&self) -> bool {
        self.row.publisher == FARRIER
    }

    /// Whether there is an answer about it that is not as it should be.
    fn has_shown_faults(&self) -> bool {
        self.figures.differing > 0 || self.figures.shadow_failures > 0
    }
}

impl PluginPage {
    /// The updates on which most clients differ; their own page shows all.
    fn shown_differences(&self) -> impl Iterator<Item = &TopDifference> {
        self.plugin.shadow_summary.iter().flat_map(|shadow| shadow.top.iter().take(SHOWN_DIFFERENCES))
    }

    fn is_installer(&self) -> bool {
        self.plugin.row.world == World::Installer.as_str()
    }

    /// Whether there is a step that can be taken back.
    fn can_roll_back(&self) -> bool {
        self.plugin.row.canary.is_some() || self.plugin.row.previous.is_some()
    }

    fn is_filtered(&self) -> bool {
        !self.filter.search.is_empty() || self.filter.version.is_some() || self.filter.failed
    }

    fn clients_address(&self, filter: &PluginClientFilter) -> String {
        let address = Address::new(&address(&self.plugin.row.name))
            .with("search", &filter.search)
            .with("version", filter.version.as_deref().unwrap_or_default())
            .with("failed", if filter.failed { "1" } else { "" });
        address.with_page(filter.page).into_string() + "#clients"
    }

    fn page_address(&self, page: i64) -> String {
        self.clients_address(&PluginClientFilter { page, ..self.filter.clone() })
    }

    fn version_address(&self, version: &VersionClients) -> String {
        let version = Some(version.version.clone());
        self.clients_address(&PluginClientFilter { version, ..PluginClientFilter::default() })
    }

    fn failed_address(&self) -> String {
        self.clients_address(&PluginClientFilter { failed: true, ..PluginClientFilter::default() })
    }

    fn difference_address(&self, update: impl std::fmt::Display) -> String {
        let path = format!("{}/differences", address(&self.plugin.row.name));
        Address::new(&path).with("update", &update.to_string()).into_string()
    }

    fn version_choices(&self) -> Vec<Choice> {
        let choice = |running: &VersionClients| Choice {
            word: running.version.clone(),
            label: running.version.clone(),
            chosen: self.filter.version.as_ref() == Some(&running.version),
        };
        let mut choices: Vec<Choice> = self.plugin.row.running.iter().map(choice).collect();
        // Also one that no client has any more: what is filtered by is shown.
        let unknown = self.filter.version.clone().filter(|_| !choices.iter().any(|choice| choice.chosen));
        choices.extend(unknown.map(|version| Choice { word: version.clone(), label: version, chosen: true }));
        choices
    }
}

/// The class of the mark beside a grant.
fn mark(standing: GrantStanding) -> &'static str {
    match standing {
        GrantStanding::Approved => "installed",
        GrantStanding::Refused => "ended",
        GrantStanding::Undecided => "unknown",
    }
}

/// Whether a homepage is an address that a browser may be led to.
fn is_web(address: &str) -> bool {
    address.starts_with("https://") || address.starts_with("http://")
}
