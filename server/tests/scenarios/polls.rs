//! Polls: what a client is told, what it is not told again, and what that costs.

use super::plant;
use super::publications::{Site, import, update};
use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode};
use farrier::database::{Database, Follow, StateWriter, StoredMetadata, now};
use farrier::identity::SiteIdentity;
use farrier::keys::{Dropped, KeyRole, Rotation, SiteKeys};
use farrier::management_point::{self, ManagementPoint, Statements};
use farrier::tls::PeerCertificate;
use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::{MAX_POLL_BYTES, PollReply, PollRequest, Statement};
use farrier_protocol::{ClientId, Digest, paths};
use farrier_trust::{Delegation, Draft, Expected, Paths, TargetFile, Targets, verify_statement};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use tower::ServiceExt as _;

scenarios![
    a_statement_is_for_this_client_and_this_poll,
    an_assignment_comes_along_once,
    other_assignment_keys_sign_as_soon_as_their_root_is_published,
    an_unchanged_poll_is_one_small_answer_however_much_is_published,
    what_a_client_needs_is_noted,
    what_is_no_poll_is_refused_in_words,
];

const CONFIG: &str = "listen = \"127.0.0.1:0\"\naddress = \"https://site.example.org\"";
const PLATFORM: &str = "x86_64-linux";

/// A site with one client.
struct Polled {
    site: Site,
    router: Router,
    client: ClientId,
    certificate: CertificateDer<'static>,
}

/// What a client was told.
struct Told {
    statement: Statement,
    assignment: Option<Box<Assignment>>,
    /// Of the request and the answer together.
    bytes: usize,
}

fn request(nonce: u8, known: Option<Digest>) -> PollRequest {
    let platform = PLATFORM.try_into().unwrap_or_default();
    PollRequest { nonce: [nonce; 16], known, platform, engine: None, boot: Some([1; 16]), hardware: None }
}

