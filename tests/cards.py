"""Measures every bundled checkpoint again, from its integer graph, and compares with its model card.

    python -m tests.cards --data ../shared/data/cifar10 [STEM ...]

Prints a line a checkpoint; exits with 1 if one has another top-1 or top-5 on the whole test set than it claims. A
network of full width takes some ten minutes of a core.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from brevitas_models.checkpoint import load_checkpoint
from brevitas_models.data import load_cifar
from brevitas_models.metrics import top1_top5
from brevitas_models.zoo import FOLDER, available
from flow.cli.evaluate import golden_backend, logits_in_batches


def differs(stem: str, data: Path) -> bool:
    """Is the accuracy of a checkpoint another one than it says?"""
    began = time.monotonic()
    network, metadata = load_checkpoint(FOLDER / f"{stem}.popbin")
    claimed, test = metadata.accuracy, load_cifar(data, "test")
    top1, top5 = top1_top5(logits_in_batches(golden_backend(network), test.images), test.labels)
    same = (round(top1, 2), round(top5, 2), len(test), test.source) == (
        claimed.top1,
        claimed.top5,
        claimed.images,
        claimed.data,
    )
    print(
        f"{stem}: card {claimed.top1:.2f} {claimed.top5:.2f} % of {claimed.images} images, {claimed.data}; "
        f"integers {top1:.2f} {top5:.2f} % of {len(test)}, {test.source}: {'the same' if same else 'DIFFERENT'} "
        f"({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    return not same


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stems", nargs="*", metavar="STEM", help=f"only these of {', '.join(available())}")
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    if strangers := set(options.stems) - set(available()):
        parser.error(f"no bundled checkpoint {', '.join(sorted(strangers))}: there is {', '.join(available())}")
    stems = options.stems or available()
    different = [stem for stem in stems if differs(stem, options.data)]
    print(f"{len(different)} of {len(stems)} differ{': ' + ', '.join(different) if different else ''}")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
