"""References and tone by any chat model, zero-shot, as in WorldView-Bench (arXiv 2505.09595).

The model must quote its evidence; what it cannot quote from the sentence that it names is not believed.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar, cast, get_args

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from multiplex.content import marked_prompt
from multiplex.errors import CallError, UsageError, first_invalid
from multiplex.evaluation.extraction.facets import OF_PERSPECTIVE
from multiplex.evaluation.extraction.frame import CUES, KNOWN, Cue
from multiplex.evaluation.extraction.references import JUDGED, Reference
from multiplex.llm.model import Model, as_chat
from multiplex.llm.types import Call
from multiplex.llm.usage import Usage, set_spent, spent_on, total
from multiplex.text.marks import as_data
from multiplex.text.quotations import locate
from multiplex.text.sentences import Sentence
from multiplex.text.tokens import count_words, normal, tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Reason = Literal[
    "unknown sentence", "unknown perspective", "unknown cue", "quotation not in its sentence", "unreadable reply"
]
REASONS: tuple[Reason, ...] = get_args(Reason)

CHUNK_WORDS, CHUNK_TONES = 1_500, 50  # of a call: words of the text; sentences to give a tone
LOCAL_WORDS, LOCAL_TONES, LOCAL_TOKENS = 150, 12, 800  # what the embedded server's slots hold; tokens of a reply
AGAIN = 0.3  # temperature of a repeated call: at 0 it would mostly repeat its fault
_BETTER = "name a model that keeps to a JSON form"

Result = TypeVar("Result")
Form = TypeVar("Form", bound=BaseModel)


class _Strict(BaseModel):
    """Further keys are passed over when read, and forbidden by the schema that the endpoint is given."""

    model_config = ConfigDict(frozen=True, json_schema_extra={"additionalProperties": False})


class _Finding(_Strict):
    sentence: int
    quotation: str
    perspective: Annotated[str, Field(json_schema_extra={"enum": list(KNOWN)})]
    cue: Annotated[str, Field(json_schema_extra={"enum": list(CUES)})]


class _Findings(_Strict):
    references: list[_Finding]


class _Tone(_Strict):
    sentence: int
    positive: FiniteFloat
    neutral: FiniteFloat
    negative: FiniteFloat


class _Tones(_Strict):
    tones: list[_Tone]


@dataclass(frozen=True)
class _Answer(Generic[Form]):
    content: Form
    usage: Usage
    unreadable: int  # replies before this one


@dataclass(frozen=True)
class JudgeReport:
    """What a judge found in one text, what that cost, and how many of its findings were not believed, by reason.

    An `unreadable reply` is one that was asked for again, with success.
    """

    references: tuple[Reference, ...] = ()
    usage: Usage = field(default_factory=Usage)
    discarded: dict[Reason, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))

    @property
    def calls(self) -> int:
        """Answered calls, repeated ones too."""
        return self.usage.calls


class Judge:
    """An extractor that asks a chat model; one judge serves many texts and event loops, and remembers none.

    Raises:
        UsageError: the model's name does not say where it runs, or a setting is wrong.
    """

    name = "judge"

    def __init__(self, model: Model, *, seed: int = 0) -> None:
        self._chat = as_chat(model)
        self._seed = seed

    def find(self, sentences: Sequence[Sentence], question: str = "") -> tuple[Reference, ...]:
        """The references alone, as every extractor gives them; see `afind`.

        Raises:
            UsageError: an event loop is running already; `await afind(...)` there.
            CallError: as `afind`.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._find_and_close(sentences, question)).references
        raise UsageError("Judge.find cannot run inside an event loop; use `await judge.afind(...)` there")

    async def afind(self, sentences: Sequence[Sentence], question: str = "") -> JudgeReport:
        """The references of one text, in order of place; a long text is asked for in chunks of whole sentences.

        A reference's entity is `judge:` and the quotation without case; its score is 1. It is an echo where all words
        of the quotation stand in the question. The model is not shown the question.

        Raises:
            CallError: a call failed for good, or its reply was twice not the JSON asked for; its `spent` is what all
                calls about this text took.
            ContentError: the prompt is missing or wrong.
            UsageError: the key's environment variable is not set.
            WeightsError: the embedded model cannot be had.
        """
        words = LOCAL_WORDS if self._chat.spec.local else CHUNK_WORDS
        chunks = list(_chunks([sentence.text for sentence in sentences], words))
        asking = (self._ask("judge", _Findings, sentences, chunk) for chunk in chunks)
        replies = await _together(asking, lambda reply: reply.usage)
        asked = frozenset(token.key for token in tokens(question))
        found: dict[tuple[int, int, str], Reference] = {}
        discarded: Counter[Reason] = Counter(dict.fromkeys(REASONS, 0))
        for chunk, reply in zip(chunks, replies, strict=True):
            discarded["unreadable reply"] += reply.unreadable
            for finding in reply.content.references:
                believed = _believed(finding, sentences, chunk, asked)
                if isinstance(believed, Reference):
                    found.setdefault((believed.start, believed.end, believed.perspective), believed)
                else:
                    discarded[believed] += 1
        references = tuple(found[place] for place in sorted(found))
        return JudgeReport(references, total(reply.usage for reply in replies), dict(discarded))

    async def afind_each(
        self, texts: Iterable[tuple[Sequence[Sentence], str]], *, ahead: int | None = None
    ) -> AsyncIterator[JudgeReport | CallError]:
        """For each (sentences, question), in order, its report or the error that it ended with.

        Texts are read as they are needed: at most `ahead` (by default the calls that the model's limit allows at
        once) are under way or wait to be taken, so a stream of any length takes constant memory.

        Raises:
            ContentError, UsageError, WeightsError: as `afind`.
        """
        waiting: deque[asyncio.Task[JudgeReport | CallError]] = deque()
        most = max(1, ahead if ahead is not None else self._chat.spec.limit)
        try:
            for sentences, question in texts:
                waiting.append(asyncio.create_task(self._outcome(sentences, question)))
                if len(waiting) >= most:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            await _stop(waiting)

    async def tones(
        self, sentences: Sequence[str], *, on_usage: Callable[[Usage], None] | None = None
    ) -> NDArray[np.float64]:
        """The tone of each sentence, shape (n, 3): positive, neutral, negative; each row sums to 1.

        Sentences that the reply leaves out, or gives no likelihood, are asked for once more. `on_usage` is told what
        the calls cost; where they fail the error says it.

        Raises:
            CallError: a call failed for good, its reply was twice not the JSON asked for, or a sentence got no tone;
                its `spent` is what all calls took.
            ContentError, UsageError, WeightsError: as `afind`.
        """
        import numpy as np

        local = self._chat.spec.local
        words, most = (LOCAL_WORDS, LOCAL_TONES) if local else (CHUNK_WORDS, CHUNK_TONES)
        asking = (self._toned(sentences, chunk) for chunk in _chunks(sentences, words, most))
        parts = await _together(asking, lambda part: part[1])
        if on_usage is not None:
            on_usage(total(usage for _, usage in parts))
        rows = [row for part, _ in parts for row in part]
        scores = np.array(rows, dtype=np.float64).reshape(len(rows), 3)
        shares: NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
        return shares

    async def aclose(self) -> None:
        """Close the current event loop's connections; a later call opens new ones."""
        await self._chat.aclose()

    async def _find_and_close(self, sentences: Sequence[Sentence], question: str) -> JudgeReport:
        try:
            return await self.afind(sentences, question)
        finally:
            await self.aclose()

    async def _outcome(self, sentences: Sequence[Sentence], question: str) -> JudgeReport | CallError:
        try:
            return await self.afind(sentences, question)
        except CallError as error:
            return error

    async def _toned(
        self, sentences: Sequence[str], chunk: Sequence[int]
    ) -> tuple[list[tuple[float, float, float]], Usage]:
        told: dict[int, tuple[float, float, float]] = {}
        usage = Usage()
        for again in (False, True):
            missing = [number for number in chunk if number not in told]
            if missing:
                try:
                    answer = await self._ask("judge_tone", _Tones, sentences, missing, again=again)
                except CallError as error:
                    set_spent(error, usage + spent_on(error))
                    raise
                usage += answer.usage
                for tone in answer.content.tones:
                    row = (tone.positive, tone.neutral, tone.negative)
                    if min(row) >= 0 and 0 < sum(row) < math.inf:
                        told.setdefault(tone.sentence - 1, row)
        for number in chunk:
            if number not in told:
                why = f"{self._at}: gave sentence {number + 1} no tone, asked twice; {_BETTER}"
                raise set_spent(CallError("server", why), usage)
        return [told[number] for number in chunk], usage

    async def _ask(
        self,
        name: str,
        form: type[Form],
        sentences: Sequence[Sentence] | Sequence[str],
        numbers: Sequence[int],
        *,
        again: bool = False,
    ) -> _Answer[Form]:
        """The answer to `prompts/NAME.md` about some of a text's sentences, and what it cost, a repeat included."""
        from langchain_core.messages import HumanMessage

        lines = "\n".join(f"[{number + 1}] {_shown(sentences[number])}" for number in numbers)
        marks = self._chat.marks(self._seed, lines)
        messages = [HumanMessage(marked_prompt(name, marks, sentences=marks.enclose("sentences", lines)))]
        schema = {"name": name, "strict": True, "schema": form.model_json_schema()}
        usage, cut, problem = Usage(), False, ""
        for unreadable, repeated in enumerate((again, True)):
            call = Call(
                max_tokens=LOCAL_TOKENS if self._chat.spec.local else None,
                seed=self._seed + repeated,
                temperature=AGAIN if repeated else 0.0,
                response_format={"type": "json_schema", "json_schema": schema},
                tags=("multiplex:judge", "nostream"),
            )
            try:
                reply = await self._chat.complete(messages, call)
            except CallError as error:
                set_spent(error, usage + spent_on(error))
                raise
            usage += reply.usage
            cut, problem = reply.cut, "it is cut off at its token limit"
            if not cut:
                try:
                    return _Answer(read_reply(reply.text, form), usage, unreadable)
                except ValueError as error:
                    problem = str(error)
        why = f"{self._at}: the judge's reply cannot be read ({problem}), twice; {_BETTER}"
        raise set_spent(CallError("cut_off" if cut else "server", why), usage)

    @property
    def _at(self) -> str:
        return f"{self._chat.spec.name} at {self._chat.spec.place}"


