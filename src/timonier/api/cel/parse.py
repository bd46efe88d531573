"""Tokens into a tree: operators by precedence, members, literals, macros.

A mistake in the syntax is reported in the words of cel-go's parser, which people know from kubectl: a token too many or
a bracket too few is mended and reading goes on; anything else ends it. What cannot be said of a well-formed expression
(a reserved word as a name, a number too large) is reported and reading goes on.
"""

from __future__ import annotations

from timonier.api.cel.lexer import BadEscape, Token, bytes_value, string_value, tokens
from timonier.api.cel.macros import MACROS, BadMacro
from timonier.api.cel.syntax import NOWHERE, Call, Entry, ListOf, Literal, MapOf, Name, Node, ObjectOf, Problem, Select
from timonier.api.cel.values import Uint

RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
    "package", "namespace", "null", "return", "true", "var", "void", "while"})
STARTS = ("[", "{", "(", ".", "-", "!", "true", "false", "null", "FLOAT", "INT", "UINT", "STRING", "BYTES", "NAME")
"""What an expression may begin with."""
EXPECTED = ("{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
            "IDENTIFIER}")
RELATIONS = ("<", "<=", ">=", ">", "==", "!=", "in")
SUMS, PRODUCTS = ("+", "-"), ("*", "/", "%")
OPERATORS = frozenset((*RELATIONS, *SUMS, *PRODUCTS, "&&", "||", "?", ".", "["))
FUNCTIONS = {"in": "@in"}
TOO_DEEP = "expression recursion limit exceeded: 250"
INT64, UINT64 = 2**63, 2**64
OPTIONALS = 28
"""The minor version of Kubernetes that brought optional values and their signs."""


class Syntax(Exception):
    """A mistake after which there is no sense in reading on."""


def parse(text: str, version: int) -> tuple[Node, list[Problem]]:
    """The tree of an expression, with the macros of a minor version of Kubernetes, and all that is wrong with it.

    The tree may only be used where nothing is wrong.
    """
    parser = Parser(text, version)
    try:
        tree = parser.whole()
    except Syntax:
        tree = Literal(0, None)
    except RecursionError:
        return Literal(0, None), [Problem(NOWHERE, TOO_DEEP)]
    return tree, parser.problems


