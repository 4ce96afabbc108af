//! Keys: the first ones, taking them off the site and back, signing elsewhere, changing them, and what to do when one is lost
//! or stolen. Whether it worked is said by a client that trusted the first root and nothing else.

use super::plant_plugins::{plugin, promote};
use crate::repository::{self, Follower, Source};
use anyhow::{Context as _, ensure};
use farrier::database::{Database, now};
use farrier::keys::{
    Ceremony, Dropped, KeyError, KeyRole, Keys, Outcome, Passphrase, PrivateKeyFile, PublicKeyFile, Request, Rotation,
    Signatures, SiteKeys, Urgency, new_key,
};
use farrier::publish::Publisher;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::{PollReply, Statement};
use farrier_protocol::{ClientId, Digest, UnixTime};
use farrier_trust::{
    AssignmentKeys, Draft, Expected, MetaFile, PublicKey, Root, Signed, SigningKey, Snapshot, StatementError,
    TargetFile, Targets, Timestamp, TrustError, sign_statement, verify_statement,
};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

scenarios![
    the_first_start_makes_every_key_and_what_clients_begin_with,
    of_two_first_starts_at_once_there_is_one_set_of_keys,
    a_start_without_a_key_that_is_needed_names_it_and_the_remedy,
    exported_keys_are_gone_and_come_back_with_their_passphrase,
    no_key_is_lost_by_an_export_to_the_wrong_place,
    a_damaged_key_file_is_told_and_is_no_obstacle,
    signatures_that_a_change_makes_worthless_are_told,
    a_site_whose_root_is_made_elsewhere_waits_for_two_of_three,
    every_role_gets_other_keys_and_clients_follow,
    other_keys_of_a_role_whose_keys_are_elsewhere_come_with_what_they_sign,
    what_is_renewed_elsewhere_counts_for_longer,
    a_lost_timestamp_key_is_replaced,
    versions_that_stolen_online_keys_made_up_are_forgotten,
    a_stolen_assignment_key_stops_counting,
    what_a_stolen_plugins_key_signed_is_refused,
    a_stolen_targets_key_stops_counting,
    of_two_root_keys_one_can_be_lost,
    one_of_three_root_keys_can_be_stolen,
    signatures_that_do_not_belong_here_are_refused_in_words,
    a_signer_is_shown_what_the_drafts_say_and_nothing_that_the_request_says,
    what_cannot_be_is_refused_before_a_key_is_made,
    the_site_says_in_time_what_expires,
];

const DAY: i64 = 86_400;
const PATH: &str = "plugins/check/1.0.0";

/// A site, what it publishes, and a client from its first day.
struct Stage {
    site: SiteKeys,
    publisher: Publisher,
    folder: TempDir,
    client: Follower,
}

impl Stage {
    /// With a plugin that is published, and all keys on the site.
    async fn new(database: &Database) -> anyhow::Result<Self> {
        plugin(database, "check", &["1.0.0"]).await?;
        Self::of(database, tempfile::tempdir()?).await
    }

    /// The same of a site whose keys are in this folder.
    async fn of(database: &Database, folder: TempDir) -> anyhow::Result<Self> {
        let publisher = repository::publisher(database, folder.path()).await?;
        publisher.publish().await?;
        let client = Follower::of_site(&publisher, folder.path(), now()).await?;
        let site = SiteKeys { database: database.clone(), keys: publisher.keys.clone() };
        let mut stage = Self { site, publisher, folder, client };
        stage.follow().await?;
        Ok(stage)
    }

    /// Publishes; then both the client from the first day and one that begins today find the plugin.
    async fn follow(&mut self) -> anyhow::Result<()> {
        self.follow_at(now()).await
    }

    async fn follow_at(&mut self, now: UnixTime) -> anyhow::Result<()> {
        self.publisher.publish_at(now).await?;
        self.client.refresh(now).await.context("the client from the first day")?;
        let mut newcomer = Follower::of_site(&self.publisher, self.folder.path(), now).await.context("a new client")?;
        for client in [&mut self.client, &mut newcomer] {
            ensure!(client.find(PATH, now).await?.is_some(), "{PATH} is not found");
        }
        let published = self.site.database.current_publication().await?.context("nothing is published")?;
        ensure!(Some(self.client.client.root_version()) == published.role_version("root"));
        Ok(())
    }

    async fn rotate(&self, role: KeyRole) -> anyhow::Result<Outcome> {
        Ok(self.site.rotate_to_own(rotation(role, Vec::new()), now()).await?)
    }

    /// Takes the keys of a role from the site: they are lost, or in somebody else's hands.
    fn take(&self, role: KeyRole) -> anyhow::Result<Vec<SigningKey>> {
        let keys = self.site.keys.signers(role)?;
        keys.iter().try_for_each(|key| self.site.keys.remove(role, &key.key_id()))?;
        Ok(keys)
    }

    async fn newest<S: Signed>(&self, role: &str) -> anyhow::Result<S> {
        newest(&self.site.database, role).await
    }
}

async fn newest<S: Signed>(database: &Database, role: &str) -> anyhow::Result<S> {
    let metadata = database.current_metadata(role).await?.with_context(|| format!("there is no {role}"))?;
    Ok(Draft::from_bytes(role, &metadata.bytes)?.content()?)
}

/// All keys of a role replaced by these.
fn rotation(role: KeyRole, new: Vec<PublicKey>) -> Rotation {
    Rotation { role, new, dropped: Dropped::All, threshold: None }
}

fn passphrase() -> anyhow::Result<Passphrase> {
    Ok(Passphrase::new("correct horse battery".to_owned())?)
}

/// A machine without a site: it makes keys, and signs what is carried to it as a file.
#[derive(Default)]
struct Machine {
    keys: Vec<PrivateKeyFile>,
}

impl Machine {
    /// Makes a key; what is carried to the site is its public half, as a file.
    fn make(&mut self, role: KeyRole) -> anyhow::Result<PublicKey> {
        let key = new_key()?;
        let carried = PublicKeyFile { role: Some(role), key: key.public() }.to_pem()?;
        self.keys.push(PrivateKeyFile { role: Some(role), key });
        Ok(PublicKeyFile::parse(Path::new("key.pub"), &carried)?.key)
    }

    fn sign(&self, request: &[u8]) -> anyhow::Result<Vec<u8>> {
        let request = Request::parse(request)?;
        ensure!(!request.review(&self.keys, now())?.is_empty());
        Ok(serde_json::to_vec(&request.sign(&self.keys)?)?)
    }
}

