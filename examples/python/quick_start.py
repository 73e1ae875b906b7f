"""One picture.

    python examples/python/quick_start.py ["a prompt"] [output.jpg] [MODEL-FOLDER]

`pip install ./bindings/python` after `make lib` brings the package; nothing else is needed, since a
small model is inside the library.
"""

import sys

import sparsedit

prompt = sys.argv[1] if len(sys.argv) > 1 else "a red house under a full moon"
output = sys.argv[2] if len(sys.argv) > 2 else "house.jpg"
model = sys.argv[3] if len(sys.argv) > 3 else None


def on_step(progress: sparsedit.Progress) -> None:
    print(
        f"\rstep {progress.step} of {progress.steps}, {progress.tokens} tokens, "
        f"{progress.seconds_left:.1f} s left",
        end="",
        flush=True,
    )


with sparsedit.Pipeline(model) as pipe:
    (image,) = pipe(prompt, seed=7, on_step=on_step)

# Pictures outlive their pipeline.
image.save(output, quality=92)
pixels = image.numpy()  # height x width x 3, uint8
print(f"\n{output}: {image.width}x{image.height}, seed {image.seed}, mean colour {pixels.mean((0, 1))}")
