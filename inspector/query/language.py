"""The filter language of ``-Y`` and of the app: ``outcome:aborted backend:B cert~puppetdb1 rtt>5ms -kind:full "text"``.

Terms side by side must all hold; ``or`` and parentheses combine; ``-`` negates. ``field:value`` is equality
(case-insensitive, ``*`` matches anything), ``field~value`` containment, ``< <= > >=`` compare numbers with units. A
word or "text" alone is looked for in all text fields. How else each may be written ``filter_tokens`` says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inspector.findings.judge import Analysis
from inspector.query.coded import CodedColumn, coded, text_of
from inspector.query.fields import BY_NAME, TEXT_FIELDS, Field, Holds, Values, field_named
from inspector.query.filter_tokens import UNITS, FilterError, FilterToken, TokenKind, tokens
from inspector.tracking.observed import Observed

Mask = npt.NDArray[np.bool_]

EXAMPLES: dict[Holds, str] = {
    "number": "a number such as 443",
    "duration": "a duration such as 5ms",
    "size": "a size such as 1MB",
}
LISTED = 12
"""So many values of a field are all named in an error; of more, those that are alike."""

DEEPEST = 64
"""Parentheses and negations within each other."""


class Predicate(Protocol):
    """A condition on connections."""

    def fields(self) -> Iterable[Field]:
        """The fields that it names, some more than once."""

    def select(self, columns: Mapping[str, CodedColumn]) -> Mask:
        """For each connection of some columns whether it matches."""


@dataclass(frozen=True, slots=True)
class _Match:
    field: Field
    test: Callable[[Values], bool]

    def fields(self) -> Iterable[Field]:
        return (self.field,)

    def select(self, columns: Mapping[str, CodedColumn]) -> Mask:
        column, test = columns[self.field.name], self.test
        return np.array([test(v) for v in column.values], np.bool_)[column.codes]


@dataclass(frozen=True, slots=True)
class _Contains:
    field: Field
    part: str

    def fields(self) -> Iterable[Field]:
        return (self.field,)

    def select(self, columns: Mapping[str, CodedColumn]) -> Mask:
        column, part = columns[self.field.name], self.part
        if "\0" in part:
            return np.zeros(len(column.codes), np.bool_)
        return np.array([text != "" and part in text for text in column.texts], np.bool_)[column.codes]


@dataclass(frozen=True, slots=True)
class _Not:
    term: Predicate

    def fields(self) -> Iterable[Field]:
        return self.term.fields()

    def select(self, columns: Mapping[str, CodedColumn]) -> Mask:
        return np.logical_not(self.term.select(columns))


@dataclass(frozen=True, slots=True)
class _All:
    terms: tuple[Predicate, ...]

    def fields(self) -> Iterable[Field]:
        return chain.from_iterable(term.fields() for term in self.terms)

    def select(self, columns: Mapping[str, CodedColumn]) -> Mask:
        mask: Mask = np.logical_and.reduce([t.select(columns) for t in self.terms])
        return mask


@dataclass(frozen=True, slots=True)
class _Any:
    terms: tuple[Predicate, ...]

    def fields(self) -> Iterable[Field]:
        return chain.from_iterable(term.fields() for term in self.terms)

    def select(self, columns: Mapping[str, CodedColumn]) -> Mask:
        mask: Mask = np.logical_or.reduce([t.select(columns) for t in self.terms])
        return mask


def compile_filter(expression: str) -> Predicate:
    """A condition on connections. Raises FilterError with the column of the mistake."""
    parser = _Parser(expression)
    test = parser.alternatives()
    if parser.at < len(parser.tokens):
        raise FilterError("a closing parenthesis without an opening one", expression, parser.column())
    return test


def matching(test: Predicate, analysis: Analysis) -> Callable[[Observed], bool]:
    """The condition as a question to the connections of one analysis. Only the columns that it names are made."""
    mask = test.select(coded(analysis, list(dict.fromkeys(test.fields())))).tolist()
    return lambda observed: mask[observed.index]


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = tokens(expression)
        self.at = 0
        self.depth = 0

    def column(self) -> int:
        """Of the next token, or behind the last."""
        return self.tokens[self.at].column if self.at < len(self.tokens) else len(self.expression) + 1

    def kind(self) -> TokenKind | None:
        """Of the next token."""
        return self.tokens[self.at].kind if self.at < len(self.tokens) else None

    def alternatives(self) -> Predicate:
        tests: list[Predicate] = [self.conjunction()]
        while self.kind() == "or":
            self.at += 1
            tests.append(self.conjunction())
        return tests[0] if len(tests) == 1 else _Any(tuple(tests))

    def conjunction(self) -> Predicate:
        tests: list[Predicate] = []
        is_joined = False
        while is_joined or self.kind() not in (None, "close", "or"):
            if self.kind() in (None, "close", "or", "and"):
                raise FilterError("a term is missing", self.expression, self.column())
            tests.append(self.term())
            is_joined = self.kind() == "and"
            self.at += is_joined
        if not tests:
            raise FilterError("a term is missing", self.expression, self.column())
        return _All(tuple(tests))

    def term(self) -> Predicate:
        token = self.tokens[self.at]
        self.at += 1
        if token.kind in ("not", "open"):
            if self.depth == DEEPEST:
                raise FilterError("more than that is not nested", self.expression, token.end_column - 1)
            self.depth += 1
            inner = _Not(self.negated(token)) if token.kind == "not" else self.enclosed(token)
            self.depth -= 1
            return inner
        if token.kind == "text":
            return _contains([BY_NAME[name] for name in TEXT_FIELDS], token.text.strip('"').lower())
        return self.comparison(token)

    def negated(self, token: FilterToken) -> Predicate:
        """What stands behind a negation."""
        if self.kind() not in ("not", "open", "comparison", "text"):
            raise FilterError(f"a term is missing behind {token.text}", self.expression, self.column())
        return self.term()

    def enclosed(self, token: FilterToken) -> Predicate:
        """What stands in parentheses."""
        inner = self.alternatives()
        if self.kind() is None:
            raise FilterError("a parenthesis is not closed", self.expression, token.column)
        self.at += 1
        return inner

    def comparison(self, token: FilterToken) -> Predicate:
        """``field:value`` and the like."""
        field = field_named(token.field)
        if field is None:
            known = ", ".join(BY_NAME)
            raise FilterError(f"no field {token.field} (there are {known})", self.expression, token.column)
        operator, value = token.operator, token.value.lower()
        if field.holds == "text" and operator not in (":", "~", "!="):
            raise FilterError(
                f"{field.name} has no order: use {field.name}: or {field.name}~", self.expression, token.operator_column
            )
        if operator == "~":
            self.require_value(field, token, lambda known: value in known)
            return _contains([field], value)
        if operator not in (":", "!="):
            return _compares(field, operator, self.number(field, token))
        equal = self.equality(field, token)
        return equal if operator == ":" else _Not(equal)

    def equality(self, field: Field, token: FilterToken) -> Predicate:
        value = token.value.lower()
        wanted = SAME.get(value, value)
        if field.holds != "text" and wanted != "none" and "*" not in wanted:
            return _is_about(field, self.number(field, token))
        self.require_value(field, token, lambda known: fnmatchcase(known, wanted) if "*" in wanted else known == wanted)
        return _equals(field, wanted)

    def number(self, field: Field, token: FilterToken) -> float:
        """A number in the units of a field. Raises FilterError."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(\D*)", token.value.lower())
        if match is None or match[2] not in UNITS[field.holds]:
            raise FilterError(
                f"{field.name} wants {EXAMPLES[field.holds]}, and {token.value} is none",
                self.expression,
                token.value_column,
            )
        return float(match[1]) * UNITS[field.holds][match[2]]

    def require_value(self, field: Field, token: FilterToken, fits: Callable[[str], bool]) -> None:
        """Raises FilterError where a field can have no value that fits."""
        value = token.value
        if (
            not field.values
            or any(fits(known.lower()) for known in (*field.values, "none"))
            or (field.form and re.fullmatch(field.form, value.lower()))
        ):
            return
        if field.form and (token.operator == "~" or "*" in value):
            return  # part of a value that has no name, perhaps
        known: list[str] = list(field.values)
        if len(known) > LISTED:
            known = get_close_matches(value, known, 5, 0.4) or known[:5]
        others = "among others " if len(known) < len(field.values) else ""
        raise FilterError(
            f"{field.name} has no value {value} (there are {others}{', '.join(known)})",
            self.expression,
            token.value_column,
        )


SAME = {"true": "yes", "false": "no", "null": "none"}
NOTHING: Values = (None,)


def _is_about(field: Field, wanted: float) -> Predicate:
    return _Match(
        field, lambda values: any(isinstance(v, float) and math.isclose(v, wanted, rel_tol=1e-9) for v in values)
    )


def _equals(field: Field, wanted: str) -> Predicate:
    if "*" in wanted:
        return _Match(field, lambda values: any(fnmatchcase(text_of(v), wanted) for v in values))
    return _Match(field, lambda values: any(text_of(v) == wanted for v in values or NOTHING))


def _contains(fields: list[Field], wanted: str) -> Predicate:
    tests = [_Contains(field, wanted) for field in fields]
    return tests[0] if len(tests) == 1 else _Any(tuple(tests))


def _compares(field: Field, operator: str, bound: float) -> Predicate:
    compare: Callable[[float], bool] = {
        "<": lambda v: v < bound,
        "<=": lambda v: v <= bound,
        ">": lambda v: v > bound,
        ">=": lambda v: v >= bound,
    }[operator]
    return _Match(field, lambda values: any(isinstance(v, float) and compare(v) for v in values))
