"""The council as a LangGraph: plan, every persona in parallel (again, if there are more rounds), synthesize, check.

START -> plan -> speak x K -> gather -> synthesize -> check -> END
                    ^------------'  while rounds are left

Where nothing is to be checked, `synthesize` makes the whole answer and there is no `check`. `build_graph` draws these
arrows; `_Nodes` says what each node reads of the state (`council/state.py`) and adds to it. What a node does stands in
a module of its own: `planning`, `voice`, `synthesis` (and, for its check, `checking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from multiplex.council.answer import Synthesis, Voice, last_words
from multiplex.council.compiled import NestableGraph, SideLoop, either_way
from multiplex.council.essay import TAG
from multiplex.council.events import writer
from multiplex.council.locales import language_of
from multiplex.council.messages import answer_message
from multiplex.council.personas import Council, Persona
from multiplex.council.planning import PlanMode, plan
from multiplex.council.quoting import check_speaker
from multiplex.council.state import Asked, CouncilState, Turn, plain
from multiplex.council.synthesis import finish, synthesize
from multiplex.council.voice import check_enough_spoke, heard_by, speak
from multiplex.llm.chat import Chat
from multiplex.llm.local.server import PERSONA_SLOTS
from multiplex.llm.model import Model, as_chat
from multiplex.llm.usage import total

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from multiplex.council.checking import Judge

SHOWN = {"tags": [TAG]}  # on what the node itself adds to the essay; its calls bear it already. Front ends show both


def build_graph(
    council: Council | None = None,
    model: Model = None,
    *,
    voice_models: Mapping[str, Model] | None = None,
    rounds: int = 1,
    plan_mode: PlanMode = "default",
    min_voices: int | None = None,
    judge: Judge | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
    name: str = "multiplex",
) -> NestableGraph:
    """The compiled graph; ask it with `await graph.ainvoke({"messages": [("user", question)]})`.

    The answer is the last of `messages`, said by `name`; `voices` and `synthesis` hold the parts. Another graph that
    has it as a node shares `messages` with it, and may hand it a `seed`. Events of `council/events.py`
    come in the stream mode `custom`. `voice_models` gives a perspective a model of its own. `judge` is a
    natural-language-inference model that decides beside the check (`council/checking.py`).

    Raises:
        UsageError: an argument is wrong. Running the graph raises UsageError for a question that cannot be asked,
            ModelError where no call succeeded (CallError: the endpoint refused each), VoicesLostError where fewer
            than `min_voices` spoke.
    """
    council = council or Council.load()
    needed = council.check(voice_models or (), rounds, min_voices)
    chat = as_chat(model)
    own = {perspective: as_chat(other) for perspective, other in (voice_models or {}).items()}
    chats = {perspective: own.get(perspective, chat) for perspective in council.perspectives}
    for persona in council.personas:
        check_speaker(persona, chats[persona.perspective].spec, rounds)
    nodes = _Nodes(council, chat, chats, rounds, plan_mode, needed, judge, name)
    beside = SideLoop({chat, *chats.values()})
    graph = StateGraph(CouncilState, input_schema=Asked)
    graph.add_node("plan", either_way(nodes.plan, beside))
    graph.add_node("speak", either_way(nodes.speak, beside), input_schema=Turn)
    graph.add_node("gather", nodes.gather)
    graph.add_node("synthesize", either_way(nodes.synthesize, beside), metadata=SHOWN)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", nodes.fan_out, ["speak"])
    graph.add_edge("speak", "gather")
    graph.add_conditional_edges("gather", nodes.next_round, ["speak", "synthesize"])
    if nodes.checked:
        graph.add_node("check", either_way(nodes.check, beside))
        graph.add_edge("check", END)
    graph.add_edge("synthesize", "check" if nodes.checked else END)
    return NestableGraph(**vars(graph.compile(checkpointer=checkpointer, name=name)))


@dataclass(frozen=True)
class _Nodes:
    """What the graph's nodes do, and what they need: `chats` by perspective, and how many voices must speak."""

    council: Council
    chat: Chat
    chats: Mapping[str, Chat]
    rounds: int
    plan_mode: PlanMode
    needed: int
    judge: Judge | None
    name: str

    @property
    def checked(self) -> bool:
        """Whether a node of its own checks the answer."""
        return self.chat.spec.check != "none"

    async def plan(self, state: CouncilState) -> dict[str, Any]:
        """The question as it stands alone, and each perspective's task; what an earlier question left is cleared."""
        seed, quoting = state.get("seed", 0), [name for name, chat in self.chats.items() if chat.spec.small]
        made = await plan(state["messages"], self.council, self.chat, self.plan_mode, seed, language_of(state), quoting)
        return {"question": made.question, "tasks": made.tasks, "planning": plain(made), "seed": seed, "round": 1,
                "voices": None}  # fmt: skip

    def fan_out(self, state: CouncilState) -> list[Send]:
        """One `speak` for each persona; they run at the same time."""
        return [Send("speak", self._turn(state, persona)) for persona in self.council.personas]

    def _turn(self, state: CouncilState, persona: Persona) -> Turn:
        heard = heard_by(persona, self._voices(state), state["seed"])
        near, language = state["planning"].near.get(persona.name), language_of(state)
        return Turn(persona=persona.name, question=state["question"], task=state["tasks"][persona.perspective],
                    near=None if near is None else list(near), seed=state["seed"], round=state["round"],
                    heard=heard, language=language.code, language_chosen=language.chosen)  # fmt: skip

    async def speak(self, turn: Turn) -> dict[str, Any]:
        """One voice, lost or not; the embedded model keeps a persona's prompt in the slot of its place."""
        place = [persona.name for persona in self.council.personas].index(turn["persona"])
        persona, slot = self.council.personas[place], place if place < PERSONA_SLOTS else None
        voice = await speak(persona, self.chats[persona.perspective], turn, slot, writer())
        return {"voices": [plain(voice)]}

    def gather(self, state: CouncilState) -> dict[str, int]:
        """The end of a round, where enough have spoken."""
        check_enough_spoke(self._voices(state), self.needed)
        return {"round": state["round"] + 1}

    def next_round(self, state: CouncilState) -> list[Send] | str:
        """All speak again, having heard the others, or the round was the last."""
        return self.fan_out(state) if state["round"] <= self.rounds else "synthesize"

    async def synthesize(self, state: CouncilState) -> dict[str, Any]:
        """The draft; the whole answer where nothing checks it."""
        voices, language = self._voices(state), language_of(state)
        draft = await synthesize(state["question"], voices, self.chat, state["seed"], writer(), language)
        return {"draft": plain(draft)} if self.checked else await self._finish(state, draft)

    async def check(self, state: CouncilState) -> dict[str, Any]:
        """The answer: the draft read against its voices."""
        return await self._finish(state, state["draft"])

    async def _finish(self, state: CouncilState, draft: Synthesis) -> dict[str, Any]:
        personas = {persona.name: persona for persona in self.council.personas}
        synthesis = await finish(
            draft, state["question"], self._voices(state), personas, self.chat, state["seed"], writer(), self.judge,
            language_of(state),
        )  # fmt: skip
        usage = total([state["planning"].usage, *(voice.usage for voice in state["voices"]), synthesis.usage])
        said = answer_message(synthesis.text, usage, synthesis.message_id, self.name)
        return {"synthesis": plain(synthesis), "messages": [said]}

    def _voices(self, state: CouncilState) -> list[Voice]:
        """What each said last, in the council's order."""
        return last_words(state["voices"], self.council.perspectives)
