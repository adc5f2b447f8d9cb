"""python -m minigan.export: a checkpoint's generator or discriminator as a file that other tools load."""

import argparse
from pathlib import Path

from minigan import __version__, checkpoint, cli, exchange, files, onnx_graph, sampling, settings
from minigan.data import SIDE
from minigan.errors import UserError

FORMATS = ("safetensors", "npz", "onnx")
NETWORKS = ("generator", "discriminator")


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.export",
        description="Write one network of a checkpoint for other tools: its weights under PyTorch's names and in its "
        "layouts (.safetensors, .npz), or the whole network in eval mode (.onnx). minigan itself takes weights back by "
        "network.load_state_dict(minigan.exchange.read_weights(FILE)).",
    )
    p.add_argument("checkpoint", metavar="CHECKPOINT", help="the checkpoint.pkl of a run, or the run's folder")
    p.add_argument("--format", choices=FORMATS, help="of the file (default: as its name ends)")
    p.add_argument(
        "--network", choices=NETWORKS, default=NETWORKS[0], help="which of the two players (default: %(default)s)"
    )
    p.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        help="the moving average of the generator's weights (by default, where the run kept one), or not",
    )
    p.add_argument(
        "--out",
        type=cli.path,
        required=True,
        metavar="FILE",
        help="generator.safetensors, generator.npz or generator.onnx",
    )
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    out = Path(arguments.out)
    kind = out.suffix.removeprefix(".")
    if kind not in FORMATS or arguments.format not in (None, kind):
        endings = f".{arguments.format}" if arguments.format else ".safetensors, .npz or .onnx"
        raise UserError(f"--out {out}: the name must end in {endings}")
    if not out.parent.is_dir():
        raise UserError(f"--out {out} cannot be written: there is no folder {out.parent}")
    network, recipe, metadata = load_network(checkpoint.path_in(arguments.checkpoint), arguments.network, arguments.ema)
    content = file_content(kind, network, recipe, metadata)
    try:
        files.write_atomically(out, content)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from None
    print(f"{metadata['network']} of {recipe.name} after step {metadata['step']} ({metadata['weights']}): {out}")
    return 0


def load_network(path, name="generator", average=None):
    """(network in eval mode, its Recipe, metadata) of a checkpoint file: its "generator" or its "discriminator".

    average: as in `sampling.load_generator`. metadata: {name: text}, what a stranger needs to know to use the network.
    Raises UserError for any other file, and for an average of the discriminator, of which there is none.
    """
    state, path = checkpoint.load_newest(path)
    step = state.get("step")
    if type(step) is not int or not 0 <= step < 2**60:
        raise UserError(f"{path} is damaged: its step is {ascii(step):.50}")
    if name == "generator":
        network, recipe, averaged = sampling.generator_of(state, path, average=average)
    elif average:
        raise UserError("--ema is for the generator: a run keeps no moving average of the discriminator")
    else:
        network, recipe, averaged = *sampling.network_of(state, path, name), False
    chosen = settings.settings_of(state, path)
    metadata = {
        "minigan": __version__,
        "recipe": recipe.name,
        "network": name,
        "step": str(step),
        "weights": f"moving average, decay {chosen.ema}" if averaged else "as trained",
        "mode": "eval: batch normalisation by running statistics, no dropout",
    }
    if name == "generator":
        metadata["latents"] = f"(N, {', '.join(map(str, recipe.latent_shape))}), standard normal"
        metadata["images"] = f"(N, 1, {SIDE}, {SIDE}) from -1 (background) to 1: pixel = round(127.5 * image + 127.5)"
    else:
        pixels = "(pixel - 127.5) / 127.5" if chosen.normalise else "pixel / 255 (--no-normalise)"
        metadata["images"] = f"(N, 1, {SIDE}, {SIDE}): image = {pixels}"
        metadata["output"] = f"{_score(recipe)} that the image is real"
    return network, recipe, metadata


def file_content(kind, network, recipe, metadata):
    """The bytes of a file of one of FORMATS. Raises UserError where the library for it is not installed."""
    if kind == "safetensors":
        return exchange.safetensors_content(network.state_dict(), metadata)
    if kind == "npz":
        return exchange.npz_content(network.state_dict(), metadata)
    title = f"{recipe.name} {metadata['network']}"
    if metadata["network"] == "generator":
        return onnx_graph.model_content(network, title, "latents", recipe.latent_shape, "images", metadata)
    return onnx_graph.model_content(network, title, "images", (1, SIDE, SIDE), _score(recipe), metadata)


def _score(recipe):
    return "logit" if recipe.returns_logits else "probability"


if __name__ == "__main__":
    cli.run(main)
