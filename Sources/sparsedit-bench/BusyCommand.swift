import ArgumentParser
import Glibc
import SparseDiT
import Tensors

struct BusyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "busy",
    abstract: "A picture's time alone and beside one and two busy processes.",
    discussion: """
      Prints a table in Markdown: seconds alone, and how many times longer it takes beside others; \
      the median of --runs pictures after one that warms up, in turns, so that a machine whose speed \
      drifts favours none. Also the processor time of a handle that idles for ten seconds.
      """)

  @Option(help: "A model folder; the model inside where none is given.")
  var model: String?

  @Option(help: "Numbers of threads.")
  var threads = "1,2,4"

  @Option(name: .shortAndLong, help: "Pictures of each kind; the median counts.")
  var runs = 7

  @Option(help: "f32 or bf16; by default what the CPU is fast at.")
  var precision: Precision?

  func run() throws {
    let counts = threads.split(separator: ",").compactMap { Int($0) }
    guard runs > 0, !counts.isEmpty else {
      throw ValidationError("--runs and --threads must be numbers of at least 1")
    }
    print("| threads | alone, s | beside 1 | beside 2 | idle for 10 s, ms of CPU |")
    print("|---:|---:|---:|---:|---:|")
    for count in counts { print(try row(threads: count)) }
  }

  private func row(threads: Int) throws -> String {
    let pipeline = try Pipeline(
      model: try model.map(ModelFolder.init(directory:)) ?? .builtIn(),
      options: PipelineOptions(precision: precision, threads: threads))
    let request = GenerationRequest(prompt: "a red house under a full moon", seed: 11)
    _ = try pipeline.generate(request)
    var seconds: [[Double]] = [[], [], []]
    for _ in 0..<runs {
      for others in 0...2 {
        let busy = try BusyProcesses(others)
        defer { busy.end() }
        let start = ContinuousClock.now
        _ = try pipeline.generate(request)
        seconds[others].append((ContinuousClock.now - start) / .seconds(1))
      }
    }
    let medians = seconds.map { $0.sorted()[runs / 2] }
    let idle = idleMilliseconds()
    withExtendedLifetime(pipeline) {}
    return "| \(threads) | \(rounded(medians[0], 3)) | \(rounded(medians[1] / medians[0], 2)) |"
      + " \(rounded(medians[2] / medians[0], 2)) | \(rounded(idle, 2)) |"
  }

  /// Processor time that the process uses in ten seconds of sleep.
  private func idleMilliseconds() -> Double {
    func used() -> Double {
      var time = timespec()
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
      return Double(time.tv_sec) * 1e3 + Double(time.tv_nsec) / 1e6
    }
    // Let the last operation's threads fall asleep first.
    usleep(10_000)
    let before = used()
    sleep(10)
    return used() - before
  }

  private func rounded(_ value: Double, _ digits: Int) -> Double {
    let unit = pow(10, Double(digits))
    return (value * unit).rounded() / unit
  }
}

/// Processes that do nothing but compute.
private struct BusyProcesses {
  private var processes: [pid_t] = []

  init(_ count: Int) throws {
    for _ in 0..<count {
      var process = pid_t()
      var arguments: [UnsafeMutablePointer<CChar>?] =
        (["sh", "-c", "while :; do :; done"] as [String]).map { strdup($0) } + [nil]
      let status = posix_spawn(&process, "/bin/sh", nil, nil, &arguments, environ)
      for argument in arguments { free(argument) }
      guard status == 0 else {
        end()
        throw ValidationError("cannot start a busy process: \(String(cString: strerror(status)))")
      }
      processes.append(process)
    }
    // Long enough to be running.
    if count > 0 { usleep(50_000) }
  }

  func end() {
    for process in processes {
      kill(process, SIGKILL)
      waitpid(process, nil, 0)
    }
  }
}
