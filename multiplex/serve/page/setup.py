"""What the page is told when it opens: who can be asked, by which models, and how its colours and figures are read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from multiplex.answering import version
from multiplex.council.locales import ENGLISH, locale_of
from multiplex.council.order import DEFAULT_STRATEGIES
from multiplex.evaluation.extraction.frame import FRAME, HEADLINE_CUES, KNOWN
from multiplex.evaluation.extraction.frames import DEFAULT
from multiplex.present.highlight import COLOURS
from multiplex.present.result import CONSTRUCTIONS
from multiplex.present.stance import OPTION_COLOURS
from multiplex.serve.openai.messages import most_characters
from multiplex.serve.page.exchanges import HELD
from multiplex.serve.page.views import persona_view

if TYPE_CHECKING:
    from multiplex.serve.page.backend import Page

STRATEGIES = {
    "multiplex": "the council: every voice answers, and one answer is made of them that keeps their differences",
    "uniplex": "the same model, simply asked",
    "contextual": "the same model, told once to consider several worldviews",
}


def setup(page: Page) -> dict[str, Any]:
    """Everything that does not change while the server runs; personas are named by their digests."""
    service = page.service
    councils = {name: offer.council for name, offer in service.offers.items() if offer.council is not None}
    personas = {persona.digest: persona for council in councils.values() for persona in council.personas}
    return {
        "version": version(),
        "models": [
            {
                "name": name,
                "place": chat.spec.place,
                "local": chat.spec.local,
                "stance": not any(each.spec.small for each in (chat, *service.voice_models.values())),
                "warning": locale_of(ENGLISH).say("small") if chat.spec.small else None,
                "limit": most_characters(chat.spec, service.options.limits.question),
            }
            for name, chat in page.chats.items()
        ],
        "councils": [
            {"name": name, "personas": [persona.digest for persona in council.personas]}
            for name, council in councils.items()
        ],
        "personas": {digest: persona_view(persona) for digest, persona in personas.items()},
        "strategies": [
            {"name": name, "about": about, "asked": name in DEFAULT_STRATEGIES} for name, about in STRATEGIES.items()
        ],
        "perspectives": [
            {"name": name, "code": COLOURS[name][1], "colour": COLOURS[name][0], "framed": name in FRAME}
            for name in KNOWN
        ],
        "examples": examples(),
        "constructions": CONSTRUCTIONS,
        "lasting": page.answers.lasting,
        "held": HELD,
        "keep_days": service.options.keep_days,
        "runs": page.ui.runs is not None,
        "reliability": reliability(),
    }


@cache
def examples() -> list[dict[str, str]]:
    """Questions of the built-in set whose wording names no culture."""
    from multiplex.bench.plan.questions import load

    questions = load("worldviews-175").questions
    return [{"domain": each.domain, "question": each.question} for each in questions if each.cued is False]


@cache
def reliability() -> dict[str, Any] | None:
    """How often the extractor is right, by perspective, on texts that others labelled."""
    from multiplex.bench.analysis.extractor_errors import Confusions

    found = Confusions.load().reliability(FRAME, HEADLINE_CUES, frame_name=DEFAULT)
    return found.model_dump(mode="json") if found else None


def colours() -> str:
    """The style sheet that gives each perspective, and each option of a closed question, its colour."""
    of = {f"of-{name}": colour for name, (colour, _) in COLOURS.items()}
    of |= {f"option-{place}": colour for place, colour in enumerate(OPTION_COLOURS)}
    return "".join(f".{name} {{ --of: {colour} }}\n" for name, colour in of.items())
