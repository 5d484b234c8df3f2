-- A role for the platform that can add to the audit and read it, decide what was flagged in it, and
-- nothing else.
--
--     psql -v role=rag_app -f deploy/postgres-audit-role.sql
--
-- Run it as the database's owner after each migration. Migrations and retention (dropping sealed
-- months) are the owner's: give the platform's processes this role, and run one process with the
-- owner's for both.

GRANT USAGE ON SCHEMA public TO :"role";
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO :"role";
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO :"role";

REVOKE UPDATE, DELETE, TRUNCATE ON audit_entries FROM :"role";
REVOKE UPDATE, DELETE, TRUNCATE ON audit_segments FROM :"role";
REVOKE DELETE, TRUNCATE ON audit_heads FROM :"role";
REVOKE DELETE, TRUNCATE ON reviews FROM :"role";
