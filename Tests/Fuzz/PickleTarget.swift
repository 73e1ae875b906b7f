import Tensors

@testable import SparseDiT

/// libFuzzer's entry: the input is a pickle.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPickle(_ data: UnsafePointer<UInt8>, _ count: Int) -> Int32 {
  let bytes = UnsafeRawBufferPointer(start: data, count: count)
  let file = FileBytes(name: "input", embedded: bytes)
  guard let (pickle, end) = try? PickleReader.read(ByteView(file)) else { return 0 }
  // What is promised of a pickle that was read: every number leads to something.
  check(end <= count)
  for container in pickle.containers {
    for value in container.elements {
      switch value {
      case .container(let index): check(pickle.containers.indices.contains(index))
      case .storage(let index): check(pickle.storages.indices.contains(index))
      case .tensor(let index): check(pickle.tensors.indices.contains(index))
      default: break
      }
    }
  }
  for tensor in pickle.tensors { check(pickle.storages.indices.contains(tensor.storage)) }
  _ = pickle.members(pickle.root)
  return 0
}

private func check(_ holds: Bool) {
  if !holds { fatalError("a promise is broken") }
}
