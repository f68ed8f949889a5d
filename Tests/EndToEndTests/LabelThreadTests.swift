import Foundation
import TestSupport
import Testing

/// How many threads a run starts unless `--threads` says otherwise.
@Suite struct LabelThreadTests {
    private static let taskset = "/usr/bin/taskset"

    /// The threads of a run of `label` that waits for its list of inputs.
    private func threads(_ arguments: [String]) throws -> Int {
        let process = try ChildProcess(
            Self.taskset,
            (["-c", "0", mergeVitBinary(), "label", "--bundle", try Samples.six(), "--files-from", "-"] + arguments)
                .map { Array($0.utf8) }, keepsInputOpen: true)
        defer { process.send(SIGKILL) }
        var (count, steady) = (0, 0)
        while steady < 10, process.isRunning {
            let found = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process.identifier)/task").count)
            steady = found == count ? steady + 1 : 0
            count = found ?? 0
            usleep(50_000)
        }
        return count
    }

    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: taskset)))
    func theDefaultIsTheProcessorsOfTheProcess() throws {
        let (one, two) = (try threads(["--threads", "1"]), try threads(["--threads", "2"]))
        #expect(one > 0 && two > one)
        #expect(try threads([]) == one)
    }
}
