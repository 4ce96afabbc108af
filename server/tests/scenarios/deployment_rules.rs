//! Automatic deployment rules, update groups and templates.

use super::plant::{self, NOW, number};
use super::plant_deployments::{everybody, pass, site};
use anyhow::{Context as _, ensure};
use farrier::database::{ALL_CLIENTS, Database, Requester};
use farrier::deployment::rules::RuleFilter;
use farrier::deployment::settings::DeploymentSettings;
use farrier::deployment::{DeploymentError, NewGroup, NewRule, Selection};

scenarios![
    a_rule_deploys_what_a_synchronization_brings_once,
    a_rule_runs_in_one_process_only,
    a_disabled_rule_does_not_run,
    a_rule_that_cannot_be_is_refused,
    an_update_group_that_is_deployed_stays,
    updates_that_leave_a_group_are_published_anew,
    a_template_is_kept_as_it_was_written,
];

fn rule() -> NewRule {
    NewRule {
        name: "Security".to_owned(),
        enabled: true,
        filter: RuleFilter { title: vec!["ssl".to_owned()], ..RuleFilter::default() },
        collection: ALL_CLIENTS,
        settings: DeploymentSettings::default(),
    }
}

/// A synchronization that has ended.
async fn synchronized(database: &Database) -> anyhow::Result<()> {
    database.request_sync(Requester::Administrator).await?;
    sqlx::query("UPDATE sync_runs SET started_at = $1, finished_at = $1").bind(NOW).execute(database.pool()).await?;
    Ok(())
}

async fn outcome(database: &Database) -> anyhow::Result<String> {
    Ok(database.rules().await?[0].outcome.clone().unwrap_or_default())
}

const DEPLOYMENTS: &str = "SELECT COUNT(*) FROM deployments";

async fn a_rule_deploys_what_a_synchronization_brings_once(database: Database) -> anyhow::Result<()> {
    plant::updates(&database, &["openssl", "bash"]).await?;
    synchronized(&database).await?;
    let site = site(&database);
    site.create_rule(&rule(), NOW).await?;
    let selected = site.preview_rule(&rule().filter, NOW).await?;
    ensure!(selected.len() == 1 && selected[0].update.title == "openssl 1.2-3");
    pass(&database, NOW).await?;
    ensure!(number(&database, DEPLOYMENTS).await? == 0, "it runs after the next synchronization");

    synchronized(&database).await?;
    pass(&database, NOW + 60).await?;
    ensure!(number(&database, DEPLOYMENTS).await? == 1 && outcome(&database).await? == "Deployed 1 update.");
    let deployment = database.deployments(&Default::default()).await?.items.remove(0);
    ensure!(deployment.rule.as_deref() == Some("Security") && deployment.updates == 1);
    ensure!(deployment.name == "Security 2027-01-15 08:01 UTC", "{}", deployment.name);

    synchronized(&database).await?;
    pass(&database, NOW + 120).await?;
    ensure!(number(&database, DEPLOYMENTS).await? == 1);
    ensure!(outcome(&database).await? == "Selects 1 update, all deployed before.");
    plant::updates(&database, &["openssl", "bash", "wolfssl"]).await?;
    synchronized(&database).await?;
    pass(&database, NOW + 180).await?;
    ensure!(number(&database, DEPLOYMENTS).await? == 2, "only what is new");
    Ok(())
}

