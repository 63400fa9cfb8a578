-- SPDX-FileCopyrightText: The orgscale authors
-- SPDX-License-Identifier: Apache-2.0
--
-- The three roles (decisions.md 17). They belong to the cluster, so another database of it may have
-- made them already. They have no password: give them one, or let pg_hba.conf say who may be whom.
--   orgscale_owner  owns schema and tables, runs migrations; no request ever uses it
--   orgscale_app    request threads: bound by row-level security, sees one organisation at a time
--   orgscale_job    relay, janitor, purge: crosses organisations, only in the tables of its jobs
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['orgscale_owner', 'orgscale_app', 'orgscale_job'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', name);
        END IF;
    END LOOP;
END
$$;

-- Whoever migrates acts as the owner from here on
DO $$
BEGIN
    IF NOT pg_has_role(current_user, 'orgscale_owner', 'MEMBER') THEN
        EXECUTE format('GRANT orgscale_owner TO %I', current_user);
    END IF;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO orgscale_owner;
GRANT USAGE ON SCHEMA public TO orgscale_app, orgscale_job;

SET LOCAL ROLE orgscale_owner;

-- The organisation this transaction acts for. NULL, which equals nothing, where none was set:
-- a forgotten setting shows no row rather than every row.
CREATE OR REPLACE FUNCTION app_org_id() RETURNS bigint LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT nullif(current_setting('app.org_id', true), '')::bigint $$;

-- The wire knows whole numbers up to 2^53 - 1
CREATE DOMAIN wire_id AS bigint CHECK (VALUE BETWEEN 1 AND 9007199254740991);

RESET ROLE;
