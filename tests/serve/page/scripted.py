"""A script for the backend that knows by the prompt who is asked, says what each is to say, and waits where told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from threading import Event, Lock

from multiplex.council.personas import Council
from tests.backend import Body, Say, asked

PERSONAS = {persona.perspective: persona for persona in Council.load().personas}
VOICES = {
    "western": "Kant asks whether a *maxim* could hold for all. Care ethicists answer that dependence comes first.",
    "islamic": "Muslims owe kindness to parents. Jurists differ on how far it binds.",
    "east_asian": "Filial piety begins in the family. Koreans greet elders first.",
    "south_asian": "Dharma differs with the stage of life. Hindus speak of debts to parents.",
    "african": "Ubuntu asks that kin share care. Among the Akan the person may still object.",
    "latin_american": "Liberation theologians begin with those who suffer.",
    "indigenous": "For many Māori thinkers care runs to land and water as well as to kin.",
}
SYNTHESIS = """Seven voices answer, and they do not agree on where care begins.

- Ubuntu asks that kin share care."""
FULL = """Seven voices answer, and they do not agree on where care begins.

**Where it begins.** Koreans greet elders first, *filial piety* begins in the family. Ubuntu asks that kin share care.

- Among the Akan the person may still object.
- Muslims hold kindness to parents to be a high claim; Muslim Nigerians say so too.
- Māori thinkers extend care to land.

| who | what |
| --- | --- |
| Hindus | debts to parents |
| Buddhists | a care for all |

Kant's categorical imperative asks for a rule."""
UNIPLEX = """Families decide by talking openly.

1. **Autonomy** matters; so does money.
2. In China children are expected to help, and a German company sells the beds."""
ALONE = "How should a family in Japan decide who cares for a parent?"
SYNTHESIZER, ALONE_MAKER, SIMPLY_ASKED = "synthesis", "alone", "uniplex"
LATEST = 60.0  # seconds after which a part that waits speaks all the same


def part(body: Body) -> str:
    """Who is asked: a perspective, or one of the parts that are no voice."""
    system = "".join(message["content"] for message in body["messages"] if message["role"] == "system")
    for perspective, persona in PERSONAS.items():
        if system.startswith(persona.speaker[:50]):
            return perspective
    text = asked(body)
    if '<voice tradition="' in text:
        return SYNTHESIZER
    return ALONE_MAKER if "<newest>" in text else SIMPLY_ASKED


@dataclass
class Play:
    """A script: by part what is said, and which parts wait to be let go. `asked` is who was asked, in order."""

    says: dict[str, Say] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _held: dict[str, Event] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        usual = {SYNTHESIZER: Say(SYNTHESIS), SIMPLY_ASKED: Say(UNIPLEX), ALONE_MAKER: Say(ALONE)}
        self.says = {**{name: Say(text) for name, text in VOICES.items()}, **usual, **self.says}

    def __call__(self, body: Body, _: int) -> Say:
        who = part(body)
        with self._lock:
            self.asked.append(who)
        if (held := self._held.get(who)) is not None:
            held.wait(LATEST)
        return self.says[who]

    def change(self, parts: Iterable[str], **fields: object) -> None:
        """These parts speak otherwise from now on."""
        for name in parts:
            self.says[name] = replace(self.says[name], **fields)  # type: ignore[arg-type]  # fields of Say

    @contextmanager
    def holding(self, parts: Iterable[str]) -> Iterator[None]:
        """These parts wait for `let`; all are let go when the block ends."""
        self._held = {name: Event() for name in parts}
        try:
            yield
        finally:
            for held in self._held.values():
                held.set()

    def let(self, *parts: str) -> None:
        """Let these parts speak; all, where none is named."""
        for name in parts or self._held:
            self._held[name].set()
