"""Sentences end where a reader would end them."""

from __future__ import annotations

from dataclasses import astuple
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiplex.text.sentences import Sentence, split
from multiplex.text.tokens import count_words, has_word, tokens
from tests.properties import examples


def texts(text: str) -> list[str]:
    return [sentence.text for sentence in split(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Elders are heard. Children listen!", ["Elders are heard.", "Children listen!"]),
        ("Dr. King spoke of St. Augustine.", ["Dr. King spoke of St. Augustine."]),
        ("They eat rice, e.g. Basmati, at noon.", ["They eat rice, e.g. Basmati, at noon."]),
        ("It is so in the U.S. The law says so.", ["It is so in the U.S.", "The law says so."]),
        ("The U.S. Constitution binds.", ["The U.S. Constitution binds."]),
        ("J. R. R. Tolkien wrote it.", ["J. R. R. Tolkien wrote it."]),
        ("It fell by 3.5 percent. Then 2.1.", ["It fell by 3.5 percent.", "Then 2.1."]),
        ("He said no. Farmers agreed.", ["He said no.", "Farmers agreed."]),
        ("See No. 5 of it.", ["See No. 5 of it."]),
        ("Well... perhaps. Wait... No.", ["Well... perhaps.", "Wait...", "No."]),
        ("“Why?” she asked. “Go.” They went.", ["“Why?” she asked.", "“Go.”", "They went."]),
        ("**It is so.** We say *that.* So", ["**It is so.**", "We say *that.*", "So"]),
        ("A claim.[1] Another.", ["A claim.[1]", "Another."]),
        ("هل هذا صحيح؟ نعم هو صحيح.", ["هل هذا صحيح؟", "نعم هو صحيح."]),
        ("یہ ٹھیک ہے۔ وہ گیا۔", ["یہ ٹھیک ہے۔", "وہ گیا۔"]),
        ("家庭很重要。我们尊敬老人！为什么？", ["家庭很重要。", "我们尊敬老人！", "为什么？"]),
        ("यह सही है। वह गया॥", ["यह सही है।", "वह गया॥"]),
        ("यह विचार. फिर वह गया.", ["यह विचार.", "फिर वह गया."]),  # a vowel sign is no end of a word
        ("நாம் பேசுகிறோம். அவர்கள் கேட்கிறார்கள்.", ["நாம் பேசுகிறோம்.", "அவர்கள் கேட்கிறார்கள்."]),
        ("ሰዎች ይናገራሉ።ልጆች ያዳምጣሉ፧ አዎ።", ["ሰዎች ይናገራሉ።", "ልጆች ያዳምጣሉ፧", "አዎ።"]),
        ("네. 어른을 공경합니다.", ["네.", "어른을 공경합니다."]),
        ("ხალხი ლაპარაკობს. ბავშვები უსმენენ.", ["ხალხი ლაპარაკობს.", "ბავშვები უსმენენ."]),
        ("Մարդիկ խոսում են։ Այո։", ["Մարդիկ խոսում են։", "Այո։"]),
        ("قال د. أحمد ذلك.\u200f ثم ذهب.", ["قال د. أحمد ذلك.\u200f", "ثم ذهب."]),
        ("一是和谐!二是孝?对。", ["一是和谐!", "二是孝?", "对。"]),
        ("Er sagte: „Das ist so.“ Dann ging er.", ["Er sagte: „Das ist so.“", "Dann ging er."]),
        ("« Ils parlent.\u00a0» Puis ils partent.", ["« Ils parlent.\u00a0»", "Puis ils partent."]),
        ("Τι είναι δίκαιο; «Ποιος;» ρώτησε. Κανείς.", ["Τι είναι δίκαιο;", "«Ποιος;» ρώτησε.", "Κανείς."]),
        ("ሰዎች ይናገራሉ፡፡ ልጆች ያዳምጣሉ:: አዎ፡፡", ["ሰዎች ይናገራሉ፡፡", "ልጆች ያዳምጣሉ::", "አዎ፡፡"]),
        ("家族は大切である．子は親を敬う．", ["家族は大切である．", "子は親を敬う．"]),
        ("「なぜ？」と聞いた。「孝だ。」ところが違う。", ["「なぜ？」と聞いた。", "「孝だ。」", "ところが違う。"]),
        (
            "En los EE. UU. la Sra. Paz habla, etc. Los niños oyen.",
            ["En los EE. UU. la Sra. Paz habla, etc.", "Los niños oyen."],
        ),
        ("Hz. Ali böyle dedi. II. Dünya Savaşı bitti.", ["Hz. Ali böyle dedi.", "II. Dünya Savaşı bitti."]),
        (
            "Im 19. Jahrhundert bzw. Mittelalter. Am 3. Oktober.",
            ["Im 19. Jahrhundert bzw. Mittelalter.", "Am 3. Oktober."],
        ),
        (
            "Au Ve siècle av. J.-C., Mme. Lu en a. Les sages aussi.",
            ["Au Ve siècle av. J.-C., Mme. Lu en a.", "Les sages aussi."],
        ),
        (
            "É assim que é. Mas sim. Так думаю я. Мой отец нет.",
            ["É assim que é.", "Mas sim.", "Так думаю я.", "Мой отец нет."],
        ),
        ("Это, напр. Конфуций (551–479 гг. Китай), учил.", ["Это, напр. Конфуций (551–479 гг. Китай), учил."]),
        ("डॉ. बी.आर. अंबेडकर ने कहा। वह गया।", ["डॉ. बी.आर. अंबेडकर ने कहा।", "वह गया।"]),
        ("Bw. Juma na Mwl. Nyerere. Art. 5 was O. Le Duc.", ["Bw. Juma na Mwl. Nyerere.", "Art. 5 was O. Le Duc."]),
        (
            "Kin first!👪 Elders lead.[^1] Yes.¹ No.[1, 2] So‼ End",
            ["Kin first!👪", "Elders lead.[^1]", "Yes.¹", "No.[1, 2]", "So‼", "End"],
        ),
        ("1、家庭\n2、社区\n（3）国家", ["家庭", "社区", "国家"]),
        ("مقدمة\n١. الأسرة\n٢. القرية", ["مقدمة", "الأسرة", "القرية"]),
    ],
)
def test_a_stop_ends_a_sentence_only_where_it_should(text: str, expected: list[str]) -> None:
    assert texts(text) == expected


