"""Writes docs/configuration.md from the one place that knows the settings."""

import sys
from pathlib import Path

from gohttp.config import settings
from gohttp.setting import Kind

HEAD = """# Configuration

Made by `make docs` from `python/gohttp/config.py`; do not edit.

A value on the command line wins over the environment, that over the file, that over the default.
The file is `gohttp.toml`, or the table `[tool.gohttp]` of `pyproject.toml`, in the app's folder
(`--app-dir`) or the current one:

```toml
workers = 4
threads = 16
max_body_size = "20m"
```

Sizes are bytes, or `64k`, `20m`, `1g`; time-outs are seconds. A flag is turned off by its `--no-…`
form, in a variable by `false`, `0` or `off`, in a file by `false`. Relative paths in a file start
at the file's folder. An empty variable counts as not set. Where both files exist, `gohttp.toml`
is read.

An `--env-file` holds `NAME=VALUE` lines for the app, and may hold `GOHTTP_…` variables too. What
the environment has already wins over the file. A line that cannot be parsed is an error.

A name that is no setting is an error on the command line and in a file, and a warning in the
environment.

## TARGET

| form | what is served |
|---|---|
| `module:app` | an object in a module; dots reach further in (`module:api.app`) |
| `module:make_app()` | what a function returns; `--factory` is the same |
| `module` | its `app`, else its `application`, else its `Mux` named `mux`, else its native routes |
| `path/to/file.py`, `path/to/file.py:app` | the same, in a file |
"""


def table() -> str:
    """The page."""
    lines = [HEAD]
    group = ""
    for setting in settings():
        if setting.group != group:
            group = setting.group
            lines += [
                f"\n## {group}\n",
                "| option | variable | key | default | |",
                "|---|---|---|---|---|",
            ]
        default = f"`{setting.shown_default}`" if setting.shown_default else ""
        flag = f"`{setting.short}`, `{setting.flag}`" if setting.short else f"`{setting.flag}`"
        names = (*setting.choices, *(["MODULE:FACTORY"] if setting.kind is Kind.LOOP else []))
        choices = f" One of {', '.join(f'`{name}`' for name in names)}." if names else ""
        names = f"{flag} | `{setting.env}` | `{setting.name}`"
        lines.append(f"| {names} | {default} | {setting.help}{choices} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(table(), encoding="utf-8")
