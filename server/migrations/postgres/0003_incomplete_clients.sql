-- A client that named software updates the site does not know: the newest row of software_updates at that time. Once
-- there is a newer one, the client is asked for everything again.
ALTER TABLE clients ADD COLUMN incomplete_since BIGINT;
