"""A result as a document to keep: Markdown, and HTML with its references coloured and its voices folded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from multiplex.answering import Result
from multiplex.council.answer import Answer, Voice
from multiplex.council.locales import ENGLISH, Locale, locale_of
from multiplex.council.names import fold, trace_names
from multiplex.present.depth import READING
from multiplex.present.result import (
    closing,
    comparison,
    reading_order,
    retention_notes,
    retention_rows,
    shares,
    warnings,
)
from multiplex.present.stance import stance_band, stance_lines
from multiplex.present.templates import render
from multiplex.text.markdown import escape_markdown


def as_markdown(result: Result, *, show_voices: bool = False) -> str:
    """The result as one Markdown document."""
    parts = [*_answers(result, show_voices=show_voices), *_figures(result), *_closing(result)]
    return "\n\n".join(parts) + "\n"


def _answers(result: Result, *, show_voices: bool) -> list[str]:
    parts = [f"# {escape_markdown(' '.join(result.question.split()))}"]
    for strategy in reading_order(result):
        answer = result.answers[strategy].answer
        parts += [f"---\n\n*{strategy}, {answer.model}*", _closed(answer.text)]
        if show_voices:
            parts += [_voice(voice, locale_of(answer.language)) for voice in answer.voices]
        parts += [*_stances(answer), *_found(answer), *_harms(answer)]
    if result.spoken:
        locale = locale_of(result.language)
        parts.append(f"---\n\n*{locale.say('no_answer')}*")
        parts += [_voice(voice, locale) for voice in result.spoken]
    return parts + _figures_heading(result)


def _figures_heading(result: Result) -> list[str]:
    if not result.answers:
        return []
    locale = locale_of(result.language)
    note = [] if locale.code == ENGLISH else [f"*{locale.say('figures_in_english')}*"]
    return [f"---\n\n## {locale.say('comparison')}", *note]


def _figures(result: Result) -> list[str]:
    """The comparison, in English as the documentation of the figures is."""
    parts = list[str]()
    if result.answers:
        names = list(result.answers)
        table = [f"| | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
        table += [f"| {label} | {' | '.join(values)} |" for label, values in comparison(result)]
        table += [
            f"| share of {perspective} | {' | '.join('–' if v is None else f'{v:.0%}' for v in values)} |"
            for perspective, values in shares(result)
        ]
        parts += ["\n".join(table), READING]
        for each in result.answers.values():
            if each.retention:
                head, *rows = (f"| {' | '.join(cells)} |" for cells in retention_rows(each.retention))
                parts += ["\n".join([head, "|---" + "|---:" * 5 + "|", *rows]), " ".join(retention_notes(each))]
    return parts


def _closing(result: Result) -> list[str]:
    """What a reader must know, and what the voices are."""
    lines = warnings(result)
    return [*(["\n".join(f"- {escape_markdown(line)}" for line in lines)] if lines else []), f"*{closing(result)}*"]


def _stances(answer: Answer) -> list[str]:
    """Each voice's stance and whether they are split; nothing where no stance was asked for."""
    lines = [f"- {escape_markdown(line)}" for line in stance_lines(answer)]
    return [f"**{locale_of(answer.language).say('stances')}**", "\n".join(lines)] if lines else []


def _found(answer: Answer) -> list[str]:
    """What a check found in an essay and what remains of it; nothing where it found nothing."""
    if not answer.findings:
        return []
    locale = locale_of(answer.language)
    lines = [
        f"- {locale.say(f'kind_{finding.kind}')}{locale.separator}{locale.say(f'state_{finding.state}')}"
        + (f": “{escape_markdown(finding.quote)}”" if finding.quote else "")
        + f". {escape_markdown(finding.why)} ({locale.say(f'by_{finding.by}')})"
        for finding in answer.findings
    ]
    return [f"**{locale.say('found')}**", "\n".join(lines)]


def harm_lines(answer: Answer) -> list[str]:
    """Who inside each tradition contests the harms that an answer touches, with the source, a line each."""
    locale = locale_of(answer.language)
    return [
        f"{locale.title(contest.title)}: {contest.by}. {contest.argues}"
        + (f" {contest.source}" if contest.source else "")
        for harm in answer.harms
        for contest in harm.contests
    ]


def _harms(answer: Answer) -> list[str]:
    lines = [f"- {escape_markdown(line)}" for line in harm_lines(answer)]
    heading = locale_of(answer.language).say("contested_where")
    return [f"**{heading}**", "\n".join(lines)] if lines else []


def _voice(voice: Voice, locale: Locale) -> str:
    text = _closed(voice.text) if voice.error is None else f"*{locale.say('lost', error=escape_markdown(voice.error))}*"
    return f"### {locale.say('voice_of', voice=locale.title(voice.title))}\n\n{text}"


def as_html(result: Result, *, show_voices: bool = False) -> str:
    """The result as one HTML page that loads nothing; text of models and users is escaped.

    The voices stand folded behind an essay, whose names lead to the voice that named them; `show_voices` opens them.
    """
    council = result.answers["multiplex"].answer if "multiplex" in result.answers else None
    if council is None or council.form != "essay":
        return _page(_body(result, show_voices=show_voices), result.language)
    locale, (names, signed) = locale_of(council.language), _sign_names(council)
    answers = result.answers | {
        "multiplex": result.answers["multiplex"].model_copy(
            update={"answer": council.model_copy(update={"text": _closed(signed) + VOICES_HERE})}
        )
    }
    body = _body(result.model_copy(update={"answers": answers}), show_voices=False)
    for number, (sign, _, perspective) in enumerate(names):
        place = f'id="name-{number}" href="#voice-{_anchor(perspective)}"'
        link = f'<sup><a {place} title="{escape(locale.say("names_it"))}">↓</a></sup>'
        body = body.replace(sign, link, 1)
    voices = _folded_voices(council, names, locale, opened=show_voices)
    return _page(body.replace(f"<p>{VOICES_HERE.strip()}</p>", voices), result.language)


