//! Collections: the list, one of them with its members and windows, and the forms that change them.

pub(super) mod detail;
pub(super) mod edit;
pub(super) mod list;
pub(super) mod windows;

use super::State;
use super::problem::Problem;
use crate::database::CollectionId;
use crate::database::views::CollectionDetail;

pub(super) fn parse_id(id: &str) -> Result<CollectionId, Problem> {
    id.parse().map_err(|_| Problem::bad_request(format!("{id:?} is no number of a collection.")))
}

async fn collection(state: &State, id: CollectionId) -> Result<CollectionDetail, Problem> {
    state.database().collection_detail(id).await?.ok_or_else(|| {
        let message = format!("There is no collection {id} on this site.");
        Problem::not_found(message, "Search for it in the list of collections: somebody may have removed it.")
    })
}
