"""The register tile: the one matrix product that every fast CPU convolution is made of.

A few rows of A times a few vector registers of B, accumulated in registers over the whole depth
and stored once: the micro-kernel of Goto and van de Geijn, "Anatomy of High-Performance Matrix
Multiplication" (ACM TOMS 2008), section 4. NumPy's BLAS has one too, but its threads and Numba's
would fight over the same cores, and a convolution wants to pack its columns on the way in.
"""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from minigan.kernels.cpu.linked import linked
from minigan.kernels.cpu.registers import VECTOR_BYTES

# 4 rows x 4 registers keep 16 products in flight, enough to hide the latency of a fused
# multiply-add (4 cycles, 2 units) in the 32 registers of AVX-512; AVX2 has 16, so it takes half.
# Strips of half that width or less take up to 8 rows instead.
TILE_VECTORS = 4 if VECTOR_BYTES == 64 else 2


def _make_tile(rows, vectors):
    """A Numba intrinsic computing `rows` x (`vectors` registers) of C = A B (+ C)."""

    @intrinsic
    def tile(typingctx, a, a_offset, a_row, a_col, b, b_offset, b_row, c, c_offset, c_row, depth, accumulate):
        index = types.intp
        signature = types.void(a, index, index, index, b, index, index, c, index, index, index, types.boolean)

        def codegen(context, builder, sig, args):
            (a, a_offset, a_row, a_col, b, b_offset, b_row, c, c_offset, c_row, depth, accumulate) = args
            single = sig.args[0].dtype == types.float32
            element = ir.FloatType() if single else ir.DoubleType()
            lanes = VECTOR_BYTES // (4 if single else 8)
            vector = ir.VectorType(element, lanes)
            int64, int32 = ir.IntType(64), ir.IntType(32)
            undefined = ir.Constant(vector, ir.Undefined)
            fma = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fma.v{lanes}f{32 if single else 64}"
            )

            def at(pointer, offset):
                return builder.gep(pointer, [offset], source_etype=element)

            def vector_at(pointer, offset):
                return builder.bitcast(at(pointer, offset), vector.as_pointer())

            def broadcast(scalar):
                first = builder.insert_element(undefined, scalar, int32(0))
                return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(int32, lanes), [0] * lanes))

            a_start, b_start, c_start = at(a, a_offset), at(b, b_offset), at(c, c_offset)
            a_rows = [at(a_start, builder.mul(a_row, int64(r))) for r in range(rows)]
            c_vectors = [
                vector_at(at(c_start, builder.mul(c_row, int64(r))), int64(v * lanes))
                for r in range(rows)
                for v in range(vectors)
            ]

            before = builder.block
            loop, add_c, store_c = (builder.append_basic_block(name) for name in ("loop", "add_c", "store_c"))
            builder.branch(loop)

            builder.position_at_end(loop)
            k = builder.phi(int64)
            k.add_incoming(int64(0), before)
            sums = [builder.phi(vector) for _ in c_vectors]
            for total in sums:
                total.add_incoming(ir.Constant(vector, [0.0] * lanes), before)
            b_k = at(b_start, builder.mul(k, b_row))
            b_vectors = [builder.load(vector_at(b_k, int64(v * lanes)), align=4) for v in range(vectors)]
            a_k = builder.mul(k, a_col)
            new_sums = []
            for r in range(rows):
                a_value = broadcast(builder.load(at(a_rows[r], a_k)))
                new_sums += [builder.call(fma, [a_value, b_vectors[v], sums[r * vectors + v]]) for v in range(vectors)]
            next_k = builder.add(k, int64(1))
            k.add_incoming(next_k, loop)
            for total, new in zip(sums, new_sums):
                total.add_incoming(new, loop)
            after_loop = builder.append_basic_block("after_loop")
            builder.cbranch(builder.icmp_signed("<", next_k, depth), loop, after_loop)
            builder.position_at_end(after_loop)
            builder.cbranch(accumulate, add_c, store_c)

            # Added only now, so that a sum of parts is rounded like a sum of that many terms less.
            builder.position_at_end(add_c)
            for pointer, new in zip(c_vectors, new_sums):
                builder.store(builder.fadd(new, builder.load(pointer, align=4)), pointer, align=4)
            done = builder.append_basic_block("done")
            builder.branch(done)

            builder.position_at_end(store_c)
            for pointer, new in zip(c_vectors, new_sums):
                builder.store(new, pointer, align=4)
            builder.branch(done)
            builder.position_at_end(done)
            return context.get_dummy_value()

        return signature, codegen

    return tile


