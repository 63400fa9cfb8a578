-- SPDX-FileCopyrightText: The orgscale authors
-- SPDX-License-Identifier: Apache-2.0
--
-- What every write leaves in its own transaction besides the change: the answer under its
-- Idempotency-Key (P§17), the event for parked polls (realtime.md), the keys to purge (P§15), and
-- the audit record.
SET LOCAL ROLE orgscale_owner;

CREATE TABLE IF NOT EXISTS idempotency_keys (
    org_id        bigint NOT NULL,
    user_id       bigint NOT NULL,
    key           text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    fingerprint   bytea NOT NULL CHECK (length(fingerprint) = 32),
    status        integer NOT NULL,
    content_type  text NOT NULL,
    location      text,
    body          text NOT NULL,
    entity_id     bigint,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, user_id, key)
);
CREATE INDEX IF NOT EXISTS idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE IF NOT EXISTS event_outbox (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id        bigint NOT NULL,
    property_id   bigint,
    domain        text NOT NULL,
    type          text NOT NULL,
    event_id      text NOT NULL,
    coalesce_key  text,
    data          text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    published_at  timestamptz
);
CREATE INDEX IF NOT EXISTS event_outbox_unpublished ON event_outbox (id) WHERE published_at IS NULL;
CREATE INDEX IF NOT EXISTS event_outbox_by_age ON event_outbox (created_at);

CREATE TABLE IF NOT EXISTS purge_outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id      bigint NOT NULL,
    keys        text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    purged_at   timestamptz
);
CREATE INDEX IF NOT EXISTS purge_outbox_waiting ON purge_outbox (id) WHERE purged_at IS NULL;

-- Kept for ever (decisions.md 21)
CREATE TABLE IF NOT EXISTS audit_log (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    org_id         bigint NOT NULL,
    user_id        bigint NOT NULL,
    action         text NOT NULL,
    resource_type  text NOT NULL,
    resource_id    bigint,
    ip             inet,
    request_id     text,
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS audit_log_by_resource ON audit_log (org_id, resource_type, resource_id);

ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE event_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE purge_outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant ON idempotency_keys TO orgscale_app
    USING (org_id = app_org_id()) WITH CHECK (org_id = app_org_id());
CREATE POLICY tenant ON event_outbox TO orgscale_app
    USING (org_id = app_org_id()) WITH CHECK (org_id = app_org_id());
CREATE POLICY tenant ON purge_outbox TO orgscale_app
    USING (org_id = app_org_id()) WITH CHECK (org_id = app_org_id());
CREATE POLICY tenant ON audit_log TO orgscale_app
    USING (org_id = app_org_id()) WITH CHECK (org_id = app_org_id());

-- Jobs cross organisations, in these tables alone; the audit log is nobody's to change
CREATE POLICY job ON idempotency_keys TO orgscale_job USING (true);
CREATE POLICY job ON event_outbox TO orgscale_job USING (true);
CREATE POLICY job ON purge_outbox TO orgscale_job USING (true);

GRANT SELECT, INSERT, UPDATE ON idempotency_keys TO orgscale_app;
GRANT SELECT, INSERT ON event_outbox TO orgscale_app;
GRANT INSERT ON purge_outbox, audit_log TO orgscale_app;
GRANT SELECT, UPDATE, DELETE ON event_outbox, purge_outbox, idempotency_keys TO orgscale_job;

RESET ROLE;
