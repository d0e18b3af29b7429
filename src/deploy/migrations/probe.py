"""Tells what a Django release would do to its databases, as one JSON document. Reads only.

It comes on standard input of the release's own interpreter (`venv/bin/python -`), in the project's folder, with the
environment the application runs in. WINDLASS_MIGRATIONS holds its arguments as JSON:

  mode        "pending" (what `migrate` would apply) or "between" (what given, applied migrations did)
  migrations  with "between": a list of [app, name]
  databases   aliases to look at; without it: `default`, and every other one that holds Django's own table
  settings    the settings module, where neither the environment nor manage.py names it

Works with Python 3.8 and Django 3.2, and with what came after them. What it prints has one marker line, then one line
of JSON; whatever the project prints goes to standard error. The reader is `model.rs`.
"""

import json
import os
import re
import sys
import traceback

MARKER = "@windlass-migrations"
FORMAT = 1
# Of a text that people wrote (SQL, messages): enough to recognise it.
SHORT = 300
SECRET_NAME = re.compile(r"SECRET|PASS|TOKEN|KEY|CREDENTIAL|DSN|_URL$|^URL$|_URI$", re.I)


class Failed(Exception):
    """Ends the probe, or the look at one database, with a kind that the reader knows."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, list(trace)

    def document(self):
        return {"kind": self.kind, "message": self.message, "trace": self.trace}


def masked(text):
    """A text without what the environment holds as a secret. The reader masks what it knows besides."""
    for name, value in os.environ.items():
        if len(value) >= 6 and SECRET_NAME.search(name):
            text = text.replace(value, "***")
    text = re.sub(r"(://[^/\s:@]*:)[^@\s/]+@", r"\1***@", text)
    # `password=x` of a connection string, `PASSWORD 'x'` of SQL; not "password authentication failed".
    return re.sub(r"(?i)(\bpassword\s*(?:=\s*|(?=')))('[^']*'|[^\s,;)]+)", r"\1***", text)


def shortened(text, most=SHORT):
    text = " ".join(str(text).split())
    return text if len(text) <= most else text[: most - 1] + "…"


def failure(kind, error):
    """An exception as data. Frames come without their source lines, since those may hold values of settings."""
    frames = ["%s:%s in %s" % (f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)]
    # The import machinery, Django and this script say little; the project's own frames say where to look.
    frames = [f for f in frames if not f.startswith(("<frozen", "<stdin>"))]
    own = [f for f in frames if f.startswith(os.getcwd() + os.sep) and "site-packages" not in f]
    frames = own + [f for f in frames[-1:] if f not in own] if own else frames[-3:]
    message = "%s: %s" % (type(error).__name__, shortened(masked(str(error)), 1000))
    return Failed(kind, message, frames[-6:])


# ---------------------------------------------------------------------------------------------------------------------
# Django, the settings and the applications


def settings_module(arguments):
    named = arguments.get("settings") or os.environ.get("DJANGO_SETTINGS_MODULE")
    if named:
        return named
    try:
        with open("manage.py", encoding="utf-8") as file:
            found = re.search(r"DJANGO_SETTINGS_MODULE['\"]\s*[,\]]\s*=?\s*['\"]([\w.]+)['\"]", file.read())
    except OSError:
        raise Failed("project", "there is no manage.py in %s" % os.getcwd())
    if not found:
        raise Failed("project", "manage.py names no settings module, and DJANGO_SETTINGS_MODULE is not set")
    return found.group(1)


def start(arguments):
    os.environ["DJANGO_SETTINGS_MODULE"] = settings_module(arguments)
    # A database that does not answer is told, not waited for.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    sys.path.insert(0, os.getcwd())
    try:
        import django
    except Exception as error:
        raise failure("django", error)
    if django.VERSION < (3, 2):
        raise Failed("django", "Django %s is older than 3.2" % django.get_version())
    from django.conf import settings

    try:
        settings.INSTALLED_APPS, settings.SECRET_KEY
    except BaseException as error:
        raise failure("settings", error)
    try:
        django.setup()
    except BaseException as error:
        raise failure("apps", error)


# ---------------------------------------------------------------------------------------------------------------------
# Operations


def kind_of(operation):
    """The name of Django's own class that says what this one does; None for one that does it its own way."""
    own = type(operation)
    if own.__module__.startswith("django."):
        return own.__name__
    for base in own.__mro__[1:]:
        if base.__module__.startswith("django.db.migrations.operations") or base.__module__.startswith(
            "django.contrib.postgres.operations"
        ):
            same = all(getattr(own, m, None) is getattr(base, m, None) for m in ("database_forwards", "state_forwards"))
            return base.__name__ if same and base.__name__ not in ("Operation", "ModelOperation") else None
    return None


