"""How a product of matrices is cut: the part of a block of threads, and of a warp in it."""

from typing import NamedTuple

WARP = 32
TF32 = 1  # as in tensor_core.cuh


class Tile(NamedTuple):
    """Rows and columns of a block, of a warp; groups: whether four warps multiply together (tensor_core.cuh)."""

    rows: int
    columns: int
    warp_rows: int
    warp_columns: int
    groups: bool = False

    @property
    def threads(self):
        """Of a block."""
        return self.rows // self.warp_rows * (self.columns // self.warp_columns) * WARP

    @property
    def sums(self):
        """That a thread keeps in registers."""
        return self.warp_rows * self.warp_columns // WARP

    def runs(self, precision, device):
        """Whether a GPU, a loader.Device, can multiply so in the precision, a number of tile.cuh."""
        return not self.groups or (precision == TF32 and device.compute_capability == 90)

    def defines(self):
        """The macros that tile.cuh is compiled with."""
        own = dict(
            BLOCK_ROWS=self.rows, BLOCK_COLUMNS=self.columns, WARP_ROWS=self.warp_rows, WARP_COLUMNS=self.warp_columns
        )
        return {**own, "GROUPS": 1} if self.groups else own
