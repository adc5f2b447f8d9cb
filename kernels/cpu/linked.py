"""Functions that are compiled once, on their own, and called by name.

Numba compiles a jitted function into each of its callers anew. For the register tile, dozens of unrolled
loops that every convolution needs, that took longer than all else together.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic


def linked(signature, *dtypes):
    """Makes a function of flat arrays and whole numbers callable, by name, from jitted functions.

    It decorates a function of a dtype that returns the function to compile, once for each of
    `dtypes`. signature: a letter for each argument, "a" for an array, which the function sees as a
    pointer, and "i" for a whole number. The function returns nothing.
    """

    def decorate(make):
        kinds, code = {}, []
        for dtype in dtypes:
            kinds[dtype] = [types.CPointer(dtype) if letter == "a" else types.intp for letter in signature]
            code.append(cfunc(types.void(*kinds[dtype]), cache=True, error_model="numpy")(make(dtype)))
            llvm.add_symbol(_name(make, dtype), code[-1].address)

        @intrinsic
        def call(typingctx, *arguments):
            dtype = arguments[signature.index("a")].dtype

            def codegen(context, builder, sig, values):
                given = []
                for found, kind, value in zip(arguments, kinds[dtype], cgutils.unpack_tuple(builder, values[0])):
                    if isinstance(found, types.Array):
                        given.append(context.make_array(found)(context, builder, value).data)
                    else:
                        given.append(context.cast(builder, value, found, kind))
                function_type = ir.FunctionType(ir.VoidType(), [value.type for value in given])
                function = cgutils.get_or_insert_function(builder.module, function_type, _name(make, dtype))
                builder.call(function, given)
                return context.get_dummy_value()

            return types.void(types.StarArgTuple(arguments)), codegen

        call.code = code  # lives as long as this
        call.__doc__ = make.__doc__
        return call

    return decorate


def _name(make, dtype):
    return f"minigan_{make.__name__}_{dtype}"
