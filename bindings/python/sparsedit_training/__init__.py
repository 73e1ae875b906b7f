"""The training kit of SparseDiT. It needs the extra `training` of the distribution `sparsedit`: PyTorch and Pillow."""
