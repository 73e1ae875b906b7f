import Tensors

/// What a SentencePiece model file (`spiece.model`) says: its pieces and its character map.
///
/// The file is a protobuf message; the field numbers are those of sentencepiece_model.proto.
struct SentencePieceModel {
  /// Kinds of pieces that matter here; the others are matched like normal ones.
  private enum Kind { static let control: UInt64 = 3, userDefined: UInt64 = 4 }

  /// Text of each piece; its place is its id.
  private(set) var pieces: [String] = []
  /// Log probability of each piece.
  private(set) var scores: [Float] = []
  /// Ids of pieces that are cut out of the text before anything else happens to it.
  private(set) var verbatimIDs: [Int] = []
  /// The precompiled character map; empty when the model does not normalise.
  private(set) var characterMap: [UInt8] = []

  private static let unigram: UInt64 = 1
  /// Longer than the pieces of any trained model; bounds the time to encode a caption.
  private static let maximumPieceBytes = 512
  private static let maximumPieces = 1 << 21
  private static let maximumBytes = 1 << 26

  /// - Throws: `invalidData` when the bytes are not a SentencePiece model, `unsupported` when it is
  ///   one of another kind than unigram.
  init(_ file: FileBytes) throws(SparseDiTError) {
    guard file.count <= Self.maximumBytes else {
      throw .invalidData(
        "\(file.name): \(file.count) bytes are too many for a SentencePiece model "
          + "(at most \(Self.maximumBytes))")
    }
    do {
      try readModel(file)
    } catch let error as SparseDiTError {
      throw error
    } catch {
      throw .invalidData("\(file.name): is not a SentencePiece model")
    }
    guard !pieces.isEmpty else {
      throw .invalidData("\(file.name): is not a SentencePiece model (it has no pieces)")
    }
  }

  private mutating func readModel(_ file: FileBytes) throws {
    var reader = ProtobufReader(file.bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let piece)): try readPiece(piece, file.name)
      case (2, .bytes(let trainer)): try checkTrainer(trainer, file.name)
      case (3, .bytes(let normalizer)): try readNormalizer(normalizer)
      case (1...3, _): throw ProtobufReader.Malformed()
      default: break
      }
    }
  }

  private mutating func readPiece(_ message: UnsafeRawBufferPointer, _ name: String) throws {
    let id = pieces.count
    var text: String?
    var score: Float = 0
    var kind: UInt64 = 1
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let bytes)):
        guard bytes.count <= Self.maximumPieceBytes else {
          throw SparseDiTError.invalidData(
            "\(name): piece \(id) has \(bytes.count) bytes (at most \(Self.maximumPieceBytes))")
        }
        text = String(validating: bytes, as: UTF8.self)
      case (2, .fixed32(let bits)): score = Float(bitPattern: bits)
      case (3, .varint(let value)): kind = value
      case (1...3, _): throw ProtobufReader.Malformed()
      default: break
      }
    }
    guard let text, !text.isEmpty else {
      throw SparseDiTError.invalidData("\(name): piece \(id) has no text that is valid UTF-8")
    }
    guard score.isFinite else {
      throw SparseDiTError.invalidData("\(name): piece \(id) has the score \(score)")
    }
    guard id < Self.maximumPieces else {
      throw SparseDiTError.invalidData("\(name): has more than \(Self.maximumPieces) pieces")
    }
    pieces.append(text)
    scores.append(score)
    if kind == Kind.control || kind == Kind.userDefined { verbatimIDs.append(id) }
  }

  private func checkTrainer(_ message: UnsafeRawBufferPointer, _ name: String) throws {
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      guard field.number == 3, case .varint(let type) = field.value else { continue }
      guard type == Self.unigram else {
        throw SparseDiTError.unsupported(
          "\(name): model type \(type) is not supported (only unigram, \(Self.unigram))")
      }
    }
  }

  private mutating func readNormalizer(_ message: UnsafeRawBufferPointer) throws {
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      guard field.number == 2, case .bytes(let map) = field.value else { continue }
      characterMap = Array(map)
    }
  }
}