def field_facts(field, connection):
    from django.db.models import NOT_PROVIDED
    from django.db.models.fields import AutoFieldMixin

    given = getattr(field, "db_default", NOT_PROVIDED) is not NOT_PROVIDED
    remote = getattr(field, "remote_field", None)
    target = getattr(remote, "model", None)
    sql_type = field.db_type(connection)
    facts = {
        "name": field.name,
        "class": type(field).__name__,
        # Many-to-many relations name one that is not there.
        "column": getattr(field, "column", None) if sql_type else None,
        "type": sql_type,
        "null": bool(field.null),
        "unique": bool(getattr(field, "unique", False)),
        "indexed": bool(getattr(field, "db_index", False)),
        "primary_key": bool(getattr(field, "primary_key", False)),
        "default": field.has_default() if hasattr(field, "has_default") else False,
        "db_default": given,
        "many_to_many": bool(field.many_to_many),
        "generated": bool(getattr(field, "generated", False)),
        # The server numbers it.
        "auto": isinstance(field, AutoFieldMixin),
        "max_length": field.max_length if isinstance(getattr(field, "max_length", None), int) else None,
        "digits": getattr(field, "max_digits", None),
        "places": getattr(field, "decimal_places", None),
        "references": target._meta.db_table if hasattr(target, "_meta") and not field.many_to_many else None,
        "constrained": bool(getattr(field, "db_constraint", False)),
        "checked": bool(field.db_check(connection)) if getattr(field, "column", None) else False,
        "collation": getattr(field, "db_collation", None),
    }
    if given:
        try:
            editor = connection.SchemaEditorClass(connection, collect_sql=True)
            facts["db_default_sql"] = shortened(editor.db_default_sql(field)[0])
        except Exception:
            facts["db_default_sql"] = None
    if field.many_to_many:
        through = getattr(remote, "through", None)
        facts["through"] = through._meta.db_table if hasattr(through, "_meta") else None
        facts["through_created"] = bool(getattr(getattr(through, "_meta", None), "auto_created", False))
    return facts


def constraint_facts(constraint):
    facts = {"name": getattr(constraint, "name", None), "class": type(constraint).__name__}
    facts["fields"] = [str(f) for f in getattr(constraint, "fields", ()) or ()]
    facts["conditional"] = getattr(constraint, "condition", None) is not None
    facts["expressions"] = bool(getattr(constraint, "expressions", ()))
    facts["deferrable"] = getattr(constraint, "deferrable", None) is not None
    return facts


def sql_facts(sql):
    """The statements of a RunSQL, in short."""
    if not sql:
        return []
    parts = [sql] if isinstance(sql, str) else list(sql)
    texts = [p if isinstance(p, str) else p[0] for p in parts]
    return [shortened(masked(t)) for t in texts[:20]]