def _body(result: Result, *, show_voices: bool) -> str:
    """The result as HTML; what is in English and what in the reader's language is marked so."""
    answers, closed = (_render("\n\n".join(part)) for part in (
        _answers(result, show_voices=show_voices), _closing(result)))  # fmt: skip
    figures = _render("\n\n".join(_figures(result)))
    if figures and locale_of(result.language).code != ENGLISH:
        figures = f'<section lang="{ENGLISH}" dir="ltr">\n{figures}</section>\n'
    return answers + figures + closed


def _page(body: str, language: str) -> str:
    from markupsafe import Markup

    locale = locale_of(language)
    return render(
        Path(__file__).with_name("answer.html.jinja"),
        body=Markup(body),  # noqa: S704  # escaped where it was made
        language=locale.code,
        direction="auto" if locale.code == ENGLISH else locale.direction,
    )


VOICES_HERE = "\n\n\U0010fffd"  # a place in the Markdown that no text has: signs are chosen beside it


_SIGNS = range(0x100000, 0x10FFFD)


def _sign_names(answer: Answer) -> tuple[list[tuple[str, str, str]], str]:
    """(sign, name, perspective) of the first mention of each name that a voice holds, and the text with the signs.

    A sign is a character of private use behind the name; a text that holds such characters is left as it is.
    """
    if any(ord(c) >= _SIGNS.start for c in answer.text):
        return [], answer.text
    seen: set[str] = set()
    names = list[tuple[str, str, str]]()
    ends = list[int]()
    for trace in trace_names(answer.text, answer.voices, answer.scaffold):
        if fold(trace.text) in seen:
            continue
        seen.add(fold(trace.text))
        names.append((chr(_SIGNS[len(names)]), trace.text, trace.perspectives[0]))
        ends.append(trace.end)
    return names, _signed(answer.text, ends)


def _signed(text: str, ends: Sequence[int]) -> str:
    """The text with the signs in turn at these places of it, which are in order."""
    starts = [0, *ends]
    pieces = [text[start:end] + chr(sign) for sign, start, end in zip(_SIGNS, starts, ends, strict=False)]
    return "".join([*pieces, text[starts[-1] :]])


def _folded_voices(answer: Answer, names: list[tuple[str, str, str]], locale: Locale, *, opened: bool) -> str:
    voices = "".join(_html_voice(voice, names, locale) for voice in answer.voices)
    head = escape(locale.say("voices_behind", count=len(answer.voices)))
    return f"{stance_band(answer)}<details{' open' if opened else ''}><summary>{head}</summary>\n{voices}</details>\n"


def _html_voice(voice: Voice, names: list[tuple[str, str, str]], locale: Locale) -> str:
    if voice.error is None:
        body, cited = _cited(voice, locale)
    else:
        body, cited = _render(f"*{locale.say('lost', error=escape_markdown(voice.error))}*"), ""
    back = locale.separator.join(
        f'<a href="#name-{number}">{escape(name)}</a>'
        for number, (_, name, perspective) in enumerate(names)
        if perspective == voice.perspective
    )
    named = f"<p>{escape(locale.say('named_in'))} {back}</p>\n" if back else ""
    title = f"<h3>{escape(locale.say('voice_of', voice=locale.title(voice.title)))}</h3>"
    return f'<article id="voice-{_anchor(voice.perspective)}" dir="auto">\n{title}\n{body}{cited}{named}</article>\n'


def _cited(voice: Voice, locale: Locale) -> tuple[str, str]:
    """The HTML of a voice with a link behind each sentence that rests on a position, and the list they lead to."""
    if voice.quoted or not voice.positions or any(ord(c) >= _SIGNS.start for c in voice.text):
        return _render(voice.text), ""
    places = sorted((place, number) for number, each in enumerate(voice.positions) for place in each.places)
    body = _render(_signed(voice.text, [place for place, _ in places]))
    for sign, (_, number) in zip(_SIGNS, places, strict=False):
        link = f'<sup><a href="#{_position_anchor(voice, number)}">[{number + 1}]</a></sup>'
        body = body.replace(chr(sign), link, 1)
    items = "".join(
        f'<li id="{_position_anchor(voice, number)}">{escape(each.says)} <em>{escape(each.whose)}</em>; '
        f"{escape(each.source)} <code>{escape(voice.persona)}/{escape(each.id)}</code></li>\n"
        for number, each in enumerate(voice.positions)
    )
    return body, f"<p>{escape(locale.say('rests_on'))}</p>\n<ol>\n{items}</ol>\n"


def _position_anchor(voice: Voice, number: int) -> str:
    return f"position-{_anchor(voice.perspective)}-{number}"


def _anchor(perspective: str) -> str:
    return escape(perspective, quote=True)


def _closed(text: str) -> str:
    """Foreign Markdown with its code block closed where the model left it open: it would take in all that follows."""
    from markdown_it import MarkdownIt

    *_, last = [None, *MarkdownIt("commonmark").parse(text)]
    if last is None or last.type != "fence" or last.level or last.map is None:
        return text
    start, end = last.map
    held = len(last.content.removesuffix("\n").split("\n")) if last.content else 0
    return text if end - start > held + 1 else f"{text}\n{last.markup}"


def _render(text: str) -> str:
    """Foreign Markdown as inert HTML."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    rendered: str = reader.render(text)
    return rendered
