//! A site of a few threads: TLS, HTTP/1.1, and a state that tests change behind its back.

use super::fake_admission::{Admission, kept_out};
use super::fake_mirror::{self, Behaviour};
use super::fake_repository::Repository;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use farrier_protocol::assignment::{
    Assessment, AssignedCatalog, AssignedDeployment, AssignedInstaller, AssignedPlugin, Assignment, Schedule, Standing,
    Windows,
};
use farrier_protocol::catalog::{Catalog, Chunk, ChunkEntry};
use farrier_protocol::deployment::{DeployedUpdates, DeploymentPolicy};
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, EnrollmentToken, RenewalReply, RenewalRequest};
use farrier_protocol::poll::{PollRequest, Statement};
use farrier_protocol::state_message::{
    Abilities, Difference, Enforcement, Facts, FallBack, Inventory, ScanResult, ShadowResult, StateBatch, StateMessage,
    StateReply, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, DeploymentId, Digest, UpdateId, paths};
use farrier_runtime::{EngineId, Manifest};
use rcgen::{BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

pub(super) const CLIENT: ClientId = ClientId([0xC1; 16]);
const SECRET: [u8; 16] = [5; 16];
/// Rules in one chunk: few, so that small catalogs have several.
const CHUNK_RULES: usize = 2;
/// When the site says that it made its statements, unless a test has it say something else.
const ISSUED_AT: i64 = 1_700_000_000;

/// What the site knows of its one client.
#[derive(Debug, Default)]
pub(super) struct ClientView {
    pub stream: Option<u64>,
    pub last_serial: u64,
    pub states: BTreeMap<UpdateId, ComplianceState>,
    pub findings: Vec<(UpdateId, String, String)>,
    pub inventory: Option<Inventory>,
    pub scans: Vec<ScanResult>,
    pub facts: Option<Facts>,
    /// Every word on every job, in the order in which they came.
    pub enforcements: Vec<Enforcement>,
    pub abilities: Option<Abilities>,
    /// The last word on each plugin's shadow, with its differences.
    pub shadows: BTreeMap<String, (ShadowResult, Vec<Difference>)>,
    /// The plugins of which another version is used, or none; by name.
    pub fall_backs: BTreeMap<String, FallBack>,
}

/// What a thief of the assignment key says instead of the truth.
type Lie = Box<dyn Fn(&mut Statement) + Send>;

/// What tests change.
pub(super) struct Shared {
    pub repository: Repository,
    pub version: u64,
    pub issued_at: i64,
    /// Changes every statement before it is signed.
    pub lie: Option<Lie>,
    /// Answers this to every request that begins so, and closes the connection.
    pub instead: Option<(&'static str, Vec<u8>)>,
    /// Bytes of the bodies of all requests and answers, and how many requests there were, since the test looked last.
    pub traffic: Traffic,
    pub plugins: Vec<AssignedPlugin>,
    pub catalogs: Vec<AssignedCatalog>,
    pub installers: Vec<AssignedInstaller>,
    pub shadows: Vec<AssignedPlugin>,
    pub fallbacks: Vec<AssignedPlugin>,
    pub installer_fallbacks: Vec<AssignedInstaller>,
    pub deployments: Vec<AssignedDeployment>,
    pub windows: Windows,
    /// The targets by name, with their lengths.
    pub targets: Vec<(String, Digest, u64)>,
    pub content: BTreeMap<Digest, Vec<u8>>,
    pub assignment: Vec<u8>,
    pub client: ClientView,
    /// The content of updates.
    pub contents: BTreeMap<Digest, Vec<u8>>,
    /// How it is served.
    pub content_behaviour: Behaviour,
    /// Every request line since the test looked last.
    pub requests: Vec<String>,
    /// Connections are closed at once.
    pub down: bool,
    /// So many batches are answered with `Resend`.
    pub resends: u32,
    /// Certificates are made for this key instead of the client's.
    pub certify_another_key: bool,
    /// Who is let in, and with which certificate.
    pub admission: Admission,
}

/// What went over the wire.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub requests: usize,
    pub body_bytes: usize,
}

pub(super) struct FakeSite {
    pub address: String,
    authority: Arc<Authority>,
    shared: Arc<Mutex<Shared>>,
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl FakeSite {
    /// A site whose certificate is for `name`.
    pub(super) fn start(name: &str) -> Self {
        Self::start_with(name, Repository::new(1))
    }

    /// A site with this repository.
    pub(super) fn start_with(name: &str, repository: Repository) -> Self {
        let authority = Arc::new(Authority::new());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}", listener.local_addr().unwrap());
        let (shared, config) = (Arc::new(Mutex::new(Shared::new(repository))), authority.server_config(name));
        let site = Self { address, authority, shared: shared.clone() };
        let authority = site.authority.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (shared, config, authority) = (shared.clone(), config.clone(), authority.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &config, &authority, &shared));
            }
        });
        site
    }

    pub(super) fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    /// The requests since the last call.
    pub(super) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shared().requests)
    }

    pub(super) fn token_for(&self, authority: Digest) -> String {
        let (site, repository) = (self.address.clone(), Digest::of(self.shared().repository.current_root()));
        let token = EnrollmentToken { site, authority, repository, secret: SECRET };
        BASE64_URL_SAFE_NO_PAD.encode(farrier_protocol::encode(&token).unwrap())
    }

    pub(super) fn token(&self) -> String {
        self.token_for(Digest::of(&self.authority.certificate))
    }

    /// Assigns a built plugin of `plugins/dist`.
    pub(super) fn add_plugin(&self, name: &str, read: &[&str]) {
        let plugin = self.publish_plugin(dist(name), read);
        self.shared().plugins.push(plugin);
    }

    /// Publishes a component without assigning it.
    pub(super) fn publish_plugin(&self, component: Vec<u8>, read: &[&str]) -> AssignedPlugin {
        let Manifest { name, version, .. } = Manifest::read(&component).unwrap();
        let (target, digest) = self.add_version(&name, component);
        AssignedPlugin {
            name: bounded(&name),
            version: bounded(&version),
            target: bounded(&target),
            digest,
            read: read.iter().map(|glob| bounded(glob)).collect(),
        }
    }

    /// Assigns a built installer of `plugins/dist`, with everything its manifest asks for.
    pub(super) fn add_installer(&self, name: &str) {
        let installer = self.publish_installer(dist(name));
        self.shared().installers.push(installer);
    }

    /// Publishes an installer without assigning it.
    pub(super) fn publish_installer(&self, component: Vec<u8>) -> AssignedInstaller {
        let Manifest { name, version, read, write, run, .. } = Manifest::read(&component).unwrap();
        let (target, digest) = self.add_version(&name, component);
        AssignedInstaller {
            name: bounded(&name),
            version: bounded(&version),
            target: bounded(&target),
            digest,
            read: read.iter().map(|asked| bounded(&asked.grant)).collect(),
            write: write.iter().map(|asked| bounded(&asked.grant)).collect(),
            run: run.iter().map(|asked| bounded(&asked.grant)).collect(),
        }
    }

    /// Publishes what was compiled of a component for an engine.
    pub(super) fn add_artefact(&self, engine: EngineId, component: &[u8], artefact: Vec<u8>) -> Digest {
        self.add_target(&engine.target(&Digest::of(component)), artefact)
    }

    /// Puts something that is no component in the place of this target.
    pub(super) fn add_garbage(&self, target: &str) -> Digest {
        self.add_target(target, b"no component".to_vec())
    }

    /// Every version of a plugin is a target of its own.
    fn add_version(&self, name: &str, component: Vec<u8>) -> (String, Digest) {
        let target = format!("plugins/{name}/{}", Digest::of(&component));
        let digest = self.add_target(&target, component);
        (target, digest)
    }

    /// Publishes the updates of a deployment for the one scope of its policy, and the policy.
    pub(super) fn add_deployment(&self, mut policy: DeploymentPolicy, updates: &DeployedUpdates) {
        let compressed = zstd::bulk::compress(&farrier_protocol::encode(updates).unwrap(), 3).unwrap();
        let scope = &mut policy.scopes[0];
        (scope.digest, scope.length) = (Digest::of(&compressed), compressed.len() as u32);
        self.shared().content.insert(scope.digest, compressed);
        let name = format!("policies/{}", policy.deployment);
        let digest = self.add_target(&name, farrier_protocol::encode(&policy).unwrap());
        let deployments = &mut self.shared().deployments;
        match deployments.iter_mut().find(|assigned| assigned.deployment == policy.deployment) {
            Some(assigned) => assigned.digest = digest,
            None => deployments.push(AssignedDeployment {
                deployment: policy.deployment,
                target: bounded(&name),
                digest,
                phase: 0,
                standing: Standing::Open { since: 1_700_000_000 },
                retries: 0,
            }),
        }
    }

    /// Changes how a deployment stands for the client.
    pub(super) fn assign(&self, deployment: DeploymentId, change: impl FnOnce(&mut AssignedDeployment)) {
        let mut shared = self.shared();
        change(shared.deployments.iter_mut().find(|assigned| assigned.deployment == deployment).unwrap());
    }

    /// Publishes a catalog in the place of the one of this name.
    pub(super) fn add_catalog(&self, plugin: &str, scope: &str, target: &str, updates: &[(&str, Vec<u8>)]) {
        let chunks = updates.chunks(CHUNK_RULES).map(|updates| self.add_chunk(updates)).collect();
        let digest = self.add_target(target, farrier_protocol::encode(&Catalog { chunks }).unwrap());
        let catalogs = &mut self.shared().catalogs;
        catalogs.retain(|catalog| *catalog.target != *target);
        let (plugin, scope, target) = (bounded(plugin), bounded(scope), bounded(target));
        catalogs.push(AssignedCatalog { plugin, scope, target, digest });
    }

    /// Signs what was added and assigns it.
    pub(super) fn publish(&self) {
        let shared = &mut *self.shared();
        shared.version += 1;
        shared.repository.publish(&shared.targets);
        let version = shared.version;
        let assessment = Assessment {
            client: CLIENT,
            version,
            issued_at: ISSUED_AT,
            schedule: Schedule { poll_seconds: 900, scan_seconds: 3_600 },
            plugins: shared.plugins.iter().cloned().collect(),
            catalogs: shared.catalogs.iter().cloned().collect(),
        };
        let assignment = Assignment {
            assessment,
            installers: shared.installers.iter().cloned().collect(),
            deployments: shared.deployments.iter().cloned().collect(),
            windows: shared.windows.clone(),
            shadows: shared.shadows.iter().cloned().map(Box::new).collect(),
            fallbacks: shared.fallbacks.iter().cloned().map(Box::new).collect(),
            installer_fallbacks: shared.installer_fallbacks.iter().cloned().map(Box::new).collect(),
        };
        shared.assignment = farrier_protocol::encode(&assignment).unwrap();
    }

    /// Signs the repository anew, without a change of the assignment.
    pub(super) fn publish_again(&self) {
        let shared = &mut *self.shared();
        shared.repository.publish(&shared.targets);
    }

    /// Changes the assignment, as whoever has its key could.
    pub(super) fn tamper_assignment(&self, change: impl FnOnce(&mut Assignment)) {
        let mut shared = self.shared();
        let mut assignment: Box<Assignment> = farrier_protocol::decode(&shared.assignment).unwrap();
        change(&mut assignment);
        shared.assignment = farrier_protocol::encode(&assignment).unwrap();
    }

    fn add_target(&self, name: &str, content: Vec<u8>) -> Digest {
        let (digest, mut shared) = (Digest::of(&content), self.shared());
        shared.targets.retain(|(target, ..)| target != name);
        shared.targets.push((name.to_owned(), digest, content.len() as u64));
        shared.content.insert(digest, content);
        digest
    }

    fn add_chunk(&self, updates: &[(&str, Vec<u8>)]) -> ChunkEntry {
        let ids: Vec<u8> = updates.iter().flat_map(|(name, _)| UpdateId::of_name(name).0).collect();
        let rules: Vec<u8> = updates
            .iter()
            .flat_map(|(_, rule)| [&u16::try_from(rule.len()).unwrap().to_le_bytes()[..], rule].concat())
            .collect();
        let names: String = updates.iter().map(|(name, _)| format!("{name}\n")).collect();
        let chunk = farrier_protocol::encode(&Chunk { ids: &ids, rules: &rules, names: &names }).unwrap();
        let compressed = zstd::bulk::compress(&chunk, 3).unwrap();
        let (digest, length) = (Digest::of(&compressed), compressed.len() as u32);
        self.shared().content.insert(digest, compressed);
        ChunkEntry { digest, length, rules: updates.len() as u32 }
    }
}

