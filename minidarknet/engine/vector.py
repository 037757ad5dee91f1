"""A handful of float32 numbers at once: the smallest SIMD type that does what the engine needs.

    memory   | a0 a1 a2 a3 ... | a16 ...        v = load(address, left)        the lanes beyond `left` are 0
                 \\  |  |  /
    register   [ a0 a1 a2 a3 ... ]              v * w + u, maximum, where_greater: all lanes in one instruction

The width is the processor's: 16 lanes with AVX-512, 8 with AVX2, else 4 (SSE, Arm's NEON). Addresses are bytes, as
integers. Nothing here checks a bound.
"""
import operator

import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features, get_host_cpu_name
from numba import config, types
from numba.extending import intrinsic, models, overload, register_model

from minidarknet.kernels._jit import jit


def has_feature(name):
    """Whether Numba compiles for a processor with the feature `name` (str, LLVM's spelling, such as "avx512f").

    NUMBA_CPU_NAME and NUMBA_CPU_FEATURES can turn features down, which is how the tests try other machines.
    """
    if config.CPU_FEATURES is not None:
        return f"+{name}" in config.CPU_FEATURES.split(",")
    return bool(get_host_cpu_features().get(name, False))


LANES = 16 if has_feature("avx512f") else 8 if has_feature("avx2") else 4  # float32 numbers per register
# How many such registers there are: 32 with AVX-512 and on 64-bit Arm ("neon"), else 16.
REGISTERS = 32 if has_feature("avx512f") or has_feature("neon") else 16
FLOAT = 4  # bytes
ZERO = np.float32(0)  # a plain 0.0 would be a float64

LANE = ir.FloatType()
REGISTER = ir.VectorType(LANE, LANES)
INTEGERS = ir.VectorType(ir.IntType(32), LANES)
FUSE = ("contract",)  # a * b + c may become one fused instruction; nothing else may be rearranged


class VectorType(types.Type):
    """Numba's name for LANES float32 numbers in a register."""

    def __init__(self):
        super().__init__(name=f"Vector({LANES} x float32)")


vector = VectorType()


@register_model(VectorType)
class VectorModel(models.PrimitiveModel):
    """How LLVM holds a VectorType: as <LANES x float>."""

    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, REGISTER)


