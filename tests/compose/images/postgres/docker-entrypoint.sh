#!/bin/bash
# As in the official image: the cluster, its account and its database are made once, on an empty volume, and then the
# files of /docker-entrypoint-initdb.d are run; POSTGRES_… or POSTGRES_…_FILE.
set -euo pipefail
case "${1:-}" in -*) set -- postgres "$@" ;; esac
[ "${1:-}" = postgres ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA" /var/run/postgresql
  chmod 0700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups "$0" "$@"
fi

value() { # NAME [DEFAULT]: the variable, or what is in the file that NAME_FILE names
  local name=$1 file="$1_FILE"
  if [ -n "${!file:-}" ]; then cat "${!file}"; else printf '%s' "${!name:-${2:-}}"; fi
}

POSTGRES_USER=$(value POSTGRES_USER postgres) POSTGRES_PASSWORD=$(value POSTGRES_PASSWORD)
POSTGRES_DB=$(value POSTGRES_DB "$POSTGRES_USER")
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -n "$POSTGRES_PASSWORD" ] || { echo "POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE is needed" >&2; exit 1; }
  initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") ${POSTGRES_INITDB_ARGS:-}
  printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
  export POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB PGHOST=/var/run/postgresql PGUSER=$POSTGRES_USER
  pg_ctl -w start -o "-c listen_addresses=''" > /dev/null
  sql=(psql -v ON_ERROR_STOP=1 --no-psqlrc --quiet)
  [ "$POSTGRES_DB" = postgres ] || "${sql[@]}" -d postgres -v name="$POSTGRES_DB" <<< 'CREATE DATABASE :"name";'
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
      *.sql) "${sql[@]}" -d "$POSTGRES_DB" -f "$file" ;;
    esac
  done
  pg_ctl -w -m fast stop > /dev/null
  unset POSTGRES_PASSWORD PGHOST PGUSER
  echo "PostgreSQL init process complete; ready for start up."
fi
exec "$@" -c "listen_addresses=*"
