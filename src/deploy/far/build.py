# Building a release: its files, its virtual environment, its static files. Nothing of it serves yet.

@operation
def room(p):
    """What a deploy needs of this host before it begins. Looks only; every finding is a sentence."""
    found, warned = [], []
    # Releases and environments may lie on disks of their own.
    places = [path for path in (root("releases"), root("venvs"), root()) if os.path.isdir(path)] or ["/"]
    place, fs = min(((path, os.statvfs(path)) for path in places), key=lambda found: found[1].f_bavail * found[1].f_frsize)
    free = fs.f_bavail * fs.f_frsize
    need = p.get("need_disk", 0)
    if free < need:
        found.append("%s has %d MB left, and this deploy needs about %d MB: free some, or lower keep_releases" % (place, free >> 20, need >> 20))
    if fs.f_files and fs.f_favail < 20000:
        found.append("%s has %d free inodes left" % (place, fs.f_favail))
    record_now = serving()
    if record_now and p.get("web"):
        uses = uses_memory(record_now["release"])
        available = memory().get("MemAvailable")
        if uses and available and p.get("two") and available < uses * 0.9:
            found.append("the serving release uses %d MB of memory and %d MB are available, too little for two instances side by side: use `strategy: restart`, or fewer workers" % (uses >> 20, available >> 20))
    if p.get("web") and p.get("front") and shutil.which("nginx", path=BASE_ENV["PATH"]):
        # Tested as by `-t`, and shown.
        done = run(["nginx", "-T"], timeout=30)
        if done.rc != 0:
            found.append("nginx's configuration is broken (nginx -t): " + " / ".join(tail(done.err, 4)))
        names = server_names(done.out)
        lost = [d for d in p.get("domains", []) if names and d not in names and not any(n.startswith("*.") and d.endswith(n[1:]) for n in names)]
        if lost:
            warned.append("no server_name of nginx is %s" % ", ".join(lost))
    version = python_version(p.get("python") or "python3")
    if version is None:
        found.append("there is no %s on this host: add the role `python`" % (p.get("python") or "python3"))
    elif p.get("requires_python"):
        wrong = unmet(version, p["requires_python"])
        if wrong:
            found.append("Python is %s, and the project wants %s (requires-python)" % (version, p["requires_python"]))
    if found and p.get("strict"):
        raise Refused("preflight", found[0])
    return {"problems": found, "warnings": warned, "python": version, "clock": time.time(), "free": free}


def server_names(configuration):
    names = set()
    for match in re.finditer(r"^\s*server_name\s+([^;]+);", configuration, re.M):
        names.update(match.group(1).split())
    return names


def unmet(version, wanted):
    """Version specifiers (PEP 440) as requires-python has them: comparisons of release numbers, joined by commas."""
    def number(text):
        return [int(part) for part in re.findall(r"\d+", text)]

    have = number(version)
    for part in wanted.split(","):
        match = re.match(r"\s*(~=|==|!=|<=|>=|<|>|===)?\s*v?(\d+(?:\.\d+)*)(\.\*)?\s*$", part)
        if not match:
            continue  # nothing that can be judged here: pip does
        sign, want, star = match.group(1) or "==", number(match.group(2)), match.group(3)
        size = len(want) if star else max(len(want), len(have))
        left, right = (have + [0] * size)[:size], (want + [0] * size)[:size]
        ok = {
            "==": left == right, "===": left == right, "!=": left != right, "<=": left <= right, ">=": left >= right,
            "<": left < right, ">": left > right, "~=": left >= right and left[: len(want) - 1] == want[:-1],
        }[sign]
        if not ok:
            return part.strip()
    return None


@changing("unpack")
def make_room(p):
    """An empty folder that the host's own git puts the source into."""
    if read_json(release_dir(p["release"], "release.json")):
        return {"already": True}
    clear(p["release"])
    os.makedirs(root("releases", "." + p["release"] + ".part"))
    return {"already": False, "into": root("releases", "." + p["release"] + ".part", "src")}


def timed(archive):
    """Packed files all have one time; nginx's ETag is made of time and size, so each release has its own."""
    at = int(time.time())
    for member in archive:
        member.mtime = at
        yield member


def clear(release):
    for old in (root("releases", "." + release + ".part"), release_dir(release)):
        shutil.rmtree(old, ignore_errors=True)


