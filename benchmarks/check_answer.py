"""Checks what `multiplex answer --json` and `--output FILE.json` left: the contract, and that a model really spoke."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

FRAME = ["western", "islamic", "east_asian", "south_asian", "african", "latin_american", "indigenous"]
ANSWER = {"text", "model", "voices", "lost", "notes", "usage", "seconds", "measures"}
COUNCIL = {"form", "check", "findings"}
VOICE = {"persona", "perspective", "text", "error", "seconds", "usage", "positions", "asks"}
USAGE = {"calls", "input_tokens", "output_tokens"}
MEASURES = {
    "reference_count", "references", "shares", "entropy", "depth", "hill_number", "effective", "excluded",
    "berger_parker", "dominance", "out_of_frame", "sentiment", "words",
}  # fmt: skip


def check(condition: object, what: str) -> None:
    """Stop with a line that says what does not hold."""
    if not condition:
        sys.exit(f"check_answer: {what}")


def check_answer(strategy: str, answer: dict[str, Any]) -> None:
    """The contract of one strategy's answer."""
    check(
        set(answer) == ANSWER | (COUNCIL if strategy == "multiplex" else set()),
        f"{strategy} has the keys {sorted(answer)}",
    )
    check(set(answer["usage"]) == USAGE and answer["usage"]["calls"] >= 1, f"{strategy}'s usage is {answer['usage']}")
    check(all(set(voice) == VOICE for voice in answer["voices"]), f"{strategy}'s voices have other keys")
    measures = answer["measures"]
    check(set(measures) - {"own_words"} == MEASURES, f"{strategy}'s measures have the keys {sorted(measures)}")
    check(list(measures["shares"]) == FRAME, f"{strategy}'s shares are over {list(measures['shares'])}")
    total = sum(measures["shares"].values())
    check(abs(total - (1 if measures["references"] else 0)) < 1e-9, f"{strategy}'s shares add up to {total}")
    check(abs(sum(measures["sentiment"].values()) - 1) < 1e-6, f"{strategy}'s tone is {measures['sentiment']}")
    check((measures["entropy"] is None) == (measures["references"] == 0), f"{strategy}'s entropy without references")


def main() -> None:
    """Check the two files named on the command line."""
    printed, record = (json.loads(Path(name).read_text("utf-8")) for name in sys.argv[1:3])
    check(printed["frame"] == FRAME, f"the frame is {printed['frame']}")
    for strategy, answer in printed["answers"].items():
        check_answer(strategy, answer)
    council, plain = printed["answers"]["multiplex"], printed["answers"]["uniplex"]
    check(len(council["voices"]) == 7, f"{len(council['voices'])} voices")
    check(all(bool(v["text"]) != bool(v["error"]) for v in council["voices"]), "a voice neither spoke nor failed")
    check(len(council["voices"]) - len(council["lost"]) >= 5, f"lost: {council['lost']}")
    check(
        council["measures"]["references"] > plain["measures"]["references"], "the council names no more than the model"
    )
    whole = record["answers"]["multiplex"]
    check(whole["scaffold"] and whole["measures"]["found"], "the record holds no scaffold or no references")
    for voice in whole["rounds"]:
        said = [voice["text"][start:end] for start, end in voice["quoted"]]
        check(
            said == [cited["says"] for cited in voice["positions"]], f"{voice['persona']} says what its file does not"
        )
    check(sum(bool(voice["positions"]) for voice in council["voices"]) >= 6, "voices without a position")
    check("$" not in "".join(v["text"][:1] for v in council["voices"]), "an unfilled template")
    print(
        f"1 question on {council['model']}: uniplex entropy {plain['measures']['entropy']}, "
        f"multiplex {council['measures']['entropy']:.1f}; {council['seconds']:.0f} s, lost {council['lost'] or 'none'}"
    )


if __name__ == "__main__":
    main()
