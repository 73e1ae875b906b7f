"""Training kit of SparseDiT: everything here needs the `training` extra (PyTorch, Pillow)."""
