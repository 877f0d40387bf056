#!/bin/bash
# The part of the official mysql image's contract that we use: MYSQL_ROOT_PASSWORD, MYSQL_ROOT_HOST, MYSQL_DATABASE,
# MYSQL_USER, MYSQL_PASSWORD (each also as ..._FILE), and server options as arguments.
set -euo pipefail
[ $# -eq 0 ] || [ "${1:0:1}" = - ] && set -- mysqld "$@"
case $1 in
  mysqld) shift ;;
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
  echo "ALTER USER root@localhost IDENTIFIED BY $root;"
  echo "CREATE USER root@'${MYSQL_ROOT_HOST:-%}' IDENTIFIED BY $root;"
  echo "GRANT ALL ON *.* TO root@'${MYSQL_ROOT_HOST:-%}' WITH GRANT OPTION;"
  [ -z "${MYSQL_DATABASE:-}" ] || echo "CREATE DATABASE IF NOT EXISTS \`$MYSQL_DATABASE\`;"
  if [ -n "${MYSQL_USER:-}" ]; then
    echo "CREATE USER $(quoted "$MYSQL_USER")@'%' IDENTIFIED BY $(quoted "${MYSQL_PASSWORD:-}");"
    [ -z "${MYSQL_DATABASE:-}" ] ||
      echo "GRANT ALL ON \`${MYSQL_DATABASE//_/\\_}\`.* TO $(quoted "$MYSQL_USER")@'%';"
  fi
}

options=()
if [ ! -d $data/mysql ]; then
  if [ -z "${MYSQL_ROOT_PASSWORD:-}${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ]; then
    echo "set MYSQL_ROOT_PASSWORD or MYSQL_ALLOW_EMPTY_PASSWORD" >&2
    exit 1
  fi
  chown mysql:mysql $data
  cp -a /var/lib/mysql-new/. $data
  # The server reads it before it takes its first connection; as a pipe, the passwords are on no disk.
  # In the data folder, because with a read-only root only that is sure to be writable.
  mkfifo -m 600 $data/first-statements
  chown mysql $data/first-statements
  (statements > $data/first-statements; rm -f $data/first-statements) &
  options+=(--init-file=$data/first-statements)
fi
exec mysqld --no-defaults --user=mysql --datadir=$data --bind-address=0.0.0.0 --port=3306 \
  --socket=/run/mysqld/mysqld.sock --character-set-server=utf8mb4 --skip-name-resolve --mysqlx=OFF --innodb-numa-interleave=OFF \
  "${options[@]}" "$@"
