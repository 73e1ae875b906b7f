"""Threads, signals, processes, and other libraries beside this one."""

import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
import sparsedit

LONG = {"num_inference_steps": 900, "height": 128, "width": 128, "seed": 0}


def digest(pipe) -> bytes:
    return pipe("a house", seed=4, num_inference_steps=2, height=64, width=64)[0].numpy().tobytes()


def in_thread(function):
    """Runs a function on another thread; returns its result or exception through ``join()``."""
    result = []

    def work():
        try:
            result.append(function())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=work)
    thread.start()

    def join():
        thread.join()
        return result[0]

    return join


def start_long(pipe):
    """A long call on another thread, which has begun."""
    running = threading.Event()
    join = in_thread(lambda: pipe(on_step=lambda step: running.set(), **LONG))
    assert running.wait(60)
    return join


def test_cancel_from_another_thread(pipe):
    before = digest(pipe)
    assert pipe.cancel() is False
    join = start_long(pipe)
    assert pipe.cancel() is True
    error = join()
    assert isinstance(error, sparsedit.CancelledError) and error.status == 7
    assert digest(pipe) == before


def test_callbacks_cancel_and_raise_on_the_calling_thread(pipe):
    threads = []

    def stop(step):
        threads.append(threading.current_thread())
        if step.step == 2:
            assert pipe.cancel()

    with pytest.raises(sparsedit.CancelledError):
        pipe(on_step=stop, **LONG)
    assert threads == [threading.current_thread()] * 2

    def fail(step, preview):
        raise ZeroDivisionError("of the caller's own")

    with pytest.raises(ZeroDivisionError):
        pipe(on_preview=fail, **LONG)
    with pytest.raises(sparsedit.BusyError):
        pipe(on_step=lambda step: digest(pipe), **LONG)
    assert digest(pipe)


def test_busy_is_said_and_not_an_earlier_failure(pipe):
    with pytest.raises(sparsedit.InvalidArgumentError, match="width 33"):
        pipe(width=33, height=64)
    for call in (
        lambda step: digest(pipe),
        lambda step: pipe.noise(1, 64, 64),
        lambda step: pipe.noise(1, 33, 33),
        lambda step: pipe.cost(width=33),
        lambda step: pipe.sampler(0x7FFFFFFF),
    ):
        with pytest.raises(sparsedit.BusyError, match="another call on this pipeline is running"):
            pipe(on_step=call, **LONG)


@pytest.mark.parametrize("interrupts", [0, 2])
def test_a_thread_that_cannot_start_is_an_error(model, interrupts):
    """Under a limit on processes where the system lets us set one, else with a start that fails in the same way."""
    program = f"""
        import _thread, os, resource, signal, sparsedit, threading
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pipe = sparsedit.Pipeline({str(model)!r}, threads=1)
        start = _thread.start_new_thread
        def refuse(*arguments):
            for _ in range({interrupts}):
                os.kill(os.getpid(), signal.SIGINT)
            raise RuntimeError("can't start new thread")
        _thread.start_new_thread = refuse
        resource.setrlimit(resource.RLIMIT_NPROC, (1, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
        try:
            pipe(num_inference_steps=1, height=32, width=32)
        except sparsedit.OutOfMemoryError as error:
            print("refused", error, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        resource.setrlimit(resource.RLIMIT_NPROC, (resource.getrlimit(resource.RLIMIT_NPROC)[1],) * 2)
        _thread.start_new_thread = start
        print(len(pipe(num_inference_steps=1, height=32, width=32)), flush=True)
    """
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True,
        timeout=60,
    ).stdout.splitlines()
    expected = ("interrupted",) if interrupts else ("refused", "thread")
    assert all(word in output[0] for word in expected) and output[1] == "1", output


def test_busy(pipe):
    join = start_long(pipe)
    with pytest.raises(sparsedit.BusyError):
        digest(pipe)
    with pytest.raises(sparsedit.BusyError, match="cancel"):
        pipe.close()
    assert pipe.info.family
    pipe.cancel()
    assert isinstance(join(), sparsedit.CancelledError)


def test_python_runs_while_the_library_works(pipe):
    join = start_long(pipe)
    begin, turns = time.monotonic(), 0
    while time.monotonic() < begin + 0.5:
        turns += 1
        time.sleep(0.001)
    pipe.cancel()
    join()
    # If the GIL were held during steps, there would be only a few.
    assert turns > 50


def test_same_picture_in_a_thread(pipe):
    assert in_thread(lambda: digest(pipe))() == digest(pipe)


