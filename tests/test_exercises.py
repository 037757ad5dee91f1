"""Your answers: `pytest -m lesson_08` judges what you filled into minidarknet/lessons/lesson_08.py.

These are left out of the suite (setup.cfg: -m "not lesson"), where the stubs are empty.
"""
import pytest

from minidarknet.lessons import exercises, judge


def marked(task):
    """The exercise as a parameter that its lesson's marker selects."""
    return pytest.param(task, marks=[pytest.mark.lesson, getattr(pytest.mark, f"lesson_{task.lesson}")], id=task.name)


@pytest.mark.parametrize("task", [marked(task) for task in exercises().values()])
def test_answer(task):
    verdict = judge(task, task.stub)
    if not verdict.right:
        pytest.fail(f"\n{task.name} in minidarknet/lessons/lesson_{task.lesson}.py: {verdict.message}", pytrace=False)
