#!/bin/sh
# Makes what docker-compose.yml needs, each thing once: the secrets in deploy/secrets, and .env with the public
# host name. What is there already stays as it is, so it can be run again at any time.
#
#   deploy/prepare.sh portico.example.com      (or localhost, to try it)
#
# Run it as the user who runs docker compose.
set -eu
umask 077
cd "$(dirname "$0")/.."

fail() {
    echo "prepare.sh: $1" >&2
    exit 1
}

# The directory keeps others of this machine out. The files in it have to be readable for everybody: compose
# mounts them into containers as they are, whose users are numbers that nobody here has.
secrets=deploy/secrets
mkdir -p "$secrets"
chmod 700 "$secrets"

# Keeps standard input as a secret, unless there is one of that name. Whole or not at all, however this ends.
keep() {
    [ ! -e "$secrets/$1" ] || { cat >/dev/null; return; }
    draft="$secrets/.$1.$$"
    cat >"$draft"
    [ -s "$draft" ] || { rm -f "$draft"; fail "no $1 could be made"; }
    chmod 644 "$draft"
    # Unlike mv, this does not replace what came in between.
    ln "$draft" "$secrets/$1"
    rm -f "$draft"
    echo "made $secrets/$1"
}

# 256 random bits as 64 hexadecimal digits.
random() {
    digits=$(od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n')
    [ "${#digits}" -eq 64 ] || fail "/dev/urandom gives nothing"
    echo "$digits"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

# Two secrets that belong together: the second is made from the first, and of no use without it.
pair() {
    [ -e "$secrets/$1" ] || [ ! -e "$secrets/$2" ] || fail "$secrets/$2 is there but $secrets/$1 is not: put it back"
}

host_name() {
    case $1 in
        *[!a-z0-9.-]* | .* | -* | *. | *- | *..* | '')
            fail "\"$1\" is no host name: use small letters, digits, dots and dashes, without https:// and port" ;;
    esac
}

host=${1:-}
kept=$(sed -n 's/^PORTICO_HOST=//p' .env 2>/dev/null || :)
if [ -n "$kept" ]; then
    [ -z "$host" ] || [ "$host" = "$kept" ] || fail ".env has PORTICO_HOST=$kept; change it there, and where clients know it"
else
    [ -n "$host" ] || fail "which host name do browsers and clients use? usage: deploy/prepare.sh HOST"
    host_name "$host"
fi

pair postgres_password postgres_url
pair redis_password redis_url
pair redis_password redis_users

random | keep master_key
random | keep postgres_admin_password
random | keep postgres_password
echo "postgres://portico:$(cat "$secrets/postgres_password")@postgres:5432/portico?sslmode=disable" | keep postgres_url
random | keep redis_password
echo "redis://portico:$(cat "$secrets/redis_password")@redis:6379/0" | keep redis_url
# Of passwords only the hash. `health` may ask whether Redis answers, and nothing else; `portico` may do what a program
# does with its own keys and channels, which leaves room for what later versions do.
keep redis_users <<END
user default off
user health on nopass resetkeys resetchannels -@all +ping
user portico on #$(printf %s "$(cat "$secrets/redis_password")" | sha256) resetkeys ~portico:* resetchannels &portico:* +@all -@admin -@dangerous +info
END

# Mounted into containers, too; a checkout may have been made with a narrow umask.
chmod a+r deploy/Caddyfile
chmod a+rx deploy/postgres/portico.sh

if [ -z "$kept" ]; then
    # A file of the operator's may lack its last line break.
    [ ! -s .env ] || [ -z "$(tail -c 1 .env)" ] || echo >>.env
    grep -q '^COMPOSE_PROJECT_NAME=' .env 2>/dev/null || echo "COMPOSE_PROJECT_NAME=portico" >>.env
    echo "PORTICO_HOST=$host" >>.env
    echo "made .env for https://$host"
fi
echo "ready: docker compose up --detach --build"
