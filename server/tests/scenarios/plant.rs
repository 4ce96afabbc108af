//! What scenarios begin with.

use anyhow::{Context as _, ensure};
use farrier::config::{Classification, SuiteConfig};
use farrier::database::{
    Admission, ClientAbilities, Database, Enrollment, Follow, ImportedPackage, ImportedUpdate, IssuedCertificate,
    SuiteImport,
};
use farrier_protocol::{ClientId, Digest, UpdateId};

/// When everything here happens.
pub const NOW: i64 = 1_800_000_000;

/// The name of the planted update of this source package.
pub fn update_name(source: &str) -> String {
    format!("bookworm-security/{source}/1.2-3")
}

/// A suite with an update of each of these source packages.
pub async fn updates(database: &Database, sources: &[&str]) -> anyhow::Result<Vec<UpdateId>> {
    let suite = suite(database, "bookworm-security").await?;
    let import = SuiteImport {
        validator: None,
        imported: Digest::of(sources.join(" ").as_bytes()),
        released_at: NOW,
        follow: Follow::Always,
        updates: sources.iter().map(|source| imported(source)).collect(),
    };
    database.import_suite(suite, &import).await?;
    Ok(sources.iter().map(|source| UpdateId::of_name(&update_name(source))).collect())
}

/// A configured suite without updates.
pub async fn suite(database: &Database, name: &str) -> anyhow::Result<i64> {
    Ok(suites(database, &[name]).await?[0])
}

/// The configured suites, without updates.
pub async fn suites(database: &Database, names: &[&str]) -> anyhow::Result<Vec<i64>> {
    let config = |name: &&str| SuiteConfig {
        name: (*name).to_owned(),
        distribution: "debian".to_owned(),
        release: "bookworm".to_owned(),
        mirror: "https://mirror.example.org/debian".to_owned(),
        suite: (*name).to_owned(),
        components: vec!["main".to_owned()],
        architectures: vec!["amd64".to_owned()],
        keyrings: vec!["/keyring".into()],
        classification: None,
        check_valid_until: true,
    };
    database.configure_suites(&names.iter().map(config).collect::<Vec<_>>()).await?;
    let suites = database.suites().await?;
    let id = |name: &&str| Ok(suites.iter().find(|suite| suite.name == *name).context("the suite is not there")?.id);
    names.iter().map(id).collect()
}

fn imported(source: &str) -> ImportedUpdate {
    let package = ImportedPackage {
        name: source.into(),
        architecture: "amd64".into(),
        version: "1.2-3".into(),
        file: format!("pool/{source}.deb").into(),
        size: 7,
        sha256: Digest::of(source.as_bytes()),
    };
    ImportedUpdate {
        source: source.to_owned(),
        version: "1.2-3".to_owned(),
        summary: format!("{source} in one line"),
        classification: Classification::SecurityUpdates,
        priority: 0,
        content: Digest::of(source.as_bytes()),
        packages: vec![package],
    }
}

/// An enrolled client.
pub async fn client(database: &Database, number: u8) -> anyhow::Result<ClientId> {
    let client = ClientId([number; 16]);
    let secret = Digest::of(&[number]);
    database.create_token(&secret, NOW, NOW + 60).await?;
    let admission = database.enroll_client(&secret, &enrollment(client, &format!("host-{number}")), NOW).await?;
    ensure!(admission == Some(Admission::Admitted), "a fresh token must enrol");
    Ok(client)
}

/// A new client that is let in at once, with [`certificate`].
pub fn enrollment(client: ClientId, hostname: &str) -> Enrollment<'_> {
    Enrollment {
        client,
        takes_over: false,
        hostname,
        hardware: None,
        certificate: certificate(client),
        waits_for_approval: false,
    }
}

/// What stands for the first certificate of a client.
pub fn certificate(client: ClientId) -> IssuedCertificate {
    IssuedCertificate { digest: Digest::of(client.as_bytes()), expires_at: NOW + 365 * 86_400 }
}

/// A contact of a client with its first certificate.
pub async fn contact(database: &Database, client: ClientId, now: i64) -> anyhow::Result<ClientAbilities> {
    let admitted = database.admit_client(client, &certificate(client).digest, now).await?;
    admitted.map_err(|kept_out| anyhow::anyhow!("{client} is kept out: {kept_out:?}"))
}

/// The one number that a query answers.
pub async fn number(database: &Database, query: &'static str) -> anyhow::Result<i64> {
    Ok(sqlx::query_scalar(query).fetch_one(database.pool()).await?)
}
