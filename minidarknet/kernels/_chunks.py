"""Long sums whose bits do not depend on the number of threads.

A sum over all pictures and pixels is cut into CHUNKS fixed runs of rows; whichever thread takes a run adds it up in
float64, and the partial sums are put together in their order.
"""
import numpy as np

from minidarknet.kernels._jit import jit

CHUNKS = 32  # more than any likely number of threads, few enough that the partial sums cost nothing


@jit
def chunk_rows(chunk, rows):
    """First and past-the-last row of run `chunk` (int, 0..CHUNKS-1) when `rows` (int) rows are cut into CHUNKS runs."""
    return rows * chunk // CHUNKS, rows * (chunk + 1) // CHUNKS


@jit
def add_chunks(partial):
    """The sum over the runs, in their order.

    partial (CHUNKS, c) float64: one sum per run and channel. Returns a new (c,) float64 array.
    """
    total = np.zeros(partial.shape[1])
    for chunk in range(CHUNKS):
        for channel in range(partial.shape[1]):
            total[channel] += partial[chunk, channel]
    return total
