"""The voices' stances on a closed question: a line each, whether they are split, and a band in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from multiplex.council.answer import Answer, Choice, Voice
from multiplex.council.locales import Locale, locale_of

LEANS = 0.5  # share above which a voice leans to an option
OPTION_COLOURS = ("#2166ac", "#b2182b", "#bbbbbb", "#5aae61", "#9970ab", "#e08214", "#8c510a", "#4d4d4d", "#35978f")


def stance_lines(answer: Answer) -> list[str]:
    """A line for each voice that was asked, and one that says whether they are split; none where none was asked."""
    asked = choices(answer)
    if not asked:
        return []
    locale = locale_of(answer.language)
    lines = [f"{locale.title(voice.title)}: {_told(choice, locale)}" for voice, choice in asked]
    return [*lines, agreement(answer)]


def agreement(answer: Answer) -> str:
    """Whether the voices that were asked are split or aligned, with the number of those that were not."""
    asked, locale = choices(answer), locale_of(answer.language)
    leaning: dict[str, list[str]] = {}
    for voice, choice in asked:
        if choice.shares is not None and max(choice.shares) > LEANS:
            leaning.setdefault(choice.options[choice.shares.index(max(choice.shares))], []).append(
                locale.title(voice.title)
            )
    undecided = sum(choice.shares is not None for _, choice in asked) - sum(map(len, leaning.values()))
    silent = len(answer.voices) - sum(choice.shares is not None for _, choice in asked)
    parts = [
        locale.say("lean", count=len(titles), option=repr(option), voices=locale.separator.join(titles))
        for option, titles in leaning.items()
    ]
    parts += [locale.say("lean_none", count=undecided)] if undecided else []
    parts += [locale.say("gave_none", count=silent)] if silent else []
    if not leaning and not undecided:
        return locale.say("none_gave")
    of_one = len(leaning) == 1 and not undecided and not silent
    whole = locale.say("aligned" if of_one else "split" if len(leaning) > 1 else "undecided")
    return f"{whole}: {'; '.join(parts)}."


def stance_band(answer: Answer) -> str:
    """A bar a voice, of the probability of each option; empty where none was asked. `stance_lines` has the figures."""
    rows = []
    for voice, choice in choices(answer):
        parts = "".join(
            f'<span style="flex: {share:.4f} 1 0; background: {OPTION_COLOURS[place]}; min-width: 0"></span>'
            for place, share in enumerate(choice.shares or ())
        )
        bar = f'<div style="display: flex; height: .8rem; border: 1px solid #888" aria-hidden="true">{parts}</div>'
        cell = f'<td style="min-width: 16rem">{bar if parts else ""}</td>'
        rows.append(f'<tr><th scope="row">{escape(locale_of(answer.language).title(voice.title))}</th>{cell}</tr>\n')
    if not rows:
        return ""
    return f"<table>{''.join(rows)}</table>\n"


def as_object(choice: Choice) -> dict[str, object]:
    """A stance as it stands in the JSON contract."""
    shares = None if choice.shares is None else dict(zip(choice.options, choice.shares, strict=True))
    return {"method": choice.method, "shares": shares, "note": choice.note}


def choices(answer: Answer) -> Sequence[tuple[Voice, Choice]]:
    """The voices that were asked, and what each chose."""
    return [(voice, voice.choice) for voice in answer.voices if voice.choice is not None]


def _told(choice: Choice, locale: Locale) -> str:
    if choice.shares is None:
        return locale.say("no_shares", why=choice.note)
    return ", ".join(f"{option} {share:.0%}" for option, share in zip(choice.options, choice.shares, strict=True))
