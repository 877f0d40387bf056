#!/bin/bash
# The part of the official mysql image's contract that we use, served by MariaDB:
# MYSQL_ROOT_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE, MYSQL_USER, MYSQL_PASSWORD (each also as ..._FILE),
# /docker-entrypoint-initdb.d/*.sql, and server options as arguments.
set -euo pipefail
[ $# -eq 0 ] || [ "${1:0:1}" = - ] && set -- mysqld "$@"
case $1 in
  mysqld|mariadbd) shift ;;
  *) exec "$@" ;;
esac
data=/var/lib/mysql

for name in ROOT_PASSWORD PASSWORD USER DATABASE; do
  variable=MYSQL_$name file=MYSQL_${name}_FILE
  [ -z "${!file:-}" ] || export "$variable=$(<"${!file}")"
done

quoted() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }

statements() {
  local root
  root=$(quoted "${MYSQL_ROOT_PASSWORD:-}")
  echo "DELETE FROM mysql.global_priv WHERE User='' OR Host<>'localhost';"
  echo "FLUSH PRIVILEGES;"
  echo "ALTER USER root@localhost IDENTIFIED BY $root;"
  echo "CREATE USER root@'${MYSQL_ROOT_HOST:-%}' IDENTIFIED BY $root;"
  echo "GRANT ALL ON *.* TO root@'${MYSQL_ROOT_HOST:-%}' WITH GRANT OPTION;"
  [ -z "${MYSQL_DATABASE:-}" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
  if [ -n "${MYSQL_USER:-}" ]; then
    echo "CREATE USER $(quoted "$MYSQL_USER")@'%' IDENTIFIED BY $(quoted "${MYSQL_PASSWORD:-}");"
    [ -z "${MYSQL_DATABASE:-}" ] ||
      echo "GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO $(quoted "$MYSQL_USER")@'%';"
  fi
  local file
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ -f "$file" ] || continue
    [ -z "${MYSQL_DATABASE:-}" ] || echo "USE \`$MYSQL_DATABASE\`;"
    cat "$file"
  done
}

if [ ! -d $data/mysql ]; then
  if [ -z "${MYSQL_ROOT_PASSWORD:-}${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
    echo "set MYSQL_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD" >&2
    exit 1
  fi
  chown mysql:mysql $data
  mariadb-install-db --user=mysql --datadir=$data --skip-test-db --auth-root-authentication-method=normal >/dev/null
  # Not in the temporary folder: with a read-only root only the data folder is sure to be writable.
  (umask 077 && statements > $data/init.sql)
  mariadbd --no-defaults --bootstrap --user=mysql --datadir=$data < $data/init.sql
  rm -f $data/init.sql
fi
exec mariadbd --no-defaults --user=mysql --datadir=$data --bind-address=0.0.0.0 --port=3306 \
  --socket=/run/mysqld/mysqld.sock --character-set-server=utf8mb4 --skip-name-resolve "$@"
