"""The command line. Everything heavy is imported inside the command that needs it: `--help` must answer at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from perfcrew import __version__
from perfcrew.core.errors import PerfcrewError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXITS = """exit codes:
  0  the gate passed, and nothing was found at or over the chosen level
  1  findings
  2  usage or configuration
  3  could not measure
"""


def run(arguments: Sequence[str]) -> int:
    """Parse and carry out; returns the exit code."""
    options = parser(arguments[0] if arguments else "").parse_args(arguments)
    if not hasattr(options, "command"):
        parser().print_help()
        return 2
    try:
        return int(options.command(options))
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt as interrupt:
        print("perfcrew: interrupted; what it had started is ended", file=sys.stderr)
        for note in getattr(interrupt, "__notes__", ()):
            print(f"  to do: {note}", file=sys.stderr)
        return 128 + int(interrupt.args[0] if interrupt.args else 2)  # as a shell says which signal it was
    except PerfcrewError as error:
        print(f"perfcrew: {error}", file=sys.stderr)
        return error.exit_code


def parser(first: str = "") -> argparse.ArgumentParser:
    """All commands with their options; where the first word is a command, that one alone, which is quicker."""
    top = argparse.ArgumentParser(
        prog="perfcrew",
        description="Reviews the performance of a real web application: measured, traced, gated.",
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"perfcrew {__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND")
    builders = {
        "review": _review,
        "resume": _resume,
        "optimize": _optimize,
        "compare": _compare,
        "vectors": _vectors,
        "init": _init,
        "rules": _rules,
        "evidence": _evidence,
        "gate": _gate,
        "clean": _clean,
        "doctor": _doctor,
    }
    for name, build in builders.items():
        if first in (name, "") or first not in builders:
            build(commands)
    return top


def _command(commands: Commands, name: str, module: str, summary: str, path: bool = True) -> argparse.ArgumentParser:
    sub = commands.add_parser(name, help=summary, description=summary)
    sub.set_defaults(command=lambda options: _late(module)(options))
    if path:
        sub.add_argument("path", nargs="?", default=".", help="the project's folder (default: this one)")
    return sub


def _late(module: str) -> Callable[[argparse.Namespace], int]:
    from importlib import import_module

    command: Callable[[argparse.Namespace], int] = import_module(f"perfcrew.surfaces.{module}").command
    return command


def _review(commands: Commands) -> None:
    sub = _command(commands, "review", "review", "start the application, measure it, and report what costs and where")
    sub.add_argument("--fix", action="store_true", help="then try the fixes, and keep what is proven: as `optimize`")
    _reviewing(sub)


def _optimize(commands: Commands) -> None:
    sub = commands.add_parser("optimize", help="review, try each fix alone, and keep on a branch what is proven")
    sub.set_defaults(command=lambda options: _late("review")(options), fix=True)
    sub.add_argument("findings", nargs="*", metavar="FINDING", help="ids of findings, such as DB101-1a2b3c4d")
    sub.add_argument("--path", default=".", help="the project's folder (default: this one)")
    _reviewing(sub)


def _reviewing(sub: argparse.ArgumentParser) -> None:
    scope = sub.add_argument_group("what is reviewed (default: what changed since the default branch, else everything)")
    scope.add_argument("--all", action="store_true", help="every endpoint")
    scope.add_argument("--base", metavar="REV", help="what changed since this revision")
    scope.add_argument("--endpoint", action="append", metavar="'GET /x'", help="this endpoint alone; may be repeated")
    target = sub.add_argument_group("the application, where detection is wrong or ambiguous")
    target.add_argument("--app", metavar="MODULE:OBJECT", help="which application, where there are several")
    target.add_argument("--python", metavar="PATH", help="the interpreter that has the application's packages")
    judging = sub.add_argument_group("judging")
    judging.add_argument("--profile", metavar="NAME", help="the profile of targets (default: web-api)")
    judging.add_argument("--level", choices=("info", "low", "medium", "high"), help="lowest level that exits with 1")
    judging.add_argument("--budget", type=float, metavar="SECONDS", help="at most this long measuring")
    _offline(judging)
    asking = sub.add_argument_group("language models")
    asking.add_argument(
        "--show-prompts", action="store_true", help="print what a model would be sent, secrets blanked; send nothing"
    )
    trying = sub.add_argument_group("trying fixes (optimize, --fix)")
    trying.add_argument("--apply", action="store_true", help="put what was kept into the working tree too")
    trying.add_argument("--carry", action="store_true", help="uncommitted work is part of what fixes are tried on")
    _showing(sub)


def _showing(sub: argparse.ArgumentParser) -> None:
    showing = sub.add_argument_group("showing")
    showing.add_argument("--out", metavar="FOLDER", help="where the report goes (default: .perfcrew/reports/RUN)")
    showing.add_argument("--quiet", action="store_true", help="only the report's path")
    showing.add_argument("--json", action="store_true", help="progress and result as JSON lines")


def _resume(commands: Commands) -> None:
    sub = commands.add_parser("resume", help="go on with a review that was interrupted")
    sub.add_argument("run", help="the run's id, as the review printed it")
    sub.add_argument("path", nargs="?", default=".", help="the project's folder (default: this one)")
    sub.set_defaults(command=lambda options: _late("review")(options))
    _offline(sub)
    _showing(sub)


def _compare(commands: Commands) -> None:
    sub = commands.add_parser("compare", help="decide which of two sides is faster, by measuring both in turn")
    sub.set_defaults(command=lambda options: _late("compare")(options))
    sub.add_argument("revisions", nargs="*", metavar="REV", help="two revisions of the repository, A then B")
    sides = sub.add_argument_group("the two sides, A first")
    sides.add_argument(
        "--command", dest="command_line", action="append", metavar="'CMD'", help="a command; given twice"
    )
    sides.add_argument("--callable", action="append", metavar="MODULE:FUNCTION", help="a Python callable; given twice")
    sides.add_argument("--url", action="append", metavar="URL", help="a page of a running server; given twice")
    sides.add_argument("--set", action="append", metavar="[A:|B:]NAME=VALUE", help="a variable of one side, or of both")
    sides.add_argument("--scenario", action="append", metavar="'GET /x'", help="an endpoint or scenario of the target")
    sides.add_argument("--path", default=".", help="the project's folder (default: this one)")
    sides.add_argument("--app", metavar="MODULE:OBJECT", help="which application, where there are several")
    sides.add_argument("--python", metavar="PATH", help="the interpreter of the callables, or of the application")
    judging = sub.add_argument_group("judging")
    judging.add_argument(
        "--metrics",
        choices=("process", "stdout"),
        default="process",
        help="stdout: the command's last line has its figures as JSON: wall, cpu (seconds), check",
    )
    judging.add_argument("--margin", type=float, default=0.02, help="differences within it do not matter (0.02)")
    judging.add_argument(
        "--error", type=float, default=0.005, help="how often equal sides may be called changed (0.005)"
    )
    judging.add_argument("--budget", type=float, default=60.0, metavar="SECONDS", help="at most this long (60)")
    judging.add_argument(
        "--timeout", type=float, default=600.0, metavar="SECONDS", help="of one run of a command (600)"
    )
    judging.add_argument("--seed", type=int, default=0, help="of the lot that draws the order (0)")
    judging.add_argument("--duet", action="store_true", help="both at once on a core each, where two are idle")
    judging.add_argument(
        "--answers-may-differ",
        action="store_true",
        help="judge sides that answer otherwise on purpose too; it is said beside the verdict",
    )
    showing = sub.add_argument_group("showing")
    showing.add_argument("--json", action="store_true", help="the result as one JSON object; its verdict is `verdict`")
    showing.add_argument("--plot", metavar="FILE.svg", help="write a forest plot")
    showing.add_argument("--quiet", action="store_true", help="no progress")


def _vectors(commands: Commands) -> None:
    sub = commands.add_parser("vectors", help="sweep a vector search: recall against time, by pgvector or FAISS")
    sub.set_defaults(command=lambda options: _late("vectors")(options))
    sub.add_argument("what", metavar="TABLE.COLUMN | FILE", help="a column of pgvector's; a FAISS index, or .npy")
    sub.add_argument("path", nargs="?", default=".", help="the project's folder (default: this one)")
    sub.add_argument("--database", metavar="URL", help="the database that is copied (default: the project's)")
    sub.add_argument("--operator", default="<=>", choices=("<->", "<=>", "<#>", "<+>"), help="distance (<=>, cosine)")
    sub.add_argument("--where", metavar="SQL", help="a condition of the search, such as 'shop_id = 3'")
    sub.add_argument("--limit", type=int, default=10, help="neighbours that are asked for (10)")
    sub.add_argument("--recall", type=float, default=0.95, help="of the exact answer's rows, that is asked for (0.95)")
    sub.add_argument("--queries", type=int, default=40, help="query vectors (40)")
    sub.add_argument("--budget", type=float, default=120.0, metavar="SECONDS", help="at most about this long (120)")
    sub.add_argument("--python", metavar="PATH", help="the interpreter that has faiss (default: this one)")
    sub.add_argument("--plot", metavar="FILE.svg", help="write the frontier as a plot")
    sub.add_argument("--json", action="store_true", help="the result as one JSON object")


def _init(commands: Commands) -> None:
    sub = _command(commands, "init", "init", "write perfcrew.toml: what was detected, and why")
    sub.add_argument("--app", metavar="MODULE:OBJECT", help="which application, where there are several")
    sub.add_argument("--python", metavar="PATH", help="the interpreter that has the application's packages")
    sub.add_argument("--print", action="store_true", help="print it, write nothing")
    sub.add_argument("--force", action="store_true", help="replace the file that is there")


def _rules(commands: Commands) -> None:
    sub = _command(commands, "rules", "rules", "list the rules, or explain one", path=False)
    sub.add_argument("rule", nargs="?", metavar="ID", help="such as DB101")


def _evidence(commands: Commands) -> None:
    sub = commands.add_parser("evidence", help="print an item of the ledger, or list what a run holds")
    sub.add_argument("id", nargs="?", metavar="ID", help="of the item, or of a run; without it, the runs")
    sub.add_argument("path", nargs="?", default=".", help="the project's folder (default: this one)")
    sub.add_argument("--blob", metavar="NAME", help="write this blob of the item to standard output")
    sub.set_defaults(command=lambda options: _late("evidence")(options))


def _gate(commands: Commands) -> None:
    sub = commands.add_parser("gate", help="check a report against its ledger again")
    sub.add_argument("report", metavar="report.json")
    sub.add_argument("path", nargs="?", help="the project's folder (default: found above the report)")
    sub.set_defaults(command=lambda options: _late("gate")(options))


def _clean(commands: Commands) -> None:
    _command(commands, "clean", "clean", "end processes and remove clones that an interrupted review left")


def _doctor(commands: Commands) -> None:
    sub = _command(commands, "doctor", "doctor", "say which programs the instruments find, and what is detected here")
    sub.add_argument("--models", action="store_true", help="instead: one real call to each configured language model")
    _offline(sub)


def _offline(sub: argparse._ActionsContainer) -> None:
    sub.add_argument("--offline", action="store_true", help="nothing goes outside of this machine: no model elsewhere")
