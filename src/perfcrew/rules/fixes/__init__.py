"""Changes written by rule: one module beside each rule that has one, `propose` finds it.

A fixer reads the source as a syntax tree and gives whole files' new text, their formatting and comments kept; where
it isn't sure it declines, with a reason that a developer can act on.

Refuses: to import or run anything of the target, to write a file, to hand out text that does not parse or does not
differ, and to guess.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from perfcrew.core.findings import Finding
from perfcrew.core.patches import Declined, Fix
from perfcrew.core.scene import ApplicationScene
from perfcrew.rules.fixes.case import Case


def propose(root: Path, finding: Finding, app: ApplicationScene) -> list[Fix | Declined]:
    """Changes that could be tried for the finding in the tree at `root`, the best first, and why others are not."""
    scene = next((s for s in app.scenes if s.endpoint.key == finding.endpoint), None)
    name = f"{__name__}.{finding.rule.lower()}"
    if importlib.util.find_spec(name) is None:
        first = finding.hypotheses[0].id if finding.hypotheses else finding.rule
        reason = f"{finding.rule} has no change that could be written by rule: follow its recipe"
        return [Declined(finding=finding.id, hypothesis=first, reason=reason)]
    answers: list[Fix | Declined] = importlib.import_module(name).fix(Case(root, finding, scene, app))
    return sorted(answers, key=lambda a: -a.rank if isinstance(a, Fix) else 0.0)
