"""``python -m deploy``: run, validate and measure an accelerator."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from .accelerator import BATCH, Accelerator
from .errors import DeployError
from .frames import as_frames
from .measure import cpu, latency, throughput_test, validate
from .package import Package, find_package
from .platforms import PLATFORMS
from .scores import classes, scores


def load_images(path: Path) -> np.ndarray:
    """Return the images of a .npy file; raise DeployError if it is none."""
    if path.exists() and not path.is_file():
        raise DeployError(f"{path} is no file: numpy.save writes one")
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise DeployError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, EOFError, SyntaxError, TypeError) as error:
        raise DeployError(f"{path} is no .npy file of images, or damaged: numpy.save writes one") from error
    if not isinstance(images, np.ndarray):
        raise DeployError(f"{path} is an archive of arrays: give one array of images, as numpy.save writes it")
    return images


def run(accelerator: Accelerator, arguments) -> dict:
    """Return logits, scores (where the network's file has them in its own units) and classes of the images in a
    file."""
    package = accelerator.package
    images = load_images(arguments.images_file)
    images = as_frames(images, package.image)
    logits = accelerator.execute(images)
    outputs, found = scores(logits, package.tail), classes(logits, package.tail)
    labels = package.labels
    return {
        "images": len(images),
        "classes": found.tolist(),
        "names": [labels[c] for c in found] if labels and found.ndim == 1 else None,
        "logits": logits.tolist(),
        **({"scores": outputs.tolist()} if package.tail else {}),
    }


def on_accelerator(accelerator: Accelerator, arguments) -> dict:
    """Return the result of the command in ``arguments``."""
    match arguments.command:
        case "run":
            return run(accelerator, arguments)
        case "validate":
            return validate(accelerator, arguments.images)
        case "latency":
            return latency(accelerator, arguments.repeats)
        case _:
            return throughput_test(accelerator, arguments.images)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    top = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "logits and classes of images"),
        ("validate", "compare every logit with the golden ones"),
        ("latency", "single frames"),
        ("throughput", "many frames in one call"),
        ("cpu", "the same integers on this processor, compared and timed"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--package", type=Path, help="folder that flow build made; the newest unless given")
        if name != "cpu":
            command.add_argument(
                "--platform", choices=PLATFORMS, help="where it runs; the board where pynq is installed, else sim"
            )
            command.add_argument("--batch", type=int, default=BATCH, help="frames of a transfer")
        command.add_argument("--output", type=Path, help="write the result as JSON")
        if name == "run":
            command.add_argument("images_file", type=Path, help=".npy file of uint8 images [N, H, W, C]")
        elif name == "latency":
            command.add_argument("--repeats", type=int, default=10)
        else:
            command.add_argument("--images", type=int, default=8 if name == "cpu" else 100)
    return top


def main(words: list[str] | None = None) -> int:
    """Run a command; return its exit status: 0, 1 after an error or a mismatch, 130 after Ctrl-C.

    SIGTERM and SIGHUP while images are computed raise SystemExit(128 + number), after the transfers were stopped.
    """
    arguments = parser().parse_args(words)
    try:
        folder = arguments.package or find_package()
        if arguments.command == "cpu":
            result = cpu(Package.load(folder), arguments.images)
        else:
            with Accelerator(folder, arguments.platform, batch=arguments.batch) as accelerator:
                result = on_accelerator(accelerator, arguments)
        text = json.dumps({"package": str(folder), **result}, indent=2)
        if arguments.output:
            arguments.output.write_text(text + "\n")
    except (DeployError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except MemoryError:
        print("error: there is not enough memory for so many images: ask for fewer", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(text)
    return int(bool(result.get("mismatches")))


if __name__ == "__main__":
    sys.exit(main())
