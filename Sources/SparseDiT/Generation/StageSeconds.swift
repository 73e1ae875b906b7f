/// Seconds that the stages took; `denoise` and `decode` are sums over the images.
public struct StageSeconds: Sendable, Hashable {
  /// Loading the model, once per pipeline.
  public var load = 0.0
  public var text = 0.0
  public var denoise = 0.0
  public var decode = 0.0
  /// The whole call, without loading.
  public var total = 0.0

  /// What the stages took since `earlier`; loading is not part of a call.
  func since(_ earlier: StageSeconds) -> StageSeconds {
    StageSeconds(
      load: load, text: text - earlier.text, denoise: denoise - earlier.denoise,
      decode: decode - earlier.decode, total: total - earlier.total)
  }
}

/// Measures what the stages of a run take.
struct StageClock {
  private(set) var seconds = StageSeconds()
  private let begin = Machine.seconds
  /// `seconds` when a picture was last finished.
  private var before = StageSeconds()

  init(load: Double) { seconds.load = load }

  /// Since the run began.
  var total: Double { Machine.seconds - begin }

  mutating func add(_ took: Double, to stage: WritableKeyPath<StageSeconds, Double>) {
    seconds[keyPath: stage] += took
  }

  /// What all stages took until now.
  mutating func stop() -> StageSeconds {
    seconds.total = total
    return seconds
  }

  /// What they took since a picture was last finished: the first one bears the text.
  mutating func lap() -> StageSeconds {
    defer { before = seconds }
    return stop().since(before)
  }
}
