import Foundation
import Glibc
import TestSupport
import Testing

/// A system that fails: the run says so, nothing that was written is lost, and the same command goes on.
@Suite struct LabelFaultTests {
    let bundle: String
    let scratch: TemporaryFolder
    let arguments: [String]
    let whole: [UInt8]

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
        try scratch.writeInputList("list", count: 60)
        arguments = ["label", "-q", "--bundle", bundle, "--files-from", "list"]
        whole = try runMergeVit(arguments, folder: scratch.url).standardOutput
    }

    /// The shim that lets system calls fail, built once; nil where there is no compiler.
    static let shim: String? = {
        let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Faults/faults.c"
        guard let folder = try? SharedFolder.path("faults") else { return nil }
        let compiler = ["clang", "-shared", "-fPIC", "-O1", "-Wall", "-o", folder + ".so", source, "-ldl"]
        return (try? runProgram("/usr/bin/env", compiler))?.exitCode == 0 ? folder + ".so" : nil
    }()

    /// Runs the command with one system call failing.
    func run(
        _ more: [String] = [], call: String, path: String, after: Int = 0, error: Int32
    ) throws -> Finished {
        try runMergeVit(
            arguments + ["-o", "out.csv"] + more, folder: scratch.url,
            environment: [
                "LD_PRELOAD": try #require(Self.shim), "FAULT_CALL": call, "FAULT_PATH": path,
                "FAULT_AFTER": "\(after)", "FAULT_ERRNO": "\(error)",
            ])
    }

    func goesOn() throws {
        let last = try runMergeVit(arguments + ["-o", "out.csv"], folder: scratch.url)
        #expect(last.exitCode == 1, "\(last.errors)")
        #expect(last.errors.hasPrefix("mergevit: error: 6 of 60 inputs have no label"), "\(last.errors)")
        #expect(last.errors.split(separator: "\n").count == 1, "\(last.errors)")
        #expect(try scratch.read("out.csv") == whole)
        #expect(try scratch.entries() == [".out.csv.reuse", "list", "out.csv"])
    }

    @Test(
        .enabled(if: shim != nil),
        arguments: [("write", 700), ("write", 1999), ("write", 3000), ("fsync", 0), ("rename", 0)], [ENOSPC, EIO])
    func aFailingDiskLosesNothing(_ fault: (call: String, after: Int), _ error: Int32) throws {
        let run = try run(call: fault.call, path: ".out.csv.partial", after: fault.after, error: error)
        #expect(run.exitCode == 3)
        #expect(run.errors == "mergevit: error: cannot write out.csv: \(String(cString: strerror(error)))\n")
        // What is on the disk, unless no input has its row, is the beginning of what will be.
        if let rows = try? scratch.read(".out.csv.partial") { #expect(whole.starts(with: rows)) }
        try goesOn()
    }

    @Test(.enabled(if: shim != nil), arguments: [0, 100])
    func aJournalThatCannotBeWrittenIsAnError(_ after: Int) throws {
        let run = try run(call: "write", path: ".out.csv.journal", after: after, error: ENOSPC)
        #expect(run.exitCode == 3)
        #expect(run.errors == "mergevit: error: cannot write out.csv: No space left on device\n")
        try goesOn()
    }

    @Test(.enabled(if: shim != nil)) func aFileThatHangsIsGivenUp() throws {
        try scratch.copy(Samples.image("signs/stop.png"), to: "hangs.png")
        try scratch.copy(Samples.image("signs/stop.png"), to: "well.png")
        try scratch.write("list", "well.png\nhangs.png\nwell.png\nhangs.png\nhangs.png\nwell.png\n")
        let run = try run(["--timeout", "1", "--threads", "2"], call: "read", path: "hangs.png", error: 0)
        #expect(run.exitCode == 1)
        let status = table(try scratch.read("out.csv")).compactMap { $0["status"] }
        let hung = "error: reading the file took too long: no byte in 1 s"
        #expect(status == ["ok", hung, "ok", hung, hung, "ok"])
    }

    @Test(.enabled(if: shim != nil)) func aDiskThatFailsToReadIsTheFilesRow() throws {
        try scratch.copy(Samples.image("signs/stop.png"), to: "bad.png")
        try scratch.write("list", Array("bad.png\n\(Samples.image("signs/stop.png"))\n".utf8))
        _ = try run(call: "read", path: "bad.png", error: EIO)
        let status = table(try scratch.read("out.csv")).compactMap { $0["status"] }
        #expect(status == ["error: Input/output error", "ok"])
    }

    /// Whether the command can run with few addresses; sanitizers take terabytes of them.
    static let runsInFewAddresses = dlsym(nil, "__asan_init") == nil && dlsym(nil, "__tsan_init") == nil

    /// What a shell makes of the command under a limit.
    func limited(_ limit: String, _ more: [String] = []) throws -> Finished {
        let command = [try mergeVitBinary()] + arguments + ["-o", "out.csv"] + more
        return try runProgram("/bin/sh", ["-c", "\(limit); exec \"$@\"", "sh"] + command, folder: scratch.url)
    }

    /// A chunk of EXIF data that turns a picture on its side (orientation 6).
    private static let exif: [UInt8] = [
        0x00, 0x00, 0x00, 0x1A, 0x65, 0x58, 0x49, 0x66, 0x49, 0x49, 0x2A, 0x00, 0x08, 0x00, 0x00, 0x00, 0x01, 0x00,
        0x12, 0x01, 0x03, 0x00, 0x01, 0x00, 0x00, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0xB7, 0x48, 0x11, 0x29,
    ]

    /// Rows are resized as they come, so that a picture of 300 MB needs none of them.
    @Test(.enabled(if: runsInFewAddresses)) func anImageIsNotHeldWhole() throws {
        try scratch.write("list", Array("\(Samples.testCase("large.png"))\n".utf8))
        let run = try limited("ulimit -v 600000", ["--threads", "1"])
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(table(try scratch.read("out.csv")).compactMap { $0["status"] } == ["ok"])
    }

    /// Nor where EXIF data behind the pixels say which way up they are.
    @Test(.enabled(if: runsInFewAddresses)) func anImageOnItsSideIsNotHeldWhole() throws {
        var file = Array(try Data(contentsOf: URL(fileURLWithPath: Samples.testCase("large.png"))))
        file.insert(contentsOf: Self.exif, at: file.count - 12)
        try scratch.write("large.png", file)
        try scratch.write("list", "large.png\n")
        let run = try limited("ulimit -v 600000", ["--threads", "1"])
        #expect(run.exitCode == 0, "\(run.errors)")
        #expect(table(try scratch.read("out.csv")).compactMap { $0["status"] } == ["ok"])
    }

    @Test(.enabled(if: runsInFewAddresses)) func anImageForWhichThereIsNoMemoryHasItsRow() throws {
        // An interlaced picture has no row that is whole before its last pass: the header says so, with its checksum.
        var file = Array(try Data(contentsOf: URL(fileURLWithPath: Samples.testCase("large.png"))))
        file[28] = 1
        file.replaceSubrange(29..<33, with: [0xE5, 0x32, 0x6F, 0x1C])
        try scratch.write("large.png", file)
        try scratch.write("list", Array("large.png\n\(Samples.image("signs/stop.png"))\n".utf8))
        // The command itself needs up to 350 MB of addresses, the picture 300 MB.
        let run = try limited("ulimit -v 600000", ["--threads", "1"])
        #expect(run.exitCode == 1, "\(run.errors)")
        let status = table(try scratch.read("out.csv")).compactMap { $0["status"] }
        #expect(status == ["error: PNG: no memory for 10000 x 10000 pixels", "ok"])
    }

    @Test(.enabled(if: runsInFewAddresses)) func aModelForWhichThereIsNoMemoryIsAnError() throws {
        for limit in stride(from: 150_000, through: 300_000, by: 25_000) {
            let run = try limited("ulimit -v \(limit)")
            // Some allocations cannot be refused; then the process ends by a signal. It never hangs, and never half a
            // file is left.
            #expect(run.exitCode == 1 || run.exitCode < 0 || !run.errors.isEmpty, "\(limit): \(run.exitCode)")
            if run.exitCode == 1 { #expect(try scratch.read("out.csv") == whole) }
        }
        try goesOn()
    }

    @Test func fewDescriptorsLoseNothing() throws {
        // Besides the standard streams, the pipe of the signals, rows and journal: hardly one is left.
        let run = try limited("ulimit -n 12", ["--threads", "8"])
        #expect(run.exitCode == 1, "\(run.errors)")
        #expect(try scratch.read("out.csv") == whole)
    }
}
