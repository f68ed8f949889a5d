import Files
import TestSupport
import Testing

@testable import Labelling

/// Reading what `label` wrote, row by row.
@Suite struct LabelFileTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    private func rows(_ text: some Sequence<UInt8>, separator: String = "|") throws -> (LabelFile, [LabelRow]) {
        try scratch.write("labels.csv", text)
        var file = try LabelFile(scratch["labels.csv"], separator: separator)
        var rows: [LabelRow] = []
        while let row = try file.next() { rows.append(row) }
        return (file, rows)
    }

    private func rows(_ text: String) throws -> (LabelFile, [LabelRow]) { try rows(text.utf8) }

    private func message(_ text: String) -> String {
        let result = Result { try rows(text) }
        guard case .failure(let error) = result else { return "no error" }
        return "\(error)".replacing(scratch.path + "/", with: "")
    }

    @Test func wideRowsOfEveryDelimiter() throws {
        let csv = """
            path,status,corn,corn_score,corn_fit,tags,tags_score
            1.jpg,ok,rust,0.993120,0.5,sky|sea,0.912030|0.655214
            "a, ""b""\n.jpg",below threshold: corn,,0.400000,0.25,,
            3.jpg,error: JPEG: premature end of data,,,,,

            """
        for delimiter in [",", ";", "\t"] {
            let (file, rows) = try rows(
                csv.replacing(",", with: delimiter).replacing("a\(delimiter) ", with: "a, "))
            #expect(file.tasks.map(\.name) == ["corn", "tags"] && file.cutWarning == nil)
            #expect(
                rows.map { "\($0.path)" } == ["1.jpg", "a, \"b\"\n.jpg", "3.jpg"] && rows.map(\.line) == [2, 3, 5])
            #expect(
                rows[0].answers == [
                    LabelAnswer(task: 0, labels: [.init(name: "rust", score: 0.99312)], score: 0.99312, fit: 0.5),
                    LabelAnswer(
                        task: 1, labels: [.init(name: "sky", score: 0.91203), .init(name: "sea", score: 0.655214)],
                        score: 0.91203),
                ])
            #expect(
                rows[1].answers == [
                    LabelAnswer(task: 0, score: 0.4, fit: 0.25, withheld: "below threshold"), LabelAnswer(task: 1),
                ])
            #expect(rows[2].failure == "JPEG: premature end of data" && rows[2].answers.isEmpty)
        }
    }

    /// The line `sep=`, a byte order mark, CRLF, a moved column, the index of pandas and a column of notes.
    @Test func tablesFromSpreadsheets() throws {
        let text =
            "\u{FEFF}sep=;\r\n;corn_score;status;notes;corn;path\r\n0;0.5;ok;look;rust;1.jpg\r\n\r\n"
            + "1;0.6;ok;;rot;2.jpg"
        let (file, rows) = try rows(text)
        #expect(
            rows.map { $0.answers.first?.labels.first?.name } == ["rust", "rot"] && file.ignoredColumns == ["notes"])
        #expect(file.cutWarning?.text.contains("does not end in a line end") == true)
        #expect(throws: Never.self) { try file.checkTask("corn") }
        #expect(throws: (any Error).self) { try file.checkTask("notes") }
    }

    @Test func ranksScoresOfClassesAndValues() throws {
        let (file, rows) = try rows(
            """
            path,status,a,a_score,a_2,a_2_score,a:x,a:y,age,size:width,size:height
            1.jpg,ok,x,0.7,y,0.3,0.7,0.3,41.25,0.5,-1.5e-05

            """)
        #expect(file.tasks.map(\.name) == ["a", "age", "size"] && file.tasks.map(\.isValues) == [false, true, true])
        #expect(rows[0].answers.map { $0.labels.map(\.name) } == [["x"], ["age"], ["width", "height"]])
        #expect(rows[0].answers[2].labels.map(\.score) == [0.5, -1.5e-05])
        // Without scores, a label is not a value, even if it is a number.
        let (plain, labels) = try self.rows("path,status,digit,age\n1.jpg,ok,7,7.0\n")
        #expect(plain.tasks.map(\.isValues) == [false, true] && labels[0].answers[0].labels.first?.name == "7")
    }

    /// What `label` writes with fits, and the task that fits most.
    @Test func fitsOfEveryKindOfTask() throws {
        let (file, wide) = try rows(
            """
            path,status,best_task,a,a_score,a_fit,age,age_fit,size:w,size:h,size_fit
            1.jpg,ok,a,x,0.9,0.5,41.0,0.4,1.0,2.0,0.3
            2.jpg,below fit: a age size; below threshold: b,,,0.9,0.01,,0.02,,,0.03

            """)
        #expect(file.tasks.map(\.name) == ["a", "age", "size"] && file.tasks.map(\.isValues) == [false, true, true])
        #expect(file.ignoredColumns.isEmpty && wide[0].answers.map(\.fit) == [0.5, 0.4, 0.3])
        #expect(wide[1].answers.map(\.withheld) == ["below fit", "below fit", "below fit"])
        #expect(wide[1].answers.map(\.labels.isEmpty) == [true, true, true] && wide[1].answers[2].fit == 0.03)
        let (_, lines) = try rows(
            #"""
            {"path":"1.jpg","status":"ok","best_task":"a","tasks":{"a":{"label":"x","score":0.9,"fit":0.5},\#
            "age":{"fit":0.4,"values":{"age":41.0}},"size":{"fit":0.3,"values":{"w":1.0,"h":2.0}}}}
            {"path":"2.jpg","status":"below fit: a age size","best_task":null,"tasks":{\#
            "a":{"label":null,"score":0.9,"fit":0.01},"age":{"fit":0.02,"values":{"age":null}},\#
            "size":{"fit":0.03,"values":{"w":null,"h":null}}}}

            """#)
        #expect(lines.map(\.answers) == wide.map(\.answers))
        // Without scores.
        let (plain, labels) = try rows("path,status,a,a_fit\n1.jpg,ok,x,0.5\n")
        #expect(plain.tasks.map(\.isValues) == [false] && labels[0].answers[0].labels.first?.name == "x")
    }

    @Test func longTablesAndJSONLinesSayTheSame() throws {
        let (long, ranks) = try rows(
            """
            path,status,task,rank,label,score
            1.jpg,below threshold: b c,a,1,x,0.9
            1.jpg,below threshold: b c,a,2,y,0.1
            1.jpg,below threshold: b c,b,1,,0.4
            1.jpg,below threshold: b c,tags,,,
            2.jpg,error: empty,,,,

            """)
        let (lines, objects) = try rows(
            """
            {"path":"1.jpg","status":"below threshold: b c","tasks":{"a":{"label":"x","score":0.9},\
            "b":{"label":null,"score":0.4},"tags":{"labels":[]}}}
            {"path":"2.jpg","status":"error: empty","tasks":{}}

            """)
        #expect(long.tasks == lines.tasks && ranks.flatMap(\.answers) == objects.flatMap(\.answers))
        #expect(ranks.last?.failure == "empty" && objects.last?.failure == "empty")
        #expect(objects[0].answers[1].withheld == "below threshold")
    }

    /// Names that are not UTF-8 are the same in both formats.
    @Test func pathsOfAnyBytes() throws {
        let name: [UInt8] = [0x61, 0xFF, 0x80, 0x5C, 0x22, 0x0A, 0xF0, 0x9F, 0x8C, 0xB9]
        var csv = Array("path,status,a\n".utf8)
        DelimitedCells(delimiter: UInt8(ascii: ",")).appendLine([name, Array("ok".utf8), Array("x".utf8)], to: &csv)
        #expect(try rows(csv).1.map(\.path.bytes) == [name])
        var line = Array(#"{"path":"#.utf8)
        JSONText.append(name, to: &line)
        #expect(try rows(line + Array(#","status":"ok","tasks":{}}"#.utf8)).1.map(\.path.bytes) == [name])
        // A pair of surrogates is a character.
        let pair = #"{"path":"\ud83c\udcb9","status":"ok","tasks":{}}"#
        #expect(try rows(pair).1.map { "\($0.path)" } == ["\u{1F0B9}"])
    }

    @Test func whatLabelDoesNotWriteIsRefusedByLine() {
        #expect(message("") == "labels.csv: the file is empty")
        #expect(message("path,corn\n").contains("expected the columns path,status,... that label writes, each once"))
        #expect(message("path,status\n1.jpg,ok\n").contains("has no column of a task"))
        #expect(message("\u{1}\u{2}").contains("is not a table"))
        let header = "path,status,a,a_score\n1.jpg,ok,x,0.5\n"
        #expect(message(header + "2.jpg,ok\n") == "labels.csv: line 3: expected 4 cells, found 2")
        #expect(message(header + "2.jpg,ok,x").hasSuffix("the file ends there without a line end, it may be cut"))
        #expect(message(header + "2.jpg,fine,x,0.5\n").contains("line 3: status \"fine\" is not one that label writes"))
        #expect(message(header + "2.jpg,ok,x,high\n").contains("line 3: expected a number as the score of a"))
        #expect(message(header + "2.jpg,ok,x,nan\n").contains("expected a number"))
        #expect(message(header + ",ok,x,0.5\n").contains("line 3: the path is empty"))
        #expect(message(header + "2.jpg,ok,x|y|z,0.5|0.4\n").contains("a has 3 labels and 2 scores"))
        #expect(message(header + "\"2.jpg,ok,x,0.5\n").contains("line 3: a quoted cell has no end"))
        #expect(message("{\"path\":\"1\",\"status\":\"ok\"}\n").contains("line 1: expected {\"path\""))
        #expect(message("{\"path\":\"1\",\"sta").contains("line 1: unterminated string"))
    }

    /// A row that is longer than a block of the file, and a cell that ends with it.
    @Test func rowsLongerThanBlocks() throws {
        let name = String(repeating: "a\n\"\"", count: 200_000)
        let (_, rows) = try rows("path,status,a\n\"\(name)\",ok,x\n2.jpg,ok,y\n")
        #expect(rows.count == 2 && rows[0].path.bytes.count == 600_000 && rows[1].line == 200_003)
    }
}
