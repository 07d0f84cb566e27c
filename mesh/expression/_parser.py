"""Texts become trees: operator precedence parsing (Pratt), one token ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mesh.expression._constants import constant, number
from mesh.expression._errors import ExpressionError, unknown_name
from mesh.expression._grammar import (
    BINARY_LEVELS,
    FUNCTIONS,
    LOGICAL_LEVELS,
    METHODS,
    RESERVED,
    Level,
)
from mesh.expression._tokens import Kind, Token, Tokens
from mesh.expression._tree import (
    MAX_DEPTH,
    MAX_NAME,
    Binary,
    BinaryOperator,
    Call,
    Conditional,
    Expr,
    Literal,
    Logical,
    LogicalOperator,
    Membership,
    Presence,
    Reference,
    Unary,
    UnaryOperator,
    enforce_bounds,
)

_MAX_RECURSION: Final = 2 * MAX_DEPTH
"""A level of the tree costs one recursion, and one more for its parentheses."""

_OPERAND: Final = "a value, a field, a function or ("
_CONSTANTS: Final = "a constant: lists hold nothing else"
_FIELD: Final = f"the name of a field, of at most {MAX_NAME} characters"


def parse(text: str) -> Expr:
    """The tree of a text.

    Raises:
        ExpressionError: it is no expression, or a larger one than is worked on
            (4,000 characters, 32 levels, 500 nodes, 200 values in a list).
    """
    parser = _Parser(Tokens(text))
    expr = parser.expression(Level.CONDITIONAL)
    parser.end()
    enforce_bounds(expr)
    return expr


class _Parser:
    """Takes tokens from the left. Each method answers what it has read, and leaves the rest."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._recursion = 0

    def end(self) -> None:
        """Nothing follows."""
        self._tokens.expect_kind(Kind.END, "an operator or the end")

    def expression(self, level: Level) -> Expr:
        """The longest expression from here whose operators bind at least as tightly."""
        self._recursion += 1
        if self._recursion > _MAX_RECURSION:
            position = self._tokens.first.position
            raise ExpressionError(position, f"at most {MAX_DEPTH} levels of nesting")
        left = self._operand()
        while (infix := _INFIX.get(self._tokens.first.text)) and infix[0] >= level:
            left = infix[1](self, left)
        self._recursion -= 1
        return left

    # What stands between operators

    def _operand(self) -> Expr:
        if self._tokens.at("!"):
            position = self._tokens.take().position
            operand = self.expression(Level.UNARY)
            return Unary(position=position, operator=UnaryOperator.NOT, operand=operand)
        if self._tokens.at("-"):
            return self._negative()
        operand = self._primary()
        while self._tokens.accept("."):
            operand = self._method(operand, self._tokens.take())
        return operand

    def _negative(self) -> Expr:
        """A sign right before a number belongs to it: the least number has no positive one."""
        position = self._tokens.take().position
        if self._tokens.first.kind is Kind.NUMBER:
            return number(self._tokens, position, negative=True)
        operand = self.expression(Level.UNARY)
        return Unary(position=position, operator=UnaryOperator.NEGATE, operand=operand)

    def _primary(self) -> Expr:
        literal = constant(self._tokens)
        if literal is not None:
            return literal
        if self._tokens.accept("("):
            inner = self.expression(Level.CONDITIONAL)
            self._tokens.expect(")", "an operator or )")
            return inner
        if self._tokens.at("has"):
            return self._presence()
        first = self._tokens.first
        if first.kind is not Kind.NAME or first.text in RESERVED:
            raise self._tokens.unexpected(_OPERAND)
        self._tokens.take()
        return self._function(first) if self._tokens.at("(") else self._field(first)

    def _presence(self) -> Presence:
        position = self._tokens.take().position
        self._tokens.expect("(")
        first = self._tokens.expect_kind(Kind.NAME, _FIELD)
        names = [first.text]
        while self._tokens.accept("."):
            names.append(self._tokens.expect_kind(Kind.NAME, _FIELD).text)
        self._tokens.expect(")")
        return Presence(position=position, name=_field_name(names, first))

    def _field(self, first: Token) -> Expr:
        """A field whose name may have dots, or a method of it."""
        names = [first.text]
        while self._tokens.accept("."):
            name = self._tokens.expect_kind(Kind.NAME, _FIELD)
            if self._tokens.at("("):
                field = Reference(position=first.position, name=_field_name(names, first))
                return self._method(field, name)
            names.append(name.text)
        return Reference(position=first.position, name=_field_name(names, first))

    # Calls and lists

    def _function(self, name: Token) -> Call:
        function = FUNCTIONS.get(name.text)
        if function is None:
            raise unknown_name(name.position, "function", name.text, FUNCTIONS)
        arguments = self._arguments()
        if not arguments:
            raise ExpressionError(name.position, f"an argument for {function.value}")
        return Call(position=name.position, function=function, arguments=arguments)

    def _method(self, receiver: Expr, name: Token) -> Call:
        function = METHODS.get(name.text)
        if function is None:
            raise unknown_name(name.position, "method", name.text, METHODS)
        arguments = (receiver, *self._arguments())
        return Call(position=name.position, function=function, arguments=arguments)

    def _arguments(self) -> tuple[Expr, ...]:
        self._tokens.expect("(")
        if self._tokens.accept(")"):
            return ()
        arguments = [self.expression(Level.CONDITIONAL)]
        while self._tokens.accept(","):
            arguments.append(self.expression(Level.CONDITIONAL))
        self._tokens.expect(")", "an operator, a comma or )")
        return tuple(arguments)

    def _options(self) -> tuple[Literal, ...]:
        self._tokens.expect("[", "a list such as ['A', 'B']")
        options = [self._option()]
        while self._tokens.accept(","):
            options.append(self._option())
        self._tokens.expect("]", "a comma or ]")
        return tuple(options)

    def _option(self) -> Literal:
        if self._tokens.at("-"):
            position = self._tokens.take().position
            if self._tokens.first.kind is not Kind.NUMBER:
                raise self._tokens.unexpected(_CONSTANTS)
            return number(self._tokens, position, negative=True)
        literal = constant(self._tokens)
        if literal is None:
            raise self._tokens.unexpected(_CONSTANTS)
        return literal

    # Operators after an operand

    def logical(self, first: Expr) -> Logical:
        """The conditions that are joined to the first one by the operator that comes next."""
        token = self._tokens.first
        operator = LogicalOperator(token.text)
        operands = [first]
        while self._tokens.accept(operator.value):
            operands.append(self.expression(LOGICAL_LEVELS[operator].tighter))
        return Logical(position=token.position, operator=operator, operands=tuple(operands))

    def binary(self, left: Expr) -> Binary:
        """An operation on the operand before."""
        token = self._tokens.take()
        operator = BinaryOperator(token.text)
        level = BINARY_LEVELS[operator]
        right = self.expression(level.tighter)
        if level is Level.RELATION:
            self._no_chain()
        return Binary(position=token.position, operator=operator, left=left, right=right)

    def membership(self, element: Expr) -> Membership:
        """A question for the operand before."""
        position = self._tokens.take().position
        options = self._options()
        self._no_chain()
        return Membership(position=position, element=element, options=options)

    def conditional(self, condition: Expr) -> Conditional:
        """A choice by the operand before."""
        position = self._tokens.take().position
        then = self.expression(Level.OR)
        self._tokens.expect(":", "an operator or :")
        otherwise = self.expression(Level.CONDITIONAL)
        return Conditional(position=position, condition=condition, then=then, otherwise=otherwise)

    def _no_chain(self) -> None:
        infix = _INFIX.get(self._tokens.first.text)
        if infix and infix[0] is Level.RELATION:
            raise self._tokens.unexpected("&& or ||: comparisons do not follow one another")


def _field_name(names: list[str], first: Token) -> str:
    name = ".".join(names)
    if len(name) > MAX_NAME or not RESERVED.isdisjoint(names):
        raise ExpressionError(first.position, _FIELD)
    return name


_INFIX: Final[Mapping[str, tuple[Level, Callable[[_Parser, Expr], Expr]]]] = {
    **{operator.value: (level, _Parser.binary) for operator, level in BINARY_LEVELS.items()},
    **{operator.value: (level, _Parser.logical) for operator, level in LOGICAL_LEVELS.items()},
    "in": (Level.RELATION, _Parser.membership),
    "?": (Level.CONDITIONAL, _Parser.conditional),
}
