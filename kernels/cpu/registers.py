"""Vector registers: how long they are here, and the loads and stores that kernels do with whole ones.

Numba's loops become vector code where LLVM finds a way to it; these intrinsics (functions that emit
LLVM instructions) are for where it does not, or must not depend on luck.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic


def _vector_bytes():
    """Bytes of a vector register: 64 with AVX-512; 32 otherwise (LLVM splits it where it must)."""
    if config.CPU_NAME and config.CPU_NAME != llvm.get_host_cpu_name():
        return 32
    return 64 if llvm.get_host_cpu_features().get("avx512f") else 32


VECTOR_BYTES = _vector_bytes()
VECTOR = VECTOR_BYTES // 4  # float32 elements of a register


@njit(cache=True, error_model="numpy")
def whole_vectors(length):
    """`length`, in float32 elements, rounded up to whole vector registers."""
    return (length + VECTOR - 1) // VECTOR * VECTOR


@njit(cache=True, error_model="numpy")
def lanes_of(array):
    """Elements of `array` in one vector register."""
    return VECTOR_BYTES // array.itemsize


@intrinsic
def copy_quad(typingctx, target, target_offset, source, source_offset):
    """target[t : t + 4] = source[s : s + 4] for flat arrays."""
    return types.void(target, types.intp, source, types.intp), _copy_of(lambda lanes: 4)


@intrinsic
def copy_vector(typingctx, target, target_offset, source, source_offset):
    """The same of one whole vector register."""
    return types.void(target, types.intp, source, types.intp), _copy_of(lambda lanes: lanes)


def _copy_of(length):
    """The code that copies length(lanes of a register) elements."""

    def codegen(context, builder, sig, args):
        read, write = _pointers(context, builder, sig, args, length)
        builder.store(builder.load(read, align=4), write, align=4)
        return context.get_dummy_value()

    return codegen


@intrinsic
def add_quad(typingctx, target, target_offset, source, source_offset):
    """target[t : t + 4] += source[s : s + 4] for flat arrays that do not overlap there."""
    signature = types.void(target, types.intp, source, types.intp)

    def codegen(context, builder, sig, args):
        read, write = _pointers(context, builder, sig, args, lambda lanes: 4)
        total = builder.fadd(builder.load(write, align=4), builder.load(read, align=4))
        builder.store(total, write, align=4)
        return context.get_dummy_value()

    return signature, codegen


def _pointers(context, builder, sig, args, length):
    """Pointers to length(lanes) elements at source[source_offset] and at target[target_offset]."""
    single = sig.args[0].dtype == types.float32
    element = ir.FloatType() if single else ir.DoubleType()
    vector = ir.VectorType(element, length(VECTOR_BYTES // (4 if single else 8)))
    pointers = []
    for position in (2, 0):
        start = context.make_array(sig.args[position])(context, builder, args[position]).data
        at = builder.gep(start, [args[position + 1]], source_etype=element)
        pointers.append(builder.bitcast(at, vector.as_pointer()))
    return pointers
