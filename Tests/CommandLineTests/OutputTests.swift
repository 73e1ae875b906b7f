import Foundation
import Testing

@Suite("Outputs that cannot be written, and interruptions, leave nothing behind")
struct OutputTests {
  @Test(
    "known before drawing: the model is not even loaded",
    arguments: [
      ("none/a.jpg", ["folder does not exist"]), ("none/new/", ["folder does not exist"]),
      ("file/", ["not a folder"]), ("file/a.jpg", ["not a folder"]),
      ("/proc/a.jpg", ["/proc/a.jpg"]), ("", ["empty"]),
      (String(repeating: "n", count: 300) + ".jpg", ["too long"]),
    ] as [(String, [String])])
  func unwritable(path: String, words: [String]) throws {
    try withTool { tool in
      try tool.write("", to: "file")
      try expectRefusal(tool, ["a", "-m", "/nowhere", "-o", path], code: 73, words: words)
    }
  }

  @Test(
    "a folder without permission to write",
    .enabled(if: geteuid() != 0, "the superuser may write anywhere"))
  func readOnly() throws {
    try withTool { tool in
      let folder = tool.folder.appending(path: "locked")
      try FileManager.default.createDirectory(
        at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o555])
      try expectRefusal(
        tool, ["a", "-m", "/nowhere", "-o", "locked/a.jpg"], code: 73,
        words: ["locked/a.jpg", "permission"])
    }
  }

  @Test("a full disk, as a file size limit and as /dev/full")
  func diskFull() throws {
    try withTool { tool in
      let small = Tool.small.joined(separator: " ")
      // No byte may be written to a file; standard error goes to a pipe and is read from there.
      let limited = try tool.shell(
        "(ulimit -f 0; \"$TOOL\" a -o a.jpg --quiet \(small) 2>&1 >/dev/null; echo $?) | cat >&2")
      #expect(limited.errors.contains("a.jpg: cannot be written"), "\(limited.errors)")
      #expect(limited.errors.hasSuffix("73\n"))
      #expect(try tool.files.isEmpty)
      try expectRefusal(
        tool, ["a", "-o", "/dev/full"] + Tool.small, code: 73, words: ["/dev/full", "no space"])
    }
  }

  @Test("a reader that went away")
  func closedPipe() throws {
    try withTool { tool in
      let outcome = try tool.shell(
        "\"$TOOL\" a -o - --quiet \(Tool.small.joined(separator: " ")) | true; echo ${PIPESTATUS[0]}"
      )
      #expect(outcome.text == "73\n")
      #expect(outcome.errors.contains("standard output"))
    }
  }

  @Test("the old picture survives a failed replacement")
  func oldSurvives() throws {
    try withTool { tool in
      try tool.write("old", to: "a.jpg")
      _ = try tool.shell(
        "(ulimit -f 0; \"$TOOL\" a -o a.jpg \(Tool.small.joined(separator: " ")) >/dev/null 2>&1)")
      #expect(try tool.data("a.jpg") == Data("old".utf8))
      #expect(try tool.files == ["a.jpg"])
    }
  }

  @Test("a folder is made for the first picture, and not for a run that draws none")
  func newFolder() throws {
    try withTool { tool in
      try expectRefusal(
        tool, ["a", "-m", "/nowhere", "-o", "drawn/"], code: 66, words: ["/nowhere"])
      let outcome = try tool.run(["a", "-o", "drawn/", "-c", "2"] + Tool.small)
      #expect(outcome.code == 0, "\(outcome.errors)")
      let drawn = try FileManager.default.contentsOfDirectory(
        atPath: tool.folder.appending(path: "drawn").path)
      #expect(drawn.sorted() == ["image-0001.jpg", "image-0002.jpg"])
    }
  }

  @Test("a link stays; what it leads to is replaced, or made")
  func links() throws {
    try withTool { tool in
      let there = tool.folder.appending(path: "there")
      try FileManager.default.createDirectory(at: there, withIntermediateDirectories: true)
      try tool.write("old", to: "there/old.jpg")
      for (link, target) in [("old.jpg", "there/old.jpg"), ("new.jpg", "there/new.jpg")] {
        try FileManager.default.createSymbolicLink(
          atPath: tool.folder.appending(path: link).path, withDestinationPath: target)
        #expect(try tool.run(["a", "-o", link] + Tool.small).code == 0)
        let kind = try FileManager.default.attributesOfItem(
          atPath: tool.folder.appending(path: link).path)[.type]
        #expect(kind as? FileAttributeType == .typeSymbolicLink)
        #expect(try tool.data(target).starts(with: [0xff, 0xd8]))
      }
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: there.path).sorted()
          == ["new.jpg", "old.jpg"])
    }
  }

  @Test("a pipe that nobody reads is waited for; the first Ctrl-C ends that")
  func pipeWithoutReader() throws {
    try withTool { tool in
      let path = tool.folder.appending(path: "pipe").path
      #expect(mkfifo(path, 0o600) == 0)
      let running = try tool.start(["a", "-o", "pipe", "--seed", "7"] + Tool.small)
      // Long enough to draw 16×16 pixels in one step, also in a debug build on a busy machine.
      sleep(5)
      #expect(running.process.isRunning)
      kill(running.process.processIdentifier, SIGINT)
      let outcome = try tool.finish(running)
      #expect(outcome.code == 130 && outcome.errors == "sparsedit-t2i: interrupted\n")
      // With a reader the picture arrives.
      let read = try tool.shell(
        "\"$TOOL\" a -o pipe --quiet --seed 7 \(Tool.small.joined(separator: " ")) & cat pipe; wait"
      )
      #expect(
        read.output.starts(with: [0xff, 0xd8]) && read.output.suffix(2) == Data([0xff, 0xd9]))
    }
  }

  @Test("two signals at once are told of once")
  func twoSignals() throws {
    try withTool { tool in
      for attempt in 0..<8 {
        let running = try tool.start(["a", "-s", "900", "-o", "a.jpg", "-m", Tool.model])
        usleep(400_000 + UInt32(attempt) * 20_000)
        for signal in [SIGINT, SIGTERM] {
          kill(running.process.processIdentifier, signal)
          usleep(UInt32(attempt) * 1500)
        }
        let outcome = try tool.finish(running)
        #expect(outcome.code == 130 && outcome.errors == "sparsedit-t2i: interrupted\n")
      }
    }
  }

  @Test("a program that nohup starts goes on when the terminal is closed")
  func nohup() throws {
    try withTool { tool in
      let outcome = try tool.shell(
        """
        trap '' HUP
        "$TOOL" a -o a.jpg --quiet -s 60 -W 64 -H 64 -m '\(Tool.model)' & sleep 0.7; kill -HUP $!
        wait $!
        """)
      #expect(outcome.code == 0, "\(outcome.errors)")
      #expect(try tool.files == ["a.jpg"])
    }
  }

  @Test(
    "Ctrl-C, kill, Ctrl-\\ and a closed terminal at any moment: 130, soon, no file",
    arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
  func interruption(signal: Int32) throws {
    try withTool { tool in
      var generator = SystemRandomNumberGenerator()
      for attempt in 0..<6 {
        let running = try tool.start(
          ["a", "-m", Tool.model, "-s", "900", "-W", "128", "-H", "128", "-o", "a.jpg"])
        // From loading the model to the middle of drawing. Before the program has set up its
        // signals, in the loader, the signal ends it as it ends any program: also 130 to a shell.
        usleep(
          UInt32.random(in: 10_000...(attempt % 2 == 0 ? 200_000 : 1_500_000), using: &generator))
        let sent = ContinuousClock.now
        kill(running.process.processIdentifier, signal)
        let outcome = try tool.finish(running)
        #expect(outcome.code == 130 || outcome.code == -signal, "\(outcome.errors)")
        if outcome.code == 130 { #expect(outcome.errors == "sparsedit-t2i: interrupted\n") }
        // One block of a model this small takes milliseconds; a debug build on a busy machine more.
        #expect(ContinuousClock.now - sent < .seconds(20))
        #expect(try tool.files.isEmpty)
      }
    }
  }

  @Test("a picture that cannot be written ends the run; those before it are told of")
  func laterFailure() throws {
    try withTool { tool in
      let folder = tool.folder.appending(path: "gone")
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      let running = try tool.start(["a", "-c", "5000", "-o", "gone/a.jpg"] + Tool.small)
      try waitFor { try FileManager.default.contentsOfDirectory(atPath: folder.path).count >= 2 }
      try FileManager.default.moveItem(at: folder, to: tool.folder.appending(path: "kept"))
      let outcome = try tool.finish(running)
      #expect(outcome.code == 73)
      #expect(outcome.errors.contains("gone/a-"), "\(outcome.errors)")
      #expect(try tool.files == ["kept"])
      // As many files as were printed, each of them whole.
      let told = outcome.text.split(separator: "\n").count
      #expect(told >= 1 && outcome.text.hasPrefix("gone/a-0001.jpg: seed "))
      let number = String(repeating: "0", count: 4 - String(told).count) + String(told)
      #expect(try tool.data("kept/a-\(number).jpg").suffix(2) == Data([0xff, 0xd9]))
    }
  }

  @Test("pictures that were finished before an interruption stay, and only they")
  func finishedStay() throws {
    try withTool { tool in
      let running = try tool.start(["a", "-c", "5000", "-o", "a.jpg"] + Tool.small)
      try waitFor { try tool.files.filter { $0.hasSuffix(".jpg") }.count >= 2 }
      kill(running.process.processIdentifier, SIGINT)
      #expect(try tool.finish(running).code == 130)
      let files = try tool.files
      #expect(files.count >= 2 && files.count < 5000)
      for file in files {
        #expect(file.hasSuffix(".jpg"), "\(file)")
        #expect(try tool.data(file).suffix(2) == Data([0xff, 0xd9]), "\(file)")
      }
    }
  }

  /// Looks again until it is there; fails after two minutes.
  private func waitFor(_ condition: () throws -> Bool) throws {
    let deadline = ContinuousClock.now + .seconds(120)
    while try !condition(), ContinuousClock.now < deadline { usleep(20_000) }
  }
}
