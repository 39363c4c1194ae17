"""How long each prompt is: about how many tokens, how many of them providers can keep, and what evidence was left out.

Run: python benchmarks/prompts.py [PROJECT]  (the last review of the project; default: a finished one of six endpoints)
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from perfcrew import settings
from perfcrew.core.evidence import Evidence, Findings
from perfcrew.crew import cards, prompts
from perfcrew.crew.dossier import tokens
from perfcrew.crew.shown import is_shown
from perfcrew.ledger import Ledger
from tests.crew.desk import shop


def main(root: Path | None) -> None:
    if root is not None:
        with Ledger.existing(root) as ledger:
            lengths(ledger.find(ledger.runs()[-1].id))
        return
    with tempfile.TemporaryDirectory() as folder, shop(Path(folder)) as ledger:
        lengths(ledger.find(ledger.runs()[-1].id))


def lengths(items: Sequence[Evidence]) -> None:
    found = [e.body for e in items if isinstance(e.body, Findings) and e.body.specialist != "reviewer"]
    seen = list({f.id: f for body in found for f in body.findings}.values())
    shown = [e for e in items if is_shown(e)]
    print(f"{'prompt':<12}{'stable':>9}{'whole':>9}  left out")
    for name in (*cards.policy("review").specialists, "reviewer"):
        card = cards.card(name)
        own = seen if name == "reviewer" else [f for f in seen if f.rule in card.rules]
        asked = prompts.question(card, settings.profile("web-api"), [], shown, own)
        _line(name, asked)
    _line("narrator", prompts.narration(seen, shown))
    if seen:
        _line("patches", prompts.patching(seen[0], {}, ""))


def _line(name: str, asked: prompts.Prompt) -> None:
    stable, whole = tokens(asked.system), tokens(asked.system) + tokens(asked.question)
    left = next((line for line in asked.question.splitlines() if "were left out for length" in line), "nothing")
    print(f"{name:<12}{stable:>9,}{whole:>9,}  {left.partition(', the least')[0]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
