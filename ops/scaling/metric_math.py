"""The part of CloudWatch's metric math that alarms and scaling use, evaluated a period at a time.

What a missing value means is what AWS says of each operation; an array's sum and maximum are taken over those of its
series that have a value, which AWS leaves open:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html#metric-math-syntax
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from ops.errors import OpsError

# None is a period without data.
Value = float | None

_OPERATIONS: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: lambda left, right: float(left > right),
    ast.GtE: lambda left, right: float(left >= right),
    ast.Lt: lambda left, right: float(left < right),
    ast.LtE: lambda left, right: float(left <= right),
}
_OVER_ARRAYS: Mapping[str, Callable[[Iterable[float]], float]] = {"MAX": max, "SUM": sum}
_LOGICAL = re.compile(r"\b(AND|OR)\b")


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """The expression's value for one period of its metrics; raises `OpsError` for what is not known here."""
    return _value(_parsed(expression), values, expression)


@cache
def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(_LOGICAL.sub(lambda found: found[0].lower(), expression), mode="eval").body
    except SyntaxError:
        raise OpsError(f"metric math: {expression!r} cannot be read") from None


def _value(node: ast.expr, values: Mapping[str, Value], expression: str) -> Value:
    def value(of: ast.expr) -> Value:
        return _value(of, values, expression)

    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            return _applied(operation, left, right, value)
        case ast.Compare(left=left, ops=[operation], comparators=[right]) if type(operation) in _OPERATIONS:
            return _applied(operation, left, right, value)
        case ast.BoolOp(op=operation, values=terms):
            found = [value(each) for each in terms]
            if all(each is None for each in found):
                return None
            # Beside a series that has a value, one that has none is 0.
            return float((all if isinstance(operation, ast.And) else any)(map(bool, found)))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, *otherwise]) if len(otherwise) <= 1:
            decided = value(condition)
            if decided is None:
                return None
            if decided:
                # "has the value of 0, if [the condition] is TRUE and the corresponding data point does not exist"
                return value(then) or 0.0
            return value(otherwise[0]) if otherwise else None
        case ast.Call(func=ast.Name(id=name), args=[ast.List(elts=elements)]) if name in _OVER_ARRAYS:
            present = [each for each in map(value, elements) if each is not None]
            return float(_OVER_ARRAYS[name](present)) if present else None
    raise OpsError(f"metric math: {ast.unparse(node)!r} in {expression!r} is not modelled")


def _applied(
    operation: ast.AST, left: ast.expr, right: ast.expr, value: Callable[[ast.expr], Value]
) -> Value:
    one, other = value(left), value(right)
    if one is None or other is None:
        # A series beside a number has no value where it has none; beside another series it is 0 there.
        if (one is None and other is None) or ast.Constant in (type(left), type(right)):
            return None
        one, other = one or 0.0, other or 0.0
    if isinstance(operation, ast.Div) and other == 0:
        return None
    return _OPERATIONS[type(operation)](one, other)
