"""A small gazetteer with the traps that a large one must survive."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.evaluation.extraction.gazetteer import Gazetteer

FILES = {
    "western": """
        named:
          - id: west
            adjectives: [Western]
            places: [the West]
          - id: united_states
            people: [Americans]
            adjectives: [American]
            places: [United States, America]
          - id: britain
            people: [Britons]
            adjectives: [British]
            places: [Britain]
        concept:
          - {id: autonomy, forms: [autonomy], source: "Immanuel Kant, Groundwork, 1785", modern: false}
          - {id: me_too, forms: ["#MeToo", MeToo], source: "Tarana Burke, Unbound, 2021", modern: true}
    """,
    "islamic": """
        named:
          - id: islam
            people: [Muslims]
            traditions: [Islam, Islamic, Muslim]
        concept:
          - {id: zakat, forms: [zakat, "zakat al-fitr"], source: "The Qur'an 9:60", modern: false}
          - {id: quran, forms: ["Qur'an", Quran], source: "The Qur'an, 7th century", modern: false}
    """,
    "east_asian": """
        named:
          - id: japan
            people: [Japanese people]
            adjectives: [Japanese]
            places: [Japan]
          - id: korea
            people: [Koreans]
            adjectives: [Korean]
            places: [Korea, South Korea]
          - id: buddhism
            people: [Buddhists]
            traditions: [Buddhism, Buddhist]
            facets: {region: [east_asian, south_asian, southeast_asian], religion: buddhism}
        concept:
          - {id: filial_piety, forms: [filial piety, 孝], source: "Xiaojing", modern: false}
    """,
    "south_asian": """
        named:
          - id: india
            people: [Indians]
            adjectives: [Indian]
            places: [India]
        concept:
          - {id: pandita, forms: [Paṇḍitā], source: "Pandita Ramabai, 1887", modern: true}
    """,
    "african": """
        named:
          - id: africa
            people: [Africans]
            adjectives: [African]
            places: [Africa]
          - id: nigeria
            people: [Nigerians]
            adjectives: [Nigerian]
            places: [Nigeria]
          - id: ghana
            places: [Ghana]
        concept:
          - {id: ubuntu, forms: [ubuntu], source: "Mogobe Ramose, 1999", modern: false}
    """,
    "indigenous": """
        named:
          - id: american_indians
            people: [American Indians]
            adjectives: [American Indian, Native American]
          - id: maori
            people: [Maori]
    """,
    "jewish": """
        named:
          - id: judaism
            people: [Jews]
            traditions: [Judaism, Jewish]
    """,
}


@pytest.fixture(scope="session")
def gazetteer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small gazetteer as a folder of files."""
    folder = tmp_path_factory.mktemp("gazetteers")
    for name, text in FILES.items():
        (folder / f"{name}.yaml").write_text(f"        perspective: {name}{text}", "utf-8")
    traps = "[Indian Ocean, African American, African Americans, native speaker]"
    (folder / "none.yaml").write_text(f"perspective: null\nnone: {traps}\n", "utf-8")
    return folder


@pytest.fixture(scope="session")
def gazetteer(gazetteer_folder: Path) -> Gazetteer:
    """The small gazetteer, compiled."""
    return Gazetteer.load(gazetteer_folder)
