# $1: host. $2: port. $3: login. $4: the database. $5: the file. $6: dump or restore. $7: the role to become. The rest:
# further options. The login's password comes in the environment.
host=$1 port=$2 user=$3 db=$4 file=$5 how=$6 role=$7; shift 7
cd / || exit 1
PGCONNECT_TIMEOUT=20; export PGCONNECT_TIMEOUT
[ -n "$host" ] && { PGHOST=$host; export PGHOST; }
case $file in
  *.gz) pack='gzip -c' unpack='gzip -dc' ;; *.bz2) pack='bzip2 -c' unpack='bzip2 -dc' ;;
  *.xz) pack='xz -c' unpack='xz -dc' ;; *) pack= unpack= ;;
esac
for tool in ${pack%% *}; do command -v "$tool" >/dev/null 2>&1 || { echo "$tool is missing on the host" >&2; exit 127; }; done
form=
case $file in *.tar) form=t ;; *.pgc) form=c ;; *.dir) form=d ;; esac
if [ "$how" = dump ]; then
  new=$file.windlass.$$
  trap 'rm -rf "$new"' EXIT
  umask 077
  set -- -w -p "$port" -U "$user" "$@"
  [ -n "$role" ] && set -- --role "$role" "$@"
  [ -n "$form" ] && set -- -F "$form" "$@"
  if [ "$form" = d ]; then pg_dump "$@" -f "$new" -d "$db" || exit 1
  elif [ -n "$pack" ]; then
    rc=$( { { pg_dump "$@" -d "$db"; echo $? >&3; } | $pack > "$new"; } 3>&1 ) || exit 1
    [ "$rc" = 0 ] || exit "$rc"
  else pg_dump "$@" -d "$db" > "$new" || exit 1; fi
  [ "$form" = d ] && rm -rf "$file"
  mv -f "$new" "$file"
  exit
fi
[ -e "$file" ] || { echo "there is no $file on the host" >&2; exit 66; }
if [ -n "$form" ]; then
  set -- -w -p "$port" -U "$user" -F "$form" "$@"
  [ -n "$role" ] && set -- --role "$role" "$@"
  exec pg_restore "$@" -d "$db" "$file"
fi
set -- -X -q -w -p "$port" -U "$user" "$@"
[ -n "$role" ] && { PGOPTIONS="-c role=$role"; export PGOPTIONS; }
if [ -n "$unpack" ]; then
  rc=$( { { $unpack "$file"; echo $? >&3; } | psql "$@" -d "$db" >/dev/null || echo 1 >&3; } 3>&1 )
  [ "$rc" = 0 ] || exit 1
else exec psql "$@" -d "$db" -f "$file"; fi
