"""How much of each voice stands in a synthesis: controls with known answers, and the text that must not win."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from multiplex.errors import ContentError, UsageError
from multiplex.evaluation.extraction.gazetteer import Gazetteer, shipped_gazetteer
from multiplex.evaluation.extraction.references import count, find
from multiplex.evaluation.retention.attribution import (
    blind_attribution,
    homogeneity,
    homogenisation,
    parts_of_synthesis,
)
from multiplex.evaluation.retention.coverage import (
    Calibration,
    Coverage,
    evenness,
    load_calibration,
    measure_coverage,
    net,
)
from multiplex.evaluation.retention.entailment import CONTRADICTION, ENTAILMENT, NEUTRAL, Entailment
from multiplex.evaluation.retention.masking import Claim, claims, visible, without_cues
from multiplex.evaluation.retention.perspective_classifier import PerspectiveClassifier
from multiplex.evaluation.retention.similarity import Vectors, entailed
from multiplex.evaluation.statistics.diversity import entropy_percent
from multiplex.llm.embeddings import Embedder

# Seven voices on who should care for ageing parents: plain claims in our own words; what they tell of laws and
# customs is general knowledge.
VOICES = {
    "western": (
        "Each grown child may weigh care against a life of their own, since nobody is bound without consent.",
        "Western states pay for nursing so that daughters are not forced out of their jobs.",
        "By the principle of autonomy an old mother keeps the right to refuse help, even where her children think her "
        "unwise.",
        "Families do well to write down who pays for what before an illness begins.",
    ),
    "islamic": (
        "Islam places kindness to parents next to the worship of God.",
        "Muslim jurists let a court order a son with means to support a father who is poor.",
        "A harsh word to a weary parent is already a wrong.",
        "Brothers and sisters should take counsel together before one of them decides.",
    ),
    "east_asian": (
        "Filial piety asks for reverence in the giving, because food without respect is what one gives to animals.",
        "The eldest son and his wife used to share a roof with the old couple.",
        "Japanese insurance now covers the long-term care of everyone over forty.",
        "Many young Koreans live too far from their village to keep the promise.",
    ),
    "south_asian": (
        "Dharma ties the service of the old to one's stage of life and place in the house.",
        "Indian law gives a neglected parent a monthly allowance from grown children.",
        "The daughter-in-law does most of the washing and feeding, and reformers ask who will serve her.",
        "An old man may also leave the household behind to seek liberation.",
    ),
    "african": (
        "Ubuntu says that we become persons through others, so no elder is left to grow old alone.",
        "A meeting of the extended family, aunts and uncles included, settles whose compound the grandmother joins.",
        "Money sent home by those who work in the city counts as care too.",
        "In return the old teach the grandchildren their names and histories.",
    ),
    "latin_american": (
        "Familismo expects relatives to live close and to make sacrifices for one another.",
        "Godparents and neighbours step in where the sons have emigrated.",
        "Latin American feminists demand that unpaid care be shared with men and with the state.",
        "A pension in cash lets a grandfather in a poor district choose his own helper.",
    ),
    "indigenous": (
        "The aged are keepers of language and land, and looking after them keeps the nation whole.",
        "Among the Maori the wider whanau decides who brings the old one home.",
        "Boarding schools broke the ties between generations, so care today is also repair.",
        "Decisions are made in a circle where the oldest person speaks first.",
    ),
}

# The same claims one by one, reworded as a faithful synthesis would, and naming nobody.
PARAPHRASES = {
    "western": (
        "No one is bound to it without consent: every adult child may weigh caring against having a life of their own.",
        "The state pays for nursing, so that daughters need not give up their jobs.",
        "The old mother keeps her right to refuse help even when her children find that unwise.",
        "It is wise for a family to write down, before any illness, who will pay for what.",
    ),
    "islamic": (
        "Being kind to one's parents stands right beside worshipping God.",
        "A judge can order a son who has the means to support his poor father.",
        "To speak harshly to a tired parent is a wrong in itself.",
        "Before any one of them decides, the siblings should consult each other.",
    ),
    "east_asian": (
        "What counts is to give with reverence, for feeding without respect is how one treats animals.",
        "Formerly the oldest son and his wife lived under one roof with the aged couple.",
        "Insurance today pays for long-term care for all who are older than forty.",
        "The young often live too far away from the village to keep that promise.",
    ),
    "south_asian": (
        "Serving the old depends on the stage of life one has reached and one's place in the household.",
        "By law a parent who is neglected can claim a monthly allowance from adult children.",
        "Most washing and feeding falls to the daughter-in-law, and reformers ask who serves her in turn.",
        "A man grown old may leave home and household to seek liberation.",
    ),
    "african": (
        "Since we become persons through other people, no elder should grow old alone.",
        "The extended family, with its uncles and aunts, meets to settle which compound grandmother will join.",
        "Sending money home from work in the city is a way of caring as well.",
        "The old repay it by teaching grandchildren their names and their history.",
    ),
    "latin_american": (
        "Relatives are expected to live near each other and to sacrifice for one another.",
        "Where sons have emigrated, neighbours and godparents step in.",
        "Feminists ask that men and the state share the unpaid work of care.",
        "With a cash pension a grandfather in a poor neighbourhood can choose who helps him.",
    ),
    "indigenous": (
        "Old people keep the language and the land, and caring for them keeps the nation whole.",
        "The wider kin decides who will bring the old person home.",
        "Because boarding schools broke the bonds between generations, caring now is also repairing.",
        "The decision is taken in a circle in which the oldest speaks first.",
    ),
}

# The same again in words of another kind: nearly none in common with the claim.
FREE = {
    "Families do well to write down who pays for what before an illness begins.": (
        "Put the money side on paper while everyone is still healthy."
    ),
    "Money sent home by those who work in the city counts as care too.": (
        "Remittances are a form of looking after one's people."
    ),
    "The daughter-in-law does most of the washing and feeding, and reformers ask who will serve her.": (
        "The heaviest chores fall on the son's wife, which critics find unjust."
    ),
    "Decisions are made in a circle where the oldest person speaks first.": (
        "People sit in a ring and the senior among them opens the discussion."
    ),
}

NEGATIONS = {
    "Families do well to write down who pays for what before an illness begins.": (
        "Families do not do well to write down who pays for what before an illness begins."
    ),
    "Islam places kindness to parents next to the worship of God.": (
        "Islam does not place kindness to parents next to the worship of God."
    ),
    "Decisions are made in a circle where the oldest person speaks first.": (
        "Decisions are not made in a circle where the oldest person speaks first."
    ),
}

CALIBRATION = Calibration(about="", threshold=0.7, null_share=0.05, model="none", claims=1)
SAID = {name: " ".join(sentences) for name, sentences in VOICES.items()}
RETOLD = {name: " ".join(sentences) for name, sentences in PARAPHRASES.items()}


@pytest.fixture(scope="module")
def shipped() -> Gazetteer:
    return shipped_gazetteer()


class Remembering(Embedder):
    """The real model, which reads a sentence once: the controls below compare the same voices again and again."""

    def __init__(self) -> None:
        self.seen: dict[str, np.ndarray] = {}

    def encode(self, sentences: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(sentences) if text not in self.seen]
        self.seen.update(zip(new, super().encode(new), strict=True))
        return np.array([self.seen[text] for text in sentences])


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Remembering()


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("The Japanese value elders.", "this value elders."),
        ("Britain's families and the United States' courts differ.", "this families and this' courts differ."),
        ("Ubuntu and zakat oblige Muslims, Koreans and Jews alike.", "this oblige this alike."),
        ("It crossed the Indian Ocean.", "It crossed the Indian Ocean."),
        ("Water boils.\n\n- In Japan it does too.", "Water boils.\n\n- In this it does too."),
        ("", ""),
    ],
)
def test_every_cue_becomes_one_placeholder(gazetteer: Gazetteer, text: str, bare: str) -> None:
    assert without_cues(text, gazetteer) == bare


def test_a_placeholder_can_be_chosen(gazetteer: Gazetteer) -> None:
    assert (
        without_cues("Confucius aside, Koreans care.", gazetteer, placeholder="they") == "Confucius aside, they care."
    )
    assert without_cues("In Korea elders rest.", gazetteer, placeholder="") == "In elders rest."


def test_two_cultures_masked_are_one_text(shipped: Gazetteer) -> None:
    assert without_cues("In Japan the elders decide.", shipped) == without_cues(
        "In Nigeria the elders decide.", shipped
    )


def test_claims_are_the_sentences_of_four_words_outside_the_scaffold(gazetteer: Gazetteer) -> None:
    text = "## Voices\n- **One:** Elders decide after long talk. It depends. Then all of them eat together.\n"
    start = text.index("**One:**")
    found = claims(text, gazetteer, [(start, start + len("**One:**"))], least=4)
    assert [one.text for one in found] == ["Elders decide after long talk.", "Then all of them eat together."]
    with pytest.raises(UsageError, match="does not lie in a text"):
        claims("short", gazetteer, [(0, 9)])


def test_scaffold_keeps_apart_what_it_stood_between(gazetteer: Gazetteer) -> None:
    text = "- **One:** the old decide alone\n- **Two:** the young decide alone"
    marks = [(0, 11), (text.index("\n"), text.index("the young"))]
    assert [one.text for one in claims(text, gazetteer, marks)] == ["the old decide alone", "the young decide alone"]
    assert visible("abcdef", [(4, 5), (1, 3), (2, 3)]).split() == ["a", "d", "f"]


def test_overlap_rises_with_every_voice_that_the_synthesis_retells(embedder: Embedder) -> None:
    retold = list(RETOLD.values())
    means = []
    for told in range(8):
        text = "\n\n".join(["Much is said about the matter.", *retold[:told]])
        means.append(measure_coverage(SAID, text, embedder=embedder).mean)
    assert means[0] == 0
    assert all(before < after for before, after in pairwise(means)), means
    assert means[-1] > 0.5, means


def test_the_voice_that_is_left_out_is_the_one_that_is_missing(embedder: Embedder) -> None:
    for name in SAID:
        others = "\n\n".join(text for other, text in RETOLD.items() if other != name)
        found = measure_coverage(SAID, others, embedder=embedder).perspectives
        assert min(found, key=lambda one: found[one].share) == name
        assert found[name].share <= 0.25


def test_the_text_that_names_everyone_and_says_nothing_does_not_win(shipped: Gazetteer, embedder: Embedder) -> None:
    names = ("Western", "Islamic", "East Asian", "South Asian", "African", "Latin American", "Indigenous")
    empty = " ".join(f"{name} culture values family." for name in names)
    full = "\n\n".join(RETOLD.values())
    assert entropy_percent(count(find(empty, shipped))) == pytest.approx(100)
    assert entropy_percent(count(find(full, shipped))) is None
    for_nothing, for_all = (measure_coverage(SAID, text, embedder=embedder) for text in (empty, full))
    assert for_nothing.mean == 0
    assert for_nothing.mean_net <= 0
    assert for_nothing.evenness is None
    assert for_all.mean_net > 0.5
    assert for_all.evenness > 0.9


def test_a_negation_overlaps_which_is_why_overlap_is_not_called_coverage(embedder: Embedder) -> None:
    for claim, negation in NEGATIONS.items():
        assert measure_coverage({"western": claim}, negation, embedder=embedder).mean == 1, negation


def test_a_free_rewording_is_missed(embedder: Embedder) -> None:
    found = [measure_coverage({"western": claim}, text, embedder=embedder).mean for claim, text in FREE.items()]
    assert sum(found) <= 1, found


def test_a_claim_under_another_name_is_still_overlap_of_who_said_it(embedder: Embedder) -> None:
    stolen = "In Japan, Godparents and neighbours step in where the sons have emigrated."
    found = measure_coverage(SAID, stolen, embedder=embedder).perspectives
    assert {name for name, one in found.items() if one.covered} == {"latin_american"}


def test_a_copied_voice_is_told_apart_from_a_retold_one(embedder: Embedder) -> None:
    copied = measure_coverage(SAID, "\n\n".join(SAID.values()), embedder=embedder)
    retold = measure_coverage(SAID, "\n\n".join(RETOLD.values()), embedder=embedder)
    assert (copied.mean, copied.extractiveness, copied.by_construction) == (1, 1, True)
    assert (retold.extractiveness, retold.by_construction) == (0, False)


@pytest.mark.parametrize(
    ("claim", "text", "share"),
    [
        ("Elders must be heard first by all.", "One voice says that elders must be heard FIRST, by all of us.", 1),
        ("Consider that elders must be heard first by all here.", "**Elders** must be heard first by all here", 1),
        ("In Nigeria elders must be heard first by all.", "In Nigeria elders must be heard first by all.", 1),
        ("Elders must be heard first by all.", "All must hear the elders first.", 0),
        ("Elders must be heard first by all, and after them the children may speak.", "Elders must be heard first.", 0),
    ],
)
def test_word_for_word_means_the_same_words_in_a_row(claim: str, text: str, share: int, embedder: Embedder) -> None:
    assert measure_coverage({"african": claim}, text, embedder=embedder).extractiveness == share


def test_masked_alike_is_not_copied(embedder: Embedder) -> None:
    found = measure_coverage(
        {"african": "In Nigeria cattle pay the bride price."}, "In Japan cattle pay the bride price."
    )
    assert (found.mean, found.extractiveness) == (1, 0)


def test_scaffold_is_not_compared(embedder: Embedder) -> None:
    text = "Everyone agrees on little. " + VOICES["african"][2]
    span = (text.index("Money"), len(text))
    assert measure_coverage(SAID, text, embedder=embedder).perspectives["african"].covered == 1
    hidden = measure_coverage(SAID, text, scaffold=[span], embedder=embedder)
    assert hidden.perspectives["african"].covered == 0


def test_a_null_of_the_run_goes_before_the_shipped_one(embedder: Embedder) -> None:
    whole = "\n".join((*VOICES["african"], *VOICES["islamic"]))
    nulls = {"african": "\n".join((*VOICES["african"][:2], *VOICES["islamic"])), "islamic": whole}
    found = measure_coverage(
        {name: SAID[name] for name in ("african", "islamic", "western")},
        whole, leave_one_out=nulls, embedder=embedder, calibration=CALIBRATION,
    ).perspectives  # fmt: skip
    assert (found["african"].null, found["african"].without, found["african"].net) == ("run", 0.5, 1)
    assert (found["islamic"].without, found["islamic"].net) == (1, None)
    assert (found["western"].null, found["western"].without) == ("shipped", 0.05)
    assert found["western"].net == pytest.approx(-0.05 / 0.95)


def test_a_voice_without_a_claim_has_no_figure(embedder: Embedder) -> None:
    found = measure_coverage(SAID | {"western": "It depends."}, RETOLD["african"], embedder=embedder)
    one = found.perspectives["western"]
    assert (one.claims, one.covered) == (0, 0)
    assert (one.share, one.without, one.null, one.net, one.extractiveness) == (None,) * 5
    alone = measure_coverage({"western": "It depends."}, "Nothing else.", embedder=embedder)
    assert (alone.mean, alone.mean_net, alone.evenness, alone.extractiveness) == (None,) * 4
    assert not alone.by_construction


def test_net_and_evenness_in_closed_form() -> None:
    assert net(0.6, 0.2) == pytest.approx(0.5)
    assert net(1, 0.2) == 1
    assert net(0.1, 0.2) == pytest.approx(-0.125)
    assert net(1, 1) is None
    assert net(None, 0.1) is None
    assert evenness({"a": 0.5, "b": 0.5, "c": None}) == pytest.approx(1)
    assert evenness({"a": 0.7, "b": -0.2}) == pytest.approx(0)
    assert evenness({"a": 0.75, "b": 0.25}) == pytest.approx(0.8112781)
    assert evenness({"a": 0, "b": -0.1}) is None
    assert evenness({"a": 0.4, "b": None}) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"voices": {}, "synthesis": "Something."}, "no voice is given"),
        ({"voices": SAID, "synthesis": " \n"}, "the synthesis holds no word"),
        ({"voices": SAID, "synthesis": "Gone.", "scaffold": [(0, 5)]}, "the synthesis holds no word"),
        ({"voices": SAID, "synthesis": "Something.", "scaffold": [(0, 99)]}, "does not lie in a text"),
        (
            {"voices": SAID, "synthesis": "Something.", "leave_one_out": {"martian": "x"}},
            "for 'martian', which is none of",
        ),
        (
            {"voices": SAID, "synthesis": "Something.", "leave_one_out": {"african": "..."}},
            "synthesis of 'african' holds no word",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        measure_coverage(**arguments)


def test_the_shipped_calibration_is_a_95th_percentile() -> None:
    shipped = load_calibration()
    assert 0.4 < shipped.threshold < 0.95
    assert shipped.null_share == pytest.approx(0.05, abs=0.02)
    assert shipped.claims >= 20


@pytest.mark.parametrize(
    ("change", "field"),
    [({"threshold": 1.2}, "threshold"), ({"null_share": 1}, "null_share"), ({"claims": 0}, "claims"), ({"x": 1}, "x")],
)
def test_a_wrong_calibration_is_refused_by_file_and_field(
    tmp_path: Path, change: dict[str, object], field: str
) -> None:
    path = tmp_path / "coverage.json"
    with pytest.raises(ContentError, match="cannot be read"):
        load_calibration(path)
    path.write_text(json.dumps(CALIBRATION.model_dump() | change), "utf-8")
    with pytest.raises(ContentError) as caught:
        load_calibration(path)
    assert (caught.value.path, caught.value.field) == (path, field)


def nli_model(folder: Path, labels: Sequence[str], leaning: Sequence[float]) -> str:
    """A tiny real pair classifier in `folder`, whose outputs have the odds exp(leaning) whatever it reads."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    words = folder / "words.txt"
    words.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad"]), encoding="utf-8")
    config = BertConfig(
        vocab_size=7, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=32, id2label=dict(enumerate(labels)), label2id={v: k for k, v in enumerate(labels)},
    )  # fmt: skip
    torch.manual_seed(7)
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor(leaning))
    model.save_pretrained(folder)
    BertTokenizerFast(str(words), model_max_length=32).save_pretrained(folder)
    return str(folder)


