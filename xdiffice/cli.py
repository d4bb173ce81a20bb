"""The ``xdiffice`` command: what may be typed, and how it ends.

It hands parsed arguments on to `xdiffice.commands` and turns what happens there into an exit
status, see `STATUSES`; for bad input one line says what is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from .errors import InvalidDatasetError, XdifficeError

RUN_FAILED = 1
BAD_INPUT = 2
INTERRUPTED = 130  # what a shell reports for a process that SIGINT ended
READER_GONE = 141  # and SIGPIPE
STATUSES = """exit status:
  0    done
  1    a run of a campaign failed
  2    bad input: one line says what is wrong
  130  interrupted, also by SIGTERM; what was reached is written
  141  who read the output has gone"""
DEMO_SECONDS = 120.0
SHELLS = ("bash", "zsh", "tcsh")


_OPTIONS = (
    (r"\b(thickness|mask|front)=<Dataset>", r"--\1 FILE"),
    (r"\bvariables=\{'(\w+)': '(<?\w+>?)'\}", r"--variable \1=\2"),
    (r"\bunits=\{'([^']+)': '([^']+)'\}", r"--units \1='\2'"),
    (r"\bn_members=", "--members="),
)
EXAMPLES = {
    "demo": ["xdiffice demo", "xdiffice demo --max-seconds 30 --output-dir results"],
    "assemble": [
        "xdiffice assemble velocity.nc --thickness BedMachine.nc --name 'Larsen C' -o shelf.nc",
        "xdiffice assemble v.nc --thickness h.nc --mask surface_type -o shelf.nc",
        "xdiffice assemble vx.tif vy.tif --thickness h.nc --seed-point -2.2e6 1.1e6 -o shelf.nc",
    ],
    "invert": [
        "xdiffice invert shelf.nc -o viscosity.nc --max-seconds 600 --plot viscosity.png",
        "xdiffice invert v.nc --thickness h.nc --units 'vx=m yr-1' --units 'vy=m yr-1' -o mu.nc",
        "xdiffice invert shelf.nc -o viscosity.nc --config run.toml --checkpoint run.nc",
        "xdiffice invert shelf.nc -o viscosity.nc --rheology anisotropic --subdomains auto",
    ],
    "twin": [
        "xdiffice twin shelf.nc viscosity.nc -o twin.nc",
        "xdiffice twin shelf.nc --hardness 1.5e8 --seed 1 -o twin.nc",
    ],
    "info": ["xdiffice info shelf.nc", "xdiffice info shelf.nc --front front.nc --json"],
    "report": [
        "xdiffice report viscosity.nc -o report.html --data shelf.nc",
        "xdiffice report model.nc -o report.html",
    ],
    "campaign": [
        "xdiffice campaign shelves.toml",
        "xdiffice campaign shelves.toml --scheduler tcp://node1:8786 --quiet",
    ],
}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, and to which -2.2e6 is a number, not an option."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(
            r"-(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$", re.IGNORECASE
        )

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    """Print what a report of a bug should tell."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: Any,
        values: Any,
        option_string: str | None = None,
    ) -> NoReturn:
        from .versions import show_versions

        show_versions()
        parser.exit()


class _Completion(argparse.Action):
    """Print a script that lets a shell complete commands, options and names of files."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: Any,
        values: Any,
        option_string: str | None = None,
    ) -> NoReturn:
        try:
            import shtab
        except ImportError:
            parser.error('completion needs shtab: pip install "xdiffice[completion]"')
        for action in _actions(parser):
            if str(action.metavar).endswith((".nc", ".toml", ".html", "FILE", "PNG")):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell=values))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All that can be typed, that of the subcommands with it."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                yield from _actions(one)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 success, 1 a run failed, 2 bad input, 130 interrupted.
    """
    try:
        arguments = _parser().parse_args(argv)
        from . import commands

        with _plain_warnings():
            status: int = getattr(commands, arguments.command)(arguments)
            sys.stdout.flush()
            return status
    except BrokenPipeError:
        # What is left in the buffer would be complained of when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except (XdifficeError, OSError) as error:
        return complain(as_options(one_line(error)), BAD_INPUT)
    except KeyboardInterrupt as interruption:
        return complain(str(interruption) or "interrupted", INTERRUPTED)


