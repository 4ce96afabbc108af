//! `farrier collection`: collections and who is in.

use crate::collections::{self, CollectionDefinition, CollectionError, CollectionId, Preview, QueryError};
use crate::config::Config;
use crate::database::{Database, now};
use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use std::collections::BTreeSet;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the collections.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Show a collection and its members.
    Show {
        /// The collection, by name or number.
        collection: String,
        /// Which page of the members.
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        page: i64,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Make a collection.
    Create {
        /// Its name.
        name: String,
        #[command(flatten)]
        members: Members,
    },
    /// Replace who is in: everything that is not written is no longer so.
    Change {
        /// The collection, by name or number.
        collection: String,
        /// Give it this name.
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[command(flatten)]
        members: Members,
    },
    /// Show who would be in, without making anything.
    Preview {
        #[command(flatten)]
        members: Members,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove a collection with its maintenance windows.
    Remove {
        /// The collection, by name or number.
        collection: String,
    },
}

/// Who is in.
#[derive(Debug, Args)]
pub(super) struct Members {
    /// What the collection is for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Whoever this query holds for: 'release = bookworm and tag = web'.
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// A client, by host name or id.
    #[arg(long = "client", value_name = "CLIENT")]
    clients: Vec<String>,
    /// The members of another collection, by name or number.
    #[arg(long = "include", value_name = "COLLECTION")]
    includes: Vec<String>,
    /// But none of the members of another collection.
    #[arg(long = "exclude", value_name = "COLLECTION")]
    excludes: Vec<String>,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    match command {
        Command::List { json } => list(&database, json).await,
        Command::Show { collection, page, json } => show(&database, &collection, page, json).await,
        Command::Create { name, members } => {
            let definition = members.definition(&database, name).await?;
            let preview = preview(&database, &definition).await?;
            let id = collections::create(&database, &definition, now()).await;
            let id = id.map_err(|error| in_words(error, &definition))?;
            super::say(format_args!("Collection {id}, {}, is made: {}.", definition.name, in_all(&preview)))
        }
        Command::Change { collection, rename, members } => {
            let id = find(&database, &collection).await?;
            let stored = database.collection_definition(id).await?.context("the collection is gone")?;
            let definition = members.definition(&database, rename.unwrap_or(stored.name)).await?;
            let preview = preview(&database, &definition).await?;
            let changed = collections::change(&database, id, &definition, now()).await;
            changed.map_err(|error| in_words(error, &definition))?;
            super::say(format_args!("Collection {id}, {}, is changed: {}.", definition.name, in_all(&preview)))
        }
        Command::Preview { members, json } => {
            let definition = members.definition(&database, String::new()).await?;
            let preview = preview(&database, &definition).await?;
            if json { super::say(serde_json::to_string(&preview)?) } else { print(&preview) }
        }
        Command::Remove { collection } => {
            let id = find(&database, &collection).await?;
            collections::remove(&database, id, now()).await?;
            super::say(format_args!("Collection {id} is removed."))
        }
    }
}

impl Members {
    async fn definition(self, database: &Database, name: String) -> anyhow::Result<CollectionDefinition> {
        let mut clients = BTreeSet::new();
        for client in &self.clients {
            clients.insert(super::client::find(database, client).await?);
        }
        Ok(CollectionDefinition {
            name,
            description: self.description,
            query: self.query,
            clients,
            includes: find_all(database, &self.includes).await?,
            excludes: find_all(database, &self.excludes).await?,
        })
    }
}

/// The collection with this name, else with this number.
pub(super) async fn find(database: &Database, collection: &str) -> anyhow::Result<CollectionId> {
    if let Some(id) = database.collection_named(collection).await? {
        return Ok(id);
    }
    match collection.parse::<CollectionId>() {
        Ok(id) if database.collection_exists(id).await? => Ok(id),
        _ => bail!("there is no collection {collection:?}: `farrier collection list` shows them"),
    }
}

async fn find_all(database: &Database, collections: &[String]) -> anyhow::Result<BTreeSet<CollectionId>> {
    let mut found = BTreeSet::new();
    for collection in collections {
        found.insert(find(database, collection).await?);
    }
    Ok(found)
}

async fn preview(database: &Database, definition: &CollectionDefinition) -> anyhow::Result<Preview> {
    collections::preview(database, definition, now()).await.map_err(|error| in_words(error, definition))
}

/// The error; one of a query with the place it is about.
fn in_words(error: CollectionError, definition: &CollectionDefinition) -> anyhow::Error {
    match (error, definition.query.as_deref()) {
        (CollectionError::Query(error), Some(query)) => pointing(&error, query),
        (error, _) => error.into(),
    }
}

fn pointing(error: &QueryError, query: &str) -> anyhow::Error {
    let place = error.pointing_into(query).replace('\n', "\n  ");
    anyhow!("the query cannot be read:\n  {place}\n{}", error.message)
}

fn in_all(preview: &Preview) -> String {
    format!("{} of {} clients are in", preview.members, preview.clients)
}

async fn list(database: &Database, json: bool) -> anyhow::Result<()> {
    let rows = database.collection_rows().await?;
    if json {
        return super::say(serde_json::to_string(&rows)?);
    }
    super::say(format_args!("{:>6}  {:<32} {:>9}  QUERY", "NUMBER", "NAME", "MEMBERS"))?;
    for row in rows {
        let query = row.query.unwrap_or_default();
        super::say(format!("{:>6}  {:<32} {:>9}  {query}", row.id.to_string(), row.name, row.members).trim_end())?;
    }
    Ok(())
}

async fn show(database: &Database, collection: &str, page: i64, json: bool) -> anyhow::Result<()> {
    let id = find(database, collection).await?;
    let detail = database.collection_detail(id).await?.context("the collection is gone")?;
    let members = database.collection_members(id, "", page).await?;
    if json {
        let mut shown = serde_json::to_value(&detail)?;
        shown["member_page"] = serde_json::to_value(&members)?;
        return super::say(shown);
    }
    super::say(format_args!("{} (number {id})", detail.row.name))?;
    let names = |links: &[crate::database::views::CollectionLink]| {
        links.iter().map(|link| link.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    for (what, text) in [
        ("For", detail.row.description.clone()),
        ("Query", detail.row.query.clone().unwrap_or_default()),
        ("Includes", names(&detail.includes)),
        ("Excludes", names(&detail.excludes)),
        ("Used by", names(&detail.used_by)),
    ] {
        if !text.is_empty() {
            super::say(format_args!("{what:<9} {text}"))?;
        }
    }
    if !detail.row.evaluated {
        super::say("Its definition has just changed: the members are those of before until the site has looked.")?;
    }
    let pages = if members.pages > 1 { format!(", page {page} of {}", members.pages) } else { String::new() };
    super::say(format_args!("Members   {}{pages}", detail.row.members))?;
    for member in &members.items {
        super::say(format_args!("  {}  {:<32} {}", member.id, member.hostname, member.operating_system))?;
    }
    Ok(())
}

fn print(preview: &Preview) -> anyhow::Result<()> {
    super::say(format_args!("{}:", in_all(preview)))?;
    for client in &preview.shown {
        super::say(format_args!("  {}  {:<32} {}", client.id, client.hostname, client.operating_system))?;
    }
    let shown = i64::try_from(preview.shown.len())?;
    if preview.members > shown {
        super::say(format_args!("  and {} more", preview.members - shown))?;
    }
    Ok(())
}
