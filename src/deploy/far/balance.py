# On a host that balances: web hosts are taken out before they stop, and put back. Nothing else there is changed.

BALANCE_LOCK = "/run/lock/windlass-balance"
UNSURE = "/run/windlass-balance.unsure"


@operation
def balance(p):
    """`servers` leave or enter. With `check`, only looks whether each could. Both can be done twice."""
    fd = os.open(BALANCE_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # Applications may share a balancer, and their deploys know nothing of each other.
        end = time.monotonic() + p.get("wait", 60)
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise Refused("busy", "another deploy is changing this balancer")
                time.sleep(0.1)
        return {"nginx": balance_nginx, "haproxy": balance_haproxy}[p["balancer"]](p)
    finally:
        os.close(fd)


# ---- nginx: `down` in the line of a server

SERVER = re.compile(r"^(\s*server\s+)([^\s;{]+)([^;{]*);(.*)$")


def address_of(word):
    """The address in `address:port`; IPv6 has brackets there."""
    if word.startswith("["):
        return word[1:].split("]", 1)[0]
    return word.rsplit(":", 1)[0] if word.count(":") == 1 else word


def balance_nginx(p):
    if os.path.isdir(p["balancer_path"]):
        return balance_links(p)
    path, mark = p["balancer_path"], " # windlass: out for a deploy of " + app()
    text = read(path)
    if text is None:
        raise Refused("balancer", "there is no %s on the balancer: set balancer_path to the file with its `server` lines" % path)
    missing, changed, by_hand, lines = set(p["servers"]), [], [], []
    for line in text.split("\n"):
        match = SERVER.match(line)
        name = address_of(match.group(2)) if match else None
        if name in p["servers"]:
            missing.discard(name)
            ours, down = line.endswith(mark), "down" in match.group(3).split()
            if p.get("enter") and ours:
                words = " ".join(word for word in match.group(3).split() if word != "down")
                line = "%s%s%s;%s" % (match.group(1), match.group(2), " " + words if words else "", match.group(4)[: -len(mark)])
                changed.append(name)
            elif not p.get("enter") and not ours:
                if down:
                    by_hand.append(name)
                else:
                    line = "%s%s%s down;%s%s" % (match.group(1), match.group(2), match.group(3).rstrip(), match.group(4).rstrip(), mark)
                    changed.append(name)
        lines.append(line)
    if missing:
        raise Refused("balancer", "%s on the balancer has no line `server %s…;`: set balancer_address for that host" % (path, sorted(missing)[0]))
    if p.get("check"):
        return {"changed": [], "by_hand": by_hand}
    if changed:
        # With it, whoever comes next reloads, also where this ends here.
        put(UNSURE, "")
        mode = stat.S_IMODE(os.stat(path).st_mode)
        put(os.path.realpath(path), "\n".join(lines), mode)
        tested = run(["nginx", "-t"], timeout=30)
        if tested.rc != 0:
            put(os.path.realpath(path), text, mode)
            raise Refused("balancer", "nginx on the balancer takes no `down` in %s (nginx -t), which is as it was again" % path, tail(tested.err))
    if os.path.exists(UNSURE):
        reload_nginx()
        os.unlink(UNSURE)
    return {"changed": changed, "by_hand": by_hand}


def balance_links(p):
    """A folder with a link for each host, by which nginx reaches it: without the link nginx finds nobody there before it has
    sent anything, and asks the next. Nothing is reloaded, so that no idle connection is closed."""
    folder, end = p["balancer_path"], ".out-" + app()
    names, changed, by_hand = listed(folder), [], []
    for server in p["servers"]:
        link = server + ".sock"
        aside = [name for name in names if name.startswith(link + ".")]
        if link not in names and not aside:
            raise Refused("balancer", "%s on the balancer has no %s: set balancer_address for that host" % (folder, link))
        if p.get("check"):
            by_hand += [server] if link not in names and link + end not in names else []
        elif p.get("enter") and link + end in names:
            os.rename(os.path.join(folder, link + end), os.path.join(folder, link))
            changed.append(server)
        elif not p.get("enter") and link in names:
            os.rename(os.path.join(folder, link), os.path.join(folder, link + end))
            changed.append(server)
        elif not p.get("enter") and link + end not in names:
            by_hand.append(server)
    if changed and not p.get("enter"):
        # What nginx took a moment ago reaches its host, which waits for the connections that it has.
        time.sleep(0.5)
    return {"changed": changed, "by_hand": by_hand}


def nginx_workers():
    """Worker processes that take connections (those that are shutting down take none)."""
    main = systemctl("show", "nginx", "-p", "MainPID").out.strip().partition("=")[2]
    found = set()
    for name in os.listdir("/proc"):
        about = read("/proc/%s/stat" % name) if name.isdigit() else None
        title = (read("/proc/%s/cmdline" % name) or "") if about else ""
        if about and about.rpartition(")")[2].split()[1] == main and "worker process" in title and "shutting down" not in title:
            found.add(name)
    return found


def reload_nginx():
    """Comes back when no worker of the old configuration takes connections any more."""
    old = nginx_workers()
    done = systemctl("reload", "nginx", timeout=60)
    if done.rc != 0:
        raise Refused("balancer", "nginx on the balancer can't be reloaded", tail(done.err))
    end = time.monotonic() + 15
    while old & nginx_workers():
        if time.monotonic() > end:
            raise Refused("balancer", "nginx on the balancer was reloaded, and works on as before: look at its error log")
        time.sleep(0.05)


# ---- HAProxy: the state of a server, by the runtime socket

FORCED_MAINTENANCE, FORCED_DRAIN = 0x01, 0x08


def haproxy(path, command):
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            talk.settimeout(10)
            talk.connect(path)
            talk.sendall(command.encode() + b"\n")
            parts = []
            while True:
                part = talk.recv(65536)
                if not part:
                    return decode(b"".join(parts)).strip()
                parts.append(part)
    except OSError as problem:
        raise Refused("balancer", "HAProxy can't be asked by %s (%s): balancer_path is its `stats socket`, which needs `level admin`" % (path, problem))


def haproxy_servers(p):
    """The administrative state of each server of the backend, a set of bits."""
    told = haproxy(p["balancer_path"], "show servers state " + p["balancer_backend"])
    heads, found = None, {}
    for line in told.splitlines():
        if line.startswith("#"):
            heads = line[1:].split()
        elif heads and len(line.split()) >= len(heads) - 2:
            row = dict(zip(heads, line.split()))
            found[row["srv_name"]] = int(row["srv_admin_state"])
    if not found:
        raise Refused("balancer", "HAProxy knows no servers of the backend %s: %s" % (p["balancer_backend"], told[:200]))
    return found


def balance_haproxy(p):
    known = haproxy_servers(p)
    changed, by_hand = [], []
    for name in p["servers"]:
        if name not in known:
            raise Refused("balancer", "HAProxy's backend %s has no server %s (it has %s): set balancer_name for that host" % (p["balancer_backend"], name, ", ".join(sorted(known))))
        if known[name] & FORCED_MAINTENANCE:
            by_hand.append(name)
        elif not p.get("check") and bool(known[name] & FORCED_DRAIN) == bool(p.get("enter")):
            said = haproxy(p["balancer_path"], "set server %s/%s state %s" % (p["balancer_backend"], name, "ready" if p.get("enter") else "drain"))
            if said:
                raise Refused("balancer", "HAProxy does not do it: %s" % said)
            changed.append(name)
    return {"changed": changed, "by_hand": by_hand}
