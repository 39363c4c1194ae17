"""`perfcrew rules`: what is recognised, in the words of each rule's own documentation."""

from __future__ import annotations

import argparse

from perfcrew.rules import catalog


def command(options: argparse.Namespace) -> int:
    """List the rules, or print one whole."""
    if options.rule is None:
        for entry in catalog.entries():
            print(f"{entry.id}  {entry.title}")
        print(f"\n{', '.join(catalog.PROPOSED)}: what a language model brought up, and no rule recognises.")
        print("`perfcrew rules ID` explains one.")
        return 0
    print(catalog.explain(options.rule))
    return 0