/// A built component of `plugins/dist`.
pub(super) fn dist(name: &str) -> Vec<u8> {
    let file = format!("{}/../../plugins/dist/{name}.wasm", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&file).unwrap_or_else(|error| panic!("{file}: {error}"))
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Test authority");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn server_config(&self, name: &str) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let clients = clients.allow_unauthenticated().build().unwrap();
        let chain = vec![certificate, self.certificate.clone()];
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        Arc::new(config)
    }

    /// A certificate of the client's, with this validity, for the key of a request or for another one.
    fn certify(&self, request: &[u8], admission: &Admission, another_key: bool) -> Vec<u8> {
        let csr = CertificateSigningRequestParams::from_der(&request.into()).unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, CLIENT.to_string());
        admission.set_validity(&mut params);
        let certificate = match another_key {
            true => params.signed_by(&KeyPair::generate().unwrap(), &self.issuer),
            false => params.signed_by(&csr.public_key, &self.issuer),
        };
        certificate.unwrap().der().to_vec()
    }
}

fn serve(stream: TcpStream, config: &Arc<ServerConfig>, authority: &Authority, shared: &Mutex<Shared>) {
    if shared.lock().unwrap().down {
        return;
    }
    let connection = ServerConnection::new(config.clone()).unwrap();
    let mut stream = BufReader::new(StreamOwned::new(connection, stream));
    while let Some(Request { line, range, body }) = read_request(&mut stream) {
        let certificate = stream.get_ref().conn.peer_certificates().map(|chain| Digest::of(&chain[0]));
        let mut shared = shared.lock().unwrap();
        let content = line.strip_prefix("GET ").and_then(|path| path.strip_prefix(paths::CONTENT));
        // What may be cut short ends the connection.
        let closes = content.is_some() || shared.instead_of(&line).is_some();
        let answer = match content.and_then(|digest| digest.trim_start_matches('/').parse().ok()) {
            Some(digest) => {
                let file = shared.contents.get(&digest).map(Vec::as_slice);
                fake_mirror::answer(file, range.as_deref(), &shared.content_behaviour)
            }
            None => shared.answer(&line, &body, certificate.as_ref(), authority),
        };
        shared.traffic.requests += 1;
        shared.traffic.body_bytes += body.len() + body_of(&answer).len();
        shared.requests.push(line);
        drop(shared);
        // An answer that is lost is none.
        if answer.is_empty() || stream.get_mut().write_all(&answer).is_err() || closes {
            return;
        }
    }
}

