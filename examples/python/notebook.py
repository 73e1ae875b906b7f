# %% [markdown]
# A denoising loop in a notebook. Editors that know `# %%` cells (VS Code, Spyder, Jupytext) run this
# file cell by cell; `python notebook.py [MODEL-FOLDER]` runs it whole.

# %% A pipeline stays loaded between cells. A picture as the last value of a cell shows itself.
import sys

import numpy as np
import sparsedit

pipe = sparsedit.Pipeline(sys.argv[1] if len(sys.argv) > 1 else None)
pipe.info

# %%
pipe("a white boat on the sea, at sunset", seed=3)[0]

# %% What would it cost dense, and as the model's configuration says?
dense = pipe.cost("a white boat", rates="dense")
sparse = pipe.cost("a white boat")
print(f"{dense.macs_denoise / 1e9:.2f} G multiply-accumulates dense, {sparse.macs_denoise / 1e9:.2f} G")

# %% The same by hand: prompts to embeddings (the empty one is what guidance steers away from) ...
ids, mask = pipe.tokenize(["", "a white boat on the sea, at sunset"])
embedding = pipe.encode_prompt(ids, mask)
print("tokens", mask.sum(axis=1), "embedding", embedding.shape)

# %% ... noise to latents, keeping every estimate on the way. DDIM takes noise, sample and prediction
# as they are; for other samplers see `sparsedit.Sampler` ...
sampler = pipe.sampler(12, "ddim")
latents = pipe.noise(seed=3)
channels = latents.shape[1]
frames = []
for timestep in sampler:
    both = np.concatenate([latents, latents])
    empty, wanted = pipe.denoise(both, timestep, embedding, mask)[:, :channels]
    guided = empty + 4.5 * (wanted - empty)
    latents = sampler.step(guided[None], latents)
    frames.append(latents)

# %% ... and latents to pixels.
pixels = pipe.decode(frames[-1])[0]
picture = np.clip((pixels.transpose(1, 2, 0) + 1) * 127.5, 0, 255).round().astype(np.uint8)
print("picture", picture.shape, "mean", picture.mean().round(1))

# %%
pipe.close()
