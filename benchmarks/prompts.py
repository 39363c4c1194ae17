"""How long each prompt is: about how many tokens, how many of them providers can keep, and what evidence was left out.

Run: python benchmarks/prompts.py [PROJECT]     (the last review of the project; default: the bundled application's)
"""

import sys
from pathlib import Path

from perfcrew import settings
from perfcrew.core.evidence import Findings
from perfcrew.crew import cards, prompts
from perfcrew.crew.dossier import tokens
from perfcrew.crew.shown import is_shown
from perfcrew.ledger import Ledger

BOOKSHOP = Path(__file__).resolve().parents[1] / "examples" / "bookshop"


def main(root: Path) -> None:
    with Ledger.existing(root) as ledger:
        run = ledger.runs()[-1].id
        items = ledger.find(run)
    found = [e.body for e in items if isinstance(e.body, Findings) and e.body.specialist == "rule book"]
    seen = list(found[-1].findings) if found else []
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
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else BOOKSHOP)
