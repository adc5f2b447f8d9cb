"""The autograd engine: tensors that remember how they were made, and `grad`, which walks back.

An `Op` is a forward on arrays and a vector-Jacobian product (vjp) written in Tensors. Since a vjp
is itself made of ops, a gradient can be differentiated again: gradients of gradients come free.
Reverse accumulation as in Griewank and Walther, "Evaluating Derivatives" (2008), chapter 3.
Built on NumPy (or CuPy) arrays alone; convolution, batch normalisation and losses come later.
"""

import contextlib
import itertools
import operator

import numpy as np

from minigan import anomaly, backend
from minigan.errors import ShapeError

_recording = True  # whether ops remember their inputs
_creation = itertools.count()


@contextlib.contextmanager
def set_grad_enabled(enabled):
    """Inside the block, ops build a graph (True) or only compute (False)."""
    global _recording
    before, _recording = _recording, enabled
    try:
        yield
    finally:
        _recording = before


def no_grad():
    """Inside the block, ops compute without building a graph."""
    return set_grad_enabled(False)


def is_grad_enabled():
    """Whether ops build a graph now."""
    return _recording


class Op:
    """One differentiable function. An instance is one call: fixed arguments go to `__init__`.

    An instance must not keep its output (a reference cycle); the engine hands it to `vjp`.
    """

    place = None  # where it was called, in words, if results were searched for NaN then

    def forward(self, *arrays):
        """The value: arrays in, array out."""
        raise NotImplementedError

    def vjp(self, needs, g, out, *inputs):
        """The gradients of <g, op(*inputs)> with respect to each input, as Tensors.

        needs: a list of bools; where it is False the gradient is not used and may be None.
        g, out, inputs: Tensors. A gradient may have the broadcast shape: the engine sums it back.
        """
        raise NotImplementedError

    def __call__(self, *inputs):
        """Applies the op to Tensors."""
        arrays = [t.data for t in inputs]
        data = backend.computed(self.forward, arrays) if backend.recording() else self.forward(*arrays)
        out = Tensor(data)
        if anomaly.is_checking():
            self.place = anomaly.place()
            anomaly.check(self, [data, *vars(self).values()], inputs)  # and what the op keeps: statistics, a mask
        if _recording:
            for t in inputs:
                if t.requires_grad:
                    out.requires_grad, out.op, out.inputs = True, self, inputs  # pyright: ignore[reportAttributeAccessIssue]
                    break
        return out


class FusedOp(Op):
    """An op with a fast vjp on arrays, for where no graph of the gradient is wanted.

    Where one is, the engine differentiates `reference`, the same function composed of primitive
    ops: no second derivative is ever derived by hand, and fused == reference is a test. A reference
    is pure: random masks are inputs, running statistics are updated outside. (A primitive with a
    fast vjp gives its vjp in ops, `differentiable_vjp`, in place of a reference.)
    """

    def arrays_vjp(self, needs, g, out, *inputs):
        """As `vjp`, on arrays: returns arrays, or None where a gradient is not needed."""
        raise NotImplementedError

    def reference(self, *inputs):
        """The same function of Tensors, out of primitive ops."""
        raise NotImplementedError

    def vjp(self, needs, g, out, *inputs):
        """The fast arrays_vjp; or, where a graph of the gradient is wanted, the differentiable one."""
        if _recording:
            return self.differentiable_vjp(needs, g, out, *inputs)
        grads = self.arrays_vjp(needs, g.data, out.data, *[t.data for t in inputs])
        if anomaly.is_checking():
            anomaly.check(self, grads, (g, *inputs))
        return [None if array is None else Tensor(array) for array in grads]

    def differentiable_vjp(self, needs, g, out, *inputs):
        """As `vjp`, made of ops: that of the reference."""
        # New names for the inputs: an input may be computed from another one, and the walk
        # below must stop at the op's own inputs.
        aliases = [Alias()(t) for t in inputs]
        wanted = [alias for alias, need in zip(aliases, needs) if need]
        found = iter(grad(self.reference(*aliases), wanted, g, create_graph=True, allow_unused=True))
        return [next(found) if need else None for need in needs]