async fn a_rule_runs_in_one_process_only(database: Database) -> anyhow::Result<()> {
    plant::updates(&database, &["openssl"]).await?;
    site(&database).create_rule(&rule(), NOW).await?;
    synchronized(&database).await?;
    let runs = (0..6).map(|_| {
        let site = site(&database);
        tokio::spawn(async move { site.run_rules(NOW).await })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await??;
    }
    ensure!(number(&database, DEPLOYMENTS).await? == 1);
    Ok(())
}

async fn a_disabled_rule_does_not_run(database: Database) -> anyhow::Result<()> {
    plant::updates(&database, &["openssl"]).await?;
    let site = site(&database);
    let id = site.create_rule(&NewRule { enabled: false, ..rule() }, NOW).await?;
    synchronized(&database).await?;
    pass(&database, NOW).await?;
    ensure!(number(&database, DEPLOYMENTS).await? == 0);
    ensure!(site.run_rule(id, NOW).await? == "Deployed 1 update.", "unless somebody asks");
    site.delete_rule(id).await?;
    ensure!(number(&database, DEPLOYMENTS).await? == 1, "what it deployed stays");
    ensure!(matches!(site.run_rule(id, NOW).await, Err(DeploymentError::Unknown(_))));
    Ok(())
}

async fn a_rule_that_cannot_be_is_refused(database: Database) -> anyhow::Result<()> {
    plant::suite(&database, "bookworm").await?;
    let site = site(&database);
    site.create_rule(&rule(), NOW).await?;
    type Change = fn(&mut NewRule);
    let changes: [(Change, &str); 3] = [
        (|_| {}, "name"),
        (|rule| (rule.name, rule.filter.suites) = ("Other".into(), vec!["bookwurm".into()]), "filter.suites"),
        (|rule| (rule.name, rule.settings.attempts) = ("Other".into(), 0), "attempts"),
    ];
    for (change, field) in changes {
        let mut rule = rule();
        change(&mut rule);
        let refused = site.create_rule(&rule, NOW).await;
        let Err(DeploymentError::Invalid(problems)) = refused else { anyhow::bail!("{field}: {refused:?}") };
        ensure!(problems[0].field == field, "{problems:?}");
    }
    Ok(())
}

async fn an_update_group_that_is_deployed_stays(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash", "openssl"]).await?;
    let site = site(&database);
    let new = NewGroup { name: "Both".to_owned(), description: String::new(), updates: updates.clone() };
    let group = site.create_group(&new, NOW).await?;
    ensure!(matches!(site.create_group(&new, NOW).await, Err(DeploymentError::Invalid(_))), "the name is taken");
    let mut deployment = everybody(&updates);
    deployment.selection = Selection::Group(group);
    let id = site.create(&deployment, NOW).await?;
    ensure!(matches!(site.delete_group(group).await, Err(DeploymentError::Refused(_))));
    let listed = database.update_group(group).await?.context("no group")?;
    ensure!((listed.updates, listed.deployments) == (2, 1));
    site.cancel(id, "", NOW).await?;
    site.delete(id, NOW).await?;
    site.delete_group(group).await?;
    ensure!(database.update_groups().await?.is_empty());
    Ok(())
}

async fn updates_that_leave_a_group_are_published_anew(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash", "openssl"]).await?;
    let site = site(&database);
    site.create(&everybody(&updates[..1]), NOW).await?;
    let group = database.update_groups().await?[0].id;
    let mut deployed = database.assignment_version().await?.deployed;
    let mut has_grown = async || {
        let grown = database.assignment_version().await?.deployed;
        anyhow::Ok(std::mem::replace(&mut deployed, grown) < grown)
    };
    site.add_to_group(group, &updates, NOW).await?;
    ensure!(has_grown().await? && database.grouped_updates(group).await?.len() == 2);
    site.set_max_run(group, updates[1], Some(7_200), NOW).await?;
    ensure!(has_grown().await? && database.grouped_updates(group).await?[1].max_run_seconds == Some(7_200));
    site.remove_from_group(group, &updates[1..], NOW).await?;
    ensure!(has_grown().await? && database.publishable_updates(group).await?.len() == 1);
    ensure!(matches!(site.set_max_run(group, updates[1], None, NOW).await, Err(DeploymentError::Refused(_))));
    ensure!(matches!(site.set_max_run(group, updates[0], Some(0), NOW).await, Err(DeploymentError::Invalid(_))));
    Ok(())
}

async fn a_template_is_kept_as_it_was_written(database: Database) -> anyhow::Result<()> {
    let site = site(&database);
    let settings = DeploymentSettings { attempts: 5, roll_back: true, ..DeploymentSettings::default() };
    let id = site.create_template("Careful", &settings, NOW).await?;
    ensure!(database.template(id).await?.context("no template")?.settings == settings);
    ensure!(matches!(site.create_template("Careful", &settings, NOW).await, Err(DeploymentError::Invalid(_))));
    let wrong = DeploymentSettings { attempts: 99, ..settings };
    ensure!(matches!(site.change_template(id, &wrong, NOW).await, Err(DeploymentError::Invalid(_))));
    site.change_template(id, &DeploymentSettings::default(), NOW).await?;
    ensure!(database.templates().await?[0].settings == DeploymentSettings::default());
    site.delete_template(id).await?;
    ensure!(matches!(site.delete_template(id).await, Err(DeploymentError::Unknown(_))));
    Ok(())
}
