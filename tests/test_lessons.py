"""The exercises: the right answer is right, every slip is told what it did, and every other mistake is named."""
import inspect
from pathlib import Path

import numpy as np
import pytest

from minidarknet import lessons
from minidarknet.lessons import Exercise, judge, networks, notebook, shapes, training

ROOT = Path(__file__).parents[1]
TASKS = list(lessons.exercises().values())


def named(function, task):
    """The function with the parameters of the task's stub, so that only its values are judged."""
    def answer(*arguments):
        return function(*arguments)
    answer.__name__, answer.__signature__ = task.name, inspect.signature(task.stub)
    return answer


def each(tasks=TASKS):
    return pytest.mark.parametrize("task", tasks, ids=lambda task: f"{task.lesson}-{task.name}")


@each()
def test_the_right_answer_is_right_and_says_what_to_remember(task):
    verdict = judge(task, named(task.right, task))
    assert verdict.right and verdict.message == f"right. {task.moral}" and task.moral


@each()
def test_every_slip_is_recognised(task):
    assert len(task.slips) >= 2
    for wrong, message in task.slips:
        assert judge(task, named(wrong, task)) == (False, message)
        assert len(message.split()) > 6


@each()
def test_stubs_are_empty_and_say_what_to_do(task):
    assert judge(task, task.stub).message == "not filled in yet", "filled in? `git checkout minidarknet/lessons` empties it"
    assert len(inspect.getdoc(task.stub).split()) > 10


@each()
def test_an_unforeseen_mistake_is_shown_with_numbers(task):
    def almost(*arguments):
        return np.asarray(task.right(*arguments), float) * 1.001 + .001
    verdict = judge(task, named(almost, task))
    assert not verdict.right and "expected" in verdict.message and "for " in verdict.message


def toy(x, y):
    """A stub."""
    raise NotImplementedError


TOY = Exercise("99", toy, lambda x, y: x + y, [(np.array([1., 2]), 3.)], [(lambda x, y: x - y, "you subtracted")])


def raises(x, y):
    return x[5]


def inplace(x, y):
    x += y
    return x


@pytest.mark.parametrize("answer, told", [
    (toy, "not filled in yet"),
    (lambda x: x, "takes (x); expected (x, y)"),
    (lambda x, y: x - y, "you subtracted"),
    (lambda x, y: None, "returns nothing: is the `return` missing?"),
    (lambda x, y: "seven", "returns str; expected numbers of shape (2,)"),
    (lambda x, y: 7., "returns the shape (); expected (2,)"),
    (lambda x, y: x + y + (0, 1), "1 of 2 numbers are wrong, the first at [1]: 6; expected 5\n  for x = [1., 2.], y = 3.0"),
    (lambda x, y: x * np.nan, "2 of 2 numbers are wrong"),
    (raises, "raises IndexError: index 5 is out of bounds for axis 0 with size 2\n  at `return x[5]`"),
    (inplace, "changes its argument x in place"),
])
def test_what_a_wrong_answer_is_told(answer, told):
    verdict = judge(TOY, answer)
    assert not verdict.right and verdict.message.startswith(told)
    assert TOY.cases[0][0].tolist() == [1, 2]


def test_a_list_is_as_good_as_an_array_and_rounding_is_no_mistake():
    assert judge(TOY, lambda x, y: [4.000000001, 5]).right


def test_check_finds_the_exercise_by_name(capsys):
    iou = next(task for task in TASKS if task.name == "shape_iou")
    assert lessons.check(named(iou.right, iou)) is True
    assert capsys.readouterr().out.startswith("shape_iou: right. ")
    assert lessons.check(toy) is False
    assert f"there is no exercise 'toy'; there are {TASKS[0].name}, " in capsys.readouterr().out


def test_a_task_is_shown_without_its_answer(capsys):
    lessons.task(toy)
    assert capsys.readouterr().out == 'def toy(x, y):\n    """A stub."""\n    ...\n\n'
    for one in TASKS:
        lessons.task(one.stub)
        shown = capsys.readouterr().out
        assert shown.startswith(f"def {one.name}(") and shown.count('"""') == 2 and "slips" not in shown
        compile(shown, one.name, "exec")


