# serve(release): start it, prove it, switch to it, let the other one end. Each step can be done again.

import socket


def ask(connect, p):
    """One request over what `connect` opens."""
    # Most operations ask nothing, and this import costs more than all others.
    import http.client

    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = connect(self.timeout)

    connection = Connection("localhost", timeout=p.get("request_timeout", 5))
    headers = {"Host": p["host"], "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1",
               "User-Agent": "windlass", "Connection": "close"}
    try:
        connection.request("GET", p["path"], headers=headers)
        answer = connection.getresponse()
        body = answer.read(2000)
        return {"status": answer.status, "location": answer.getheader("Location"), "body": decode(body)[:300]}
    except http.client.HTTPException as problem:
        raise OSError("no HTTP answer: %r" % problem)
    finally:
        connection.close()


def ask_socket(path, p):
    def connect(timeout):
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        opened.settimeout(timeout)
        opened.connect(path)
        return opened

    return ask(connect, p)


def ask_front(p):
    """Through nginx on this host, as a visitor comes: the certificate is nginx's business, not this question's."""
    def connect(timeout):
        raw = socket.create_connection(("127.0.0.1", p.get("front_port", 443)), timeout)
        if not p.get("front_tls", True):
            return raw
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(raw, server_hostname=p["host"])

    return ask(connect, p)


def explain(answer, p):
    """What an answer that is no 200 most likely means."""
    status = answer["status"]
    if status in (301, 302, 307, 308):
        return "%s redirects to %s: name the path that answers itself in health_path" % (p["path"], answer["location"])
    if status == 400:
        return "%s answers 400: is %s in ALLOWED_HOSTS?" % (p["path"], p["host"])
    return "%s answers %d%s" % (p["path"], status, ": " + mask(answer["body"].strip())[:160] if answer["body"].strip() else "")


def shown(release, kind=""):
    out = systemctl("show", unit(release, kind), "-p", "ActiveState,SubState,MainPID,NRestarts,Result,NeedDaemonReload").out
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)


def stop_unit(release, kind="", wait=True):
    words = ["stop"] if wait else ["--no-block", "stop"]
    done = systemctl(*words, unit(release, kind))
    systemctl("reset-failed", unit(release, kind))
    if wait and not kind:
        try:
            os.unlink(socket_of(release))
        except OSError:
            pass
    return done


@changing("start")
def start(p):
    """Starts the candidate on a socket of its own and waits until it has been healthy for a while."""
    release = p["release"]
    if not os.path.exists(release_dir(release, "release.json")):
        raise Refused("no-release", "release %s is not on this host (or not whole)" % release)
    limit = 107 - len(socket_of(release).encode())
    if limit < 0:
        raise Refused("socket-path", "the socket %s is %d bytes too long for the kernel (108 at most): shorten the name of the application" % (socket_of(release), -limit))
    began = time.time()
    found = shown(release)
    already = found.get("ActiveState") == "active"
    if not already:
        if found.get("NeedDaemonReload") == "yes":
            systemctl("daemon-reload")
        systemctl("reset-failed", unit(release))
        done = systemctl("start", unit(release), timeout=p.get("gate_timeout", 60) + 30)
        if done.rc != 0:
            log = log_of(release, began)
            stop_unit(release)
            raise Refused("start", "release %s does not start: %s" % (release, why(log) or mask(done.err.strip())), log)
    gate(release, p, began)
    return {"already": already, "seconds": round(time.time() - began, 2)}


def gate(release, p, began):
    end = time.monotonic() + p.get("gate_timeout", 60)
    good, good_since, last, first = 0, None, "no answer yet", shown(release)
    while True:
        current = shown(release)
        dead = current.get("ActiveState") in ("failed", "inactive", "deactivating")
        if dead or current.get("NRestarts") != first.get("NRestarts") or (
            first.get("MainPID") not in ("0", None) and current.get("MainPID") != first.get("MainPID")
        ):
            # When it has ended, its last words are in the log.
            stop_unit(release)
            run(["journalctl", "--sync"], timeout=10)
            log = log_of(release, began)
            when = "after it had answered %d times" % good if good else "before it answered"
            raise Refused("died", "release %s ended %s%s" % (release, when, ": " + why(log) if why(log) else ""), log)
        try:
            answer = ask_socket(socket_of(release), p)
            ok = answer["status"] == 200
            last = "" if ok else explain(answer, p)
        except OSError as problem:
            ok, last = False, "no answer on its socket: %s" % problem
        if ok:
            good += 1
            good_since = good_since or time.monotonic()
            if good >= p.get("successes", 3) and time.monotonic() - good_since >= p.get("healthy_for", 0):
                return
        else:
            good, good_since = 0, None
        if time.monotonic() > end:
            log = log_of(release, began)
            stop_unit(release)
            raise Refused("unhealthy", "release %s is not healthy after %d s: %s" % (release, p.get("gate_timeout", 60), last), log)
        # What has served before has to answer twice, and a rollback waits for that.
        time.sleep(0.2 if ok and p.get("healthy_for") else 0.05)


