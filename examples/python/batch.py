"""A file of prompts, one per line, to a folder of pictures.

    python examples/python/batch.py prompts.txt pictures/ [--model FOLDER] [--count 2]

Ctrl-C stops within one block of the model; pictures that are finished stay. A prompt that is refused
does not stop the others.
"""

import argparse
import sys
from pathlib import Path

import sparsedit


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default=None, help="a diffusers folder; default: the model inside")
    parser.add_argument("--count", type=int, default=1, help="pictures per prompt")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    failures = 0
    with sparsedit.Pipeline(options.model) as pipe:
        for number, line in enumerate(options.prompts.read_text().splitlines(), start=1):
            prompt = line.strip()
            if not prompt:
                continue
            try:
                images = pipe(prompt, seed=options.seed, num_images_per_prompt=options.count)
            except sparsedit.InvalidArgumentError as error:
                print(f"line {number}: {error}", file=sys.stderr)
                failures += 1
                continue
            for image in images:
                path = options.folder / f"{number:04}-{image.seed}.jpg"
                image.save(path)
                print(f"{path}\t{prompt}")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
