import Foundation
import Tensors
import Testing

@testable import SparseDiT

/// Pickles that no checkpoint has: each is refused with one line, before anything large is made.
@Suite struct HostilePickleTests {
  typealias T = TorchFiles

  struct Hostile: Sendable, CustomTestStringConvertible {
    let what: String
    let pickle: [UInt8]
    let message: String
    var storages: [String: [UInt8]] = [:]
    var testDescription: String { what }

    init(
      _ what: String, _ pickle: [UInt8], _ message: String, _ storages: [String: [UInt8]] = [:]
    ) {
      self.what = what
      self.pickle = pickle
      self.message = message
      self.storages = storages
    }
  }

  /// Sixteen bytes: a storage of four f32.
  static let four = ["0": [UInt8](repeating: 0, count: 16)]

  static func named(_ tensors: (String, [UInt8])...) -> [UInt8] {
    [0x80, 2, 0x7D, 0x28] + tensors.flatMap { T.text($0.0) + $0.1 } + [0x75, 0x2E]
  }

  static func view(offset: Int32 = 0, _ sizes: [Int32], _ strides: [Int32]) -> [UInt8] {
    T.tensor(T.storage("0", count: 4), offset: offset, sizes, strides)
  }

  /// Two by three elements, the rows 2^63 − 1 apart.
  static let farApart = T.tensor(
    T.storage("0", count: 4), [3, 2], steps: [[0x8A, 8] + T.number(Int64.max), T.integer(1)])

  static let calls: [Hostile] = [
    Hostile(
      "a command", T.pickle(T.global("os", "system"), T.tuple(T.text("touch /tmp/x")), [0x52]),
      "asks for os.system, which does not belong into a checkpoint; nothing was run"),
    Hostile(
      "a command in protocol 4",
      [0x80, 4] + T.text("posix") + T.text("system") + [0x93] + T.tuple(T.text("x")) + [
        0x52, 0x2E,
      ],
      "asks for posix.system"),
    Hostile("eval", T.pickle(T.global("builtins", "eval")), "asks for builtins.eval"),
    Hostile("getattr", T.pickle(T.global("__builtin__", "getattr")), "__builtin__.getattr"),
    Hostile(
      "a name that only begins like a known one",
      T.pickle(T.global("torch", "FloatStorage.load")), "asks for torch.FloatStorage.load"),
    Hostile(
      "loading from bytes", T.pickle(T.global("torch.storage", "_load_from_bytes")),
      "asks for torch.storage._load_from_bytes"),
    Hostile(
      "a class of its own", T.pickle(T.global("__main__", "Model"), [0x29, 0x81]),
      "asks for __main__.Model"),
    Hostile(
      "a name with line breaks",
      [0x80, 4] + T.text("o\ns") + T.text("sys\u{1B}tem") + [0x93, 0x2E],
      "asks for o\u{FFFD}s.sys\u{FFFD}tem"),
    Hostile(
      "a long name", T.pickle(T.global(String(repeating: "a", count: 2000), "b")),
      "has a name of more than 1000 bytes"),
    Hostile(
      "a call of text", T.pickle(T.text("os.system"), T.tuple(), [0x52]),
      "calls what is no function of a checkpoint"),
    Hostile("INST", T.pickle([0x28, 0x69] + Array("os\nsystem\n".utf8)), "has the step 105"),
    Hostile("an extension", T.pickle([0x82, 1]), "has the step 130"),
    Hostile("text as identity", T.pickle([0x50] + Array("x\n".utf8)), "has the step 80"),
  ]

  static let damaged: [Hostile] = [
    Hostile("nothing", [], "truncated: 2 bytes"),
    Hostile("protocol 1", [0x80, 1, 0x4E, 0x2E], "is not a pickle of protocol 2 to 5"),
    Hostile("protocol 6", [0x80, 6, 0x4E, 0x2E], "is not a pickle of protocol 2 to 5"),
    Hostile("no end", [0x80, 2, 0x4E], "truncated: 1 bytes"),
    Hostile("an empty stack", T.pickle(), "takes a value that is not there"),
    Hostile("a value too many", T.pickle([0x4E, 0x4E]), "leaves values behind"),
    Hostile("a mark too many", T.pickle([0x4E, 0x28]), "takes a value that is not there"),
    Hostile("no mark", T.pickle([0x74]), "takes a mark that is not there"),
    Hostile("a forgotten value", T.pickle([0x68, 7]), "recalls what it never kept"),
    Hostile("a key alone", T.pickle([0x7D, 0x28, 0x4E, 0x75]), "has a key without a value"),
    Hostile("an item of a list", T.pickle([0x5D, 0x4E, 0x4E, 0x73]), "sets an item of what"),
    Hostile("an element of a number", T.pickle([0x4E, 0x4E, 0x61]), "appends to what is no list"),
    Hostile("attributes of a number", T.pickle([0x4E, 0x7D, 0x62]), "gives attributes to what"),
    Hostile("long text", T.pickle([0x58, 0xFF, 0xFF, 0xFF, 0xFF]), "truncated: 4294967295 bytes"),
    Hostile(
      "text of 2^64 bytes", T.pickle([0x8D] + [UInt8](repeating: 0xFF, count: 8)),
      "damaged: the size 18446744073709551615"),
    Hostile("no dictionary", T.pickle([0x4E]), "holds no dictionary of tensors"),
    Hostile("an empty dictionary", T.pickle([0x7D]), "holds no tensors"),
    Hostile(
      "a parameter of nothing",
      T.pickle(
        T.global("torch._utils", "_rebuild_parameter"), T.tuple([0x4E], [0x89], [0x4E]), [0x52]),
      "has a parameter without a tensor"),
    Hostile(
      "an odd OrderedDict",
      T.pickle(
        T.global("collections", "OrderedDict"), T.tuple([0x28, 0x4E, 0x6C]), [0x52]),
      "has a malformed OrderedDict"),
  ]