def record(release, p):
    about = read_json(release_dir(release, "release.json")) or {}
    put(root("serving"), json.dumps({
        "version": 1, "release": release, "since": now(), "commit": about.get("commit"), "by": p["by"],
        "environment": environment_digest(),
    }) + "\n")


def point(release):
    """nginx finds the release through this link, at every connection that it opens."""
    new = root("current.sock.new")
    try:
        os.unlink(new)
    except FileNotFoundError:
        pass
    os.symlink(socket_of(release), new)
    os.rename(new, root("current.sock"))


@changing("switch")
def switch(p):
    """The one commit point: the record of what serves; the link follows it. Then the answer of the front door."""
    release = p["release"]
    if p.get("web", True) and shown(release).get("ActiveState") != "active":
        raise Refused("died", "release %s ended before the switch" % release, log_of(release))
    before = serving()
    if not before or before.get("release") != release or before.get("environment") != environment_digest():
        record(release, p)
    if p.get("web", True):
        if current() != release:
            point(release)
        publish_plain(release)
        if p.get("front"):
            verify(release, p)
    return {"since": now(), "log": log_size(p)}


def log_size(p):
    """Where nginx's log stood at the switch, for the watch that follows."""
    try:
        return os.stat(p.get("watch_log") or "").st_size
    except OSError:
        return None


def verify(release, p):
    end, last = time.monotonic() + p.get("verify_timeout", 10), ""
    good = 0
    while good < 2:
        try:
            answer = ask_front(p)
            last = "" if answer["status"] == 200 else explain(answer, p)
        except OSError as problem:
            last = "no answer: %s" % problem
        if not last:
            good += 1
        elif time.monotonic() > end:
            raise Refused("front-door", "after the switch to %s, the site does not answer through nginx: %s" % (release, last), log_of(release))
        else:
            good = 0
            time.sleep(0.2)


def publish_plain(release):
    """Static files without a digest in their names are the serving release's; the others lie there already."""
    source, target = release_dir(release, "static"), root("shared", "static")
    manifest = read_json(os.path.join(source, "staticfiles.json"))
    hashed = set((manifest or {}).get("paths", {}).values())
    for folder, _, names in os.walk(source):
        for name in names:
            path = os.path.join(folder, name)
            below = os.path.relpath(path, source)
            if below in hashed:
                continue
            there = os.path.join(target, below)
            try:
                if os.path.samefile(path, there):
                    continue
            except OSError:
                pass
            os.makedirs(os.path.dirname(there), exist_ok=True)
            new = there + ".new"
            try:
                os.unlink(new)
            except OSError:
                pass
            place(path, new)
            # Renaming one link of a file onto another link of it does nothing, and leaves both.
            os.rename(new, there)


def connections(release):
    """Connections to a release's socket, those that wait to be accepted included (proc(5), /proc/net/unix)."""
    path, count = socket_of(release), 0
    for line in (read("/proc/net/unix") or "").splitlines()[1:]:
        words = line.split(None, 7)
        # 00010000 is the flag of the listening socket itself.
        if len(words) == 8 and words[7] == path and words[3] != "00010000":
            count += 1
    return count


@changing("drain")
def drain(p):
    """Stops every instance but the given one, each when its last connection has ended or the time is up."""
    keep, ended = p["release"], []
    end = time.monotonic() + p.get("drain", 60)
    kept = {keep, (serving() or {}).get("release")}
    others = sorted({i["release"] for i in instances() if i["kind"] == "web" and i["active"] != "inactive" and i["release"] not in kept})
    for release in others:
        quiet = 0
        # Two looks in a row: a connection may be on its way from the link to the socket.
        while quiet < 2 and time.monotonic() < end:
            quiet = quiet + 1 if connections(release) == 0 else 0
            time.sleep(0.1)
        left = connections(release)
        stop_unit(release)
        ended.append({"release": release, "cut": left})
    return {"ended": ended}


@changing("discard")
def discard(p):
    """A candidate that is not to serve: stopped, and its socket removed."""
    record_now = serving()
    if record_now and record_now.get("release") == p["release"]:
        raise Refused("serving", "release %s serves" % p["release"])
    stop_unit(p["release"])
    for kind in ("-worker", "-beat"):
        if shown(p["release"], kind).get("ActiveState") not in ("inactive", None):
            stop_unit(p["release"], kind)


@changing("withdraw")
def withdraw(p):
    """Takes back a first release, before which nothing served: stopped, clean, and no record of it."""
    record_now = serving()
    if record_now and record_now.get("release") == p["release"]:
        os.unlink(root("serving"))
        sync_dir(root())
    return settled()


