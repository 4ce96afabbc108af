-- The site database, for SQLite. ../postgres holds the same tables in PostgreSQL's words.

-- Upstream suites, as site.toml configures them, and what is known of their last synchronization.
CREATE TABLE suites (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    distribution TEXT NOT NULL,
    release TEXT NOT NULL,
    mirror TEXT NOT NULL,
    -- Space-separated. None: the suite is no longer configured.
    architectures TEXT NOT NULL,
    -- 0 Updates, 1 Critical Updates, 2 Security Updates.
    classification INTEGER NOT NULL,
    -- How far the upstream itself lets clients follow: 0 always, 1 only where nothing else provides (backports), 2 never by itself.
    follow INTEGER NOT NULL,
    -- What the upstream sent with the last verified InRelease: a validator for a conditional request.
    validator TEXT,
    -- SHA-256 of the last imported InRelease together with the suite's configuration.
    imported BLOB,
    released_at INTEGER,
    checked_at INTEGER,
    changed_at INTEGER
);

CREATE TABLE software_updates (
    id INTEGER PRIMARY KEY,
    update_id BLOB NOT NULL UNIQUE,
    suite_id INTEGER NOT NULL REFERENCES suites (id) ON DELETE CASCADE,
    -- {suite}/{source}/{version}
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    version TEXT NOT NULL,
    summary TEXT NOT NULL,
    classification INTEGER NOT NULL,
    -- The upstream's own priority of the most important package: 0 optional or extra, 1 standard, 2 important, 3 required.
    priority INTEGER NOT NULL,
    -- SHA-256 over everything imported of it: an import writes only what differs.
    content BLOB NOT NULL,
    -- The newest update of the same source package in the same release, if it is newer.
    superseded_by INTEGER REFERENCES software_updates (id) ON DELETE SET NULL,
    first_seen_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- When it vanished from upstream.
    expired_at INTEGER
);
CREATE INDEX software_updates_suite ON software_updates (suite_id, expired_at, source);
CREATE INDEX software_updates_source ON software_updates (source);
CREATE INDEX software_updates_superseded_by ON software_updates (superseded_by) WHERE superseded_by IS NOT NULL;

-- The binary packages of an update.
CREATE TABLE packages (
    software_update_id INTEGER NOT NULL REFERENCES software_updates (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    architecture TEXT NOT NULL,
    version TEXT NOT NULL,
    file TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    PRIMARY KEY (software_update_id, name, architecture, version)
) WITHOUT ROWID;

-- One row per requested synchronization, kept as history.
CREATE TABLE sync_runs (
    id INTEGER PRIMARY KEY,
    -- administrator, schedule
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    started_at INTEGER,
    -- The last sign of life of whoever is at it.
    seen_at INTEGER,
    finished_at INTEGER,
    -- When what it brought was in the repository.
    published_at INTEGER
);

CREATE TABLE sync_run_suites (
    sync_run_id INTEGER NOT NULL REFERENCES sync_runs (id) ON DELETE CASCADE,
    suite TEXT NOT NULL,
    -- waiting, downloading, importing, unchanged, imported, failed
    phase TEXT NOT NULL,
    done INTEGER NOT NULL,
    -- Bytes while downloading, packages while importing; 0 where unknown.
    total INTEGER NOT NULL,
    added INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    expired INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (sync_run_id, suite)
) WITHOUT ROWID;

-- The current version of the repository and the one before it.
CREATE TABLE publications (
    version INTEGER PRIMARY KEY,
    published_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    signed_index BLOB NOT NULL,
    -- What clients are assigned of it, encoded.
    content BLOB NOT NULL
);

CREATE TABLE clients (
    id INTEGER PRIMARY KEY,
    client_id BLOB NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    operating_system TEXT NOT NULL DEFAULT '',
    machine TEXT NOT NULL DEFAULT '',
    agent_version TEXT NOT NULL DEFAULT '',
    enrolled_at INTEGER NOT NULL,
    last_contact_at INTEGER NOT NULL,
    -- The state message stream: its random number and the serial of the last committed message.
    stream INTEGER,
    last_serial INTEGER NOT NULL DEFAULT 0,
    scanned_at INTEGER,
    scan_assignment INTEGER,
    scan_evaluated INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX clients_last_contact_at ON clients (last_contact_at);

CREATE TABLE enrollment_tokens (
    -- SHA-256 of the secret.
    secret BLOB PRIMARY KEY,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER,
    client_id INTEGER REFERENCES clients (id) ON DELETE SET NULL
) WITHOUT ROWID;

-- How the plugins fared in a client's last scan.
CREATE TABLE client_plugins (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    -- Empty, or what went wrong.
    error TEXT NOT NULL,
    PRIMARY KEY (client_id, name)
) WITHOUT ROWID;

-- Sparse: an update without a row is NotRequired on a scanned client. 1 Installed, 2 Required, 3 Unknown.
CREATE TABLE compliance_states (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    software_update_id INTEGER NOT NULL REFERENCES software_updates (id) ON DELETE CASCADE,
    state INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, software_update_id)
) WITHOUT ROWID;
CREATE INDEX compliance_states_software_update ON compliance_states (software_update_id, state);

-- Why: one row per thing on the client that the state is about.
CREATE TABLE findings (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    software_update_id INTEGER NOT NULL REFERENCES software_updates (id) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    state INTEGER NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (client_id, software_update_id, subject)
) WITHOUT ROWID;
