"""What sparsity gives and costs: the same prompts and seeds drawn dense and at three pairs of rates.

    python examples/sparsity/report.py OUTPUT [--engine sparsedit-t2i] [--model FOLDER] [--judge FOLDER]

OUTPUT gets sheet.jpg (a row per prompt, a column per setting), tokens.svg and cost.svg (per step), time.svg (per
image), report.md (the table) and report.json. With --judge (a judge of the training kit, on held-out prompts; needs
`pip install "./bindings/python[training]"`) the table also says how many pictures were right.

Needs Pillow and matplotlib. Everything is asked of the command line program.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont

matplotlib.use("svg")
from matplotlib import pyplot  # noqa: E402 (after the choice of how to draw)

PROMPTS = ("a red house under a full moon", "a yellow flower to the left of a green tree", "a pink boat on the sea at "
           "sunset", "two blue cars in the snow", "an orange cat at night", "a purple star on a white background")
SETTINGS = {"dense": "--dense", "0.44-0.61": "--rates=0.44,0.61", "0.61-0.86": "--rates=0.61,0.86",
            "0.86-0.96": "--rates=0.86,0.96"}
SEED = 7
ROUNDS = 3


def ask(options, *arguments) -> dict:
    """Runs the program with --json and gives its report."""
    model = ["--model", options.model] if options.model else []
    done = subprocess.run([options.engine, *model, *arguments, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{options.engine}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def draw(options, folder: Path) -> dict[str, list[dict]]:
    """Draws every prompt in every setting, ROUNDS times in turn, so that whatever else the machine does meets all
    settings alike. Gives the reports of each setting's pictures; the files of the last round stay in `folder`."""
    listed = folder / "prompts.txt"
    listed.write_text("\n".join(PROMPTS) + "\n")
    reports = {name: [] for name in SETTINGS}
    for _ in range(ROUNDS):
        for number, (name, flag) in enumerate(SETTINGS.items()):
            found = ask(options, "--prompts-file", str(listed), "--seed", str(SEED), "--output",
                        str(folder / f"{number}.jpg"), "--threads", str(options.threads), flag)
            reports[name] += found["images"]
    return reports


def save_sheet(reports: dict[str, list[dict]], path: Path, side: int = 192):
    """A row per prompt, a column per setting."""
    label, font = 22, ImageFont.load_default(14)
    page = Image.new("RGB", (side * len(SETTINGS), (side + label) * len(PROMPTS) + label), "white")
    pen = ImageDraw.Draw(page)
    for column, (name, pictures) in enumerate(reports.items()):
        pen.text((column * side + 6, 3), name, fill="black", font=font)
        for row, picture in enumerate(pictures[-len(PROMPTS):]):
            top = label + row * (side + label)
            if column == 0:
                pen.text((6, top + 3), picture["prompt"], fill="black", font=font)
            page.paste(Image.open(picture["file"]).resize((side, side)), (column * side, top + label))
    page.save(path, quality=88)


def save_steps(values: dict[str, list[float]], what: str, path: Path):
    """One line per setting over the steps."""
    figure, axes = pyplot.subplots(figsize=(6, 3), layout="constrained")
    for name, line in values.items():
        axes.step(range(1, len(line) + 1), line, where="mid", label=name)
    axes.set(xlabel="step, from noise to picture", ylabel=what, ylim=(0, None))
    axes.legend(title="rates", fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def save_times(rows: list[dict], path: Path):
    """Time per image against the mean share of tokens pruned."""
    figure, axes = pyplot.subplots(figsize=(6, 3), layout="constrained")
    axes.plot([row["pruned"] for row in rows], [row["seconds"] for row in rows], "o-")
    for row in rows:
        axes.annotate(row["name"], (row["pruned"], row["seconds"]), xytext=(4, 6), textcoords="offset points")
    axes.set(xlabel="tokens pruned in the sparse blocks, mean of the steps, %", ylabel="denoising, seconds per image",
             ylim=(0, None))
    axes.grid(alpha=0.3)
    figure.savefig(path, metadata={"Date": None})


def judged(options, name: str, flag: str, folder: Path) -> dict:
    """The judge's percentages on the first prompts of the test set, drawn in one setting."""
    model = options.model or "inside"  # of the program
    subprocess.run([sys.executable, "-m", "sparsedit_training.evaluate", str(model), "--judge", str(options.judge),
                    "--output", str(folder / name), "--engine", options.engine, "--count", str(options.count),
                    f"--engine-options={flag}"], check=True, stdout=sys.stderr)
    return json.loads((folder / name / "verdicts.json").read_text())["summary"]


def summary(name: str, pictures: list[dict], cost: dict) -> dict:
    """What the table and the plots say of one setting."""
    tokens, dense = pictures[0]["tokens_per_step"], pictures[0]["dense_tokens"]
    return {"name": name, "tokens": tokens, "pruned": 100 * (1 - statistics.mean(tokens) / dense),
            "macs": [step["macs"] for step in cost["picture"]["steps"]],
            "seconds": statistics.median(picture["seconds"]["denoise"] for picture in pictures)}


def table(rows: list[dict]) -> str:
    """Markdown: one line per setting, ratios against the first, which is dense."""
    heads = ["rates", "tokens", "multiply-accumulates", "seconds", "dense ÷ it: cost", "time"]
    asked = {"object_colour": "thing and colour", "relation_or_time": "relation or time"} if "judge" in rows[0] else {}
    lines = [[*heads, *asked.values()], ["---"] * (len(heads) + len(asked))]
    first = rows[0]
    for row in rows:
        shares = [row["judge"][key] for key in asked]
        figures = ["–" if share is None else f"{share:.1f} %" for share in shares]  # None: asked of no prompt
        lines.append([row["name"], f"{min(row['tokens'])} … {max(row['tokens'])}", f"{sum(row['macs']) / 1e9:.2f} G",
                      f"{row['seconds']:.3f}", f"{sum(first['macs']) / sum(row['macs']):.2f}",
                      f"{first['seconds'] / row['seconds']:.2f}", *figures])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--engine", default="sparsedit-t2i", help="path of the command line program")
    parser.add_argument("--model", help="a diffusers folder; default: the model inside the program")
    parser.add_argument("--judge", type=Path, help="folder of a trained judge")
    parser.add_argument("--count", type=int, default=200, help="prompts of the test set for the judge")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        reports = draw(options, Path(scratch))
        save_sheet(reports, options.output / "sheet.jpg")
        rows = [summary(name, reports[name], ask(options, "--cost", flag)) for name, flag in SETTINGS.items()]
        for row, flag in zip(rows, SETTINGS.values()):
            if options.judge:
                row["judge"] = judged(options, row["name"], flag, Path(scratch))
    save_steps({r["name"]: r["tokens"] for r in rows}, "tokens of the sparse blocks", options.output / "tokens.svg")
    save_steps({r["name"]: [m / 1e9 for m in r["macs"]] for r in rows}, "10⁹ multiply-accumulates",
               options.output / "cost.svg")
    save_times(rows, options.output / "time.svg")
    (options.output / "report.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    (options.output / "report.md").write_text(table(rows))
    print(table(rows), end="")


if __name__ == "__main__":
    main()
