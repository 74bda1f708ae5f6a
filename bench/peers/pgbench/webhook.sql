-- What usersync does for one delivery, one delivery a transaction, as a careful hand would write it: for pgbench -M prepared.
--
-- On the tables that `usersync migrate` makes. The same effects, and no statement that can be spared: the insert itself
-- finds a message that was seen, and user and tombstone are read at once. What is between the reading and the writing
-- (which fact is newer), and HTTP, signature and JSON before it, cost nothing here.
-- Given: :n from 0, :turn (the round, so that no message comes twice), :payload and :record.

\set n :n + 1
\set message (:turn * 1000 + :client_id) * 1000000 + :n
\set user :n * 32 + :client_id
\set known :user % 1000
\if :user % 4 = 0
\set known :message
\endif

BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('clerk user_bench_' || :known::text, 0));
SELECT
    (SELECT id || record FROM users WHERE source = 'clerk' AND external_id = 'user_bench_' || :known::text),
    (SELECT deleted_at FROM tombstones WHERE source = 'clerk' AND external_id = 'user_bench_' || :known::text);
INSERT INTO users (id, source, external_id, name, given_name, family_name, nickname, email, email_verified, phone_number,
                   phone_number_verified, picture_url, metadata, created_at, updated_at, synced_at, record)
VALUES (gen_random_uuid()::text, 'clerk', 'user_bench_' || :known::text, 'Ada King', 'Ada', 'King', 'ada',
        'user_bench_' || :known::text || '@example.com', true, NULL, NULL,
        'https://img.clerk.com/eyJ0eXBlIjoiZGVmYXVsdCJ9', '{"role": "admin"}'::jsonb, timestamptz '2026-01-01',
        timestamptz '2026-01-02' + :message * interval '1 microsecond', now(), :record::text)
ON CONFLICT (source, external_id) DO UPDATE SET
    name = excluded.name, given_name = excluded.given_name, family_name = excluded.family_name,
    nickname = excluded.nickname, email = excluded.email, email_verified = excluded.email_verified,
    phone_number = excluded.phone_number, phone_number_verified = excluded.phone_number_verified,
    picture_url = excluded.picture_url, metadata = excluded.metadata, created_at = excluded.created_at,
    updated_at = excluded.updated_at, synced_at = excluded.synced_at, record = excluded.record
WHERE users.updated_at < excluded.updated_at;
INSERT INTO journal (source, message_id, received_at, event_type, external_id, stamp, lifetime, outcome, reason, payload)
VALUES ('clerk', 'msg_bench_' || :message::text, now(), 'user.updated', 'user_bench_' || :known::text,
        timestamptz '2026-01-02' + :message * interval '1 microsecond', timestamptz '2026-01-01', 'applied', NULL,
        :payload::text)
ON CONFLICT (source, message_id) DO NOTHING;
COMMIT;