@pytest.mark.parametrize("stage", ["call", "own loop"])
def test_ctrl_c(model, stage):
    program = f"""
        import signal, sparsedit
        # A background job of a shell ignores Ctrl-C from its start, and a test run may be one.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        pipe = sparsedit.Pipeline({str(model)!r}, threads=1)
        def say(step): print("running", flush=True)
        try:
            if {stage == "call"!r}:
                pipe(num_inference_steps=900, on_step=say)
            else:
                latents = pipe.noise(0)
                ids, mask = pipe.tokenize("a")
                embedding = pipe.encode_prompt(ids, mask)
                while True:
                    pipe.denoise(latents, 500, embedding, mask)
                    print("running", flush=True)
        except KeyboardInterrupt:
            pipe(num_inference_steps=1, height=32, width=32)
            print("interrupted", flush=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "running\n"
    child.send_signal(signal.SIGINT)
    output, _ = child.communicate(timeout=60)
    assert child.returncode == 0 and output.splitlines()[-1] == "interrupted"


def _draw_in_child(model, queue):
    with sparsedit.Pipeline(model, precision="f32", threads=1) as pipe:
        queue.put(digest(pipe))


def test_spawn(pipe, model):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_draw_in_child, args=(model, queue))
    child.start()
    assert queue.get(timeout=120) == digest(pipe)
    child.join()
    assert child.exitcode == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_is_a_clear_error(pipe):
    digest(pipe)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            digest(pipe)
            os.write(writer, b"drew")
        except sparsedit.InvalidHandleError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        assert "fork" in answer.read()
    os.waitpid(child, 0)
    assert digest(pipe)


@pytest.mark.parametrize("order", ["torch first", "sparsedit first"])
def test_beside_torch(pipe, model, order):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    imports = ["import torch", "import sparsedit; sparsedit.Pipeline(model).close()"]
    if order == "sparsedit first":
        imports.reverse()
    program = f"""
        import hashlib
        model = {str(model)!r}
        {imports[0]}
        {imports[1]}
        torch.set_num_threads(2)
        def product():
            generator = torch.Generator().manual_seed(0)
            a = torch.randn(300, 300, generator=generator)
            return torch.nn.functional.gelu(a @ a).sum().item()
        before = product()
        with sparsedit.Pipeline(model, precision="f32", threads=1) as pipe:
            image = pipe("a house", seed=4, num_inference_steps=2, height=64, width=64)[0]
            noise = pipe.noise(11, 64, 64)
        generator = torch.Generator("cpu").manual_seed(11)
        assert (torch.randn(1, 4, 8, 8, generator=generator).numpy() == noise).all()
        assert product() == before and torch.get_num_threads() == 2
        print(hashlib.sha256(image.numpy().tobytes()).hexdigest())
    """
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True
    ).stdout
    import hashlib

    assert output.split()[-1] == hashlib.sha256(digest(pipe)).hexdigest()


@pytest.mark.parametrize("order", ["sparsedit first", "sparsedit last"])
def test_beside_protobuf_and_sentencepiece(pipe, model, order):
    """Both bundle a protobuf of their own, as libsentencepiece does."""
    for package in ("google.protobuf", "sentencepiece"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    lines = [
        "import sparsedit; sparsedit.Pipeline(model).tokenize('a red house')",
        "import sentencepiece",
        "from google.protobuf import struct_pb2",
        "from sentencepiece import sentencepiece_model_pb2",
    ]
    if order == "sparsedit last":
        lines = lines[1:] + lines[:1]
    program = f"""
        import hashlib, io
        model = {str(model)!r}
        {"; ".join(lines)}
        def use():
            struct = struct_pb2.Struct()
            struct["a"] = [1, "b", {{"c": None}}]
            assert struct_pb2.Struct.FromString(struct.SerializeToString()) == struct
            data = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(["a red house", "two blue cats"] * 50), model_writer=data,
                vocab_size=30, hard_vocab_limit=False, minloglevel=2)
            processor = sentencepiece.SentencePieceProcessor(model_proto=data.getvalue())
            proto = sentencepiece_model_pb2.ModelProto.FromString(data.getvalue())
            assert len(proto.pieces) == processor.get_piece_size()
            return processor.encode("a red cat")
        before = use()
        with sparsedit.Pipeline(model, precision="f32", threads=1) as pipe:
            image = pipe("a house", seed=4, num_inference_steps=2, height=64, width=64)[0]
        assert use() == before
        print(hashlib.sha256(image.numpy().tobytes()).hexdigest())
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], check=True, capture_output=True, text=True
    )
    import hashlib

    assert result.stdout.split() == [hashlib.sha256(digest(pipe)).hexdigest()]
    assert result.stderr == ""


def test_numpy_imported_after(model):
    program = f"""
        import ctypes, sys
        assert "numpy" not in sys.modules
        import importlib.util
        path = {os.environ.get("SPARSEDIT_LIBRARY") or sparsedit._library.library().path!r}
        library = ctypes.CDLL(path)
        import numpy, sparsedit
        with sparsedit.Pipeline({str(model)!r}, threads=1) as pipe:
            pipe(num_inference_steps=1, height=32, width=32)
        a = numpy.random.default_rng(0).normal(size=(200, 200))
        assert numpy.allclose(a @ numpy.linalg.inv(a), numpy.eye(200), atol=1e-6)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)


def test_many_pictures_do_not_grow_the_process(pipe):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def draw(count):
        for seed in range(count):
            pipe(num_inference_steps=1, height=64, width=64, seed=seed)[0].numpy()

    draw(10)
    before = resident()
    draw(40)
    assert resident() - before < 4 << 20


def test_arrays_may_be_views(pipe):
    latents = pipe.noise(1, 64, 64, batch=2)
    assert np.array_equal(pipe.decode(latents[:, :, ::-1][:, :, ::-1]), pipe.decode(latents))
