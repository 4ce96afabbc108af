-- The repository is signed after The Update Framework. What was published before is signed in another way, which no agent
-- takes any more: the site publishes anew.
DROP TABLE publications;

-- The current version of the repository and the one before it.
CREATE TABLE publications (
    -- The version of its timestamp metadata.
    version INTEGER PRIMARY KEY,
    published_at INTEGER NOT NULL,
    -- Since which publication clients are assigned the same, and when that was made.
    content_version INTEGER NOT NULL,
    content_at INTEGER NOT NULL,
    -- SHA-256 of its timestamp metadata.
    timestamp_digest BLOB NOT NULL,
    -- Which version of each role's metadata it consists of, encoded.
    roles BLOB NOT NULL,
    -- What clients are assigned of it, encoded.
    content BLOB NOT NULL,
    -- What clients with deployments are assigned of it, encoded.
    deployments BLOB NOT NULL
);

-- Signed metadata, byte for byte as clients get it: every root, and of the other roles whatever the publications
-- consist of. The highest version of a role is its current one; a root or targets of which there is no publication yet
-- waits for the next one.
CREATE TABLE metadata (
    role TEXT NOT NULL,
    version INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (role, version)
) WITHOUT ROWID;

-- Metadata that waits for a signature by a key that is not on the site, one a role.
CREATE TABLE pending_metadata (
    role TEXT PRIMARY KEY,
    -- What is to be signed, with the signatures that it has.
    draft BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    -- For people: what is waiting.
    reason TEXT NOT NULL
) WITHOUT ROWID;

-- What became of compiling a component for an engine. The artefacts are in the repository's folder.
CREATE TABLE native_artefacts (
    engine TEXT NOT NULL,
    -- SHA-256 of the component.
    component BLOB NOT NULL,
    -- SHA-256 of the artefact and its bytes; none if it cannot be compiled.
    digest BLOB,
    length INTEGER,
    compiled_at INTEGER NOT NULL,
    -- Empty, or why it cannot be compiled.
    error TEXT NOT NULL,
    PRIMARY KEY (engine, component)
) WITHOUT ROWID;

-- The engine that a client needs precompiled artefacts for; empty if it compiles components itself. Beside `engine`,
-- which is the engine of an agent whether it compiles or not.
ALTER TABLE clients ADD COLUMN lite_engine TEXT NOT NULL DEFAULT '';
