"""The voices' stances on a closed question: a line each, whether they are split, and a band in HTML."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from multiplex.council.answer import Answer, Choice, Voice

LEANS = 0.5  # share above which a voice leans to an option
_COLOURS = ("#2166ac", "#b2182b", "#bbbbbb", "#5aae61", "#9970ab", "#e08214", "#8c510a", "#4d4d4d", "#35978f")


def stance_lines(answer: Answer) -> list[str]:
    """A line for each voice that was asked, and one that says whether they are split; none where none was asked."""
    asked = _asked(answer)
    if not asked:
        return []
    lines = [f"{voice.title}: {_told(choice)}" for voice, choice in asked]
    return [*lines, agreement(answer)]


def agreement(answer: Answer) -> str:
    """Whether the voices that were asked are split or aligned, with the number of those that were not."""
    asked = _asked(answer)
    leaning: dict[str, list[str]] = {}
    for voice, choice in asked:
        if choice.shares is not None and max(choice.shares) > LEANS:
            leaning.setdefault(choice.options[choice.shares.index(max(choice.shares))], []).append(voice.title)
    undecided = sum(choice.shares is not None for _, choice in asked) - sum(map(len, leaning.values()))
    silent = len(answer.voices) - sum(choice.shares is not None for _, choice in asked)
    parts = [f"{len(titles)} lean to {option!r} ({', '.join(titles)})" for option, titles in leaning.items()]
    parts += [f"{undecided} to none"] if undecided else []
    parts += [f"{silent} gave no stance"] if silent else []
    if not leaning and not undecided:
        return "No voice gave a stance."
    whole = "Aligned" if len(leaning) == 1 and not undecided and not silent else "Split" if len(leaning) > 1 else "Open"
    return f"{whole}: {'; '.join(parts)}."


def stance_band(answer: Answer) -> str:
    """A bar a voice, of the probability of each option; empty where none was asked. `stance_lines` has the figures."""
    rows = []
    for voice, choice in _asked(answer):
        parts = "".join(
            f'<span style="flex: {share:.4f} 1 0; background: {_COLOURS[place]}; min-width: 0"></span>'
            for place, share in enumerate(choice.shares or ())
        )
        bar = f'<div style="display: flex; height: .8rem; border: 1px solid #888" aria-hidden="true">{parts}</div>'
        cell = f'<td style="min-width: 16rem">{bar if parts else ""}</td>'
        rows.append(f'<tr><th scope="row">{escape(voice.title)}</th>{cell}</tr>\n')
    if not rows:
        return ""
    return f"<table>{''.join(rows)}</table>\n"


def as_object(choice: Choice) -> dict[str, object]:
    """A stance as it stands in the JSON contract."""
    shares = None if choice.shares is None else dict(zip(choice.options, choice.shares, strict=True))
    return {"method": choice.method, "shares": shares, "note": choice.note}


def _asked(answer: Answer) -> Sequence[tuple[Voice, Choice]]:
    return [(voice, voice.choice) for voice in answer.voices if voice.choice is not None]


def _told(choice: Choice) -> str:
    if choice.shares is None:
        return f"no stance ({choice.note})"
    return ", ".join(f"{option} {share:.0%}" for option, share in zip(choice.options, choice.shares, strict=True))
