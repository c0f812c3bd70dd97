"""`python -m mute`: what one wants to know of a study at a terminal. Every command is one function here."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def summary(chosen: argparse.Namespace) -> int:
    """Print what a finished study found, and where its time went. Writes nothing."""
    from mute.plotting.results import Results
    from mute.plotting.summary import terminal
    from mute.times import terminal as times_table

    tables = sorted((chosen.results / "tables").glob("*.csv"))
    if not tables:
        print(f"no tables in {chosen.results / 'tables'}: run the study first (make study)", file=sys.stderr)
        return 1
    print(terminal(Results.read(tables), chosen.results), end="")
    if spent := times_table(chosen.results):
        print(f"\n{spent}", end="")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mute", description="MUTE: a study of multilingual unlearning.")
    commands = parser.add_subparsers(required=True, metavar="command")
    added = commands.add_parser("summary", help="print what a finished study found", description=summary.__doc__)
    added.add_argument("results", type=Path, nargs="?", default=Path("results"), help="folder of the results [results]")
    added.set_defaults(run=summary)
    chosen = parser.parse_args(arguments)
    return chosen.run(chosen)


if __name__ == "__main__":
    sys.exit(main())