def test_an_nli_model_is_read_by_its_own_labels(tmp_path: Path) -> None:
    odds = [float(np.log(share)) for share in (0.2, 0.7, 0.1)]
    model = Entailment(nli_model(tmp_path / "m", ["CONTRADICTION", "Entailment", "neutral"], odds))
    scores = model.score(["good", "bad " * 100] * 20, ["bad", "good"] * 20)
    assert scores == pytest.approx(np.tile([0.7, 0.1, 0.2], (40, 1)), abs=1e-5)
    assert model.score([], []).shape == (0, 3)
    with pytest.raises(ValueError, match="1 premises for 2"):
        model.score(["good"], ["bad", "good"])


@pytest.mark.parametrize(
    "labels",
    [["LABEL_0", "LABEL_1", "LABEL_2"], ["entailment", "not_entailment"], ["entailment", "neutral", "neutral"]],
)
def test_labels_that_do_not_say_what_they_mean_are_refused(tmp_path: Path, labels: list[str]) -> None:
    with pytest.raises(UsageError, match="named so under id2label"):
        Entailment(nli_model(tmp_path / "m", labels, [0.0] * len(labels)))


def test_an_nli_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be loaded"):
        measure_coverage(SAID, "Something.", nli=str(tmp_path / "nothing"))


