#!/bin/bash
# As in the official image: accounts and database are made once, on an empty volume; MYSQL_… or MYSQL_…_FILE.
set -euo pipefail
case "${1:-}" in -*) set -- mysqld "$@" ;; esac
[ "${1:-}" = mysqld ] || exec "$@"
if [ "$(id -u)" = 0 ]; then
  chown -R mysql:mysql /var/lib/mysql /var/run/mysqld
  exec setpriv --reuid=mysql --regid=mysql --clear-groups "$0" "$@"
fi

value() { # NAME: the variable, or what is in the file that NAME_FILE names, as an SQL literal
  local name=$1 file="$1_FILE" text
  if [ -n "${!file:-}" ]; then text=$(< "${!file}"); else text=${!name:-}; fi
  text=${text//\\/\\\\}
  printf "'%s'" "${text//\'/\'\'}"
}

if [ ! -d /var/lib/mysql/mysql ]; then
  [ "$(value MYSQL_ROOT_PASSWORD)" != "''" ] || { echo "MYSQL_ROOT_PASSWORD or MYSQL_ROOT_PASSWORD_FILE is needed" >&2; exit 1; }
  echo "[Entrypoint] Initializing the database"
  "$@" --initialize-insecure
  "$@" --skip-networking --mysqlx=OFF & server=$!
  until mysqladmin -uroot ping >/dev/null 2>&1; do kill -0 $server; sleep 0.2; done
  database=${MYSQL_DATABASE:-} user=${MYSQL_USER:-} root_host=${MYSQL_ROOT_HOST:-%}
  {
    if [ "$root_host" != localhost ]; then
      echo "CREATE USER 'root'@'$root_host' IDENTIFIED BY $(value MYSQL_ROOT_PASSWORD);"
      echo "GRANT ALL ON *.* TO 'root'@'$root_host' WITH GRANT OPTION;"
    fi
    echo "ALTER USER 'root'@'localhost' IDENTIFIED BY $(value MYSQL_ROOT_PASSWORD);"
    [ -z "$database" ] || echo "CREATE DATABASE IF NOT EXISTS \`$database\`;"
    [ -z "$user" ] || echo "CREATE USER '$user'@'%' IDENTIFIED BY $(value MYSQL_PASSWORD);"
    [ -z "$user" ] || [ -z "$database" ] || echo "GRANT ALL ON \`${database//_/\\_}\`.* TO '$user'@'%';"
    echo "SHUTDOWN;"
  } | mysql -uroot
  wait $server
  echo "[Entrypoint] MySQL init process done. Ready for start up."
fi
exec "$@"
