import Foundation
import TestSupport
import Testing

@testable import Datasets
@testable import Files
@testable import Labelling

/// The parts of a run, put together, are the run.
@Suite struct ShardedRunTests {
    let folder: TemporaryFolder
    let source: InputSource
    let classifier = FakeClassifier()

    init() throws {
        folder = try TemporaryFolder()
        for index in 0..<37 {
            try folder.write(
                "f/\(index)", index % 6 == 5 ? "bad" : String(repeating: "0", count: index * index) + "\(index)")
        }
        source = InputSource(paths: [folder["f"], folder["gone"]])
    }

    /// Writes the rows and the manifest of a part, or of all.
    func write(
        _ shard: Shard?, to name: String, settings: JSONObject = ["a": .int(1)], options: RowOptions = RowOptions(),
        keepsRecord: Bool = false
    ) throws {
        let file = try #require(try ResumableFile.open(folder[name], sync: .never))
        let survey = try shard.map { try #require(try InputSurvey(source, shard: $0)) }
        var part = source
        part.part = survey?.part
        let rows = try RowWriter(tasks: classifier.tasks, options: options)
        let header = rows.header.count
        let companions = try RowCompanions(beside: file, settings: settings, headerBytes: header, features: nil)
        _ = try file.begin(settings, restart: false, companions: keepsRecord ? companions : RowCompanions())
        if !keepsRecord { companions.all.forEach { $0.remove() } }
        let result = try LabellingPipeline(
            preparer: FakePreparer(), classifier: classifier, options: LabellingOptions(batchSize: 4, threads: 2)
        ).run(part, rows: rows, output: file)
        let written = file.written
        try RunManifest(
            settings: settings, shard: shard?.description ?? "1/1", inputs: survey?.inputs ?? result.done,
            paths: survey?.paths ?? written.paths, part: survey?.part ?? 0..<result.done,
            rows: .init(
                bytes: written.bytes, headerBytes: header, digest: written.rows, failed: result.failed,
                belowThreshold: result.belowThreshold)
        ).write(beside: folder[name])
        try file.commit()
    }

    func gather(_ names: [String], isPartial: Bool = false, to name: String = "out") throws -> RunManifest {
        let gathered = try GatheredShards(names.map { folder[$0] }, isPartial: isPartial)
        let output = try OutputFile.replacing(folder[name])
        let manifest = try gathered.write(to: output)
        try manifest.write(beside: folder[name])
        try output.commit()
        return manifest
    }

    func refusal(_ names: [String]) -> String {
        var text = ""
        #expect(throws: LabellingError.self) {
            do { _ = try gather(names) } catch {
                text = "\(error)".replacing("\(folder.path)/", with: "")
                throw error
            }
        }
        return text
    }

    @Test(arguments: [1, 2, 3, 5, 38, 50], [Shard.Balance.count, .bytes])
    func gatheredShardsAreTheRun(_ count: Int, _ balance: Shard.Balance) throws {
        try write(nil, to: "whole")
        for number in 1...count {
            try write(Shard("\(number)/\(count)", balance: balance), to: "part\(number)")
        }
        let manifest = try gather((1...count).map { "part\($0)" }.shuffled())
        #expect(folder.content("out") == folder.content("whole"))
        #expect(folder.content("out.manifest.json") == folder.content("whole.manifest.json"))
        #expect(manifest.inputs == 38 && manifest.rows.failed == 8)
    }

    /// Long rows are several for an input, JSON Lines have no header.
    @Test(arguments: [(RowOptions.Format.csv, RowOptions.Layout.long), (.tsv, .wide), (.jsonl, .wide)])
    func everyFormatCanBeGathered(_ format: RowOptions.Format, _ layout: RowOptions.Layout) throws {
        var options = RowOptions()
        (options.format, options.layout) = (format, layout)
        try write(nil, to: "whole", options: options)
        for number in 1...3 { try write(Shard("\(number)/3", balance: .count), to: "part\(number)", options: options) }
        _ = try gather(["part1", "part2", "part3"])
        #expect(folder.content("out") == folder.content("whole"))
    }

    @Test func bytesAreBalanced() throws {
        let surveys = try (1...4).map {
            let shard = try #require(Shard("\($0)/4", balance: .bytes))
            return try #require(try InputSurvey(source, shard: shard))
        }
        #expect(surveys.first?.part.lowerBound == 0 && surveys.last?.part.upperBound == 38)
        #expect(zip(surveys, surveys.dropFirst()).allSatisfy { $0.part.upperBound == $1.part.lowerBound })
        // Later files in byte order are not all larger, but the parts differ from those by count.
        #expect(surveys.map(\.part.count) != [9, 10, 9, 10])
    }