async fn request(site: &SiteKeys) -> anyhow::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&site.request().await?)?)
}

/// Takes signatures, all of which have to be good.
async fn apply(site: &SiteKeys, signatures: &[u8]) -> anyhow::Result<Outcome> {
    let applied = site.apply(&[Signatures::parse(signatures)?]).await?;
    ensure!(applied.refused.is_empty() && applied.taken > 0, "{applied:?}");
    Ok(applied.outcome)
}

/// What was refused, and nothing taken.
async fn refused(site: &SiteKeys, signatures: &[u8]) -> anyhow::Result<String> {
    let applied = site.apply(&[Signatures::parse(signatures)?]).await?;
    ensure!(applied.taken == 0, "{applied:?}");
    Ok(applied.refused.join("; "))
}

fn roles(of: &[(String, u64)]) -> Vec<&str> {
    of.iter().map(|(role, _)| role.as_str()).collect()
}

async fn the_first_start_makes_every_key_and_what_clients_begin_with(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let site = SiteKeys::open(database.clone(), folder.path())?;
    ensure!(site.standing(now()).await?.roles.is_empty());
    site.ensure(now()).await?;
    for role in KeyRole::ALL {
        let keys = site.keys.signers(role)?;
        let [key] = keys.as_slice() else { anyhow::bail!("{} {role} keys", keys.len()) };
        let file = folder.path().join("keys").join(format!("{role}-{}.pem", &key.key_id()[..16]));
        ensure!(std::fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600, "{}", file.display());
        ensure!(std::fs::read_to_string(&file)?.contains("-----BEGIN PRIVATE KEY-----"));
    }
    let root: Root = newest(&database, "root").await?;
    ensure!(root.version == 1 && root.consistent_snapshot && root.site.is_some());
    let targets: Targets = newest(&database, "targets").await?;
    ensure!(targets.version == 1 && targets.targets.is_empty());
    let delegations = targets.delegations.context("it delegates to nobody")?;
    let names: Vec<(&str, bool)> =
        delegations.roles.iter().map(|role| (role.name.as_str(), role.terminating)).collect();
    ensure!(names == [("native", true), ("plugins", true), ("catalogs", false), ("policies", false)]);

    site.ensure(now()).await?;
    let again: Root = newest(&database, "root").await?;
    ensure!(again == root, "a second start changes nothing");
    let standing = site.standing(now()).await?;
    ensure!(standing.roles.len() == KeyRole::ALL.len() && standing.unused.is_empty() && standing.waiting.is_empty());
    let notices: Vec<String> = standing.notices.iter().map(ToString::to_string).collect();
    ensure!(
        notices
            == ["Demonstration keys: root, targets, plugins and native keys are still on this site: export them: \
                 `farrier keys export --offline --to DIR`"],
        "{notices:?}"
    );
    plugin(&database, "check", &["1.0.0"]).await?;
    Stage::of(&database, folder).await.map(|_| ())
}

async fn of_two_first_starts_at_once_there_is_one_set_of_keys(database: Database) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let site = SiteKeys::open(database.clone(), folder.path())?;
    let (first, second) = tokio::join!(site.ensure(now()), site.ensure(now()));
    first.and(second)?;
    for role in KeyRole::ALL {
        ensure!(site.keys.signers(role)?.len() == 1, "{role}");
    }
    ensure!(site.standing(now()).await?.unused.is_empty());
    Ok(())
}

async fn a_start_without_a_key_that_is_needed_names_it_and_the_remedy(database: Database) -> anyhow::Result<()> {
    let stage = Stage::new(&database).await?;
    for role in KeyRole::ALL {
        let taken = stage.take(role)?;
        let started = stage.site.ensure(now()).await;
        match role.is_offline() {
            true => started?,
            false => {
                let error = started.err().with_context(|| format!("it starts without its {role} key"))?.to_string();
                let file = format!("{role}-{}.pem", &taken[0].key_id()[..16]);
                ensure!(error.contains(&file) && error.contains(&format!("farrier keys rotate {role}")), "{error}");
            }
        }
        for key in taken {
            stage.site.keys.add(role, key)?;
        }
    }
    stage.site.ensure(now()).await?;
    // Another machine, with the same database and no keys.
    let elsewhere = tempfile::tempdir()?;
    let other = SiteKeys::open(database, elsewhere.path())?;
    ensure!(matches!(other.ensure(now()).await, Err(KeyError::Missing { .. })));
    Ok(())
}

async fn exported_keys_are_gone_and_come_back_with_their_passphrase(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let safe = tempfile::tempdir()?;
    ensure!(matches!(Passphrase::new("too short".to_owned()), Err(KeyError::ShortPassphrase)));
    let all = KeyRole::OFFLINE;
    let error = stage.site.export(&[KeyRole::Timestamp], &passphrase()?, safe.path(), false).err();
    ensure!(error.context("a key that is needed was exported")?.to_string().contains("--keep"));
    let copies = tempfile::tempdir()?;
    ensure!(stage.site.export(&[KeyRole::Timestamp], &passphrase()?, copies.path(), true)?.len() == 1);
    let exported = stage.site.export(&all, &passphrase()?, safe.path(), false)?;
    ensure!(exported.len() == 4);
    for role in all {
        ensure!(stage.site.keys.signers(role)?.is_empty(), "{role} is still here");
    }
    let notices = stage.site.standing(now()).await?.notices;
    ensure!(notices.is_empty(), "{notices:?}");
    stage.site.ensure(now()).await?;
    stage.follow().await?;
    ensure!(stage.site.export(&all, &passphrase()?, safe.path(), false).is_err(), "nothing is left to export");

    let mut files = Vec::new();
    for exported in &exported {
        let text = std::fs::read_to_string(&exported.file)?;
        ensure!(text.contains("ENCRYPTED PRIVATE KEY"));
        let wrong = || Ok::<_, KeyError>(Passphrase::of_key("correct horse batterx".to_owned()));
        let opened = PrivateKeyFile::parse(&exported.file, &text, wrong);
        ensure!(matches!(opened, Err(KeyError::WrongPassphrase { .. })), "{opened:?}");
        files.push(PrivateKeyFile::parse(&exported.file, &text, passphrase)?);
    }
    let (imported, _) = stage.site.import(files).await?;
    ensure!(imported.iter().map(|key| key.role).eq(all));
    ensure!(stage.site.standing(now()).await?.notices.len() == 1);
    // A file that is there already is never written over; the same key under the same passphrase need not be.
    let other = |text: &str| Passphrase::of_key(text.to_owned());
    ensure!(stage.site.export(&all, &other("correct horse batterx"), safe.path(), false).is_err());
    for role in all {
        ensure!(stage.site.keys.signers(role)?.len() == 1, "{role} was removed without a copy");
    }
    let again = stage.site.export(&all, &passphrase()?, safe.path(), true)?;
    ensure!(again.iter().map(|key| &key.file).eq(exported.iter().map(|key| &key.file)));
    stage.rotate(KeyRole::Root).await?;
    stage.follow().await
}