class Parser:
    def __init__(self, text: str, version: int) -> None:
        self.tokens, self.problems = tokens(text)
        self.version, self.index, self.open = version, 0, [""]

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    def take(self) -> Token:
        token = self.tokens[self.index]
        if token.kind != "END":
            self.index += 1
        return token

    def accept(self, *kinds: str) -> Token | None:
        return self.take() if self.token.kind in kinds else None

    # Mistakes.

    def report(self, at: int, message: str) -> Node:
        self.problems.append(Problem(at, message))
        return Literal(at, None)

    def syntax(self, message: str) -> None:
        self.report(self.token.at, f"Syntax error: {message}")

    def after(self) -> Token:
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    def need(self, kind: str, shown: str) -> Token:
        """The next token, which has to be of a kind; one too many or a missing bracket is reported and mended."""
        if self.token.kind == kind:
            return self.take()
        if self.after().kind == kind and self.token.kind != "END":
            self.syntax(f"extraneous input '{self.token.shown}' expecting {shown}")
            self.take()
            return self.take()
        if kind in ")]}" and kind and (self.token.kind in OPERATORS or self.token.kind in self.follows()):
            self.syntax(f"missing {shown} at '{self.token.shown}'")
            return Token(kind, kind, self.token.at)
        self.syntax(f"mismatched input '{self.token.shown}' expecting {shown}")
        raise Syntax

    def follows(self) -> tuple[str, ...]:
        """What may come after the bracket that is being closed."""
        outer = self.open[-1]
        return (outer, ",") if outer else ("END",)

    # Expressions, from the loosest binding to the tightest.

    def whole(self) -> Node:
        tree = self.expression()
        if self.token.kind != "END":
            word = "extraneous" if self.after().kind == "END" else "mismatched"
            self.syntax(f"{word} input '{self.token.shown}' expecting <EOF>")
        return tree

    def expression(self) -> Node:
        condition = self.logic("_||_", "||")
        sign = self.accept("?")
        if not sign:
            return condition
        yes = self.logic("_||_", "||")
        self.need(":", "':'")
        return Call(sign.at, "_?_:_", None, [condition, yes, self.expression()])

    def logic(self, function: str, sign: str) -> Node:
        terms, at = [], 0
        while True:
            terms.append(self.logic("_&&_", "&&") if sign == "||" else self.relation())
            token = self.accept(sign)
            if not token:
                return terms[0] if len(terms) == 1 else Call(at, function, None, terms)
            at = at or token.at

    def relation(self) -> Node:
        left = self.sum()
        while token := self.accept(*RELATIONS):
            left = Call(token.at, FUNCTIONS.get(token.kind, f"_{token.kind}_"), None, [left, self.sum()])
        return left

    def sum(self) -> Node:
        left = self.product()
        while token := self.accept(*SUMS):
            left = Call(token.at, f"_{token.kind}_", None, [left, self.product()])
        return left

    def product(self) -> Node:
        left = self.unary()
        while token := self.accept(*PRODUCTS):
            left = Call(token.at, f"_{token.kind}_", None, [left, self.unary()])
        return left

    def unary(self) -> Node:
        sign = self.token.kind
        if sign not in ("!", "-") or (sign == "-" and self.after().kind in ("INT", "FLOAT")):
            return self.member()
        first, count = self.take(), 1
        while self.accept(sign):
            count += 1
        operand = self.member()
        return Call(first.at, f"{sign}_", None, [operand]) if count % 2 else operand

    def member(self) -> Node:
        node = self.primary()
        while True:
            if dot := self.accept("."):
                node = self.selected(node, dot)
            elif bracket := self.accept("["):
                node = self.indexed(node, bracket)
            elif self.token.kind == "{" and (name := qualified(node)):
                node = self.object_of(name)
            else:
                return node

    def selected(self, node: Node, dot: Token) -> Node:
        optional = self.accept("?")
        name = self.accept("NAME", "ESCAPED") or self.word(dot)
        field = self.unescaped(name)
        if optional:
            if self.version < OPTIONALS:
                return self.report(dot.at, "unsupported syntax '.?'")
            return Select(dot.at, node, field, optional=True)
        bracket = self.accept("(") if name.kind == "NAME" else None
        if not bracket:
            return Select(dot.at, node, field)
        return self.called(bracket.at, name.text, node, self.listed(")"))

    def unescaped(self, name: Token) -> str:
        """The text of a name; Kubernetes leaves the quoting of names by backticks off."""
        if name.kind == "ESCAPED":
            self.report(name.at, "unsupported syntax: '`'")
        return name.text

    def word(self, dot: Token) -> Token:
        """A word that stands where a name should; `in`, `true` and the like are never names."""
        if self.token.kind in ("true", "false", "null", "in", "END") or self.token.kind in OPERATORS:
            self.syntax(f"mismatched input '{self.token.shown}' expecting IDENTIFIER" if self.token.kind != "END"
                        else "no viable alternative at input '.'")
        else:
            self.syntax(f"no viable alternative at input '{dot.text}{self.token.shown}'")
        raise Syntax

    def indexed(self, node: Node, bracket: Token) -> Node:
        optional = self.accept("?")
        self.open.append("]")
        index = self.expression()
        self.open.pop()
        self.need("]", "']'")
        if optional and self.version < OPTIONALS:
            return self.report(bracket.at, "unsupported syntax '[?'")
        return Call(bracket.at, "_[?_]" if optional else "_[_]", None, [node, index])

    def called(self, at: int, name: str, target: Node | None, arguments: list[Node]) -> Node:
        since, expand = MACROS.get((name, len(arguments), target is not None), (0, None))
        if expand and since <= self.version:
            try:
                return expand(at, target, arguments) or Call(at, name, target, arguments)
            except BadMacro as bad:
                self.problems.append(bad.problem)
        return Call(at, name, target, arguments)

    def listed(self, close: str) -> list[Node]:
        """Expressions up to a closing bracket, which is taken."""
        found: list[Node] = []
        self.open.append(close)
        while self.token.kind != close or (found and close == ")" and self.tokens[self.index - 1].kind == ","):
            found.append(self.expression())
            if not self.accept(","):
                break
        self.open.pop()
        self.need(close, f"'{close}'")
        return found

    # What stands by itself.

    def primary(self) -> Node:
        token = self.token
        if token.kind not in STARTS or (token.kind == "-" and self.after().kind not in ("INT", "FLOAT")):
            return self.misplaced()
        self.take()
        match token.kind:
            case "(":
                self.open.append(")")
                inner = self.expression()
                self.open.pop()
                self.need(")", "')'")
                return inner
            case "[":
                return self.list_of(token)
            case "{":
                return MapOf(token.at, self.entries(fields=False))
            case "." | "NAME":
                return self.name(token)
            case "-":
                return self.number(self.take(), token)
            case "INT" | "FLOAT" | "UINT":
                return self.number(token, None)
            case "STRING" | "BYTES":
                return self.quoted(token)
        return Literal(token.at, {"true": True, "false": False}.get(token.kind))

    def misplaced(self) -> Node:
        token = self.token
        if token.kind != "END" and self.after().kind in STARTS:
            self.syntax(f"extraneous input '{token.shown}' expecting {EXPECTED}")
            self.take()
            return self.primary()
        self.syntax(f"mismatched input '{token.shown}' expecting {EXPECTED}")
        raise Syntax

    def name(self, token: Token) -> Node:
        dot = token.kind == "."
        word = self.need("NAME", "IDENTIFIER") if dot else token
        name = f".{word.text}" if dot else word.text
        bracket = self.accept("(")
        arguments = self.listed(")") if bracket else []
        if word.text in RESERVED:
            return self.report(token.at, f"reserved identifier: {word.text}")
        return self.called(bracket.at, name, None, arguments) if bracket else Name(word.at, name)

    def list_of(self, bracket: Token) -> Node:
        elements: list[Node] = []
        optional: set[int] = set()
        self.open.append("]")
        while self.token.kind != "]":
            if sign := self.accept("?"):
                optional.add(len(elements))
                self.need_optionals(sign)
            elements.append(self.expression())
            if not self.accept(","):
                break
        self.open.pop()
        self.need("]", "']'")
        return ListOf(bracket.at, elements, frozenset(optional))

    def object_of(self, name: str) -> Node:
        bracket = self.take()
        return ObjectOf(bracket.at, name, self.entries(fields=True))

    def entries(self, *, fields: bool) -> list[Entry]:
        found: list[Entry] = []
        self.open.append("}")
        while self.token.kind != "}":
            sign = self.accept("?")
            if sign:
                self.need_optionals(sign)
            key = self.field() if fields else self.expression()
            colon = self.need(":", "':'")
            found.append(Entry(colon.at, key, self.expression(), sign is not None))
            if not self.accept(","):
                break
        self.open.pop()
        self.need("}", "'}'")
        return found

    def field(self) -> str:
        token = self.accept("NAME", "ESCAPED")
        if token is None:
            self.syntax(f"mismatched input '{self.token.shown}' expecting "
                        "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}")
            raise Syntax
        return self.unescaped(token)

    def need_optionals(self, sign: Token) -> None:
        if self.version < OPTIONALS:
            self.report(sign.at, "unsupported syntax '?'")

    def number(self, token: Token, sign: Token | None) -> Node:
        at = sign.at if sign else token.at
        if token.kind == "FLOAT":
            value = float(token.text)
            if value == float("inf"):
                return self.report(at, "invalid double literal")
            return Literal(at, -value if sign else value)
        digits = token.text.rstrip("uU") if token.kind == "UINT" else token.text
        whole = int(digits[2:], 16) if digits.startswith("0x") else int(digits) if len(digits) < 40 else UINT64
        if token.kind == "UINT":
            return Literal(at, Uint(whole)) if whole < UINT64 else self.report(at, "invalid uint literal")
        whole = -whole if sign else whole
        return Literal(at, whole) if -INT64 <= whole < INT64 else self.report(at, "invalid int literal")

    def quoted(self, token: Token) -> Node:
        try:
            return Literal(token.at, string_value(token.text) if token.kind == "STRING" else bytes_value(token.text))
        except BadEscape as error:
            return self.report(token.at, str(error))


def qualified(node: Node) -> str:
    """The dotted name that a node spells, or nothing where it is something else."""
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Select) and not node.optional and not node.test and (base := qualified(node.operand)):
        return f"{base}.{node.field}"
    return ""
