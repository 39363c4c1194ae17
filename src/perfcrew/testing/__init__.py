"""A deterministic stand-in for language models, for the tests of those who build on perfcrew, and for the demo.

`ScriptedModel` is a server on loopback that speaks the real protocols of Anthropic, Gemini and OpenAI, whole and
streamed, and does what a script says: answers, calls of tools, structured answers, and everything that goes wrong.
It refuses to be a model: nothing in it depends on what a question means.
"""

from perfcrew.testing.asked import Asked
from perfcrew.testing.faults import FAULTS
from perfcrew.testing.server import ScriptedModel
from perfcrew.testing.steps import (
    Step,
    Use,
    answer,
    cut,
    empty,
    fail,
    hang,
    malformed,
    misshapen,
    overlong,
    read,
    refuse,
    reset,
    say,
    script,
    truncated,
    use,
)

__all__ = [
    "FAULTS",
    "Asked",
    "ScriptedModel",
    "Step",
    "Use",
    "answer",
    "cut",
    "empty",
    "fail",
    "hang",
    "malformed",
    "misshapen",
    "overlong",
    "read",
    "refuse",
    "reset",
    "say",
    "script",
    "truncated",
    "use",
]
