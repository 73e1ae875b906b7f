/// How many tokens the middle of the backbone keeps.
public enum SparsityChoice: Sendable, Hashable {
  /// As the model's configuration says.
  case model
  /// Every token everywhere. A checkpoint trained sparse keeps its structure (Poolingformer,
  /// merges) with as many "sparse" tokens as dense ones, since its weights know no other.
  case dense
  /// These pruning rates. A checkpoint trained dense is run with the paper's layout, without
  /// fine-tuning: a warning says so.
  case rates(min: Double, max: Double)
  /// Rates or grids by timestep, in place of rates and schedule; otherwise as ``rates(min:max:)``.
  case table(TokenTable)
}
