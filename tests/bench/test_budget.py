from __future__ import annotations

from pathlib import Path

import pytest

from multiplex.bench.plan.budget import Budget, BudgetSpentError
from multiplex.errors import ContentError, MultiplexError, UsageError
from multiplex.llm.prices import Price, Prices
from multiplex.llm.usage import Usage

PRICES = Prices(models={"openai:a": Price(input=2.0, output=10.0), "b": Price(input=0.5, output=0.5)})
FORMS = {
    "p.toml": '"openai:a" = { input = 2, output = 10.0 }\n[b]\ninput = 0.5\noutput = 0.5\n',
    "p.yaml": "openai:a: {input: 2, output: 10.0}\nb: {input: 0.5, output: 0.5}\n",
    "p.json": '{"openai:a": {"input": 2, "output": 10.0}, "b": {"input": 0.5, "output": 0.5}}',
}


def used(calls: int, given: int | None, made: int | None) -> Usage:
    return Usage(calls=calls, input_tokens=given, output_tokens=made)


@pytest.mark.parametrize("name", FORMS)
def test_prices_are_read_from_toml_yaml_and_json(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(FORMS[name], "utf-8")
    assert Prices.read(tmp_path / name) == PRICES


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.toml", "a = { input = 1 }", r"p\.toml: a\.output: Field required"),
        ("p.yaml", "a: {input: 1, output: -2}", r"p\.yaml: a\.output: .*greater than or equal to 0"),
        ("p.json", '{"a": {"input": 1, "output": NaN}}', r"a\.output: .*finite"),
        ("p.yaml", "a: {input: 1, output: 2, cached: 1}", r"a\.cached: "),
        ("p.json", "[1]", r"holds no prices"),
        ("p.toml", "a = ", r"not valid TOML"),
        ("p.csv", "a,1,2", r"\.toml, \.yaml or \.json"),
    ],
)
def test_a_wrong_price_file_is_refused_with_its_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(UsageError, match=said) as caught:
        Prices.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_price_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ContentError, match="cannot be read"):
        Prices.read(tmp_path / "none.toml")


def test_a_cost_is_counted_per_million_tokens_and_is_unknown_without_a_price_or_tokens() -> None:
    assert PRICES.cost("openai:a", used(3, 1_000_000, 100_000)) == pytest.approx(3.0)
    assert PRICES.cost("openai:a", used(3, None, 100_000)) is None
    assert PRICES.cost("c", used(1, 1, 1)) is None
    assert PRICES.cost("local:/x.gguf", used(9, 10_000, 10_000)) == 0.0


def test_a_bound_on_tokens_stops_once_it_is_reached_earlier_starts_counted() -> None:
    budget = Budget(max_tokens=1_000, spent={"b": used(2, 300, 100)})
    budget.add("b", used(1, 500, 99))
    budget.admit()
    budget.add("c", used(1, 1, 0))
    with pytest.raises(BudgetSpentError, match=r"--max-tokens 1,000 is spent \(1,000 used\)") as caught:
        budget.admit()
    assert isinstance(caught.value, MultiplexError)


def test_a_bound_on_money_stops_once_it_is_reached() -> None:
    budget = Budget(max_usd=0.03, prices=PRICES, models=["openai:a", "b", "local"])
    budget.add("openai:a", used(1, 10_000, 900))
    budget.add("local", used(8, 10**9, 10**9))
    budget.admit()
    assert budget.usd == pytest.approx(0.029)
    budget.add("b", used(1, 1_000, 1_000))
    with pytest.raises(BudgetSpentError, match=r"--max-usd 0\.03 is spent \(\$0\.0300 used\)"):
        budget.admit()


def test_without_a_bound_nothing_stops() -> None:
    budget = Budget()
    budget.add("b", used(10**6, None, None))
    budget.admit()
    assert (budget.tokens, budget.usd) == (None, None)


@pytest.mark.parametrize("bound", [{"max_tokens": 10**9}, {"max_usd": 1.0, "prices": PRICES}])
def test_an_endpoint_that_reports_no_tokens_ends_a_bounded_run(bound: dict[str, object]) -> None:
    budget = Budget(**bound, models=["b"])  # type: ignore[arg-type]
    budget.admit()
    budget.add("b", used(1, None, None))
    with pytest.raises(BudgetSpentError, match="the endpoint of 'b' does not report tokens"):
        budget.admit()


def test_money_is_not_bounded_where_a_model_has_no_price_not_even_one_asked_before() -> None:
    with pytest.raises(UsageError, match=r"what 'c' costs is not known.*--prices FILE"):
        Budget(max_usd=1.0, prices=PRICES, models=["b", "c"])
    with pytest.raises(UsageError, match="what 'c' costs is not known"):
        Budget(max_usd=1.0, prices=PRICES, models=["b"], spent={"c": used(1, 1, 1)})


@pytest.mark.parametrize("bound", [{"max_tokens": 0}, {"max_usd": 0.0}, {"max_usd": float("nan")}])
def test_a_bound_that_is_none_is_refused(bound: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="--max-"):
        Budget(**bound, prices=PRICES)  # type: ignore[arg-type]