@changing("unpack")
def unpack(p):
    """The archive becomes releases/ID/src. A release that is whole already is left alone."""
    release = p["release"]
    if read_json(release_dir(release, "release.json")):
        return {"already": True}
    part = root("releases", "." + release + ".part")
    if not p.get("fetched"):
        clear(release)
        os.makedirs(os.path.join(part, "src"))
        import tarfile

        with tarfile.open(attached("source"), "r:*") as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(os.path.join(part, "src"), members=timed(archive), filter="data")
            else:
                archive.extractall(os.path.join(part, "src"), members=timed(archive))
    os.makedirs(os.path.join(part, "static"))
    shutil.chown(os.path.join(part, "static"), P["user"], P["user"])
    os.rename(part, release_dir(release))
    if not os.path.isfile(os.path.join(project_dir(release), "manage.py")):
        raise Refused("no-manage-py", "there is no manage.py in %s of the source: set project_dir" % (P.get("project_dir") or "."))
    return {"already": False}


# ---- The virtual environment


def lock_files(release, p):
    """The files that say what is installed, and how they are read."""
    src = release_dir(release, "src")
    named = p.get("requirements") or []
    if named:
        missing = [n for n in named if not os.path.isfile(os.path.join(src, n))]
        if missing:
            raise Refused("no-requirements", "the source has no %s: set requirements" % ", ".join(missing))
        return "requirements", named
    for folder in (P.get("project_dir") or ".", "."):
        for kind, name in (("uv", "uv.lock"), ("poetry", "poetry.lock"), ("requirements", "requirements.txt"), ("project", "pyproject.toml")):
            found = os.path.normpath(os.path.join(folder, name))
            if os.path.isfile(os.path.join(src, found)):
                if kind in ("uv", "poetry"):
                    return kind, [found, os.path.normpath(os.path.join(folder, "pyproject.toml"))]
                return kind, [found]
    raise Refused("no-requirements", "the source has no requirements.txt, uv.lock, poetry.lock or pyproject.toml: set requirements")


def venv_key(release, p):
    kind, files = lock_files(release, p)
    src = release_dir(release, "src")
    seen_files, order = set(), []

    def add(path):
        real = os.path.realpath(path)
        if real in seen_files:
            return
        seen_files.add(real)
        order.append(path)
        if kind == "requirements":
            for line in (read(path) or "").splitlines():
                match = re.match(r"\s*(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#]+)", line)
                if match:
                    below = os.path.join(os.path.dirname(path), match.group(1))
                    if not os.path.isfile(below):
                        raise Refused("no-requirements", "%s names %s, which is not in the source" % (os.path.relpath(path, src), match.group(1)))
                    if not os.path.realpath(below).startswith(os.path.realpath(src) + os.sep):
                        raise Refused("no-requirements", "%s names %s, which lies outside of the source" % (os.path.relpath(path, src), match.group(1)))
                    add(below)

    for name in files:
        add(os.path.join(src, name))
    python = p.get("python") or "python3"
    about = run([python, "-c", "import sys, sysconfig; print(sys.version, sysconfig.get_platform())"])
    if about.rc != 0:
        raise Refused("no-python", "there is no %s on this host: add the role `python`" % python)
    digest = hashlib.sha256(about.out.encode())
    for path in order:
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()[:16], kind, files


def poetry_requirements(text):
    """What poetry.lock pins, for pip: one line a package of the main group, with its marker and hashes."""
    try:
        import tomllib
    except ImportError:
        raise Refused("poetry", "reading poetry.lock needs Python 3.11 on the host: export it (poetry export -o requirements.txt)")
    lines = []
    for package in tomllib.loads(text).get("package", []):
        if package.get("optional") or package.get("category", "main") != "main" or "main" not in package.get("groups", ["main"]):
            continue
        source = package.get("source") or {}
        if source.get("type") in ("git", "url", "file", "directory"):
            raise Refused("poetry", "%s comes from %s: export requirements.txt with it" % (package["name"], source["type"]))
        marker = package.get("markers")
        if isinstance(marker, dict):
            marker = marker.get("main")
        line = "%s==%s" % (package["name"], package["version"])
        if marker:
            line += " ; " + marker
        line += "".join(" --hash=" + file["hash"] for file in package.get("files", []) if file.get("hash"))
        lines.append(line)
    return "\n".join(lines) + "\n"


def project_requirements(text, name):
    """What pyproject.toml depends on. Not the project itself: its code is the release's, and the environment outlives it."""
    try:
        import tomllib
    except ImportError:
        raise Refused("pyproject", "reading %s needs Python 3.11 on the host: add a requirements.txt or a uv.lock" % name)
    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError as problem:
        raise Refused("requirements", "%s can't be read: %s" % (name, problem))
    if not project.get("dependencies"):
        raise Refused("no-requirements", "%s has no dependencies below [project]: add a requirements.txt, uv.lock or poetry.lock, or set requirements" % name)
    return "\n".join(project["dependencies"]) + "\n"