async fn no_key_is_lost_by_an_export_to_the_wrong_place(database: Database) -> anyhow::Result<()> {
    let stage = Stage::new(&database).await?;
    let (all, keys) = (KeyRole::OFFLINE, stage.folder.path().join("keys"));
    let (elsewhere, copies) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(&keys, &link)?;
    for entry in std::fs::read_dir(&keys)? {
        let entry = entry?;
        std::fs::copy(entry.path(), copies.path().join(entry.file_name()))?;
    }
    for (to, words) in [
        (stage.folder.path(), "the site's own data folder"),
        (&keys, "the site's own data folder"),
        (&link, "the site's own data folder"),
        (copies.path(), "no encrypted copy of this key"),
    ] {
        for keep in [true, false] {
            let error = stage.site.export(&all, &passphrase()?, to, keep).err();
            let error = error.with_context(|| format!("exported to {}", to.display()))?.to_string();
            ensure!(error.contains(words), "{error}");
        }
    }
    for role in all {
        ensure!(stage.site.keys.signers(role)?.len() == 1, "{role} is gone");
    }
    Ok(())
}

async fn a_damaged_key_file_is_told_and_is_no_obstacle(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let [key] = &stage.site.keys.signers(KeyRole::Timestamp)?[..] else { anyhow::bail!("no key") };
    let copy = || PrivateKeyFile { role: Some(KeyRole::Timestamp), key: key.clone() };
    let file = stage.site.keys.file_of(KeyRole::Timestamp, &key.key_id());
    let other = PrivateKeyFile { role: Some(KeyRole::Timestamp), key: new_key()? };
    for text in ["-----BEGIN PRIVATE KEY-----\n", &other.to_pem()?, &copy().to_encrypted_pem(&passphrase()?)?] {
        std::fs::write(&file, text)?;
        ensure!(matches!(stage.site.ensure(now()).await, Err(KeyError::Missing { .. })));
        let standing = stage.site.standing(now()).await?;
        let notice = standing.notices.first().context("nothing is said")?;
        ensure!(notice.is_urgent() && notice.to_string().contains("`farrier keys rotate timestamp`"), "{notice}");
        let role = standing.roles.iter().find(|role| role.role == KeyRole::Timestamp).context("no timestamp")?;
        ensure!(role.place(&role.keys[0]) == "missing");
        // What is there is not written over, and not taken for what it is not.
        let error = stage.site.import(vec![copy()]).await.err().context("it was imported")?.to_string();
        ensure!(error.contains(&file.display().to_string()), "{error}");
        ensure!(std::fs::read_to_string(&file)? == text);
    }
    std::fs::remove_file(&file)?;
    stage.site.import(vec![copy()]).await?;
    stage.site.ensure(now()).await?;
    stage.follow().await?;
    std::fs::write(&file, "")?;
    stage.rotate(KeyRole::Timestamp).await?;
    stage.site.ensure(now()).await?;
    stage.follow().await
}

async fn signatures_that_a_change_makes_worthless_are_told(database: Database) -> anyhow::Result<()> {
    let stage = Stage::new(&database).await?;
    let mut machine = Machine::default();
    let new = vec![machine.make(KeyRole::Root)?, machine.make(KeyRole::Root)?];
    let rotation = Rotation { threshold: Some(2), ..rotation(KeyRole::Root, new) };
    stage.site.rotate(&rotation, now()).await?;
    let other = machine.keys.pop();
    let outcome = apply(&stage.site, &machine.sign(&request(&stage.site).await?)?).await?;
    ensure!(outcome.to_sign_again.is_empty());
    let id = machine.keys[0].key.key_id();
    let missing = outcome.waiting[0].missing.join(", ");
    ensure!(missing.contains(&format!("1 of 2 signatures (by {}) of the new root keys", &id[..16])), "{missing}");
    let outcome = stage.rotate(KeyRole::Snapshot).await?;
    ensure!(outcome.to_sign_again.get("root").is_some_and(|ids| *ids == [id]), "{outcome:?}");
    machine.keys.extend(other);
    let carried = request(&stage.site).await?;
    let late = Request::parse(&carried)?.review(&machine.keys, now() + 1000 * DAY).err();
    ensure!(late.context("it is signed after it expired")?.to_string().contains("farrier keys renew root"));
    apply(&stage.site, &machine.sign(&carried)?).await.map(|_| ())
}

