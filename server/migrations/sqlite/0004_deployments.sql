-- What collections are made by, beside what clients already hold.
ALTER TABLE clients ADD COLUMN os TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN release TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
-- 1: something that a query may ask for changed since the collections were last evaluated for this client.
ALTER TABLE clients ADD COLUMN unevaluated INTEGER NOT NULL DEFAULT 1;
CREATE INDEX clients_unevaluated ON clients (id) WHERE unevaluated = 1;

CREATE TABLE client_tags (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    tag TEXT NOT NULL,
    PRIMARY KEY (client_id, tag)
) WITHOUT ROWID;

-- Named sets of clients. 1 is All clients.
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    -- The query of a rule-based collection; none if it has only static and included members.
    query TEXT,
    -- The shortest age that the query asks a last contact for, in seconds: a client that comes back after longer is
    -- evaluated again. None if it asks for none.
    contact_seconds INTEGER,
    -- 1: its definition changed since it was last evaluated for everybody.
    unevaluated INTEGER NOT NULL DEFAULT 1,
    created_at INTEGER NOT NULL,
    -- Grows with every change of the definition, even within a second.
    changed_at INTEGER NOT NULL
);
INSERT INTO collections (id, name, description, query, unevaluated, created_at, changed_at)
VALUES (1, 'All clients', 'Every client of this site.', 'all', 1, 0, 0);

-- Static members.
CREATE TABLE collection_clients (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    PRIMARY KEY (collection_id, client_id)
) WITHOUT ROWID;
CREATE INDEX collection_clients_client ON collection_clients (client_id);

-- Other collections whose members are added (0 include) or taken away (1 exclude; it goes before everything else).
CREATE TABLE collection_relations (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    other_id INTEGER NOT NULL REFERENCES collections (id),
    kind INTEGER NOT NULL,
    PRIMARY KEY (collection_id, other_id)
) WITHOUT ROWID;
CREATE INDEX collection_relations_other ON collection_relations (other_id);

-- Who is in, kept up to date as clients and collections change.
CREATE TABLE collection_members (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    since INTEGER NOT NULL,
    PRIMARY KEY (collection_id, client_id)
) WITHOUT ROWID;
CREATE INDEX collection_members_client ON collection_members (client_id);

-- When the passing of time may change a client's membership, because the query asks how long ago something was.
CREATE TABLE collection_due (
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    due_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, collection_id)
) WITHOUT ROWID;
CREATE INDEX collection_due_at ON collection_due (due_at);

CREATE TABLE maintenance_windows (
    id INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    -- 0 maintenance window, 1 business hours.
    kind INTEGER NOT NULL,
    -- The first start as a wall clock time: 2026-11-24T22:00:00.
    starts TEXT NOT NULL,
    -- An RFC 5545 recurrence rule (FREQ=WEEKLY;BYDAY=TU,TH), or none if it occurs once.
    recurrence TEXT,
    duration_seconds INTEGER NOT NULL,
    -- An IANA time zone, or empty for each client's own.
    time_zone TEXT NOT NULL,
    enabled INTEGER NOT NULL DEFAULT 1,
    changed_at INTEGER NOT NULL
);
CREATE INDEX maintenance_windows_collection ON maintenance_windows (collection_id);

