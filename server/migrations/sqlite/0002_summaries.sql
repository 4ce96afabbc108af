-- Counts of compliance_states, kept so that a page does not count millions of rows. They are recounted as a whole, and
-- summaries says when: nobody who writes states has to think of them. Rows without any state are not stored.
CREATE TABLE update_summaries (
    software_update_id INTEGER PRIMARY KEY,
    installed INTEGER NOT NULL,
    required INTEGER NOT NULL,
    unknown INTEGER NOT NULL
);

-- Of updates that are not expired.
CREATE TABLE client_summaries (
    client_id INTEGER PRIMARY KEY,
    installed INTEGER NOT NULL,
    required INTEGER NOT NULL,
    unknown INTEGER NOT NULL
);

-- One row, 1: when the counting began, in milliseconds since 1970, and how long it took.
CREATE TABLE summaries (
    id INTEGER PRIMARY KEY,
    counted_at_milliseconds INTEGER NOT NULL,
    took_milliseconds INTEGER NOT NULL
);
INSERT INTO summaries (id, counted_at_milliseconds, took_milliseconds) VALUES (1, 0, 0);

-- What the console asks for: totals by classification, who fails to scan, and a search for a binary package.
CREATE INDEX software_updates_classification ON software_updates (expired_at, classification, superseded_by, suite_id);
CREATE INDEX client_plugins_error ON client_plugins (client_id) WHERE error <> '';
CREATE INDEX packages_name ON packages (name);