def spread(builder, value, register=REGISTER):
    """LLVM code, written by `builder`: a `register` (its LLVM type) whose lanes all hold `value`."""
    lane_0 = builder.insert_element(ir.Constant(register, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(lane_0, ir.Constant(register, ir.Undefined), ir.Constant(INTEGERS, [0] * LANES))


def _lanes_before(builder, left):
    """LLVM code: which lanes have an index below `left` (an intp, below 2^31)."""
    left = spread(builder, builder.trunc(left, ir.IntType(32)), INTEGERS)
    return builder.icmp_signed("<", ir.Constant(INTEGERS, list(range(LANES))), left)


def _call(builder, name, result, arguments):
    """LLVM code: call the function `name` of LLVM."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    module = builder.module
    function = module.globals.get(name) or ir.Function(module, kind, name)
    return builder.call(function, arguments)


@intrinsic
def load_all(typing_context, address):
    """LANES float32 numbers from `address` (intp, bytes; any alignment)."""
    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], REGISTER.as_pointer()), align=FLOAT)
    return vector(types.intp), generate


@intrinsic
def store_all(typing_context, address, value):
    """Write the vector `value` to `address` (intp, bytes; any alignment)."""
    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], REGISTER.as_pointer()), align=FLOAT)
        return context.get_dummy_value()
    return types.void(types.intp, vector), generate


@intrinsic
def _load_some(typing_context, address, left):
    """The first `left` lanes from `address`, the others 0."""
    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], REGISTER.as_pointer())
        mask = _lanes_before(builder, arguments[1])
        zeros = ir.Constant(REGISTER, [0.0] * LANES)
        return _call(builder, f"llvm.masked.load.v{LANES}f32.p0", REGISTER,
                     [pointer, ir.Constant(ir.IntType(32), FLOAT), mask, zeros])
    return vector(types.intp, types.intp), generate


@intrinsic
def _store_some(typing_context, address, value, left):
    """Write the first `left` lanes of `value` to `address`."""
    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], REGISTER.as_pointer())
        mask = _lanes_before(builder, arguments[2])
        _call(builder, f"llvm.masked.store.v{LANES}f32.p0", ir.VoidType(),
              [arguments[1], pointer, ir.Constant(ir.IntType(32), FLOAT), mask])
        return context.get_dummy_value()
    return types.void(types.intp, vector, types.intp), generate


@jit
def load(address, left):
    """The next min(left, LANES) float32 numbers from `address` (bytes); the other lanes are 0."""
    return load_all(address) if left >= LANES else _load_some(address, left)


@jit
def store(address, value, left):
    """Write the first min(left, LANES) lanes of the vector `value` to `address` (bytes)."""
    if left >= LANES:
        store_all(address, value)
    else:
        _store_some(address, value, left)


@intrinsic
def splat(typing_context, value):
    """A vector whose lanes all hold `value` (float32)."""
    def generate(context, builder, signature, arguments):
        return spread(builder, arguments[0])
    return vector(types.float32), generate


@intrinsic
def splat_bits(typing_context, value):
    """A vector whose lanes all hold the 32 bits of `value` (int32): for moving and comparing, not for arithmetic."""
    def generate(context, builder, signature, arguments):
        return builder.bitcast(spread(builder, arguments[0], INTEGERS), REGISTER)
    return vector(types.int32), generate


@intrinsic
def where_greater(typing_context, a, b, yes, no):
    """Lane by lane: yes where a > b, else no (also where a or b is NaN). All four are vectors."""
    def generate(context, builder, signature, arguments):
        a, b, yes, no = arguments
        return builder.select(builder.fcmp_ordered(">", a, b), yes, no)
    return vector(vector, vector, vector, vector), generate


@intrinsic
def where_same_bits(typing_context, a, b, yes, no):
    """Lane by lane: yes where a and b hold the same 32 bits, else no. All four are vectors."""
    def generate(context, builder, signature, arguments):
        a, b, yes, no = arguments
        same = builder.icmp_signed("==", builder.bitcast(a, INTEGERS), builder.bitcast(b, INTEGERS))
        return builder.select(same, yes, no)
    return vector(vector, vector, vector, vector), generate


@intrinsic
def add_product(typing_context, address, a, b):
    """Add the products of the LANES lanes of a and b, taken in float64, to the LANES float64 numbers at `address`."""
    def generate(context, builder, signature, arguments):
        doubles = ir.VectorType(ir.DoubleType(), LANES)
        pointer = builder.inttoptr(arguments[0], doubles.as_pointer())
        a, b = (builder.fpext(value, doubles) for value in arguments[1:])
        total = builder.fadd(builder.load(pointer, align=8), builder.fmul(a, b))
        builder.store(total, pointer, align=8)
        return context.get_dummy_value()
    return types.void(types.intp, vector, vector), generate


def _arithmetic(symbol, instruction):
    """Make `symbol` (of the operator module) work between two vectors."""
    @intrinsic
    def combine(typing_context, a, b):
        def generate(context, builder, signature, arguments):
            return getattr(builder, instruction)(*arguments, flags=FUSE)
        return vector(vector, vector), generate

    @overload(symbol)
    def _(a, b):
        if isinstance(a, VectorType) and isinstance(b, VectorType):
            return lambda a, b: combine(a, b)


_arithmetic(operator.add, "fadd")
_arithmetic(operator.sub, "fsub")
_arithmetic(operator.mul, "fmul")
_arithmetic(operator.truediv, "fdiv")


@intrinsic
def square_root(typing_context, value):
    """The square roots of the lanes of the vector `value`, correctly rounded; NaN below 0."""
    def generate(context, builder, signature, arguments):
        return _call(builder, f"llvm.sqrt.v{LANES}f32", REGISTER, arguments)
    return vector(vector), generate


@intrinsic
def transpose(typing_context, source, source_step, target, target_step):
    """Copy LANES x LANES float32 numbers, rows becoming columns.

    source, target: addresses; source_step, target_step: from row to row. All intp, bytes.

    Interleaving row i with row i + LANES / 2, for all i, and doing that log2(LANES) times, transposes a square.
    """
    def generate(context, builder, signature, arguments):
        source, source_step, target, target_step = arguments

        def place(address, step, i):
            moved = builder.add(address, builder.mul(step, ir.Constant(step.type, i)))
            return builder.inttoptr(moved, REGISTER.as_pointer())

        rows = [builder.load(place(source, source_step, i), align=FLOAT) for i in range(LANES)]
        half = LANES // 2
        low, high = ([lane for i in range(start, start + half) for lane in (i, i + LANES)] for start in (0, half))
        for _ in range(LANES.bit_length() - 1):
            rows = [builder.shuffle_vector(rows[i], rows[i + half], ir.Constant(INTEGERS, order))
                    for i in range(half) for order in (low, high)]
        for i, row in enumerate(rows):
            builder.store(row, place(target, target_step, i), align=FLOAT)
        return context.get_dummy_value()
    return types.void(*[types.intp] * 4), generate


@intrinsic
def power_of_two(typing_context, shifted):
    """2^n in every lane of a vector, of shifted = n + 1.5 * 2^23: there the last bits of a float32 number are n itself.

    n: whole, -126 to 127. The bits move up to where a number's exponent stands, whose zero is 127.
    """
    def generate(context, builder, signature, arguments):
        bits = builder.shl(builder.bitcast(arguments[0], INTEGERS), ir.Constant(INTEGERS, [23] * LANES))
        return builder.bitcast(builder.add(bits, ir.Constant(INTEGERS, [127 << 23] * LANES)), REGISTER)
    return vector(vector), generate


# LLVM's levels of a fetch. NEAR: into all caches of the core. ONCE: what is read once, into the second-level one, and if it
# can be so that it drives nothing out of the others. AMD's Zen does that at level 0 (measured: one picture takes 1 % less);
# Intel's processors then use the first-level cache alone, which is too small for us.
NEAR = 3
ONCE = 0 if (config.CPU_NAME or get_host_cpu_name()).startswith("znver") else 2


def fetch(builder, level, address):
    """LLVM code, written by `builder`: have the cache line at `address` brought into the caches, without waiting for it.

    level: NEAR or ONCE; address: an LLVM value, intp, bytes.
    """
    pointer, number = builder.inttoptr(address, LANE.as_pointer()), ir.IntType(32)
    reading, data = number(0), number(1)
    kind = ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number])
    module, name = builder.module, "llvm.prefetch.p0"
    function = module.globals.get(name) or ir.Function(module, kind, name)
    builder.call(function, [pointer, reading, number(level), data])


@intrinsic
def prefetch(typing_context, address):
    """Have the cache line at `address` (intp, bytes) fetched into the core's first-level cache: it is read very soon."""
    def generate(context, builder, signature, arguments):
        fetch(builder, NEAR, arguments[0])
        return context.get_dummy_value()
    return types.void(types.intp), generate


@intrinsic
def write_integer(typing_context, address, value):
    """Write `value` (intp, 64 bits on every machine we know) to `address` (intp, bytes)."""
    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], arguments[1].type.as_pointer()))
        return context.get_dummy_value()
    return types.void(types.intp, types.intp), generate


@intrinsic
def read_integer(typing_context, address):
    """The intp at `address` (intp, bytes)."""
    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], arguments[0].type.as_pointer()))
    return types.intp(types.intp), generate


@intrinsic
def read_number(typing_context, address):
    """The float32 number at `address` (intp, bytes)."""
    def generate(context, builder, signature, arguments):
        return builder.load(builder.inttoptr(arguments[0], LANE.as_pointer()))
    return types.float32(types.intp), generate


@intrinsic
def write_number(typing_context, address, value):
    """Write `value` (float32) to `address` (intp, bytes)."""
    def generate(context, builder, signature, arguments):
        builder.store(arguments[1], builder.inttoptr(arguments[0], LANE.as_pointer()))
        return context.get_dummy_value()
    return types.void(types.intp, types.float32), generate