async fn a_site_whose_root_is_made_elsewhere_waits_for_two_of_three(database: Database) -> anyhow::Result<()> {
    let (mut alice, mut bob, mut carol) = (Machine::default(), Machine::default(), Machine::default());
    let roots = vec![alice.make(KeyRole::Root)?, bob.make(KeyRole::Root)?, carol.make(KeyRole::Root)?];
    let others = [KeyRole::Targets, KeyRole::Plugins, KeyRole::Native];
    let mut elsewhere = std::collections::BTreeMap::from([(KeyRole::Root, roots)]);
    for role in others {
        elsewhere.insert(role, vec![alice.make(role)?]);
    }
    let folder = tempfile::tempdir()?;
    let site = SiteKeys::open(database.clone(), folder.path())?;
    let of_policy = Ceremony { elsewhere: [(KeyRole::Policy, Vec::new())].into(), ..Ceremony::default() };
    ensure!(site.init(&of_policy, now()).await.is_err(), "the site needs that key every day");
    let too_many = Ceremony { elsewhere: elsewhere.clone(), thresholds: [(KeyRole::Root, 4)].into() };
    ensure!(site.init(&too_many, now()).await.is_err(), "four of three");
    let ceremony = Ceremony { elsewhere, thresholds: [(KeyRole::Root, 2)].into() };
    let outcome = site.init(&ceremony, now()).await?;
    ensure!(outcome.in_force.is_empty() && outcome.waiting.len() == 2, "{outcome:?}");
    ensure!(matches!(site.ensure(now()).await, Err(KeyError::FirstRootWaits)));
    ensure!(site.init(&ceremony, now()).await.is_err(), "it has been done");

    let request = request(&site).await?;
    let outcome = apply(&site, &alice.sign(&request)?).await?;
    ensure!(outcome.in_force.is_empty(), "one signature is not enough: {outcome:?}");
    let id = alice.keys[0].key.key_id();
    ensure!(
        outcome.waiting[0].missing == [format!("1 of 2 signatures (by {}) of the root keys", &id[..16])],
        "{outcome:?}"
    );
    ensure!(outcome.waiting[1].missing[0].contains("together with root"), "{outcome:?}");
    let again = apply(&site, &alice.sign(&request)?).await?;
    ensure!(again.in_force.is_empty(), "the same signature counts once");
    let outcome = apply(&site, &carol.sign(&request)?).await?;
    ensure!(roles(&outcome.in_force) == ["root", "targets"] && outcome.waiting.is_empty(), "{outcome:?}");
    let late = refused(&site, &bob.sign(&request)?).await?;
    ensure!(late.contains("in force already"), "{late}");
    site.ensure(now()).await?;
    ensure!(site.standing(now()).await?.notices.is_empty(), "no key is where it does not belong");

    // Without the plugins' key nothing of theirs is published, until it has signed.
    plugin(&database, "check", &["1.0.0"]).await?;
    let publisher = repository::publisher(&database, folder.path()).await?;
    publisher.publish().await?;
    let request = self::request(&site).await?;
    let outcome = apply(&site, &alice.sign(&request)?).await?;
    ensure!(roles(&outcome.in_force).contains(&"plugins"), "{outcome:?}");
    Stage::of(&database, folder).await.map(|_| ())
}

async fn every_role_gets_other_keys_and_clients_follow(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let mut root = 1;
    for role in KeyRole::ALL.into_iter().chain([KeyRole::Root]) {
        let before = stage.site.keys.signers(role)?;
        let outcome = stage.rotate(role).await.with_context(|| role.to_string())?;
        ensure!(outcome.waiting.is_empty(), "{role}: {outcome:?}");
        root += u64::from(roles(&outcome.in_force).contains(&"root"));
        stage.follow().await.with_context(|| format!("after other keys of {role}"))?;
        ensure!(stage.client.client.root_version() == root);
        let standing = stage.site.standing(now()).await?;
        let named = standing.roles.iter().find(|standing| standing.role == role).context("it is gone")?;
        ensure!(named.keys.len() == 1 && named.keys[0].on_site && named.keys[0].id != before[0].key_id());
        ensure!(standing.unused.iter().any(|unused| unused.id == before[0].key_id()), "the old key is named no more");
        stage.take_old(role, &before)?;
    }
    ensure!(root == 7, "root, targets, snapshot, timestamp, assignment, root");
    // With several keys, and a threshold.
    for role in [KeyRole::Root, KeyRole::Plugins, KeyRole::Timestamp, KeyRole::Assignment] {
        let more = Rotation { role, new: Vec::new(), dropped: Dropped::Nothing, threshold: Some(2) };
        let outcome = stage.site.rotate_to_own(more, now()).await?;
        ensure!(outcome.waiting.is_empty(), "{role}: {outcome:?}");
        stage.follow().await.with_context(|| format!("after two keys of {role}"))?;
    }
    let keys = stage.client.client.assignment_keys().context("no assignment keys")?;
    ensure!((keys.keys.len(), keys.threshold) == (2, 2));
    Ok(())
}

impl Stage {
    /// Deletes keys that nothing names any more: whatever follows has to work without.
    fn take_old(&self, role: KeyRole, old: &[SigningKey]) -> anyhow::Result<()> {
        Ok(old.iter().try_for_each(|key| self.site.keys.remove(role, &key.key_id()))?)
    }
}

async fn other_keys_of_a_role_whose_keys_are_elsewhere_come_with_what_they_sign(
    database: Database,
) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let mut machine = Machine::default();
    for role in [KeyRole::Root, KeyRole::Targets, KeyRole::Plugins] {
        for key in stage.take(role)? {
            machine.keys.push(PrivateKeyFile { role: Some(role), key });
        }
    }
    let mut other = Machine::default();
    let new = other.make(KeyRole::Plugins)?;
    let outcome = stage.site.rotate(&rotation(KeyRole::Plugins, vec![new]), now()).await?;
    ensure!(outcome.in_force.is_empty(), "{outcome:?}");
    ensure!(outcome.waiting.iter().map(|waiting| waiting.role.as_str()).eq(["targets", "plugins"]), "{outcome:?}");
    // What waits disturbs nobody, and is not disturbed.
    stage.follow().await?;
    let request = request(&stage.site).await?;
    stage.follow().await?;
    ensure!(self::request(&stage.site).await? == request, "the same goes on waiting");
    let outcome = apply(&stage.site, &machine.sign(&request)?).await?;
    ensure!(outcome.in_force.is_empty(), "the plugins would be lost: {outcome:?}");
    ensure!(outcome.waiting[0].missing[0].ends_with("together with plugins"), "{outcome:?}");
    stage.follow().await?;
    let outcome = apply(&stage.site, &other.sign(&request)?).await?;
    ensure!(roles(&outcome.in_force) == ["targets", "plugins"] && outcome.waiting.is_empty(), "{outcome:?}");
    stage.follow().await?;

    // The same of targets, which the root names.
    let new = other.make(KeyRole::Targets)?;
    let outcome = stage.site.rotate(&rotation(KeyRole::Targets, vec![new]), now()).await?;
    ensure!(outcome.waiting.iter().map(|waiting| waiting.role.as_str()).eq(["root", "targets"]), "{outcome:?}");
    let request = self::request(&stage.site).await?;
    let root_alone = apply(&stage.site, &machine.sign(&request)?).await?;
    ensure!(root_alone.in_force.is_empty(), "the targets would be lost: {root_alone:?}");
    stage.follow().await?;
    let outcome = apply(&stage.site, &other.sign(&request)?).await?;
    ensure!(roles(&outcome.in_force) == ["root", "targets"], "{outcome:?}");
    stage.follow().await?;

    // An online key, while the root's are elsewhere: the old one signs until the root is there.
    let outcome = stage.rotate(KeyRole::Snapshot).await?;
    ensure!(outcome.in_force.is_empty() && outcome.waiting.len() == 1);
    stage.follow().await?;
    apply(&stage.site, &machine.sign(&self::request(&stage.site).await?)?).await?;
    stage.follow().await
}