impl Polled {
    async fn new(database: &Database) -> anyhow::Result<Self> {
        let client = plant::client(database, 1).await?;
        let site = Site::new(database).await?;
        let identity = SiteIdentity::load_or_create(site.folder())?;
        let key = rcgen::KeyPair::generate()?;
        let wanted = rcgen::CertificateParams::default().serialize_request(&key)?;
        let certificate = identity.client_certificate(client, wanted.der())?;
        database.renew_certificate(client, &plant::certificate(client).digest, &certificate.record).await?;
        let certificate = CertificateDer::from(certificate.der);
        let router = management_point::router(ManagementPoint {
            database: database.clone(),
            states: StateWriter::new(database.clone()),
            identity: Arc::new(identity),
            statements: Statements::new(database.clone(), site.publisher.keys.clone()),
            signals: farrier::signals::Signals::default(),
            config: Arc::new(toml::from_str(CONFIG)?),
        });
        Ok(Self { site, router, client, certificate })
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> anyhow::Result<(StatusCode, Vec<u8>)> {
        let request = Request::builder().method(method).uri(path);
        let request = request.extension(PeerCertificate(Some(self.certificate.clone()))).body(Body::from(body))?;
        let (head, body) = self.router.clone().oneshot(request).await?.into_parts();
        Ok((head.status, to_bytes(body, usize::MAX).await?.into()))
    }

    /// Polls, and believes the answer as an agent does.
    async fn poll(&self, request: &PollRequest) -> anyhow::Result<Told> {
        let asked = farrier_protocol::encode(request)?;
        let (status, body) = self.send(Method::POST, paths::POLL, asked.clone()).await?;
        ensure!(status == StatusCode::OK, "{status}: {}", String::from_utf8_lossy(&body));
        let reply: PollReply<'_> = farrier_protocol::decode(&body)?;
        let client = self.site.client.lock().await;
        let keys = client.client.assignment_keys().context("the root names no assignment keys")?;
        let expected = Expected {
            tenant: client.client.tenant().context("the root names no tenant")?,
            client: self.client,
            nonce: Some(request.nonce),
            floor: 0,
            platform: PLATFORM,
            now: Some(now()),
        };
        let statement = verify_statement(&reply, &keys, &expected)?;
        let other = Expected { nonce: Some([0xff; 16]), ..expected };
        ensure!(verify_statement(&reply, &keys, &other).is_err(), "it answers no other poll");
        let decoded = |bytes| Ok::<_, anyhow::Error>(Box::new(farrier_protocol::decode::<Assignment>(bytes)?));
        let assignment = reply.assignment.map(decoded).transpose()?;
        Ok(Told { statement, assignment, bytes: asked.len() + body.len() })
    }

    /// Whether a client that follows the site has nothing to fetch.
    async fn is_up_to_date(&self, statement: &Statement) -> bool {
        let client = self.site.client.lock().await;
        statement.root == client.client.root_version() && Some(statement.timestamp) == client.client.timestamp_digest()
    }
}

async fn a_statement_is_for_this_client_and_this_poll(database: Database) -> anyhow::Result<()> {
    let polled = Polled::new(&database).await?;
    polled.site.publish().await?;
    let asked_at = now();
    let Told { statement, assignment, .. } = polled.poll(&request(7, None)).await?;
    let assignment = assignment.context("there is no assignment")?;
    ensure!((statement.client, statement.nonce) == (polled.client, [7; 16]));
    ensure!(statement.version == assignment.assessment.version && assignment.assessment.client == polled.client);
    ensure!(statement.platform == PLATFORM);
    ensure!((asked_at..=now()).contains(&statement.issued_at), "as old as the answer");
    ensure!(statement.expires == statement.issued_at + 7 * 86_400);
    ensure!(polled.is_up_to_date(&statement).await);
    Ok(())
}

async fn an_assignment_comes_along_once(database: Database) -> anyhow::Result<()> {
    let polled = Polled::new(&database).await?;
    polled.site.publish().await?;
    let first = polled.poll(&request(1, None)).await?;
    ensure!(first.assignment.is_some());
    let known = Some(first.statement.assignment);
    let second = polled.poll(&request(2, known)).await?;
    ensure!(second.assignment.is_none() && second.statement.assignment == first.statement.assignment);

    // What is only signed again does not concern the assignment.
    polled.site.publish_at(now() + 2 * 86_400).await?;
    let third = polled.poll(&request(3, known)).await?;
    ensure!(third.assignment.is_none() && third.statement.timestamp != first.statement.timestamp);
    ensure!(third.statement.version == first.statement.version && polled.is_up_to_date(&third.statement).await);

    let suite = plant::suite(&database, "bookworm").await?;
    import(&database, suite, Follow::Always, vec![update("bash", "1", &[("bash", "amd64", "1")])]).await?;
    polled.site.publish().await?;
    let fourth = polled.poll(&request(4, known)).await?;
    ensure!(fourth.statement.version > first.statement.version);
    let catalogs = fourth.assignment.context("it changed")?.assessment.catalogs;
    ensure!(catalogs.len() == 1 && catalogs[0].target == "catalogs/bookworm/amd64");
    Ok(())
}

async fn other_assignment_keys_sign_as_soon_as_their_root_is_published(database: Database) -> anyhow::Result<()> {
    let polled = Polled::new(&database).await?;
    polled.site.publish().await?;
    let first = polled.poll(&request(1, None)).await?.statement;
    let keys = SiteKeys { database: database.clone(), keys: polled.site.publisher.keys.clone() };
    let key = keys.keys.make(KeyRole::Assignment)?;
    let rotation =
        Rotation { role: KeyRole::Assignment, new: vec![key.public()], dropped: Dropped::All, threshold: None };
    keys.rotate(&rotation, now()).await?;
    ensure!(polled.poll(&request(2, None)).await?.statement.root == first.root, "the old one, until then");
    polled.site.publish().await?;
    let second = polled.poll(&request(3, None)).await?.statement;
    ensure!((second.root, second.tenant) == (first.root + 1, first.tenant));
    Ok(())
}

/// Delegates to so many more roles, each with a target, as nobody but an administrator with his own tools would.
async fn delegate_to_more(database: &Database, site: &Site, numbers: Range<usize>) -> anyhow::Result<()> {
    let keys = &site.publisher.keys;
    let stored = database.current_metadata("targets").await?.context("no targets")?;
    let mut targets: Targets = Draft::from_bytes("targets", &stored.bytes)?.content()?;
    let delegations = targets.delegations.as_mut().context("no delegations")?;
    let policies = delegations.role("policies").context("no policies")?.clone();
    let mut metadata = Vec::new();
    let mut sign = |role: &str, content: &Targets, by: KeyRole| {
        let mut draft = Draft::new(content);
        keys.signers(by)?.iter().for_each(|key| draft.sign(key));
        let (role, bytes) = (role.to_owned(), draft.to_bytes());
        metadata.push(StoredMetadata { role, version: content.version, expires_at: content.expires, bytes });
        anyhow::Ok(())
    };
    for number in numbers {
        let role = format!("extra-{number}");
        let paths = Paths::Patterns(vec![format!("{role}/*")]);
        delegations.roles.push(Delegation { name: role.clone(), paths, ..policies.clone() });
        let target = (format!("{role}/target"), TargetFile::new(6, &Digest::of(b"target")));
        let content = Targets {
            version: 1,
            expires: targets.expires,
            targets: BTreeMap::from([target]),
            delegations: None,
            other: BTreeMap::new(),
        };
        sign(&role, &content, KeyRole::Policy)?;
    }
    targets.version += 1;
    sign("targets", &targets, KeyRole::Targets)?;
    database.record_metadata(&metadata).await?;
    Ok(())
}

async fn an_unchanged_poll_is_one_small_answer_however_much_is_published(database: Database) -> anyhow::Result<()> {
    let polled = Polled::new(&database).await?;
    polled.site.publish().await?;
    let suite = plant::suite(&database, "bookworm").await?;
    let mut roles = 0;
    for count in [1, 20, 200] {
        delegate_to_more(&database, &polled.site, roles..count).await?;
        roles = count;
        let updates = (0..count).map(|number| format!("source-{number}"));
        let updates = updates.map(|source| update(&source, "1", &[(&source, "amd64", "1")])).collect();
        import(&database, suite, Follow::Always, updates).await?;
        polled.site.publisher.publish().await?;
        let mut client = polled.site.client.lock().await;
        client.asked.clear();
        client.refresh(now()).await?;
        client.find("catalogs/bookworm/amd64", now()).await?.context("there is no catalog")?;
        let asked = std::mem::take(&mut client.asked);
        drop(client);
        let first = polled.poll(&request(1, None)).await?;
        let unchanged = polled.poll(&request(2, Some(first.statement.assignment))).await?;
        ensure!(unchanged.assignment.is_none() && polled.is_up_to_date(&unchanged.statement).await);
        eprintln!(
            "{} delegations: an unchanged poll is 1 request and {} bytes of bodies, one with the assignment {} bytes; a \
             change of a catalog is {} requests for metadata and {} bytes",
            roles + 4,
            unchanged.bytes,
            first.bytes,
            asked.len(),
            asked.iter().map(|(_, bytes)| bytes).sum::<usize>()
        );
        ensure!(unchanged.bytes <= 400, "{} bytes", unchanged.bytes);
    }
    Ok(())
}

async fn what_a_client_needs_is_noted(database: Database) -> anyhow::Result<()> {
    let polled = Polled::new(&database).await?;
    polled.site.publish().await?;
    let engine = "wasmtime-48.0.8/pulley64/settings-1";
    let with = PollRequest { engine: Some(engine.try_into().unwrap_or_default()), ..request(1, None) };
    polled.poll(&with).await?;
    ensure!(database.engines_in_use().await? == [engine]);
    polled.poll(&request(2, None)).await?;
    ensure!(database.engines_in_use().await?.is_empty(), "it compiles itself now");
    Ok(())
}

async fn what_is_no_poll_is_refused_in_words(database: Database) -> anyhow::Result<()> {
    let polled = Polled::new(&database).await?;
    let poll = farrier_protocol::encode(&request(1, None))?;
    let (status, said) = polled.send(Method::POST, paths::POLL, poll.clone()).await?;
    ensure!(status == StatusCode::SERVICE_UNAVAILABLE && String::from_utf8(said)?.contains("published nothing yet"));
    polled.site.publish().await?;
    for (body, expected) in [
        (Vec::new(), StatusCode::BAD_REQUEST),
        ([poll.clone(), vec![0]].concat(), StatusCode::BAD_REQUEST),
        (vec![0; MAX_POLL_BYTES + 1], StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (status, _) = polled.send(Method::POST, paths::POLL, body).await?;
        ensure!(status == expected, "{status}");
    }
    for (method, path) in [
        (Method::POST, "/v1/enroll"),
        (Method::GET, "/v1/assignment"),
        (Method::GET, "/v2/assignment"),
        (Method::GET, "/v3/assignment"),
    ] {
        let (status, said) = polled.send(method, path, Vec::new()).await?;
        ensure!(status == StatusCode::GONE && String::from_utf8(said)?.contains("update the agent"), "{path}");
    }
    let stranger = Request::post(paths::POLL).body(Body::from(poll))?;
    ensure!(polled.router.clone().oneshot(stranger).await?.status() == StatusCode::UNAUTHORIZED);
    Ok(())
}