@changing("venv")
def venv(p):
    """A virtual environment named by what is in it: the same requirements and Python give the same one, at no cost."""
    release = p["release"]
    key, kind, files = venv_key(release, p)
    target = root("venvs", key)
    link = release_dir(release, "venv")
    reused = os.path.exists(os.path.join(target, "complete"))
    if not reused and p.get("only_reuse"):
        return {"key": key, "reused": False, "missing": True}
    if not reused:
        build_venv(release, p, target, kind, files)
        put(os.path.join(target, "complete"), "")
    if not (os.path.islink(link) and os.readlink(link) == target):
        new = link + ".new"
        if os.path.lexists(new):
            os.unlink(new)
        os.symlink(target, new)
        os.rename(new, link)
    return {"key": key, "reused": reused, "packages": packages(target)}


def packages(target):
    found = {}
    for folder in listed(os.path.join(target, "lib")):
        for name in listed(os.path.join(target, "lib", folder, "site-packages")):
            if name.endswith(".dist-info"):
                label, _, version = name[: -len(".dist-info")].rpartition("-")
                found[re.sub(r"[-_.]+", "-", label).lower()] = version
    for tool in ("pip", "setuptools", "wheel"):
        found.pop(tool, None)
    return found


def build_venv(release, p, target, kind, files):
    src, limit = release_dir(release, "src"), p.get("build_timeout", 1800)
    python = p.get("python") or "python3"
    env = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "UV_CACHE_DIR": root("venvs", ".uv-cache"),
           "UV_PYTHON_DOWNLOADS": "never", "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
           "PIP_CACHE_DIR": root("venvs", ".pip-cache")}
    env.update(p.get("build_env") or {})
    uv = shutil.which("uv", path=BASE_ENV["PATH"])
    want = p.get("installer", "auto")
    if want == "uv" and not uv or kind == "uv" and not uv:
        raise Refused("no-uv", "%s needs uv, which is not on this host: set python_uv_version for the role `python`" % ("uv.lock" if kind == "uv" else "installer: uv"))
    shutil.rmtree(target, ignore_errors=True)
    own = tempfile_dir()
    try:
        wanted, extra = [], []
        if kind == "poetry":
            path = os.path.join(own, "requirements.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write(poetry_requirements(read(os.path.join(src, files[0])) or ""))
            wanted, extra = ["-r", path], ["--no-deps"]
        elif kind == "uv":
            path = os.path.join(own, "requirements.txt")
            step("read uv.lock", [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--quiet", "--output-file", path], env, os.path.dirname(os.path.join(src, files[0])), 120)
            wanted = ["-r", path]
        elif kind == "project":
            path = os.path.join(own, "requirements.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write(project_requirements(read(os.path.join(src, files[0])) or "", files[0]))
            wanted = ["-r", path]
        else:
            for name in files:
                wanted += ["-r", os.path.join(src, name)]
        if uv and want != "pip":
            step("create the virtual environment", [uv, "venv", "--quiet", "--python", python, target], env, src, 120)
            step("install the requirements", [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", os.path.join(target, "bin", "python"), *extra, *wanted], env, src, limit)
        else:
            step("create the virtual environment", [python, "-m", "venv", target], env, src, 300)
            step("install the requirements", [os.path.join(target, "bin", "python"), "-m", "pip", "install", "--quiet", *extra, *(p.get("pip_args") or []), *wanted], env, src, limit)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(own, ignore_errors=True)


def tempfile_dir():
    path = root("venvs", ".work-%d" % os.getpid())
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path, 0o700)
    return path


def step(what, argv, env, cwd, limit):
    done = run(argv, env=env, cwd=cwd, timeout=limit)
    if done.rc != 0:
        log = tail(done.text, 20)
        cause = [line for line in log if line.startswith("ERROR") or "error:" in line.lower() or "×" in line]
        full = any("No space left" in line for line in log)
        kind = "disk-full" if full else "requirements"
        raise Refused(kind, "can't %s: %s" % (what, (cause or log or ["status %d" % done.rc])[0 if kind == "requirements" else -1]), log)


# ---- What the code needs before it can be started


@changing("static")
def static(p):
    """The static files: into the release, and by hard links beside those of the other releases."""
    release = p["release"]
    if p.get("before_collect"):
        # Such commands make files beside the code (`npm run build`), which belongs to root before and after.
        own(release_dir(release, "src"), P["user"])
        for command in p["before_collect"]:
            hook(release, "before_collect", command)
    own(release_dir(release, "src"), "root")
    answer = {"copied": None}
    if p.get("collect", True):
        done = in_release(release, [python_of(release), "manage.py", "collectstatic", "--noinput"], timeout=p.get("static_timeout", 600))
        if done.rc != 0:
            raise Refused(failure(done, "collectstatic"), "collectstatic failed: %s" % (why(tail(done.text)) or (tail(done.text, 1) or ["status %d" % done.rc])[0]), tail(done.text))
        match = re.search(r"(\d+) static files? copied", done.out)
        answer["copied"] = int(match.group(1)) if match else None
        share(release)
    return answer


def own(folder, user):
    import pwd

    about = pwd.getpwnam(user)
    for path, folders, names in os.walk(folder):
        for one in [path] + [os.path.join(path, name) for name in names + folders]:
            info = os.lstat(one)
            if (info.st_uid, info.st_gid) != (about.pw_uid, about.pw_gid):
                os.lchown(one, about.pw_uid, about.pw_gid)


def failure(done, otherwise):
    return "disk-full" if "No space left on device" in done.text else otherwise


def share(release):
    source, target = release_dir(release, "static"), root("shared", "static")
    for folder, _, names in os.walk(source):
        there = os.path.join(target, os.path.relpath(folder, source))
        os.makedirs(there, exist_ok=True)
        for name in names:
            if not os.path.lexists(os.path.join(there, name)):
                place(os.path.join(folder, name), os.path.join(there, name))


def place(source, target):
    """A file under one more name: a hard link, or a copy where releases lie on a disk of their own."""
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError as problem:
        if problem.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target + ".part")
        os.rename(target + ".part", target)


@changing("hook")
def hooks(p):
    """A project's own commands, in the release, as its user."""
    for command in p["commands"]:
        hook(p["release"], p["name"], command)


def hook(release, name, command):
    path = "%s:%s" % (release_dir(release, "venv", "bin"), BASE_ENV["PATH"])
    done = in_release(release, ["/bin/sh", "-c", command], env={"PATH": path}, timeout=P.get("hook_timeout", 900))
    if done.rc != 0:
        raise Refused("hook", "%s: `%s` ended with %d" % (name, command, done.rc), tail(done.text))


@changing("check")
def check(p):
    """The settings can be imported and are fit for production.

    Where `probe` is given, the same process goes on to the database and the pending migrations: Django takes long to start.
    """
    release = p["release"]
    # Before Django is started several times, which would compile it each time: it runs as a user that may not write here.
    run([python_of(release), "-m", "compileall", "-q", release_dir(release, "src")], timeout=600)
    words = ["check", "--deploy", "--fail-level", p.get("fail_level", "ERROR")]
    then = json.dumps({"reach": REACH, "probe": p["probe"]}) if p.get("probe") else ""
    env = {p["variable"]: p["ask"]} if then else None
    done = in_release(release, [python_of(release), "-c", CHECK, *words], data=then, env=env, timeout=300)
    passed = re.search(r"^@windlass-check (.*)$", done.out, re.M)
    if not passed:
        log = tail(done.text, 25)
        cause = why(log)
        raise Refused("check", "the release does not pass its checks (manage.py check --deploy): %s" % (cause or first_issue(log)), log)
    hosts = json.loads(passed.group(1))
    lost = [d for d in p.get("domains", []) if not any(h == "*" or h == d or (h.startswith(".") and (d == h[1:] or d.endswith(h))) for h in hosts)]
    if lost:
        raise Refused("allowed-hosts", "ALLOWED_HOSTS has no %s, which nginx serves: Django would answer 400" % ", ".join(lost))
    answer = {"warnings": [line for line in tail(done.err, 30) if line.startswith("?:") or "(security." in line]}
    if then:
        reached = re.search(r"^@windlass-database (.*)$", done.out, re.M)
        ended = (tail(done.err, 1) or ["status %d" % done.rc])[0]
        answer["database"] = json.loads(mask(reached.group(1))) if reached else {"error": why(tail(done.err)) or ended}
        answer["migrations"] = {"out": mask(done.out[passed.end():]), "err": tail(done.err, 25)}
    return answer


# manage.py with these arguments, and then what the same process knows of the settings: Django takes long to start.
CHECK = r"""
import json, os, runpy, sys
sys.path.insert(0, os.getcwd())
sys.argv[0] = "manage.py"
then = json.loads(sys.stdin.read() or "null")
try:
    runpy.run_path("manage.py", run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
from django.conf import settings
print("\n@windlass-check " + json.dumps([str(host) for host in settings.ALLOWED_HOSTS]), flush=True)
if then:
    exec(then["reach"])
    sys.argv[:] = ["-"]
    exec(compile(then["probe"], "<stdin>", "exec"), {"__name__": "__main__"})
"""


def first_issue(log):
    for line in log:
        if re.match(r"^\S*:? ?\(\w+\.\w+\)", line) or "SystemCheckError" in line:
            return line
    return log[-1] if log else "no output"


@changing("seal")
def seal(p):
    """release.json, written last: with it, the release is whole and may serve."""
    path = release_dir(p["release"], "release.json")
    if not read_json(path):
        about = dict(p["about"])
        about["environment"] = environment_digest()
        put(path, json.dumps(about) + "\n")