def grad(outputs, inputs, grad_outputs=None, create_graph=False, allow_unused=False):
    """The gradients of <outputs, grad_outputs> with respect to each of `inputs`.

    outputs: a Tensor. inputs: a Tensor or a sequence of them. grad_outputs: a Tensor of the shape
    of outputs; may be left out where outputs has one element (then 1). Returns a tuple of Tensors.
    create_graph: the gradients can be differentiated in turn. allow_unused: None for an input that
    outputs does not depend on, instead of RuntimeError.

    Only ops between inputs and outputs are visited, and the graph is neither freed nor changed: it
    may be walked again. (The walk is reverse mode; order of creation is a topological order.)
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    for t in inputs:
        if not t.requires_grad:
            raise RuntimeError(f"cannot differentiate with respect to {t!r}: it does not require a gradient")
    if grad_outputs is None:
        if outputs.data.size != 1:
            raise ShapeError(f"grad of a tensor of shape {outputs.shape}: only a scalar needs no grad_outputs")
        grad_outputs = Tensor(backend.array_module(outputs.device).ones_like(outputs.data))
    elif grad_outputs.shape != outputs.shape or grad_outputs.dtype != outputs.dtype:
        raise ShapeError(
            f"grad_outputs is {grad_outputs.dtype}{grad_outputs.shape}, but the output is "
            f"{outputs.dtype}{outputs.shape}: they must be alike"
        )
    path, on_path = _path(outputs, inputs)
    grads = {id(outputs): grad_outputs} if id(outputs) in on_path else {}
    wanted = {id(t) for t in inputs}
    with set_grad_enabled(create_graph):
        for t in path:
            g = grads.get(id(t))
            needs = [id(source) in on_path for source in t.inputs]
            if g is None or not any(needs):
                continue
            if id(t) not in wanted:
                del grads[id(t)]
            with anomaly.in_gradient_of(t):
                for source, need, found in zip(t.inputs, needs, t.op.vjp(needs, g, t, *t.inputs)):
                    if need and found is not None:
                        found = found.sum_to(source.shape)
                        grads[id(source)] = grads[id(source)] + found if id(source) in grads else found
    found = tuple(grads.get(id(t)) for t in inputs)
    if not allow_unused:
        for t, g in zip(inputs, found):
            if g is None:
                raise RuntimeError(f"the output does not depend on {t!r}; allow_unused=True returns None for it")
    return found


def _path(outputs, inputs):
    """The tensors through which a change of inputs reaches outputs, newest first, and their ids."""
    oldest = min((t.order for t in inputs), default=0)
    seen, stack, ancestors = set(), [outputs], []
    while stack:
        t = stack.pop()
        # What is older than every input cannot depend on any.
        if id(t) not in seen and t.order >= oldest:
            seen.add(id(t))
            ancestors.append(t)
            stack.extend(t.inputs)
    ancestors.sort(key=operator.attrgetter("order"))
    on_path = {id(t) for t in inputs}
    path = []
    for t in ancestors:
        if id(t) in on_path or not on_path.isdisjoint(map(id, t.inputs)):
            on_path.add(id(t))
            path.append(t)
    return path[::-1], on_path


class Tensor:
    """An array, and how it was made.

    data: anything NumPy can make an array of; Python floats and lists of them become float32, Python
    ints int64, arrays keep their dtype and are not copied. requires_grad: whether gradients with respect to it are wanted.
    Raises TypeError for requires_grad on a tensor that does not hold floats.
    """

    __slots__ = ("data", "grad", "requires_grad", "op", "inputs", "order", "__weakref__")
    __array_ufunc__ = None  # array * tensor is the tensor's business, not NumPy's

    def __init__(self, data, requires_grad=False, dtype=None):
        if dtype is not None or type(data) is not np.ndarray:
            data = _as_array(data, dtype)
        if requires_grad and data.dtype.kind != "f":
            raise TypeError(f"only tensors of floats can require a gradient, not {data.dtype}")
        self.data = data
        self.grad = None
        self.requires_grad = requires_grad
        self.op = None
        self.inputs = ()
        self.order = next(_creation)

    shape = property(lambda self: self.data.shape, doc="The lengths of the dimensions, a tuple.")
    ndim = property(lambda self: self.data.ndim, doc="The number of dimensions.")
    dtype = property(lambda self: self.data.dtype, doc="The NumPy dtype of the elements.")
    device = property(lambda self: backend.device_of(self.data), doc="'cpu' or 'gpu'.")
    is_leaf = property(lambda self: self.op is None, doc="Whether no op made it (or none was recorded).")

    def backward(self, gradient=None, create_graph=False):
        """Adds the gradient of <self, gradient> to `.grad` of every leaf that requires one."""
        if not self.requires_grad:
            raise RuntimeError("backward on a tensor that does not depend on anything requiring a gradient")
        seen, stack, leaves = set(), [self], []
        while stack:
            t = stack.pop()
            if id(t) not in seen:
                seen.add(id(t))
                stack.extend(t.inputs)
                if t.op is None and t.requires_grad:
                    leaves.append(t)
        for leaf, g in zip(leaves, grad(self, leaves, gradient, create_graph, allow_unused=True)):
            if g is not None:
                with set_grad_enabled(create_graph):
                    if leaf.grad is not None:
                        leaf.grad = leaf.grad + g
                    else:  # its own memory: another leaf may have been given the same array
                        leaf.grad = g if create_graph else Tensor(g.data.copy())

    # Leaving the graph, and the device.

    def detach(self):
        """The same data, outside the graph."""
        return Tensor(self.data)

    def requires_grad_(self, requires_grad=True):
        """Sets whether gradients with respect to this leaf are wanted; returns self."""
        if requires_grad and self.dtype.kind != "f":
            raise TypeError(f"only tensors of floats can require a gradient, not {self.dtype}")
        self.requires_grad = requires_grad
        return self

    def numpy(self):
        """The data as a NumPy array (a copy only where it lives on the GPU)."""
        return backend.to_numpy(self.data)

    def item(self):
        """The one element, as a Python number."""
        return backend.to_numpy(self.data).item()

    def to(self, target):
        """On another device ("cpu", "gpu") or of another dtype; the gradient flows back through."""
        target = "gpu" if target == "cuda" else target
        if isinstance(target, str) and target in ("cpu", "gpu"):
            return self if target == self.device else ToDevice(target, self.device)(self)
        target = np.dtype(target)
        if target.kind != "f":  # nothing flows back through integers
            return self if target == self.dtype else Tensor(self.data.astype(target))
        return self if target == self.dtype else ToDtype(target, self.dtype)(self)

    def cuda(self):
        """On the GPU."""
        return self.to("gpu")

    def cpu(self):
        """On the CPU."""
        return self.to("cpu")

    # Arithmetic, broadcasting as NumPy does.

    def __add__(self, other):
        return Add()(self, self._alike(other))

    def __sub__(self, other):
        return Sub()(self, self._alike(other))

    def __mul__(self, other):
        return Mul()(self, self._alike(other))

    def __truediv__(self, other):
        return Div()(self, self._alike(other))

    def __rsub__(self, other):
        return Sub()(self._alike(other), self)

    def __rtruediv__(self, other):
        return Div()(self._alike(other), self)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return Neg()(self)

    def __pow__(self, exponent):
        """self ** exponent for a number; exponent must not be a tensor (use (b * a.log()).exp())."""
        return Pow(exponent.item() if isinstance(exponent, np.generic) else exponent)(self)

    def __matmul__(self, other):
        """The matrix product of the last two dimensions; a 1-d operand is a row or column, as in NumPy."""
        other = self._alike(other)
        a = self.reshape(1, -1) if self.ndim == 1 else self
        b = other.reshape(-1, 1) if other.ndim == 1 else other
        if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"matmul of {self.shape} and {other.shape}: the inner lengths must be equal")
        out = MatMul()(a, b)
        shape = out.shape
        if other.ndim == 1:
            shape = shape[:-1]
        if self.ndim == 1:
            shape = (*shape[:-2], shape[-1]) if other.ndim > 1 else shape[:-1]
        return out.reshape(shape)

    def __gt__(self, other):
        """Where self > other: an array of bools, not differentiable. Likewise <, >= and <=."""
        return self._compare(np.greater, other)

    def __lt__(self, other):
        return self._compare(np.less, other)

    def __ge__(self, other):
        return self._compare(np.greater_equal, other)

    def __le__(self, other):
        return self._compare(np.less_equal, other)

    def _compare(self, ufunc, other):
        other = other.data if isinstance(other, Tensor) else other
        return backend.computed(ufunc, [self.data, other])

    def _alike(self, other):
        """The other operand as a tensor; a plain number takes this tensor's dtype and device."""
        if isinstance(other, Tensor):
            if other.dtype != self.dtype:
                raise TypeError(f"operands are {self.dtype} and {other.dtype}: convert one with .to(dtype)")
            return other
        if hasattr(other, "dtype") and other.ndim:
            return self._alike(Tensor(other))
        if self.dtype.kind in "iu" and other != int(other):
            raise TypeError(f"{other} has no place in a tensor of {self.dtype}: convert it first, .to('float32')")
        return Tensor(backend.array_module(self.device).asarray(other, self.dtype))

    # Functions of each element.

    def exp(self):
        """e to the power of each element."""
        return Exp()(self)

    def log(self):
        """The natural logarithm."""
        return Log()(self)

    def sqrt(self):
        """The square root."""
        return Sqrt()(self)

    def tanh(self):
        """The hyperbolic tangent."""
        return Tanh()(self)

    def sigmoid(self):
        """1 / (1 + exp(-x))."""
        return Sigmoid()(self)

    def softplus(self):
        """log(1 + exp(x)), without overflow."""
        return Softplus()(self)

    def abs(self):
        """The absolute value; its gradient at 0 is 0."""
        return self * backend.computed(np.sign, [self.data])

    def clamp(self, min=None, max=None):
        """Each element held between min and max; the gradient is 0 where it is held."""
        held = self
        if min is not None:
            held = where(held < min, min, held)  # in this order a NaN stays one
        if max is not None:
            held = where(held > max, max, held)
        return held

    # Reductions over dim: an int, a tuple of ints, or None for all.

    def sum(self, dim=None, keepdim=False):
        """The sum over dim."""
        return self._reduced(Sum, dim, keepdim)

    def mean(self, dim=None, keepdim=False):
        """The mean over dim."""
        return self._reduced(Mean, dim, keepdim)

    def var(self, dim=None, correction=1, keepdim=False):
        """The variance over dim, divided by the count less `correction`."""
        centred = self - self.mean(dim, keepdim=True)
        return (centred * centred).sum(dim, keepdim) * (1 / (self._count(dim) - correction))

    def logsumexp(self, dim, keepdim=False):
        """log(sum(exp(x))) over dim, without overflow."""
        return self._reduced(LogSumExp, dim, keepdim)

    def sum_to(self, shape):
        """Undoes broadcasting from `shape`: sums the dimensions that were added or stretched."""
        if self.shape == shape:
            return self
        added = self.ndim - len(shape)
        stretched = tuple(d for d in range(self.ndim) if d < added or (shape[d - added] == 1 != self.shape[d]))
        return self.sum(stretched, keepdim=True).reshape(shape)

    def _reduced(self, op, dim, keepdim):
        dims = _dims(dim, self.ndim)
        out = op(dims)(self)
        return out if keepdim else out.reshape([n for d, n in enumerate(self.shape) if d not in dims])

    def _count(self, dim):
        return int(np.prod([self.shape[d] for d in _dims(dim, self.ndim)]))

    # Shape.

    def reshape(self, *shape):
        """The same elements in the same order, in another shape; -1 stands for what is left.

        Raises ShapeError for a length below -1, which NumPy takes for -1.
        """
        shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        if any(length < -1 for length in shape):
            raise ShapeError(f"a tensor {self.shape} cannot have the shape {shape}: only -1 stands for what is left")
        return self if shape == self.shape else Reshape(shape)(self)

    def view(self, *shape):
        """As `reshape`."""
        return self.reshape(*shape)

    def flatten(self, start_dim=0, end_dim=-1):
        """Dimensions start_dim to end_dim made one."""
        if self.ndim == 0:
            return self.reshape(1)
        start_dim, end_dim = _dim(start_dim, self.ndim), _dim(end_dim, self.ndim)
        return self.reshape(*self.shape[:start_dim], -1, *self.shape[end_dim + 1 :])

    def permute(self, *dims):
        """The dimensions in another order."""
        dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
        if sorted(_dim(d, self.ndim) for d in dims) != list(range(self.ndim)):
            raise IndexError(f"permute takes each of the {self.ndim} dimensions once, not {dims}")
        return Permute(tuple(d % self.ndim for d in dims))(self)

    def transpose(self, dim0, dim1):
        """Two dimensions exchanged."""
        dims = list(range(self.ndim))
        dims[dim0], dims[dim1] = dims[dim1], dims[dim0]
        return self.permute(*dims)

    @property
    def T(self):
        """The dimensions in reverse order."""
        return self.permute(*reversed(range(self.ndim)))

    def squeeze(self, dim):
        """Without dimension dim, where it has length 1."""
        dim = _dim(dim, self.ndim)
        return self if self.shape[dim] != 1 else self.reshape(*self.shape[:dim], *self.shape[dim + 1 :])

    def unsqueeze(self, dim):
        """With a dimension of length 1 put in at dim."""
        dim = _dim(dim, self.ndim + 1)
        return self.reshape(*self.shape[:dim], 1, *self.shape[dim:])

    def expand(self, *shape):
        """Dimensions of length 1 stretched to `shape`."""
        shape = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return Expand(shape)(self)

    def pad(self, widths):
        """With zeros around: `widths` is ((before, after), ...), a pair for each dimension."""
        return Pad(tuple(tuple(pair) for pair in widths))(self)

    def __getitem__(self, index):
        """NumPy's indexing: ints, slices, ..., None, and integer or boolean arrays."""
        parts = index if isinstance(index, tuple) else (index,)
        parts = tuple(part.data if isinstance(part, Tensor) else part for part in parts)
        return GetItem(parts if isinstance(index, tuple) else parts[0], self.shape)(self)

    def __len__(self):
        if self.ndim == 0:
            raise TypeError("a tensor without dimensions has no length")
        return self.shape[0]

    def __bool__(self):
        return bool(self.numpy())

    def __float__(self):
        return float(self.item())

    def __repr__(self):
        made = (
            f", made by {type(self.op).__name__}" if self.op else ", requires_grad=True" if self.requires_grad else ""
        )
        values = np.array2string(self.numpy(), precision=4, threshold=20) if self.data.size <= 20 else "..."
        return f"Tensor({values}, {self.dtype}{self.shape}{made})"


