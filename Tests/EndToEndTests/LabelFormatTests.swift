import Files
import Foundation
import Tensors
import TestSupport
import Testing

@Suite struct LabelFormatTests {
    let bundle: String
    /// The rows that every other format is compared with.
    let wide: [[String: String]]

    init() throws {
        bundle = try Samples.six()
        wide = table(try Samples.csv())
    }

    func labelled(_ arguments: String...) throws -> [UInt8] {
        try label(bundle, arguments + ["images"], folder: Samples.folder)
    }

    /// The objects of a JSON Lines file.
    func objects(_ bytes: [UInt8]) throws -> [JSONObject] {
        try bytes.split(separator: UInt8(ascii: "\n")).map { try #require(try JSON(parsing: Array($0)).objectValue) }
    }

    @Test func tabsHoldTheSameCells() throws {
        let csv = try Samples.csv()
        let tsv = try labelled("--format", "tsv")
        #expect(cells(tsv, delimiter: "\t") == cells(csv))
        #expect(!tsv.contains(UInt8(ascii: "\"")))
        #expect(csv.filter { $0 == UInt8(ascii: "\"") }.count == 2)
    }

    @Test func jsonLinesSayTheSame() throws {
        let objects = try objects(try labelled("--format", "jsonl"))
        #expect(objects.count == wide.count)
        for (object, row) in zip(objects, wide) {
            #expect(object.keys == ["path", "status", "tasks"])
            #expect(object["path"]?.stringValue == row["path"] && object["status"]?.stringValue == "ok")
            let tasks = try #require(object["tasks"]?.objectValue)
            #expect(tasks.keys == Samples.tasks)
            for (name, answer) in tasks.members {
                #expect(answer.objectValue?.keys == ["label", "score"])
                #expect(answer.objectValue?["label"]?.stringValue == row[name])
                #expect(answer.objectValue?["score"] == .number(row["\(name)_score"] ?? ""))
            }
        }
    }

    @Test func longRowsSayTheSame() throws {
        let long = try labelled("--layout", "long")
        #expect(cells(long).first == ["path", "status", "task", "rank", "label", "score"])
        let rows = table(long)
        #expect(rows.count == wide.count * Samples.tasks.count)
        for (index, row) in rows.enumerated() {
            let whole = wide[index / Samples.tasks.count]
            let task = Samples.tasks[index % Samples.tasks.count]
            #expect(row["path"] == whole["path"] && row["task"] == task && row["rank"] == "1")
            #expect(row["label"] == whole[task] && row["score"] == whole["\(task)_score"])
        }
    }

    @Test func moreAnswersComeAfterTheBest() throws {
        let rows = table(try labelled("--top-k", "5", "--tasks", "corn,traffic"))
        for (row, whole) in zip(rows, wide) {
            for task in ["corn", "traffic"] {
                #expect(row[task] == whole[task] && row["\(task)_score"] == whole["\(task)_score"])
                let ranks = (2...5).map { "\(task)_\($0)" }
                let count = min(5, Samples.classes[task] ?? 0)
                let labels = [row[task]] + ranks.map { row[$0] }
                #expect(Set(labels.prefix(count)).count == count && labels.dropFirst(count).allSatisfy { $0 == "" })
                let scores = ([row["\(task)_score"]] + ranks.map { row["\($0)_score"] }).prefix(count)
                    .compactMap { $0.flatMap(Double.init) }
                #expect(scores.count == count && scores == scores.sorted(by: >))
            }
            // Four classes are all there are.
            #expect(row["corn_5"] == "" && row["corn_5_score"] == "")
        }
    }

    @Test func scoresOfAllClassesAreADistributionWithTheLabelAtItsPeak() throws {
        let bytes = try Samples.csvOfEveryScore()
        let header = cells(bytes)[0]
        for row in table(bytes) {
            for task in Samples.tasks {
                let columns = header.filter { $0.hasPrefix("\(task):") }
                #expect(columns.count == Samples.classes[task])
                let scores = columns.compactMap { row[$0].flatMap(Double.init) }
                #expect(abs(scores.reduce(0, +) - 1) < 1e-4 && scores.allSatisfy { $0 >= 0 })
                #expect(row["\(task):\(row[task] ?? "")"] == row["\(task)_score"])
                #expect(scores.max() == row["\(task)_score"].flatMap(Double.init))
            }
        }
    }

    @Test func logitsHaveTheSameLabelsAndTheirSoftmaxIsTheScore() throws {
        let bytes = try labelled("--scores", "logit", "--all-scores")
        let header = cells(bytes)[0]
        for (row, whole) in zip(table(bytes), wide) {
            for task in Samples.tasks {
                #expect(row[task] == whole[task])
                let logits = header.filter { $0.hasPrefix("\(task):") }.compactMap { row[$0].flatMap(Double.init) }
                let best = try #require(row["\(task)_score"].flatMap(Double.init))
                #expect(logits.max() == best)
                let softmax = 1 / logits.map { exp($0 - best) }.reduce(0, +)
                #expect(abs(softmax - (whole["\(task)_score"].flatMap(Double.init) ?? 2)) < 1e-5)
            }
        }
    }

    @Test func labelsAloneLeaveOutTheScores() throws {
        let bytes = try labelled("--scores", "none")
        #expect(cells(bytes).first == ["path", "status"] + Samples.tasks)
        for (row, whole) in zip(table(bytes), wide) {
            for (column, cell) in row { #expect(cell == whole[column]) }
        }
    }

    @Test func someTasksAreTheirColumnsOfAll() throws {
        let bytes = try labelled("--tasks", "aerial,corn")
        #expect(cells(bytes).first == ["path", "status", "corn", "corn_score", "aerial", "aerial_score"])
        for (row, whole) in zip(table(bytes), wide) {
            for (column, cell) in row { #expect(cell == whole[column]) }
        }
        let run = try runMergeVit([
            "label", "--bundle", bundle, "--tasks", "corn,maize", Samples.image("signs/stop.png"),
        ])
        #expect(run.exitCode == 2 && run.output.isEmpty)
        #expect(
            run.errors
                == "mergevit: error: the model has no task \"maize\"; its tasks are: traffic, trash, corn, flowers, "
                + "clothing, aerial\n")
    }

    @Test func theThresholdWithholdsLabelsAndNothingElse() throws {
        let run = try runMergeVit(
            ["label", "--bundle", bundle, "--threshold", "0.9", "images"], folder: URL(fileURLWithPath: Samples.folder))
        #expect(run.exitCode == 0)
        var below = 0
        for (row, whole) in zip(table(run.standardOutput), wide) {
            let weak = Samples.tasks.filter { (whole["\($0)_score"].flatMap(Double.init) ?? 0) < 0.9 }
            if !weak.isEmpty { below += 1 }
            #expect(row["status"] == (weak.isEmpty ? "ok" : "below threshold: " + weak.joined(separator: " ")))
            for task in Samples.tasks {
                #expect(row[task] == (weak.contains(task) ? "" : whole[task]))
                #expect(row["\(task)_score"] == whole["\(task)_score"])
            }
        }
        #expect(below > 0 && run.errors.hasSuffix("; \(below) below the threshold\n"))
        #expect(try labelled("--threshold", "0") == Samples.csv())
    }

    @Test func alphaDecidesWhatTransparencyIs() throws {
        #expect(try labelled("--alpha", "white") == Samples.csv())
        let black = table(try labelled("--alpha", "black"))
        for (row, whole) in zip(black, wide) {
            let path = try #require(row["path"])
            #expect((row == whole) == !(path.contains("alpha") || path.contains("rgba")), "\(path)")
        }
    }
}
