//! A query that grows with the filters of a page: text and values side by side.

use farrier_protocol::{ClientId, DeploymentId, UpdateId};
use sqlx::any::AnyRow;
use sqlx::{AnyPool, AssertSqlSafe, Row as _};

/// A value of a query.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<UpdateId> for Value {
    fn from(id: UpdateId) -> Self {
        Self::Bytes(id.0.to_vec())
    }
}

impl From<DeploymentId> for Value {
    fn from(id: DeploymentId) -> Self {
        Self::Bytes(id.0.to_vec())
    }
}

impl From<ClientId> for Value {
    fn from(id: ClientId) -> Self {
        Self::Bytes(id.0.to_vec())
    }
}

/// A query under construction. Text is only ever ours; whatever comes from outside is a [`Value`].
#[derive(Debug, Clone, Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    pub(super) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends the placeholder of a value.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.text.push('$');
        self.text.push_str(&self.values.len().to_string());
        self
    }

    /// Appends a condition that each of the words occurs in one of the columns, whatever its case.
    pub(super) fn search(&mut self, words: &str, columns: &[&str], also: Option<&str>) -> &mut Self {
        if words.contains('\0') {
            // No stored text holds one, and the engines disagree about what to make of it.
            return self.push(" AND 1 = 0");
        }
        for word in words.split_whitespace().take(super::MAX_SEARCH_WORDS) {
            let pattern = contains(word);
            self.push(" AND (");
            for column in columns {
                self.push("LOWER(").push(column).push(") LIKE ").bind(pattern.as_str()).push(" ESCAPE '!' OR ");
            }
            match also {
                Some(subquery) => self.push(subquery).push(" LIKE ").bind(pattern).push(" ESCAPE '!'))"),
                None => self.push("1 = 0)"),
            };
        }
        self
    }

    pub(super) fn page(&mut self, page: i64) -> &mut Self {
        let offset = page.saturating_sub(1).saturating_mul(super::PAGE_ROWS);
        self.push(" LIMIT ").bind(super::PAGE_ROWS).push(" OFFSET ").bind(offset)
    }

    pub(super) async fn all(&self, pool: &AnyPool) -> Result<Vec<AnyRow>, sqlx::Error> {
        self.query().fetch_all(pool).await
    }

    pub(super) async fn optional(&self, pool: &AnyPool) -> Result<Option<AnyRow>, sqlx::Error> {
        self.query().fetch_optional(pool).await
    }

    /// The one number that the query answers.
    pub(super) async fn number(&self, pool: &AnyPool) -> Result<i64, sqlx::Error> {
        self.query().fetch_one(pool).await?.try_get(0)
    }

    /// How many rows all pages have, of which `page` has `rows`: counted by this query only where that does not say it.
    pub(super) async fn total(&self, pool: &AnyPool, page: i64, rows: usize) -> Result<i64, sqlx::Error> {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        if rows < super::PAGE_ROWS && (rows > 0 || page == 1) {
            return Ok((page - 1) * super::PAGE_ROWS + rows);
        }
        self.number(pool).await
    }

    fn query(&self) -> sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text.clone()));
        self.values.iter().fold(query, |query, value| match value {
            Value::Number(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.clone()),
            Value::Bytes(bytes) => query.bind(bytes.clone()),
        })
    }
}

/// The pattern of `LIKE` for text that contains `word`, with `!` as the escape.
fn contains(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len() + 2);
    pattern.push('%');
    for character in word.to_lowercase().chars() {
        if matches!(character, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

pub(super) fn update_id(row: &AnyRow, column: &str) -> Result<UpdateId, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    UpdateId::from_slice(&bytes).ok_or_else(|| super::unreadable(format!("{column} is no id of an update")))
}

pub(super) fn client_id(row: &AnyRow, column: &str) -> Result<ClientId, sqlx::Error> {
    let bytes: Vec<u8> = row.try_get(column)?;
    ClientId::from_slice(&bytes).ok_or_else(|| super::unreadable(format!("{column} is no id of a client")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_types_is_never_a_pattern_of_its_own() {
        assert_eq!(contains("100%_OK!"), "%100!%!_ok!!%");
    }

    #[test]
    fn a_value_is_never_part_of_the_text() {
        let mut sql = Sql::new("SELECT 1 FROM t WHERE a = ");
        sql.bind("x' OR 1").push(" AND b = ").bind(7);
        assert_eq!(sql.text, "SELECT 1 FROM t WHERE a = $1 AND b = $2");
    }
}
