-- SPDX-FileCopyrightText: The orgscale authors
-- SPDX-License-Identifier: Apache-2.0
--
-- The relay looks for the keys of a write by the time that its rows have in common, retention for
-- those that are old.
SET LOCAL ROLE orgscale_owner;

CREATE INDEX IF NOT EXISTS purge_outbox_by_age ON purge_outbox (created_at);

RESET ROLE;