def _as_array(data, dtype):
    if isinstance(data, Tensor):
        data = data.data
    if hasattr(data, "__cuda_array_interface__"):  # CuPy's stay where they are
        return data if dtype is None else data.astype(dtype)
    if dtype is None and not hasattr(data, "dtype") and np.asarray(data).dtype.kind == "f":
        dtype = np.float32
    return np.asarray(data, dtype)


def _dims(dim, ndim):
    """The dimensions named by an int, some ints, or None for all: sorted, from 0. Raises IndexError for others."""
    if dim is None:
        return tuple(range(ndim))
    return tuple(sorted(_dim(d, ndim) for d in ((dim,) if isinstance(dim, int) else dim)))


def _dim(dim, ndim):
    if not -ndim <= dim < ndim:
        raise IndexError(f"a tensor of {ndim} dimensions has no dimension {dim}")
    return dim % ndim


def check_floats(name, *dtypes):
    """Raises TypeError unless all dtypes are float32, or all float64: what the kernels are made for."""
    first = dtypes[0]
    if first.char not in "fd" or any(dtype != first for dtype in dtypes):
        given = " and ".join(map(str, dtypes))
        raise TypeError(f"{name} got {given}; all must be float32, or all float64: convert with .to(dtype)")


def where(condition, a, b):
    """a where `condition` (bools, an array or a tensor) is true, else b; one of a and b may be a number."""
    condition = condition.data if isinstance(condition, Tensor) else condition
    tensor = a if isinstance(a, Tensor) else b
    if not isinstance(tensor, Tensor):
        raise TypeError("where needs a Tensor for at least one of its two values")
    return Where(condition)(tensor._alike(a), tensor._alike(b))


