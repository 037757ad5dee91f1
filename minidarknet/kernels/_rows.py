"""Looking through rows of numbers, for kernels whose own loops are too full to be vectorised or too slow to compile."""
from minidarknet.kernels._jit import jit


@jit
def any_of(row):
    """Whether any number of row (n,) is not 0. It looks at all of them: a loop that may stop early is not vectorised.

    Nor is `for number in row`, which takes twice as long.
    """
    found = False
    for k in range(len(row)):
        found |= row[k] != 0
    return found


@jit
def sum_rows(parts, sums):
    """sums (b,) = the sum of each row of parts (b, n), *written*. A parallel kernel would compile its own loops for that."""
    for row in range(len(parts)):
        sums[row] = parts[row].sum()
