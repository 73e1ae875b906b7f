"""SparseDiT text-to-image: Python package."""