def concatenate(tensors, dim=0):
    """The tensors one after another along dim."""
    tensors = tuple(tensors)
    return Concatenate(_dim(dim, tensors[0].ndim), [t.shape[dim] for t in tensors])(*tensors)


# The primitive ops. np.exp and its like reach CuPy arrays by NumPy's dispatch.


class Elementwise(Op):
    """A function of each element that NumPy has, `ufunc`."""

    ufunc = None

    def forward(self, *arrays):
        return backend.elementwise(self.ufunc, *arrays)


class Add(Elementwise):
    """a + b."""

    ufunc = np.add

    def vjp(self, needs, g, out, a, b):
        return g, g


class Sub(Elementwise):
    """a - b."""

    ufunc = np.subtract

    def vjp(self, needs, g, out, a, b):
        return g, -g if needs[1] else None


class Mul(Elementwise):
    """a * b."""

    ufunc = np.multiply

    def vjp(self, needs, g, out, a, b):
        return g * b if needs[0] else None, g * a if needs[1] else None


class Div(Elementwise):
    """a / b."""

    ufunc = np.true_divide

    def vjp(self, needs, g, out, a, b):
        return g / b if needs[0] else None, -g * out / b if needs[1] else None


class Neg(Elementwise):
    """-a."""

    ufunc = np.negative

    def vjp(self, needs, g, out, a):
        return (-g,)


