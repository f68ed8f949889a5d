import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Reports

/// Numbers from a linear congruential generator, which NumPy had too.
private struct MadeUpNumbers {
    private var state = 12345

    mutating func next(below count: Int) -> Int {
        state = (state * 1_103_515_245 + 12345) % (1 << 31)
        return state / 65536 % count
    }
}

/// Forty images with five labels of which the last is never there, then twenty with two values. What is expected of
/// them was computed with scikit-learn 1.8.
private enum MadeUpLabels {
    static let predictions: [LabelPrediction] = drawn.labels
    static let values: [ValuePrediction] = drawn.values

    private static let drawn = {
        var numbers = MadeUpNumbers()
        let labels = (0..<40).map { _ in
            var (truth, scores): ([Int], [Double]) = ([], [])
            for label in 0..<5 {
                scores.append(Double(numbers.next(below: 32)) / 31)
                let share = [50, 30, 15, 5, 0][label] + (scores[label] > 0.6 && label < 4 ? 20 : 0)
                if numbers.next(below: 100) < share { truth.append(label) }
            }
            return LabelPrediction(truth: truth, predicted: (0..<5).filter { scores[$0] >= 0.5 }, scores: scores)
        }
        let values = (0..<20).map { _ in
            var (truth, predicted): ([Double], [Double]) = ([], [])
            for output in 0..<2 {
                truth.append(Double(numbers.next(below: 1000)) / 100 - 3)
                predicted.append(
                    truth[output] * (output == 0 ? 0.8 : -0.1) + Double(numbers.next(below: 100)) / 50)
            }
            return ValuePrediction(truth: truth, predicted: predicted)
        }
        return (labels: labels, values: values)
    }()
}

@Suite struct MultiLabelMetricsTests {
    private func measure(_ predictions: [LabelPrediction], classes: Int, resamples: Int = 0) throws -> MultiLabelMetrics
    {
        try #require(
            MultiLabelMetrics(
                task: "t", classes: classes, predictions: predictions, bootstrap: BootstrapOptions(resamples: resamples)
            ))
    }

    @Test func theMetricsAreThoseOfScikitLearn() throws {
        let metrics = try measure(MadeUpLabels.predictions, classes: 5)
        #expect(metrics.images == 40 && metrics.exactMatch.value == 0.05)
        #expect(metrics.perClass.map(\.support) == [25, 11, 12, 5, 0])
        #expect(metrics.perClass.map(\.predicted) == [25, 18, 24, 21, 20])
        #expect(metrics.perClass.map(\.hits) == [16, 7, 9, 5, 0])
        for (found, expected) in [
            (metrics.meanAveragePrecision?.value, 0.4304628710125039), (metrics.microF1?.value, 0.45962732919254656),
            (metrics.macroF1?.value, 0.50184350132626), (metrics.microPrecision?.value, 0.3425925925925926),
            (metrics.microRecall?.value, 0.6981132075471698),
        ] { #expect(abs(try #require(found) - expected) < 1e-14) }
        let precisions = [0.72682485612008, 0.40293584785563397, 0.3095999375834594, 0.28249084249084244]
        for (found, expected) in zip(metrics.perClass, precisions) {
            #expect(abs(try #require(found.averagePrecision) - expected) < 1e-14)
        }
        #expect(metrics.perClass[4].averagePrecision == nil && metrics.perClass[4].recall == nil)
        let scores = [0.64, 0.4827586206896552, 0.5, 0.38461538461538464, 0]
        for (found, expected) in zip(metrics.perClass, scores) {
            #expect(abs(try #require(found.f1) - expected) < 1e-14)
        }
        #expect(
            meanAveragePrecision(
                scores: MadeUpLabels.predictions.map(\.scores), labels: MadeUpLabels.predictions.map(\.truth))
                == metrics.meanAveragePrecision?.value)
    }

    @Test func imagesOfEqualScoreCountTogether() throws {
        // One of three at the highest score shows it, then one of one: (1/2)·(1/3) + (1/2)·(2/4).
        let ranking = AveragePrecision(scores: [0.9, 0.9, 0.9, 0.1], isPositive: [false, true, false, true])
        #expect(abs(try #require(ranking.value) - (1.0 / 6 + 0.25)) < 1e-15)
        #expect(AveragePrecision(scores: [1, 0], isPositive: [false, false]).value == nil)
        #expect(AveragePrecision(scores: [1, 0], isPositive: [true, true]).value == 1)
        #expect(AveragePrecision(scores: [], isPositive: []).value == nil)
    }

    @Test func intervalsHoldTheirValuesAndComeFromTheSeed() throws {
        let metrics = try measure(MadeUpLabels.predictions, classes: 5, resamples: 200)
        for estimate in [
            metrics.meanAveragePrecision, metrics.microF1, metrics.macroF1, metrics.microPrecision,
            metrics.microRecall, metrics.exactMatch,
        ] {
            let (value, interval) = (try #require(estimate?.value), try #require(estimate?.interval))
            #expect(interval.low < value && value < interval.high && interval.low >= 0 && interval.high <= 1)
        }
        #expect(try measure(MadeUpLabels.predictions, classes: 5, resamples: 200) == metrics)
        #expect(try measure(MadeUpLabels.predictions, classes: 5).microF1?.interval == nil)
    }

    @Test func withoutScoresOrLabelsWhatIsLeftIsMeasured() throws {
        let bare = MadeUpLabels.predictions.map {
            LabelPrediction(truth: $0.truth, predicted: $0.predicted, scores: [])
        }
        let metrics = try measure(bare, classes: 5)
        #expect(metrics.meanAveragePrecision == nil && metrics.perClass.allSatisfy { $0.averagePrecision == nil })
        #expect(try metrics.microF1 == measure(MadeUpLabels.predictions, classes: 5).microF1)
        let none = try measure([LabelPrediction(truth: [], predicted: [], scores: [0.1])], classes: 1, resamples: 10)
        #expect(none.exactMatch.value == 1 && none.microF1 == nil && none.macroF1 == nil)
        #expect(none.meanAveragePrecision == nil && none.microPrecision == nil && none.microRecall == nil)
        #expect(MultiLabelMetrics(task: "t", classes: 5, predictions: []) == nil)
    }
}

