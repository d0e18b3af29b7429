# What is on this host: read, never changed.


def releases():
    found = []
    try:
        names = sorted(os.listdir(root("releases")))
    except FileNotFoundError:
        names = []
    for name in names:
        if name.startswith(".") or not os.path.isdir(release_dir(name)):
            continue
        about = read_json(release_dir(name, "release.json"))
        found.append({
            "release": name,
            "complete": about is not None,
            "about": about or {},
            "broken": read_json(release_dir(name, "broken")),
            "built": int(os.stat(release_dir(name)).st_mtime),
        })
    return found


def instances():
    """The units of releases and how they are, for each kind of process."""
    found = []
    kinds = {"": "web", "-worker": "worker", "-beat": "beat"}
    patterns = ["%s%s@*.service" % (app(), kind) for kind in kinds]
    out = systemctl("show", "-p", "Id,ActiveState,SubState,NRestarts,ActiveEnterTimestamp", *patterns).out
    for block in out.split("\n\n"):
        shown = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        name, _, release = shown.get("Id", "").partition("@")
        if not release:
            continue
        found.append({
            "kind": kinds[name[len(app()):]], "release": release[: -len(".service")],
            "active": shown["ActiveState"], "state": shown["SubState"],
            "restarts": int(shown.get("NRestarts") or 0), "since": shown.get("ActiveEnterTimestamp", ""),
        })
    return found


def serving():
    return read_json(root("serving")) or None


def current():
    try:
        target = os.readlink(root("current.sock"))
    except OSError:
        return None
    return os.path.basename(target)[: -len(".sock")] if target.endswith(".sock") else target


def environment_digest():
    """Tells whether the environment is the same, and nothing else of it: keyed by a key that never leaves the host."""
    text = read("/etc/%s/env" % app())
    if text is None:
        return None
    key = read(state("key"))
    if key is None:
        if not P.get("token"):
            return None  # looking only: the key is made by the first deploy
        os.makedirs(state(), 0o700, exist_ok=True)
        key = os.urandom(32).hex()
        put(state("key"), key, 0o600)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return hmac.new(key.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()[:16]


def memory():
    found = {}
    for line in (read("/proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name in ("MemAvailable", "MemTotal", "SwapFree"):
            found[name] = int(value.split()[0]) * 1024
    return found


def python_version(python):
    if python == "python3":
        return "%d.%d.%d" % sys.version_info[:3]  # it is what this runs in
    done = run([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"], timeout=20)
    return done.out.strip() if done.rc == 0 else None


def uses_memory(release):
    shown = systemctl("show", unit(release), "-p", "MemoryCurrent").out.strip().partition("=")[2]
    return int(shown) if shown.isdigit() and int(shown) < 1 << 62 else None


@operation
def look(p):
    layout = [
        path
        for path in (
            root("releases"), root("venvs"), root("shared", "static"), "/etc/%s/env" % app(), "/run/%s" % app(),
            "/etc/systemd/system/%s@.service" % app(), "/usr/local/sbin/%s-release" % app(),
        )
        if not os.path.exists(path)
    ]
    disk = None
    if os.path.isdir(root()):
        fs = os.statvfs(root())
        disk = {"free": fs.f_bavail * fs.f_frsize, "total": fs.f_blocks * fs.f_frsize, "inodes": fs.f_favail}
    record = serving()
    return {
        "missing": layout,
        "serving": record,
        "current": current(),
        "releases": releases(),
        "instances": instances(),
        "lock": lock_now(),
        "journal": lines_of(state("journal"), 200),
        "history": lines_of(state("history"), p.get("history", 50)),
        "environment": environment_digest(),
        "memory": memory(),
        "uses": uses_memory(record["release"]) if record and record.get("release") else None,
        "disk": disk,
        "python": python_version(p.get("python") or "python3"),
        "uv": shutil.which("uv", path=BASE_ENV["PATH"]) is not None,
        "clock": time.time(),
        "boot": (read("/proc/sys/kernel/random/boot_id") or "").strip(),
        "maintenance": os.path.exists(root("shared", "maintenance.on")),
        "backups": backups(),
        "venvs": sorted(n for n in listed(root("venvs")) if os.path.exists(root("venvs", n, "complete"))),
    }


def listed(path):
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def backups():
    found = []
    for name in sorted(listed(root("backups"))):
        if name.endswith(".dump") or name.endswith(".sqlite3"):
            info = os.stat(root("backups", name))
            found.append({"name": name, "bytes": info.st_size, "time": int(info.st_mtime)})
    return found


@operation
def health(p):
    """Asks what serves for its health, once, on its own socket and through the front door."""
    record = serving()
    if not record:
        return {"serving": None}
    answer = {"serving": record["release"]}
    try:
        answer["own"] = ask_socket(socket_of(record["release"]), p)
    except OSError as problem:
        answer["own_error"] = str(problem)
    if p.get("front"):
        try:
            answer["front"] = ask_front(p)
        except OSError as problem:
            answer["front_error"] = str(problem)
    return answer


@operation
def requirements(p):
    """The files that say what a release's virtual environment holds."""
    _, files = lock_files(p["release"], p)
    return {"files": {name: read(release_dir(p["release"], "src", name)) or "" for name in files}}
