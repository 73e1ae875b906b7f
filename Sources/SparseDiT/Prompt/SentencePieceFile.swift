import Tensors

/// `spiece.model`: a protobuf message; the field numbers are those of sentencepiece_model.proto.
extension SentencePieceModel {
  private static let unigram: UInt64 = 1
  private static let maximumBytes = 1 << 26

  /// - Throws: `invalidData` when the bytes are not a SentencePiece model or it is damaged,
  ///   `unsupported` when it is one of another kind than unigram.
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
    try check(name: file.name)
  }

  private init() {}

  private mutating func readModel(_ file: FileBytes) throws {
    var reader = ProtobufReader(file.bytes)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let piece)): try readPiece(piece, file.name)
      case (2, .bytes(let trainer)): try readTrainer(trainer, file.name)
      case (3, .bytes(let normalizer)): try readNormalizer(normalizer)
      case (1...3, _): throw ProtobufReader.Malformed()
      default: break
      }
    }
  }

  private mutating func readPiece(_ message: UnsafeRawBufferPointer, _ name: String) throws {
    // Before more of them take memory; the rest is checked with all that was read.
    guard pieces.count < Self.maximumPieces else {
      throw SparseDiTError.invalidData("\(name): has more than \(Self.maximumPieces) pieces")
    }
    var piece = Piece(text: "")
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (1, .bytes(let bytes)): piece.text = String(validating: bytes, as: UTF8.self) ?? ""
      case (2, .fixed32(let bits)): piece.score = Float(bitPattern: bits)
      case (3, .varint(let value)):
        guard let kind = Kind(rawValue: value) else {
          throw SparseDiTError.invalidData("\(name): piece \(pieces.count) has the type \(value)")
        }
        piece.kind = kind
      case (1...3, _): throw ProtobufReader.Malformed()
      default: break
      }
    }
    pieces.append(piece)
  }

  private mutating func readTrainer(_ message: UnsafeRawBufferPointer, _ name: String) throws {
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (3, .varint(let type)):
        guard type == Self.unigram else {
          throw SparseDiTError.unsupported(
            "\(name): model type \(type) is not supported (only unigram, \(Self.unigram))")
        }
      case (24, .varint(let value)): treatsWhitespaceAsSuffix = value != 0
      case (35, .varint(let value)): fallsBackToBytes = value != 0
      case (3, _), (24, _), (35, _): throw ProtobufReader.Malformed()
      default: break
      }
    }
  }

  private mutating func readNormalizer(_ message: UnsafeRawBufferPointer) throws {
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      switch (field.number, field.value) {
      case (2, .bytes(let map)): normalizer.characterMap = Array(map)
      case (3, .varint(let value)): normalizer.addsDummyPrefix = value != 0
      case (4, .varint(let value)): normalizer.removesExtraWhitespaces = value != 0
      case (5, .varint(let value)): normalizer.escapesWhitespaces = value != 0
      case (2...5, _): throw ProtobufReader.Malformed()
      default: break
      }
    }
  }

  /// The model as a file: these fields and no others.
  func serialized() -> [UInt8] {
    var model = ProtobufWriter()
    for piece in pieces {
      var message = ProtobufWriter()
      message.delimited(1, piece.text.utf8)
      message.fixed32(2, piece.score.bitPattern)
      message.varint(3, piece.kind.rawValue)
      model.delimited(1, message.bytes)
    }
    var trainer = ProtobufWriter()
    trainer.varint(3, Self.unigram)
    trainer.varint(24, treatsWhitespaceAsSuffix ? 1 : 0)
    trainer.varint(35, fallsBackToBytes ? 1 : 0)
    model.delimited(2, trainer.bytes)
    var normalization = ProtobufWriter()
    normalization.delimited(2, normalizer.characterMap)
    normalization.varint(3, normalizer.addsDummyPrefix ? 1 : 0)
    normalization.varint(4, normalizer.removesExtraWhitespaces ? 1 : 0)
    normalization.varint(5, normalizer.escapesWhitespaces ? 1 : 0)
    model.delimited(3, normalization.bytes)
    return model.bytes
  }
}
