//! The tables.

use super::plant::number;
use anyhow::ensure;
use farrier::database::Database;
use sqlx::Row as _;

scenarios![
    an_empty_database_is_migrated_and_nothing_is_in_it,
    numbers_bytes_texts_and_nothing_survive_the_way_into_a_table_and_back,
    deleting_a_client_deletes_all_it_reported,
];

async fn an_empty_database_is_migrated_and_nothing_is_in_it(database: Database) -> anyhow::Result<()> {
    ensure!(number(&database, "SELECT COUNT(*) FROM software_updates").await? == 0);
    ensure!(number(&database, "SELECT COUNT(*) FROM clients").await? == 0);
    ensure!(number(&database, "SELECT COUNT(*) FROM _sqlx_migrations").await? > 0);
    Ok(())
}

/// What the queries take for granted of sqlx's `Any` driver.
async fn numbers_bytes_texts_and_nothing_survive_the_way_into_a_table_and_back(
    database: Database,
) -> anyhow::Result<()> {
    let insert = "INSERT INTO suites (id, name, distribution, release, mirror, architectures, classification, follow, \
                  validator, imported, released_at) VALUES ($1, $2, $2, $2, $2, $2, $3, 0, $4, $5, $6)";
    let rows = [
        (i64::MAX, "ä\u{1F980}", -1, None, Some(vec![0, 255, 0]), Some(i64::MIN)),
        (1, "", 0, Some("x".to_owned()), None, None),
    ];
    for (id, name, number, text, bytes, time) in &rows {
        let query = sqlx::query(insert).bind(id).bind(*name).bind(number).bind(text.clone());
        query.bind(bytes.clone()).bind(time).execute(database.pool()).await?;
    }
    for (id, name, number, text, bytes, time) in rows {
        let row = sqlx::query("SELECT * FROM suites WHERE id = $1").bind(id).fetch_one(database.pool()).await?;
        ensure!(row.try_get::<String, _>("name")? == name);
        ensure!(row.try_get::<i64, _>("classification")? == number);
        ensure!(row.try_get::<Option<String>, _>("validator")? == text);
        ensure!(row.try_get::<Option<Vec<u8>>, _>("imported")? == bytes);
        ensure!(row.try_get::<Option<i64>, _>("released_at")? == time);
    }
    Ok(())
}

async fn deleting_a_client_deletes_all_it_reported(database: Database) -> anyhow::Result<()> {
    super::states::report_something(&database).await?;
    sqlx::query("DELETE FROM clients").execute(database.pool()).await?;
    for count in [
        "SELECT COUNT(*) FROM compliance_states",
        "SELECT COUNT(*) FROM findings",
        "SELECT COUNT(*) FROM client_plugins",
    ] {
        ensure!(number(&database, count).await? == 0, "{count}");
    }
    Ok(())
}