@pytest.mark.parametrize(("leaning", "share"), [([5.0, 0.0, 0.0], 1), ([0.0, 5.0, 0.0], 0), ([0.0, 0.0, 5.0], 0)])
def test_with_an_nli_model_it_is_coverage(tmp_path: Path, leaning: list[float], share: int, embedder: Embedder) -> None:
    model = nli_model(tmp_path / "m", ["entailment", "neutral", "contradiction"], leaning)
    found = measure_coverage({"african": SAID["african"]}, "Water boils.", nli=model, embedder=embedder)
    assert (found.kind, found.threshold, found.mean) == ("coverage", None, share)
    assert (found.mean_net, found.perspectives["african"].without) == (None, None)
    own = measure_coverage(
        {"african": SAID["african"]}, "Water boils.", nli=model, leave_one_out={"african": "Ice melts."}
    )
    assert own.perspectives["african"].null == "run"


class Scripted(Entailment):
    """Judges pairs from a table; what is not in it is neutral."""

    def __init__(self, table: dict[tuple[str, str], int]) -> None:
        self.table = table

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
        return np.eye(3)[[self.table.get(pair, NEUTRAL) for pair in zip(premises, hypotheses, strict=True)]]


def test_a_claim_is_covered_by_what_entails_it_and_is_not_ruled_out_by_it(embedder: Embedder) -> None:
    claim, sentence = Claim("", "All elders decide."), Claim("", "Elders and chiefs decide.")
    onward, back = (sentence.bare, claim.bare), (claim.bare, sentence.bare)
    vectors = Vectors.of([claim.bare, sentence.bare], embedder)
    tables = [
        ({onward: ENTAILMENT}, True),
        ({onward: ENTAILMENT, back: CONTRADICTION}, False),
        ({back: ENTAILMENT}, False),
        ({onward: CONTRADICTION, back: CONTRADICTION}, False),
    ]
    for table, covered in tables:
        assert entailed([claim], [sentence], vectors, Scripted(table)) == [covered], table


