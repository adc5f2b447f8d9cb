"""Mutations of what a checkpoint holds: its plain containers, before they become a pickle. They know what it means."""

import copy
import math

DTYPES = (
    "float32", "float64", "int64", "uint8", "float16", "object", "O", "<f4", "complex128", "U1", "S8", "V4", "datetime64[s]",
    "bool", "", "float32\0", "Float32", "f4,f4", "no such", 4, None, ["float32"], {"names": []}, b"float32", 1.5,
)  # fmt: skip
NUMBERS = (
    0, 1, 2, -1, 255, 2**31 - 1, 2**31, 2**32, 2**53, 2**60, 2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), 10**21,
    0.0, -0.0, 0.5, 1.0, -1.5, 1e-320, 1e308, math.nan, math.inf, -math.inf, True, False, None,
)  # fmt: skip
TEXTS = (
    "", "0", "-1", "1e9", "nan", "float32", "chaudhary2024", "jeganathan2025", "mnist", "/", "/dev", "/proc/self", "..", "~",
    "a" * 300, "a" * 5000, "/x" * 2000, "two\nlines", "\x1b[31mred\x1b[0m\x07", "\ud800", "\0", "ø", "\u202egnp", "𝟙", "9" * 5000,
    "minimax", "cpu", "gpu", "%s%n", "{0.__class__}", "x" * 100_000,
)  # fmt: skip


def mutate(rng, state):
    """(what was done, a state) with one to three things wrong with it."""
    holder = [copy.deepcopy(state)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        change = rng.choice(CHANGES)
        change(rng, holder)
    return change.__name__, holder[0]


def _nodes(holder):
    """Every (container, key) of the state."""
    found, todo = [], [holder]
    while todo:
        container = todo.pop()
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            found.append((container, key))
            if isinstance(container[key], (dict, list)) and len(found) < 5000:
                todo.append(container[key])
    return found


def _is_array(value):
    return isinstance(value, dict) and set(value) == {"dtype", "shape", "bytes"}


def _somewhere(rng, holder):
    """A (container, key), the settings and the counts as often as the many arrays."""
    nodes = _nodes(holder)
    state = holder[0]
    if isinstance(state, dict) and rng.random() < 0.5:
        few = [(state, key) for key in state]
        for name in ("settings", "draws", "environment"):
            if isinstance(state.get(name), dict):
                few += [(state[name], key) for key in state[name]]
        nodes = few or nodes
    return rng.choice(nodes)


def absurd_value(rng, holder):
    """A value is another, of any kind."""
    container, key = _somewhere(rng, holder)
    container[key] = _absurd(rng)


def _absurd(rng):
    width = rng.choice((3, 100, 2000))
    return rng.choice((
        lambda: rng.choice(NUMBERS), lambda: rng.choice(NUMBERS), lambda: rng.choice(TEXTS), lambda: rng.choice(TEXTS),
        lambda: b"", lambda: b"x" * 100, lambda: [], lambda: {}, lambda: [[]], lambda: {"": {}}, lambda: {0: 0},
        lambda: _deep(rng.choice((10, 70, 150))), lambda: ["x" * 100 * width] + [""] * width,  # NumPy: width^2 letters
        lambda: [b"x" * 100 * width] + [b""] * width, lambda: [0] * width, lambda: [[0.0] * 10] * 10, lambda: [None] * 5,
        lambda: {"dtype": "float32", "shape": [], "bytes": bytes(4)}, lambda: {"dtype": "uint8", "shape": [3], "bytes": b"abc"},
        lambda: {"dtype": "float64", "shape": [1] * 8, "bytes": bytes(8)}, lambda: {str(n): n for n in range(width)},
        lambda: {"x" * 1000 * n: n for n in range(10)}, lambda: [["recipe", "chaudhary2024"]],
    ))()  # fmt: skip


def _deep(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def missing_key(rng, holder):
    """A key is missing."""
    container, key = _somewhere(rng, holder)
    if isinstance(container, dict):
        del container[key]


def renamed_key(rng, holder):
    """A key is another, or of another type."""
    container, key = _somewhere(rng, holder)
    if isinstance(container, dict):
        container[
            rng.choice(
                (f"{key}x", "", 0, 7, -1, None, True, 1.5, b"0", 2**64 - 1, "\n", "0.weight", "step", "x" * 10_000)
            )
        ] = container.pop(key)


def added_key(rng, holder):
    """There is a key that does not belong there."""
    container, key = _somewhere(rng, holder)
    if isinstance(container, dict):
        container[rng.choice(("x", "average", "generator", "scales", "ema", 9, "__class__", "dtype"))] = _absurd(rng)


def swapped_values(rng, holder):
    """Two values have changed places."""
    (a, i), (b, j) = _somewhere(rng, holder), _somewhere(rng, holder)
    a[i], b[j] = copy.deepcopy(b[j]), copy.deepcopy(a[i])


def shared_value(rng, holder):
    """The same container is there twice: a pickle can say so."""
    (a, i), (b, j) = _somewhere(rng, holder), _somewhere(rng, holder)
    a[i] = b[j]


def changed_array(rng, holder):
    """An array's dtype, shape or bytes do not fit."""
    arrays = [value for container, key in _nodes(holder) if _is_array(value := container[key])]
    if not arrays:
        return
    array = rng.choice(arrays)
    shape = array["shape"] if isinstance(array["shape"], list) else [1]
    content = array["bytes"] if isinstance(array["bytes"], bytes) else b""
    key, value = rng.choice((
        ("dtype", rng.choice(DTYPES)), ("dtype", rng.choice(DTYPES[:6])),
        ("shape", [rng.choice((0, 1, 2, -1, 2**31, 2**32, 2**62, 2**64, -(2**63), True, 1.0, None, "1", [1]))] + shape[1:]),
        ("shape", shape[::-1]), ("shape", shape + [1]), ("shape", [1] * rng.choice((9, 33, 65, 1000)) + shape), ("shape", [math.prod(map(_number, shape))]),
        ("shape", [2**32, 2**32]), ("shape", [2**62, 4]), ("shape", []), ("shape", {}), ("shape", "2"), ("shape", None), ("shape", _deep(50)),
        ("bytes", content[:-1]), ("bytes", content + b"x"), ("bytes", content * 2), ("bytes", b""), ("bytes", "x" * len(content)),
        ("bytes", [0] * min(len(content), 1000)), ("bytes", b"\xff" * len(content)), ("bytes", b"\x7f\x7f\x80\x7f" * (len(content) // 4)), ("bytes", None),
    ))  # fmt: skip
    array[key] = value


def _number(value):
    return value if type(value) is int else 1


def plain_array(rng, holder):
    """An array is a list of numbers, of texts or of arrays."""
    arrays = [(container, key) for container, key in _nodes(holder) if _is_array(container[key])]
    if arrays:
        container, key = rng.choice(arrays)
        count = math.prod(map(_number, container[key]["shape"])) if isinstance(container[key]["shape"], list) else 1
        count = min(max(count, 0), 3000)
        container[key] = rng.choice((
            [0.0] * count, ["0"] * count, ["9" * 100_000] + [""] * count, [b"9" * 100_000] + [b""] * count, [10**30] * count, "x", 0,
            [dict(container[key]) for _ in range(3)], [_deep(100)], {"0": dict(container[key])},
        ))  # fmt: skip


CHANGES = (
    absurd_value,
    absurd_value,
    missing_key,
    renamed_key,
    added_key,
    swapped_values,
    shared_value,
    changed_array,
    changed_array,
    plain_array,
)