def test_list_items_headings_and_table_rows_are_sentences_of_their_own() -> None:
    text = (
        "# The family\n\nFirst line\nwraps here. Second one.\n\n- one. Still one\n  and on\n- two\n\n"
        "1. three\n2) four\n\n| a | b |\n|---|---|\n| c. D | e |\n\n---\n**Bold head**\nBody.\n> Quoted. Twice.\n"
    )
    assert texts(text) == [
        "The family",
        "First line\nwraps here.",
        "Second one.",
        "one. Still one\n  and on",
        "two",
        "three",
        "four",
        "| a | b |",
        "| c. D | e |",
        "**Bold head**",
        "Body.",
        "Quoted.",
        "Twice.",
    ]


def test_a_list_item_is_known_by_the_marks_of_every_script() -> None:
    text = (
        "**Views:**\n– Kin. Care\n→ Elders\n① 家庭\n二、社区\n・国\n１．村\n"
        "B) Youth\nأ) الأسرة\n나. 마을\n1️⃣ All\n🌍 Africa\n🌏 Asia"
    )
    assert texts(f"{text}\n\n***Bold***\nIn prose\n– as here – it goes on.") == [
        "**Views:**", "Kin. Care", "Elders", "家庭", "社区", "国", "村", "Youth", "الأسرة", "마을", "All", "🌍 Africa",
        "🌏 Asia", "***Bold***", "In prose\n– as here – it goes on.",
    ]  # fmt: skip


def test_a_wrapped_line_that_begins_with_a_number_is_no_list_item() -> None:
    assert texts("There were more than\n12. Nobody counted.") == ["There were more than\n12.", "Nobody counted."]


def test_offsets_point_into_the_source_in_order_and_without_overlap() -> None:
    text = "  One.  Two\r\nthree.\r\n\r\n* Four: “five.”\n\n孝。六 "
    found = split(text)
    assert [text[sentence.start : sentence.end] for sentence in found] == [sentence.text for sentence in found]
    assert [sentence.text for sentence in found] == ["One.", "Two\r\nthree.", "Four: “five.”", "孝。", "六"]
    assert all(left.end <= right.start for left, right in pairwise(found))


@pytest.mark.parametrize("text", ["", " \n\t", "---\n***\n", "?!", "|---|---|", "```\n```"])
def test_what_holds_no_word_holds_no_sentence(text: str) -> None:
    assert split(text) == []


@pytest.mark.parametrize("text", ["." * 100_000 + "x", '."' * 50_000 + "x", "word. e.g. " * 20_000, "- " * 100_000])
def test_a_long_and_hostile_text_is_split_in_linear_time(text: str) -> None:
    assert len(split(text)) <= 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("בְּרֵאשִׁית בָּרָא אֱלֹהִים", 3),
        ("بِسۡمِ ٱللَّهِ", 2),
        ("شک\u200cها را می\u200cخواهم", 3),
        ("क्\u200dया", 1),
        ("ຄົນເຖົ້າ", 1),
        ("か\u3099っこう", 4),
        ("ܐܰܢܳܫܳܐ ދިވެހި ሰ\u135eላም", 3),
    ],
)
def test_signs_on_letters_and_joiners_part_no_word(text: str, words: int) -> None:
    assert count_words(text) == words


def test_a_kana_is_the_same_word_in_one_piece_and_in_two() -> None:
    assert [token.key for token in tokens("か\u3099")] == ["が"]


MARKDOWN = st.text(st.sampled_from("aÉ本ع1 .!?。\n#*>|-`“)\u200f"), max_size=40)


@examples(60)
@given(MARKDOWN, MARKDOWN)
def test_sentences_are_slices_with_a_word_and_a_blank_line_parts_two_texts(first: str, second: str) -> None:
    found = split(first)
    assert all(text == first[start:end] == text.strip() for start, end, text in map(astuple, found))
    assert all(has_word(each.text) for each in found)
    assert all(left.end <= right.start for left, right in pairwise(found))
    behind = [Sentence(each.start + len(first) + 2, each.end + len(first) + 2, each.text) for each in split(second)]
    assert split(f"{first}\n\n{second}") == [*found, *behind]
