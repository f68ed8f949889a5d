import Foundation
import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files
@testable import Labelling
@testable import Tensors

/// Rows that are taken from an earlier run make the bytes of a run that takes none.
@Suite struct ReuseTests {
    let folder: TemporaryFolder
    let source: InputSource
    static let options: [RowOptions] = {
        var long = RowOptions()
        (long.layout, long.format, long.topK) = (.long, .tsv, 2)
        var lines = RowOptions()
        (lines.format, lines.allScores) = (.jsonl, true)
        var threshold = RowOptions()
        threshold.threshold = 0.6
        return [RowOptions(), long, lines, threshold]
    }()

    init() throws {
        folder = try TemporaryFolder()
        for index in 0..<40 {
            try folder.write("f/\(index)", index % 6 == 5 ? "bad" : "\(index)")
            try folder.age("f/\(index)")
        }
        source = InputSource(paths: [folder["f"], folder["gone"]])
    }

    struct Outcome {
        let result: LabellingProgress
        /// How many images passed the model.
        let images: Int
    }

    /// One run, which stops after so many batches.
    @discardableResult
    func run(
        _ source: InputSource? = nil, to name: String, reusing old: String? = nil, batches: Int = .max,
        settings: JSONObject = ["a": .int(1)], options: RowOptions = RowOptions(), features: FeatureOptions? = nil
    ) throws -> Outcome {
        let classifier = FakeClassifier()
        let file = try #require(try ResumableFile.open(folder[name], sync: .never))
        let rows = try RowWriter(tasks: classifier.tasks, options: options)
        let reuse = try old.map { try ReusableRows(folder[$0], settings: settings) }
        let companions = try RowCompanions(
            beside: file, settings: settings, headerBytes: rows.header.count,
            features: features.map { try FeatureFile($0, columns: classifier.featureColumns, model: "m") })
        _ = try file.begin(settings, restart: false, companions: companions)
        var done = 0
        let result = try LabellingPipeline(
            preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 4, threads: 2)
        ).run(
            source ?? self.source, rows: rows, output: file, reuse: reuse, progress: { _ in done += 1 },
            isStopped: { done >= batches })
        if result.isStopped { file.leave() } else { try file.commit() }
        return Outcome(result: result, images: classifier.batches.reduce(0, +))
    }

    func refusal(_ name: String, settings: JSONObject = ["a": .int(1)]) -> String {
        do { return "accepted \(try ReusableRows(folder[name], settings: settings).count)" } catch {
            return "\(error)".replacing("\(folder.path)/", with: "")
        }
    }

    @Test(arguments: options.indices)
    func onlyWhatChangedIsLabelled(_ index: Int) throws {
        let options = Self.options[index]
        let first = try run(to: "old", options: options)
        #expect(first.images == 34 && first.result.reused == 0)
        let same = try run(to: "same", reusing: "old", options: options)
        // The image with a logit of NaN failed, so it is tried again.
        #expect(same.images == 1 && same.result.reused == 33)
        #expect(same.result.failed == first.result.failed && same.result.failures == first.result.failures)
        #expect(same.result.belowThreshold == first.result.belowThreshold)
        #expect(try folder.read("same") == folder.read("old"))
        // Changed, of another time, new, repaired and gone.
        try folder.write("f/7", "1234")
        try folder.age("f/8", seconds: 5000)
        for name in ["100", "5"] { try folder.write("f/\(name)", "3") }
        for name in ["f/100", "f/5", "f/7"] { try folder.age(name) }
        for name in ["f/0", "f/39", "f/14"] { try folder.remove(name) }
        let changed = try run(to: "old", reusing: "old", options: options)
        #expect(changed.images == 5 && changed.result.done == 39)
        let fresh = try run(to: "fresh", options: options)
        #expect(try folder.read("old") == folder.read("fresh"))
        #expect(changed.result.failed == fresh.result.failed)
        #expect(try run(to: "again", reusing: "old", options: options).images == 1)
        #expect(try folder.read("again") == folder.read("fresh"))
    }

    @Test func anyOrderAndPartOfTheInputsIsTaken() throws {
        try run(to: "old")
        let paths = (0..<200).map { folder["f/\($0 * 7 % 40)"] }
        let other = InputSource(files: paths)
        #expect(try run(other, to: "reused", reusing: "old").result.reused == 5 * 33)
        try run(other, to: "fresh")
        #expect(try folder.read("reused") == folder.read("fresh"))
        var part = source
        part.part = 11..<23
        try run(part, to: "part", reusing: "old")
        try run(part, to: "fresh-part")
        #expect(try folder.read("part") == folder.read("fresh-part"))
    }

    @Test func aFileThatWasJustWrittenIsLabelledAgain() throws {
        try folder.write("f/1", "1")
        try run(to: "old")
        #expect(try run(to: "new", reusing: "old").images == 2)
    }

    @Test func stoppedRunsAreResumedWithTheirEntries() throws {
        try run(to: "whole")
        var runs = 0
        while try run(to: "out", reusing: runs % 2 == 1 ? "whole" : nil, batches: 2).result.isStopped { runs += 1 }
        #expect(runs > 2)
        #expect(try folder.read("out") == folder.read("whole"))
        #expect(try folder.read(".out.reuse") == folder.read(".whole.reuse"))
        #expect(try folder.entries() == [".out.reuse", ".whole.reuse", "f", "out", "whole"])
    }

    /// A kill between the renames of the rows and of the record loses neither.
    @Test func aRecordIsFoundUnderOtherNames() throws {
        try run(to: "old")
        let record = try folder.read(".old.reuse")
        try folder.remove(".old.reuse")
        #expect(refusal("old").hasPrefix("cannot take rows of old: .old.reuse, the record of their files, is missing"))
        try folder.write(".old.reuse.partial", record)
        #expect(refusal("old") == "accepted 41")
        #expect(try folder.entries() == [".old.reuse", "f", "old"])
        try FileManager.default.moveItem(atPath: folder.path("old"), toPath: folder.path("renamed"))
        #expect(refusal("renamed") == "accepted 41")
    }

    @Test func whatDoesNotBelongTogetherIsRefused() throws {
        try run(to: "old")
        #expect(refusal("old", settings: ["a": .int(2)]).hasSuffix("of other options: a was 1, now 2"))
        #expect(refusal("none").hasSuffix("No such file or directory"))
        let (rows, record) = (try folder.read("old"), try folder.read(".old.reuse"))
        try folder.write("old", rows + [0x0A])
        #expect(refusal("old").hasSuffix("old: it has been changed since mergevit wrote it"))
        try folder.write("old", rows)
        for index in stride(from: 0, to: record.count, by: 7) {
            var changed = record
            changed[index] ^= 0x11
            try folder.write(".old.reuse", changed)
            #expect(!refusal("old").hasPrefix("accepted"), "byte \(index) changed")
            try folder.write(".old.reuse", record.prefix(index))
            #expect(!refusal("old").hasPrefix("accepted"), "\(index) bytes")
        }
    }

    @Test func gatheredShardsHaveTheRecordOfTheRun() throws {
        let sharded = try ShardedRunTests()
        for index in 0..<37 { try sharded.folder.age("f/\(index)") }
        for number in 1...3 {
            try sharded.write(
                Shard("\(number)/3", balance: .count), to: "part\(number)", keepsRecord: number < 3)
        }
        let names = (1...3).map { sharded.folder["part\($0)"] }
        let gathered = try GatheredShards(names, isPartial: false)
        func gather() throws -> String? {
            let output = try OutputFile.replacing(sharded.folder["out"])
            let manifest = try gathered.write(to: output)
            try output.commit()
            return try gathered.writeRecord(beside: sharded.folder["out"], manifest)
        }
        #expect(try gather()?.contains(".part3.reuse, the record of their files, is missing") == true)
        try sharded.write(Shard("3/3", balance: .count), to: "part3", keepsRecord: true)
        #expect(try gather() == nil)
        try sharded.write(nil, to: "whole", keepsRecord: true)
        #expect(try sharded.folder.read("out") == sharded.folder.read("whole"))
        #expect(try sharded.folder.read(".out.reuse") == sharded.folder.read(".whole.reuse"))
    }

    // MARK: Features

    func floats(_ bytes: ArraySlice<UInt8>, _ type: ElementType) -> [Float] {
        bytes.withUnsafeBytes { bytes in
            (0..<(bytes.count / type.size)).map {
                type == .float16
                    ? Float(bytes.loadUnaligned(fromByteOffset: $0 * 2, as: Float16.self))
                    : bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)
            }
        }
    }

    @Test(arguments: ["x.npy", "x.safetensors"], FeatureOptions.Number.allCases)
    func featuresAreInTheOrderOfTheRows(_ name: String, _ number: FeatureOptions.Number) throws {
        let options = try #require(FeatureOptions(folder[name], number: number))
        try run(to: "whole", features: options)
        let whole = try folder.read(name)
        let size = 41 * 3 * number.type.size
        #expect((whole.count - size) % 64 == 0)
        let rows = try #require(folder.content("whole")).split(separator: "\n").dropFirst()
        let values = floats(whole.suffix(size), number.type)
        for (index, row) in rows.enumerated() {
            let cells = row.split(separator: ",", omittingEmptySubsequences: false)
            let value = cells[1] == "ok" ? Float(cells[0].split(separator: "/").last ?? "") : nil
            let found = values[(index * 3)..<(index * 3 + 3)]
            guard let value else {
                #expect(found.allSatisfy { $0.isNaN })
                continue
            }
            #expect(Array(found) == [value, value + 0.25, value + 0.5])
        }
        if name == "x.safetensors" {
            let file = try SafetensorsFile(path: folder.path(name))
            #expect(try file.tensor("features").shape == [41, 3])
        } else {
            let text = String(decoding: whole.prefix(whole.count - size), as: UTF8.self)
            #expect(text.contains("'shape': (41, 3)") && text.hasSuffix(" \n"))
        }
        try folder.remove("whole")
        try folder.remove(name)
        var runs = 0
        while try run(to: "out", batches: 2, features: options).result.isStopped { runs += 1 }
        #expect(runs > 2)
        #expect(try folder.read(name) == whole)
        #expect(try folder.entries().filter { $0.hasSuffix("partial") } == [])
    }

    @Test func damagedFeaturesAreComputedAgain() throws {
        let options = try #require(FeatureOptions(folder["x.npy"], number: .f32))
        try run(to: "out", features: options)
        let whole = try folder.read("x.npy")
        for length in [0, 64, 200, 300] {
            for _ in 0..<3 { try run(to: "out", batches: 2, features: options) }
            let partial = try folder.read(".x.npy.partial")
            try folder.write(".x.npy.partial", partial.prefix(length))
            try run(to: "out", features: options)
            #expect(try folder.read("x.npy") == whole)
        }
    }

    @Test func aFeatureTooLargeForItsTypeIsAnError() throws {
        try folder.write("f/0", "70000")
        let options = try #require(FeatureOptions(folder["x.npy"], number: .f16))
        let error = #expect(throws: LabellingError.self) { try run(to: "out", features: options) }
        let reason = "f/0: feature 0 is 70000.0, which is not finite as a 16-bit float"
        #expect(error?.description.hasSuffix(reason) == true)
    }
}
