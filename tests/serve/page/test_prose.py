"""Markdown as a tree of nodes: every word in its place, every reference on its words, and no text that breaks it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from multiplex.evaluation import Evaluator, Reference, split
from multiplex.evaluation.extraction.references import Span
from multiplex.serve.page.markdown_nodes import Node, prose

ANSWER = """# Care and *ubuntu*

In **Islamic** law, _zakat_ is due. Koreans say `jeong` is *warm*; "filial piety" (xiao) too.

- **Ubuntu** binds kin
- Among the **Māori**, *whanaungatanga*
  1. Kant's duty
  2. dharma

> Confucius said: honour *parents*.
> Koreans still do.

| Tradition | Idea |
|---|---|
| Islamic | zakat |
| African | **ubuntu** |

```
ubuntu = zakat
```

Ubuntu\\* and zakat &amp; dharma.  
Koreans next. [Kant](http://x) ![zakat](y)

Ubuntu
------
Kant***dharma***zakat and **Kant**ians; *Ubuntu*'s.
"""  # noqa: W291  # two spaces are a line break
PARTS = """**Western**: Kant, and *autonomy*.
**Islamic**: *(zakat)* and **"sadaqah"**.
1. ubuntu
2) dharma

***
* Koreans
+ Japanese

    code zakat