@changing("settle")
def settle(p):
    """Makes true what the record says, after anything: its release runs, and the link points at it."""
    return settled()


def settled():
    record_now = serving()
    if not record_now:
        # Nothing ever served: stopped and clean.
        for instance in instances():
            stop_unit(instance["release"], "" if instance["kind"] == "web" else "-" + instance["kind"])
        try:
            os.unlink(root("current.sock"))
        except FileNotFoundError:
            pass
        return {"serving": None}
    release = record_now["release"]
    if shown(release).get("ActiveState") != "active":
        systemctl("start", unit(release), timeout=60)
    if current() != release:
        point(release)
    return {"serving": release}


@changing("workers")
def workers(p):
    """Celery's processes of this release run, those of others end: workers warmly, the scheduler at once."""
    release, budget = p["release"], p.get("worker_wait", 600)
    running = [i for i in instances() if i["kind"] != "web"]
    told = []
    for kind in ("beat", "worker"):
        wanted = kind in p["kinds"]
        old = [i["release"] for i in running if i["kind"] == kind and i["release"] != release and i["active"] != "inactive"]
        if kind == "beat":
            # Never two of them.
            for other in old:
                stop_unit(other, "-beat")
        if wanted:
            done = systemctl("start", unit(release, "-" + kind), timeout=90)
            time.sleep(0.5)
            if done.rc != 0 or shown(release, "-" + kind).get("ActiveState") != "active":
                log = log_of(release, kind="-" + kind)
                raise Refused("worker", "%s of release %s does not run: %s" % (unit(release, "-" + kind), release, why(log) or mask(done.err.strip())), log)
            told.append(kind)
        if kind == "worker":
            for other in old:
                stop_unit(other, "-worker", wait=False)
            end = time.monotonic() + budget
            for other in old:
                while shown(other, "-worker").get("ActiveState") not in ("inactive", "failed") and time.monotonic() < end:
                    seen()
                    time.sleep(0.5)
                if shown(other, "-worker").get("ActiveState") not in ("inactive", "failed"):
                    told.append("worker of %s still ends its tasks" % other)
    return {"told": told}


@changing(None)
def prune(p):
    """Removes what is no longer kept: never what serves, nor what a rollback would return to."""
    keep = set(p["keep"])
    record_now = serving()
    keep.add((record_now or {}).get("release"))
    keep |= {i["release"] for i in instances() if i["active"] not in ("inactive", "failed")}
    removed = []
    for entry in releases():
        if entry["release"] not in keep:
            os.rename(release_dir(entry["release"]), release_dir("." + entry["release"] + ".gone"))
            removed.append(entry["release"])
    for name in listed(root("releases")):
        if name.startswith(".") and (name.endswith(".gone") or name.endswith(".part")):
            shutil.rmtree(root("releases", name), ignore_errors=True)
    used = {os.path.basename(os.path.realpath(release_dir(e["release"], "venv"))) for e in releases()}
    for name in listed(root("venvs")):
        if not name.startswith(".") and name not in used:
            shutil.rmtree(root("venvs", name), ignore_errors=True)
    prune_static()
    kept = sorted(backups(), key=lambda b: b["time"], reverse=True)
    old = time.time() - p.get("backup_days", 30) * 86400
    for number, entry in enumerate(kept):
        if number >= p.get("keep_backups", 10) or (number > 0 and entry["time"] < old):
            os.unlink(root("backups", entry["name"]))
    return {"removed": removed}


def prune_static():
    """Files in the shared tree that no kept release brings, a day after they came: open pages may still ask for them."""
    target, wanted = root("shared", "static"), set()
    for entry in releases():
        source = release_dir(entry["release"], "static")
        for folder, _, names in os.walk(source):
            wanted.update(os.path.relpath(os.path.join(folder, name), source) for name in names)
    for folder, _, names in os.walk(target):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.relpath(path, target) not in wanted and time.time() - os.lstat(path).st_mtime > 86400:
                os.unlink(path)


@changing("maintenance")
def maintenance(p):
    path = root("shared", "maintenance.on")
    if p["on"]:
        put(root("shared", "maintenance.html"), p["page"])
        put(path, now() + "\n")
    else:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


@operation
def watch(p):
    """The share of answers 5xx in nginx's log from a place on (the size that the log had at the switch)."""
    path = p["watch_log"]
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        raise Refused("no-log", "%s is not there: set watch_log to nginx's access log" % path)
    if p.get("from") is None:
        return {"from": size}
    total = bad = 0
    with open(path, "rb") as file:
        file.seek(p["from"] if p["from"] <= size else 0)
        for line in file:
            found = re.search(rb'" (\d{3}) ', line)
            if found:
                total += 1
                bad += found.group(1).startswith(b"5")
    return {"total": total, "bad": bad, "from": size}