    @Test func aGatheringOfGatheringsIsTheRun() throws {
        try write(nil, to: "whole")
        for number in 1...6 { try write(Shard("\(number)/6", balance: .count), to: "part\(number)") }
        #expect(try gather(["part2", "part1", "part3"], isPartial: true, to: "low").part == 0..<19)
        #expect(try gather(["part4", "part5", "part6"], isPartial: true, to: "high").part == 19..<38)
        _ = try gather(["high", "low"])
        #expect(folder.content("out") == folder.content("whole"))
        #expect(folder.content("out.manifest.json") == folder.content("whole.manifest.json"))
    }

    @Test func whatIsMissingForeignOrDamagedIsNamed() throws {
        for number in 1...4 { try write(Shard("\(number)/4", balance: .count), to: "part\(number)") }
        let all = ["part1", "part2", "part3", "part4"]
        #expect(refusal(["part1", "part2", "part4"]) == "the rows of inputs 20 to 28 are missing: no shard 3/4")
        #expect(refusal(["part2", "part3"]) == "the rows of inputs 1 to 9 are missing: no shard 1/4, 4/4")
        #expect(refusal(["part1"]) == "the rows of inputs 10 to 38 are missing: no shard 2/4, 3/4, 4/4")
        #expect(refusal(all + ["part3"]) == "part3 and part3 have rows of the same inputs")
        #expect(refusal(["nowhere"]).hasPrefix("nowhere.manifest.json: No such file or directory"))

        try write(Shard("2/4", balance: .count), to: "other", settings: ["a": .int(2)])
        #expect(refusal(["part1", "other"]) == "other is not of the same run as part1: a there 1, here 2")
        var options = RowOptions()
        options.topK = 2
        try write(Shard("2/4", balance: .count), to: "columns", options: options)
        #expect(
            refusal(["part1", "columns", "part3", "part4"]) == "columns: its column names are not those of part1")

        let text = try #require(folder.content("part2"))
        try folder.write("part2", text.replacing("ok", with: "OK", maxReplacements: 1))
        #expect(refusal(all) == "part2 is damaged: its SHA-256 is not that of its manifest")
        try folder.write("part2", text + "x")
        #expect(refusal(all).hasPrefix("part2 is damaged: its manifest says"))
        try folder.write("part2", text)
        try folder.write("part3.manifest.json", "{}")
        #expect(refusal(all).hasPrefix("part3.manifest.json: not the manifest of a run of this version"))
        #expect(folder.content("out") == nil)
    }

    @Test func aManifestOfOtherInputsIsForeign() throws {
        try write(Shard("1/2", balance: .count), to: "part1")
        try FileManager.default.removeItem(atPath: "\(folder["f/3"])")
        try folder.write("f/3x", "3")
        try write(Shard("2/2", balance: .count), to: "part2")
        #expect(refusal(["part1", "part2"]) == "part2 is not of the same run as part1: the whole run has other inputs")
    }

    @Test(arguments: ["", "1", "0/2", "3/2", "1/0", "a/2", "1/2/3", "-1/2", "1/10000000", "1/ 2"])
    func whatIsNoShardIsRefused(_ text: String) { #expect(Shard(text, balance: .count) == nil) }

    /// A list's entries are taken as they are: not even a folder is opened.
    @Test func aListCanBeTakenLiterally() throws {
        try folder.write("list", "\(folder["f"])\n\(folder["f/1"])\n")
        let list = FileListSource(.file(folder["list"]), separator: .newline)
        #expect(try listed(InputSource(paths: [], list: list)).count == 38)
        let literal = InputSource(paths: [], list: list, reading: InputReading(opensListedFolders: false))
        #expect(try listed(literal) == ["\(folder["f"])", "\(folder["f/1"])"])
    }

    @Test func whatIsListedIsWhatIsLabelled() throws {
        for separator in [FileListSource.Separator.newline, .nul] {
            let output = try OutputFile.replacing(folder["list"])
            try InputListing.write(source, to: output, separator: separator)
            try output.commit()
            let list = FileListSource(.file(folder["list"]), separator: separator)
            let frozen = InputSource(paths: [], list: list, reading: InputReading(opensListedFolders: false))
            #expect(try listed(frozen) == listed(source))
        }
        try folder.write("f/line\nbreak")
        #expect(throws: FileError.self) {
            try InputListing.write(source, to: OutputFile.replacing(folder["list"]), separator: .newline)
        }
    }
}
