import Tensors
import Testing

@testable import SparseDiT

@Suite struct GateTests {
  @Test func letsOneCallInAtATime() throws {
    let gate = Gate("sampler")
    #expect(!gate.cancel())
    try gate.enter(Cancellation())
    let refused = #expect(throws: SparseDiTError.self) { try gate.enter(Cancellation()) }
    #expect(refused == .busy("another call on this sampler is running"))
    #expect(!gate.leave())
    #expect(throws: Never.self) { try gate.enter(Cancellation()) }
  }

  @Test func cancelsTheCallThatIsInsideAndNoOther() throws {
    let gate = Gate("pipeline")
    let (first, second) = (Cancellation(), Cancellation())
    try gate.enter(first)
    #expect(gate.cancel() && first.isCancelled)
    #expect(throws: SparseDiTError.cancelled) { try first.check() }
    #expect(gate.leave())
    try gate.enter(second)
    #expect(!second.isCancelled && !gate.leave())
  }
}