class Pow(Op):
    """a ** n for a number n."""

    def __init__(self, n):
        self.n = n

    def forward(self, a):
        return a**self.n

    def vjp(self, needs, g, out, a):
        if self.n in (0, 1):  # 0 * a**-1 would be NaN at 0
            return (g * self.n,)
        return (g * self.n * a ** (self.n - 1),)


class Exp(Elementwise):
    """e ** a."""

    ufunc = np.exp

    def vjp(self, needs, g, out, a):
        return (g * out,)


class Log(Elementwise):
    """The natural logarithm of a."""

    ufunc = np.log

    def vjp(self, needs, g, out, a):
        return (g / a,)


class Sqrt(Elementwise):
    """The square root of a."""

    ufunc = np.sqrt

    def vjp(self, needs, g, out, a):
        return (g * 0.5 / out,)


class Tanh(FusedOp):
    """The hyperbolic tangent of a."""

    def forward(self, a):
        check_floats("tanh", a.dtype)
        a = backend.contiguous(a)
        return backend.kernels(a).tanh(a, backend.empty(a.shape, a))

    def arrays_vjp(self, needs, g, out, a):
        return (backend.kernels(g).tanh_backward(backend.contiguous(g), out, backend.empty(out.shape, out)),)

    def differentiable_vjp(self, needs, g, out, a):
        return (g * (1 - out * out),)


