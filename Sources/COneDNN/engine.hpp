// What linear.cpp, attention.cpp and convolution.cpp share.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <set>
#include <string>
#include <vector>

#include "COneDNN.h"

extern "C" int omp_get_max_threads(void);
extern "C" void omp_set_num_threads(int);

namespace sparsedit {

/// While it lives, oneDNN makes primitives for one thread and runs them on the calling thread alone:
/// the work is shared out by blocks, among threads of our own.
class OneThread {
 public:
  OneThread() : previous(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(previous); }
  OneThread(const OneThread &) = delete;

 private:
  int previous;
};

/// An axis cut into `count` blocks of `size`, but for the last one. How depends on the shape and the
/// CPU level only, never on the number of threads: so the bits of a result do not either.
struct Split {
  int64_t count, size, last;

  /// Blocks of about `wanted` or fewer, multiples of `step`; up to twice as large, but no larger than
  /// `most`, where they then are all alike, which takes fewer kernels. Where `most` is less than a step,
  /// so is a block.
  Split(int64_t total, int64_t wanted, int64_t step, int64_t most = INT64_MAX) {
    most = std::max(most, int64_t(1));
    step = std::min(step, most);
    wanted = std::min(wanted, most / step * step);
    int64_t blocks = (total + wanted - 1) / wanted;
    size = std::min(total, ((total + blocks - 1) / blocks + step - 1) / step * step);
    for (int64_t even = size; even <= std::min(2 * size, most); even += step)
      if (total % even == 0) {
        size = even;
        break;
      }
    count = (total + size - 1) / size;
    last = total - (count - 1) * size;
  }
  int64_t at(int64_t block) const { return block == count - 1 ? last : size; }
};

/// All fields of a shape, in any order that is always the same.
using Key = std::array<int64_t, 17>;
Key key(const dn_linear_shape &shape);
Key key(const dn_pack_shape &shape);
Key key(const dn_attention_shape &shape);
Key key(const dn_convolution_shape &shape);

/// What making a primitive may map: oneDNN does not check whether it got the pages for its code, of
/// which it takes 256 KiB for each of a primitive's kernels.
constexpr size_t primitive_bytes = 16 << 20;

/// Primitives by their shape. Emptied when a host asks for ever new shapes.
template <class Primitive>
class Cache {
 public:
  /// The primitive of that shape, made by `make` when there is none yet.
  template <class Make>
  Primitive *get(const Key &key, Make make) {
    auto found = entries.find(key);
    if (found != entries.end()) return found->second.get();
    if (!ck_can_map(primitive_bytes)) throw std::bad_alloc();
    std::unique_ptr<Primitive> made = make();
    if (entries.size() >= 512) entries.clear();
    return (entries[key] = std::move(made)).get();
  }

 private:
  std::map<Key, std::unique_ptr<Primitive>> entries;
};

/// A primitive with its operands' places. Executing it twice at a time needs two of these.
class Operation {
 public:
  Operation() = default;
  Operation(Operation &&) = default;
  Operation &operator=(Operation &&) = default;
  Operation(const Operation &) = delete;
  explicit Operation(dnnl::primitive primitive) : primitive(std::move(primitive)) {}

  /// The same primitive with places of its own.
  Operation copy() const {
    Operation copy{primitive};
    for (size_t i = 0; i < arguments.size(); i++)
      copy.add(arguments[i].arg, memories[i].get_desc(), memories[i].get_engine());
    return copy;
  }

  void add(int argument, const dnnl::memory::desc &desc, const dnnl::engine &engine) {
    memories.emplace_back(desc, engine, static_cast<void *>(nullptr));
    arguments.push_back({argument, memories.back().get()});
  }
  /// Places in the order in which they were added.
  dnnl_status_t set(size_t place, const void *data) {
    return dnnl_memory_set_data_handle(arguments[place].memory, const_cast<void *>(data));
  }
  dnnl_status_t run(const dnnl::stream &stream) const {
    return dnnl_primitive_execute(
      primitive.get(), stream.get(), static_cast<int>(arguments.size()), arguments.data());
  }