def read_reply(text: str, form: type[Form]) -> Form:
    """The last JSON object in a reply (fenced, or with text round it), validated.

    Raises:
        ValueError: there is none, or it has not the form; one line says what is wrong.
    """
    decoder = json.JSONDecoder()
    last: Any = None
    at = text.find("{")
    while at >= 0:
        try:
            last, end = decoder.raw_decode(text, at)
        except RecursionError as error:
            raise ValueError("its JSON is nested too deeply") from error
        except ValueError:
            last, end = None, at + 1
        at = text.find("{", end)
    if last is None:
        raise ValueError("no whole JSON object")
    try:
        return form.model_validate(last)
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ValueError(f"{wrong.field}: {wrong.problem}") from error


def _believed(
    finding: _Finding, sentences: Sequence[Sentence], chunk: Sequence[int], asked: frozenset[str]
) -> Reference | Reason:
    """The reference that a finding stands for, or why it stands for none."""
    number = finding.sentence - 1
    perspective, cue = ("_".join(word.lower().split()) for word in (finding.perspective, finding.cue))
    if number not in chunk:
        return "unknown sentence"
    if perspective not in KNOWN:
        return "unknown perspective"
    if cue not in CUES:
        return "unknown cue"
    sentence = sentences[number]
    place = locate(finding.quotation, sentence.text)
    if place is None:
        return "quotation not in its sentence"
    text = sentence.text[slice(*place)]
    return Reference(
        start=sentence.start + place[0],
        end=sentence.start + place[1],
        text=text,
        entity=JUDGED + " ".join(normal(text).casefold().split()),
        perspective=perspective,
        cue=cast(Cue, cue),
        sentence=number,
        echo={token.key for token in tokens(text)} <= asked,
        facets=OF_PERSPECTIVE[perspective],
    )


