//! What every page has around its content.

use super::State;
use super::assets;
use crate::database::now;
use crate::keys::Notice;
use axum::response::Html;

/// The entry of the navigation that a page belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Updates,
    Clients,
    Collections,
    Deployments,
    Plugins,
    Synchronization,
    Keys,
    None,
}

impl Section {
    /// The navigation: section, address, label.
    pub(super) const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Overview, "/", "Overview"),
        (Self::Updates, "/updates", "Updates"),
        (Self::Clients, "/clients", "Clients"),
        (Self::Collections, "/collections", "Collections"),
        (Self::Deployments, "/deployments", "Deployments"),
        (Self::Plugins, "/plugins", "Plugins"),
        (Self::Synchronization, "/synchronization", "Synchronization"),
        (Self::Keys, "/keys", "Trust"),
    ];
}

/// The frame of one page.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) site: String,
    pub(super) section: Section,
    /// What of the site's keys asks for an administrator.
    pub(super) notices: Vec<Notice>,
    /// One time for the whole page, so that its "5 min ago" agree.
    pub(super) now: i64,
}

impl Frame {
    pub(super) fn new(state: &State, section: Section) -> Self {
        let (site, notices) = (state.console.site_name.clone(), state.notices.known());
        Self { site, section, notices, now: now() }
    }

    pub(super) fn is_about_keys(&self) -> bool {
        self.section == Section::Keys
    }

    // Methods, as that is what templates call.
    #[allow(clippy::unused_self)]
    pub(super) fn assets(&self) -> &'static assets::Addresses {
        &assets::ADDRESSES
    }
}

/// A rendered page.
pub(super) fn html(template: &impl askama::Template) -> Result<Html<String>, super::problem::Problem> {
    Ok(Html(template.render()?))
}
