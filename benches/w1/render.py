"""Prints the twenty files of W1 as JSON; run by a Python that has Jinja2."""

import json
from pathlib import Path

from jinja2 import Environment, StrictUndefined

env = Environment(trim_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined)
values = {"app_name": "webshop", "app_port": 8100, "app_peers": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}
paths = sorted(Path(__file__).parent.glob("templates/*.j2"))
print(json.dumps([env.from_string(path.read_text()).render(values) for path in paths]))