def _make_strip(vectors, most_rows):
    """A function that computes all rows of C in a strip as wide as some vector registers, up to most_rows at a time.

    It does so `count` times, B and C being a step further each time.
    """
    tiles = {rows: _make_tile(rows, vectors) for rows in range(1, most_rows + 1)}
    tile_1, tile_2, tile_3, tile_4 = (tiles[rows] for rows in range(1, 5))
    tile_5, tile_6, tile_7, tile_8 = (tiles.get(rows, tile_1) for rows in range(5, 9))  # not called if not made

    @njit(error_model="numpy")  # compiled into those who call it
    def strip(a, a_offset, a_row, a_col, rows, b, b_offset, b_row, depth, c, c_offset, c_row, accumulate,
              count, b_step, c_step):  # fmt: skip
        for i in range(count):
            b_at, c_first, r = b_offset + i * b_step, c_offset + i * c_step, 0
            while r < rows:
                left = rows - r
                size = min(left, most_rows)
                if most_rows < left < 2 * most_rows:  # two tiles share the rest: one of few rows waits for its sums
                    size = (left + 1) // 2
                a_at, c_at = a_offset + r * a_row, c_first + r * c_row
                if size == 4:
                    tile_4(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                elif size == 8:
                    tile_8(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                elif size == 7:
                    tile_7(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                elif size == 6:
                    tile_6(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                elif size == 5:
                    tile_5(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                elif size == 3:
                    tile_3(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                elif size == 2:
                    tile_2(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                else:
                    tile_1(a, a_at, a_row, a_col, b, b_at, b_row, c, c_at, c_row, depth, accumulate)
                r += size

    return strip


_strip_of_4, _strip_of_3, _strip_of_2, _strip_of_1 = (  # vectors, at most TILE_VECTORS
    _make_strip(vectors, 4 if 2 * vectors > TILE_VECTORS else 8)
    for vectors in (min(v, TILE_VECTORS) for v in (4, 3, 2, 1))
)


@linked("aiiiiaiiiiaiiiiii", types.float32, types.float64)
def multiply_many(dtype):
    """`count` products like `multiply`'s of the same A, with B and C b_step and c_step elements further each time."""
    lanes = VECTOR_BYTES // (dtype.bitwidth // 8)

    def products(a, a_offset, a_row, a_col, rows, b, b_offset, b_row, depth, width, c, c_offset, c_row, accumulate,
                 count, b_step, c_step):  # fmt: skip
        if depth == 0:
            if not accumulate:
                for i in range(count):
                    for r in range(rows):
                        for j in range(width):
                            c[c_offset + i * c_step + r * c_row + j] = 0
            return
        j = 0
        while j < width:
            vectors = min(TILE_VECTORS, (width - j) // lanes)
            if vectors == TILE_VECTORS:
                _strip_of_4(a, a_offset, a_row, a_col, rows, b, b_offset + j, b_row, depth, c, c_offset + j, c_row,
                            accumulate, count, b_step, c_step)  # fmt: skip
            elif vectors == 3:
                _strip_of_3(a, a_offset, a_row, a_col, rows, b, b_offset + j, b_row, depth, c, c_offset + j, c_row,
                            accumulate, count, b_step, c_step)  # fmt: skip
            elif vectors == 2:
                _strip_of_2(a, a_offset, a_row, a_col, rows, b, b_offset + j, b_row, depth, c, c_offset + j, c_row,
                            accumulate, count, b_step, c_step)  # fmt: skip
            else:
                _strip_of_1(a, a_offset, a_row, a_col, rows, b, b_offset + j, b_row, depth, c, c_offset + j, c_row,
                            accumulate, count, b_step, c_step)  # fmt: skip
            j += vectors * lanes

    return products


@njit(cache=True, error_model="numpy")
def multiply(a, a_offset, a_row, a_col, rows, b, b_offset, b_row, depth, width, c, c_offset, c_row, accumulate):
    """C[r, j] (+)= sum over k < `depth` of A[r, k] B[k, j], for r < `rows` and j < `width`.

    All three are flat arrays: A[r, k] is a[a_offset + r * a_row + k * a_col], rows of B begin b_row
    apart from b_offset on, those of C c_row apart from c_offset on. `width` is a whole number of
    vector registers. A sum of no terms is 0.
    """
    multiply_many(
        a, a_offset, a_row, a_col, rows, b, b_offset, b_row, depth, width, c, c_offset, c_row, accumulate, 1, 0, 0
    )
