"""`perfcrew` and `python -m perfcrew`."""

import sys


def main() -> int:
    """Run the command line; its exit code is the process's."""
    from perfcrew.surfaces.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
