import Foundation
import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files
@testable import Labelling

/// Runs that are stopped, killed or cut short go on to the bytes of a run that was not.
@Suite struct ResumeTests {
    let folder: TemporaryFolder
    let source: InputSource
    /// What a run that is not stopped writes.
    let whole: String

    init() throws {
        folder = try TemporaryFolder()
        for index in 0..<40 { try folder.write("f/\(index)", index % 6 == 5 ? "bad" : "\(index)") }
        source = InputSource(paths: [folder["f"], folder["gone"]])
        let output = try OutputFile.replacing(folder["whole.csv"])
        let classifier = FakeClassifier()
        _ = try LabellingPipeline(
            preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 4, threads: 2)
        ).run(source, rows: RowWriter(tasks: classifier.tasks, options: RowOptions()), output: output)
        try output.commit()
        whole = try #require(folder.content("whole.csv"))
    }

    struct Outcome {
        let beginning: ResumableFile.Beginning
        let result: LabellingProgress
    }

    /// One run, which stops after the given number of batches.
    @discardableResult
    func run(
        _ source: InputSource? = nil, batches: Int = .max, settings: JSONObject = ["a": .int(1)], restart: Bool = false,
        options: RowOptions = RowOptions(), name: String = "out.csv"
    ) throws -> Outcome {
        let file = try #require(try ResumableFile.open(folder[name], sync: .never))
        let beginning = try file.begin(settings, restart: restart)
        let classifier = FakeClassifier()
        var done = 0
        let result = try LabellingPipeline(
            preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 4, threads: 2)
        ).run(
            source ?? self.source, rows: RowWriter(tasks: classifier.tasks, options: options), output: file,
            progress: { _ in done += 1 },
            isStopped: { done >= batches })
        if result.isStopped { file.leave() } else { try file.commit() }
        return Outcome(beginning: beginning, result: result)
    }

    func bytes(_ name: String) throws -> [UInt8] { try #require(folder.content(name).map { Array($0.utf8) }) }

    @Test func aRunThatIsStoppedGoesOn() throws {
        var runs = 0
        while true {
            let outcome = try run(batches: 2)
            runs += 1
            guard outcome.result.isStopped else { break }
            #expect(folder.content("out.csv") == nil)
            let partial = try #require(folder.content(".out.csv.partial"))
            #expect(whole.hasPrefix(partial) && partial.hasSuffix("\n"))
        }
        #expect(runs > 3)
        #expect(folder.content("out.csv") == whole)
        #expect(try folder.entries() == ["f", "out.csv", "whole.csv"])
    }

    @Test func countsAreThoseOfTheWholeRun() throws {
        let first = try run(batches: 4)
        #expect(first.result.isStopped && first.result.failed > 0 && first.result.resumed == 0)
        let last = try run()
        #expect(last.beginning == .resumes(inputs: first.result.done))
        #expect(last.result.resumed == first.result.done)
        #expect(last.result.done == 41 && last.result.failed == 8 && last.result.total == 41)
    }

    /// What a kill, a full disk or a power failure can leave: either file cut anywhere, or with other bytes.
    @Test func filesCutOrChangedAnywhereGoOn() throws {
        for _ in 0..<4 { try run(batches: 2) }
        let (rows, journal) = (try bytes(".out.csv.partial"), try bytes(".out.csv.journal"))
        func check(_ rows: [UInt8], _ journal: [UInt8], _ what: String) throws {
            try folder.write(Array(".out.csv.partial".utf8), rows)
            try folder.write(Array(".out.csv.journal".utf8), journal)
            let outcome = try run()
            #expect(folder.content("out.csv") == whole, "\(what)")
            #expect(outcome.result.failed == 8 && outcome.result.done == 41, "\(what)")
            #expect(try folder.entries() == ["f", "out.csv", "whole.csv"])
        }
        for length in stride(from: 0, through: rows.count, by: 3) {
            try check(Array(rows[..<length]), journal, "\(length) bytes of rows")
        }
        for length in stride(from: 0, through: journal.count, by: 5) {
            try check(rows, Array(journal[..<length]), "\(length) bytes of journal")
        }
        for index in stride(from: 0, to: rows.count, by: 31) {
            var changed = rows
            changed[index] ^= 0x11
            try check(changed, journal, "byte \(index) of the rows changed")
        }
        for index in stride(from: 0, to: journal.count, by: 31) {
            var changed = journal
            changed[index] ^= 0x11
            try check(rows, changed, "byte \(index) of the journal changed")
        }
        try check(rows + [0, 0, 0], journal + [0, 0, 0], "zeros at the end")
    }

    @Test func moreCheckpointsThanAreKeptStillGoOn() throws {
        let checkpoints = (1...9000).map {
            RunCheckpoint(bytes: $0, inputs: $0, failed: 0, belowThreshold: 0, rows: "r\($0)", paths: "p\($0)")
        }
        var journal = try Journal(
            replacing: folder["j"], name: folder["j"], settings: ["a": .int(1)], checkpoints: [], syncs: false)
        for checkpoint in checkpoints { try journal.append(checkpoint) }
        let kept = try #require(Journal.read(folder["j"])).checkpoints
        #expect((2048...4097).contains(kept.count))
        #expect(kept.last == checkpoints.last && kept.map(\.inputs) == kept.map(\.inputs).sorted())
        #expect(kept.allSatisfy { checkpoints[$0.inputs - 1] == $0 })
    }

    @Test func otherSettingsAreRefusedByName() throws {
        try run(batches: 3)
        let rows = folder.content(".out.csv.partial")
        let error = #expect(throws: LabellingError.self) { try run(settings: ["a": .int(2), "b": "x"]) }
        #expect(error?.description.contains("a was 1, now 2; b was nothing, now x") == true)
        #expect(folder.content(".out.csv.partial") == rows)
        let outcome = try run(settings: ["a": .int(2)], restart: true)
        #expect(outcome.beginning == .fresh && outcome.result.resumed == 0)
        #expect(folder.content("out.csv") == whole)
    }

    @Test func otherInputsAreRefused() throws {
        let done = try run(batches: 3).result.done
        #expect(throws: LabellingError.self) { try run(InputSource(paths: [folder["f/1"]])) }
        try folder.write("f/00", "1")
        let error = #expect(throws: LabellingError.self) { try run() }
        #expect(error?.description.contains("the first \(done) inputs are no longer those") == true)
        try FileManager.default.removeItem(atPath: folder["f/00"].description)
        // What comes after those that have their row may change.
        try folder.write("f/99", "2")
        let outcome = try run()
        #expect(outcome.beginning == .resumes(inputs: done) && outcome.result.done == 42)
    }

    @Test func aSecondRunIsRefused() throws {
        let first = try #require(try ResumableFile.open(folder["out.csv"], sync: .never))
        _ = try first.begin([:], restart: false)
        #expect(throws: OutputError.cannotWrite(path: folder["out.csv"], reason: "another run is writing it")) {
            try ResumableFile.open(folder["out.csv"], sync: .never)
        }
        first.leave()
        #expect(try folder.entries() == ["f", "whole.csv"])
    }

    @Test func rowsOfUnknownOriginAreNotDropped() throws {
        try folder.write(".out.csv.partial", "mine")
        let error = #expect(throws: LabellingError.self) { try run() }
        #expect(error?.description.contains("it has no journal") == true)
        #expect(folder.content(".out.csv.partial") == "mine")
    }

    @Test(arguments: [RowOptions.Format.csv, .tsv, .jsonl], [RowOptions.Layout.wide, .long])
    func everyFormatGoesOn(_ format: RowOptions.Format, _ layout: RowOptions.Layout) throws {
        var options = RowOptions()
        (options.format, options.layout, options.topK, options.threshold) = (format, layout, 2, 0.6)
        let expected = try run(options: options, name: "expected").result
        while try run(batches: 2, options: options).result.isStopped {}
        #expect(folder.content("out.csv") == folder.content("expected"))
        let last = try run(options: options).result
        #expect(last == expected)
    }

    @Test func theOldFileStaysUntilTheNewIsWhole() throws {
        try folder.write("out.csv", "old")
        chmod(folder["out.csv"].description, 0o640)
        try run(batches: 3)
        #expect(folder.content("out.csv") == "old")
        try run()
        #expect(folder.content("out.csv") == whole)
        guard case .success(let status) = FileStatus.of(folder["out.csv"]) else { throw SystemError(code: errno) }
        #expect(status.mode & 0o7777 == 0o640)
    }

    @Test func longNamesKeepApart() throws {
        let names = ["a", "b"].map { String(repeating: "n", count: 254) + $0 }
        for name in names { try run(batches: 2, name: name) }
        for name in names {
            #expect(try run(name: name).beginning != .fresh)
            #expect(folder.content(name) == whole)
        }
    }

    @Test func aFailingModelKeepsTheRowsBeforeIt() throws {
        let file = try #require(try ResumableFile.open(folder["out.csv"], sync: .end))
        _ = try file.begin(["a": .int(1)], restart: false)
        let classifier = FakeClassifier()
        classifier.failure = 4
        let rows = try RowWriter(tasks: classifier.tasks, options: RowOptions())
        #expect(throws: LabellingError.model("out of order")) {
            try LabellingPipeline(
                preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 4, threads: 2)
            ).run(source, rows: rows, output: file)
        }
        #expect(file.leave() > 0)
        do { _ = consume file }
        #expect(try run().result.resumed > 0)
        #expect(folder.content("out.csv") == whole)
    }
}
