import Foundation
import FoundationXML
import Images
import Tensors
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Reports

/// Why a page is not well-formed XML; nil when it is.
func malformation(_ page: String) -> String? {
    let parser = XMLParser(data: Data(page.utf8))
    return parser.parse() ? nil : "line \(parser.lineNumber): \(parser.parserError.map { "\($0)" } ?? "?")"
}

@Suite struct ReportTests {
    static let hostile = "<script>alert(\"1\")</script>&amp;'\u{0}\u{1B}\u{FFFE}]]>"

    @Test func textIsEscapedWhereverItStands() {
        let piece = HTML.element("p", ["title": Self.hostile, "id": nil]) {
            Self.hostile
            HTML.void("img", ["alt": Self.hostile])
        }
        let text =
            "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;&#39;\u{2400}\u{241B}\u{FFFD}]]&gt;"
        #expect(piece.markup == "<p title=\"\(text)\">\(text)<img alt=\"\(text)\"/></p>")
        #expect(malformation(piece.markup) == nil)
    }

    @Test func numbersAreWrittenForPeople() {
        #expect(NumberText.fixed(0.125, 2) == "0.13" && NumberText.fixed(-0.5, 1) == "\u{2212}0.5")
        #expect(NumberText.fixed(-0.0001, 1) == "0.0" && NumberText.fixed(9.999, 2) == "10.00")
        #expect(NumberText.count(999) == "999" && NumberText.count(1_234_567) == "1\u{202F}234\u{202F}567")
        #expect(NumberText.count(1, "image") == "1 image" && NumberText.count(0, "class", "classes") == "0 classes")
        #expect(NumberText.coordinate(1.05) == "1.05" && NumberText.coordinate(-2.5) == "-2.5")
        #expect(NumberText.coordinate(.nan) == "0" && NumberText.coordinate(3) == "3")
        #expect(NumberText.pValue(0.0004) == "p < 0.001")
    }

    @Test func ticksAreRoundNumbers() {
        func ticks(_ domain: ClosedRange<Double>) -> [Double] { LinearScale(domain: domain, from: 0, to: 1).ticks() }
        #expect(ticks(0...1).count == 6)
        #expect(ticks(0...1).last == 1)
        #expect(ticks(0...7) == [0, 2, 4, 6])
        #expect(ticks(3...3) == [3])
    }

