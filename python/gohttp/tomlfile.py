"""Settings in `gohttp.toml`, or under `[tool.gohttp]` in `pyproject.toml`."""

import tomllib
from pathlib import Path

from gohttp.setting import ConfigError


def read_table(path: Path) -> dict[str, object] | None:
    """The settings in a file, unchecked; None when there is no such file or table."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; make it readable, or move it away."
        ) from None
    except (ValueError, RecursionError) as error:  # not TOML, or not UTF-8
        reason = str(error).rstrip(".") or "it is nested too deeply"
        raise ConfigError(f"{path} is not valid TOML: {reason}; correct it.") from None
    if path.name == "gohttp.toml":
        return content
    tool = content.get("tool")
    table = tool.get("gohttp") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(f"tool.gohttp in {path} must be a table: write [tool.gohttp].")
    return table