class Sigmoid(FusedOp):
    """1 / (1 + exp(-a)), stable."""

    def forward(self, a):
        check_floats("sigmoid", a.dtype)
        a = backend.contiguous(a)
        return backend.kernels(a).sigmoid(a, backend.empty(a.shape, a))

    def arrays_vjp(self, needs, g, out, a):
        return (backend.kernels(g).sigmoid_backward(backend.contiguous(g), out, backend.empty(out.shape, out)),)

    def differentiable_vjp(self, needs, g, out, a):
        return (g * (out * (1 - out)),)


class Softplus(Op):
    """log(1 + exp(a)), stable; smooth, so a primitive: its gradient is the sigmoid."""

    def forward(self, a):
        return np.logaddexp(a, a.dtype.type(0))

    def vjp(self, needs, g, out, a):
        return (g * a.sigmoid(),)


class LogSumExp(Op):
    """log(sum(exp(a))) over dims, which stay with length 1; its gradient is the softmax."""

    def __init__(self, dims):
        self.dims = dims

    def forward(self, a):
        largest = a.max(axis=self.dims, keepdims=True)
        largest = np.where(np.isfinite(largest), largest, a.dtype.type(0))
        with np.errstate(divide="ignore"):  # the log of no probability at all is -inf, as it should be
            return np.log(np.exp(a - largest).sum(axis=self.dims, keepdims=True)) + largest

    def vjp(self, needs, g, out, a):
        return (g * (a - out).exp(),)


class Where(Op):
    """a where condition (an array of bools) holds, else b."""

    def __init__(self, condition):
        self.condition = condition

    def forward(self, a, b):
        return np.where(self.condition, a, b)

    def vjp(self, needs, g, out, a, b):
        return where(self.condition, g, 0), where(self.condition, 0, g)


class MatMul(Op):
    """The matrix product of the last two dimensions; those before broadcast."""

    def forward(self, a, b):
        return a @ b

    def vjp(self, needs, g, out, a, b):
        return g @ b.transpose(-1, -2) if needs[0] else None, a.transpose(-1, -2) @ g if needs[1] else None


class Sum(Op):
    """The sum over dims, which stay with length 1."""

    def __init__(self, dims):
        self.dims = dims

    def forward(self, a):
        return a.sum(axis=self.dims, keepdims=True)

    def vjp(self, needs, g, out, a):
        return (g.expand(a.shape),)


