"""A chat model rates a blind set by the same rubric as people: one call a question, with the letters of the set."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from multiplex.bench.ratings.blind import Key, Sheet, ShownQuestion
from multiplex.bench.ratings.files import Accepted, Rated, Rating
from multiplex.bench.ratings.rubric import LEAST, MOST, POINTS, Rubric, as_markdown
from multiplex.content import marked_prompt
from multiplex.council.seeds import call_seed
from multiplex.errors import CallError, MultiplexError, first_invalid
from multiplex.llm.chat import Chat
from multiplex.llm.types import Call
from multiplex.llm.usage import Usage, spent_on
from multiplex.text.marks import make_marks

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

_MARK = {"type": "integer", "minimum": LEAST, "maximum": MOST}
_MARKS: dict[str, Any] = dict.fromkeys(POINTS, _MARK)
_ANSWER: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["letter", *POINTS, "false_claims"],
    "properties": {"letter": {"type": "string"}, **_MARKS, "false_claims": {"type": "string"}},
}
_FORM = {
    "type": "json_schema",
    "json_schema": {
        "name": "ratings",
        "strict": True,
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["ratings"],
            "properties": {"ratings": {"type": "array", "items": _ANSWER}},
        },
    },
}


async def rate(
    sheet: Sheet, key: Key, rubric: Rubric, chat: Chat, kept: Accepted | None, keep: Callable[[Accepted], None]
) -> Accepted:
    """A model's rating of a set; a question whose reply cannot be read is named in `unread` and not counted.

    Each question is handed to `keep` when it has its marks, so that an end in the middle loses none; what `kept`
    holds from an earlier call is not asked again.

    Raises:
        MultiplexError: not one reply could be read; the message says why. Or the disk refuses.
    """
    marks: dict[int, list[Rated]] = {}
    for each in kept.rating.ratings if kept else ():
        marks.setdefault(each.question, []).append(each)
    spent = Usage() if kept is None else kept.usage
    unread = {each.number: "it has not been asked" for each in sheet.questions if each.number not in marks}

    def found() -> Accepted:
        rated = tuple(each for number in sorted(marks) for each in marks[number])
        rating = Rating(set=sheet.set, rater=chat.spec.name, belongs=None, ratings=rated)
        return Accepted(kind="model", place=chat.spec.place, rating=rating, unread=unread, usage=spent)

    async def ask(question: ShownQuestion) -> None:
        nonlocal spent
        outcome, usage = await _rate_question(question, key.seed, rubric, chat)
        spent = None if spent is None else spent + usage
        if isinstance(outcome, str):
            unread[question.number] = outcome
            return
        marks[question.number] = outcome
        del unread[question.number]
        keep(found())

    await asyncio.gather(*(ask(each) for each in sheet.questions if each.number in unread))
    if not marks:
        raise MultiplexError(f"{chat.spec.name} rated nothing: {next(iter(unread.values()))}")
    rating = found()
    keep(rating)
    return rating


async def _rate_question(
    question: ShownQuestion, seed: int, rubric: Rubric, chat: Chat
) -> tuple[list[Rated] | str, Usage]:
    """The marks of every answer to one question, or why there are none; and what that took."""
    call = Call(seed=call_seed(seed, "rate", question.number), response_format=_FORM, temperature=0.0)
    try:
        reply = await chat.complete(rating_messages(question, rubric), call)
    except CallError as error:
        return str(error), spent_on(error)
    try:
        return read_marks(reply.text, question), reply.usage
    except ValueError as error:
        return f"the reply of {chat.spec.name} could not be read: {error}", reply.usage


def rating_messages(question: ShownQuestion, rubric: Rubric) -> list[BaseMessage]:
    """The prompt for one question: the rubric, then question and answers as data."""
    from langchain_core.messages import HumanMessage

    marks = make_marks(None, question.number, question.question, *(of.text for of in question.answers))
    answers = "\n\n".join(marks.enclose("answer", of.text, letter=of.letter) for of in question.answers)
    asked = marks.enclose("question", question.question)
    return [HumanMessage(marked_prompt("rate", marks, rubric=as_markdown(rubric), question=asked, answers=answers))]


def read_marks(reply: str, question: ShownQuestion) -> list[Rated]:
    """The marks in a reply, one entry for every letter of the question.

    Raises:
        ValueError: it is no such JSON object, a letter is missing, unknown or doubled, or a mark is no integer 1 to 7.
    """
    start, end = reply.find("{"), reply.rfind("}")
    try:
        rows: Any = json.loads(reply[start : end + 1])["ratings"] if start >= 0 else None
    except (json.JSONDecodeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("no JSON object with a list of ratings") from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("no JSON object with a list of ratings")
    wanted = [of.letter for of in question.answers]
    _check_letters([str(row.get("letter")) for row in rows], wanted)
    try:
        return [Rated.model_validate({**row, "question": question.number}) for row in rows]
    except ValidationError as error:
        wrong = first_invalid(error)
        raise ValueError(f"{wrong.field}: {wrong.problem}") from error


def _check_letters(found: Sequence[str], wanted: Sequence[str]) -> None:
    for letter in wanted:
        if found.count(letter) != 1:
            raise ValueError(f"answer {letter} is rated {found.count(letter)} times")
    if extra := sorted(set(found) - set(wanted)):
        raise ValueError(f"there is no answer {extra[0][:20]}")
