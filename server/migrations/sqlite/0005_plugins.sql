-- Plugins by name and world: the applicability plugin dpkg and the installer dpkg-installer are two.
CREATE TABLE plugins (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- applicability, installer
    world TEXT NOT NULL,
    -- The version that counts on every client that no row of plugin_assignments concerns; none before one is promoted.
    current_version_id INTEGER,
    -- The version that counted before it: where clients fall back to, and an administrator rolls back to.
    previous_version_id INTEGER,
    -- 1: an administrator chose the current version; one that comes with a newer Farrier does not replace it by itself.
    pinned INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL
);

-- Every version that was ever pushed.
CREATE TABLE plugin_versions (
    id INTEGER PRIMARY KEY,
    plugin_id INTEGER NOT NULL REFERENCES plugins (id) ON DELETE CASCADE,
    version TEXT NOT NULL,
    -- SHA-256 of the component.
    digest BLOB NOT NULL UNIQUE,
    component BLOB NOT NULL,
    -- JSON, as the component has it.
    manifest TEXT NOT NULL,
    -- The name of the publisher whose signature it carries; empty for an unsigned one, `Farrier` for one in the box.
    publisher TEXT NOT NULL,
    pushed_by TEXT NOT NULL,
    pushed_at INTEGER NOT NULL,
    UNIQUE (plugin_id, version)
);

-- What an administrator decided that a plugin may do, whatever version of it. What a version asks for and nobody has
-- decided keeps it from being assigned.
CREATE TABLE plugin_approvals (
    plugin_id INTEGER NOT NULL REFERENCES plugins (id) ON DELETE CASCADE,
    -- read, write, run
    access TEXT NOT NULL,
    -- The grant as a manifest asks for it, or a narrower one.
    approved TEXT NOT NULL,
    -- 1 approved. 0 refused: the plugin runs without it.
    is_approved INTEGER NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at INTEGER NOT NULL,
    PRIMARY KEY (plugin_id, access, approved)
) WITHOUT ROWID;

-- Versions other than the current one, for the members of a collection.
CREATE TABLE plugin_assignments (
    plugin_id INTEGER NOT NULL REFERENCES plugins (id) ON DELETE CASCADE,
    -- 0 canary: it counts there. 1 shadow: it scans beside the one that counts.
    kind INTEGER NOT NULL,
    version_id INTEGER NOT NULL REFERENCES plugin_versions (id) ON DELETE CASCADE,
    collection_id INTEGER NOT NULL REFERENCES collections (id),
    assigned_at INTEGER NOT NULL,
    PRIMARY KEY (plugin_id, kind)
) WITHOUT ROWID;

-- What was done with plugins, for people: pushed, approved, shadowed, promoted, rolled back, by whom.
CREATE TABLE plugin_events (
    id INTEGER PRIMARY KEY,
    plugin_id INTEGER NOT NULL REFERENCES plugins (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX plugin_events_plugin ON plugin_events (plugin_id, at);

-- Whose signatures are accepted.
CREATE TABLE plugin_publishers (
    -- The Ed25519 public key.
    public_key BLOB PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL
) WITHOUT ROWID;

-- What agents can run: see farrier_protocol::state_message::Abilities. Empty and 0 where an agent has not said.
ALTER TABLE clients ADD COLUMN wit TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN engine TEXT NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN plugin_memory_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN component_bytes INTEGER NOT NULL DEFAULT 0;

-- How the shadow of a plugin fared in a client's last scan.
CREATE TABLE shadow_results (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    plugin TEXT NOT NULL,
    version TEXT NOT NULL,
    shadow_version TEXT NOT NULL,
    scanned_at INTEGER NOT NULL,
    compared INTEGER NOT NULL,
    differing INTEGER NOT NULL,
    -- Empty, or what went wrong.
    error TEXT NOT NULL,
    PRIMARY KEY (client_id, plugin)
) WITHOUT ROWID;
CREATE INDEX shadow_results_plugin ON shadow_results (plugin, shadow_version);

-- Where the two versions differ.
CREATE TABLE shadow_differences (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    plugin TEXT NOT NULL,
    software_update_id INTEGER NOT NULL REFERENCES software_updates (id) ON DELETE CASCADE,
    state INTEGER NOT NULL,
    shadow_state INTEGER NOT NULL,
    detail TEXT NOT NULL,
    shadow_detail TEXT NOT NULL,
    PRIMARY KEY (client_id, plugin, software_update_id)
) WITHOUT ROWID;
CREATE INDEX shadow_differences_plugin ON shadow_differences (plugin, software_update_id);

-- Who runs which version of a plugin, and on whom it failed.
CREATE INDEX client_plugins_name ON client_plugins (name, version);

-- Plugins whose assigned version failed again and again on a client, and what is used in its place.
CREATE TABLE client_fallbacks (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    plugin TEXT NOT NULL,
    failed_version TEXT NOT NULL,
    -- Empty if there is none.
    version TEXT NOT NULL,
    since INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (client_id, plugin)
) WITHOUT ROWID;

-- Software updates written by an administrator. They belong to the suite `authored`; their content is in packages.
CREATE TABLE authored_updates (
    software_update_id INTEGER PRIMARY KEY REFERENCES software_updates (id) ON DELETE CASCADE,
    -- The applicability plugin, the scopes of the clients it concerns (one a line), and its rule.
    plugin TEXT NOT NULL,
    scopes TEXT NOT NULL,
    rule BLOB NOT NULL,
    -- The installer plugin, and what it is told; none if it can only be observed.
    installer TEXT,
    instructions BLOB NOT NULL,
    -- The policy file as it was imported.
    definition TEXT NOT NULL,
    imported_at INTEGER NOT NULL
);