def complain(message: str, status: int) -> int:
    """Print one line to stderr and pass the exit status through."""
    print(f"xdiffice: {message}", file=sys.stderr)
    return status


def as_options(message: str) -> str:
    """Say with options of the command what a message says with arguments of Python.

    Examples
    --------
    >>> as_options("no thickness; pass thickness=<Dataset> or variables={'thickness': '<name>'}")
    'no thickness; pass --thickness FILE or --variable thickness=<name>'
    >>> as_options("'vx' has no units; or pass units={'vx': '...'}")
    "'vx' has no units; or pass --units vx='...'"
    """
    for pattern, option in _OPTIONS:
        message = re.sub(pattern, option, message)
    return message


def one_line(error: Exception) -> str:
    """Say what is wrong in one line, however many problems there are."""
    problems = error.problems if isinstance(error, InvalidDatasetError) else (error,)
    return "; ".join(" ".join(str(problem).split()) for problem in problems)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show warnings as a user reads them: without the source line that raised them."""
    import warnings

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if not str(message).startswith("the training was interrupted"):  # the last line says it
            print(f"xdiffice: warning: {' '.join(str(message).split())}", file=sys.stderr)

    with warnings.catch_warnings():  # restores showwarning, too
        warnings.showwarning = show
        yield


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="xdiffice",
        description="Infer the viscosity of an ice shelf from its velocity and thickness.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="of everything, for a report of a bug"
    )
    parser.add_argument(
        "--print-completion",
        action=_Completion,
        choices=SHELLS,
        help="print a script for the completion of a shell",
    )
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", dest="command", parser_class=_Parser
    )
    _add_demo(commands.add_parser("demo", help="invert a synthetic shelf whose viscosity is known"))
    _add_assemble(
        commands.add_parser("assemble", help="cut a shelf out of larger files, and find its front")
    )
    _add_invert(commands.add_parser("invert", help="infer the viscosity of a shelf in a file"))
    _add_twin(
        commands.add_parser("twin", help="make the data of a shelf anew, with a known viscosity")
    )
    _add_info(commands.add_parser("info", help="tell what a file has and what it lacks"))
    _add_report(commands.add_parser("report", help="make a page for a browser of a result"))
    _add_campaign(commands.add_parser("campaign", help="infer the viscosity of many shelves"))
    for name, one in commands.choices.items():
        one.formatter_class = argparse.RawDescriptionHelpFormatter
        one.description = textwrap.fill(one.description or "", 90)
        one.epilog = "\n  ".join(["examples:", *EXAMPLES[name]])
    parser.epilog = "\n  ".join(["examples:", *(lines[0] for lines in EXAMPLES.values())])
    parser.epilog += f"\n\n{STATUSES}"
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make a synthetic ice shelf, infer its viscosity, print the error against the truth and "
        "write viscosity.nc and viscosity.png."
    )
    parser.add_argument("--output-dir", type=Path, default=Path(), metavar="DIR")
    _add_training(parser, seconds=DEMO_SECONDS)


def _add_assemble(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Cut one ice shelf out of files of velocity, thickness and mask, find its calving front, "
        "and write what invert takes. Without a choice it is the largest shelf."
    )
    parser.add_argument("input", nargs="+", metavar="IN.nc", help="velocity; or one file for each")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="SHELF.nc")
    parser.add_argument(
        "--mask", metavar="NAME or FILE", help="which ice floats, if it is not found"
    )
    _add_data(parser)
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--name", help="of an Antarctic ice shelf, in EPSG:3031")
    place.add_argument("--seed-point", type=float, nargs=2, metavar=("X", "Y"), help="on it, m")
    place.add_argument(
        "--bbox", type=float, nargs=4, metavar=("X0", "Y0", "X1", "Y1"), help="around it, m"
    )
    for what in ("floating", "ocean"):
        parser.add_argument(
            f"--{what}-values",
            type=int,
            nargs="+",
            metavar="N",
            help="in a mask without flag_meanings",
        )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--quiet", action="store_true", help="do not print what was found")


def _add_invert(parser: argparse.ArgumentParser) -> None:
    parser.description = "Infer the viscosity of a shelf and write it as a CF netCDF file."
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.nc")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the result, too")
    parser.add_argument("--rheology", choices=["isotropic", "anisotropic", "glen"])
    parser.add_argument("--subdomains", type=_count_or_auto, metavar="N", help="count, or auto")
    parser.add_argument(
        "--members", type=int, metavar="N", help="of an ensemble, for viscosity_std"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.toml",
        help="parameters of SSAViscosityInverter by name; options of the command win",
    )
    _add_reading(parser)
    _add_training(parser, seconds=None)
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE.nc",
        help="keep the state of the training there, and go on with it if it is there",
    )


def _add_twin(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write the data that a shelf would have given if a viscosity were the true one, with "
        "gaps and noise, and the truth: invert it, and see how accurate a map of the shelf is."
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="TWIN.nc")
    _add_reading(parser)
    parser.add_argument(
        "result", nargs="?", metavar="RESULT.nc", help="of invert: its viscosity is the true one"
    )
    parser.add_argument(
        "--hardness", type=float, metavar="B", help="of Glen's law instead, Pa s^(1/n)"
    )
    parser.add_argument("--glen-exponent", type=float, metavar="N", help="(default: 3)")
    parser.add_argument("--damage-bands", type=int, metavar="N", help="of soft ice (default: 5)")
    parser.add_argument("--damage-width", type=float, metavar="M", help="of a band, m")
    parser.add_argument("--no-noise", action="store_true", help="rather than noise as data have")
    parser.add_argument("--mesh-size", type=float, metavar="M", help="of the finite elements, m")
    parser.add_argument("--seed", type=int, metavar="N", help="of all randomness (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument("--quiet", action="store_true", help="do not print what was done")


def _add_info(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Tell which variables, units, grids, gaps and fronts were found; exit status 2 if "
        "something is missing."
    )
    _add_reading(parser)
    parser.add_argument("--json", action="store_true", help="the same for programs")


def _add_report(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Make one self-contained page for a browser: maps, misfits, quality, configuration, "
        "provenance and how to cite."
    )
    parser.add_argument("result", metavar="RESULT.nc", help="of invert, or a saved inverter")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="REPORT.html")
    parser.add_argument(
        "--data", metavar="IN.nc", help="netCDF that the result is from, to compare"
    )
    _add_data(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _add_campaign(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Infer the viscosity of many shelves, each in its own group of a Zarr store. Called again, "
        "it does what is missing or failed; exit status 1 if a run failed."
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="shelves and parameters")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a cluster, tcp://host:8786")
    parser.add_argument("--overwrite", action="store_true", help="do again what is complete")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no table")


def _add_reading(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("input", metavar="IN.nc", help="netCDF with velocity")
    parser.add_argument("--mask", metavar="FILE", help="netCDF with a mask of floating ice")
    _add_data(parser)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--thickness", metavar="FILE", help="netCDF with thickness, if not in IN")
    parser.add_argument("--front", metavar="FILE", help="netCDF with the calving front")
    parser.add_argument(
        "--variable",
        type=_pair,
        action="append",
        default=[],
        metavar="ROLE=NAME",
        help="name of a variable that is not found, such as thickness=H; may be repeated",
    )
    parser.add_argument(
        "--units",
        type=_pair,
        action="append",
        default=[],
        metavar="NAME=UNIT",
        help="units of a variable that has none, such as 'vx=m yr-1'; may be repeated",
    )


def _add_training(parser: argparse.ArgumentParser, seconds: float | None) -> None:
    default = "" if seconds is None else " (default: %(default)g)"
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=seconds,
        metavar="S",
        help=f"seconds of training{default}",
    )
    parser.add_argument("--max-iterations", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N", help="of all randomness (default: 0)")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary")


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name.strip() and separator and value.strip()):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name.strip(), value.strip()


def _count_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a count or 'auto', got {text!r}") from None


if __name__ == "__main__":
    sys.exit(main())