def test_only_the_nearest_candidates_are_read(embedder: Embedder) -> None:
    near = [Claim("", f"Elders decide on {what}.") for what in ("food", "land", "water")]
    far, claim = Claim("", "Rockets burn kerosene."), Claim("", "Elders decide on everything.")
    vectors = Vectors.of([one.bare for one in (*near, far, claim)], embedder)
    for one, covered in ((near[2], True), (far, False)):
        table = {(one.bare, claim.bare): ENTAILMENT}
        assert entailed([claim], [far, *near], vectors, Scripted(table)) == [covered]


UNMISTAKABLE = {
    "east_asian": "People bow when they meet and take off their shoes at the door.",
    "latin_american": "The whole neighbourhood dances in the street during carnival.",
    "islamic": "A guest is offered tea and breaks the fast at sunset in the holy month.",
    "african": "The elders of the village break the kola nut before they speak.",
}


def test_blind_attribution_tells_what_is_unmistakable(embedder: Embedder) -> None:
    texts = UNMISTAKABLE
    found = blind_attribution(texts, embedder=embedder)
    assert (found.right, found.n, found.chance) == (4, 4, 0.25)
    assert found.predicted == {name: name for name in texts}
    assert found.p == pytest.approx(0.25**4)
    assert (found.relative_right, found.relative_predicted) == (4, found.predicted)
    swapped = {"african": texts["east_asian"], "east_asian": texts["african"]}
    lost = blind_attribution(swapped, among=list(texts), embedder=embedder)
    assert (lost.right, lost.n, lost.chance, lost.p) == (0, 2, 0.25, 1)


