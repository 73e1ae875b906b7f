// What linear.cpp, attention.cpp and convolution.cpp share.
#pragma once
#include <array>
#include <map>
#include <memory>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "COneDNN.h"

extern "C" int omp_get_max_threads(void);
extern "C" void omp_set_num_threads(int);

namespace sparsedit {

/// Sets the OpenMP team size of the calling thread while it lives.
class TeamSize {
 public:
  explicit TeamSize(int threads) : previous(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~TeamSize() { omp_set_num_threads(previous); }
  TeamSize(const TeamSize &) = delete;

 private:
  int previous;
};

/// All fields of a shape, in any order that is always the same.
using Key = std::array<int64_t, 16>;
Key key(const dn_linear_shape &shape);
Key key(const dn_attention_shape &shape);
Key key(const dn_convolution_shape &shape);

/// Primitives by their shape. Emptied when a host asks for ever new shapes.
template <class Primitive>
class Cache {
 public:
  /// The primitive of that shape, made by `make` when there is none yet.
  template <class Make>
  Primitive *get(const Key &key, Make make) {
    auto found = entries.find(key);
    if (found != entries.end()) return found->second.get();
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
  explicit Operation(dnnl::primitive primitive) : primitive(std::move(primitive)) {}

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

inline size_t round_up(size_t bytes) { return (bytes + 63) & ~size_t(63); }

/// The attributes that every primitive here has: scratch memory comes from the caller.
dnnl::primitive_attr attributes(const dnnl::post_ops &operations);
/// Adds `activation`, if it is one, to `operations`.
void append(dnnl::post_ops &operations, dn_activation activation);
dnnl::matmul::primitive_desc matmul_desc(
  const dnnl::engine &engine, const dnnl::memory::desc &a, const dnnl::memory::desc &b,
  const dnnl::memory::desc *bias, const dnnl::memory::desc &c,
  const dnnl::primitive_attr &attributes);

}  // namespace sparsedit

struct dn_linear {
  sparsedit::Operation operation;
  int32_t threads = 1;
  size_t scratch_bytes = 0;
};
struct dn_attention;
struct dn_convolution;

struct dn_engine {
  ck_team team;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  sparsedit::Cache<dn_linear> linears;
  sparsedit::Cache<dn_attention> attentions;
  sparsedit::Cache<dn_convolution> convolutions;
  std::string message;

  explicit dn_engine(ck_team team);
  ~dn_engine();

  /// How many threads are worth waking (and waiting for, on a busy machine) for that many
  /// additions and multiplications: about 20 µs of work for each.
  int32_t threads_for(double operations) const {
    double useful = 1 + operations / 2e6;
    return useful < team.threads ? int32_t(useful) : team.threads;
  }

  /// Runs what may throw with that many threads, and keeps what was thrown as the message.
  template <class Body>
  dn_status guarded(const char *what, int32_t threads, Body body) noexcept {
    try {
      sparsedit::TeamSize size(threads);
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