async fn what_is_renewed_elsewhere_counts_for_longer(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let mut machine = Machine::default();
    let later = now() + 100 * DAY;
    for role in KeyRole::OFFLINE {
        for key in stage.take(role)? {
            machine.keys.push(PrivateKeyFile { role: Some(role), key });
        }
    }
    ensure!(stage.site.renew(KeyRole::Timestamp, later).await.is_err(), "the site does that itself");
    for (role, metadata) in [(KeyRole::Root, "root"), (KeyRole::Targets, "targets"), (KeyRole::Plugins, "plugins")] {
        let before = database.current_metadata(metadata).await?.context("there is none")?;
        let outcome = stage.site.renew(role, later).await?;
        ensure!(outcome.in_force.is_empty() && outcome.waiting.len() == 1, "{outcome:?}");
        let outcome = apply(&stage.site, &machine.sign(&request(&stage.site).await?)?).await?;
        ensure!(roles(&outcome.in_force) == [metadata], "{outcome:?}");
        let after = database.current_metadata(metadata).await?.context("there is none")?;
        ensure!(after.version > before.version && after.expires_at == later + 365 * DAY);
        stage.follow().await?;
    }
    // What is on the site is signed at once.
    for PrivateKeyFile { role, key } in machine.keys {
        stage.site.keys.add(role.context("it has a role")?, key)?;
    }
    let outcome = stage.site.renew(KeyRole::Root, later).await?;
    ensure!(roles(&outcome.in_force) == ["root"] && outcome.waiting.is_empty());
    stage.follow().await
}

async fn a_lost_timestamp_key_is_replaced(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    stage.take(KeyRole::Timestamp)?;
    ensure!(stage.site.ensure(now()).await.is_err());
    stage.rotate(KeyRole::Timestamp).await?;
    stage.site.ensure(now()).await?;
    stage.follow().await
}

/// A copy of what a site has published, to which a thief adds what the keys that he has can sign.
struct Forgery {
    folder: TempDir,
    snapshot: Snapshot,
    timestamp: Timestamp,
}

impl Forgery {
    async fn of(stage: &Stage) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::create_dir(folder.path().join("metadata"))?;
        let database = &stage.site.database;
        let published = database.current_publication().await?.context("nothing is published")?;
        for role in &published.roles {
            let bytes = database.metadata_version(&role.name, role.version).await?.context("it is gone")?;
            let file = match role.name.as_str() {
                "timestamp" => "timestamp.json".to_owned(),
                name => format!("{}.{name}.json", role.version),
            };
            std::fs::write(folder.path().join("metadata").join(file), bytes)?;
        }
        for version in 1..=published.role_version("root").unwrap_or_default() {
            let bytes = database.metadata_version("root", version).await?.context("a root is gone")?;
            std::fs::write(folder.path().join(format!("metadata/{version}.root.json")), bytes)?;
        }
        Ok(Self { folder, snapshot: stage.newest("snapshot").await?, timestamp: stage.newest("timestamp").await? })
    }

    fn write<S: Signed>(&self, name: &str, content: &S, keys: &[SigningKey]) -> anyhow::Result<MetaFile> {
        let mut draft = Draft::new(content);
        keys.iter().for_each(|key| draft.sign(key));
        let bytes = draft.to_bytes();
        let file = match name {
            "timestamp" => "timestamp.json".to_owned(),
            name => format!("{}.{name}.json", content.version()),
        };
        std::fs::write(self.folder.path().join("metadata").join(file), &bytes)?;
        Ok(MetaFile::of(content.version(), &bytes))
    }

    /// Signs snapshot and timestamp of these versions.
    fn sign(&mut self, version: u64, snapshot: &[SigningKey], timestamp: &[SigningKey]) -> anyhow::Result<()> {
        self.snapshot.version = version;
        self.timestamp.version = version;
        self.timestamp.snapshot = self.write("snapshot", &self.snapshot, snapshot)?;
        self.write("timestamp", &self.timestamp, timestamp).map(|_| ())
    }

    /// What a client makes of it that follows the site until now.
    async fn shown_to(&self, client: &Follower) -> anyhow::Result<Follower> {
        let mut deceived = Follower::new(Source::Folder(self.folder.path().to_owned()), &root_of(client)?)?;
        deceived.client = client.client.clone();
        deceived.refresh(now()).await?;
        Ok(deceived)
    }
}

fn root_of(client: &Follower) -> anyhow::Result<Vec<u8>> {
    let root = client.client.metadata().find(|(role, _)| *role == "root").context("it has no root")?;
    Ok(root.1.to_vec())
}

async fn versions_that_stolen_online_keys_made_up_are_forgotten(database: Database) -> anyhow::Result<()> {
    const FAR: u64 = 1 << 50;
    let mut stage = Stage::new(&database).await?;
    let stolen = [stage.site.keys.signers(KeyRole::Snapshot)?, stage.site.keys.signers(KeyRole::Timestamp)?];
    let mut forgery = Forgery::of(&stage).await?;
    forgery.sign(FAR, &stolen[0], &stolen[1])?;
    let deceived = forgery.shown_to(&stage.client).await?.client;
    ensure!(deceived.floors().timestamp == FAR, "the theft works as long as nobody has noticed");
    stage.client.client = deceived;
    let error = stage.follow().await.err().context("the client goes back")?;
    ensure!(matches!(error.downcast_ref(), Some(TrustError::Rollback { .. })), "{error:#}");

    stage.rotate(KeyRole::Snapshot).await?;
    stage.rotate(KeyRole::Timestamp).await?;
    stage.follow().await?;
    ensure!(stage.client.client.floors().timestamp < FAR);
    let mut forgery = Forgery::of(&stage).await?;
    forgery.sign(FAR, &stolen[0], &stolen[1])?;
    let error = forgery.shown_to(&stage.client).await.err().context("the stolen keys still count")?;
    ensure!(matches!(error.downcast_ref(), Some(TrustError::Threshold { .. })), "{error:#}");
    Ok(())
}

