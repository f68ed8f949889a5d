import Foundation
import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files
@testable import Labelling

@Suite struct RunTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        signal(SIGPIPE, SIG_IGN)
    }

    private func run(
        _ source: InputSource, batchSize: Int = 8, threads: Int = 2, classifier: FakeClassifier = FakeClassifier(),
        preparer: FakePreparer = FakePreparer(), maximumFileBytes: Int = 1 << 20,
        progress: (LabellingProgress) -> Void = { _ in }
    ) throws -> (rows: [UInt8], result: LabellingProgress) {
        let output = try OutputFile.replacing(folder[".result"])
        let rows = try RowWriter(tasks: classifier.tasks, options: RowOptions())
        let result = try LabellingPipeline(
            preparer: preparer, classifier: classifier,
            options: LabellingOptions(batchSize: batchSize, threads: threads, maximumFileBytes: maximumFileBytes)
        ).run(
            source, rows: rows, output: output,
            progress: progress)
        try output.commit()
        return (Array(folder.content(".result")?.utf8 ?? "".utf8), result)
    }

    @Test func oneRowForEveryInputInOrderWhateverTheBatchAndTheThreads() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<12 {
            let tree = "t\(random.next())"
            var expected: [String] = []
            for index in 0..<Int.random(in: 0..<90, using: &random) {
                let name = "\(tree)/\(index % 7)/\(index).png"
                let isGood = Int.random(in: 0..<4, using: &random) > 0
                try folder.write(name, isGood ? "\(index)" : "garbage")
                expected.append(folder[name].description)
            }
            let top = folder[tree]
            if expected.isEmpty { try folder.write("\(tree)/.keep") }
            expected.sort { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) }
            let source = InputSource(paths: [top, folder["gone"]])
            expected.append(folder["gone"].description)
            let reference = try run(source, batchSize: 1, threads: 1).rows
            let rows = try #require(records(reference))
            #expect(rows.dropFirst().map { String(decoding: $0[0], as: UTF8.self) } == expected)
            for _ in 0..<6 {
                let classifier = FakeClassifier()
                let batchSize = Int.random(in: 1...9, using: &random)
                let (rows, result) = try run(
                    source, batchSize: batchSize, threads: Int.random(in: 1...6, using: &random),
                    classifier: classifier, preparer: FakePreparer(yields: Int.random(in: 0...200, using: &random)))
                #expect(rows == reference)
                #expect(result.done == expected.count)
                #expect(result.total == expected.count)
                #expect(classifier.batches.allSatisfy { (1...batchSize).contains($0) })
            }
        }
    }

    @Test func reasonsAreTheRows() throws {
        try folder.write("f/good", "1")
        try folder.write("f/bad", "x,y")
        try folder.write("f/empty", "")
        try folder.write("f/large", String(repeating: "1", count: 101))
        try folder.write("f/nan", "13")
        try folder.fifo("f/pipe")
        try folder.link("f/nowhere", to: "gone")
        try folder.link("f/null", to: "/dev/null")
        let paths = [folder["f"], folder["gone"], folder["f/pipe"], folder["f/good"], BytePath([0x61, 0, 0x62])]
        let (rows, result) = try run(InputSource(paths: paths), maximumFileBytes: 100)
        let text = String(decoding: rows, as: UTF8.self).replacing("\(folder.path)/", with: "")
        #expect(
            text == """
                path,status,a,a_score,b,b_score
                f/bad,"error: not a number, but ""x,y\""",,,,
                f/empty,error: the file is empty,,,,
                f/good,ok,0,0.459694,no,0.880797
                f/large,error: the file is larger than 100 bytes,,,,
                f/nan,error: the model gave a value that is not finite,,,,
                f/nowhere,error: a symbolic link that leads nowhere,,,,
                f/null,error: not a regular file,,,,
                f/pipe,error: not a regular file,,,,
                gone,error: No such file or directory,,,,
                f/pipe,error: not a regular file,,,,
                f/good,ok,0,0.459694,no,0.880797
                a\u{0}b,error: the path holds a NUL byte,,,,

                """)
        #expect(result.done == 12)
        #expect(result.failed == 10)
    }

    @Test func filesThatTellNoSizeAreReadToTheirEnd() throws {
        let (rows, result) = try run(InputSource(paths: [BytePath("/proc/sys/kernel/ngroups_max")]))
        #expect(String(decoding: rows, as: UTF8.self).contains("ngroups_max,ok,"))
        #expect(result.failed == 0)
    }

    @Test func nothingToLabelIsAHeaderAlone() throws {
        let (rows, result) = try run(InputSource(paths: []))
        #expect(String(decoding: rows, as: UTF8.self) == "path,status,a,a_score,b,b_score\n")
        #expect(result.done == 0)
    }

    @Test func batchesAreFullAfterTheFirst() throws {
        for index in 0..<50 { try folder.write("f/\(index)", "\(index)") }
        let classifier = FakeClassifier()
        var told: [Int] = []
        _ = try run(InputSource(paths: [folder["f"]]), batchSize: 7, classifier: classifier) { told.append($0.done) }
        #expect(classifier.batches.reduce(0, +) == 50)
        #expect(classifier.batches.dropFirst().dropLast().allSatisfy { $0 == 7 })
        #expect(told.last == 50)
        #expect(told == told.sorted())
    }

    @Test func aFailingModelEndsTheRun() throws {
        for index in 0..<200 { try folder.write("f/\(index)", "\(index)") }
        for threads in 1...4 {
            let classifier = FakeClassifier()
            classifier.failure = 3
            #expect(throws: LabellingError.model("out of order")) {
                try run(InputSource(paths: [folder["f"]]), batchSize: 3, threads: threads, classifier: classifier)
            }
            #expect(folder.content(".result") == nil)
            #expect(try folder.entries() == ["f"])
        }
    }

    @Test func aBrokenListEndsTheRunAfterTheRowsBeforeIt() throws {
        try folder.write("good", "1")
        let list = BytePath(try folder.write("list", "\(folder["good"])\n" + String(repeating: "x", count: 3 << 20)))
        let classifier = FakeClassifier()
        let error = #expect(throws: FileError.self) {
            try run(
                InputSource(paths: [], list: FileListSource(.file(list), separator: .newline)), classifier: classifier)
        }
        #expect(error?.description.contains("longer than a path") == true)
        #expect(classifier.batches == [1])
    }

    @Test func aClosedOutputStopsEverything() throws {
        for index in 0..<100 { try folder.write("f/\(index)", "\(index)") }
        try folder.fifo("pipe")
        var reader = folder["pipe"].withCString { open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        let output = try OutputFile.replacing(folder["pipe"])
        let classifier = FakeClassifier()
        let rows = try RowWriter(tasks: classifier.tasks, options: RowOptions())
        let source = InputSource(paths: [folder["f"]])
        #expect(throws: OutputError.closed) {
            try LabellingPipeline(
                preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 2, threads: 3)
            ).run(
                source, rows: rows, output: output
            ) { progress in
                // Once: another test may have the number by the next time.
                guard progress.done > 10, reader >= 0 else { return }
                close(reader)
                reader = -1
            }
        }
    }

    @Test func aSilentListDoesNotHoldBackWhatCameBefore() throws {
        for index in 0..<20 { try folder.write("f/\(index)", "\(index)") }
        try folder.fifo("list")
        var feed = folder["list"].withCString { open($0, O_RDWR | O_CLOEXEC) }
        var written = 0
        /// Writes the next three names, or closes the list after the last.
        func more() {
            let names = (written..<min(written + 3, 20)).map { "\(folder["f/\($0)"])\n" }.joined()
            written = min(written + 3, 20)
            if !names.isEmpty {
                _ = write(feed, names, names.utf8.count)
            } else if feed >= 0 {
                close(feed)
                feed = -1
            }
        }
        more()
        let classifier = FakeClassifier()
        // The next names come only after the rows of all that came before; waiting for a full batch would wait forever.
        let (_, result) = try run(
            InputSource(paths: [], list: FileListSource(.file(folder["list"]), separator: .newline)), batchSize: 8,
            classifier: classifier
        ) { progress in
            if progress.done == written { more() }
        }
        #expect(result.done == 20)
    }

    @Test func inputsAreCounted() throws {
        for index in 0..<30 { try folder.write("f/\(index)", "\(index)") }
        let counter = InputCounter(InputSource(paths: [folder["f"], folder["gone"], folder["f/1"]]))
        while counter.total == nil { usleep(1000) }
        #expect(counter.total == 32)
        let pipe = InputSource(paths: [], list: FileListSource(.standardInput, separator: .nul))
        #expect(!pipe.isRepeatable)
    }
}