def test_every_lesson_has_its_notebook_and_two_or_three_exercises():
    for lesson in lessons.lessons():
        assert len(list((ROOT / "notebooks").glob(f"{lesson}_*.ipynb"))) == 1
        assert 2 <= sum(task.lesson == lesson for task in TASKS) <= 3
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_sources_of_kernels_methods_and_classes_are_shown_without_their_docstrings(capsys):
    from minidarknet.kernels._boxes import best_anchor
    from minidarknet.layers.region import Region
    for thing, first in ((best_anchor, "@jit\ndef best_anchor"), (Region.assign, "def assign"),
                         (Region.extent, "@property")):
        notebook.source(thing)
        shown = capsys.readouterr().out
        assert shown.startswith(first) and '"""' not in shown and "return" in shown or "self.ops" in shown
    notebook.source(best_anchor, docstring=True)
    assert "of the likest" not in shown and "Darknet" not in shown
    assert '"""' in capsys.readouterr().out


def test_the_papers_table_is_drawn_with_its_rung_lit():
    import matplotlib.pyplot as plt
    bars = notebook.ladder(6).axes[0].patches
    plt.close("all")
    assert [bar.get_width() for bar in bars] == [value for _, value in notebook.LADDER]
    lit = [bar.get_facecolor() for bar in bars]
    assert lit[6] != lit[5] == lit[0]


def test_short_trainings_learn_and_repeat(drawn, tiny_cfg):
    from minidarknet import Network
    from minidarknet.data import annotations
    dataset = annotations.load(drawn, "train")
    seen = []
    runs = [training.train_briefly(Network.from_cfg(tiny_cfg), dataset, 6, 1, lambda net, update: seen.append(update))
            for _ in range(2)]
    assert runs[0] == runs[1] and seen == [*range(6)] * 2 and runs[0][-1]["count"] > 0
    assert runs[0] != training.train_briefly(Network.from_cfg(tiny_cfg), dataset, 6, seed=2)
    smooth = training.column([{"a": 1}, {"a": None}, {"a": 3}], "a", window=2)
    np.testing.assert_array_equal(smooth, [1, 1, 3])


def test_the_rarer_pictures_are_repeated():
    few, many = list("ab"), list(range(9))
    assert shapes.balanced(few, many) == [*few * 5, *many]
    assert shapes.balanced(few, many, 4) == [*few * 2, *many] and shapes.balanced(many, few) == [*many, *few]


def test_a_small_classifier_over_a_tree_or_without():
    flat, tree = networks.nano_classifier(11, 70), networks.nano_classifier(15, 70, "sample.tree", side=36)
    assert (flat.classes, flat.tree, flat.options.max_batches) == (11, None, 70)
    assert (tree.classes, len(tree.tree), tree.input.shape, tree.options.max_crop) == (15, 15, (36, 36, 3), 39)


def test_objects_of_one_class(drawn):
    from minidarknet.data import annotations
    dataset = annotations.load(drawn, "train")
    one = training.one_class(dataset)
    assert one.names == ("object",) and one.counts.tolist() == [dataset.counts.sum()]
    assert all(a.boxes is b.boxes and a.id == b.id for a, b in zip(one, dataset))


def test_the_small_detector_takes_other_options_and_repeats():
    anchors = np.array([(1, 2), (3.25, 4)])
    one, again, other = (networks.nano(96, 70, anchors, seed=seed, rate=.003, rescore=0) for seed in (1, 1, 2))
    assert one.head.shape == (6, 6, 2 * 6) and one.head.options.rescore == 0
    assert (one.options.learning_rate, one.options.max_batches) == (.003, 70)
    np.testing.assert_array_equal(one.head.anchors, anchors)
    first = [net.layers[0].weight for net in (one, again, other)]
    assert np.array_equal(first[0], first[1]) and not np.array_equal(first[0], first[2])
    assert networks.nano(classes=12).head.shape == (8, 8, 85)


def test_a_head_alone_reads_raw_numbers_in_double_precision():
    net = networks.head_alone(4, [(1, 1.5)], classes=2, thresh=.3)
    assert net.input.shape == net.head.shape == (4, 4, 7) and net.head.dtype == np.float64
    raw = np.zeros((1, 4, 4, 7))
    net.forward(raw, np.array([[(.6, .3, .2, .2, 1)]]))
    assert net.head.match[0, 0, 0] == 1 * 4 + 2 and net.head.options.thresh == .3
    np.testing.assert_allclose(net.boxes(net.predict(raw))[0][0, 6], [2.5 / 4, 1.5 / 4, 1 / 4, 1.5 / 4])