end `Kant` **ubuntu**"""


def refer(text: str, *pieces: str, cue: str = "concept") -> list[Reference]:
    """One reference for each piece, at the first place where it stands."""
    found = []
    for number, piece in enumerate(pieces):
        start = text.index(piece)
        found.append(Reference(start, start + len(piece), piece, "id", "african", cue, number))  # type: ignore[arg-type]
    return found


def implied(text: str) -> list[Reference]:
    """One reference for each sentence, as the classifier makes them."""
    return [
        Reference(each.start, each.end, each.text, "", "african", "implied", number, score=0.7)
        for number, each in enumerate(split(text))
    ]


def words(nodes: Sequence[Node]) -> str:
    return "".join(node if isinstance(node, str) else words(node["c"]) for node in nodes)


def bare(nodes: Sequence[Node]) -> list[Any]:
    """The tree without its marks."""
    found: list[Any] = []
    for node in nodes:
        plain = isinstance(node, str) or node["t"] not in ("mark", "s")
        inner: list[Any] = bare(node["c"]) if not isinstance(node, str) else [node]
        for each in inner if isinstance(node, str) or not plain else [{**node, "c": inner}]:
            if isinstance(each, str) and found and isinstance(found[-1], str):
                found[-1] += each
            else:
                found.append(each)
    return found


def elements(nodes: Sequence[Node], tag: str) -> Iterator[dict[str, Any]]:
    for node in nodes:
        if not isinstance(node, str):
            if node["t"] == tag:
                yield node
            yield from elements(node["c"], tag)


def marked(nodes: Sequence[Node]) -> dict[int, str]:
    """By reference, all the text of its marks."""
    found: dict[int, str] = {}
    for mark in elements(nodes, "mark"):
        for number in mark["r"]:
            found[number] = found.get(number, "") + words(mark["c"])
    return found


def scaffold(nodes: Sequence[Node]) -> list[str]:
    return [words(node["c"]) for node in elements(nodes, "s")]


def letters(text: str) -> str:
    """A text's words without Markdown's signs and without space."""
    return re.sub(r"[\W_]", "", text)


def sound(text: str, references: Sequence[Reference], spans: Sequence[Span] = ()) -> None:
    """The references change nothing of the tree, and each lies on its own words."""
    nodes = prose(text, references, spans)
    assert bare(nodes) == bare(prose(text))
    told = marked(nodes)
    assert {number: letters(told.get(number, "")) for number in range(len(references))} == {
        number: letters(each.text) for number, each in enumerate(references)
    }


# --- where references stand


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("Of **ubuntu** too", [{"t": "p", "c": ["Of ", {"t": "strong", "c": ["MARK"]}, " too"]}]),
        ("Of *ubuntu* too", [{"t": "p", "c": ["Of ", {"t": "em", "c": ["MARK"]}, " too"]}]),
        ("- ubuntu", [{"t": "ul", "c": [{"t": "li", "c": ["MARK"]}]}]),
        ("# Of ubuntu", [{"t": "h3", "c": ["Of ", "MARK"]}]),
        ("> ubuntu.", [{"t": "blockquote", "c": [{"t": "p", "c": ["MARK", "."]}]}]),
        ("`ubuntu`", [{"t": "p", "c": [{"t": "code", "c": ["MARK"]}]}]),
        ("```\nof ubuntu\n```", [{"t": "pre", "c": [{"t": "code", "c": ["of ", "MARK", "\n"]}]}]),
        ("    ubuntu", [{"t": "pre", "c": [{"t": "code", "c": ["MARK", "\n"]}]}]),
    ],
)
def test_a_reference_is_marked_wherever_markdown_puts_it(text: str, tree: list[Node]) -> None:
    nodes = prose(text, refer(text, "ubuntu"))
    mark = {"t": "mark", "r": [0], "c": ["ubuntu"]}
    assert nodes == json.loads(json.dumps(tree).replace('"MARK"', json.dumps(mark)))


def test_a_reference_in_a_table_is_in_its_cell() -> None:
    text = "| Idea | Of |\n|---|---|\n| care | ubuntu, say |\n"
    cells = list(elements(prose(text, refer(text, "ubuntu")), "td"))
    assert cells[1] == {"t": "td", "c": [{"t": "mark", "r": [0], "c": ["ubuntu"]}, ", say"]}


def test_overlapping_references_are_cut_where_either_ends() -> None:
    text = "In Muslim Nigeria elders"
    found = refer(text, "Muslim Nigeria", "Muslim", "Nigeria elders")
    assert prose(text, found) == [
        {
            "t": "p",
            "c": [
                "In ",
                {"t": "mark", "r": [0, 1], "c": ["Muslim"]},
                {"t": "mark", "r": [0], "c": [" "]},
                {"t": "mark", "r": [0, 2], "c": ["Nigeria"]},
                {"t": "mark", "r": [2], "c": [" elders"]},
            ],
        }
    ]


def test_a_reference_across_emphasis_is_marked_on_both_sides_of_it() -> None:
    text = "The *Day of* the Dead is kept."
    nodes = prose(text, refer(text, "Day of* the Dead"))
    assert marked(nodes) == {0: "Day of the Dead"}
    assert bare(nodes) == bare(prose(text))


def test_two_references_to_the_same_words_share_one_mark() -> None:
    text = "Sufi poems"
    assert prose(text, refer(text, "Sufi", "Sufi"))[0]["c"][0] == {"t": "mark", "r": [0, 1], "c": ["Sufi"]}  # type: ignore[index]


@pytest.mark.parametrize(
    "text",
    [
        "**Elders come first.** Then the others.",
        "_Elders come first._ Then the others.",
        '**"Care"** is all. He said *"care"*.',
        "- one **two.**\n- _three_\n- **Four:** five",
        "| Of | Idea |\n|---|---|\n| Islam | zakat is due |\n| Africa | kin is all |\n\nAfter the table.",
        "Of | Idea\n--- | ---\nIslam | zakat is due\n",
        "> quoted **line**\n> goes on\n\nAfter the quotation.",
        "A break here\\\nnext line.  \nAnd the last.",
        "## **Bold heading:** and more\n\nText.",
        "- [x] done it\n- [ ] not yet",
        "```\ncode text here\n```\n\n    indented code\n\nText.",
        ANSWER,
        PARTS,
    ],
)
def test_a_whole_sentence_as_a_reference_leaves_its_markdown_as_it_is(text: str) -> None:
    found = implied(text)
    assert found
    for each in found:
        sound(text, [each])
    sound(text, found)


def test_a_reference_that_the_parser_swallows_colours_nothing_else() -> None:
    cells = "| a | b |\n|---|---|\n| c | d | ubuntu |\n\nThe text after it.\n"  # a third cell of two is dropped
    assert marked(prose(cells, refer(cells, "ubuntu"))) == {}
    half = "| a | b |\n|---|---|\n| c | kin is all | first |\n\nThe text after it.\n"
    assert marked(prose(half, refer(half, "kin is all | first"))) == {0: "kin is all"}
    fence = "```ubuntu\ncode\n```\n\nThe text after it.\n"
    assert "after" not in "".join(marked(prose(fence, refer(fence, "ubuntu"))).values())


# --- what our own code wrote


def test_scaffold_is_told_apart_without_the_signs_that_make_a_list_of_it() -> None:
    text = "## Where they agree\n\n- **Western:** autonomy\n- **African:** ubuntu\n"
    spans = [(0, text.index("autonomy")), (text.index("- **African"), text.index("ubuntu"))]
    nodes = prose(text, refer(text, "ubuntu"), spans)
    assert [re.sub(r"\W+$", "", each) for each in scaffold(nodes) if each.strip("*: ")] == [
        "Where they agree", "Western", "African",
    ]  # fmt: skip
    assert bare(nodes) == bare(prose(text))
    assert [each["t"] for each in nodes] == ["h3", "ul"]  # type: ignore[index]
    assert marked(nodes) == {0: "ubuntu"}


def test_a_reference_within_scaffold_is_a_reference() -> None:
    text = "Speaking as Koreans do"
    nodes = prose(text, refer(text, "Koreans"), [(0, len(text))])
    assert marked(nodes) == {0: "Koreans"}
    assert scaffold(nodes) == ["Speaking as ", " do"]


# --- the real measures


@pytest.fixture(scope="module")
def evaluator() -> Evaluator:
    return Evaluator()


@pytest.mark.parametrize("text", [ANSWER, PARTS, (ANSWER + "\n\n" + PARTS + "\n\n") * 3])
def test_every_reference_that_is_measured_is_marked_on_its_words(evaluator: Evaluator, text: str) -> None:
    found = evaluator.measure(text).references
    assert len(found) >= 12
    sound(text, found)
    told = marked(prose(text, found))
    named = {number: each.text for number, each in enumerate(found) if each.cue != "implied"}
    assert {number: told[number] for number in named} == named


def test_no_arrangement_of_lines_is_changed_by_its_references() -> None:
    own = ["", "", "---", "> - ubuntu", "_zakat_ (`xiao`)", "**Kin.**", "\tKant"]
    lines = [*ANSWER.split("\n"), *PARTS.split("\n"), *own]
    dice = random.Random(7)
    for _ in range(250):
        text = "\n".join(dice.choices(lines, k=dice.randint(1, 12)))
        known = [each for word in ("ubuntu", "zakat", "Kant") if word in text for each in refer(text, word)]
        sound(text, [*(each for each in implied(text) if "\n" not in each.text), *known])


# --- texts that break things


def test_characters_that_mean_nothing_may_stand_in_a_text() -> None:
    text = "\U000f0000ubuntu\U000f0001 \ue000 \U000f0010\U000f0002 zakat\U0010fffd"
    nodes = prose(text, refer(text, "ubuntu", "zakat"))
    assert words(nodes) == text
    assert marked(nodes) == {0: "ubuntu", 1: "zakat"}


def test_a_text_that_holds_all_of_them_is_shown_without_marks() -> None:
    text = "ubuntu" + "".join(chr(code) for code in range(0xF0000, 0xFFFFE))
    assert prose(text, refer(text, "ubuntu")) == [{"t": "p", "c": [text]}]


def test_hundreds_of_references_each_have_their_number() -> None:
    text = " and ".join(f"word{number}" for number in range(900))
    found = [
        Reference(each.start(), each.end(), each[0], "id", "african", "concept", 0)
        for each in re.finditer(r"word\d+", text)
    ]
    assert marked(prose(text, found)) == {number: f"word{number}" for number in range(900)}


def test_the_work_grows_with_the_text_and_not_with_its_square() -> None:
    class Place(int):
        """A place in the text that counts how often it is compared."""

        looks = 0

        def __le__(self, other: int) -> bool:
            Place.looks += 1
            return super().__le__(other)

        def __lt__(self, other: int) -> bool:
            Place.looks += 1
            return super().__lt__(other)

    def looks(count: int) -> int:
        Place.looks = 0
        found = [
            Reference(Place(6 * each), Place(6 * each + 5), "zakat", "id", "islamic", "concept", each)
            for each in range(count)
        ]
        assert len(marked(prose("zakat " * count, found))) == count
        return Place.looks

    assert looks(1600) <= 3 * looks(800)


@pytest.mark.parametrize(
    "text",
    [
        ">" * 10_000 + "a", "> " * 10_000 + "a", "*" * 20_000, "_" * 20_000, "[" * 20_000, "![" * 10_000, "`" * 20_000,
        "~" * 20_000, "<" * 20_000, "&" * 20_000, "\\" * 20_001, "|" * 20_000 + "\n|" + "-|" * 10_000, "#" * 20_000,
        "- " * 10_000 + "a", "1. " * 6_000 + "a", "\n" * 20_000, "\t" * 20_000,
        "*a **b " * 3_000 + "c" + "** *" * 3_000,
        "".join("  " * depth + "- a\n" for depth in range(400)), "a\0b\r\nc\rd\u2028e",
    ],
    ids=lambda text: f"{text[:4]!r}",
)  # fmt: skip
def test_a_text_of_nothing_but_signs_is_no_trouble(text: str) -> None:
    nodes = prose(text, [Reference(0, 1, text[0], "id", "african", "concept", 0)], [(1, 2)])
    assert len(json.dumps(nodes)) < 100 * len(text)


@pytest.mark.parametrize("sign", ["*", "**", "_", "__"])
@pytest.mark.parametrize("depth", [30, 300, 4_000])
def test_emphasis_within_emphasis_has_an_end(sign: str, depth: int) -> None:
    text = f"{sign}a " * depth + "ubuntu" + f" a{sign}" * depth
    nodes = prose(text, refer(text, "ubuntu"))
    assert marked(nodes) == {0: "ubuntu"}
    assert words(nodes).replace(sign, "").split() == text.replace(sign, "").split()
    json.dumps(nodes)  # which recurses too, as does the page
    assert deep(nodes) <= 110


@pytest.mark.parametrize("depth", [8, 25, 4_000])
@pytest.mark.parametrize("sign", ["> ", "- ", "1. "])
def test_what_is_quoted_or_listed_too_deep_is_shown_all_the_same(sign: str, depth: int) -> None:
    text = f"{sign * depth}ubuntu is care\n\nand then"
    nodes = prose(text, refer(text, "ubuntu"))
    assert marked(nodes) == {0: "ubuntu"}
    assert words(nodes).endswith("ubuntu is careand then")
    assert deep(nodes) <= 110


def deep(nodes: Sequence[Node]) -> int:
    return 1 + max((deep(node["c"]) for node in nodes if not isinstance(node, str)), default=0)


# --- what is never made of a text


@pytest.mark.parametrize(
    "text",
    [
        "<script>window.hacked = 1</script>",
        "a <img src=x onerror=alert(1)> b",
        "<div>\n\n<b>x</b>\n\n</div>",
        "[x](javascript:alert(1))",
        "![x](http://elsewhere.example/x.png)",
        "<javascript:alert(1)>",
        "<http://elsewhere.example>",
        "[x]: http://elsewhere.example\n\n[x]",
        "http://elsewhere.example",
        "&lt;script&gt; &amp; &#60;",
        "~~gone~~",
    ],
)
def test_no_html_no_link_and_no_image_comes_of_a_text(text: str) -> None:
    nodes = prose(text)
    assert words(nodes).replace("\n", "") == text.replace("\n", "")
    assert all(each["t"] == "p" for each in nodes if not isinstance(each, str))
    assert not any(list(elements(nodes, tag)) for tag in ("a", "img", "script", "b", "s", "mark"))


def test_headings_stand_below_those_of_the_page() -> None:
    text = "\n\n".join(f"{'#' * level} h" for level in range(1, 7))
    assert [node["t"] for node in prose(text)] == ["h3", "h3", "h4", "h5", "h6", "h6"]  # type: ignore[index]


def test_a_list_that_goes_on_after_a_paragraph_keeps_its_number() -> None:
    first, _, second = prose("1. **A**\n\nText between.\n\n2. **B**\n")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert "start" not in first
    assert second["start"] == 2


def test_nothing_comes_of_nothing() -> None:
    assert prose("") == prose(" \n\t ") == []
