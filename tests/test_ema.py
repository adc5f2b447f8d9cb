"""The moving average of G's weights: against one by hand, resumed, captured, on the GPU, and drawn from."""

import numpy as np
import pytest
import test_gpu_training
from gpus import on_gpus
from test_training import arrays, assert_same_run, make_run, resumed, trained

from minigan import checkpoint, cli, recipes, sample, sampling, train
from minigan.errors import UserError
from minigan.kernels import cpu, reference

NAMES = sorted(recipes.RECIPES)


def copies(network):
    return {name: np.array(array) for name, array in network.state_dict().items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_average_is_numpys_over_the_weights_and_statistics_of_each_step(small_dataset, small_recipes, name):
    run = make_run(name, small_dataset, ema=0.9)
    expected = {n: a.astype(np.float64) for n, a in copies(run.players.generator).items()}
    for _ in range(4):
        run.advance()
        for n, a in copies(run.players.generator).items():
            expected[n] = 0.9 * expected[n] + 0.1 * a if a.dtype.kind == "f" else a
    for n, a in run.average.network.state_dict().items():
        np.testing.assert_allclose(a, expected[n], rtol=1e-5, atol=1e-7, err_msg=n)


@pytest.mark.parametrize("name", NAMES)
def test_training_has_the_same_bits_with_an_average_and_without(small_dataset, small_recipes, name):
    plain, averaged = (make_run(name, small_dataset, ema=decay) for decay in (None, 0.9))
    assert [plain.advance()[:-1] for _ in range(3)] == [averaged.advance()[:-1] for _ in range(3)]
    after = dict(arrays(averaged.state()))
    for path, value in arrays(plain.state()):
        np.testing.assert_array_equal(value, after[path], err_msg=path)


@on_gpus
@pytest.mark.parametrize("name", NAMES)
def test_captured_steps_average_as_eager_ones_to_the_bit_on_every_device(gpu, few_images, small_recipes, name):
    ways = ("gpu", True), ("gpu", False), ("cpu", True)
    with gpu():
        runs = [test_gpu_training.make_run(name, few_images, device, graph, ema=0.8) for device, graph in ways]
        for run in runs:
            for _ in range(3):
                run.advance()
        test_gpu_training.assert_same_bits(runs[0], runs[1])
        test_gpu_training.assert_close_runs(runs[0], runs[2], 0.02)


@pytest.mark.parametrize("name", NAMES)
def test_ten_steps_are_five_and_five_resumed_with_an_average(tmp_path, small_dataset, small_recipes, name):
    whole = trained(tmp_path / "whole", make_run(name, small_dataset, ema=0.9))
    halves = trained(tmp_path / "halves", make_run(name, small_dataset, ema=0.9, steps=5))
    resumed(halves, steps=10)
    assert_same_run(whole, halves)
    assert "average" in checkpoint.load(halves.checkpoint)


def test_images_are_drawn_from_the_average_where_there_is_one_and_from_g_on_request(tmp_path, small_dataset):
    run = make_run("chaudhary2024", small_dataset, ema=0.5, steps=3)
    path = trained(tmp_path / "run", run).checkpoint
    for average, network in ((None, run.average.network), (True, run.average.network), (False, run.players.generator)):
        expected = sampling.draw(network.eval(), run.recipe.latent_shape, 4, 7)
        option = {None: [], True: ["--ema"], False: ["--no-ema"]}[average]
        arguments = [str(path), "--count", "4", "--seed", "7", "--device", "cpu", "--out", str(tmp_path / "x.npy")]
        assert sample.main([*arguments, *option]) == 0
        np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)
        assert sampling.generator_of(checkpoint.load(path), path, average=average)[2] == (average is not False)


def test_a_checkpoint_of_before_there_were_averages_loads_and_one_that_lost_its_own_does_not(tmp_path, small_dataset):
    state = make_run("chaudhary2024", small_dataset).state()
    del state["settings"]["ema"]
    path = tmp_path / "checkpoint.pkl"
    checkpoint.save(path, state)
    sampling.load_generator(path)
    make_run("chaudhary2024", small_dataset).restore(checkpoint.load(path), path)
    with pytest.raises(UserError, match="--ema"):
        sampling.load_generator(path, average=True)
    with pytest.raises(UserError, match="damaged"):
        make_run("chaudhary2024", small_dataset, ema=0.5).restore(checkpoint.load(path), path)


@pytest.mark.parametrize("decay", ["0", "1", "1.5", "nan", "x"])
def test_a_decay_that_averages_nothing_is_refused(capsys, decay):
    with pytest.raises(SystemExit) as caught:
        train.main(["--ema", decay])
    assert caught.value.code == cli.EXIT_BAD_INPUT and "between 0 and 1" in capsys.readouterr().err


@pytest.mark.parametrize("kernel_set", [reference, cpu], ids=["reference", "cpu"])
def test_an_average_comes_to_rest_on_what_it_follows(kernel_set):
    average, value = np.zeros(40_000, np.float32), np.full(40_000, 3, np.float32)
    for _ in range(2_000):
        kernel_set.move_average([average], [value], 0.99)
    assert (abs(average - value) <= 2e-5).all()
