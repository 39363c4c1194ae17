"""Everything that goes wrong with a model, by name: scripts for ScriptedModel.

Each is the fault, then, where another request may succeed, an answer: whoever tries again rightly gets `ok`. A fault
whose name ends in "always" is all that ever comes.
"""

from __future__ import annotations

from perfcrew.testing.steps import (
    Step,
    Use,
    cut,
    empty,
    fail,
    hang,
    malformed,
    misshapen,
    overlong,
    refuse,
    reset,
    say,
    truncated,
    use,
)

OK = "ok"
FAULTS: dict[str, tuple[Step, ...]] = {
    "none": (say(OK),),
    "parallel tool calls": (use(("query", {"sql": "a"}), ("query", {"sql": "b"})), say(OK)),
    "429, retry-after in seconds": (fail(429, retry_after=2), say(OK)),
    "429, retry-after as a date": (fail(429, retry_after_date="Fri, 01 Jan 2021 00:00:00 GMT"), say(OK)),
    "429, retry-after-ms": (fail(429, retry_after_ms=700), say(OK)),
    "429, RetryInfo.retryDelay": (fail(429, retry_delay="3.5s"), say(OK)),
    "429, no time named": (fail(429), say(OK)),
    "429, an hour": (fail(429, retry_after=3600, times=None),),
    "429 always": (fail(429, retry_after=1, times=None),),
    "429, no credit": (fail(429, error="insufficient_quota", times=None),),
    "500": (fail(500), say(OK)),
    "500 always": (fail(500, times=None),),
    "503": (fail(503), say(OK)),
    "529": (fail(529), say(OK)),
    "529 always": (fail(529, times=None),),
    "529 in mid-stream": (fail(529, midway=True), say(OK)),
    "400": (fail(400, times=None),),
    "401": (fail(401, times=None),),
    "403": (fail(403, times=None),),
    "404": (fail(404, times=None),),
    "reset": (reset(), say(OK)),
    "reset always": (reset(times=None),),
    "cut in the answer": (cut(), say(OK)),
    "ended too early": (cut(midway=True), say(OK)),
    "malformed": (malformed(), say(OK)),
    "malformed always": (malformed(times=None),),
    "JSON of another form": (misshapen(), say(OK)),
    "truncated JSON": (truncated(), say(OK)),
    "empty": (empty(), say(OK)),
    "empty always": (empty(times=None),),
    "refusal": (refuse(times=None),),
    "overlong": (overlong(), say(OK)),
    "overlong always": (overlong(times=None),),
    "hangs": (hang(30.0), say(OK)),
    "arguments that are no JSON": (use(Use(name="query", raw='{"sql": "sel')), say(OK)),
    "a tool that is not there": (use(("no_such_tool", {})), say(OK)),
    "a loop on a tool": (use(("query", {"sql": "a"}), times=None),),
}
