"""What is asked of a council or of a model alone: one object, checked when it is made, that travels whole."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

from multiplex.council.locales import checked_language
from multiplex.council.personas import Council
from multiplex.council.planning import PlanMode, checked_question
from multiplex.council.quoting import check_speaker
from multiplex.council.strategies import check_strategy
from multiplex.errors import UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.model import Model, as_chat
from multiplex.llm.spec import ModelSpec
from multiplex.settings import Check

Strategy = Literal["uniplex", "contextual", "multiplex"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
DEFAULT_STRATEGIES: tuple[Strategy, ...] = ("uniplex", "multiplex")


@dataclass(frozen=True)
class Order:
    """One question, who answers it and how. `Order.of` makes one and checks it.

    Attributes:
        question: without surrounding space.
        model: answers, and writes the synthesis; `voice_models` replace it for some perspectives.
        rounds: from 2 on the voices read each other and speak again.
        seed: fixes orders and the calls' seeds.
        min_voices: fewer are an error; None: two thirds of the council.
        leave_one_out: whether the synthesis is made once more without each voice: as many further calls as voices.
        language: ISO 639 code of the language in which the council is asked to answer; None: that of the question.
        stance: options; each voice is also asked how likely it is to choose each.
    """

    question: str
    strategies: tuple[Strategy, ...]
    model: Chat
    council: Council
    voice_models: Mapping[str, Chat]
    rounds: int
    plan: PlanMode
    seed: int
    min_voices: int | None
    leave_one_out: bool
    stance: tuple[str, ...] = ()
    language: str | None = None

    @classmethod
    def of(
        cls,
        question: str,
        *,
        strategies: Sequence[str] = DEFAULT_STRATEGIES,
        model: Model = None,
        council: Council | None = None,
        voice_models: Mapping[str, Model] | None = None,
        rounds: int = 1,
        plan: str = "default",
        seed: int | None = None,
        min_voices: int | None = None,
        leave_one_out: bool = False,
        check: Check | None = None,
        stance: Sequence[str] = (),
        language: str | None = None,
    ) -> Order:
        """The order, checked. `seed` None draws one; `check` replaces what the model's spec says of the essay's check.

        A Chat that is given stays open when the order has been carried out.

        Raises:
            UsageError: the question or an argument is wrong.
        """
        chosen = checked_strategies(strategies)
        chat = _lent(model).adjusted(check=check)
        council = council or Council.load()
        council.check(voice_models or (), rounds, min_voices)
        if plan not in get_args(PlanMode):
            raise UsageError(f"--plan {plan!r}: there are {' and '.join(get_args(PlanMode))}")
        question = checked_question(question, local=chat.spec.local)
        voices = {perspective: _lent(other) for perspective, other in (voice_models or {}).items()}
        if stance and "multiplex" not in chosen:
            raise UsageError("--stance: it is the council's voices that are asked; add the strategy multiplex")
        if stance and (small := [each.spec.name for each in (chat, *voices.values()) if each.spec.small]):
            why = f"a small model ({small[0]}) states nothing of a tradition"
            raise UsageError(f"--stance: {why}; give another --model or --voice-model")
        for strategy in chosen:
            check_strategy(strategy, chat.spec)
        if "multiplex" in chosen:
            for persona in council.personas:
                check_speaker(persona, voices.get(persona.perspective, chat).spec, rounds)
        return cls(
            question=question,
            strategies=chosen,
            model=chat,
            council=council,
            voice_models=voices,
            rounds=rounds,
            plan=cast(PlanMode, plan),
            seed=random.randrange(2**31) if seed is None else seed,
            min_voices=min_voices,
            leave_one_out=leave_one_out,
            stance=tuple(stance),
            language=None if language is None else checked_language(language),
        )

    @property
    def chats(self) -> tuple[Chat, ...]:
        """Every model that is asked, once."""
        return tuple(dict.fromkeys((self.model, *self.voice_models.values())))


def is_essay_checked(spec: ModelSpec, council: Council) -> bool:
    """Whether this model writes a council's essay, which is then read against its voices."""
    return spec.synthesis == "written" and spec.check != "none" and len(council.personas) > 1


def checked_strategies(strategies: Sequence[str]) -> tuple[Strategy, ...]:
    """The strategies without repetition.

    Raises:
        UsageError: one is unknown, or there is none.
    """
    unknown = [strategy for strategy in strategies if strategy not in STRATEGIES]
    if unknown or not strategies:
        raise UsageError(f"no strategy {unknown[0] if unknown else ''!r}; there are {', '.join(STRATEGIES)}")
    return tuple(dict.fromkeys(strategies))  # type: ignore[arg-type]  # checked above


def _lent(model: Model) -> Chat:
    """A Chat for this model; one that is its caller's own is closed by nobody else."""
    return model.borrowed() if isinstance(model, Chat) else as_chat(model)
