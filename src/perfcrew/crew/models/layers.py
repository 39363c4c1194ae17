"""The layers around each call of a model, the outermost first: fallback, prompt caching, then one that does the rest.

Only one layer asks again. Where several do, their tries multiply: the SDK's three, times a middleware's three, times a
graph's three were 27 requests for one call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from langchain.agents.middleware import AgentMiddleware, ExtendedModelResponse, ModelRequest, ModelResponse
from langchain.agents.structured_output import StructuredOutputError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from tenacity import AsyncRetrying, RetryCallState

from perfcrew.core.language import Tier
from perfcrew.crew.models import answer, faults, providers, spans
from perfcrew.crew.models.breaking import Circuit
from perfcrew.crew.models.errors import AnswerUnusable, CallFailed, ModelFailed
from perfcrew.crew.models.meter import Meter
from perfcrew.crew.models.patience import Patience
from perfcrew.crew.models.settings import Choice, ModelSettings

if TYPE_CHECKING:
    Layer: TypeAlias = AgentMiddleware[Any, Any, Any]

Response: TypeAlias = "ModelResponse[Any] | AIMessage | ExtendedModelResponse[Any]"
Handler: TypeAlias = Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]


def layers(settings: ModelSettings, tier: Tier, meter: Meter, circuit: Circuit) -> list[Layer]:
    """As `perfcrew.crew.models.middleware`."""
    chain = settings.chains[tier]
    return [
        *([Fallback(settings, chain[1:])] if chain[1:] else []),
        *([_prompt_caching()] if any(c.provider == "anthropic" for c in chain) else []),
        Calls(settings, chain, meter, circuit),
    ]


def _prompt_caching() -> Layer:
    from langchain_anthropic.middleware import AnthropicPromptCachingMiddleware

    return AnthropicPromptCachingMiddleware(ttl="5m", unsupported_model_behavior="ignore")


class Fallback(AgentMiddleware[Any, Any, Any]):
    """The chain's next model where one has failed for good.

    LangChain's own takes every exception for a model's failure, our limits and our bugs too, and has all models made
    beforehand, which imports every provider; this one passes on what is no failure of the call, and imports late.
    """

    def __init__(self, settings: ModelSettings, others: tuple[Choice, ...]) -> None:
        super().__init__()
        self.tools = []
        self._settings, self._others = settings, others
        self._built: dict[str, BaseChatModel] = {}

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> Response:
        """Ask the request's own model, then the others in their order; the error at the end tells of all."""
        failed: list[CallFailed | AnswerUnusable] = []
        try:
            return await handler(request)
        except (CallFailed, AnswerUnusable) as error:
            failed.append(error)
        for choice in self._others:
            try:
                return await handler(request.override(model=self._model(choice)))
            except (CallFailed, AnswerUnusable) as error:
                failed.append(error)
        raise _all_failed(failed)

    def _model(self, choice: Choice) -> BaseChatModel:
        if choice.name not in self._built:
            self._built[choice.name] = providers.build(choice, self._settings)
        return self._built[choice.name]


def _all_failed(failed: list[CallFailed | AnswerUnusable]) -> ModelFailed:
    tries = sum(e.tries for e in failed if isinstance(e, CallFailed))
    return CallFailed(failed[-1].kind, "; ".join(e.what for e in failed), tries=tries)


