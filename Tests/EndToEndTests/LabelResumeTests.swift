import Foundation
import Glibc
import TestSupport
import Testing

/// Runs of `label` that are killed or stopped go on with the same command, to the same bytes.
@Suite struct LabelResumeTests {
    let bundle: String
    let scratch: TemporaryFolder
    /// What `label` is told.
    let arguments: [String]

    init() throws {
        bundle = try Samples.six()
        scratch = try TemporaryFolder()
        // Enough for a run of a few seconds: a checkpoint comes every second.
        try scratch.writeInputList("list", count: 400)
        arguments = ["label", "--bundle", bundle, "--threads", "1", "--files-from", "list"]
    }

    func start() throws -> ChildProcess {
        try startMergeVit(arguments + ["-q", "-o", "out.csv"], folder: scratch.url)
    }

    /// Starts the run and sends it a signal when it has written so many lines.
    func interrupted(by signal: Int32, after lines: Int = 9) throws -> Finished {
        try start().interrupted(by: signal) {
            ((try? scratch.read(".out.csv.partial")) ?? []).count { $0 == 0x0A } >= lines
        }
    }

    @Test func aKilledRunGoesOnToTheSameBytes() throws {
        let whole = try runMergeVit(arguments + ["-q"], folder: scratch.url)
        #expect(whole.exitCode == 1)
        for _ in 0..<4 {
            let process = try start()
            usleep(UInt32.random(in: 50_000...1_600_000))
            process.send(SIGKILL)
            _ = try process.finish()
        }
        let last = try runMergeVit(arguments + ["-o", "out.csv"], folder: scratch.url)
        #expect(last.exitCode == 1, "the inputs that failed in the runs before count, too")
        #expect(last.errors.contains("labelled 356 of 400 images") && last.errors.contains("; 44 failed"))
        #expect(try scratch.read("out.csv") == whole.standardOutput)
        #expect(try scratch.entries() == [".out.csv.reuse", "list", "out.csv"])
    }

    @Test(arguments: [(SIGINT, 130), (SIGTERM, 143)])
    func aSignalStopsBetweenRows(_ signal: Int32, _ code: Int) throws {
        let run = try interrupted(by: signal)
        #expect(run.exitCode == code)
        let rows = try scratch.read(".out.csv.partial")
        #expect(rows.last == 0x0A)
        let other = try runMergeVit(arguments + ["-o", "out.csv", "--top-k", "2"], folder: scratch.url)
        #expect(other.exitCode == 3 && other.errors.contains("--top-k was 1, now 2; --restart drops it"))
        let last = try runMergeVit(arguments + ["-o", "out.csv"], folder: scratch.url)
        #expect(last.exitCode == 1 && last.errors.hasPrefix("mergevit: resuming after "))
        #expect(Array(try scratch.read("out.csv").prefix(rows.count)) == rows)
    }

    @Test func anotherModelIsRefused() throws {
        _ = try interrupted(by: SIGTERM)
        let other = try Samples.only("corn")
        let run = try runMergeVit(
            ["label", "--bundle", other, "--files-from", "list", "-o", "out.csv"], folder: scratch.url)
        #expect(run.exitCode == 3 && run.errors.contains("model (SHA-256) was "))
        let anew = try runMergeVit(
            ["label", "-q", "--bundle", other, "--files-from", "list", "-o", "out.csv", "--restart"],
            folder: scratch.url)
        #expect(anew.exitCode == 1)
        #expect(try scratch.read("out.csv").starts(with: Array("path,status,corn,corn_score\n".utf8)))
    }
}
