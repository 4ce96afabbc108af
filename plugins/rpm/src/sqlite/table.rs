//! The b-tree of a table.

use super::{
    bytes::{damaged, u16_at, u32_at, varint_at},
    pages::Pages,
    payload::Payload,
};
use alloc::{format, vec::Vec};
use farrier_plugin_sdk::Error;

/// Levels of a tree, at most. Each has four children at least, so SQLite, too, knows no tree that is higher.
const MAX_LEVELS: usize = 20;

const INTERIOR: u8 = 5;
const LEAF: u8 = 13;

/// What the visitor of rows is: it says whether it wants more.
pub type Visit<'a> = dyn FnMut(i64, &mut Payload<'_>) -> Result<bool, Error> + 'a;

/// Calls `visit` with the row id and the content of every row of the tree below this page.
pub fn walk(pages: &mut Pages, root: u32, visit: &mut Visit<'_>) -> Result<(), Error> {
    let mut levels = Vec::from([Level::read(pages, root)?]);
    let mut last_row = None;
    while let Some(level) = levels.last_mut() {
        if level.is_leaf() {
            for cell in 0..level.cells {
                if !level.visit_row(pages, cell, &mut last_row, visit)? {
                    return Ok(());
                }
            }
            levels.pop();
        } else if let Some(child) = level.next_child(pages)? {
            if levels.len() == MAX_LEVELS {
                return Err(damaged(pages.path(), child, &format!("more than {MAX_LEVELS} levels of pages above it")));
            }
            levels.push(Level::read(pages, child)?);
        } else {
            levels.pop();
        }
    }
    Ok(())
}

/// A page of the tree, and how far it is done.
struct Level {
    page: u32,
    bytes: Vec<u8>,
    /// Where the page's own header begins: behind the database's on the first page.
    header: usize,
    cells: usize,
    done: usize,
}

impl Level {
    fn read(pages: &mut Pages, page: u32) -> Result<Self, Error> {
        let bytes = pages.read(page)?;
        let header = if page == 1 { super::header::HEADER_BYTES } else { 0 };
        let cells = u16_at(&bytes, header + 3).map(usize::from);
        let kind = bytes.get(header).copied().unwrap_or_default();
        match (kind, cells) {
            (INTERIOR | LEAF, Some(cells)) => Ok(Self { page, bytes, header, cells, done: 0 }),
            _ => Err(damaged(pages.path(), page, &format!("a page of kind {kind} in the tree of a table"))),
        }
    }

    fn is_leaf(&self) -> bool {
        self.bytes[self.header] == LEAF
    }

    /// Where this cell begins.
    fn cell(&self, pages: &Pages, index: usize) -> Result<usize, Error> {
        let array = self.header + if self.is_leaf() { 8 } else { 12 };
        u16_at(&self.bytes, array + 2 * index)
            .map(usize::from)
            .filter(|at| (array + 2 * self.cells..self.bytes.len()).contains(at))
            .ok_or_else(|| self.damaged(pages, index))
    }

    /// The next page below this one; the right-most is the last.
    fn next_child(&mut self, pages: &Pages) -> Result<Option<u32>, Error> {
        let at = match self.done {
            done if done < self.cells => self.cell(pages, done)?,
            done if done == self.cells => self.header + 8,
            _ => return Ok(None),
        };
        self.done += 1;
        u32_at(&self.bytes, at).map(Some).ok_or_else(|| self.damaged(pages, self.done - 1))
    }

    /// Visits the row of a cell; false, if the visitor has enough.
    fn visit_row(
        &self,
        pages: &mut Pages,
        index: usize,
        last_row: &mut Option<i64>,
        visit: &mut Visit<'_>,
    ) -> Result<bool, Error> {
        let at = self.cell(pages, index)?;
        let parts = varint_at(&self.bytes, at).and_then(|(length, length_bytes)| {
            let (row, row_bytes) = varint_at(&self.bytes, at + length_bytes)?;
            Some((length, row.cast_signed(), at + length_bytes + row_bytes))
        });
        let Some((length, row, start)) = parts else { return Err(self.damaged(pages, index)) };
        if last_row.is_some_and(|last| row <= last) {
            return Err(damaged(pages.path(), self.page, &format!("row {row} is not in its place")));
        }
        *last_row = Some(row);
        let (local, next) =
            split(&self.bytes[start..], length, pages.usable_bytes()).ok_or_else(|| self.damaged(pages, index))?;
        visit(row, &mut Payload::new(pages, self.page, length, local, next))
    }

    fn damaged(&self, pages: &Pages, index: usize) -> Error {
        damaged(pages.path(), self.page, &format!("cell {index} does not fit into the page"))
    }
}

/// What a leaf has of a row's content, and the page that has more; 0, if it has all of it.
fn split(rest: &[u8], length: u64, usable: usize) -> Option<(&[u8], u32)> {
    let local = local_bytes(length, usable as u64);
    let content = rest.get(..usize::try_from(local).ok()?)?;
    if local == length { Some((content, 0)) } else { Some((content, u32_at(rest, content.len())?)) }
}

/// How many bytes of a row's content are in its leaf, by the format's formula.
fn local_bytes(length: u64, usable: u64) -> u64 {
    let most = usable - 35;
    if length <= most {
        return length;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let local = least + (length - least) % (usable - 4);
    if local <= most { local } else { least }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_content_goes_on_elsewhere() {
        for (length, usable, expected) in [
            (0, 4096, 0),
            (4061, 4096, 4061),
            (4062, 4096, 489),
            (4581, 4096, 489),
            (5000, 4096, 908),
            (477, 512, 477),
            (478, 512, 39),
            (u64::MAX, 512, 39 + (u64::MAX - 39) % 508),
        ] {
            assert_eq!(local_bytes(length, usable), expected.min(usable - 35), "{length} of {usable}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(split(&[1, 2, 3], 3, 512), Some((&[1, 2, 3][..], 0)));
        assert_eq!(split(&[1, 2, 3], 4, 512), None);
        let page = [7; 100];
        assert_eq!(split(&page, 478, 512), Some((&page[..39], 0x0707_0707)));
        assert_eq!(split(&page[..42], 478, 512), None, "the number of the next page is cut off");
    }
}