async fn a_stolen_assignment_key_stops_counting(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let stolen = stage.site.keys.signers(KeyRole::Assignment)?;
    let before = stage.client.client.assignment_keys().context("no keys")?;
    ensure!(takes_statement(&stage, &stolen, &before).is_ok());
    stage.rotate(KeyRole::Assignment).await?;
    stage.follow().await?;
    let after = stage.client.client.assignment_keys().context("no keys")?;
    let refusal = takes_statement(&stage, &stolen, &after);
    ensure!(refusal == Err(StatementError::Threshold { valid: 0, needed: 1 }), "{refusal:?}");
    let old: Vec<String> = stolen.iter().map(SigningKey::key_id).collect();
    let mut own = stage.site.keys.signers(KeyRole::Assignment)?;
    own.retain(|key| !old.contains(&key.key_id()));
    ensure!(takes_statement(&stage, &own, &after).is_ok());
    Ok(())
}

/// Whether a client takes a statement that these keys sign.
fn takes_statement(stage: &Stage, signers: &[SigningKey], keys: &AssignmentKeys) -> Result<Statement, StatementError> {
    let tenant = stage.client.client.tenant().ok_or(StatementError::Malformed)?;
    let client = ClientId([7; 16]);
    let assignment: Option<Assignment> = None;
    let statement = Statement {
        tenant,
        client,
        version: 1,
        issued_at: now(),
        expires: now() + DAY,
        nonce: [3; 16],
        platform: "x86_64-linux".try_into().unwrap_or_default(),
        assignment: Digest::of(b"assignment"),
        length: 10,
        root: stage.client.client.root_version(),
        timestamp: stage.client.client.timestamp_digest().unwrap_or(Digest([0; 32])),
    };
    let signed = sign_statement(&statement, signers);
    let reply: PollReply<'_> = signed.reply(assignment.map(|_| &[][..]));
    let platform = "x86_64-linux";
    let expected = Expected { tenant, client, nonce: Some([3; 16]), floor: 0, platform, now: Some(now()) };
    verify_statement(&reply, keys, &expected)
}

async fn what_a_stolen_plugins_key_signed_is_refused(database: Database) -> anyhow::Result<()> {
    const EVIL: &str = "plugins/evil/1.0.0";
    let mut stage = Stage::new(&database).await?;
    let stolen = stage.site.keys.signers(KeyRole::Plugins)?;
    // The worst case: with the online keys, which are stolen with the site.
    let forge = async |stage: &Stage| {
        let mut forgery = Forgery::of(stage).await?;
        let mut plugins: Targets = stage.newest("plugins").await?;
        plugins.version += 1;
        plugins.targets.insert(EVIL.to_owned(), TargetFile::new(4, &Digest::of(b"evil")));
        let named = forgery.write("plugins", &plugins, &stolen)?;
        forgery.snapshot.meta.insert("plugins.json".to_owned(), named);
        let online = |role| stage.site.keys.signers(role);
        let version = forgery.timestamp.version + 1;
        forgery.sign(version, &online(KeyRole::Snapshot)?, &online(KeyRole::Timestamp)?)?;
        let mut deceived = forgery.shown_to(&stage.client).await?;
        deceived.find(EVIL, now()).await
    };
    ensure!(forge(&stage).await?.is_some(), "the theft works as long as nobody has noticed");
    stage.rotate(KeyRole::Plugins).await?;
    stage.follow().await?;
    let error = forge(&stage).await.err().context("the stolen key still counts")?;
    ensure!(matches!(error.downcast_ref(), Some(TrustError::Threshold { .. })), "{error:#}");
    Ok(())
}

async fn a_stolen_targets_key_stops_counting(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let stolen = stage.take(KeyRole::Targets)?;
    let forge = async |stage: &Stage| {
        let mut forgery = Forgery::of(stage).await?;
        let mut targets: Targets = stage.newest("targets").await?;
        targets.version += 1;
        targets.targets.insert("evil".to_owned(), TargetFile::new(4, &Digest::of(b"evil")));
        let named = forgery.write("targets", &targets, &stolen)?;
        forgery.snapshot.meta.insert("targets.json".to_owned(), named);
        let online = |role| stage.site.keys.signers(role);
        let version = forgery.timestamp.version + 1;
        forgery.sign(version, &online(KeyRole::Snapshot)?, &online(KeyRole::Timestamp)?)?;
        forgery.shown_to(&stage.client).await
    };
    ensure!(forge(&stage).await?.client.target("evil").is_some(), "the theft works as long as nobody has noticed");
    stage.rotate(KeyRole::Targets).await?;
    stage.follow().await?;
    let error = forge(&stage).await.err().context("the stolen key still counts")?;
    ensure!(matches!(error.downcast_ref(), Some(TrustError::Threshold { .. })), "{error:#}");
    Ok(())
}

async fn of_two_root_keys_one_can_be_lost(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let lost = stage.site.keys.signers(KeyRole::Root)?;
    let both = Rotation { role: KeyRole::Root, new: Vec::new(), dropped: Dropped::Nothing, threshold: None };
    stage.site.rotate_to_own(both, now()).await?;
    stage.follow().await?;
    stage.take_old(KeyRole::Root, &lost)?;
    let dropped = Dropped::These(vec![lost[0].key_id()[..8].to_owned()]);
    let replaced = Rotation { role: KeyRole::Root, new: Vec::new(), dropped, threshold: None };
    let outcome = stage.site.rotate_to_own(replaced, now()).await?;
    ensure!(roles(&outcome.in_force) == ["root"], "{outcome:?}");
    let root: Root = stage.newest("root").await?;
    let named = &root.roles["root"].keyids;
    ensure!(named.len() == 2 && !named.contains(&lost[0].key_id()));
    stage.follow().await
}

