# The database: what is pending, a copy before it changes, and the change.


@operation
def probe(p):
    """Runs the reader of migrations in a release, as its user."""
    release = p["release"]
    if p.get("source"):
        # A plan: the new code, unpacked where it is gone again, run by the serving release's environment.
        return probe_unbuilt(p)
    done = in_release(release, [python_of(release), "-"], data=p["probe"], env={p["variable"]: p["ask"]}, timeout=p.get("timeout", 120))
    return {"rc": done.rc, "out": mask(done.out), "err": tail(done.err, 25)}


def probe_unbuilt(p):
    import tarfile
    import tempfile

    with tempfile.TemporaryDirectory(prefix="windlass-plan-", dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        with tarfile.open(attached("source"), "r:*") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(folder, filter="data")
            else:
                archive.extractall(folder)
        P["unpacked"] = folder
        done = in_release(p["release"], [python_of(p["release"]), "-B", "-"], data=p["probe"],
                          env={p["variable"]: p["ask"], "PYTHONDONTWRITEBYTECODE": "1"}, timeout=120)
    return {"rc": done.rc, "out": mask(done.out), "err": tail(done.err, 25)}


# Whether the database answers, and how many connections it has left. In a process in which Django is set up.
REACH = r"""
import json, os
os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
from django.db import connections
answer = {}
try:
    connection = connections["default"]
    connection.ensure_connection()
    answer["vendor"] = connection.vendor
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'), (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), (SELECT count(*) FROM pg_stat_activity WHERE usename = current_user), pg_is_in_recovery()")
            limit, used, own_limit, own_used, standby = cursor.fetchone()
            answer.update(limit=limit, used=used, own_limit=own_limit, own_used=own_used, standby=standby)
except Exception as problem:
    answer["error"] = str(problem).strip().splitlines()[0] if str(problem).strip() else repr(problem)
print("\n@windlass-database " + json.dumps(answer), flush=True)
"""

# Runs as the application, so that the password of the database stays in its environment.
DUMP = r"""
import os, sys
sys.path.insert(0, os.getcwd())
import django
django.setup()
from django.db import connections
connection = connections["default"]
if connection.vendor == "sqlite":
    import sqlite3
    source = sqlite3.connect("file:%s?mode=ro" % connection.settings_dict["NAME"], uri=True)
    for line in source.iterdump():
        sys.stdout.write(line + "\n")
    sys.exit(0)
if connection.vendor != "postgresql":
    sys.stderr.write("windlass: no backup for " + connection.vendor + "\n")
    sys.exit(66)
from django.db.backends.postgresql.client import DatabaseClient
args, env = DatabaseClient.settings_to_cmd_args_env(connection.settings_dict, [])
full = dict(os.environ)
full.update(env or {})
os.execvpe("pg_dump", ["pg_dump", "--format=custom", "--no-password"] + ["--dbname=" + args[-1] if a is args[-1] else a for a in args[1:]], full)
"""


@changing("backup")
def backup(p):
    """A dump of the database, read again from its beginning to its end before it counts."""
    release, folder = p["release"], root("backups")
    os.makedirs(folder, 0o700, exist_ok=True)
    name = "%s.dump" % release
    path = os.path.join(folder, name)
    if os.path.exists(path):
        return {"name": name, "bytes": os.stat(path).st_size, "already": True}
    part = path + ".part"
    done = dump(p["release"] if p.get("with") is None else p["with"], part, p.get("timeout", 3600))
    if done.rc == 66:
        os.unlink(part)
        return {"name": None, "why": tail(done.err, 1)}
    if done.rc != 0:
        os.unlink(part)
        help_ = ""
        if "No such file or directory: 'pg_dump'" in done.err or "FileNotFoundError" in done.err:
            help_ = " (install postgresql-client on this host, or set `backup: false`)"
        raise Refused(failure(done, "backup"), "the database can't be backed up: %s%s" % ((tail(done.err, 1) or ["status %d" % done.rc])[0], help_), tail(done.err))
    with open(part, "rb") as file:
        custom = file.read(5) == b"PGDMP"
    if custom:
        tested = run(["pg_restore", "-f", "/dev/null", part], timeout=p.get("timeout", 3600))
        if tested.rc != 0:
            os.unlink(part)
            raise Refused("backup", "the backup can't be read back: %s" % (tail(tested.err, 1) or ["?"])[0], tail(tested.err))
    fd = os.open(part, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    os.rename(part, path)
    sync_dir(folder)
    return {"name": name, "bytes": os.stat(path).st_size, "already": False}


def dump(release, part, limit):
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    argv = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe", "--property=User=" + P["user"], "--property=Group=" + P["user"],
            "--property=EnvironmentFile=/etc/%s/env" % app(), "--property=WorkingDirectory=" + project_dir(release),
            "--property=RuntimeMaxSec=%d" % limit, "--setenv=RELEASE=" + release, "--", python_of(release), "-"]
    with os.fdopen(fd, "wb") as file:
        done = subprocess.run(argv, input=DUMP.encode(), stdout=file, stderr=subprocess.PIPE, env=BASE_ENV, cwd="/")
    return Done(done.returncode, "", decode(done.stderr))


@changing("migrate")
def migrate(p):
    """Applies migrations, giving up soon where others hold a lock, and trying again: no queue of waiting requests."""
    release, words = p["release"], p.get("arguments", [])
    options = "-c lock_timeout=%dms" % int(p.get("lock_timeout", 3) * 1000)
    if p.get("statement_timeout"):
        options += " -c statement_timeout=%dms" % int(p["statement_timeout"] * 1000)
    tries = p.get("tries", 5)
    for number in range(1, tries + 1):
        done = in_release(release, [python_of(release), "manage.py", "migrate", "--noinput", *words], env={"PGOPTIONS": options}, timeout=p.get("timeout", 3600))
        seen()
        applied = re.findall(r"^\s+(?:Applying|Unapplying) (\S+?)\.\.\. OK", done.out, re.M)
        if done.rc == 0:
            return {"applied": applied, "tries": number}
        if "lock timeout" not in done.text or number == tries:
            break
        time.sleep(min(2 ** number, 15))
    log = tail(done.text, 25)
    failing = re.findall(r"^\s+(?:Applying|Unapplying) (\S+?)\.\.\.(?! OK)", done.out, re.M)
    where = " at %s" % failing[-1] if failing else ""
    cause = why(log) or (log[-1] if log else "status %d" % done.rc)
    if "lock timeout" in done.text:
        cause = "another transaction holds the table for longer than lock_timeout, %d times" % tries
    raise Refused("migrate", "the migration failed%s: %s" % (where, cause), log, applied=applied)
