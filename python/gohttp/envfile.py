"""`--env-file`: NAME=VALUE lines that fill the environment, where the environment is silent."""

import io
from collections.abc import MutableMapping
from pathlib import Path

from gohttp.setting import ConfigError


def load_env_file(name: str, source: str, environ: MutableMapping[str, str]) -> None:
    """Read the file into `environ`, without replacing what is there.

    `source` is the setting that named the file.  Raises `ConfigError`.
    """
    import dotenv
    from dotenv.parser import parse_stream

    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{source}: there is no file {path}; make it or leave the setting out."
        ) from None
    except IsADirectoryError:
        raise ConfigError(f"{source}: {path} is a directory; give a file in it.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{source}: {path} is not UTF-8; save it as that.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(
            f"{source}: {path} cannot be read: {reason}; give a file that can be."
        ) from None
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or "\0" in binding.original.string:
            read = binding.original.string
            line = binding.original.line + read[: len(read) - len(read.lstrip())].count("\n")
            raise ConfigError(
                f"{source}: line {line} of {path} is not NAME=VALUE; correct it, or make it a "
                "comment with #."
            )
    for key, value in dotenv.dotenv_values(stream=io.StringIO(text)).items():
        if value is not None:
            environ.setdefault(key, value)