async fn one_of_three_root_keys_can_be_stolen(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let mut owners = [Machine::default(), Machine::default(), Machine::default()];
    let new = owners.iter_mut().map(|owner| owner.make(KeyRole::Root)).collect::<anyhow::Result<Vec<_>>>()?;
    let three = Rotation { threshold: Some(2), ..rotation(KeyRole::Root, new) };
    let outcome = stage.site.rotate(&three, now()).await?;
    ensure!(outcome.waiting[0].missing == ["0 of 2 signatures of the new root keys"], "{outcome:?}");
    let request = request(&stage.site).await?;
    for owner in &owners[..2] {
        apply(&stage.site, &owner.sign(&request)?).await?;
    }
    stage.follow().await?;

    // The thief has the third key, and makes a root of his own.
    let [alice, bob, thief] = owners;
    let mut evil: Root = stage.newest("root").await?;
    evil.version += 1;
    evil.roles.insert("root".to_owned(), farrier_trust::RoleKeys::new(vec![thief.keys[0].key.key_id()], 1));
    let forgery = Forgery::of(&stage).await?;
    forgery.write("root", &evil, std::slice::from_ref(&thief.keys[0].key))?;
    let error = forgery.shown_to(&stage.client).await.err().context("one signature was enough")?;
    ensure!(matches!(error.downcast_ref(), Some(TrustError::Threshold { .. })), "{error:#}");

    let mut replacement = Machine::default();
    let new = vec![replacement.make(KeyRole::Root)?];
    let dropped = Dropped::These(vec![thief.keys[0].key.key_id()]);
    let rotation = Rotation { role: KeyRole::Root, new, dropped, threshold: None };
    stage.site.rotate(&rotation, now()).await?;
    let request = self::request(&stage.site).await?;
    let stopped = refused(&stage.site, &thief.sign(&request)?).await;
    ensure!(stopped.is_err(), "the key is one of the present root until it is replaced: its signature is taken");
    let outcome = apply(&stage.site, &alice.sign(&request)?).await?;
    ensure!(outcome.in_force.is_empty(), "one of the new root's keys is missing: {outcome:?}");
    let outcome = apply(&stage.site, &bob.sign(&request)?).await?;
    ensure!(roles(&outcome.in_force) == ["root"], "{outcome:?}");
    stage.follow().await
}

async fn signatures_that_do_not_belong_here_are_refused_in_words(database: Database) -> anyhow::Result<()> {
    let mut stage = Stage::new(&database).await?;
    let mut machine = Machine::default();
    for key in stage.take(KeyRole::Root)? {
        machine.keys.push(PrivateKeyFile { role: Some(KeyRole::Root), key });
    }
    let outcome = stage.rotate(KeyRole::Snapshot).await?;
    ensure!(outcome.waiting[0].missing == ["0 of 1 signatures of the root keys"], "{outcome:?}");
    let old = request(&stage.site).await?;
    let good = machine.sign(&old)?;

    let text = String::from_utf8(good.clone())?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    let sig = value["signatures"][0]["sig"].as_str().context("no signature")?;
    let flipped = format!("{}{}", &sig[..127], if sig.ends_with('0') { '1' } else { '0' });
    let tampered = refused(&stage.site, text.replace(sig, &flipped).as_bytes()).await?;
    ensure!(tampered.contains("damaged or forged"), "{tampered}");
    for nonsense in ["", "zz", "00"] {
        let answer = refused(&stage.site, text.replace(sig, nonsense).as_bytes()).await?;
        ensure!(answer.contains("damaged or forged"), "{answer}");
    }
    let keyid = value["signatures"][0]["keyid"].as_str().context("no key")?;
    let unknown = refused(&stage.site, text.replace(keyid, &"ab".repeat(32)).as_bytes()).await?;
    ensure!(unknown.contains("is no key of root"), "{unknown}");
    let other_role = refused(&stage.site, text.replace("\"root\"", "\"timestamp\"").as_bytes()).await?;
    ensure!(other_role.contains("nothing of timestamp waits"), "{other_role}");
    ensure!(Signatures::parse(b"{}").is_err() && Signatures::parse(&old).is_err(), "a request is no signature");

    // Of a key that nobody knows, of another site.
    let mut stranger = Machine::default();
    stranger.make(KeyRole::Root)?;
    ensure!(stranger.sign(&old).is_err(), "nothing in the request is for it");

    // What waits changes: the signature is of something else now.
    stage.site.renew(KeyRole::Root, now() + DAY).await?;
    let stale = refused(&stage.site, &good).await?;
    ensure!(stale.contains("changed since the request was made"), "{stale}");
    stage.site.discard(KeyRole::Root).await?;
    let gone = refused(&stage.site, &good).await?;
    ensure!(gone.contains("nothing of root waits"), "{gone}");
    ensure!(stage.site.discard(KeyRole::Root).await.is_err() && stage.site.request().await.is_err());
    stage.follow().await?;

    // Of a good and a bad one, the good one counts.
    stage.rotate(KeyRole::Timestamp).await?;
    let good = machine.sign(&request(&stage.site).await?)?;
    let mut both: serde_json::Value = serde_json::from_slice(&good)?;
    let mut bad = both["signatures"][0].clone();
    bad["keyid"] = "cd".repeat(32).into();
    both["signatures"].as_array_mut().context("no list")?.insert(0, bad);
    let applied = stage.site.apply(&[Signatures::parse(both.to_string().as_bytes())?]).await?;
    ensure!(applied.taken == 1 && applied.refused.len() == 1 && roles(&applied.outcome.in_force) == ["root"]);
    let again = refused(&stage.site, &good).await?;
    ensure!(again.contains("in force already"), "{again}");
    stage.follow().await
}

