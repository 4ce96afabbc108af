-- Whether a client is let in: 0 admitted, 1 waits for approval, 2 revoked. Since when, and why.
ALTER TABLE clients ADD COLUMN admission INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clients ADD COLUMN admission_at INTEGER;
ALTER TABLE clients ADD COLUMN admission_reason TEXT NOT NULL DEFAULT '';
CREATE INDEX clients_kept_out ON clients (id) WHERE admission <> 0;

-- SHA-256 of a client's newest certificate, and of the one before it until the newest is used for the first time. Any
-- other one is refused: clients that enrolled before these were kept have to enrol again.
ALTER TABLE clients ADD COLUMN certificate BLOB;
ALTER TABLE clients ADD COLUMN previous_certificate BLOB;
ALTER TABLE clients ADD COLUMN certificate_expires_at INTEGER;

-- What tells devices apart. SHA-256 of what the hardware says of itself, now and before it last changed; the present boot.
ALTER TABLE clients ADD COLUMN hardware BLOB;
ALTER TABLE clients ADD COLUMN former_hardware BLOB;
ALTER TABLE clients ADD COLUMN boot BLOB;
CREATE INDEX clients_hardware ON clients (hardware) WHERE hardware IS NOT NULL;

-- The last boots of a client, the present one among them; the greater the number, the later.
CREATE TABLE client_boots (
    client_id INTEGER NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    boot BLOB NOT NULL,
    first_seen_at INTEGER NOT NULL,
    PRIMARY KEY (client_id, number)
) WITHOUT ROWID;

-- That several devices use a client's identity: 1 a boot came back, 2 the hardware changed back, 3 more boots than one
-- machine has. When that was noticed first, and last.
ALTER TABLE clients ADD COLUMN clone_evidence INTEGER;
ALTER TABLE clients ADD COLUMN cloned_since INTEGER;
ALTER TABLE clients ADD COLUMN clone_seen_at INTEGER;
CREATE INDEX clients_cloned ON clients (id) WHERE clone_evidence IS NOT NULL;

CREATE INDEX clients_lite_engine ON clients (lite_engine) WHERE lite_engine <> '';

-- Which client the bearer of a token becomes: this one; or (1) the one with the same hardware, if there is exactly one; else
-- a new one.
ALTER TABLE enrollment_tokens ADD COLUMN for_client INTEGER REFERENCES clients (id) ON DELETE CASCADE;
ALTER TABLE enrollment_tokens ADD COLUMN same_hardware INTEGER NOT NULL DEFAULT 0;
-- The version of the repository's root whose digest the token carries; the current one if there is none.
ALTER TABLE enrollment_tokens ADD COLUMN root_version INTEGER;
