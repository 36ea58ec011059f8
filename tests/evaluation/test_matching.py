"""The matcher finds what a search for every form at every place finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from multiplex.text.matching import Form, Matcher
from tests.properties import examples

WORDS = st.lists(st.sampled_from(["ubuntu", "kin", "zen", "care"]), min_size=1, max_size=3).map(tuple)


def searched(forms: set[tuple[str, ...]], words: list[str]) -> list[tuple[int, tuple[str, ...]]]:
    """(place, form): of overlapping ones that with more words, then with more letters, then the earlier."""
    there = [(at, form) for at in range(len(words)) for form in forms if tuple(words[at : at + len(form)]) == form]
    taken: list[tuple[int, tuple[str, ...]]] = []
    for at, form in sorted(there, key=lambda each: (-len(each[1]), -len(" ".join(each[1])), each[0])):
        if all(at + len(form) <= other or other + len(than) <= at for other, than in taken):
            taken.append((at, form))
    return sorted(taken)


@examples(60)
@given(st.sets(WORDS, max_size=6), st.lists(st.sampled_from(["ubuntu", "kin", "zen", "care", "rain"]), max_size=12))
def test_of_forms_that_overlap_the_longest_wins_wherever_they_stand(
    forms: set[tuple[str, ...]], words: list[str]
) -> None:
    found = Matcher(Form.of(" ".join(form), "slot", form) for form in sorted(forms)).match(" ".join(words))
    assert [(match.first, match.form.entity) for match in found] == searched(forms, words)
    assert [" ".join(words)[match.start : match.end] for match in found] == [
        " ".join(match.form.entity) for match in found
    ]
