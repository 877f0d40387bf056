"""The part of CloudWatch's metric math that scaling uses, evaluated a minute at a time.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import cache

from ops.errors import OpsError

# None is a minute without data, which an operation makes no data again.
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


def evaluate(expression: str, values: Mapping[str, Value]) -> Value:
    """The expression's value for one minute of its metrics; raises `OpsError` for what is not known here.

    `FILL(m, REPEAT)` is taken for `m`: a single minute knows no earlier one.
    """
    return _value(_parsed(expression), values, expression)


@cache
def _parsed(expression: str) -> ast.expr:
    try:
        return ast.parse(expression, mode="eval").body
    except SyntaxError:
        raise OpsError(f"metric math: {expression!r} cannot be read") from None


def _value(node: ast.expr, values: Mapping[str, Value], expression: str) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            return _applied(operation, _value(left, values, expression), _value(right, values, expression))
        case ast.Compare(left=left, ops=[operation], comparators=[right]) if type(operation) in _OPERATIONS:
            return _applied(operation, _value(left, values, expression), _value(right, values, expression))
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, ast.Name(id="REPEAT")]):
            return _value(filled, values, expression)
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, otherwise]):
            value = _value(filled, values, expression)
            return _value(otherwise, values, expression) if value is None else value
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            decided = _value(condition, values, expression)
            return None if decided is None else _value(then if decided else otherwise, values, expression)
        case ast.Call(func=ast.Name(id="MAX"), args=[ast.List(elts=elements)]):
            found = [_value(each, values, expression) for each in elements]
            return max((each for each in found if each is not None), default=None)
    raise OpsError(f"metric math: {ast.unparse(node)!r} in {expression!r} is not modelled")


def _applied(operation: ast.AST, left: Value, right: Value) -> Value:
    if left is None or right is None or (isinstance(operation, ast.Div) and right == 0):
        return None
    return _OPERATIONS[type(operation)](left, right)
