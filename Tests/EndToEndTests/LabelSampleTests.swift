import Files
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct LabelSampleTests {
    @Test func samplesGetTheLabelsTheyAlwaysGot() throws {
        let run = try runMergeVit(
            ["label", "--bundle", try Samples.six(), "images"], folder: URL(fileURLWithPath: Samples.folder))
        #expect(run.exitCode == 0)
        let summary = /labelled 34 of 34 images in [0-9]+\.[0-9] s \([0-9]+\.[0-9] images\/s\)\n/
        #expect(try summary.wholeMatch(in: run.errors) != nil, "\(run.errors)")
        let found = cells(run.standardOutput)
        let expected = cells(try readBytes(Samples.testCase("samples.csv")))
        #expect(found.count == Samples.imageCount + 1 && expected.count == found.count)
        #expect(found.first == expected.first)
        for (row, wanted) in zip(found, expected).dropFirst() {
            for (column, name) in expected[0].enumerated() {
                let isScore = name.hasSuffix("_score")
                #expect(
                    isScore ? near(row[column], wanted[column]) : row[column] == wanted[column],
                    "\(wanted[0]) \(name): expected \(wanted[column]), found \(row[column])")
            }
        }
    }

    @Test(arguments: [1, 3, 8, 64]) func batchesAndThreadsDoNotChangeAByte(_ batchSize: Int) throws {
        let bundle = try Samples.six()
        let expected = try Samples.csvOfEveryScore()
        for threads in [1, 2, 5] {
            let found = try label(
                bundle, ["--all-scores", "--batch-size", "\(batchSize)", "--threads", "\(threads)", "images"],
                folder: Samples.folder)
            #expect(found == expected, "batch size \(batchSize), \(threads) threads")
        }
    }

    /// What each drawing shows, which its name says in other words.
    static let pictures: [(task: String, folder: String, labels: [String])] = [
        ("aerial", "aerial", ["field", "forest", "parking", "river_lake"]),
        ("clothing", "clothing", ["dress", "pants", "shoes", "t_shirt"]),
        ("flowers", "flowers", ["daisy", "dandelion", "roses", "sunflowers", "tulips"]),
        ("corn", "leaves", ["blight", "healthy", "common_rust"]),
        (
            "traffic", "signs",
            [
                "ahead_only", "danger", "end_all_limits", "keep_right", "no_entry", "no_passing",
                "priority_next_crossing", "priority_road", "roundabout", "speed_30", "speed_50", "speed_80", "stop",
                "turn_right_ahead", "yield",
            ]
        ),
        ("trash", "waste", ["glass", "cardboard", "paper"]),
    ]

    @Test(arguments: pictures.indices) func everyAdapterAloneKnowsItsPictures(_ index: Int) throws {
        let (task, folder, labels) = Self.pictures[index]
        let rows = table(try label(try Samples.only(task), [folder], folder: Samples.folder + "/images"))
        #expect(rows.map { $0[task] } == labels)
        #expect(rows.allSatisfy { $0["status"] == "ok" })
    }

    @Test func mergedAdaptersDifferFromEachAlone() throws {
        let six = table(try Samples.csv())
        for task in ["traffic", "corn"] {
            let alone = table(try label(try Samples.only(task), ["images"], folder: Samples.folder))
            #expect(alone.map { $0["\(task)_score"] } != six.map { $0["\(task)_score"] })
        }
    }

    @Test func aPlainCheckpointIsABundleOfOneTask() throws {
        let rows = cells(try label(Samples.base, ["--all-scores", "images"], folder: Samples.folder))
        #expect(rows.count == Samples.imageCount + 1)
        #expect(Array(rows[0].prefix(4)) == ["path", "status", "label", "label_score"])
        let config = try JSON(contentsOf: Samples.base + "/config.json").objectValue
        let names = try #require(config?["id2label"]?.objectValue)
        #expect(names.keys.count == 200)
        #expect(rows[0].dropFirst(4).elementsEqual((0..<200).map { "label:" + (names["\($0)"]?.stringValue ?? "?") }))
        for row in rows.dropFirst() {
            let scores = row.dropFirst(4).compactMap(Double.init)
            #expect(scores.count == 200 && abs(scores.reduce(0, +) - 1) < 2e-4)
        }
    }

    @Test func everyImageIsLabelledTheSameWhateverIsBesideIt() throws {
        let bundle = try Samples.six()
        let lines = try Samples.csv().split(separator: UInt8(ascii: "\n")).map(Array.init)
        for (index, name) in [
            (0, "aerial/field.jpg"), (33, "waste/newspaper-1bit.png"), (20, "signs/no entry, one-way street.png"),
        ] {
            let alone = try label(bundle, ["images/\(name)"], folder: Samples.folder)
            #expect(alone == lines[0] + [0x0A] + lines[index + 1] + [0x0A])
        }
    }
}
