"""What the settings read from the environment, each with one clear error when it is wrong."""

import os
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

ENGINES = {
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "sqlite": "django.db.backends.sqlite3",
}


def flag(name, default=False):
    """A yes/no variable. An unknown spelling is an error, so that DEBUG=flase is not taken for true."""
    value = os.environ.get(name, "").strip().lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    if value == "":
        return default
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}")


def words(name):
    """A list separated by commas."""
    return [word.strip() for word in os.environ.get(name, "").split(",") if word.strip()]


def secret_key(debug):
    key = os.environ.get("SECRET_KEY", "")
    if key:
        return key
    if debug:
        return "only-for-a-developers-machine-never-for-a-site-that-people-use"
    raise ImproperlyConfigured("SECRET_KEY is not set (DEBUG=1 runs without one)")


def database(base_dir):
    """DATABASE_URL, or DB_NAME and its companions, or a SQLite file beside the project."""
    url = os.environ.get("DATABASE_URL")
    if url:
        return from_url(url)
    if os.environ.get("DB_NAME"):
        return postgres(
            name=os.environ["DB_NAME"],
            user=os.environ.get("DB_USER", ""),
            password=os.environ.get("DB_PASSWORD", ""),
            host=os.environ.get("DB_HOST", ""),
            port=os.environ.get("DB_PORT", ""),
            options={"sslmode": os.environ["DB_SSLMODE"]} if os.environ.get("DB_SSLMODE") else {},
        )
    return {
        "ENGINE": ENGINES["sqlite"],
        "NAME": os.environ.get("SQLITE_PATH") or base_dir / "db.sqlite3",
        # Several workers write: wait for the lock instead of failing at once.
        "OPTIONS": {"timeout": 20},
    }


def from_url(url):
    parts = urlsplit(url)
    if parts.scheme not in ENGINES:
        raise ImproperlyConfigured(
            f"DATABASE_URL begins with {parts.scheme!r}; known are: {', '.join(sorted(ENGINES))}"
        )
    if parts.scheme == "sqlite":
        return {"ENGINE": ENGINES["sqlite"], "NAME": unquote(parts.path), "OPTIONS": {"timeout": 20}}
    return postgres(
        name=unquote(parts.path.lstrip("/")),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        host=unquote(parts.hostname or ""),
        port=str(parts.port or ""),
        options=dict(parse_qsl(parts.query)),
    )


def postgres(name, user, password, host, port, options):
    return {
        "ENGINE": ENGINES["postgresql"],
        "NAME": name,
        "USER": user,
        "PASSWORD": password,
        "HOST": host,
        "PORT": port,
        "CONN_MAX_AGE": int(os.environ.get("DB_CONN_MAX_AGE", "60")),
        # A connection that the server has closed meanwhile is opened again, not an error page.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, **options},
    }
