//! What the site database must do, whichever engine runs it.

use farrier::database::Database;
use std::pin::Pin;

/// A running scenario.
type Running = Pin<Box<dyn Future<Output = anyhow::Result<()>>>>;

/// One claim about the database, checked on an empty, migrated one.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub run: fn(Database) -> Running,
}

/// Lists the scenarios of a file: `scenarios![a_claim, another_claim];`
macro_rules! scenarios {
    ($($claim:ident),* $(,)?) => {
        pub fn all() -> Vec<crate::scenarios::Scenario> {
            vec![$(crate::scenarios::Scenario {
                name: concat!(module_path!(), "::", stringify!($claim)),
                run: |database| Box::pin($claim(database)),
            }),*]
        }
    };
}

mod clients;
mod console;
mod migrations;
mod plant;
mod publications;
mod states;
mod synchronization;
mod tokens;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        clients::all(),
        console::all(),
        migrations::all(),
        publications::all(),
        states::all(),
        synchronization::all(),
        tokens::all(),
    ]
    .concat()
}
