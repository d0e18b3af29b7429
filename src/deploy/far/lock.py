# The lock of an application on this host, and what has been done under it.


@operation
def lock(p):
    """Takes the lock. `over` is the token that may be taken over; the takeover is recorded. With `if_free`, a host that
    somebody else holds, or that is not laid out, is only looked at."""
    if p.get("if_free"):
        # Before anything is waited for: who holds the lock may be at work here for long.
        held = lock_now()
        if held and held.get("token") != p["token"] or not os.path.isdir(root("releases")):
            return {"taken": False, "held": held, "look": only_look(p)}
    os.makedirs(state(), 0o700, exist_ok=True)
    with Mutex("lock", p.get("wait", 60)):
        held = lock_now()
        if held and held.get("token") != p["token"]:
            if p.get("over") != held.get("token"):
                return {"taken": False, "held": held, "look": only_look(p) if p.get("if_free") else None}
            append(state("history"), {
                "time": now(), "event": "takeover", "by": p["owner"], "from": held.get("owner"),
                "held_since": held.get("since"), "reason": held.get("reason"), "silent": held.get("silent"),
            })
        entry = {name: p[name] for name in ("token", "owner", "machine", "process", "reason", "hosts")}
        entry["since"] = now()
        put(state("lock"), json.dumps(entry) + "\n", 0o600)
        seen()
        return {"taken": True, "over": held if held and held.get("token") != p["token"] else None, "look": look(p)}


def only_look(p):
    """As who has no lock, for whom nothing is made."""
    token, P["token"] = P["token"], None
    try:
        return look(p)
    finally:
        P["token"] = token


@operation
def alive(p):
    """A sign of life, which the silence of a dead owner is measured by."""
    held = lock_now()
    if held is None or held.get("token") != p["token"]:
        check_token()
    seen()
    return {}


@operation
def unlock(p):
    """Gives the lock back; with `force`, whoever holds it."""
    with Mutex("unlock", p.get("wait", 30)):
        held = lock_now()
        if held is None:
            return {"held": None}
        if not p.get("force"):
            check_token()
        elif p.get("over") and p["over"] != held.get("token"):
            raise Refused("changed", "the lock changed hands meanwhile: it is %s's now" % held.get("owner"), lock=held)
        if p.get("force"):
            append(state("history"), {"time": now(), "event": "unlock", "by": p["owner"], "from": held.get("owner"),
                                      "held_since": held.get("since"), "reason": held.get("reason")})
        for name in ("lock", "lock.seen"):
            try:
                os.unlink(state(name))
            except FileNotFoundError:
                pass
        sync_dir(state())
        return {"held": held}


@changing(None)
def begin(p):
    """The journal begins anew: what is under way, over which hosts, and what served before."""
    put(state("journal"), json.dumps({
        "time": now(), "token": p["token"], "phase": "start", "state": "begin", "kind": p["kind"],
        "release": p.get("release"), "previous": p.get("previous"), "hosts": p["hosts"], "by": p["by"],
    }) + "\n", 0o600)


@changing(None)
def finish(p):
    """It is over: one line of history, and, when all is done, a journal that says so."""
    last = lines_of(state("journal"), 1)
    if last and last[0].get("phase") == "finish" and last[0].get("token") == p["token"]:
        return {"already": True}  # it is asked again, since the answer did not arrive
    append(state("history"), {
        "time": now(), "event": p["kind"], "result": p["result"], "release": p.get("release"),
        "previous": p.get("previous"), "commit": p.get("commit"), "by": p["by"], "seconds": p.get("seconds"),
        "reason": mask(p.get("reason") or "") or None, "migrations": p.get("migrations"), "backup": p.get("backup"),
    })
    record = serving()
    left = p.get("unfinished")
    if left and not (record and record.get("release") == left) and not read_json(release_dir(left, "release.json")):
        # Half of a release is of no use, and may be what fills the disk.
        clear(left)
    broken = p.get("broken")
    if broken and os.path.isdir(release_dir(broken)):
        put(release_dir(broken, "broken"), json.dumps({"time": now(), "reason": mask(p.get("reason") or "")}) + "\n")
    append(state("journal"), {"time": now(), "token": p["token"], "phase": "finish", "state": p["result"]})