def test_a_classifier_that_favours_one_perspective_still_tells_texts_apart(embedder: Embedder) -> None:
    head = PerspectiveClassifier.load().head
    favour = np.array([20.0 * (label == "african") for label in head.labels])
    biased = PerspectiveClassifier(replace(head, bias=head.bias + favour))
    found = blind_attribution(UNMISTAKABLE, embedder=embedder, classifier=biased)
    assert set(found.predicted.values()) == {"african"}
    assert (found.right, found.relative_right) == (1, 4)


def test_blind_attribution_does_not_read_names(embedder: Embedder) -> None:
    places = {"western": "France", "islamic": "Iran", "african": "Nigeria"}
    texts = {name: f"In {place} people eat, sleep and work." for name, place in places.items()}
    found = blind_attribution(texts, embedder=embedder)
    assert len(set(found.predicted.values())) == 1


def test_blind_attribution_says_what_it_cannot_tell(embedder: Embedder) -> None:
    assert blind_attribution({"african": "", "islamic": "..."}, embedder=embedder) is None
    one = {name: UNMISTAKABLE["african"] if name == "african" else "" for name in UNMISTAKABLE}
    assert blind_attribution(one, embedder=embedder) is None, "there is no other text to tell it from"
    with pytest.raises(UsageError, match="cannot tell 'secular'"):
        blind_attribution({"secular": "Reason decides.", "african": "Elders decide."})
    with pytest.raises(UsageError, match="cannot tell 'western'"):
        blind_attribution({"western": "Reason decides."}, among=["african", "islamic"])
    with pytest.raises(UsageError, match="1 perspectives"):
        blind_attribution({"african": "Elders decide."})


