import SparseDiT
