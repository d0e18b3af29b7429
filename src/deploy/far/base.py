# What every operation on a host shares: paths, the lock, the journal, processes, and words without secrets.
#
# Sent by Windlass for one operation and gone after it; needs nothing but Python's own library (3.8 or later), which a
# host of a Django application has. Parameters come as JSON on standard input, the answer goes as JSON to standard output.

import errno
import fcntl
import hashlib
import hmac
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time

P = {}
OPERATIONS = {}


class Refused(Exception):
    """The operation can't be done: a word for programs, a sentence for people, and the last lines of a log."""

    def __init__(self, kind, message, log=None, **more):
        super().__init__(message)
        self.kind, self.message, self.log, self.more = kind, message, log or [], more


def operation(function):
    OPERATIONS[function.__name__] = function
    return function


# ---- Places


def app():
    return P["app"]


def root(*parts):
    return os.path.join(P["root"], *parts)


def release_dir(release, *parts):
    return root("releases", release, *parts)


def socket_of(release):
    return "/run/%s/%s.sock" % (app(), release)


def unit(release, kind=""):
    return "%s%s@%s.service" % (app(), kind, release)


def state(*parts):
    return root(".deploy", *parts)


def attached(name):
    """A file that was sent along with the operation."""
    return os.path.join(os.environ["WINDLASS_DIR"], name)


# ---- Files


def read(path, default=None):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return default


def read_json(path):
    try:
        value = json.loads(read(path) or "null")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def sync_dir(path):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def put(path, text, mode=0o644):
    """Writes a file whole or not at all, and on disk before it has its name."""
    new = "%s.%d.new" % (path, os.getpid())
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(fd, mode)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.rename(new, path)
    except BaseException:
        try:
            os.unlink(new)
        except OSError:
            pass
        raise
    sync_dir(os.path.dirname(path))


def append(path, entry):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # One write, so that a line is there or not.
        os.write(fd, (json.dumps(entry) + "\n").encode())
        os.fsync(fd)
    finally:
        os.close(fd)


def lines_of(path, last):
    found = []
    for line in (read(path) or "").splitlines()[-last:]:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue  # cut off by a power loss
    return found


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


# ---- What no message may show


def environment():
    """The application's environment file, as systemd reads it (systemd.exec(5), EnvironmentFile=)."""
    found = {}
    for line in (read("/etc/%s/env" % app()) or "").splitlines():
        line = line.strip()
        if not line or line[0] in "#;" or "=" not in line:
            continue
        name, value = line.split("=", 1)
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            quote, value = value[0], value[1:-1]
            if quote == '"':
                value = re.sub(r"\\(.)", r"\1", value)
        found[name.strip()] = value
    return found


PLAIN = re.compile(
    r"^(DJANGO_SETTINGS_MODULE|ALLOWED_HOSTS|CSRF_TRUSTED_ORIGINS|STATIC_ROOT|MEDIA_ROOT|DB_(NAME|USER|HOST|PORT|SSLMODE)|"
    r"RELEASE|LANG|LC_.*|TZ|DEBUG|PYTHON.*)$"
)


def mask(text):
    secrets = [v for k, v in environment().items() if len(v) >= 5 and not PLAIN.match(k)]
    secrets += [s for s in P.get("secrets", []) if len(s) >= 5]
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "********")
    # user:password@ in addresses
    return re.sub(r"(\w+://[^\s/:@]+):[^\s/@]+@", r"\1:********@", text)


def tail(text, count=20):
    return [line for line in mask(text).splitlines() if line.strip()][-count:]


# ---- Processes

BASE_ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}


class Done:
    def __init__(self, rc, out, err):
        self.rc, self.out, self.err = rc, out, err

    @property
    def text(self):
        return self.out + ("\n" if self.out and self.err else "") + self.err


def run(argv, env=None, cwd="/", timeout=None, data=None, umask=0o022):
    full = dict(BASE_ENV)
    full.update(env or {})
    try:
        done = subprocess.run(
            argv,
            input=(data.encode() if isinstance(data, str) else data) if data is not None else None,
            stdin=subprocess.DEVNULL if data is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=full,
            cwd=cwd,
            timeout=timeout,
            preexec_fn=lambda: os.umask(umask),
        )
    except FileNotFoundError:
        return Done(127, "", "%s: not found" % argv[0])
    except subprocess.TimeoutExpired as late:
        return Done(124, decode(late.stdout), decode(late.stderr) + "\nended after %d seconds" % timeout)
    return Done(done.returncode, decode(done.stdout), decode(done.stderr))


def decode(data):
    return (data or b"").decode("utf-8", "replace")


def systemctl(*words, timeout=None):
    return run(["systemctl", "--no-pager", *words], timeout=timeout)


def in_release(release, argv, data=None, env=None, timeout=None):
    """Runs a command as the application's user, with its environment, in a release's project folder.

    By systemd, which reads the file with the secrets: they are in no list of processes, and the release need not serve.
    """
    base = ["systemd-run", "--quiet", "--wait", "--collect", "--pipe", "--description=%s: deploy" % app()]
    if expands():
        base.append("--expand-environment=no")
    else:
        # systemd before 254 replaces $NAME in the words of a command, and $$ by $.
        argv = [word.replace("$", "$$") for word in argv]
    user = P["user"]
    base += ["--property=User=" + user, "--property=Group=" + user, "--property=UMask=0022"]
    base += ["--property=NoNewPrivileges=yes", "--property=EnvironmentFile=/etc/%s/env" % app()]
    base += ["--property=WorkingDirectory=" + project_dir(release)]
    if timeout:
        base.append("--property=RuntimeMaxSec=%d" % timeout)
    named = {"RELEASE": release, "STATIC_ROOT": release_dir(release, "static"), "PYTHONUNBUFFERED": "1"}
    named.update(env or {})
    base += ["--setenv=%s=%s" % pair for pair in named.items()]
    return run(base + ["--"] + argv, data=data, timeout=timeout + 15 if timeout else None)


