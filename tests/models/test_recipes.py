"""Recipes and lengths: all that ship are sound, and each mistake in one is told by name."""

import pytest

from brevitas_models import recipes, results, zoo
from brevitas_models.config import DIVISIONS, FULL_WIDTH, STRATEGIES, TEACHERS
from brevitas_models.recipes import RecipeError, configs, load_recipe, parse_recipe
from brevitas_models.state import command_line

ROWS = [(name, length) for name in recipes.names() for length in recipes.lengths()]


@pytest.mark.parametrize(("name", "length"), ROWS)
def test_every_row_can_be_run(name, length):
    network, train = configs(name, length)
    recipe, own = load_recipe(name), recipes.load_length(length).own_epochs
    assert network.strategy == recipe.network.strategy and name.startswith(network.model)
    assert network.width / FULL_WIDTH.get(network.model, 64) == (recipes.lengths()[length].width or 64) / 64
    if recipe.part:
        epochs = {"short": 1, "day": 5, "more": 10, "teacher": 2, "long": 15, "long32": 15, "further": 5, "onward": 6}
        assert train.epochs == (recipe.epochs // 4 if own else epochs[length])
        assert train.resolutions == recipes.lengths()[length].part_resolutions
    elif own and not network.untrained:
        assert train.batch == 512 and train.epochs == {"bireal18": 256, "reactnet_a": 256}.get(network.model, 128)


def test_rows_of_a_length_share_all_but_the_network():
    own = {"label_smoothing": 0.0, "votes_from": 0.0, "distillation": 0.0, "branch_scale": 0.25}
    own |= {"window": (1.3, 1.3), "clipping": 0.0}
    for length in recipes.lengths():
        changes = own | ({"epochs": 1} if recipes.load_length(length).own_epochs else {})
        schedules = {
            configs(name, length)[1].model_copy(update=changes)
            for name in recipes.names()
            if not load_recipe(name).part
        }
        assert len(schedules) == 1


def test_the_rows_of_the_source_are_there():
    """Of docs/explanation/popbin.md: two networks, four strategies, five division numbers, and the source's figures."""
    found = {name: load_recipe(name) for name in recipes.names()}
    for model in ("reactnet18", "bireal18"):
        assert {found[f"{model}-{strategy}"].network.strategy for strategy in STRATEGIES} == set(STRATEGIES)
        assert f"{model}-maj3" in found
    rows = [r for name, r in found.items() if r.source and name.startswith("reactnet18-qat")]
    divisions = {r.network.division: r.source.top1 for r in rows}
    assert divisions == {"c+alpha": 92.15, "c*k2+alpha": 89.58, "c*alpha": 92.51, "c*k2*alpha": 92.16, "minmax": 89.23}
    assert set(divisions) == set(DIVISIONS) - {"rms"}  # ours
    assert (found["bireal18-qat"].source.top1, found["bireal18-qat"].source.top5) == (88.52, 98.38)


def test_titles_differ():
    titles = [load_recipe(name).title for name in recipes.names()]
    assert len(set(titles)) == len(titles)


def test_starts_and_teachers():
    """A row starts from its own network with popcounts kept.

    Rows ...-from-qat and ...-further start from exact votes, and take a part of their length.
    """
    for name in recipes.names():
        recipe = load_recipe(name)
        if recipe.start:
            start = load_recipe(recipe.start).network
            wanted = "qat" if name.endswith(("-from-qat", "-further")) else "none"
            assert (start.model, start.strategy, start.voter) == (recipe.network.model, wanted, "exact")
            assert wanted == "none" or recipe.part
        teacher = recipe.teacher and load_recipe(recipe.teacher).network
        assert not teacher or teacher.model in TEACHERS or teacher.model != recipe.network.model


def test_teachers_of_another_length():
    """Rows of length long learn from the twin of length teacher; ``flow table --run`` does not train another."""
    from flow.cli.table import in_order

    assert [recipes.teacher_length(length) for length in ("short", "source", "long", "long32")] == [
        "short",
        "source",
        "teacher",
        "teacher",
    ]
    assert in_order(["reactnet18-maj3-distilled-from-qat"], "short") == [
        "twin18",
        "reactnet18-qat-distilled",
        "reactnet18-maj3-distilled-from-qat",
    ]
    assert in_order(["reactnet18-maj3-distilled-from-qat"], "long") == [
        "reactnet18-qat-distilled",
        "reactnet18-maj3-distilled-from-qat",
    ]


def test_a_length_that_goes_on_from_another(tmp_path):
    """Rows of length more begin with those of day: with what is bundled of them, where no run is left."""
    from flow.cli.recipes import _trained
    from flow.cli.table import in_order

    assert [recipes.start_length(length) for length in ("day", "more")] == ["day", "day"]
    assert configs("bireal18-exact-from-qat", "more")[1].epochs == 10
    assert [size for _, size in configs("bireal18-exact-from-qat", "more")[1].resolutions] == [16, 24, 32]
    assert configs("bireal18-exact-from-qat", "day")[1].resolutions == ((0.0, 32),)
    assert in_order(["bireal18-exact-from-qat"], "more") == ["bireal18-exact-from-qat"]
    network, metadata, path = _trained(("reactnet18-none", "day", 10, 1), tmp_path)
    assert path == zoo.FOLDER / "reactnet18-none.popbin" and network.config == metadata.network
    stored = results.load_results()["reactnet18-none", "day", 10, 1].network
    assert metadata.weights_sha256 == stored.weights_sha256
    with pytest.raises(RecipeError, match="first run flow train --recipe reactnet18-qat-late --length short"):
        _trained(("reactnet18-qat-late", "short", 10, 1), tmp_path)  # has a result, but is not bundled


def test_a_teacher_that_is_not_there(samples, tmp_path):
    from flow.cli.recipes import run_recipe

    with pytest.raises(RecipeError, match="teacher/twin18: first run flow train --recipe twin18 --length teacher"):
        run_recipe("reactnet18-qat-distilled", "long", (samples, samples), tmp_path, tmp_path, "cpu")


GOOD = "title: a row\nnetwork: {model: reactnet18, strategy: qat}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "epocs: 3", "recipe x: epocs: .*Extra inputs are not permitted, not 3"),
        (GOOD + "epochs: 0", "recipe x: epochs: .*greater than or equal to 1, not 0"),
        (GOOD + "label_smoothing: 1", "label_smoothing: .*less than 1"),
        (GOOD + "branch_scale: 0", "branch_scale: .*greater than 0, not 0"),
        (GOOD + "votes_from: 1", "votes_from: .*less than 1"),
        (GOOD + "window: [3, 0.9]", "window is of division rms only"),
        (GOOD.replace("}", ", division: rms}") + "window: [3, 0]", "window.1: .*greater than 0, not 0"),
        (GOOD + "part: 0.5", "part is of a row that is trained on from a start"),
        (GOOD + "distillation: 0.5", "teacher and distillation go together"),
        (GOOD + "teacher: twin18", "teacher and distillation go together"),
        (GOOD + "source: {top1: 120}", "source.top1: .*less than or equal to 100"),
        (GOOD + "calibration: 5", "calibration is of strategy ptq only"),
        (GOOD.replace("qat", "ptq"), "needs a start"),
        (GOOD.replace("qat", "ptq") + "start: reactnet18-none\nepochs: 3", "trains nothing"),
        (
            GOOD.replace("reactnet18, strategy: qat", "xnornet18, strategy: none, activation_scale: mean"),
            "activation_scale mean needs a start: the recipe of a network trained with a map",
        ),
        (GOOD + "clipping: 0", "clipping: .*greater than 0, not 0"),
        (GOOD.replace("qat", "best"), "network.strategy: .*'none', 'ptq', 'simple-qat' or 'qat'"),
        (GOOD.replace("}", ", widht: 3}"), "network.widht: .*Extra"),
        (
            GOOD.replace("reactnet18", "twin18"),
            "twin18 is a float network, a teacher: it has a width and classes, and strategy none",
        ),
        ("title: a: b", "recipe x is no YAML"),
        ("- 3", "recipe x is no mapping"),
        ("", "recipe x is no mapping"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text, "recipe x")


def test_unknown_names():
    with pytest.raises(RecipeError, match="recipe 'reactnet' is unknown: use bireal18-"):
        load_recipe("reactnet")
    with pytest.raises(RecipeError, match="length 'night' is unknown: use short, day, source"):
        configs("reactnet18-qat", "night")
    with pytest.raises(RecipeError, match="unknown"):
        load_recipe("lengths")


def test_the_command_tells_what_differs():
    network, train = configs("reactnet18-qat-residual10", "short")
    assert "--residual-bits 10 --residual-fraction 6" in command_line(network, train)
    assert "--division rms --shift 0 --window 3:0.9" in command_line(*configs("reactnet18-qat-narrowing", "short"))
    assert "--window" not in command_line(*configs("reactnet18-qat-rms", "short"))
    assert "--branch-scale 1 " in command_line(*configs("reactnet18-qat-unit-branches", "short")) + " "
    assert "--branch-scale" not in command_line(*configs("reactnet18-qat", "short"))
    network, train = configs("reactnet18-qat", "source")
    assert "--shift" not in command_line(network, train)
    assert "--shift 0 " in command_line(network, train.model_copy(update={"shift": 0})) + " "
    assert "--norm bn-free --shift 0 --clipping 0.02" in command_line(*configs("reactnet18-none-norm-bn-free", "short"))
    assert "--shortcut binary --activation-bits 4" in command_line(*configs("bwn18-none-a4", "short"))
    assert "--activation-scale map" in command_line(*configs("xnornet18-none-map", "short"))
    assert "--label-smoothing 0.1" in command_line(*configs("reactnet18-qat-smoothing", "short"))