def _chunks(texts: Sequence[str], words: int, most: int | None = None) -> Iterator[range]:
    """Runs of sentences of at most so many words and sentences together; a longer sentence is one by itself."""
    start = counted = 0
    for number, text in enumerate(texts):
        size = count_words(text)
        if number > start and (counted + size > words or number - start == most):
            yield range(start, number)
            start, counted = number, 0
        counted += size
    if start < len(texts):
        yield range(start, len(texts))


def _shown(sentence: Sentence | str) -> str:
    """A sentence on one line, so that it can begin no line of its own, and without any mark that could close ours."""
    text = sentence if isinstance(sentence, str) else sentence.text
    return as_data(" ".join(text.split())).translate(_MARKS)


_MARKS = str.maketrans("<>", "‹›")


async def _together(jobs: Iterable[Coroutine[Any, Any, Result]], cost: Callable[[Result], Usage]) -> list[Result]:
    """The results in order; where one job fails, the others are stopped before its error goes on.

    The error then says what all of them took, as far as they had come to an end.
    """
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    except CallError as error:
        await _stop(tasks)
        ended = [task for task in tasks if not task.cancelled()]
        failed = {task: task.exception() for task in ended}
        set_spent(error, total(cost(task.result()) if e is None else spent_on(e) for task, e in failed.items()))
        raise
    finally:
        await _stop(tasks)


async def _stop(tasks: Iterable[asyncio.Task[Any]]) -> None:
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
