import TestSupport
import Testing

@testable import Datasets
@testable import Files
@testable import Labelling

/// The rows of two images and a failure, for tasks "corn" (3 classes) and "flowers" (2).
private func rows(
    _ change: (inout RowOptions) -> Void = { _ in }, path: [UInt8] = Array("a.png".utf8)
) throws -> String {
    var options = RowOptions()
    change(&options)
    let writer = try RowWriter(tasks: tasks, options: options)
    writer.appendHeader()
    for logits: [Float] in [[0, 1, -1, 2, -2], [0.25, 0.25, 0.25, -1, -1]] {
        _ = logits.withUnsafeBufferPointer { writer.append(path: path, logits: $0) }
    }
    writer.appendFailure(path: Array("bad.png".utf8), reason: "cut off, at byte 7")
    return String(decoding: writer.bytes, as: UTF8.self)
}

private let tasks = [
    TaskLabels(name: "corn", classes: ["blight", "rust, common", "healthy"]),
    TaskLabels(name: "flowers", classes: ["daisy", "\"rose\""]),
]

@Suite struct RowTests {
    @Test func wide() throws {
        #expect(
            try rows() == """
                path,status,corn,corn_score,flowers,flowers_score
                a.png,ok,"rust, common",0.665241,daisy,0.982014
                a.png,ok,blight,0.333333,daisy,0.500000
                bad.png,"error: cut off, at byte 7",,,,

                """)
    }

    @Test func wideWithSeveralAnswers() throws {
        let expected = """
            path,status,corn,corn_score,corn_2,corn_2_score,corn_3,corn_3_score,flowers,flowers_score,\
            flowers_2,flowers_2_score,flowers_3,flowers_3_score
            a.png,ok,"rust, common",0.665241,blight,0.244728,healthy,0.090031,daisy,0.982014,\"""rose\""",0.017986,,
            a.png,ok,blight,0.333333,"rust, common",0.333333,healthy,0.333333,daisy,0.500000,\"""rose\""",0.500000,,
            bad.png,"error: cut off, at byte 7",,,,,,,,,,,,

            """
        #expect(try rows { $0.topK = 3 } == expected)
    }

    @Test func tabsWithLogitsOfEveryClassOfOneTask() throws {
        let expected = """
            path\tstatus\tflowers\tflowers_score\tflowers:daisy\t"flowers:""rose\"""
            a.png\tok\tdaisy\t2.000000\t2.000000\t-2.000000
            a.png\tok\tdaisy\t-1.000000\t-1.000000\t-1.000000
            bad.png\terror: cut off, at byte 7\t\t\t\t

            """
        let actual = try rows {
            ($0.format, $0.scores, $0.allScores, $0.tasks) = (.tsv, .logit, true, ["flowers"])
        }
        #expect(actual == expected)
    }

    @Test func labelsAlone() throws {
        #expect(
            try rows { $0.scores = .none } == """
                path,status,corn,flowers
                a.png,ok,"rust, common",daisy
                a.png,ok,blight,daisy
                bad.png,"error: cut off, at byte 7",,

                """)
        #expect(
            try rows { ($0.scores, $0.layout, $0.tasks) = (.none, .long, ["corn"]) } == """
                path,status,task,rank,label
                a.png,ok,corn,1,"rust, common"
                a.png,ok,corn,1,blight
                bad.png,"error: cut off, at byte 7",,,

                """)
    }

    @Test func long() throws {
        let expected = """
            path,status,task,rank,label,score
            a.png,ok,corn,1,"rust, common",0.665241
            a.png,ok,corn,2,blight,0.244728
            a.png,ok,flowers,1,daisy,0.982014
            a.png,ok,flowers,2,\"""rose\""",0.017986
            a.png,ok,corn,1,blight,0.333333
            a.png,ok,corn,2,"rust, common",0.333333
            a.png,ok,flowers,1,daisy,0.500000
            a.png,ok,flowers,2,\"""rose\""",0.500000
            bad.png,"error: cut off, at byte 7",,,,

            """
        #expect(try rows { ($0.layout, $0.topK) = (.long, 2) } == expected)
    }

    @Test func longWithEveryClassKeepsLabelsBelowTheThreshold() throws {
        let expected = """
            path,status,task,rank,label,score
            a.png,below threshold: corn,corn,1,"rust, common",0.665241
            a.png,below threshold: corn,corn,2,blight,0.244728
            a.png,below threshold: corn,corn,3,healthy,0.090031
            a.png,below threshold: corn,corn,1,blight,0.333333
            a.png,below threshold: corn,corn,2,"rust, common",0.333333
            a.png,below threshold: corn,corn,3,healthy,0.333333
            bad.png,"error: cut off, at byte 7",,,,

            """
        let actual = try rows { ($0.layout, $0.allScores, $0.threshold, $0.tasks) = (.long, true, 0.7, ["corn"]) }
        #expect(actual == expected)
    }

    @Test func belowTheThresholdLabelsAreWithheldAndScoresAreNot() throws {
        #expect(
            try rows { $0.threshold = 0.6 } == """
                path,status,corn,corn_score,flowers,flowers_score
                a.png,ok,"rust, common",0.665241,daisy,0.982014
                a.png,below threshold: corn flowers,,0.333333,,0.500000
                bad.png,"error: cut off, at byte 7",,,,

                """)
        // The threshold is about probabilities, and reaching it is enough.
        #expect(
            try rows { ($0.threshold, $0.scores, $0.tasks) = (0.5, .logit, ["flowers"]) } == """
                path,status,flowers,flowers_score
                a.png,ok,daisy,2.000000
                a.png,ok,daisy,-1.000000
                bad.png,"error: cut off, at byte 7",,

                """)
    }

    @Test func jsonLines() throws {
        let expected = #"""
            {"path":"a.png","status":"ok","tasks":{"corn":{"label":"rust, common","score":0.665241},\#
            "flowers":{"label":"daisy","score":0.982014}}}
            {"path":"a.png","status":"below threshold: corn","tasks":{"corn":{"label":null,"score":0.333333},\#
            "flowers":{"label":"daisy","score":0.500000}}}
            {"path":"bad.png","status":"error: cut off, at byte 7","tasks":{}}

            """#
        #expect(try rows { ($0.format, $0.threshold, $0.layout) = (.jsonl, 0.4, .long) } == expected)
        let more = #"""
            {"path":"a.png","status":"ok","tasks":{"flowers":{"label":"daisy","score":0.982014,"top":[{"label":"daisy","score":0.982014},{"label":"\"rose\"","score":0.017986}],"scores":{"daisy":0.982014,"\"rose\"":0.017986}}}}
            {"path":"a.png","status":"ok","tasks":{"flowers":{"label":"daisy","score":0.500000,"top":[{"label":"daisy","score":0.500000},{"label":"\"rose\"","score":0.500000}],"scores":{"daisy":0.500000,"\"rose\"":0.500000}}}}
            {"path":"bad.png","status":"error: cut off, at byte 7","tasks":{}}

            """#
        let actual = try rows {
            ($0.format, $0.topK, $0.allScores, $0.tasks) = (.jsonl, 9, true, ["flowers"])
        }
        #expect(actual == more)
    }

    @Test func jsonPathsKeepEveryByte() throws {
        let path: [UInt8] = Array("é😀\n\u{1}\\\"".utf8) + [0xFF, 0xC3, 0x28, 0xED, 0xA0, 0x80, 0xC0, 0xAF, 0xF0, 0x9F]
        var bytes: [UInt8] = []
        JSONText.append(path, to: &bytes)
        let expected = #""é😀\n\u0001\\\"\udcff\udcc3(\udced\udca0\udc80\udcc0\udcaf\udcf0\udc9f""#
        #expect(String(decoding: bytes, as: UTF8.self) == expected)
    }

    @Test(arguments: [
        ("a.png", "/work/a.png"), ("./a.png", "/work/a.png"), (".//./a", "/work/a"), ("/a", "/a"),
        ("../a", "/work/../a"),
        (".a", "/work/.a"),
    ])
    func absolutePaths(_ path: String, _ expected: String) throws {
        let text = try rows({ $0.currentFolder = BytePath("/work") }, path: Array(path.utf8))
        #expect(text.split(separator: "\n")[1].hasPrefix("\(expected),ok,"))
        #expect(text.contains("\n/work/bad.png,"))
    }

    @Test func valuesThatAreNotFiniteAreErrors() throws {
        for bad in [Float.nan, .infinity, -.infinity] {
            let writer = try RowWriter(tasks: tasks, options: RowOptions())
            let logits: [Float] = [0, 1, 2, bad, 0]
            let outcome = logits.withUnsafeBufferPointer { writer.append(path: [0x61], logits: $0) }
            #expect(outcome == .failed(.notFinite))
            let text = String(decoding: writer.bytes, as: UTF8.self)
            #expect(text == "a,error: the model gave a value that is not finite,,,,\n")
        }
    }

    @Test func largeLogitsDoNotOverflowTheSoftmax() throws {
        let writer = try RowWriter(tasks: tasks, options: RowOptions())
        let logits: [Float] = [3e38, -3e38, 3e38, -3e38, -1e30]
        _ = logits.withUnsafeBufferPointer { writer.append(path: [0x61], logits: $0) }
        let row = String(decoding: writer.bytes, as: UTF8.self)
        #expect(row == "a,ok,blight,0.500000,\"\"\"rose\"\"\",1.000000\n")
    }

    @Test func optionsThatCannotBeAreRefused() {
        #expect(throws: UnknownTask("cron", tasks: ["corn", "flowers"])) {
            try rows { $0.tasks = ["corn", "cron"] }
        }
        #expect(throws: LabellingError.options("all scores and no scores cannot both be written")) {
            try rows { ($0.allScores, $0.scores) = (true, .none) }
        }
        let clash = [TaskLabels(name: "a", classes: ["x"]), TaskLabels(name: "a_score", classes: ["x"])]
        #expect(throws: LabellingError.options("two columns would have the name \"a_score\"")) {
            try RowWriter(tasks: clash, options: RowOptions())
        }
        var long = RowOptions()
        long.layout = .long
        #expect(throws: Never.self) { try RowWriter(tasks: clash, options: long) }
        #expect(throws: LabellingError.options("task \"a\" has no classes")) {
            try RowWriter(tasks: [TaskLabels(name: "a", classes: [])], options: RowOptions())
        }
        #expect(throws: LabellingError.options("there is no task to write")) {
            try RowWriter(tasks: [], options: RowOptions())
        }
    }

    @Test func everyHostileNameSurvivesCSV() throws {
        let names = [
            "plain", "with,comma", "with \"quotes\"", "\"", "\"\"", ",", "two\nlines", "carriage\r", "\r\n", " spaces ",
            "tab\there", "é", "=1+1", "'", "a,\"b\nc\"", "",
        ]
        for (format, delimiter) in [(RowOptions.Format.csv, Character(",")), (.tsv, "\t")] {
            let tasks = [TaskLabels(name: "na,me\n\"", classes: names)]
            var options = RowOptions()
            options.format = format
            let writer = try RowWriter(tasks: tasks, options: options)
            writer.appendHeader()
            for (index, name) in names.enumerated() {
                var logits = [Float](repeating: 0, count: names.count)
                logits[index] = 100
                _ = logits.withUnsafeBufferPointer {
                    writer.append(path: Array(name.utf8) + [0xFF, 0xC3], logits: $0)
                }
            }
            let rows = records(writer.bytes, delimiter: delimiter)
            #expect(rows?.count == names.count + 1)
            #expect(
                rows?.first?.map { String(decoding: $0, as: UTF8.self) } == [
                    "path", "status", "na,me\n\"", "na,me\n\"_score",
                ])
            for (record, name) in zip(rows?.dropFirst() ?? [], names) {
                #expect(record[0] == Array(name.utf8) + [0xFF, 0xC3])
                #expect(record[2] == Array(name.utf8))
            }
        }
    }
}

/// What a spreadsheet would make of a row.
@Suite struct FormulaTests {
    static let hostile = ["=1+1", "+1", "-2", "@SUM(A1)", "\tx", "\rx", "a\nb", "\"q\"", "plain", "a=b"]

    private func text(_ guards: Bool, _ format: RowOptions.Format, _ layout: RowOptions.Layout) throws -> String {
        var options = RowOptions()
        (options.format, options.layout, options.guardsFormulas) = (format, layout, guards)
        options.topK = FormulaTests.hostile.count
        let rows = try RowWriter(
            tasks: [TaskLabels(name: "-t", classes: FormulaTests.hostile)], options: options)
        rows.appendHeader()
        let logits = FormulaTests.hostile.indices.map { Float(-$0) }
        logits.withUnsafeBufferPointer { _ = rows.append(path: Array("=cmd|x.png".utf8), logits: $0) }
        rows.appendFailure(path: Array("-x".utf8), reason: "no")
        let mark: [UInt8] = [0xEF, 0xBB, 0xBF]
        #expect(rows.bytes.starts(with: mark) == guards, "a byte order mark, for Excel")
        return String(decoding: rows.bytes.dropFirst(guards ? mark.count : 0), as: UTF8.self)
    }

    @Test(arguments: [RowOptions.Format.csv, .tsv], [RowOptions.Layout.wide, .long])
    func noCellIsAFormula(_ format: RowOptions.Format, _ layout: RowOptions.Layout) throws {
        let delimiter: Character = format == .csv ? "," : "\t"
        let plain = try #require(records(Array(try text(false, format, layout).utf8), delimiter: delimiter))
        let safe = try #require(records(Array(try text(true, format, layout).utf8), delimiter: delimiter))
        #expect(plain.map(\.count) == safe.map(\.count))
        for (cell, guarded) in zip(plain.joined(), safe.joined()) {
            let isFormula = cell.first.map { Array("=+-@\t\r".utf8).contains($0) } ?? false
            #expect(guarded == (isFormula ? [UInt8(ascii: "'")] + cell : cell))
        }
    }

    @Test func namesOfAnyKindComeBack() throws {
        let rows = try #require(records(Array(try text(false, .csv, .wide).utf8)))
        let labels = stride(from: 2, to: rows[1].count, by: 2).map { String(decoding: rows[1][$0], as: UTF8.self) }
        #expect(labels == FormulaTests.hostile)
    }
}
