#!/bin/sh
# Portico's own role and database. The image of Postgres runs this once, when its volume is empty.
#
# The role owns its database, so that it can migrate, and nothing else: no superuser, no other database, no
# other role.
set -eu

: "${ROLE_PASSWORD_FILE:?names no file}"
[ -s "$ROLE_PASSWORD_FILE" ] || { echo "portico.sh: $ROLE_PASSWORD_FILE is empty or not there" >&2; exit 1; }

# psql reads the file by itself: a password in an argument or a variable would be in /proc for all to see.
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\set password `cat "$ROLE_PASSWORD_FILE"`
CREATE ROLE portico LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
CREATE DATABASE portico OWNER portico;
REVOKE ALL ON DATABASE portico FROM PUBLIC;
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
REVOKE ALL ON DATABASE template1 FROM PUBLIC;
SQL