def test_a_part_of_the_synthesis_goes_to_the_voice_that_said_it(embedder: Embedder) -> None:
    mixed = "\n\n".join([RETOLD["african"], "Rockets burn kerosene.", RETOLD["islamic"]])
    parts = parts_of_synthesis(SAID, mixed, threshold=0.7, embedder=embedder)
    assert parts == {name: "\n".join(PARAPHRASES[name]) for name in ("islamic", "african")}
    assert parts_of_synthesis(SAID, "Rockets burn kerosene.", embedder=embedder) == {}


def test_homogeneity_of_voices_and_what_a_second_round_does(embedder: Embedder) -> None:
    same = dict.fromkeys(SAID, "Family comes first, and the old are heard.")
    assert homogeneity(same, embedder=embedder) == pytest.approx(1)
    apart = homogeneity(SAID, embedder=embedder)
    assert 0.2 < apart < 0.8
    assert homogenisation(SAID, same, embedder=embedder) == pytest.approx(1 - apart)
    assert homogenisation(SAID, SAID, embedder=embedder) == 0
    assert homogeneity({"african": "Elders decide."}, embedder=embedder) is None
    assert homogenisation({"african": "Elders decide."}, SAID, embedder=embedder) is None


def test_a_measurement_cannot_be_changed(embedder: Embedder) -> None:
    found = measure_coverage(SAID, "Something.", embedder=embedder)
    assert Coverage.model_validate_json(found.model_dump_json()) == found
    with pytest.raises(ValueError, match="frozen"):
        found.mean = 1
