"""Exercise 18: CUDA kernels, and where their threads read (lesson 18). NumPy only, and CUDA C++ in strings.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex18

The checks compile your kernels with a C++ compiler and run them in minigan's emulation of a GPU, in which threads can be
run in either order; without a compiler, on your GPU. Linux: install g++ (on Windows inside WSL, on macOS in a Linux
container). Sources stand alone: no #include. Of warp functions the emulation knows __shfl_xor_sync and __syncwarp.
"""


def block_count(size, threads):
    """The blocks of `threads` threads that a kernel of one thread for each of `size` elements takes.

    size is at least 1; it may lie above 2^24, where float32 has no room for each whole number.
    """
    raise NotImplementedError("block_count")


def sectors(elements, element_bytes=4):
    """How many sectors of memory a load of a warp takes.

    elements: integers (N,), the index that each thread reads in an array whose element 0 lies where a sector begins.
    element_bytes: the bytes of an element, a divisor of 32. A sector is 32 bytes; one that several threads read from counts
    once, wherever it lies. Returns an int.
    """
    raise NotImplementedError("sectors")


def leaky_relu_backward():
    """The source of a kernel, a string of CUDA C++:

        extern "C" __global__ void leaky_relu_backward(int size, const float *g, const float *x, float slope, float *out)

    out[i] = g[i] where x[i] > 0, else slope * g[i] (also for x[i] = 0), for i = 0 .. size - 1. It is launched with
    block_count(size, threads) blocks of any number of threads, one for each element; what lies beyond the arrays is not
    touched.
    """
    raise NotImplementedError("leaky_relu_backward")


def row_sums():
    """The source of a kernel, a string of CUDA C++:

        extern "C" __global__ void row_sums(int columns, const float *x, float *sums)

    sums[r] = the sum of row r of x (rows, columns), row after row in memory. It is launched with one block for each row.
    blockDim.x is 32, 64, 128 or 256, and columns may be more or fewer. Thread t first adds up the elements t,
    t + blockDim.x, t + 2 blockDim.x, ... of the row, so that a warp reads neighbours; then the block's threads add what
    they have, through shared memory, in which no thread may write beyond the end of an array. No atomics. The result must
    not depend on the order in which threads run.
    """
    raise NotImplementedError("row_sums")
