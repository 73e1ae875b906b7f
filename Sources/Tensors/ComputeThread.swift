import CKernels
import COneDNN
import Glibc

/// The thread that runs everything heavy of one pipeline.
///
/// It has a stack of known size and the default floating-point mode, so that a host's rounding, OpenMP
/// settings and small stacks do not matter. It blocks all signals: the host's handlers run on the
/// host's threads.
package final class ComputeThread: Sendable {
  private let mailbox = Mailbox()
  private let thread: pthread_t

  private static let stackBytes = 8 << 20

  /// - Throws: `outOfMemory` when the system refuses a thread.
  package init() throws(SparseDiTError) {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, Self.stackBytes)
    var all = sigset_t()
    var previous = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &previous)
    defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }

    let argument = Unmanaged.passRetained(mailbox)
    var thread = pthread_t()
    let status = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Mailbox>.fromOpaque(argument).takeRetainedValue().serve()
        return nil
      }, argument.toOpaque())
    if status != 0 { argument.release() }
    guard status == 0, mailbox.hasBegun() else {
      if status == 0 { pthread_join(thread, nil) }
      let reason = String(cString: strerror(status == 0 ? ENOMEM : status))
      throw .outOfMemory("cannot start a compute thread: \(reason)")
    }
    self.thread = thread
  }

  deinit {
    mailbox.stop()
    // The last reference may be dropped by work that runs on the thread itself.
    if pthread_equal(thread, pthread_self()) != 0 {
      pthread_detach(thread)
    } else {
      pthread_join(thread, nil)
    }
  }

  /// Runs `body` on the compute thread; the caller waits and serves ``callBack(_:)``.
  ///
  /// Callers take turns. That is seen to before they come here.
  ///
  /// - Throws: what `body` throws; `internalFailure` when another call is under way nevertheless.
  package func sync<R>(_ body: () throws(SparseDiTError) -> R) throws(SparseDiTError) -> R {
    var result: Result<R, SparseDiTError>?
    let accepted = withoutActuallyEscaping(
      {
        do throws(SparseDiTError) {
          result = .success(try body())
        } catch {
          result = .failure(error)
        }
      }, do: { mailbox.run($0) })
    guard accepted, let result else {
      throw .internalFailure("the compute thread is in use by another call")
    }
    return try result.get()
  }

  /// How many CPUs the calling thread may run on, in ``Compute/threadCounts``.
  package static var usableCPUs: Int { Int(dn_usable_cpus()) }

  /// Called on the compute thread inside ``sync(_:)``: runs `body` on the thread that waits in
  /// `sync`, and returns when it has finished.
  package func callBack(_ body: () -> Void) {
    withoutActuallyEscaping(body) { mailbox.callBack($0) }
  }
}

/// Where the calling thread and the compute thread hand each other work.
private final class Mailbox: @unchecked Sendable {
  // Unchecked: every stored property below is only touched while `mutex` is held.
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var occupied = false
  private var job: (() -> Void)?
  private var finished = false
  private var callback: (() -> Void)?
  private var stopping = false
  /// Whether the compute thread can work; nil until it has found out.
  private var begun: Bool?

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(mutex)
    changed.deallocate()
    mutex.deallocate()
  }

  /// Caller's side. False when a job is already under way.
  func run(_ body: @escaping () -> Void) -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    guard !occupied else { return false }
    occupied = true
    finished = false
    job = body
    pthread_cond_broadcast(changed)
    while !finished {
      if let work = callback {
        pthread_mutex_unlock(mutex)
        work()
        pthread_mutex_lock(mutex)
        callback = nil
        pthread_cond_broadcast(changed)
      } else {
        pthread_cond_wait(changed, mutex)
      }
    }
    occupied = false
    return true
  }

  /// Compute thread's side, inside a job.
  func callBack(_ body: @escaping () -> Void) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    callback = body
    pthread_cond_broadcast(changed)
    while callback != nil { pthread_cond_wait(changed, mutex) }
  }

  /// Caller's side. False when there is not enough memory for the thread, which then ends.
  func hasBegun() -> Bool {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while begun == nil { pthread_cond_wait(changed, mutex) }
    return begun == true
  }

  /// The compute thread's whole life.
  func serve() {
    ck_name_thread("sparsedit")
    ck_default_floating_point()
    let canWork = dn_begin_thread()
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    begun = canWork
    pthread_cond_broadcast(changed)
    guard canWork else { return }
    while true {
      if let work = job {
        job = nil
        pthread_mutex_unlock(mutex)
        work()
        pthread_mutex_lock(mutex)
        finished = true
        pthread_cond_broadcast(changed)
      } else if stopping {
        return
      } else {
        pthread_cond_wait(changed, mutex)
      }
    }
  }

  func stop() {
    pthread_mutex_lock(mutex)
    stopping = true
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(mutex)
  }
}
