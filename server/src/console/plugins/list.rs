//! `/plugins`: every plugin, which version counts, what is tried, and what asks for an administrator.

use super::super::frame::{Frame, Section, html};
use super::super::parameters::Parameters;
use super::super::problem::Problem;
use super::super::{State, filters};
use crate::database::views::PluginRow;
use crate::plugins::PublisherRow;
use askama::Template;
use axum::extract::State as Shared;
use axum::response::Html;

#[derive(Template)]
#[template(path = "plugins.html")]
struct PluginsPage {
    frame: Frame,
    list: Vec<PluginRow>,
    publishers: Vec<PublisherRow>,
}

pub(in super::super) async fn page(
    Shared(state): Shared<State>,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    parameters.finish()?;
    let list = state.database().plugins().await?;
    let publishers = state.plugins().publishers().await?;
    html(&PluginsPage { frame: Frame::new(&state, Section::Plugins), list, publishers })
}

impl PluginsPage {
    /// Whether there is a version newer than the one that counts, and nobody tries it.
    fn is_behind(plugin: &PluginRow) -> bool {
        let is_tried = [&plugin.canary, &plugin.shadow].into_iter().flatten().any(|it| it.version == plugin.newest);
        !is_tried && plugin.current.as_ref().is_some_and(|current| *current != plugin.newest)
    }

    /// Whether nothing about it asks for an administrator.
    fn is_well(plugin: &PluginRow) -> bool {
        let numbers = [plugin.failing, plugin.fallen_back, plugin.cannot_run, plugin.differing];
        plugin.undecided == 0 && numbers == [0; 4]
    }
}
