"""Terms of real arithmetic and truth values for z3, with constants folded so that formulas stay short.

A term is a ``Fraction`` or a z3 real, a truth value a ``bool`` or a z3 Boolean. Quotients and roots are variables with
a polynomial side condition each, which ``Context`` collects: z3's own division is an arbitrary function at zero.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import z3

Term = Any
Truth = Any


def real(term: Term) -> z3.ArithRef:
    """The term as z3 has it."""
    return z3.RealVal(term) if isinstance(term, Fraction) else term


def boolean(truth: Truth) -> z3.BoolRef:
    """The truth value as z3 has it."""
    return z3.BoolVal(truth) if isinstance(truth, bool) else truth


def conjunction(*truths: Truth) -> Truth:
    rest = [truth for truth in truths if truth is not True]
    if any(truth is False for truth in rest):
        return False
    return True if not rest else rest[0] if len(rest) == 1 else z3.And(*rest)


def disjunction(*truths: Truth) -> Truth:
    rest = [truth for truth in truths if truth is not False]
    if any(truth is True for truth in rest):
        return True
    return False if not rest else rest[0] if len(rest) == 1 else z3.Or(*rest)


def negation(truth: Truth) -> Truth:
    return (not truth) if isinstance(truth, bool) else z3.Not(truth)


def choice(condition: Truth, yes: Term, no: Term) -> Term:
    """``yes`` where the condition holds, else ``no``; both are terms."""
    if isinstance(condition, bool):
        return yes if condition else no
    return yes if same(yes, no) else z3.If(condition, real(yes), real(no))


def choice_of_truths(condition: Truth, yes: Truth, no: Truth) -> Truth:
    if isinstance(condition, bool):
        return yes if condition else no
    if isinstance(yes, bool) or isinstance(no, bool):
        return disjunction(conjunction(condition, yes), conjunction(negation(condition), no))
    return yes if yes.eq(no) else z3.If(condition, yes, no)


def same(one: Term, other: Term) -> bool:
    """Whether two terms are written alike; terms that differ in form may still be equal."""
    if isinstance(one, Fraction) or isinstance(other, Fraction):
        return isinstance(one, Fraction) and isinstance(other, Fraction) and one == other
    return bool(one.eq(other))


def plus(one: Term, other: Term) -> Term:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one + other
    if one == 0 and isinstance(one, Fraction):
        return other
    if isinstance(other, Fraction) and other == 0:
        return one
    return real(one) + real(other)


def times(one: Term, other: Term) -> Term:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one * other
    for factor, rest in ((one, other), (other, one)):
        if isinstance(factor, Fraction):
            return factor if factor == 0 else rest if factor == 1 else real(factor) * rest
    return one * other


def minus(one: Term, other: Term) -> Term:
    return plus(one, times(Fraction(-1), other))


def less(one: Term, other: Term) -> Truth:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one < other
    return False if same(one, other) else real(one) < real(other)


def equal(one: Term, other: Term) -> Truth:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return one == other
    return True if same(one, other) else real(one) == real(other)


class Definition(NamedTuple):
    """What a variable stands for: "quotient" of two terms, "root" of a term and a degree, "sign of zero" of a term,
    "angle" of a cosine, or "chebyshev root" of a value, a degree and an interval.
    """

    kind: str
    variable: z3.ExprRef
    parts: tuple[Any, ...]


class Side(NamedTuple):
    """A condition that fixes the variable ``owner``."""

    owner: str
    condition: z3.BoolRef


@dataclass
class Context:
    """Variables with their side conditions; each holds in every model of the inputs and fixes its variable."""

    sides: list[Side] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    _known: dict[tuple[Any, ...], z3.ExprRef] = field(default_factory=dict)

    def quotient(self, above: Term, below: Term) -> Term:
        """``above / below``, and 0 where ``below`` is 0, a case that the caller tells apart."""
        if isinstance(below, Fraction):
            return Fraction(0) if below == 0 else times(above, 1 / below)
        if isinstance(above, Fraction) and above == 0:
            return above
        if same(above, below):
            return choice(equal(below, Fraction(0)), Fraction(0), Fraction(1))
        found, new = self._variable("quotient", above, below)
        if new:
            self._fix(found, z3.Or(below == 0, found * below == real(above)), z3.Implies(below == 0, found == 0))
        return found

    def root(self, term: Term, degree: int) -> Term:
        """The nonnegative root of a term >= 0, and 0 of a negative one, a case that the caller tells apart."""
        if isinstance(term, Fraction):
            exact = _exact_root(term, degree)
            if exact is not None:
                return exact
        found, new = self._variable("root", real(term), degree)
        if new:
            power = found
            for _ in range(degree - 1):
                power = power * found
            self._fix(found, found >= 0, z3.If(real(term) >= 0, power == real(term), found == 0))
        return found

    def sign_of_zero(self, below: Term) -> Truth:
        """Whether a zero, the value of ``below``, is +0. Real arithmetic has one zero: both cases are possible."""
        found, _ = self._variable("sign of zero", real(below), boolean=True)
        return found

    def angle(self, cosine: Term) -> Term:
        """The angle between 0 and pi with this cosine, of which only the range is told."""
        found, new = self._variable("angle", real(cosine))
        if new:
            self._fix(found, found >= 0, found <= 4)
        return found

    def chebyshev_root(self, value: Term, degree: int, low: Fraction, high: Fraction) -> Term:
        """The root of ``T_degree(tau) = value`` in [low, high], on which T_degree runs from -1 to 1 or back."""
        found, new = self._variable("chebyshev root", real(value), degree, low, high)
        if new:
            polynomial = {1: found, 2: 2 * found * found - 1, 3: 4 * found * found * found - 3 * found}[degree]
            inside = z3.And(real(value) >= -1, real(value) <= 1)
            ends = (found >= real(low), found <= real(high))
            self._fix(found, *ends, z3.If(inside, polynomial == real(value), found == real(high)))
        return found

    def _fix(self, variable: z3.ExprRef, *conditions: z3.BoolRef) -> None:
        self.sides += [Side(str(variable), condition) for condition in conditions]

    def _variable(self, kind: str, *parts: Any, boolean: bool = False) -> tuple[Any, bool]:
        key = (kind, *(part.get_id() if isinstance(part, z3.ExprRef) else part for part in parts))
        if key in self._known:
            return self._known[key], False
        name = f"{kind} {len(self.definitions)}"
        variable = z3.Bool(name) if boolean else z3.Real(name)
        self._known[key] = variable
        # The parts are kept, so that z3 does not give their ids to other terms.
        self.definitions.append(Definition(kind, variable, parts))
        return variable, True


def _exact_root(value: Fraction, degree: int) -> Fraction | None:
    if value < 0:
        return Fraction(0)
    parts = [round(part ** (1 / degree)) if part < 10**15 else 0 for part in (value.numerator, value.denominator)]
    exact = parts[1] > 0 and Fraction(parts[0] ** degree, parts[1] ** degree) == value
    return Fraction(*parts) if exact else None


class Anatomy:
    """The inside of z3 terms, remembered: z3 builds a new Python object for every look at a child."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, list[Any]]] = {}
        self._names: dict[int, frozenset[str]] = {}
        self._choices: dict[int, bool] = {}

    def children(self, term: Any) -> list[Any]:
        """The term is kept as well, so that z3 does not give its id to another."""
        found = self._known.get(term.get_id())
        if found is None:
            found = self._known[term.get_id()] = (term, term.children())
        return found[1]

    def names(self, term: Any) -> frozenset[str]:
        """The names of the real variables inside."""
        key = term.get_id()
        if key not in self._names:
            parts = self.children(term)
            own = not parts and z3.is_real(term) and term.decl().kind() == z3.Z3_OP_UNINTERPRETED
            self._names[key] = frozenset((str(term),)) if own else frozenset().union(*map(self.names, parts))
        return self._names[key]

    def has_choice(self, term: Any) -> bool:
        """Whether there is an if-then-else inside."""
        key = term.get_id()
        if key not in self._choices:
            parts = self.children(term)
            self._choices[key] = z3.is_app_of(term, z3.Z3_OP_ITE) or any(map(self.has_choice, parts))
        return self._choices[key]

    def size(self, term: Any) -> int:
        """The number of different terms inside."""
        seen: set[int] = set()
        queue = [term]
        for part in queue:
            key = part.get_id()
            if key not in seen:
                seen.add(key)
                queue += self.children(part)
        return len(seen)