class Teller:
    """Walks through migrations and tells of each operation, keeping the project's state as Django would."""

    def __init__(self, connection, graph, state):
        self.connection, self.graph, self.state = connection, graph, state
        # Models and fields that the old code does not know, as these migrations bring them.
        self.models, self.fields = set(), set()
        self.tables = set()
        # Within the state's half of a SeparateDatabaseAndState: what that "creates" may well hold rows.
        self.only_state = False

    def migration(self, migration):
        out = {
            "app": migration.app_label,
            "name": migration.name,
            "atomic": bool(migration.atomic),
            "initial": bool(migration.initial),
            "replaces": [list(r) for r in migration.replaces],
            "dependencies": sorted(list(p.key) for p in self.graph.node_map[migration.app_label, migration.name].parents),
            "operations": [],
        }
        for operation in migration.operations:
            before = self.state
            after = before.clone()
            operation.state_forwards(migration.app_label, after)
            out["operations"].append(self.operation(migration.app_label, operation, before, after))
            self.state = after
        return out

    def operation(self, app, operation, before, after):
        kind = kind_of(operation)
        out = {
            "class": type(operation).__name__,
            "kind": kind,
            "description": shortened(operation.describe()),
            "reversible": bool(operation.reversible),
            "routed": True,
            "known": True,
        }
        try:
            teller = getattr(self, "tell_" + kind.lower(), None) if kind else None
            if teller is not None:
                teller(app, operation, before, after, out)
            elif kind and hasattr(operation, "model_name"):
                self.on_model(app, operation.model_name, before, out)
        except Exception as error:
            out["unreadable"] = failure("operation", error).message
        return out

    # What operations have in common

    def rendered(self, state, app, model):
        return state.apps.get_model(app, model)

    def on_model(self, app, name, state, out):
        """The model that an operation is about; false where nothing of it is in this database, or it is new."""
        from django.db import router

        out["model"] = "%s.%s" % (app, state.models[app, name.lower()].name)
        out["known"] = (app, name.lower()) not in self.models
        options = state.models[app, name.lower()].options
        if options.get("managed") is False or options.get("proxy"):
            out["routed"] = False
        elif router.routers:
            model = self.rendered(state, app, name)
            out["routed"] = bool(router.allow_migrate_model(self.connection.alias, model))
        if not (out["known"] and out["routed"]):
            return False
        out["table"] = self.rendered(state, app, name)._meta.db_table
        self.tables.add(out["table"])
        return True

    def field(self, state, app, model, name):
        return field_facts(self.rendered(state, app, model)._meta.get_field(name), self.connection)

    def new_field(self, app, model, name):
        return (app, model.lower(), name.lower()) in self.fields

    # Models

    def tell_createmodel(self, app, operation, before, after, out):
        from django.db import router

        out["model"], out["known"] = "%s.%s" % (app, operation.name), False
        out["foreign_keys"] = any(f.many_to_one or f.one_to_one for _, f in operation.fields if f.remote_field)
        if not self.only_state:
            self.models.add((app, operation.name.lower()))
        if operation.options.get("managed") is False or operation.options.get("proxy"):
            out["routed"] = False
        elif router.routers:
            out["routed"] = bool(router.allow_migrate_model(self.connection.alias, self.rendered(after, app, operation.name)))

    def tell_deletemodel(self, app, operation, before, after, out):
        self.on_model(app, operation.name, before, out)
        self.models.discard((app, operation.name.lower()))

    def tell_renamemodel(self, app, operation, before, after, out):
        if self.on_model(app, operation.old_name, before, out):
            out["new_table"] = self.rendered(after, app, operation.new_name)._meta.db_table
        if (app, operation.old_name.lower()) in self.models:
            self.models.add((app, operation.new_name.lower()))
        for entry in [f for f in self.fields if f[:2] == (app, operation.old_name.lower())]:
            self.fields.add((app, operation.new_name.lower(), entry[2]))

    def tell_altermodeltable(self, app, operation, before, after, out):
        if self.on_model(app, operation.name, before, out):
            out["new_table"] = self.rendered(after, app, operation.name)._meta.db_table

    def tell_altermodeltablecomment(self, app, operation, before, after, out):
        self.on_model(app, operation.name, before, out)

    def together(self, app, operation, before, after, out, option):
        if self.on_model(app, operation.name, before, out):
            sets = [
                {tuple(s) for s in state.models[app, operation.name.lower()].options.get(option) or ()}
                for state in (before, after)
            ]
            out["added_sets"] = sorted(list(s) for s in sets[1] - sets[0])
            out["removed_sets"] = sorted(list(s) for s in sets[0] - sets[1])

    def tell_alteruniquetogether(self, app, operation, before, after, out):
        self.together(app, operation, before, after, out, "unique_together")

    def tell_alterindextogether(self, app, operation, before, after, out):
        self.together(app, operation, before, after, out, "index_together")

    def tell_alterorderwithrespectto(self, app, operation, before, after, out):
        if self.on_model(app, operation.name, before, out):
            had = before.models[app, operation.name.lower()].options.get("order_with_respect_to")
            has = after.models[app, operation.name.lower()].options.get("order_with_respect_to")
            out["ordered"] = [bool(had), bool(has)]

    def tell_altermodeloptions(self, app, operation, before, after, out):
        out["model"] = "%s.%s" % (app, operation.name)

    tell_altermodelmanagers = tell_altermodeloptions

    # Fields

    def tell_addfield(self, app, operation, before, after, out):
        here = self.on_model(app, operation.model_name, after, out)
        if not self.only_state:
            self.fields.add((app, operation.model_name.lower(), operation.name.lower()))
        out["field_known"] = False
        if here:
            out["field"] = self.field(after, app, operation.model_name, operation.name)
        else:
            out["field_name"] = operation.name

    def tell_removefield(self, app, operation, before, after, out):
        here = self.on_model(app, operation.model_name, before, out)
        out["field_known"] = not self.new_field(app, operation.model_name, operation.name)
        self.fields.discard((app, operation.model_name.lower(), operation.name.lower()))
        if here:
            out["old_field"] = self.field(before, app, operation.model_name, operation.name)
        else:
            out["field_name"] = operation.name

    def tell_alterfield(self, app, operation, before, after, out):
        here = self.on_model(app, operation.model_name, before, out)
        out["field_known"] = not self.new_field(app, operation.model_name, operation.name)
        out["field_name"] = operation.name
        if not here:
            return
        models = [self.rendered(state, app, operation.model_name) for state in (before, after)]
        old, new = [model._meta.get_field(operation.name) for model in models]
        if not operation.preserve_default:
            new.default = operation.field.default
        out["old_field"] = field_facts(old, self.connection)
        out["field"] = field_facts(new, self.connection)
        editor = self.connection.SchemaEditorClass(self.connection, collect_sql=True)
        if hasattr(editor, "_field_should_be_altered"):
            out["altered"] = bool(editor._field_should_be_altered(old, new))
        if out["old_field"]["type"] != out["field"]["type"] and (old.primary_key or old.unique):
            # Columns that point at this one get its type, too.
            back = [r for r in models[0]._meta.get_fields(include_hidden=True) if r.auto_created and not r.concrete]
            also = {r.related_model._meta.db_table for r in back if r.field.column}
            out["also_tables"] = sorted(also)
            self.tables |= also

    def tell_renamefield(self, app, operation, before, after, out):
        here = self.on_model(app, operation.model_name, before, out)
        key = (app, operation.model_name.lower())
        out["field_known"] = key + (operation.old_name.lower(),) not in self.fields
        out["field_name"] = operation.old_name
        if not out["field_known"]:
            self.fields.discard(key + (operation.old_name.lower(),))
            self.fields.add(key + (operation.new_name.lower(),))
        if here:
            out["old_field"] = self.field(before, app, operation.model_name, operation.old_name)
            out["field"] = self.field(after, app, operation.model_name, operation.new_name)

    # Indexes and constraints

    def tell_addindex(self, app, operation, before, after, out):
        self.on_model(app, operation.model_name, before, out)
        out["index"] = operation.index.name

    tell_addindexconcurrently = tell_addindex

    def tell_removeindex(self, app, operation, before, after, out):
        self.on_model(app, operation.model_name, before, out)
        out["index"] = operation.name

    tell_removeindexconcurrently = tell_removeindex

    def tell_renameindex(self, app, operation, before, after, out):
        self.on_model(app, operation.model_name, before, out)
        out["index"] = operation.old_name or operation.new_name

    def tell_addconstraint(self, app, operation, before, after, out):
        here = self.on_model(app, operation.model_name, before, out)
        out["constraint"] = facts = constraint_facts(operation.constraint)
        if here and facts["fields"] and facts["class"] == "UniqueConstraint":
            # Rows that the old code writes hold NULL in a new field, which is unequal to every other NULL.
            model = self.rendered(before, app, operation.model_name)
            distinct = getattr(operation.constraint, "nulls_distinct", None) is not False
            facts["spares_old_rows"] = distinct and any(
                self.new_field(app, operation.model_name, name)
                and model._meta.get_field(name).null
                and not field_facts(model._meta.get_field(name), self.connection)["db_default"]
                for name in facts["fields"]
            )

    tell_addconstraintnotvalid = tell_addconstraint

    def tell_removeconstraint(self, app, operation, before, after, out):
        self.on_model(app, operation.model_name, before, out)
        out["constraint"] = {"name": operation.name}

    tell_validateconstraint = tell_removeconstraint
    tell_alterconstraint = tell_removeconstraint

    # What is not about one model

    def tell_runpython(self, app, operation, before, after, out):
        from django.db import migrations, router

        out["routed"] = bool(router.allow_migrate(self.connection.alias, app, **operation.hints))
        out["noop"] = operation.code is migrations.RunPython.noop
        out["code"] = "%s.%s" % (
            getattr(operation.code, "__module__", "?"),
            getattr(operation.code, "__qualname__", type(operation.code).__name__),
        )

    def tell_runsql(self, app, operation, before, after, out):
        from django.db import migrations, router

        out["routed"] = bool(router.allow_migrate(self.connection.alias, app, **operation.hints))
        out["noop"] = operation.sql == migrations.RunSQL.noop
        out["sql"] = sql_facts(operation.sql)
        if operation.state_operations:
            out["state"] = self.stated(app, operation.state_operations, before)

    def tell_separatedatabaseandstate(self, app, operation, before, after, out):
        out["database"] = self.nested(app, operation.database_operations, before)
        out["state"] = self.stated(app, operation.state_operations, before)

    def stated(self, app, operations, state):
        outer, self.only_state = self.only_state, True
        try:
            return self.nested(app, operations, state)
        finally:
            self.only_state = outer

    def nested(self, app, operations, state):
        told = []
        for operation in operations:
            after = state.clone()
            operation.state_forwards(app, after)
            told.append(self.operation(app, operation, state, after))
            state = after
        return told

    def extension(self, app, operation, before, after, out):
        out["extension"] = operation.name
        if self.connection.vendor != "postgresql":
            out["routed"] = False
            return
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = %s)", [operation.name])
            out["installed"] = cursor.fetchone()[0]
            columns = "v.superuser, " + ("v.trusted" if self.connection.pg_version >= 130000 else "false")
            cursor.execute(
                "SELECT " + columns + ", r.rolsuper, has_database_privilege(current_database(), 'CREATE')"
                " FROM pg_available_extensions e JOIN pg_available_extension_versions v"
                " ON v.name = e.name AND v.version = e.default_version, pg_roles r"
                " WHERE e.name = %s AND r.rolname = current_user",
                [operation.name],
            )
            row = cursor.fetchone()
            out["available"] = row is not None
            if row:
                superuser, trusted, is_super, may_create = row
                out["creatable"] = bool(is_super or (may_create and (trusted or not superuser)))

    def __getattr__(self, name):
        # Each extension has a class of its own, below CreateExtension.
        if name.startswith("tell_") and name.endswith("extension"):
            return self.extension
        raise AttributeError(name)


