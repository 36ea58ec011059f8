"""What an endpoint refuses in a request, and how the request is changed so that it does not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from multiplex.llm.protocol import Told

LIMITS = ("max_tokens", "max_completion_tokens")
MOST_CHANGES = 200  # remembered of one endpoint and model
_UNKNOWN = re.compile(
    r"unsupported[ _]parameter|unrecognized|unknown (?:name|field|parameter|argument)|"
    r"extra[_ ](?:forbidden|inputs|fields)|unexpected (?:keyword|field|argument|parameter)|"
    r"not (?:a )?(?:supported|permitted|allowed|recogni[sz]ed)|"
    r"does not (?:support|accept)|cannot find field|no such (?:field|parameter)|additional properties|isn't supported",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"unsupported[ _]value|invalid[ _]value|only the default|too (?:large|long|high|low|small|big)|above_max|below_min|"
    r"at most|at least|range|between|must be|should be|(?:less|greater|more) than|maximum (?:value|length)|<=|>=",
    re.IGNORECASE,
)
_MOST = re.compile(
    r"(?:at most|maximum(?: value)?(?: is| of|:)?|up to|less than or equal to|<=|≤)\s*(\d[\d,]*)", re.IGNORECASE
)
_CONTEXT = re.compile(r"context[ _](?:length|window|size)|reduce the length", re.IGNORECASE)
_USER = re.compile(r"""(?:argument supplied|parameter|property|body|invalid)['"`:,.\s]+user\b""", re.IGNORECASE)
_NO_SYSTEM = re.compile(
    r"system (?:role|messages?|prompts?|instructions?) (?:is |are )?(?:not|un)\W?(?:supported|allowed|enabled)|"
    r"(?:not|n't) support\w* (?:the )?['\"`]?system|developer instruction is not enabled|"
    r"only (?:support\w* )?user and assistant roles|unexpected role:? '?system|"
    r"role.{0,20}system.{0,40}(?:not|un)\W?supported",
    re.IGNORECASE,
)
_ALTERNATE = re.compile(  # in Perplexity's words, too
    r"roles (?:must|should) (?:be )?alternat|should alternate with assistant", re.IGNORECASE
)
_SYSTEM_FIRST = re.compile(
    r"system\b.{0,40}\b(?:at the (?:beginning|start)|(?:be|come)(?: the)? first)\b", re.IGNORECASE
)
_FORM = re.compile(  # how endpoints speak of a response format without its name
    r"response[ _](?:format|schema)|json[ _]schema|structured[ _]outputs?|grammar error", re.IGNORECASE
)
_THIS_SCHEMA = re.compile(
    r"schema (?:contains|in)\b|invalid (?:json )?schema|response_schema|grammar error", re.IGNORECASE
)
_QUIET = ("stream", "stream_options")  # what follows from their absence is seen anyway
_WITH_VALUE = ("temperature", "top_p", *LIMITS)


@dataclass(frozen=True)
class Change:
    """One thing that an endpoint refuses.

    Attributes:
        field: of the request; `messages` where it is a role.
        why: `unknown`: it takes no such field; `value`: it takes this value not; `cap`: it takes no more than `to`;
            `renamed`: it calls the field `to`; `no_system`, `system_first`, `alternate`: what is wrong with the roles.
        value: the refused one, as JSON, where `why` is `value`.
        to: the greatest value, or the other name.
    """

    field: str
    why: Literal["unknown", "value", "cap", "renamed", "no_system", "system_first", "alternate"]
    value: str = ""
    to: int | str | None = None


@dataclass(frozen=True)
class Adapted:
    """A request as the endpoint takes it, and a line on each thing that could not be sent as it was wanted."""

    parameters: dict[str, Any]
    messages: list[dict[str, Any]]
    notes: tuple[str, ...]


def adapt(
    parameters: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], changes: Sequence[Change], at: str
) -> Adapted:
    """The request without what the endpoint has refused."""
    sent, said, notes = dict(parameters), [dict(message) for message in messages], list[str]()
    for change in changes:
        field = change.field
        if change.why == "no_system" and any(message["role"] == "system" for message in said):
            said = _fold_system(said)
            notes.append(f"{at} takes no system message; the persona's instructions stand in the user's message")
        elif change.why == "system_first" and _is_scattered([message["role"] for message in said]):
            said = _gather_system(said)
            notes.append(f"{at} takes one system message, at the beginning; all that were sent stand in it")
        elif change.why == "alternate":
            said = _merge_turns(said)
        elif field not in sent:
            continue
        elif change.why == "renamed":
            sent[str(change.to)] = sent.pop(field)
        elif change.why == "cap" and isinstance(change.to, int) and sent[field] > change.to:
            notes.append(f"{at} takes {field} up to {change.to}; {sent[field]} was lowered to that")
            sent[field] = change.to
        elif change.why == "unknown" or (change.why == "value" and json.dumps(sent[field]) == change.value):
            what = f"{field} {sent[field]}" if field in _WITH_VALUE else field
            if field not in _QUIET:
                notes.append(f"{at} refuses {what}; it was left out")
            del sent[field]
    return Adapted(sent, said, tuple(notes))


