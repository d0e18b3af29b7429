# $1: host or socket folder. $2: port. $3: login. $4: database. $5: sslmode. $6: the CA's certificate. Standard input: the
# password in a line of its own, then statements.
command -v psql >/dev/null 2>&1 || exit 127
IFS= read -r PGPASSWORD || :
if [ -n "$PGPASSWORD" ]; then export PGPASSWORD; else unset PGPASSWORD; fi
PGCONNECT_TIMEOUT=20 PGCLIENTENCODING=UTF8 PGAPPNAME=windlass
PGOPTIONS='-c client_min_messages=warning'
export PGCONNECT_TIMEOUT PGCLIENTENCODING PGAPPNAME PGOPTIONS
[ -n "$1" ] && { PGHOST=$1; export PGHOST; }
[ -n "$5" ] && { PGSSLMODE=$5; export PGSSLMODE; }
[ -n "$6" ] && { PGSSLROOTCERT=$6; export PGSSLROOTCERT; }
cd / || exit 1
exec psql -X -A -t -q -w -v ON_ERROR_STOP=1 -p "$2" -U "$3" -d "$4" -f -
