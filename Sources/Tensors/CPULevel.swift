import CKernels
import COneDNN

/// What of the CPU's instruction sets is used: what oneDNN found, unless `ONEDNN_MAX_CPU_ISA` holds it
/// to less. The same for the whole process.
///
/// Not a chain: a CPU may have AVX-512 and lack the instructions for small integers (VNNI) that one
/// with nothing but AVX2 has.
package enum CPULevel: String, CaseIterable, Sendable {
  case avx2 = "AVX2"
  case avx2VNNI = "AVX2_VNNI"
  case avx512 = "AVX512_CORE"
  case avx512VNNI = "AVX512_CORE_VNNI"
  case avx512BF16 = "AVX512_CORE_BF16"
  case avx512AMX = "AVX512_CORE_AMX"
  /// Too little to compute with.
  case belowAVX2 = "below AVX2"

  package static let inUse: CPULevel =
    switch dn_effective_level() {
    case dn_avx2: .avx2
    case dn_avx2_vnni: .avx2VNNI
    case dn_avx512: .avx512
    case dn_avx512_vnni: .avx512VNNI
    case dn_avx512_bf16: .avx512BF16
    case dn_avx512_amx: .avx512AMX
    default: .belowAVX2
    }

  /// Whether bf16 products are at least as fast as f32 ones.
  package var hasBF16: Bool { self == .avx512BF16 || self == .avx512AMX }

  /// Whether oneDNN multiplies bf16 matrices at all, be it slowly.
  package var multipliesBF16: Bool { kernels == ck_avx512 }

  /// The level of our own kernels.
  var kernels: ck_level {
    switch self {
    case .belowAVX2: ck_baseline
    case .avx2, .avx2VNNI: ck_level(min(ck_avx2.rawValue, ck_best_level().rawValue))
    case .avx512, .avx512VNNI, .avx512BF16, .avx512AMX: ck_best_level()
    }
  }
}