def find_change(told: Told, sent: Mapping[str, Any], roles: Sequence[str]) -> Change | None:
    """What of a request an endpoint's error refuses; None where it is something else."""
    said = f"{told.code}: {told.message}"
    if "system" in roles and (_NO_SYSTEM.search(said) or _names_system(told)):
        return Change("messages", "no_system")
    if _is_scattered(roles) and _SYSTEM_FIRST.search(said):
        return Change("messages", "system_first")
    if _ALTERNATE.search(said):  # llama.cpp tells what a template raises under 500
        return Change("messages", "alternate")
    if told.status not in (400, 422) or told.declined or _CONTEXT.search(said):
        return None
    field = _find_field(told, sent)
    if field is None:
        return None
    value, unknown = (
        json.dumps(sent[field]),
        _UNKNOWN.search(said) and not re.search(r"unsupported[ _]value", said, re.I),
    )
    if field in LIMITS:
        other = LIMITS[1 - LIMITS.index(field)]
        if _names(said, other) or (unknown and not _VALUE.search(said)):
            return Change(field, "renamed", to=other)
        most = max((int(number.replace(",", "")) for number in _MOST.findall(said)), default=0)
        if 16 <= most < sent[field]:
            return Change(field, "cap", to=most)
    if field == "response_format" and _THIS_SCHEMA.search(said):
        return Change(field, "value", value=value)
    if unknown and not (_VALUE.search(said) and field in _WITH_VALUE):
        return Change(field, "unknown")
    return Change(field, "value", value=value)


def learn(known: Sequence[Change], found: Sequence[Change]) -> tuple[Change, ...]:
    """What is known of an endpoint, and what a call found out; of single values only the newest are kept."""
    every = tuple(dict.fromkeys([*known, *found]))
    values = [change for change in every if change.why == "value"]
    dropped = set(values[: max(0, len(every) - MOST_CHANGES)])
    return tuple(change for change in every if change not in dropped)


def _find_field(told: Told, sent: Mapping[str, Any]) -> str | None:
    fields = {field.rpartition(".")[2] for field in told.fields}
    if _FORM.search(told.message):
        fields.add("response_format")
    names = sorted(sent, key=len, reverse=True)
    if named := next((name for name in names if name in fields), None):
        return named
    for name in names:
        if _USER.search(told.message) if name == "user" else _names(told.message, name):  # many speak of users
            return name
    return None


def _names(text: str, field: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(field)}(?!\w)", text, re.IGNORECASE) is not None


def _names_system(told: Told) -> bool:
    role = any(field.startswith("messages") and field.endswith("role") for field in told.fields)
    return role and "system" in told.message


def _is_scattered(roles: Sequence[str]) -> bool:
    """Whether there is a system message other than one at the beginning."""
    return "system" in roles[1:]


def _part_system(messages: Sequence[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The text of all system messages, and the other messages."""
    system = "\n\n".join(message["content"] or "" for message in messages if message["role"] == "system")
    return system, [message for message in messages if message["role"] != "system"]


def _gather_system(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with every system message in one, at the beginning."""
    system, others = _part_system(messages)
    return [{"role": "system", "content": system}, *others]


def _fold_system(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with every system message before the first user message's own text."""
    system, others = _part_system(messages)
    first = next((place for place, message in enumerate(others) if message["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": system}, *others]
    told = {**others[first], "content": f"{system}\n\n{others[first]['content'] or ''}"}
    return [*others[:first], told, *others[first + 1 :]]


def _merge_turns(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages with those that one role says in a row made into one, calls and results of tools left alone."""
    merged: list[dict[str, Any]] = []
    for message in messages:
        if merged and merged[-1]["role"] == message["role"] and _is_plain(merged[-1]) and _is_plain(message):
            merged[-1] = {**message, "content": f"{merged[-1]['content']}\n\n{message['content']}"}
        else:
            merged.append(message)
    return merged


def _is_plain(message: Mapping[str, Any]) -> bool:
    return message.keys() == {"role", "content"} and isinstance(message["content"], str)
