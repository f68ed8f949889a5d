import Tensors
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Reports

/// Marks of so many images: those that both models have right, those that one alone has, and the rest.
private func masks(_ both: Int, _ first: Int, _ second: Int, _ neither: Int) -> (CorrectnessMask, CorrectnessMask) {
    func repeated(_ a: Bool, _ b: Bool, _ c: Bool) -> CorrectnessMask {
        CorrectnessMask(
            Array(repeating: true, count: both) + Array(repeating: a, count: first)
                + Array(repeating: b, count: second) + Array(repeating: c, count: neither))
    }
    return (repeated(true, false, false), repeated(false, true, false))
}

@Suite struct CorrectnessMaskTests {
    @Test(arguments: 0...13) func textGivesTheMarksBack(_ count: Int) {
        let masks = CorrectnessMask((0..<count).map { $0 * $0 % 3 == 1 })
        #expect(CorrectnessMask(text: masks.text, count: count) == masks)
        #expect(CorrectnessMask(text: masks.text + "0", count: count) == nil)
        #expect(count == 0 || CorrectnessMask(text: String(masks.text.dropLast()) + "g", count: count) == nil)
        // An image beyond the last cannot be right.
        #expect(count % 4 == 0 || CorrectnessMask(text: String(masks.text.dropLast()) + "f", count: count) == nil)
    }

    /// The interval by an implementation of the formula in Python; there it held the true ratio in 94.9 to 96.2 %
    /// of 4000 draws from each of three pairs of models.
    @Test(arguments: [
        ((43, 8, 3, 20), (0.9644585, 1.2745039)), ((180, 12, 34, 100), (0.8397375, 0.9585867)),
    ]) func ratiosHaveBonettAndPricesInterval(_ counts: (Int, Int, Int, Int), _ ends: (Double, Double)) throws {
        let (first, second) = masks(counts.0, counts.1, counts.2, counts.3)
        let ratio = try #require(first.ratio(to: second))
        let interval = try #require(ratio.interval)
        #expect(abs(ratio.value - Double(counts.0 + counts.1) / Double(counts.0 + counts.2)) < 1e-12)
        #expect(abs(interval.low - ends.0) < 1e-6 && abs(interval.high - ends.1) < 1e-6, "\(interval)")
    }

    @Test func edgesOfRatios() throws {
        let (all, none) = masks(0, 9, 0, 0)
        #expect(all.ratio(to: none) == nil)
        #expect(try #require(none.ratio(to: all)).value == 0)
        let same = try #require(all.ratio(to: all)?.interval)
        #expect(same.low <= 1 && same.high >= 1)
        #expect(all.gain(over: none)?.value == 1 && CorrectnessMask([]).accuracy == nil)
    }
}

@Suite struct CorrelationTests {
    @Test func numbersAreThoseOfTheirFormulas() throws {
        let r = try #require(Correlation.pearson([1, 2, 3, 4, 5, 6], [2, 1, 4, 3, 7, 5]))
        #expect(abs(r - 0.7917947) < 1e-6)
        #expect(Correlation.pearson([1, 2, 3], [-1, -2, -3]) == -1)
        #expect(Correlation.pearson([1, 1, 1], [1, 2, 3]) == nil)
        #expect(Correlation.ranks([5, 1, 5, 3]) == [3.5, 1, 3.5, 2])
    }

    @Test func mantelsTestCountsTheWaysToNameTheTasks() throws {
        // No two pairs alike: of the 24 ways to name four tasks only the true one gives r = 1.
        func alike(_ a: Int, _ b: Int) -> Double {
            [1, 2, 4, 7, 11, 30][[1: 0, 2: 1, 3: 2, 12: 3, 13: 4, 23: 5][10 * min(a, b) + max(a, b)] ?? 0]
        }
        let found = try #require(Correlation(tasks: 4, alike, alike))
        #expect(found.pearson == 1 && found.spearman == 1 && found.pValue == 1.0 / 24 && found.count == 12)
        let against = try #require(Correlation(tasks: 4, alike) { -alike($0, $1) })
        #expect(against.pearson == -1 && against.pValue == 1.0 / 24)
        // With many tasks ways are drawn; the given one counts.
        func many(_ a: Int, _ b: Int) -> Double { Double(a * b + a + b) }
        let drawn = try #require(Correlation(tasks: 9, many, many))
        #expect(drawn.pearson == 1 && drawn.pValue >= 1.0 / 5040 && drawn.pValue < 0.01)
    }

