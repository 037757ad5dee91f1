"""Exercises that check themselves: a stub to fill, and a verdict that teaches.

Lesson NN is one file here, lesson_NN.py, one notebook, notebooks/NN_*.ipynb, and one pytest marker. In the notebook:

    from minidarknet.lessons import check, lesson_08, task

    task(lesson_08.space_to_depth)      # prints what is asked for
    def space_to_depth(x, stride):
        ...
    check(space_to_depth)

or fill the stubs in lesson_NN.py and run `pytest -m lesson_NN`.

An exercise is a stub with a docstring (the task), decorated with what its check needs:

    @exercise(right=..., cases=[...], slips=[(wrong, "what went wrong, and why"), ...], moral="what to remember")

right: the library's answer. cases: tuples of arguments. slips: the mistakes one makes here; an answer that equals one of
them is told what it did, not only that it is wrong.
"""
import inspect
import pkgutil
import traceback
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

RECORDED_LADDER = Path(__file__).parent / "ladder.csv"   # results.csv of `minidarknet ablate`, recorded; lesson 11
EXERCISES = {}  # name -> Exercise, filled when the lessons are imported
CLOSE = {"rtol": 1e-6, "atol": 1e-9, "equal_nan": True}
LARGEST_SHOWN = 10  # numbers of an argument that a message shows


class Verdict(NamedTuple):
    """What `check` says. right: bool. message: str."""

    right: bool
    message: str


@dataclass(frozen=True)
class Exercise:
    """A task and how its answers are judged (see the module's text). lesson: "08". stub: the function to fill."""

    lesson: str
    stub: object
    right: object
    cases: list
    slips: list = field(default_factory=list)
    moral: str = ""

    @property
    def name(self):
        """The name that an answer must have."""
        return self.stub.__name__


def exercise(right, cases, slips=(), moral=""):
    """Decorate a stub: register it as an Exercise of the lesson whose file it stands in; the stub itself is returned."""
    def register(stub):
        lesson = stub.__module__.rpartition("_")[2]
        EXERCISES[stub.__name__] = Exercise(lesson, stub, right, list(cases), list(slips), moral)
        return stub
    return register


def lessons():
    """The numbers of all lessons that have exercises: list of str, sorted."""
    return sorted(module.name.rpartition("_")[2] for module in pkgutil.iter_modules(__path__)
                  if module.name.startswith("lesson_"))


def exercises():
    """All exercises: dict name -> Exercise."""
    for lesson in lessons():
        import_module(f"{__name__}.lesson_{lesson}")
    return EXERCISES


def task(stub):
    """Print an exercise as one would find it to fill in: the stub's name, arguments and task."""
    lines = inspect.getdoc(stub).splitlines()
    text = "\n".join(f"    {line}".rstrip() for line in lines)
    print(f'def {stub.__name__}{inspect.signature(stub)}:\n    """{text.lstrip()}'
          + ('\n    """' if len(lines) > 1 else '"""') + "\n    ...\n")


def check(answer):
    """Judge a function, whose name says which exercise it answers: print the verdict, and return whether it is right."""
    known = exercises()
    name = getattr(answer, "__name__", repr(answer))
    if name not in known:
        print(f"there is no exercise {name!r}; there are {', '.join(known)}")
        return False
    verdict = judge(known[name], answer)
    print(f"{name}: {verdict.message}")
    return verdict.right


def judge(one, answer):
    """The Verdict on a function `answer` to the Exercise `one`."""
    parameters = list(inspect.signature(one.stub).parameters)
    if list(inspect.signature(answer).parameters) != parameters:
        return Verdict(False, f"takes {inspect.signature(answer)}; expected ({', '.join(parameters)})")
    try:
        found = [_call(answer, parameters, case) for case in one.cases]
    except _Stopped as stopped:
        return Verdict(False, str(stopped))
    expected = [one.right(*case) for case in one.cases]
    wrong = [n for n, pair in enumerate(zip(found, expected)) if not _same(*pair)]
    if not wrong:
        return Verdict(True, f"right. {one.moral}".rstrip())
    for slip, message in one.slips:
        if all(_same(result, slip(*case)) for result, case in zip(found, one.cases)):
            return Verdict(False, message)
    first = wrong[0]
    return Verdict(False, f"{_difference(found[first], expected[first])}\n  for {_given(parameters, one.cases[first])}")


class _Stopped(Exception):
    """An answer that gives no result; the text says why."""


def _call(answer, parameters, case):
    """What the answer returns for one case. Raises _Stopped where that is nothing to be compared."""
    given = [np.copy(part) if isinstance(part, np.ndarray) else part for part in case]
    try:
        found = answer(*given)
    except NotImplementedError:
        raise _Stopped("not filled in yet") from None
    except Exception as error:  # noqa: BLE001  (whatever a learner's code may raise)
        line = traceback.extract_tb(error.__traceback__)[-1].line
        raise _Stopped(f"raises {type(error).__name__}: {error}\n  at `{line}`\n  for {_given(parameters, case)}") from None
    for name, before, after in zip(parameters, case, given):
        if isinstance(before, np.ndarray) and not np.array_equal(before, after, equal_nan=True):
            raise _Stopped(f"changes its argument {name} in place: work on a copy, the caller still needs it")
    if found is None:
        raise _Stopped("returns nothing: is the `return` missing?")
    return found


def _given(parameters, case):
    """The arguments of a case as messages show them (str)."""
    return ", ".join(f"{name} = {_shown(part)}" for name, part in zip(parameters, case))


def _numbers(value):
    """A result as an array of numbers, None where it is none."""
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        return None


def _same(one, other):
    """Whether two results have the same shape and, within rounding, the same values."""
    one, other = _numbers(one), _numbers(other)
    return one is not None and one.shape == other.shape and np.allclose(one, other, **CLOSE)


def _difference(found, expected):
    """How two results differ (str)."""
    numbers, expected = _numbers(found), _numbers(expected)
    if numbers is None:
        return f"returns {type(found).__name__}; expected numbers of shape {expected.shape}"
    if numbers.shape != expected.shape:
        return f"returns the shape {numbers.shape}; expected {expected.shape}"
    if not expected.shape:
        return f"returns {numbers:.6g}; expected {expected:.6g}"
    wrong = ~np.isclose(numbers, expected, **CLOSE)
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (f"{wrong.sum()} of {wrong.size} numbers are wrong, the first at {list(place)}: {numbers[place]:.6g}; expected "
            f"{expected[place]:.6g}")


def _shown(value):
    """An argument as messages show it (str)."""
    if isinstance(value, np.ndarray) and value.size > LARGEST_SHOWN:
        return f"array of shape {value.shape}"
    return np.array2string(value, precision=4, separator=", ") if isinstance(value, np.ndarray) else repr(value)