    @Test func base64IsThatOfTheRFC() {
        for (text, expected) in [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] { #expect(Thumbnail.base64(Array(text.utf8)) == expected) }
        let bytes = (0..<256).map { UInt8($0) }
        #expect(Thumbnail.base64(bytes) == Data(bytes).base64EncodedString())
    }

    /// An evaluation with names that want to be markup, an unknown class, a failure and a class without images.
    private func evaluation(classes count: Int = 5, images: Int = 60) throws -> EvaluationResult {
        let classes = (0..<count).map { "\(Self.hostile)\($0)" }
        let source = BytePath("/data/\(Self.hostile)")
        let labelled = LabelledImages(
            source: source, classes: classes + ["<stranger>"],
            items: (0..<images).map { .init(path: source.appending(Array("\($0)<i>".utf8)), class: $0 % (count - 1)) }
                + [.init(path: source.appending(Array("strange".utf8)), class: count)])
        let task = try EvaluationTask(name: Self.hostile, classes: classes, images: labelled)
        var predictions = TaskPredictions(count: images)
        for (index, item) in task.items.enumerated().dropLast() {
            let logits = (0..<count).map { Float((index * 7 + $0 * 5) % 11) + ($0 == item.truth ? 4 : 0) }
            predictions.classes[index] = Prediction(truth: item.truth, logits: logits)
        }
        predictions.failures = [.init(path: task.items[images - 1].path, reason: Self.hostile)]
        let evaluated = TaskEvaluation(
            task, predictions, minimum: 0.99, bootstrap: BootstrapOptions(resamples: 20))
        return EvaluationResult(
            tasks: [evaluated], bootstrap: BootstrapOptions(resamples: 20), version: "0",
            model: .object(["path": .string(Self.hostile), "list": .array([.object(["<b>": .null]), .int(1)])]))
    }

    @Test(arguments: [2, 5, 20, 43]) func pagesAreWellFormedAndNeedNothingElse(_ classes: Int) throws {
        let page = EvaluationPage(
            try evaluation(classes: classes), command: Self.hostile, decoding: DecodingOptions()
        ).text
        #expect(malformation(page) == nil)
        for forbidden in ["<script", "<stranger", "<i>", "<b>", "http:", "https:", "url(", "@import", "src=\"/"] {
            #expect(!page.contains(forbidden), "\(forbidden)")
        }
        #expect(page.contains("not readable") && page.contains("&lt;stranger&gt; (1)"))
    }

    @Test func aTaskWithoutAnswersHasAPage() throws {
        let whole = try evaluation()
        var predictions = TaskPredictions(count: 60)
        predictions.failures = whole.tasks[0].task.items.map { .init(path: $0.path, reason: "gone") }
        let empty = EvaluationResult(
            tasks: [TaskEvaluation(whole.tasks[0].task, predictions)], bootstrap: BootstrapOptions(), version: "0",
            model: .null)
        #expect(empty.meanAccuracy == nil && empty.failures == 60)
        let page = EvaluationPage(empty, command: "", decoding: DecodingOptions()).text
        #expect(malformation(page) == nil)
        #expect(empty.json.objectValue?["tasks"]?.arrayValue?[0].objectValue?["top1"] == .null)
    }

    @Test func comparisonsArePagesToo() throws {
        let task = try evaluation().tasks[0]
        var other = task.predictions
        other.classes[0] = prediction(task.task.items[0].truth, 1, 0.5)
        let comparison = Comparison(
            tasks: [TaskComparison(task.task, task.predictions, other, bootstrap: BootstrapOptions(resamples: 0))],
            names: [Self.hostile, "b"], models: [.null, .null], bootstrap: BootstrapOptions(), version: "0")
        let page = ComparisonPage(comparison, command: Self.hostile, decoding: DecodingOptions()).text
        #expect(malformation(page) == nil)
        #expect(!page.contains("<script") && !page.contains("http"))
    }

    /// A task of several labels, of which one is never shown, and one of values, with names that want to be markup.
    private func otherTasks() throws -> EvaluationResult {
        let source = BytePath("/data/\(Self.hostile)")
        func path(_ index: Int) -> BytePath { source.appending(Array("\(index)<i>".utf8)) }
        let classes = (0..<4).map { "\(Self.hostile)\($0)" }
        let images = try MultiLabelImages(
            source: source,
            rows: (0..<20).map { (path($0), $0 % 4 == 3 ? "" : "\(classes[0])|\(classes[$0 % 3])|<stranger>", $0) },
            separator: "|")
        let task = try EvaluationTask(name: Self.hostile, classes: classes, images: images)
        guard case .labels(let sets) = task.truths else { throw CannotTest() }
        var predictions = TaskPredictions(to: task, threshold: 0.5)
        for (index, item) in task.items.enumerated().dropLast() {
            let scores = (0..<4).map { Double((index * 7 + $0 * 5) % 11) / 10 }
            predictions.labels[index] = LabelPrediction(
                truth: sets[item.truth], predicted: (0..<4).filter { scores[$0] >= 0.5 }, scores: scores)
        }
        predictions.failures = [.init(path: path(19), reason: Self.hostile)]
        let values = EvaluationTask(
            name: "<v>",
            images: ImageValues(
                source: source, outputs: ["<a>", "b"], paths: (0..<9).map(path),
                values: (0..<9).map { [Double($0), 1000 * Double($0 * $0)] }))
        var found = TaskPredictions(to: values)
        for index in 0..<9 { found.values[index] = ValuePrediction(truth: [Double(index), 5], predicted: [2, -3000]) }
        let bootstrap = BootstrapOptions(resamples: 20)
        return EvaluationResult(
            tasks: [
                TaskEvaluation(task, predictions, minimum: 0.99, bootstrap: bootstrap),
                TaskEvaluation(values, found, bootstrap: bootstrap), TaskEvaluation(task, TaskPredictions(to: task)),
                TaskEvaluation(values, TaskPredictions(to: values)),
            ], bootstrap: bootstrap, version: "0", model: .null)
    }

    private struct CannotTest: Error {}

    @Test func labelsAndValuesHavePagesToo() throws {
        let evaluation = try otherTasks()
        let page = EvaluationPage(evaluation, command: Self.hostile, decoding: DecodingOptions()).text
        #expect(malformation(page) == nil)
        for forbidden in ["<script", "<stranger", "<i>", "<a>", "<v>", "http:", "url(", "src=\"/", ">nan", "\"nan"] {
            #expect(!page.contains(forbidden), "\(forbidden)")
        }
        for expected in ["mAP, %", "Most confident mistakes", "wrongly given", "missed", "Largest errors", "R²"] {
            #expect(page.contains(expected), "\(expected)")
        }
        #expect(!page.contains("Confusion matrix"))
        let tasks = try #require(evaluation.json.objectValue?["tasks"]?.arrayValue).compactMap(\.objectValue)
        #expect(tasks.map { $0["activation"]?.stringValue } == ["sigmoid", "none", "sigmoid", "none"])
        #expect(tasks[0]["is_good_enough"] == .bool(false) && tasks[0]["minimum_map"]?.doubleValue == 0.99)
        #expect(tasks[1]["per_output"]?.arrayValue?[1].objectValue?["r2"] == .null)
        #expect(tasks[2]["map"] == .null && tasks[3]["mae"] == .null)
        let rows = String(decoding: evaluation.csv, as: UTF8.self)
        #expect(rows.contains(",average_precision,") && rows.contains("<v>,b,rmse,"))
    }

    @Test func metricsAreStrictJSON() throws {
        let json = try evaluation().json
        let text = json.serialized()
        #expect(try JSON(parsing: Array(text.utf8)) == json)
    }
}