class Mean(Op):
    """The mean over dims, which stay with length 1."""

    def __init__(self, dims):
        self.dims = dims

    def forward(self, a):
        if len(self.dims) == a.ndim and a.dtype.char in "fd":
            return backend.kernels(a).mean(backend.contiguous(a), backend.empty((1,) * a.ndim, a))
        return a.mean(axis=self.dims, keepdims=True)

    def vjp(self, needs, g, out, a):
        return ((g * (out.data.size / a.data.size)).expand(a.shape),)


class Expand(Op):
    """Broadcasting to a shape; the engine sums the gradient back."""

    def __init__(self, shape):
        self.shape = shape

    def forward(self, a):
        return np.broadcast_to(a, self.shape)

    def vjp(self, needs, g, out, a):
        return (g,)


class Reshape(Op):
    """The same elements in another shape."""

    def __init__(self, shape):
        self.shape = shape

    def forward(self, a):
        return backend.contiguous(a).reshape(self.shape)

    def vjp(self, needs, g, out, a):
        return (g.reshape(a.shape),)


class Permute(Op):
    """The dimensions in another order."""

    def __init__(self, dims):
        self.dims = dims

    def forward(self, a):
        return a.transpose(self.dims)

    def vjp(self, needs, g, out, a):
        inverse = [self.dims.index(d) for d in range(len(self.dims))]
        return (g.permute(*inverse),)


class Pad(Op):
    """Zeros around."""

    def __init__(self, widths):
        self.widths = widths

    def forward(self, a):
        return np.pad(a, self.widths)

    def vjp(self, needs, g, out, a):
        return (g[tuple(slice(before, before + n) for (before, _), n in zip(self.widths, a.shape))],)


class GetItem(Op):
    """a[index]."""

    def __init__(self, index, shape):
        self.index, self.shape = index, shape

    def forward(self, a):
        return a[self.index]

    def vjp(self, needs, g, out, a):
        return (PutItem(self.index, self.shape)(g),)


class PutItem(Op):
    """Zeros of a shape, with a added at index: the adjoint of GetItem."""

    def __init__(self, index, shape):
        self.index, self.shape = index, shape

    def forward(self, a):
        parts = self.index if isinstance(self.index, tuple) else (self.index,)
        if any(hasattr(part, "__len__") for part in parts):
            xp = backend.array_module(backend.device_of(a))
            out = xp.zeros(self.shape, a.dtype)
            xp.add.at(out, self.index, a)  # an array of indices may name an element twice
            return out
        out = backend.fill(backend.empty(self.shape, a), 0)
        backend.copy_into(out[(*parts, ...) if Ellipsis not in parts else parts], a)
        return out

    def vjp(self, needs, g, out, a):
        return (g[self.index],)


class Concatenate(Op):
    """Arrays one after another along dim, which has the given lengths."""

    def __init__(self, dim, lengths):
        self.dim, self.lengths = dim, lengths

    def forward(self, *arrays):
        shape = list(arrays[0].shape)
        shape[self.dim] = sum(self.lengths)
        out, before = backend.empty(tuple(shape), arrays[0]), (slice(None),) * self.dim
        for array, stop, n in zip(arrays, itertools.accumulate(self.lengths), self.lengths):
            backend.copy_into(out[(*before, slice(stop - n, stop))], array)
        return out

    def vjp(self, needs, g, out, *inputs):
        stops = list(itertools.accumulate(self.lengths))
        before = (slice(None),) * self.dim
        return [g[(*before, slice(stop - n, stop))] for stop, n in zip(stops, self.lengths)]


class Alias(Op):
    """a itself, as a new node of the graph."""

    def forward(self, a):
        return a

    def vjp(self, needs, g, out, a):
        return (g,)


class ToDevice(Op):
    """a copied to another device."""

    def __init__(self, target, source):
        self.target, self.source = target, source

    def forward(self, a):
        return backend.to_device(a, self.target)

    def vjp(self, needs, g, out, a):
        return (g.to(self.source),)


class ToDtype(Op):
    """a converted to another dtype."""

    def __init__(self, target, source):
        self.target, self.source = target, source

    def forward(self, a):
        return a.astype(self.target)

    def vjp(self, needs, g, out, a):
        return (g.to(self.source),)
