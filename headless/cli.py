"""The command line: `colorizationnet`, or `python -m colorizationnet`."""

from __future__ import annotations

import argparse
import logging
import sys

from . import colorize, convert, keyframes, run, teach

COMMANDS = [colorize, teach, keyframes, run, convert]
TO_CORRECT = (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError)


def main(argv: list[str] | None = None) -> int:
    """Run one command, print the files that it wrote, and return the exit code.

    0 is done, 1 a failure while working, 2 something to correct in what was asked, 130 Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="colorizationnet", description="Colour for black-and-white photos and film."
    )
    parser.add_argument("--traceback", action="store_true", help="show where an error comes from")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_parser(commands)
    args = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    try:
        written = 0
        for path in args.main(args):
            print(path, flush=True)
            written += 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except Exception as error:
        if args.traceback:
            raise
        print(_sentence(error), file=sys.stderr)
        return 2 if isinstance(error, TO_CORRECT) else 1
    if not written:
        print("No picture or film was saved; no node of the workflow saves one.", file=sys.stderr)
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'The system'}: {error.strerror}."
    if isinstance(error, (ValueError, OSError, RuntimeError)):
        return str(error)
    return f"Unexpected {type(error).__name__}: {error}; colorizationnet --traceback shows where."