async fn a_signer_is_shown_what_the_drafts_say_and_nothing_that_the_request_says(
    database: Database,
) -> anyhow::Result<()> {
    plugin(&database, "check", &["1.0.0", "1.1.0"]).await?;
    let folder = tempfile::tempdir()?;
    let publisher = repository::publisher(&database, folder.path()).await?;
    publisher.publish().await?;
    let site = SiteKeys { database: database.clone(), keys: publisher.keys.clone() };
    let mut machine = Machine::default();
    for role in [KeyRole::Root, KeyRole::Plugins] {
        for key in site.keys.signers(role)? {
            site.keys.remove(role, &key.key_id())?;
            machine.keys.push(PrivateKeyFile { role: Some(role), key });
        }
    }
    promote(&database, "check", "1.1.0").await?;
    publisher.publish().await?;
    site.rotate_to_own(rotation(KeyRole::Timestamp, Vec::new()), now()).await?;
    let carried = request(&site).await?;
    let reviews = Request::parse(&carried)?.review(&machine.keys, now())?;
    let [root, plugins] = reviews.as_slice() else { anyhow::bail!("{reviews:?}") };
    ensure!((root.version, root.compared_with) == (2, Some(1)));
    let is_added = |line: &&String| line.starts_with("+ timestamp key ");
    ensure!(root.lines.iter().filter(is_added).count() == 1 && root.lines.len() == 3, "{:?}", root.lines);
    ensure!(plugins.lines.len() == 2 && plugins.lines[1].starts_with("+ plugins/check/1.1.0, "), "{:?}", plugins.lines);

    // A request that hides a change behind a forged `in_force`: nobody's signature is on that.
    let mut forged: serde_json::Value = serde_json::from_slice(&carried)?;
    let targets = forged["drafts"]["plugins"]["signed"]["targets"].clone();
    forged["in_force"]["plugins"]["signed"]["targets"] = targets;
    let reviews = Request::parse(forged.to_string().as_bytes())?.review(&machine.keys, now())?;
    let plugins = &reviews[1];
    ensure!(plugins.compared_with.is_none(), "what is in force is not signed by the signer's key");
    ensure!(
        plugins.lines.iter().filter(|line| line.starts_with("+ plugins/check/")).count() == 2,
        "{:?}",
        plugins.lines
    );

    // A key signs only what its file says it is for, whatever the request has it sign.
    let mut swapped: serde_json::Value = serde_json::from_slice(&carried)?;
    let root_id = machine.keys[0].key.key_id();
    let plugin_keys =
        swapped["in_force"]["targets"]["signed"]["delegations"].as_object_mut().context("no delegations")?;
    let key =
        serde_json::from_slice::<serde_json::Value>(&carried)?["in_force"]["root"]["signed"]["keys"][&root_id].clone();
    plugin_keys["keys"][&root_id] = key;
    for role in plugin_keys["roles"].as_array_mut().context("no roles")? {
        role["keyids"].as_array_mut().context("no ids")?.push(root_id.clone().into());
    }
    let signed = Request::parse(swapped.to_string().as_bytes())?.sign(&machine.keys[..1])?;
    ensure!(signed.count() == 1, "the root key signs the root alone");
    // What the site signs itself is asked of nobody.
    let mut online: serde_json::Value = serde_json::from_slice(&carried)?;
    online["drafts"]["catalogs"] = online["drafts"]["plugins"].clone();
    ensure!(Request::parse(online.to_string().as_bytes())?.review(&machine.keys, now()).is_err());
    let mut foreign: serde_json::Value = serde_json::from_slice(&carried)?;
    foreign["note"] = "please".into();
    ensure!(Request::parse(foreign.to_string().as_bytes()).is_err(), "there is no place for words in a request");
    Ok(())
}

async fn what_cannot_be_is_refused_before_a_key_is_made(database: Database) -> anyhow::Result<()> {
    let stage = Stage::new(&database).await?;
    let here = |role| Ok::<_, KeyError>(stage.site.keys.signers(role)?.len());
    for (role, rotation) in [
        (KeyRole::Root, Rotation { threshold: Some(2), ..rotation(KeyRole::Root, Vec::new()) }),
        (KeyRole::Root, Rotation { threshold: Some(0), ..rotation(KeyRole::Root, Vec::new()) }),
        (
            KeyRole::Plugins,
            Rotation { dropped: Dropped::These(vec!["no such".to_owned()]), ..rotation(KeyRole::Plugins, Vec::new()) },
        ),
        (
            KeyRole::Plugins,
            Rotation { dropped: Dropped::These(vec![String::new()]), ..rotation(KeyRole::Plugins, Vec::new()) },
        ),
    ] {
        ensure!(stage.site.rotate_to_own(rotation, now()).await.is_err(), "{role}");
        ensure!(here(role)? == 1, "a key was left behind");
    }
    let elsewhere = new_key()?.public();
    let error = stage.site.rotate(&rotation(KeyRole::Policy, vec![elsewhere]), now()).await.err();
    let error = error.context("the site cannot sign with that")?.to_string();
    ensure!(error.contains("farrier keys import"), "{error}");
    let of_root = stage.site.keys.signers(KeyRole::Root)?.iter().map(SigningKey::public).collect();
    let error = stage.site.rotate(&rotation(KeyRole::Plugins, of_root), now()).await.err();
    let error = error.context("one key has two roles")?.to_string();
    ensure!(error.contains("is a key of root"), "{error}");
    let same = Rotation { role: KeyRole::Root, new: Vec::new(), dropped: Dropped::Nothing, threshold: Some(1) };
    ensure!(stage.site.rotate(&same, now()).await.is_err(), "nothing would change");
    ensure!(stage.site.standing(now()).await?.waiting.is_empty(), "nothing waits of what was refused");

    // Once its private half is here, it can be had.
    let key = new_key()?;
    let new = vec![key.public()];
    let nameless = PrivateKeyFile { role: None, key: key.clone() };
    ensure!(stage.site.import(vec![nameless]).await.is_err(), "nobody knows what it is for");
    let file = PrivateKeyFile { role: Some(KeyRole::Policy), key };
    let (imported, _) = stage.site.import(vec![file]).await?;
    ensure!(imported.len() == 1 && imported[0].role == KeyRole::Policy);
    let outcome = stage.site.rotate(&rotation(KeyRole::Policy, new), now()).await?;
    ensure!(roles(&outcome.in_force) == ["targets"], "{outcome:?}");
    Ok(())
}

async fn the_site_says_in_time_what_expires(database: Database) -> anyhow::Result<()> {
    let stage = Stage::new(&database).await?;
    for role in KeyRole::OFFLINE {
        stage.take(role)?;
    }
    let site = SiteKeys { database: database.clone(), keys: Keys::open(stage.folder.path())? };
    ensure!(site.standing(now()).await?.notices.is_empty());
    let year = now() + 365 * DAY;
    for (days_left, urgency, words) in [
        (50, Urgency::Warning, "expires in 50 days; sign it again: `farrier keys renew root`"),
        (10, Urgency::Urgent, "expires in 10 days"),
        (0, Urgency::Urgent, "expires within a day"),
        (-1, Urgency::Urgent, "expired"),
    ] {
        let at = year - days_left * DAY - DAY / 2;
        stage.publisher.publish_at(at).await?;
        let notices = site.standing(at).await?.notices;
        let of = |role: &str| notices.iter().find(|notice| notice.text.contains(&format!("The {role} metadata")));
        let root = of("root").with_context(|| format!("{days_left} days: {notices:?}"))?;
        ensure!(root.urgency == urgency && root.to_string().contains(words), "{root}");
        ensure!(of("timestamp").is_none(), "the site signs it itself");
        ensure!(notices.is_sorted_by(|a, b| a.urgency >= b.urgency), "{notices:?}");
    }
    // A site that has not run for a while.
    let notices = site.standing(year + 7 * DAY).await?.notices;
    let timestamp =
        notices.iter().find(|notice| notice.text.contains("The timestamp metadata")).context("it is silent")?;
    ensure!(timestamp.urgency == Urgency::Urgent && timestamp.text.contains("log"), "{timestamp}");
    Ok(())
}
