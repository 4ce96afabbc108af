//! A SQLite database in a file of the endpoint, read only: just as much of the [file format] as rpm's database needs.
//!
//! It takes no locks, which a reader in a sandbox could not. In their place it looks before and after whether anybody
//! wrote (see [`Database::is_unchanged`]). What it does not know is an error that says where, never a guess.
//!
//! [file format]: https://www.sqlite.org/fileformat2.html

mod bytes;
mod header;
mod pages;
mod payload;
mod record;
mod stamp;
mod table;
mod wal;

pub use payload::{Payload, Prefix};
pub use record::{Column, Kind, Record};

use alloc::format;
use farrier_plugin_sdk::{Error, Facts};
use pages::Pages;
use stamp::Stamp;

/// The page where the table of tables begins.
const SCHEMA_ROOT: u32 = 1;

/// One committed state of a database.
pub struct Database {
    pages: Pages,
    stamp: Stamp,
}

impl Database {
    /// Opens the database at this absolute path of the endpoint, with what its write-ahead log has committed.
    ///
    /// # Errors
    /// What is missing, damaged or not understood. [`Error::NotFound`] if there is no such file.
    pub fn open(facts: &dyn Facts, path: &str) -> Result<Self, Error> {
        let stamp = Stamp::take(facts, path)?;
        let pages = Pages::open(facts, path)?;
        Ok(Self { pages, stamp })
    }

    /// Calls `visit` with the row id and the content of every row of a table, in their order, until it says `false`.
    ///
    /// # Errors
    /// If there is no such table, if it is damaged or not understood, and what `visit` fails with.
    pub fn for_each_row(
        &mut self,
        table: &str,
        visit: &mut dyn FnMut(i64, &mut Payload<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let root = self.root_of(table)?;
        table::walk(&mut self.pages, root, visit)
    }

    /// Whether nobody has committed anything since [`open`](Self::open): only then is what was read one state of the
    /// database, and not a mixture of two.
    ///
    /// # Errors
    /// If the files cannot be read.
    pub fn is_unchanged(&self, facts: &dyn Facts) -> Result<bool, Error> {
        Ok(Stamp::take(facts, self.pages.path())? == self.stamp && !self.pages.has_newer_commit(facts)?)
    }

    /// The page where the b-tree of a table begins, as the table of tables has it.
    fn root_of(&mut self, table: &str) -> Result<u32, Error> {
        let mut root = None;
        table::walk(&mut self.pages, SCHEMA_ROOT, &mut |_, row| {
            let record = Record::read(row)?;
            // type, name, tbl_name, rootpage, sql
            if record.text(row, 0)? == "table" && record.text(row, 1)? == table {
                root = Some(record.integer(row, 3)?);
            }
            Ok(root.is_none())
        })?;
        let path = self.pages.path();
        let root = root.ok_or_else(|| Error::Invalid(format!("{path} has no table `{table}`")))?;
        u32::try_from(root).map_err(|_| Error::Invalid(format!("{path}: the table `{table}` begins at page {root}")))
    }
}
