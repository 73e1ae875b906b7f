// Another library in Swift, with the toolchain's shared runtime: the host test loads it first, to
// see that its runtime and the one inside libsparsedit do not mix.

protocol Worker { func work() -> Int }
struct Adder: Worker {
  let numbers: [Int]
  func work() -> Int { numbers.reduce(0, +) }
}

@_cdecl("other_library_work")
public func otherLibraryWork() -> Int32 {
  let workers: [any Worker] = [Adder(numbers: [1, 2, 3]), Adder(numbers: Array(1...8))]
  let names = Dictionary(grouping: workers, by: { "\(type(of: $0))" })
  return names["Adder"].map { Int32($0.reduce(0) { $0 + $1.work() }) } ?? -1
}