def expands(known=[]):
    """Whether this systemd can be told to leave the words of a command alone. Asked once."""
    known or known.append("--expand-environment" in run(["systemd-run", "--help"]).out)
    return known[0]


def project_dir(release):
    return os.path.normpath(os.path.join(P.get("unpacked") or release_dir(release, "src"), P.get("project_dir") or "."))


def python_of(release):
    return release_dir(release, "venv", "bin", "python")


def log_of(release, since=None, count=20, kind=""):
    """The last lines of a unit's log, with the line that names the cause before them where they do not hold it."""
    words = ["journalctl", "--no-pager", "-o", "cat", "-u", unit(release, kind)]
    # With both, it gives the first lines of that time, and the cause stands in the last ones.
    words += ["--since", "@%d" % int(since)] if since else ["-n", str(10 * count)]
    # Workers of one server end one after the other, and then the server itself: the first cause may stand far up.
    lines = tail(run(words, timeout=20).out, 10 * count)
    cause, last = why(lines), lines[-count:]
    return [cause] + last if cause and cause not in [line.strip() for line in last] else last


def why(log):
    """The line of a log that names the cause: the last one that looks like an exception's."""
    for line in reversed(log):
        if re.match(r"^[\w.]*(Error|Exception|Refused|Denied|NotFound|ImproperlyConfigured)\b.*", line.strip()):
            return line.strip()
    return ""


# ---- One at a time: the lock of a deploy, and the mutex of one operation


class Mutex:
    """Held while an operation changes something, so that who takes a lock over waits for what is still at work."""

    def __init__(self, name, wait):
        self.name, self.wait = name, wait

    def __enter__(self):
        os.makedirs(state(), 0o700, exist_ok=True)
        self.fd = os.open(state("mutex"), os.O_RDWR | os.O_CREAT, 0o600)
        end = time.monotonic() + self.wait
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    held = decode(os.pread(self.fd, 200, 0)).strip()
                    os.close(self.fd)
                    raise Refused("busy", "an operation is still at work here: %s" % (held or "unknown"))
                time.sleep(0.1)
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, ("%s since %s, process %d\n" % (self.name, now(), os.getpid())).encode(), 0)
        return self

    def __exit__(self, *_):
        os.ftruncate(self.fd, 0)
        os.close(self.fd)
        return False


def lock_now():
    found = read_json(state("lock"))
    if found is not None:
        try:
            found["silent"] = max(0, int(time.time() - os.stat(state("lock.seen")).st_mtime))
        except OSError:
            found["silent"] = max(0, int(time.time() - os.stat(state("lock")).st_mtime))
    return found


def check_token():
    held = lock_now()
    if held is None or held.get("token") != P["token"]:
        who = "nobody holds it now" if held is None else "it is %s's now, since %s" % (held.get("owner"), held.get("since"))
        raise Refused("lost-lock", "the lock of %s is no longer this run's: %s" % (app(), who), lock=held)


def seen():
    with open(state("lock.seen"), "a", encoding="utf-8"):
        os.utime(state("lock.seen"))


def changing(phase):
    """Marks an operation that changes something: it needs the lock, and is journalled before it begins."""

    def wrap(function):
        def guarded(p):
            with Mutex(function.__name__, p.get("wait", 30)):
                check_token()
                over = threading.Event()
                sign = threading.Thread(target=breathe, args=(over,), daemon=True)
                sign.start()
                try:
                    if phase:
                        note(phase, "begin", p)
                    answer = function(p)
                    if phase:
                        note(phase, "end", p)
                    return answer
                finally:
                    over.set()
                    sign.join()

        guarded.__name__ = function.__name__
        return operation(guarded)

    return wrap


def breathe(over):
    """While it works, the owner counts as alive, whoever watches from elsewhere."""
    while True:
        seen()
        if over.wait(10):
            return


def note(phase, what, p):
    entry = {"time": now(), "token": P["token"], "phase": phase, "state": what}
    for name in ("release", "previous", "kind"):
        if p.get(name):
            entry[name] = p[name]
    append(state("journal"), entry)


@operation
def several(p):
    """Operations one after the other, each as if it had come alone: with its token, its journal, its masks. The first that
    says no is the last. They share one Python, which costs more to start than most of them take."""
    shared, answers = {name: value for name, value in p.items() if name != "operations"}, []
    for one in p["operations"]:
        P.clear()
        P.update(shared)
        P.update(one)
        began = time.monotonic()
        answer = answered()
        answer["seconds"] = round(time.monotonic() - began, 3)
        answers.append(answer)
        if "error" in answer:
            break
    return {"answers": answers}


def answered():
    try:
        return {"ok": OPERATIONS[P["op"]](P) or {}}
    except Refused as refused:
        error = {"kind": refused.kind, "message": mask(refused.message), "log": refused.log}
        error.update(refused.more)
        return {"error": error}
    except OSError as problem:
        full = " (no room left: free some, or lower keep_releases)" if problem.errno in (28, 122) else ""
        return {"error": {"kind": "system", "message": mask("%s%s" % (problem, full)), "log": []}}


def main():
    P.update(json.load(sys.stdin))
    os.umask(0o022)
    json.dump(answered(), sys.stdout)