@Suite struct RegressionMetricsTests {
    private func measure(_ predictions: [ValuePrediction], resamples: Int = 0) throws -> RegressionMetrics {
        try #require(
            RegressionMetrics(
                task: "t", outputs: predictions[0].truth.count, predictions: predictions,
                bootstrap: BootstrapOptions(resamples: resamples)))
    }

    @Test func theErrorsAreThoseOfScikitLearn() throws {
        let metrics = try measure(MadeUpLabels.values)
        let expected = [
            (0.8723, 1.0563968004495279, 0.8747404557470725), (3.59855, 4.119374873691395, -0.6204041444743484),
            (2.235425, 2.587885837070462, 0.12716815563636202),
        ]
        for (found, expected) in zip(metrics.perOutput + [metrics.mean], expected) {
            #expect(abs(found.mae.value - expected.0) < 1e-13 && abs(found.rmse.value - expected.1) < 1e-13)
            #expect(abs(try #require(found.r2).value - expected.2) < 1e-13)
        }
    }

    @Test func withoutSpreadThereIsNoR2() throws {
        let metrics = try measure([.init(truth: [0.1], predicted: [1]), .init(truth: [0.1], predicted: [3])])
        #expect(metrics.mean.r2 == nil && metrics.perOutput[0].r2 == nil)
        #expect(abs(metrics.mean.mae.value - 1.9) < 1e-12)
        #expect(RegressionMetrics(task: "t", outputs: 1, predictions: []) == nil)
    }

    @Test func intervalsHoldTheirValues() throws {
        let metrics = try measure(MadeUpLabels.values, resamples: 300)
        for estimate in metrics.perOutput.flatMap({ [$0.mae, $0.rmse, $0.r2].compactMap(\.self) }) {
            let interval = try #require(estimate.interval)
            #expect(interval.low < estimate.value && estimate.value < interval.high)
        }
    }
}
