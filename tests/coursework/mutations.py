"""Every small change of a program: what a grader that looks closely has to notice.

Each mutation changes one node of the syntax tree (DeMillo, Lipton and Sayward, "Hints on Test Data Selection", 1978):
an operator, a sign, an index or bound, a constant, the order of arguments, a keyword, a reduction, a condition, or a
statement that is dropped.
"""

import ast
import copy
from dataclasses import dataclass

OPERATORS = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div, ast.Add), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,), ast.Pow: (ast.Mult,), ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,), ast.LShift: (ast.RShift,),
    ast.RShift: (ast.LShift,), ast.BitXor: (ast.BitOr,),
}  # fmt: skip
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
NAMES = {
    "sum": "mean", "mean": "sum", "average": "sum", "max": "min", "min": "max", "zeros": "ones", "ones": "zeros", "argmax": "argmin",
    "argmin": "argmax", "maximum": "minimum", "minimum": "maximum", "sin": "cos", "cos": "sin", "exp": "log", "log": "exp",
    "zeros_like": "ones_like", "ones_like": "zeros_like", "floor": "ceil", "ceil": "floor", "any": "all", "all": "any", "var": "std",
    "std": "var", "sqrt": "square", "real": "fake", "fake": "real",
}  # fmt: skip


@dataclass
class Mutant:
    """A program with one change. key tells it apart within its file."""

    key: str  # "function: before -> after", with #2, #3 for the same change elsewhere
    line: int
    source: str


def mutants(source):
    """All Mutants of a program's source, in the order of its lines."""
    tree = ast.parse(source)
    seen, found = {}, []
    for position, node in enumerate(ast.walk(tree)):
        for number in range(len(list(_changes(node)))):
            changed = copy.deepcopy(tree)
            target = _nth(changed, position)
            before = ast.unparse(target)
            replacement = list(_changes(target))[number]
            after = "nothing" if isinstance(replacement, ast.Pass) else ast.unparse(replacement)
            _replace(changed, target, replacement)
            text = ast.unparse(ast.fix_missing_locations(changed))
            if after == before:
                continue
            name = f"{_function(tree, node)}: {_short(before)} -> {_short(after)}"
            seen[name] = seen.get(name, 0) + 1
            key = name if seen[name] == 1 else f"{name} #{seen[name]}"
            found.append(Mutant(key, getattr(node, "lineno", 0), text))
    return sorted(found, key=lambda m: m.line)


def _changes(node):
    """The nodes that could stand in a node's place, each a mistake that compiles."""
    make = lambda **parts: _with(node, **parts)  # noqa: E731
    if isinstance(node, ast.BinOp):
        yield from (make(op=other()) for other in OPERATORS.get(type(node.op), ()))
        if isinstance(node.op, (ast.MatMult, ast.Sub, ast.Div, ast.Pow)):
            yield make(left=node.right, right=node.left)
    elif isinstance(node, ast.AugAssign):
        yield from (make(op=other()) for other in OPERATORS.get(type(node.op), ()))
        yield ast.Assign(targets=[node.target], value=node.value, lineno=node.lineno)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield node.operand
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from (make(ops=[other()]) for other in COMPARISONS.get(type(node.ops[0]), ()))
    elif isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            yield from (
                make(ops=[*node.ops[:i], other(), *node.ops[i + 1 :]]) for other in COMPARISONS.get(type(op), ())[:1]
            )
    elif isinstance(node, ast.BoolOp):
        yield make(op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _other_constants(node.value))
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield make(attr=NAMES[node.attr])
    elif isinstance(node, ast.Call):
        plain = [i for i, a in enumerate(node.args) if not isinstance(a, ast.Starred)]
        for i, j in zip(plain, plain[1:]):
            order = list(node.args)
            order[i], order[j] = order[j], order[i]
            yield make(args=order)
        for k in range(len(node.keywords)):
            yield make(keywords=node.keywords[:k] + node.keywords[k + 1 :])
        if isinstance(node.func, ast.Name) and node.func.id in NAMES:
            yield make(func=ast.Name(NAMES[node.func.id], ast.Load()))
    elif isinstance(node, ast.Slice):
        yield from (make(**{part: None}) for part in ("lower", "upper", "step") if getattr(node, part) is not None)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Name):
        yield make(slice=ast.BinOp(node.slice, ast.Sub(), ast.Constant(1)))
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield from (
            make(test=ast.Constant(value)) for value in ((False,) if isinstance(node, ast.While) else (True, False))
        )
    if (
        isinstance(node, ast.Return)
        and node.value is not None
        and not isinstance(node.value, (ast.Tuple, ast.Constant))
    ):
        yield make(value=ast.UnaryOp(ast.USub(), node.value))
    if isinstance(
        node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Raise, ast.For, ast.Delete, ast.Continue, ast.Break)
    ):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # a docstring
            yield ast.Pass()


def _with(node, **parts):
    changed = copy.copy(node)
    for name, value in parts.items():
        setattr(changed, name, value)
    return changed


def _other_constants(value):
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1, value - 1]
    if isinstance(value, float):
        return [value * 2, value + 1]
    return []


def _nth(tree, position):
    for i, node in enumerate(ast.walk(tree)):
        if i == position:
            return node


def _replace(tree, target, replacement):
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is target:
                setattr(parent, name, replacement)
                return
            if isinstance(value, list):
                for i, item in enumerate(value):
                    if item is target:
                        value[i] = replacement
                        return


def _function(tree, node):
    """The name of the innermost function or class around the node."""
    name = "module"
    for outer in ast.walk(tree):
        if isinstance(outer, (ast.FunctionDef, ast.ClassDef)) and any(inner is node for inner in ast.walk(outer)):
            name = outer.name if name == "module" or isinstance(outer, ast.FunctionDef) else name
    return name


def _short(text):
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:87] + "..."
