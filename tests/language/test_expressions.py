"""How one load shares what it compiles, and what counts as a name of an expression."""

from datetime import timedelta

import pytest

from synthmon.core.expressions import CompileError, Compiler, ExpressionError, Scope
from synthmon.core.words import references, respell


def test_one_scope_serves_expressions_that_were_compiled_against_different_names() -> None:
    compiler = Compiler()
    scope = Scope({"status": 200, "elapsed": timedelta(seconds=1), "order.id": "a"})
    first = compiler.compile("status == 200", {"status": "int"})
    second = compiler.compile('elapsed < duration("2s")', {"elapsed": "duration"})

    assert first.holds(scope).ok
    assert second.holds(scope).ok


def test_journeys_with_names_of_their_own_share_one_environment() -> None:
    compiler = Compiler()

    made = [
        compiler.compile(f"status == 200 && s{i}.id == 'a'", {"status": "int", f"s{i}.id": "dyn"}) for i in range(50)
    ]

    assert len({id(expression._env) for expression in made}) == 1
    assert len({id(expression._program) for expression in made}) == 1
    assert made[7].holds(Scope({"status": 200, "s7.id": "a"})).ok


def test_what_is_missing_is_told_by_its_own_name() -> None:
    expression = Compiler().compile('order.id == "a"', {"order.id": "dyn"})

    with pytest.raises(ExpressionError, match=r"order\.id"):
        expression.value(Scope({}))


def test_a_check_that_fails_shows_its_own_names() -> None:
    expression = Compiler().compile("body.amount == case.amount", {"body": "dyn", "case.amount": "string"})

    held = expression.holds(Scope({"body": {"amount": "12.00"}, "case.amount": "12.50"}))

    assert held.values == (("body.amount", "12.00"), ("case.amount", "12.50"))


def test_a_name_that_is_also_a_type_is_a_name_where_it_is_no_call() -> None:
    expression = Compiler().compile('size(bytes) == 3 && bytes("abc") == bytes', {"bytes": "bytes"})

    assert expression.holds(Scope({"bytes": b"abc"})).ok


def test_a_bound_variable_hides_a_step_of_the_same_name() -> None:
    names = {"body": "dyn", "order.id": "string"}
    expression = Compiler().compile('body.all(order, order.id == "a")', names)

    assert expression.refs == {"body"}
    assert expression.holds(Scope({"body": [{"id": "a"}], "order.id": "b"})).ok


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("order.id.size() > 1", {"order.id"}),
        ("order . id == 'x'", {"order.id"}),
        ("'order.id' == text", {"text"}),
        ("body.order.id == 1", {"body"}),
        ("text(1)", set()),
        ("order.idx", set()),
    ],
)
def test_an_expression_reads_the_names_that_stand_in_it(text: str, read: set[str]) -> None:
    assert references(text, {"order.id", "text", "body"}) == read


def test_a_name_is_spelled_otherwise_but_not_in_a_text() -> None:
    assert respell("vars.a + 'vars.a' + x.vars.a + vars.ab", {"vars.a": "(1)"}) == "(1) + 'vars.a' + x.vars.a + vars.ab"


def test_a_column_counts_from_the_begin_of_a_text_of_many_lines() -> None:
    with pytest.raises(CompileError) as caught:
        Compiler().compile("status == 200 &&\n  nothing", {"status": "int"})

    assert caught.value.column == len("status == 200 &&\n  ") + 1
