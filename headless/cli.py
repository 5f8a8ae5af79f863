"""The command line: `colorizationnet`, or `python -m colorizationnet`."""

from __future__ import annotations

import argparse
import io
import logging
import os
import sys
import tempfile
import warnings
from contextlib import suppress

from ..files import discard_open_parts, remove_stale_temp
from ..version import pack_version
from . import colorize, convert, keyframes, run, signals, teach
from .claims import give_up_claims
from .terminal import LogHandler, above_bars, harmless, name_for_output

SEGMENTS_LOG = f"{__package__.rpartition('.')[0]}.pipeline.segments"
COMMANDS = [colorize, teach, keyframes, run, convert]
TO_CORRECT = (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError)


def main(argv: list[str] | None = None) -> int:
    """Run one command, print the files that it wrote, and return the exit code.

    0 is done, 1 a failure while working, 2 something to correct in what was asked; 130 Ctrl-C, and
    143 or 129 when a SIGTERM or SIGHUP ended it.
    """
    parser = argparse.ArgumentParser(
        prog="colorizationnet", description="Colour for black-and-white photos and film."
    )
    parser.add_argument(
        "--version", action="version", version=f"%(prog)s {pack_version()}", help="show the version"
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    args = parser.parse_args(argv)
    _log_to_standard_error()
    try:
        with signals.raised(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\b")  # what matters becomes a sentence
            return _run(args)
    except KeyboardInterrupt as error:
        print("Stopped.", file=sys.stderr)
        return getattr(error, "exit_code", 130)
    except Exception as error:
        if args.traceback:
            raise
        if isinstance(error, BrokenPipeError):
            _print_to_nobody()
        print(harmless(_sentence(error)), file=sys.stderr)
        return 2 if isinstance(error, TO_CORRECT) else 1
    finally:
        discard_open_parts()
        give_up_claims()


def _print_to_nobody() -> None:
    """Let Python find no broken pipe when it ends, and end with another code for it."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _run(args: argparse.Namespace) -> int:
    remove_stale_temp(tempfile.gettempdir())
    written = 0
    for path in args.main(args):
        with above_bars(sys.stdout):
            print(name_for_output(path), flush=True)
        written += 1
    if not written and args.main is run.main:
        advice = "Save Image and nodes like it save one."
        print(f"No picture or film was saved; {advice}", file=sys.stderr)
    return 0


def _log_to_standard_error() -> None:
    logging.basicConfig(format="%(message)s", handlers=[LogHandler()])
    for name in (__package__, SEGMENTS_LOG):
        logging.getLogger(name).setLevel(logging.INFO)
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(errors="surrogateescape")  # names that are no UTF-8, as they are


def _sentence(error: Exception) -> str:
    if isinstance(error, BrokenPipeError):
        return "Nobody reads what is printed any more."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'The system'}: {error.strerror}."
    if isinstance(error, (ValueError, OSError, RuntimeError)):
        return str(error)
    if isinstance(error, MemoryError):
        return "There is not enough memory for this."
    return f"Unexpected {type(error).__name__}: {error}; colorizationnet --traceback shows where."