type Stream = BufReader<StreamOwned<ServerConnection, TcpStream>>;

/// What of a request matters here.
struct Request {
    line: String,
    range: Option<String>,
    body: Vec<u8>,
}

fn read_request(stream: &mut Stream) -> Option<Request> {
    let mut request = String::new();
    stream.read_line(&mut request).ok().filter(|length| *length > 0)?;
    let (mut length, mut range) = (0, None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "range" => range = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let line = request.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    Some(Request { line, range, body })
}

impl Shared {
    fn new(repository: Repository) -> Self {
        Self {
            repository,
            version: 0,
            issued_at: ISSUED_AT,
            lie: None,
            instead: None,
            traffic: Traffic::default(),
            plugins: Vec::new(),
            catalogs: Vec::new(),
            installers: Vec::new(),
            shadows: Vec::new(),
            fallbacks: Vec::new(),
            installer_fallbacks: Vec::new(),
            deployments: Vec::new(),
            windows: Windows::default(),
            targets: Vec::new(),
            content: BTreeMap::new(),
            assignment: Vec::new(),
            client: ClientView::default(),
            contents: BTreeMap::new(),
            content_behaviour: Behaviour::default(),
            requests: Vec::new(),
            down: false,
            resends: 0,
            certify_another_key: false,
            admission: Admission::default(),
        }
    }

    fn answer(&mut self, line: &str, body: &[u8], certificate: Option<&Digest>, authority: &Authority) -> Vec<u8> {
        let (_, path) = line.split_once(' ').unwrap();
        if let Some(answer) = self.instead_of(line) {
            return answer.to_vec();
        }
        if path == paths::ENROLL {
            let request: EnrollmentRequest = farrier_protocol::decode(body).unwrap();
            if request.secret != SECRET {
                return response("403 Forbidden", b"The token is unknown, used or expired.");
            }
            let certificate =
                authority.certify(&request.certificate_request, &self.admission, self.certify_another_key);
            self.admission.enrolled(&certificate);
            let (authority, root) = (authority.certificate.to_vec(), self.repository.current_root().to_vec());
            let reply = EnrollmentReply { client: CLIENT, certificate, authority, root, waits_for_approval: false };
            return response("200 OK", &farrier_protocol::encode(&reply).unwrap());
        }
        let Some(used) = certificate else {
            return response("401 Unauthorized", b"A client certificate of this site is needed.");
        };
        if [paths::POLL, paths::RENEW, paths::STATE_MESSAGES].contains(&path)
            && let Some(exclusion) = self.admission.exclusion_of(used)
        {
            return kept_out(exclusion);
        }
        match path {
            paths::RENEW => {
                let request: RenewalRequest = farrier_protocol::decode(body).unwrap();
                let certificate =
                    authority.certify(&request.certificate_request, &self.admission, self.certify_another_key);
                match self.admission.renewed(used, &certificate) {
                    true => response("200 OK", &farrier_protocol::encode(&RenewalReply { certificate }).unwrap()),
                    false => Vec::new(),
                }
            }
            paths::POLL => self.poll(&farrier_protocol::decode(body).unwrap()),
            paths::STATE_MESSAGES => {
                let reply = self.client.take(body, &mut self.resends);
                response("200 OK", &farrier_protocol::encode(&reply).unwrap())
            }
            _ => self.file(path),
        }
    }

    fn instead_of(&self, line: &str) -> Option<&[u8]> {
        let (begin, answer) = self.instead.as_ref()?;
        line.starts_with(begin).then_some(answer.as_slice())
    }

    fn poll(&self, request: &PollRequest) -> Vec<u8> {
        if self.assignment.is_empty() {
            return response("503 Service Unavailable", b"The site has published nothing yet.");
        }
        let mut statement = self.repository.statement(request, CLIENT, &self.assignment);
        (statement.version, statement.issued_at) = (self.version, self.issued_at);
        self.lie.iter().for_each(|lie| lie(&mut statement));
        response("200 OK", &self.repository.reply(request, &statement, &self.assignment))
    }

    fn file(&self, path: &str) -> Vec<u8> {
        let below = |folder: &str| path.strip_prefix(folder)?.strip_prefix('/');
        let metadata = below(paths::METADATA).and_then(|file| self.repository.files.get(file));
        let target = || self.content.get(&below(paths::TARGETS)?.parse().ok()?);
        match metadata.or_else(target) {
            Some(content) => response("200 OK", content),
            None => response("404 Not Found", b"There is no such file."),
        }
    }
}

impl ClientView {
    fn take(&mut self, body: &[u8], resends: &mut u32) -> StateReply {
        let batch: StateBatch = farrier_protocol::decode(body).unwrap();
        let begins = batch.first_serial == 1 && self.stream != Some(batch.stream);
        let fits = self.stream == Some(batch.stream) && batch.first_serial <= self.last_serial + 1;
        if *resends > 0 || !(begins || fits) {
            *resends = resends.saturating_sub(1);
            return StateReply::Resend;
        }
        if begins {
            (self.stream, self.last_serial) = (Some(batch.stream), 0);
        }
        for (serial, message) in (batch.first_serial..).zip(batch.messages) {
            if serial > self.last_serial {
                self.last_serial = serial;
                self.apply(message);
            }
        }
        StateReply::Acknowledged { through: self.last_serial }
    }

    fn apply(&mut self, message: StateMessage) {
        match message {
            StateMessage::Reset => {
                self.states.clear();
                self.findings.clear();
                self.shadows.clear();
                self.fall_backs.clear();
            }
            StateMessage::Inventory(inventory) => self.inventory = Some(*inventory),
            StateMessage::Compliance(compliance) => {
                self.findings.retain(|(update, ..)| *update != compliance.update);
                match compliance.state {
                    ComplianceState::NotRequired => drop(self.states.remove(&compliance.update)),
                    state => drop(self.states.insert(compliance.update, state)),
                }
            }
            StateMessage::Finding(finding) => {
                self.findings.push((finding.update, finding.subject.to_string(), finding.detail.to_string()));
            }
            StateMessage::Scan(scan) => self.scans.push(*scan),
            StateMessage::Facts(facts) => self.facts = Some(*facts),
            StateMessage::Enforcement(enforcement) => self.enforcements.push(*enforcement),
            StateMessage::Abilities(abilities) => self.abilities = Some(*abilities),
            StateMessage::Shadow(result) if result.version.is_empty() => {
                assert_eq!((result.scanned_at, result.compared, result.error.as_str()), (0, 0, ""));
                self.shadows.remove(result.plugin.as_str());
            }
            StateMessage::Shadow(result) => {
                self.shadows.insert(result.plugin.to_string(), (*result, Vec::new()));
            }
            StateMessage::Difference(difference) => {
                // It follows the result that it is a part of.
                self.shadows.get_mut(difference.plugin.as_str()).unwrap().1.push(*difference);
            }
            StateMessage::FallBack(fall_back) if fall_back.failed_version.is_empty() => {
                self.fall_backs.remove(fall_back.plugin.as_str());
            }
            StateMessage::FallBack(fall_back) => {
                self.fall_backs.insert(fall_back.plugin.to_string(), *fall_back);
            }
        }
    }
}

pub(super) fn response(status: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn body_of(answer: &[u8]) -> &[u8] {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    end.map_or(&[], |end| &answer[end + 4..])
}