  static let tensors: [Hostile] = [
    Hostile(
      "an unknown storage", T.pickle(T.tuple(T.text("module"), T.text("x")), [0x51]),
      "has a storage that is described in an unknown way"),
    Hostile("a missing storage", named(("a", view([4], [1]))), "storage \"0\" is missing"),
    Hostile(
      "a storage cut short", named(("a", view([4], [1]))),
      "storage \"0\" has 15 bytes for 4 elements of F32", ["0": [UInt8](repeating: 0, count: 15)]),
    Hostile(
      "a storage of two types",
      named(
        ("a", view([4], [1])), ("b", T.tensor(T.storage("0", "IntStorage", count: 4), [4], [1]))),
      "describes storage \"0\" twice, and differently", four),
    Hostile(
      "a tensor beyond its storage", named(("a", view([5], [1]))),
      "tensor \"a\": reaches beyond its storage of 4 elements", four),
    Hostile(
      "an offset beyond its storage", named(("a", view(offset: 4, [1], [1]))),
      "tensor \"a\": reaches beyond its storage of 4 elements", four),
    Hostile(
      "a bomb of one element", named(("a", view([65536, 65536], [0, 0]))),
      "tensor \"a\": its elements overlap one another", four),
    Hostile(
      "too many elements", named(("a", view([.max, .max, .max], [0, 0, 0]))),
      "is too large", four),
    Hostile(
      "windows", named(("a", view([3, 2], [1, 1]))), "its elements overlap one another", four),
    Hostile(
      "strides beyond 64 bits", named(("a", farApart)), "reaches beyond its storage", four),
    Hostile("a negative size", named(("a", view([-4], [1]))), "described in an unknown way", four),
    Hostile(
      "a negative stride", named(("a", view([4], [-1]))), "described in an unknown way", four),
    Hostile(
      "a negative offset", named(("a", view(offset: -1, [4], [1]))),
      "described in an unknown way", four),
    Hostile("sizes without strides", named(("a", view([4], []))), "in an unknown way", four),
    Hostile(
      "too many axes",
      named(("a", view([Int32](repeating: 1, count: 17), [Int32](repeating: 1, count: 17)))),
      "described in an unknown way", four),
    Hostile(
      "tensors that overlap", named(("a", view([3], [1])), ("b", view(offset: 1, [3], [1]))),
      "tensors \"a\" and \"b\" overlap", four),
  ]

  @Test(arguments: calls + damaged + tensors) func isRefused(_ hostile: Hostile) throws {
    let bytes = T.checkpoint(hostile.pickle, hostile.storages)
    let error = try error { _ = try T.read(bytes) }
    #expect("\(error)".hasPrefix("file: "), "\(error)")
    #expect("\(error)".contains(hostile.message), "\(error)")
    #expect("\(error)".allSatisfy { !$0.isNewline })
  }

  /// Bombs: depth, doubling, repetition. Each must end at once and take little memory.
  @Test func isBounded() throws {
    let many = PickleReader.maximumSteps
    let nested = [UInt8](repeating: 0x85, count: many / 2)  // tuples in tuples
    #expect(try message(T.pickle([0x4E], nested)).contains("holds no dictionary"))
    // Lists of ten times the list before, which nothing here unfolds.
    var recalled: [UInt8] = []
    for index in 1..<200 as Range<UInt8> {
      recalled += [0x28]
      for _ in 0..<9 { recalled += [0x68, index - 1] }
      recalled += [0x6C, 0x71, index]
    }
    #expect(try message(T.pickle([0x5D, 0x71, 0], recalled)).contains("leaves values"))
    #expect(
      try message(T.pickle([UInt8](repeating: 0x4E, count: many + 1))).contains("steps"))
    #expect(try message(T.pickle([UInt8](repeating: 0x28, count: many + 1))).contains("steps"))
    // One long list that is made a dictionary over and over.
    let pairs = [[UInt8]](repeating: [0x4E, 0x4E, 0x86], count: 2000).flatMap(\.self)
    let calls = [[UInt8]](repeating: [0x68, 1, 0x68, 0, 0x85, 0x52, 0x30], count: 2000)
    let repeated = T.pickle(
      [0x5D, 0x71, 0, 0x28], pairs, [0x65, 0x30], T.global("collections", "OrderedDict"),
      [0x71, 1, 0x30], calls.flatMap(\.self), [0x4E])
    #expect(try message(repeated).contains("steps"))
  }

  /// A list that holds itself, and a dictionary that is its own value.
  @Test func cyclesAreHarmless() throws {
    let list = T.pickle([0x5D, 0x71, 0, 0x68, 0, 0x61])
    #expect(try message(list).contains("holds no dictionary"))
    let dictionary = T.pickle([0x7D, 0x71, 0], T.text("state_dict"), [0x68, 0, 0x73])
    #expect(try message(dictionary).contains("holds no tensors"))
  }

  private func message(_ pickle: [UInt8]) throws -> String {
    "\(try error { _ = try T.read(T.checkpoint(pickle)) })"
  }

  @Test func readsWhatIsRight() throws {
    let tensors = try T.read(
      T.checkpoint(
        Self.named(("b", Self.view(offset: 2, [2], [1])), ("a", Self.view([2, 1], [1, 1]))),
        ["0": [1, 2, 3, 4].flatMap { T.number(Float($0).bitPattern) }]))
    #expect(tensors.map(\.name) == ["a", "b"])
    #expect(try tensors.map { try $0.values() } == [[1, 2], [3, 4]])
    #expect(tensors.map(\.shape) == [[2, 1], [2]])
  }
}