class Calls(AgentMiddleware[Any, Any, Any]):
    """One call: within the limits, tried again where that can help, checked, metered, traced."""

    def __init__(self, settings: ModelSettings, chain: tuple[Choice, ...], meter: Meter, circuit: Circuit) -> None:
        super().__init__()
        self.tools = []
        self._calling = settings.calling
        self._choices = {choice.name: choice for choice in chain}
        self._meter, self._circuit = meter, circuit

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> Response:
        """Raises ModelFailed, and nothing else that a model can be the cause of."""
        answer.refuse_circles(request.messages)
        asked = _asked(request)
        expected = answer.estimated(asked)
        self._meter.admit(expected)
        try:
            return await self._until_answered(request, handler, providers.of(request.model, self._choices))
        finally:
            self._meter.over(expected)

    async def _until_answered(self, request: ModelRequest[Any], handler: Handler, choice: Choice) -> Response:
        patience = Patience(self._calling, self._circuit, choice, self._meter)
        attempt = _Attempt(self, request, handler, choice, patience)
        retrying = AsyncRetrying(
            sleep=patience.sleep, stop=patience.stop, wait=patience.wait, retry=attempt.worth_another, reraise=True
        )
        try:
            return await retrying(attempt)
        except ModelFailed:
            raise
        except Exception as error:
            fault = faults.of(error, choice.secret)
            if fault.kind == "unknown":
                raise
            raise patience.failure(fault, attempt.number) from error


class _Attempt:
    """One request of a call, and what is learnt from it for the next."""

    def __init__(
        self, calls: Calls, request: ModelRequest[Any], handler: Handler, choice: Choice, patience: Patience
    ) -> None:
        self._calls, self._handler, self._choice, self._patience = calls, handler, choice, patience
        self._request = request
        self._mended = False
        self.number = 0

    async def __call__(self) -> ModelResponse[Any]:
        calls, choice = self._calls, self._choice
        await self._patience.turn()
        calls._circuit.admit(choice)
        self.number += 1
        calls._meter.sent()
        try:
            with spans.chat(choice, calls._meter.who, self.number, calls._calling.max_output_tokens) as span:
                async with asyncio.timeout(self._patience.request_s()):
                    response = await self._handler(self._request)
                message = _message(response)
                tokens = answer.tokens(message, _asked(self._request))
                calls._meter.took(tokens, choice.price, choice.name)
                spans.answered(span, message, tokens)
                calls._circuit.went_well(choice)
                answer.checked(message)
                return response
        except AnswerUnusable:
            calls._circuit.given_up(choice)
            raise
        except StructuredOutputError as error:
            calls._circuit.went_well(choice)
            raise self._misshapen(error) from error
        except Exception as error:
            if self._patience.over():
                calls._circuit.given_up(choice)
            else:
                calls._circuit.went_wrong(choice, faults.of(error, choice.secret))
            raise
        except BaseException:
            calls._circuit.given_up(choice)
            raise

    def _misshapen(self, error: StructuredOutputError) -> AnswerUnusable:
        """The provider was to hold the answer to a schema and did not: paid for all the same."""
        message = getattr(error, "ai_message", None)
        if isinstance(message, AIMessage):
            cost = answer.tokens(message, _asked(self._request))
            self._calls._meter.took(cost, self._choice.price, self._choice.name)
            answer.checked(message)  # cut, refused or empty says more than that it has the wrong form
        return AnswerUnusable("wrong form", " ".join(str(error).split())[:300])

    def worth_another(self, state: RetryCallState) -> bool:
        """Whether it failed in a way that another request can mend; an unusable answer is asked for once more."""
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, Exception):
            return False  # answered, or cancelled, which tenacity shows us too
        if not isinstance(error, AnswerUnusable):
            return not isinstance(error, ModelFailed) and faults.of(error).again
        if self._mended or error.kind not in answer.MEND:
            return False
        self._mended = True
        why = f" What is wrong: {error.what}" if error.kind == "wrong form" else ""
        told = HumanMessage(answer.MEND[error.kind] + why)
        self._request = self._request.override(messages=[*self._request.messages, told])
        return True


def _asked(request: ModelRequest[Any]) -> list[BaseMessage]:
    return [*([request.system_message] if request.system_message else []), *request.messages]


def _message(response: ModelResponse[Any]) -> AIMessage:
    found = next((m for m in response.result if isinstance(m, AIMessage)), None)
    if found is None:
        raise AnswerUnusable("empty", "there is no answer in what came back")
    return found
