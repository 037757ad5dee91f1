"""The one loop that does nearly all the arithmetic: a small block of C (+)= A B, held in registers.

                   b --> | B  B |   NV registers of LANES columns each, a new row of B for every step of depth
                         |      |
    a table --> A0 ...   | C  C |   MR rows. Each step: load NV registers of B, and for every row one number of A,
                A1 ...   | C  C |   spread over a register, times B, added to C: MR x NV fused multiply-adds.
                A2 ...   | C  C |

Depth has two levels, because the numbers of a convolution's window lie in k runs of k * c, one per kernel row:

    for r in range(rows):                       A moves by a_row, B by b_row
        for d in range(depth):                  A moves by a_step, B by b_step
            C[i, j] += A[i, r, d] * B[r, d, j]

Where the MR rows of A and of C begin is read from two tables of addresses: any MR pixels can share a block, at the end
of a line, at the end of a picture, in different pictures.

While it multiplies, it uses the caches a little only: what comes next can be fetched meanwhile, a cache line per step of
depth, as evenly as that. (In a burst between two blocks the same fetching would hold up what the next block reads.)
"""
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidarknet.engine.vector import FLOAT, LANE, LANES, NEAR, ONCE, REGISTER, REGISTERS, fetch, spread

# Blocks whose accumulators, registers of B and one of A fit into the register file. The widest, TALL x NV registers,
# reads least per multiplication. With 2 registers per row: PIXELS rows of a convolution, TAPS rows of weight gradients.
NV = 4 if REGISTERS == 32 else 2
TALL = 6
PIXELS = 13 if REGISTERS == 32 else 6
TAPS = 8 if REGISTERS == 32 else 4

INTEGER = ir.IntType(64)


def _fused_multiply_add(builder, a, b, c):
    """LLVM code: a * b + c, fused where the processor can."""
    name = f"llvm.fmuladd.v{LANES}f32"
    kind = ir.FunctionType(REGISTER, [REGISTER] * 3)
    function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.call(function, [a, b, c])


class _Emitter:
    """Writes the LLVM instructions of one block of MR x NV registers."""

    def __init__(self, builder, MR, NV):
        self.builder, self.MR, self.NV = builder, MR, NV

    def integer(self, value):
        return ir.Constant(INTEGER, value)

    def pointer(self, base, offset):
        """`base` (a float pointer) moved by `offset` numbers."""
        return self.builder.gep(base, [offset], source_etype=LANE)

    def read_table(self, address, base):
        """The MR float pointers that stand at `address`, counted from `base`."""
        table = self.builder.inttoptr(address, INTEGER.as_pointer())
        entries = [self.builder.load(self.builder.gep(table, [self.integer(i)], source_etype=INTEGER))
                   for i in range(self.MR)]
        return [self.builder.inttoptr(self.builder.add(entry, base), LANE.as_pointer()) for entry in entries]

    def load(self, pointer):
        return self.builder.load(self.builder.bitcast(pointer, REGISTER.as_pointer()), align=FLOAT)

    def store(self, value, pointer):
        self.builder.store(value, self.builder.bitcast(pointer, REGISTER.as_pointer()), align=FLOAT)

    def columns(self, pointer):
        """Pointers to the NV registers that begin at `pointer`."""
        return [self.pointer(pointer, self.integer(j * LANES)) for j in range(self.NV)]

    def loop(self, count, carried, body):
        """`for i in range(count)`: body(i, carried) returns the next values of `carried`. Returns the last ones."""
        builder = self.builder
        before = builder.block
        head, inside, after = (builder.append_basic_block(name) for name in ("head", "inside", "after"))
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(INTEGER)
        i.add_incoming(self.integer(0), before)
        values = []
        for value in carried:
            phi = builder.phi(value.type)
            phi.add_incoming(value, before)
            values.append(phi)
        builder.cbranch(builder.icmp_signed("<", i, count), inside, after)
        builder.position_at_end(inside)
        following = body(i, values)
        i.add_incoming(builder.add(i, self.integer(1)), builder.block)
        for phi, value in zip(values, following):
            phi.add_incoming(value, builder.block)
        builder.branch(head)
        builder.position_at_end(after)
        return values

    def product(self, rows, depth, a_table, a_base, a_step, a_row, b, b_step, b_row, expected):
        """The MR * NV accumulators after all rows and all of depth. expected: (level, address, step) of lines to fetch."""
        builder = self.builder
        starts = self.read_table(a_table, a_base)
        b = builder.inttoptr(b, LANE.as_pointer())
        zeros = [ir.Constant(REGISTER, [0.0] * LANES)] * (self.MR * self.NV)

        def one_row(r, carried):
            b_r, a_r = builder.mul(r, b_row), builder.mul(r, a_row)

            def one_step(d, accumulators):
                at_b = builder.add(b_r, builder.mul(d, b_step))
                at_a = builder.add(a_r, builder.mul(d, a_step))
                b_registers = [self.load(p) for p in self.columns(self.pointer(b, at_b))]
                for level, address, step in expected:
                    fetch(builder, level, builder.add(address, builder.mul(d, step)))
                result = []
                for i in range(self.MR):
                    number = spread(builder, builder.load(self.pointer(starts[i], at_a), align=FLOAT))
                    result += [_fused_multiply_add(builder, number, b_registers[j], accumulators[i * self.NV + j])
                               for j in range(self.NV)]
                return result

            return self.loop(depth, carried, one_step)

        return self.loop(rows, zeros, one_row)

    def write(self, accumulators, c_table, c_base, accumulate):
        """Put the accumulators at the MR places of the table, or add them to what stands there.

        All of C is read before any of it is written: a row that stands in the table twice counts once.
        """
        builder = self.builder
        places = [p for row in self.read_table(c_table, c_base) for p in self.columns(row)]
        before = builder.block
        add, end = builder.append_basic_block("add"), builder.append_basic_block("end")
        builder.cbranch(builder.icmp_signed("!=", accumulate, self.integer(0)), add, end)
        builder.position_at_end(add)
        sums = [builder.fadd(self.load(p), value) for p, value in zip(places, accumulators)]
        builder.branch(end)
        builder.position_at_end(end)
        results = []
        for value, total in zip(accumulators, sums):
            phi = builder.phi(REGISTER)
            phi.add_incoming(value, before)
            phi.add_incoming(total, add)
            results.append(phi)
        for place, result in zip(places, results):
            self.store(result, place)


