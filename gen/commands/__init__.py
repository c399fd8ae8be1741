"""The command line. Each command is one file here: it parses, calls and prints; this is the one place that catches our errors.

A command's module is imported only when the command is named, so `sluice --help` is quick.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable
from typing import Any

import typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError
from typer.core import TyperGroup

from gen import __version__
from gen.commands.logs import set_up as log_from
from gen.errors import LeakError, SluiceError

# Name → (module, what `sluice --help` says). Their order is that of the work.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write a commented recipe to start from."),
    "check": ("check", "Validate a recipe and show the prompts it would send."),
    "run": ("run", "The main job: run a recipe until its goal is met; run again to resume."),
    "regenerate": ("regenerate", "Ask again for what failed, with the reasons fed back."),
    "gate": ("gate", "Put any dataset through the gates."),
    "export": ("export", "Write a run's files again: formats, splits, papers."),
    "pack": ("pack", "Apply the chat template, prove the loss mask, pack into full rows."),
    "mix": ("mix", "Mix several datasets to target proportions."),
    "audit": ("audit", "Audit any dataset: what is wrong with it, where, and what would mend it."),
    "pairs": ("pairs", "Make preference pairs from a run."),
    "review": ("review", "Judge a random sample of a run by hand, here or in a sheet."),
    "show": ("show", "Tell one sample's whole history."),
    "gates": ("gates", "List the gates with their options and defaults."),
    "cache": ("cache", "Look after the cache of paid replies: stats, prune, export, import."),
    "simulate": ("simulate", "Serve a local stand-in for the model APIs."),
}

EXIT_DONE, EXIT_SHORT, EXIT_WRONG_INPUT, EXIT_INTERRUPTED = 0, 1, 2, 130


def main() -> None:
    """The console script `sluice`. What a stream's encoding cannot hold is written as an escape: no text of a model ends a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """Run one command line and return its exit status: 0 done, 1 fell short, 2 wrong input, 130 interrupted."""
    try:
        log_from(os.environ.get("SLUICE_LOG", ""))
        status = _application(arguments)(args=arguments, prog_name="sluice", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else EXIT_DONE
    except typer.Exit as ended:
        return ended.exit_code
    except NoArgsIsHelpError as helped:
        print(helped.ctx.get_help() if helped.ctx else "", end="")
        return EXIT_WRONG_INPUT
    except ClickException as wrong:
        return _complain(f"{wrong.format_message().replace(': Value error, ', ': ', 1)}{_where_help_is(wrong)}")
    except LeakError as leak:
        _complain(str(leak))
        return EXIT_SHORT
    except SluiceError as error:
        return _complain(str(error))
    except (KeyboardInterrupt, typer.Abort):
        print("sluice: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except SystemExit:  # how Click answers a reader that left; no command of ours leaves this way
        return EXIT_DONE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; nothing to say, nowhere to say it
        return EXIT_DONE
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more when it flushes at its end
        return _complain(f"cannot write{f' {error.filename}' if error.filename else ' the output'}: {error.strerror or error}")


def _complain(message: str) -> int:
    print("sluice: " + " ".join(message.split()), file=sys.stderr)
    return EXIT_WRONG_INPUT


def _where_help_is(wrong: ClickException) -> str:
    context = getattr(wrong, "ctx", None)
    return f" (see: {context.command_path} --help)" if context else ""


def _application(arguments: list[str]) -> Callable[..., Any]:
    """The Typer application with the named command loaded and the others as names with one line of help."""
    application = typer.Typer(
        name="sluice",
        cls=_Commands,
        help="Synthetic fine-tuning data through gates: from topics, seeds or documents to a set that a trainer takes as it is.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    application.callback()(_root)
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, (module, summary) in COMMANDS.items():
        function = importlib.import_module(f"gen.commands.{module}").command if name == named else _not_loaded
        if isinstance(function, typer.Typer):  # a command with commands of its own
            application.add_typer(function, name=name, short_help=summary)
        else:
            application.command(name, help=None if name == named else summary, short_help=summary)(function)
    return typer.main.get_command(application)


class _Commands(TyperGroup):
    """Ctrl-C ends a command with a word, where Typer would end it without one."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stopped:
            raise typer.Abort from stopped


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"sluice {__version__}")
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", is_eager=True, callback=_tell_version, help="Print the version and end."),
) -> None:
    """What stands before a command."""


def _not_loaded() -> None:
    raise AssertionError("a command that was not named was called")
