"""The command `gohttp`: read the command line, choose how to run, report what goes wrong."""

import functools
import shlex
import signal
from collections.abc import Sequence

import click

import gohttp
from gohttp import GohttpError, early_stop, logs
from gohttp.config import command_line, foreign_option, load, settings
from gohttp.serving import serve
from gohttp.setting import Kind, Setting
from gohttp.worker import load_target

_SERVE_HELP = """Serve TARGET: an app of Flask, Django, FastAPI, or any WSGI or ASGI app, or a
module of gohttp routes.

\b
TARGET is one of
  module:app              an object in a module (app.py: app:app)
  module:make_app()       a function that makes the app
  module                  its `app` or `application`, its Mux named `mux`, or its gohttp routes
  path/to/file.py         the same, in a file; also path/to/file.py:app

Every option may also be given by its variable, shown in brackets with the default, or as a key
(max_head_size = "64k") in gohttp.toml or under [tool.gohttp] in pyproject.toml.  The command
line wins over the variable, the variable over the file.
"""


class _GroupedCommand(click.Command):
    """Shows the options under the headings of their settings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        headings = {setting.name: setting.group for setting in settings()}
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                groups.setdefault(headings.get(parameter.name or "", "Help"), []).append(record)
        groups["Help"] = groups.pop("Help", [])  # last
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def _option(setting: Setting) -> click.Option:
    """The option of one setting; values stay text here, `gohttp.config` checks them."""
    default = f"; {setting.shown_default}" if setting.shown_default else ""
    help_ = f"{setting.help}  [{setting.env}{default}]"
    if setting.kind is Kind.FLAG:
        names = f"{setting.flag}/--no-{setting.flag[2:]}"
        return click.Option([names, setting.name], default=None, help=help_)
    return click.Option(
        [setting.flag, setting.name, *([setting.short] if setting.short else [])],
        type=str,
        default=None,
        multiple=setting.kind is Kind.PATHS,
        metavar=_placeholder(setting),
        help=help_,
    )


def _placeholder(setting: Setting) -> str:
    others = () if setting.kind is Kind.CHOICE else (setting.kind.value,)
    return "|".join((*setting.choices, *others))


def _version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"gohttp {gohttp.__version__}")
        context.exit()


class _Commands(click.Group):
    """Knows an app where a command is expected."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and (":" in name or name.endswith(".py")):
            raise GohttpError(
                f"There is no command {name!r}; to serve this app: "
                f"{ctx.command_path} serve {shlex.join(args)}",
                exit_code=2,
            )
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """An HTTP server for Python apps."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


def _serve(target: str, **options: object) -> int:
    config = load(command_line(options))
    return serve(target, lambda: load_target(target, config), config)


cli.add_command(
    _GroupedCommand(
        "serve",
        callback=lambda **options: functools.partial(_serve, **options),
        params=[click.Argument(["target"]), *map(_option, settings())],
        help=_SERVE_HELP,
        short_help="Serve an app.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (default: `sys.argv`); the exit code.

    Everything a person can mend is told in one sentence on stderr.
    """
    try:
        result = cli.main(args=arguments, prog_name="gohttp", standalone_mode=False)
        # The command only gives back what to run: click would take KeyboardInterrupt from it.
        return result() if callable(result) else int(result or 0)
    except click.UsageError as error:
        logs.report(GohttpError(_usage_sentence(error)))
        return 2
    except GohttpError as error:
        logs.report(error)
        return error.exit_code
    except early_stop.EarlyStop:
        return 0
    except (KeyboardInterrupt, click.Abort):
        return 128 + signal.SIGINT


def _usage_sentence(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        explained = foreign_option(error.option_name)
        if explained is not None:
            return explained
    command = error.ctx.command_path if error.ctx is not None else "gohttp"
    message = " ".join(error.format_message().split())
    return message if message.endswith("?") else f"{message.rstrip('.')}; see {command} --help."
