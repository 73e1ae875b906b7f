"""Costs of models that are not loaded."""

import re
import shutil
import subprocess
import sys

import pytest
import sparsedit


def test_estimates_need_no_weights(pipe, model, tmp_path):
    """A folder costs what the loaded model costs, and a known backbone what its paper says."""
    request = {"prompt": "a red house", "num_inference_steps": 3, "num_images_per_prompt": 2, "width": 192}
    configurations = tmp_path / "model"
    shutil.copytree(model, configurations, ignore=shutil.ignore_patterns("*.safetensors"))
    assert sparsedit.estimate_cost(model=configurations, precision="f32", **request) == pipe.cost(**request)
    # 10⁹ multiply-accumulates at 512², from the SparseDiT paper, which counts more for a Poolingformer
    # and a merge than the library does, hence 5 %.
    named = {"backbone": "DiT-XL/2", "width": 512, "height": 512, "num_inference_steps": 40}
    dense = sparsedit.estimate_cost(rates="dense", **named)
    sparse = sparsedit.estimate_cost(rates=(0.90, 0.96), token_schedule="quarters", **named)
    assert dense.macs_per_forward == pytest.approx(525e9, rel=0.005)
    assert sparse.macs_per_forward == pytest.approx(235e9, rel=0.05)
    assert len(sparse.steps) == 40 and sparse.text_encoder.macs == 0
    table = sparsedit.estimate_cost(token_table=lambda timestep, grid: (grid[0] // 4, 8), **named)
    assert table.macs_per_forward < sparse.macs_per_forward


@pytest.mark.parametrize(
    "arguments, error, said",
    [
        ({"backbone": "DiT-XL/3"}, sparsedit.InvalidArgumentError, "DiT-XL/2"),
        ({"backbone": "DiT-S/2\0"}, sparsedit.InvalidArgumentError, "NUL"),
        ({"backbone": "DiT-S/2", "model": "."}, sparsedit.InvalidArgumentError, "exclude each other"),
        ({"backbone": "DiT-S/2", "prompt": "a cat"}, sparsedit.InvalidArgumentError, "draws from a class"),
        ({"backbone": "PixArt-XL/2", "prompt": "a cat"}, sparsedit.InvalidArgumentError, "tokenizer"),
        ({"backbone": "DiT-S/2", "eta": 2}, sparsedit.InvalidArgumentError, "eta 2.0"),
        ({"backbone": "DiT-S/2", "eta": float("nan")}, sparsedit.InvalidArgumentError, "eta nan"),
        ({"backbone": "DiT-S/2", "eta": 0.5}, sparsedit.InvalidArgumentError, "ddim"),
        ({"backbone": "DiT-S/2", "width": 100}, sparsedit.InvalidArgumentError, "width 100"),
        ({"backbone": "PixArt-XL/2", "rates": (0.9, 0.1)}, sparsedit.InvalidArgumentError, "0.9"),
        ({"model": "/nowhere"}, sparsedit.NotFoundError, "/nowhere"),
        ({"backbone": "DiT-S/2", "token_table": lambda t, grid: 1 // 0}, ZeroDivisionError, "zero"),
    ],
)
def test_wrong_estimates(arguments, error, said):
    with pytest.raises(error, match=re.escape(said)):
        sparsedit.estimate_cost(**arguments)


MEMORY = """
import sys, threading, time
import sparsedit

def anonymous():
    with open("/proc/self/status") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("RssAnon:"))

model, threads = sys.argv[1], int(sys.argv[2])
request = dict(prompt="a house", width=256, height=256, num_inference_steps=3)
with sparsedit.Pipeline(model, precision="f32", threads=threads) as pipe:
    limit = pipe.cost(**request).peak_bytes + (2 * threads + 32 << 20)
with sparsedit.Pipeline(model, precision="f32", threads=threads, memory_limit=limit - 1) as pipe:
    try:
        pipe(**request)
        sys.exit("drawn below the least limit")
    except sparsedit.OutOfMemoryError as error:
        assert str(limit) in str(error), error
highest, before, done = 0, anonymous(), False
def watch():
    global highest
    while not done:
        highest = max(highest, anonymous())
        time.sleep(0.0005)
watcher = threading.Thread(target=watch)
watcher.start()
with sparsedit.Pipeline(model, precision="f32", threads=threads, memory_limit=limit) as pipe:
    for _ in range(4):
        pipe(**request)
done = True
watcher.join()
assert highest - before <= limit, (highest - before, limit)
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_a_request_stays_below_the_least_limit_that_accepts_it(model, threads):
    """In a new process, whose first request generates code."""
    command = [sys.executable, "-c", MEMORY, str(model), str(threads)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
