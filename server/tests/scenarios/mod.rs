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

mod authored;
mod clients;
mod clones;
mod collections;
mod console;
mod contents;
mod deployment_rules;
mod deployments;
mod enforcement;
mod identity;
mod keys;
mod migrations;
mod plant;
mod plant_deployments;
mod plant_plugins;
mod plugins;
mod policies;
mod polls;
mod publications;
mod python_tuf;
mod roll_outs;
mod shadows;
mod signing;
mod states;
mod synchronization;
mod tokens;
mod windows;

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    [
        authored::all(),
        clients::all(),
        clones::all(),
        collections::all(),
        console::all(),
        contents::all(),
        deployment_rules::all(),
        deployments::all(),
        enforcement::all(),
        identity::all(),
        keys::all(),
        migrations::all(),
        plugins::all(),
        policies::all(),
        polls::all(),
        publications::all(),
        python_tuf::all(),
        roll_outs::all(),
        shadows::all(),
        signing::all(),
        states::all(),
        synchronization::all(),
        tokens::all(),
        windows::all(),
    ]
    .concat()
}
