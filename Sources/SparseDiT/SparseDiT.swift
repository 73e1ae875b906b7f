// The front door: all that `import SparseDiT` gives. A picture is drawn by a ``Pipeline`` from a
// ``GenerationRequest``; docs/architecture.md leads through the rooms behind.

// What the interface speaks of, but lies below this module, which no other package can import.
@_exported import struct Tensors.Grid
@_exported import enum Tensors.Precision
@_exported import enum Tensors.SparseDiTError