CREATE TABLE update_groups (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE update_group_updates (
    update_group_id INTEGER NOT NULL REFERENCES update_groups (id) ON DELETE CASCADE,
    software_update_id INTEGER NOT NULL REFERENCES software_updates (id) ON DELETE CASCADE,
    -- How long its installation may take; none if the deployment says.
    max_run_seconds INTEGER,
    PRIMARY KEY (update_group_id, software_update_id)
) WITHOUT ROWID;
CREATE INDEX update_group_updates_update ON update_group_updates (software_update_id);

-- Settings of a deployment by name, as JSON: what the wizard and automatic deployment rules begin with.
CREATE TABLE deployment_templates (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    changed_at INTEGER NOT NULL
);

-- Automatic deployment rules: after every synchronization, what the filter selects is deployed.
CREATE TABLE deployment_rules (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL,
    -- JSON.
    filter TEXT NOT NULL,
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    -- JSON, like a template's.
    settings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- The last time it ran, what came of it in words, and the newest synchronization it has seen.
    ran_at INTEGER,
    outcome TEXT,
    sync_run_id INTEGER
);

CREATE TABLE deployments (
    id INTEGER PRIMARY KEY,
    deployment_id BLOB NOT NULL UNIQUE,
    name TEXT NOT NULL,
    update_group_id INTEGER NOT NULL REFERENCES update_groups (id),
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    deployment_rule_id INTEGER REFERENCES deployment_rules (id) ON DELETE SET NULL,
    -- JSON: purpose, schedule, restart behaviour, sources.
    settings TEXT NOT NULL,
    -- 0 active, 1 paused, 2 cancelled.
    status INTEGER NOT NULL,
    -- Why it is paused or cancelled: an administrator, or the failure threshold, in words.
    status_reason TEXT NOT NULL,
    status_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    -- 1: its clients, their states or its definition changed since its phases were last looked after.
    unevaluated INTEGER NOT NULL DEFAULT 1,
    -- Why it is not published, if it cannot be.
    problem TEXT
);
CREATE INDEX deployments_update_group ON deployments (update_group_id);

CREATE TABLE deployment_phases (
    deployment_id INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    -- Who is in: everybody whose bucket is below this, or the members of a collection.
    buckets_below INTEGER,
    collection_id INTEGER REFERENCES collections (id),
    -- To go on to the next phase: percent of the phase's clients that succeeded, for how many seconds it is watched
    -- after that, and whether an administrator has to say so.
    success_percent INTEGER NOT NULL,
    soak_seconds INTEGER NOT NULL,
    manual INTEGER NOT NULL,
    -- Above this percentage of failed clients the deployment pauses by itself.
    failure_percent INTEGER NOT NULL,
    deadline_after_seconds INTEGER,
    opened_at INTEGER,
    -- When it opens if the phases before it go well, as far as that can be said.
    expected_at INTEGER,
    -- When the success threshold was reached.
    succeeded_at INTEGER,
    -- When an administrator let the roll-out go on after this phase.
    approved_at INTEGER,
    -- Failed clients that an administrator knew of who resumed the deployment: they do not pause it again.
    accepted_failures INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (deployment_id, position)
) WITHOUT ROWID;

-- Whom a deployment concerns: the members of its collection, each in its phase.
CREATE TABLE deployment_clients (
    deployment_id INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    -- Its place in the fleet, see farrier_protocol::deployment::bucket.
    bucket INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    retries INTEGER NOT NULL DEFAULT 0,
    -- The rolled up state of deployment_states; none before the client said anything. See EnforcementState.
    state INTEGER,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (deployment_id, client_id)
) WITHOUT ROWID;
CREATE INDEX deployment_clients_client ON deployment_clients (client_id);
CREATE INDEX deployment_clients_state ON deployment_clients (deployment_id, phase, state);

-- What clients report of each update of a deployment.
CREATE TABLE deployment_states (
    deployment_id INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    software_update_id INTEGER NOT NULL REFERENCES software_updates (id) ON DELETE CASCADE,
    -- See EnforcementState.
    state INTEGER NOT NULL,
    -- By the client's clock.
    since INTEGER NOT NULL,
    installations INTEGER NOT NULL,
    bytes_left INTEGER NOT NULL,
    until INTEGER,
    reason TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (deployment_id, client_id, software_update_id)
) WITHOUT ROWID;
CREATE INDEX deployment_states_client ON deployment_states (client_id);

-- How many clients of a phase were in a state, whenever that changed: the chart over time. -1: they had not said anything.
CREATE TABLE deployment_history (
    deployment_id INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    state INTEGER NOT NULL,
    clients INTEGER NOT NULL,
    PRIMARY KEY (deployment_id, at, phase, state)
) WITHOUT ROWID;

-- What happened to a deployment, for people: created, phase 2 opened, paused because ...
CREATE TABLE deployment_events (
    id INTEGER PRIMARY KEY,
    deployment_id INTEGER NOT NULL REFERENCES deployments (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX deployment_events_deployment ON deployment_events (deployment_id, at);

-- Content of updates that the distribution point has, or is to have.
CREATE TABLE contents (
    sha256 BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    -- Where it comes from.
    suite_id INTEGER NOT NULL REFERENCES suites (id) ON DELETE CASCADE,
    file TEXT NOT NULL,
    -- 0 wanted, 1 stored, 2 failed.
    state INTEGER NOT NULL,
    error TEXT,
    wanted_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- When a failed download is tried again.
    retry_at INTEGER
) WITHOUT ROWID;
CREATE INDEX contents_state ON contents (state, retry_at);
CREATE INDEX packages_sha256 ON packages (sha256);

-- Installer plugins and policies of a publication, encoded.
ALTER TABLE publications ADD COLUMN deployments BLOB;

-- One row, 1: grows with everything that changes what clients are assigned, publications aside.
CREATE TABLE assignment_version (
    id INTEGER PRIMARY KEY,
    version INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- Grows with everything that changes the policies.
    deployed_version INTEGER NOT NULL
);
INSERT INTO assignment_version (id, version, changed_at, deployed_version) VALUES (1, 0, 0, 0);