def _lines(builder, level, streams, kind):
    """(level, address, step) of every pair of `streams`, an LLVM value of the Numba type `kind`."""
    pairs = [builder.extract_value(streams, i) for i in range(kind.count)]
    return [(level, builder.extract_value(pair, 0), builder.extract_value(pair, 1)) for pair in pairs]


@intrinsic(prefer_literal=True)
def multiply(typing_context, MR, NV, rows, depth, a_table, a_base, a_step, a_row, b, b_step, b_row, c_table, c_base,
             accumulate, near, once):
    """C[i, j] (+)= sum over r, d of A[i, r, d] * B[r, d, j], for MR rows i and NV * LANES columns j.

    MR, NV literal ints. rows, depth intp >= 0. a_table, c_table: addresses of MR places, of the rows of A and of C, in
    bytes from a_base and c_base (which are 0 where the places are addresses). b: address. a_step, a_row, b_step, b_row:
    strides in float32 numbers. C is *accumulated* if accumulate (intp) is not 0, else *written*. Each sum runs in the
    order r, d, from zero, and is then added to C. near, once: tuples, of any length, of pairs (address, step) of intp, in
    bytes: at step d of depth the cache line at address + d * step is fetched, near: into the core's first-level cache,
    once: into its second-level one, because it is read once. Where there is no memory nothing happens, but finding that out
    takes long.
    """
    if not (isinstance(MR, types.IntegerLiteral) and isinstance(NV, types.IntegerLiteral)):
        return None

    def generate(context, builder, signature, arguments):
        rows, depth, a_table, a_base, a_step, a_row, b, b_step, b_row, c_table, c_base, accumulate, *streams = arguments[2:]
        expected = [line for level, values, kind in zip((NEAR, ONCE), streams, signature.args[-2:], strict=True)
                    for line in _lines(builder, level, values, kind)]
        emitter = _Emitter(builder, MR.literal_value, NV.literal_value)
        accumulators = emitter.product(rows, depth, a_table, a_base, a_step, a_row, b, b_step, b_row, expected)
        emitter.write(accumulators, c_table, c_base, accumulate)
        return context.get_dummy_value()

    return types.void(MR, NV, *[types.intp] * 12, near, once), generate
