/// The steps of a pickle of protocols 2 to 5 that `torch.save` writes: those of CPython's `pickletools`
/// but for text in lines, extensions, classes of protocol 0 and buffers outside the pickle.
///
/// A number in a name is how many bytes its operand's length has.
enum PickleOpcode: UInt8 {
  case mark = 0x28
  case emptyTuple = 0x29
  case stop = 0x2E
  case pop = 0x30
  case popMark = 0x31
  case duplicate = 0x32
  case bytes4 = 0x42
  case bytes1 = 0x43
  case number = 0x47
  case integer = 0x4A
  case integer1 = 0x4B
  case integer2 = 0x4D
  case none = 0x4E
  case persistentID = 0x51
  case reduce = 0x52
  case string4 = 0x54
  case string1 = 0x55
  case text4 = 0x58
  case emptyList = 0x5D
  case append = 0x61
  case build = 0x62
  case global = 0x63
  case dictionary = 0x64
  case appends = 0x65
  case get1 = 0x68
  case get4 = 0x6A
  case list = 0x6C
  case put1 = 0x71
  case put4 = 0x72
  case setItem = 0x73
  case tuple = 0x74
  case setItems = 0x75
  case emptyDictionary = 0x7D
  case newObject = 0x81
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case newTrue = 0x88
  case newFalse = 0x89
  case long1 = 0x8A
  case long4 = 0x8B
  case text1 = 0x8C
  case text8 = 0x8D
  case bytes8 = 0x8E
  case emptySet = 0x8F
  case addItems = 0x90
  case frozenSet = 0x91
  case newObjectWithKeywords = 0x92
  case stackGlobal = 0x93
  case memoize = 0x94
  case frame = 0x95
  case byteArray8 = 0x96
}
