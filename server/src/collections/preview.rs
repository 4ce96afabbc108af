//! Who would be in, before a collection is stored.

use super::{CollectionDefinition, CollectionError, checked};
use crate::database::views::as_text;
use crate::database::{ClientFacts, Database};
use farrier_protocol::{ClientId, UnixTime};
use serde::Serialize;

/// Members that a preview shows, at most.
pub const SHOWN_CLIENTS: usize = 50;

/// Who would be in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// How many clients would be in.
    pub members: i64,
    /// How many clients the site has.
    pub clients: i64,
    /// The first of the members, by host name.
    pub shown: Vec<PreviewedClient>,
}

/// A client that would be in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PreviewedClient {
    /// Its name.
    pub hostname: String,
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its operating system.
    pub operating_system: String,
    /// When it last talked to the site.
    pub last_contact_at: UnixTime,
}

/// Who would be a member of a collection with this definition. Included and excluded collections count as they were
/// last evaluated.
///
/// # Errors
/// When the definition makes no sense, or the database fails. An empty name is taken: it may come last.
pub async fn preview(
    database: &Database,
    definition: &CollectionDefinition,
    now: UnixTime,
) -> Result<Preview, CollectionError> {
    let named = CollectionDefinition { name: "preview".to_owned(), ..definition.clone() };
    let (definition, query) = checked(&named)?;
    let is_member = |client: &ClientFacts| {
        let is_in = |id| client.membership.member_of.contains(id);
        !definition.excludes.iter().any(is_in)
            && (definition.clients.contains(&client.id)
                || definition.includes.iter().any(is_in)
                || query.as_ref().is_some_and(|query| query.holds_for(client, now)))
    };
    let mut preview = Preview::default();
    let mut after = Some(0);
    while let Some(row) = after {
        let clients = database.client_facts(row).await?;
        after = clients.last().map(|client| client.row);
        preview.clients += i64::try_from(clients.len()).unwrap_or(i64::MAX);
        let members: Vec<_> = clients.iter().filter(|client| is_member(client)).map(PreviewedClient::of).collect();
        preview.members += i64::try_from(members.len()).unwrap_or(i64::MAX);
        preview.shown.extend(members);
        preview.shown.sort_unstable();
        preview.shown.truncate(SHOWN_CLIENTS);
    }
    Ok(preview)
}

impl PreviewedClient {
    fn of(client: &ClientFacts) -> Self {
        Self {
            hostname: client.hostname.clone(),
            id: client.id,
            operating_system: client.operating_system.clone(),
            last_contact_at: client.last_contact_at,
        }
    }
}
