"""The composed answer: the voices' positions arranged, each once, and nothing between them that a model wrote."""

from __future__ import annotations

from multiplex.council.answer import Cited, Span, Synthesis, Voice
from multiplex.council.composed import compose
from multiplex.council.locales import ENGLISH, locale_of

NOTHING = locale_of(ENGLISH).say("nothing_near")

SAID = {
    "Western": "Some hold that a promise binds whatever follows from it.",
    "Islamic": "Some jurists hold that a promise must be kept whatever it costs.",
    "African": "Many farmers hold that rain belongs to nobody.",
    "Indigenous": "Many fishers hold that a river may be asked for leave.",
}


def voice(title: str, says: str, asks: str | None = "Would you keep it?") -> Voice:
    spans: tuple[Span, ...] = ((0, len(says)),)
    text, scaffold = f"{says} (A Book) [x/y]", ((len(says), len(says) + len(" (A Book) [x/y]")),)
    return Voice(
        persona=title.lower(), perspective=title.lower(), title=title, model="m",
        text=f"{text}\n\n{asks}" if asks else text, quoted=spans, scaffold=scaffold, asks=asks,
        positions=(Cited(id="y", says=says, whose="Some", source="A Book"),),
    )  # fmt: skip


def silent(title: str) -> Voice:
    return Voice(
        persona=title.lower(), perspective=title.lower(), title=title, model="m", text="Nothing.", scaffold=((0, 8),)
    )


async def composed(*voices: Voice) -> Synthesis:
    return await compose(voices, lambda event: None, locale_of(ENGLISH))


async def test_every_statement_stands_once_and_is_marked_as_quoted() -> None:
    made = await composed(*(voice(title, says) for title, says in SAID.items()))
    assert [made.text[start:end] for start, end in made.quoted] != []
    assert {made.text[start:end] for start, end in made.quoted} == set(SAID.values())
    assert all(made.text.count(says) == 1 for says in SAID.values())
    left = list(made.text)
    for start, end in (*made.quoted, *made.scaffold):
        left[start:end] = " " * (end - start)
    assert "".join(left).split() == ["Would", "you", "keep", "it?"] * 4


async def test_close_and_far_are_told_by_the_statements() -> None:
    made = await composed(*(voice(title, says) for title, says in SAID.items()))
    near, far = made.text.split("## Nearest to each other")[1].split("## Furthest apart", 1)
    assert "**Western.**" in near
    assert "**Islamic.**" in near
    assert far.partition("\n")[0].startswith(": ")


async def test_two_voices_are_not_compared() -> None:
    made = await composed(voice("Western", SAID["Western"]), voice("African", SAID["African"], None))
    assert "Nearest" not in made.text
    assert made.text.count("**African") == 1


async def test_who_has_nothing_on_record_is_named_and_where_nobody_has_it_is_said() -> None:
    made = await composed(voice("Western", SAID["Western"]), silent("African"), silent("Islamic"))
    assert "Nothing near this question in the sourcebook of: African, Islamic." in made.text
    made = await composed(silent("African"), silent("Islamic"))
    assert made.text == NOTHING
    assert made.scaffold == ((0, len(NOTHING)),)


async def test_a_capable_models_voice_in_a_small_models_council_stands_as_its_own_words() -> None:
    own = Voice(persona="western", perspective="western", title="Western", model="big", text="A promise binds.")
    made = await composed(own, voice("African", SAID["African"]), voice("Islamic", SAID["Islamic"]))
    assert "A promise binds." in made.text
    start = made.text.index("A promise binds.")
    assert not any(first <= start < last for first, last in (*made.quoted, *made.scaffold))