 private:
  dnnl::primitive primitive;
  std::vector<dnnl::memory> memories;
  std::vector<dnnl_exec_arg_t> arguments;
};

inline dnnl::memory::data_type data_type(ck_type type) {
  return type == ck_bf16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

inline size_t size_of(ck_type type) { return type == ck_f32 ? 4 : 2; }

/// Additions and multiplications below which a block of work is not worth handing out: some 20 µs.
inline double least_operations(ck_type type) { return type == ck_f32 ? 2.5e6 : 8e6; }

inline size_t round_up(size_t bytes) { return (bytes + 63) & ~size_t(63); }

/// The address of an element.
template <class Pointer>
Pointer advanced(Pointer data, ck_type type, int64_t elements) {
  using Byte = std::conditional_t<
    std::is_const_v<std::remove_pointer_t<Pointer>>, const char *, char *>;
  return static_cast<Byte>(data) + elements * int64_t(size_of(type));
}

/// A primitive for one thread, with operands' places for each thread of a team.
class Operations {
 public:
  /// Scratch memory that one thread's run takes.
  size_t scratch_bytes = 0;

  Operations() = default;
  Operations(Operation operation, size_t scratch_bytes, int32_t threads)
      : scratch_bytes(round_up(scratch_bytes)) {
    for (int32_t i = 1; i < threads; i++) each.push_back(operation.copy());
    each.push_back(std::move(operation));
  }
  Operation &operator[](int32_t thread) { return each[size_t(thread)]; }

 private:
  std::vector<Operation> each;
};

/// The attributes that every primitive here has: scratch memory comes from the caller.
dnnl::primitive_attr attributes(const dnnl::post_ops &operations);
/// Adds `activation`, if it is one, to `operations`.
void append(dnnl::post_ops &operations, dn_activation activation);
dnnl::matmul::primitive_desc matmul_desc(
  const dnnl::engine &engine, const dnnl::memory::desc &a, const dnnl::memory::desc &b,
  const dnnl::memory::desc *bias, const dnnl::memory::desc &c,
  const dnnl::primitive_attr &attributes);

/// Packed weights are made of blocks of so many columns, one after the other, each with so many inputs
/// (or a multiple) next to each other.
constexpr int64_t packed_columns = ck_packed_columns, packed_inputs = ck_packed_inputs;
/// Weights [inputs, columns] as products in bf16 read them, see ck_pack_rows().
dnnl::memory::desc packed_weights(int64_t inputs, int64_t columns);

}  // namespace sparsedit

struct dn_linear;
struct dn_pack;
struct dn_attention;
struct dn_convolution;

struct dn_engine {
  ck_team team;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  sparsedit::Cache<dn_linear> linears;
  sparsedit::Cache<dn_pack> packs;
  sparsedit::Cache<dn_attention> attentions;
  sparsedit::Cache<dn_convolution> convolutions;
  std::string message;
  /// Which kernels primitives were made of, with their shapes.
  std::set<std::string> kernels;
  std::string kernel_list;

  explicit dn_engine(ck_team team);
  ~dn_engine();

  /// How many threads are worth waking for that many additions and multiplications.
  int32_t threads_for(double operations, ck_type type) const {
    double useful = 1 + operations / sparsedit::least_operations(type);
    return useful < team.threads ? int32_t(useful) : team.threads;
  }

  /// Keeps the name of a kernel that a product of sizes [rows, inputs, outputs] was made of.
  void note_kernel(
    const char *what, std::array<int64_t, 3> sizes, ck_type type, const char *implementation
  ) {
    // A host that asks for ever new shapes is not to fill the memory with their names.
    if (kernels.size() >= 4096) kernels.clear();
    kernels.insert(
      std::string(what) + " " + std::to_string(sizes[0]) + "×" + std::to_string(sizes[1]) + "→"
      + std::to_string(sizes[2]) + (type == ck_bf16 ? " bf16: " : " f32: ") + implementation);
  }

  /// Runs what may throw, and keeps what was thrown as the message.
  template <class Body>
  dn_status guarded(const char *what, Body body) noexcept {
    try {
      sparsedit::OneThread one;
      body();
      return dn_ok;
    } catch (const std::bad_alloc &) {
      return fail(what, "out of memory", dn_out_of_memory);
    } catch (const dnnl::error &error) {
      bool memory = error.status == dnnl_out_of_memory;
      return fail(what, error.what(), memory ? dn_out_of_memory : dn_failed);
    } catch (const std::exception &error) {
      return fail(what, error.what(), dn_failed);
    } catch (...) {
      return fail(what, "unknown exception", dn_failed);
    }
  }

 private:
  dn_status fail(const char *what, const char *why, dn_status status) noexcept;
};