    @Test func withinTasksWhatATaskLosesWithAnyoneDoesNotCount() {
        func alike(_ a: Int, _ b: Int) -> Double { Double((a * a + b * b) % 5) }
        #expect(Correlation(tasks: 5, alike) { task, _ in Double(task) } != nil)
        #expect(Correlation(tasks: 5, centred: true, alike) { task, _ in Double(task) } == nil)
        #expect(Correlation(tasks: 2, alike, alike) == nil)
    }
}

@Suite struct StudyPageTests {
    /// A study of so many tasks whose names want to be markup.
    static func study(tasks count: Int, sizes: [Int]) -> Study {
        func masks(_ seed: Int) -> CorrectnessMask {
            CorrectnessMask((0..<40).map { ($0 * 7 + seed * 13) % 11 > 2 + seed % 4 })
        }
        let names = (0..<count).map { "\(ReportTests.hostile)\($0)" }
        let variants = ["sum", "sum+tune", "<i>"]
        let subsets = sizes.filter { $0 > 1 }.flatMap { size in
            (0..<(1 << count)).filter { $0.nonzeroBitCount == size }.map { bits in
                (0..<count).filter { bits >> $0 & 1 == 1 }
            }
        }
        return Study(
            tasks: names.enumerated().map { index, name in
                StudyTask(
                    name: name, classes: 3, source: "/data/<\(index)>", split: "test", single: masks(index),
                    headOnly: masks(index + 3))
            }, variants: variants, sizes: sizes,
            results: subsets.flatMap { subset in
                variants.enumerated().map { place, variant in
                    StudyResult(
                        variant: variant, tasks: subset.map { names[$0] }, scale: 0.5,
                        masks: subset.map { masks($0 + place + subset.reduce(0, +)) })
                }
            },
            similarities: (0..<count).flatMap { first in
                (first + 1..<max(count, first + 1)).map { second in
                    TaskSimilarity(
                        tasks: [names[first], names[second]], cosine: 0.01 * Double(first * second),
                        overlap: 0.1 + 0.03 * Double(first + second), distance: Double(second - first) / 7)
                }
            }, provenance: .object(["base": .object(["<b>": "&"])]), version: "0")
    }

    @Test(arguments: [(2, [1, 2]), (4, [1, 2, 3, 4]), (3, [3]), (3, [1])])
    func pagesAreWellFormedAndNeedNothingElse(_ tasks: Int, _ sizes: [Int]) throws {
        let study = Self.study(tasks: tasks, sizes: sizes)
        let page = StudyPage(study, command: ReportTests.hostile, bootstrap: BootstrapOptions(resamples: 20))
        #expect(malformation(page.text) == nil)
        for forbidden in ["http:", "https:", "<script", "url(", "@import", "<link", "<i>"] {
            #expect(!page.text.contains(forbidden), "\(forbidden)")
        }
        #expect(page.charts.isEmpty == (sizes == [1]))
        for chart in page.charts {
            #expect(malformation(chart.text) == nil, "\(chart.name)")
            #expect(
                chart.text.hasPrefix("<svg xmlns=\"http://www.w3.org/2000/svg\"") && !chart.text.contains("<script"))
        }
    }

    @Test func rowsAreOnePerTaskOfEveryMerge() {
        let study = Self.study(tasks: 4, sizes: [1, 2, 4])
        let lines = String(decoding: study.csv, as: UTF8.self).split(separator: "\n").count
        // Names hold no line breaks. Two rows for each task alone; three variants of six pairs and one four.
        #expect(lines == 1 + 2 * 4 + 3 * (6 * 2 + 4))
    }

    @Test func meansAreThoseOfTheRows() throws {
        let study = Self.study(tasks: 3, sizes: [1, 2])
        let tasks = study.masks("sum", size: 2)
        #expect(tasks.count == 6)
        let expected = tasks.reduce(0) { $0 + Double($1.masks.right) / Double($1.task.single.right) } / 6
        let found = try #require(StudyMeans(study, BootstrapOptions(resamples: 200)).normalised("sum", size: 2))
        let interval = try #require(found.interval)
        #expect(abs(found.value - expected) < 1e-12)
        #expect(interval.low < found.value && found.value < interval.high)
        #expect(StudyMeans(study, BootstrapOptions(resamples: 0)).normalised("sum", size: 3) == nil)
    }

    @Test func dropsAreOfOrderedPairs() throws {
        let study = Self.study(tasks: 3, sizes: [1, 2])
        let (a, b) = (study.tasks[0].name, study.tasks[1].name)
        let masks = try #require(study.result("sum", [b, a])?.masks(of: a))
        let drop = try #require(study.drop(of: a, with: b, by: "sum"))
        #expect(abs(drop.value - Double(study.tasks[0].single.right - masks.right) / 40) < 1e-12)
        #expect(study.drop(of: a, with: a, by: "sum") == nil && study.drop(of: a, with: b, by: "none") == nil)
    }
}