# ---------------------------------------------------------------------------------------------------------------------
# Databases


def missing_sqlite_file(connection):
    """Whether a connection would create the file: a probe leaves nothing behind."""
    name = str(connection.settings_dict["NAME"])
    return connection.vendor == "sqlite" and name not in ("", ":memory:") and not name.startswith("file:") and not os.path.exists(name)


class Reading:
    """A transaction that can't write. Nothing of it outlives it, so that it is safe behind a pooler, too."""

    def __init__(self, connection):
        from django.db import transaction

        self.connection, self.atomic = connection, transaction.atomic(using=connection.alias)

    def __enter__(self):
        try:
            self.connection.ensure_connection()
        except Exception as error:
            raise failure("database", error)
        if self.connection.vendor == "sqlite":
            with self.connection.cursor() as cursor:
                cursor.execute("PRAGMA query_only = ON")
        self.atomic.__enter__()
        if self.connection.vendor == "postgresql":
            with self.connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION READ ONLY")
                cursor.execute("SET LOCAL statement_timeout = '60s'")
        return self

    def __exit__(self, *error):
        return self.atomic.__exit__(*error)


def server_version(connection):
    try:
        if connection.vendor == "postgresql":
            return [connection.pg_version // 10000, connection.pg_version % 10000]
        if connection.vendor == "sqlite":
            return list(connection.Database.sqlite_version_info)
        return list(connection.mysql_version) if connection.vendor == "mysql" else []
    except Exception:
        return []


def table_facts(connection, tables):
    """Sizes as the server knows them without counting."""
    out = {}
    if connection.vendor != "postgresql":
        return out
    with connection.cursor() as cursor:
        for table in sorted(tables):
            cursor.execute(
                "SELECT oid, relkind, reltuples, pg_relation_size(oid), pg_total_relation_size(oid)"
                " FROM pg_class WHERE oid = to_regclass(%s)",
                ["%s" % connection.ops.quote_name(table)],
            )
            row = cursor.fetchone()
            if row is None:
                continue
            oid, kind, rows, size, total = row
            if kind == "p":
                cursor.execute(
                    "SELECT sum(greatest(c.reltuples, 0)), sum(pg_relation_size(c.oid)), sum(pg_total_relation_size(c.oid))"
                    " FROM pg_partition_tree(%s::regclass) t JOIN pg_class c ON c.oid = t.relid",
                    [oid],
                )
                rows, size, total = cursor.fetchone()
            out[table] = {
                # -1: the table was never analysed.
                "rows": int(rows) if rows is not None and rows >= 0 else None,
                "bytes": int(size or 0),
                "total_bytes": int(total or 0),
            }
    return out


def history(loader):
    from django.apps import apps
    from django.db.migrations.recorder import MigrationRecorder

    recorder = MigrationRecorder(loader.connection)
    if not recorder.has_table():
        return []
    known = set(loader.disk_migrations)
    for migration in loader.disk_migrations.values():
        known.update(tuple(r) for r in migration.replaces)
    labels = {config.label for config in apps.get_app_configs()}
    rows = list(recorder.migration_qs.order_by("id").values_list("app", "name", "id"))
    last = {}
    for app, name, number in rows:
        if (app, name) in known:
            last[app] = number
    newest = max(last.values(), default=0)
    # Rows that were written after all that this release knows of the application (or of any, where the application is
    # not here): the database is ahead. Others are what remains of files that were squashed or deleted.
    return [
        {"app": app, "name": name, "installed": app in labels, "ahead": number > last.get(app, newest)}
        for app, name, number in rows
        if (app, name) not in known
    ]


def ordered(loader, wanted):
    """Migrations in the order in which they are applied."""
    graph, seen, out = loader.graph, set(), []
    for leaf in sorted(graph.leaf_nodes()):
        for key in graph.forwards_plan(leaf):
            if key not in seen:
                seen.add(key)
                if key in wanted:
                    out.append(graph.nodes[key])
    return out


def undo(executor, wanted):
    """Where `migrate` has to go to take these back, and what else it would take back."""
    loader = executor.loader
    targets = []
    for app in dict.fromkeys(m.app_label for m in reversed(ordered(loader, wanted))):
        kept = [m.name for m in ordered(loader, set(loader.applied_migrations) - wanted) if m.app_label == app]
        targets.append([app, kept[-1] if kept else None])
    plan, applied = [], dict(loader.applied_migrations)
    for target in targets:
        plan += executor.migration_plan([tuple(target)])
    loader.applied_migrations = applied
    taken = {(m.app_label, m.name) for m, backwards in plan if backwards}
    return {"targets": [[app, name or "zero"] for app, name in targets], "also": sorted(map(list, taken - wanted))}


def look(connection, arguments):
    from django.db.migrations.exceptions import InconsistentMigrationHistory
    from django.db.migrations.executor import MigrationExecutor
    from django.db.migrations.state import ProjectState

    out = {"vendor": connection.vendor, "version": server_version(connection), "inconsistent": None}
    absent = missing_sqlite_file(connection)
    try:
        executor = MigrationExecutor(None if absent else connection)
    except Exception as error:
        raise failure("migrations", error)
    loader = executor.loader
    if absent:
        loader.applied_migrations = {}
    out["conflicts"] = {app: sorted(names) for app, names in loader.detect_conflicts().items()}
    if not absent:
        try:
            loader.check_consistent_history(connection)
        except InconsistentMigrationHistory as error:
            out["inconsistent"] = str(error)
    applied = set(loader.applied_migrations)
    out["applied"] = sorted(list(k) for k in applied)
    out["fresh"] = not applied
    out["not_on_disk"] = [] if absent else history(loader)
    try:
        if arguments.get("mode") == "between":
            given = {tuple(m) for m in arguments.get("migrations", ())}
            # A squashed migration stands for those it replaces.
            wanted = {k for k, m in loader.graph.nodes.items() if k in given or (m.replaces and set(map(tuple, m.replaces)) & given)}
            named = wanted | {tuple(r) for k in wanted for r in loader.graph.nodes[k].replaces}
            out["unknown"] = sorted(list(k) for k in given - named)
            out["undo"] = undo(executor, wanted & applied)
            plan = ordered(loader, wanted)
        else:
            wanted = set()
            plan = [m for m, _ in executor.migration_plan(loader.graph.leaf_nodes())]
        begin = [k for k in applied - wanted if k in loader.graph.nodes]
        state = loader.project_state(begin) if begin else ProjectState(real_apps=loader.unmigrated_apps)
        teller = Teller(connection, loader.graph, state)
        out["migrations"] = [teller.migration(m) for m in plan]
    except Failed:
        raise
    except Exception as error:
        raise failure("migrations", error)
    out["tables"] = {} if absent else table_facts(connection, teller.tables)
    if connection.vendor == "sqlite" and not absent:
        try:
            out["bytes"] = os.path.getsize(str(connection.settings_dict["NAME"]))
        except OSError:
            pass
    return out


def model_changes():
    """What `makemigrations --check` would complain about: the operations that are missing, by application."""
    from django.apps import apps
    from django.db.migrations.autodetector import MigrationAutodetector
    from django.db.migrations.loader import MigrationLoader
    from django.db.migrations.questioner import MigrationQuestioner
    from django.db.migrations.state import ProjectState

    loader = MigrationLoader(None, ignore_no_migrations=True)
    if loader.detect_conflicts():
        return {}
    detector = MigrationAutodetector(
        loader.project_state(), ProjectState.from_apps(apps), MigrationQuestioner(specified_apps=set(), dry_run=True)
    )
    changes = detector.changes(graph=loader.graph, trim_to_apps=None, convert_apps=None)
    return {app: [shortened(o.describe()) for m in found for o in m.operations] for app, found in changes.items()}


def databases(arguments):
    from django.db import connections

    wanted = arguments.get("databases")
    for alias in wanted or ():
        if alias not in connections.databases:
            raise Failed("arguments", "DATABASES has no `%s`" % alias)
    out, skipped = {}, {}
    for alias in wanted or list(connections):
        connection = connections[alias]
        sure = wanted or alias == "default"
        if connection.vendor == "unknown":
            # Django's placeholder for a project without a database.
            skipped[alias] = "DATABASES names no engine for it"
            continue
        if not sure and missing_sqlite_file(connection):
            skipped[alias] = "its file does not exist"
            continue
        try:
            if missing_sqlite_file(connection):
                out[alias] = look(connection, arguments)
                continue
            with Reading(connection):
                from django.db.migrations.recorder import MigrationRecorder

                if sure or MigrationRecorder(connection).has_table():
                    out[alias] = look(connection, arguments)
                else:
                    skipped[alias] = "it holds no migrations of Django"
        except Failed as error:
            if sure or error.kind != "database":
                out[alias] = {"vendor": connection.vendor, "error": error.document()}
            else:
                skipped[alias] = error.message
        except Exception as error:
            out[alias] = {"vendor": connection.vendor, "error": failure("database", error).document()}
    return out, skipped


def document():
    out = {"format": FORMAT, "python": "%d.%d.%d" % sys.version_info[:3]}
    try:
        try:
            arguments = json.loads(os.environ.pop("WINDLASS_MIGRATIONS", "") or "{}")
        except ValueError as error:
            raise failure("arguments", error)
        if arguments.get("mode", "pending") not in ("pending", "between"):
            raise Failed("arguments", "there is no mode `%s`" % arguments["mode"])
        start(arguments)
        import django

        out["django"] = django.get_version()
        out["mode"] = arguments.get("mode", "pending")
        out["databases"], out["skipped"] = databases(arguments)
        broken = any("error" in d for d in out["databases"].values())
        if out["mode"] == "pending" and not broken:
            try:
                out["model_changes"] = model_changes()
            except Exception as error:
                out["model_changes_error"] = failure("migrations", error).message
    except Failed as error:
        out["error"] = error.document()
    except BaseException as error:
        out["error"] = failure("internal", error).document()
    return out


def main():
    sys.dont_write_bytecode = True
    # From here on, what the project prints is noise for standard error.
    answer = os.dup(1)
    os.dup2(2, 1)
    text = "\n%s\n%s\n" % (MARKER, json.dumps(document()))
    with os.fdopen(answer, "w", encoding="utf-8") as file:
        file.write(text)
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that the project started would keep the process alive.
    os._exit(0)


main()
